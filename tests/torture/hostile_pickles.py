"""Pickles that run code when they are loaded with `pickle.load`; each creates a file, its mark, as a sign that it ran.

Each gadget is put into each container of a checkpoint. `ineffective_gadgets` loads them with `pickle.load`, to show that they do run code
there.
"""

from __future__ import annotations

import codecs
import functools
import importlib
import io
import logging
import marshal
import operator
import os
import pathlib
import pickle
import runpy
import shutil
import struct
import subprocess
import sys
import tarfile
import timeit
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torture.hostile_samples import MODEL, Sample, Samples

TORCH_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001


class Call:
    """An object that is pickled as a function call, which unpickling makes."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.reduced

    def __call__(self) -> None:
        """Makes the object callable, so that pickle accepts one call as the function of another."""


def _touch(mark: Path) -> str:
    return f"touch '{mark}'"


def _code(mark: Path) -> str:
    return f"open({str(mark)!r}, 'w').close()"


def _script(mark: Path) -> Path:
    script = mark.with_suffix(".py")
    script.write_text(_code(mark))
    return script


def _hub(mark: Path) -> Call:
    import torch

    folder = mark.with_suffix(".hub")
    folder.mkdir(exist_ok=True)
    (folder / "hubconf.py").write_text(f"def entry():\n    {_code(mark)}\n")
    load: Any = torch.hub.load  # its annotation of `trust_repo` lacks bool
    return Call(functools.partial(load, str(folder), "entry", source="local", trust_repo=True))


def _torch_again(mark: Path) -> Call:
    import torch

    inner = mark.with_suffix(".inner.pt")
    inner.write_bytes(_zip_of(pickle.dumps(Call(exec, _code(mark)), 2)))
    return Call(functools.partial(torch.load, str(inner), weights_only=False))


def _numpy_object(mark: Path) -> Any:
    """An object array; NumPy's reconstruction unpickles its elements."""
    import numpy as np

    array = np.empty(1, dtype=object)
    array[0] = Call(exec, _code(mark))
    return array


def _numpy_load(mark: Path) -> Call:
    import numpy as np

    inner = mark.with_suffix(".npy")
    np.save(inner, _numpy_object(mark), allow_pickle=True)
    return Call(functools.partial(np.load, str(inner), allow_pickle=True))


def _function_of_bytes(mark: Path) -> Call:
    code = marshal.dumps(compile(_code(mark), "gadget", "exec"))
    function = Call(getattr, Call(importlib.import_module, "types"), "FunctionType")  # pickle would look up FunctionType under another name
    return Call(Call(function, Call(marshal.loads, code), {}))


def _tensor_of_call(mark: Path) -> Call:
    """Torch's reconstruction of a tensor, an allowed function, with a call in place of the storage."""
    from torch._utils import _rebuild_tensor_v2

    return Call(_rebuild_tensor_v2, Call(exec, _code(mark)), 0, (1,), (1,), False, {})


def _nested_call(mark: Path) -> Call:
    """A call on the result of another call."""
    return Call(operator.methodcaller("touch"), Call(pathlib.Path, str(mark)))


GADGETS: dict[str, Callable[[Path], Any]] = {
    "os.system": lambda mark: Call(os.system, _touch(mark)),  # pyright: ignore[reportDeprecated]
    "os.popen": lambda mark: Call(Call(operator.attrgetter("read"), Call(os.popen, _touch(mark)))),  # pyright: ignore[reportDeprecated]
    "os.mkdir": lambda mark: Call(os.mkdir, str(mark)),
    "os.open": lambda mark: Call(os.open, str(mark), os.O_CREAT),
    "os.spawn": lambda mark: Call(os.spawnlp, os.P_WAIT, "touch", "touch", str(mark)),  # pyright: ignore[reportDeprecated]
    "subprocess.call": lambda mark: Call(subprocess.call, ["touch", str(mark)]),
    "subprocess.check_output": lambda mark: Call(subprocess.check_output, ["touch", str(mark)]),
    "builtins.exec": lambda mark: Call(exec, _code(mark)),
    "builtins.eval": lambda mark: Call(eval, _code(mark)),
    "builtins.open": lambda mark: Call(open, str(mark), "w"),
    "getattr chain": lambda mark: Call(Call(getattr, Call(importlib.import_module, "os"), "system"), _touch(mark)),
    "attrgetter chain": lambda mark: Call(Call(operator.attrgetter("path.os.system"), Call(importlib.import_module, "os")), _touch(mark)),
    "methodcaller": _nested_call,
    "functools.partial": lambda mark: Call(functools.partial(os.system, _touch(mark))),  # pyright: ignore[reportDeprecated]
    "builtins.__import__": lambda mark: Call(Call(getattr, Call(__import__, "os"), "mkdir"), str(mark)),
    "map": lambda mark: Call(list, Call(map, os.mkdir, [str(mark)])),
    "runpy.run_path": lambda mark: Call(runpy.run_path, str(_script(mark))),
    "timeit.timeit": lambda mark: Call(timeit.timeit, _code(mark), "pass", timeit.default_timer, 1),
    "codecs.open": lambda mark: Call(codecs.open, str(mark), "w"),  # pyright: ignore[reportDeprecated]
    "shutil.copy": lambda mark: Call(shutil.copy, "/dev/null", str(mark)),
    "logging.FileHandler": lambda mark: Call(logging.FileHandler, str(mark)),
    "__setstate__": lambda mark: Call(functools.partial, print, state=(os.mkdir, (str(mark),), {}, Call(exec, _code(mark)))),
    "types.FunctionType": _function_of_bytes,
    "numpy reconstruct": _numpy_object,
    "numpy.load": _numpy_load,
    "torch.hub.load": _hub,
    "torch.load": _torch_again,
    "torch rebuild": _tensor_of_call,
    "pickle.loads": lambda mark: Call(pickle.loads, pickle.dumps(Call(exec, _code(mark)))),
}


def _zip_of(pickled: bytes, extra: dict[str, bytes] | None = None, root: str = "archive/") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {"data.pkl": pickled, "byteorder": b"little", "version": b"3\n", **(extra or {})}.items():
            archive.writestr(root + name, content)
    return buffer.getvalue()


def _legacy(pickled: bytes) -> bytes:
    head = [pickle.dumps(part, 2) for part in (TORCH_MAGIC, LEGACY_PROTOCOL, {"little_endian": True})]
    return b"".join([*head, pickled, pickle.dumps([], 2)])


def _tar(pickled: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(pickled)
            archive.addfile(info, io.BytesIO(pickled))
    return buffer.getvalue()


def _after_safetensors_header(pickled: bytes) -> bytes:
    """A pickle after a valid safetensors header."""
    return struct.pack("<Q", 2) + b"{}" + pickled


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "bare": lambda pickled: pickled,
    "torch zip": _zip_of,
    "torch zip without a folder": lambda pickled: _zip_of(pickled, root=""),
    "legacy": _legacy,
    "tar": _tar,
    "TorchScript": lambda pickled: _zip_of(
        pickled, {"constants.pkl": pickled, "code/__torch__.py": b"import os", "attributes.pkl": pickled}
    ),
    "pt2": lambda pickled: _zip_of(pickled, {"archive_format": b"pt2", "models/model.json": b"{}", "data/weights/model.pt": pickled}),
    "safetensors": _after_safetensors_header,
}


def pickled(gadget: str, mark: Path) -> bytes:
    """A pickled state dict with the gadget in place of a weight."""
    return pickle.dumps({"conv1.weight": GADGETS[gadget](mark)}, 2)


def pickles(folder: Path, marks: Path) -> Samples:
    """Every gadget in every container."""
    for number, gadget in enumerate(GADGETS):
        content = pickled(gadget, marks / f"mark-{number}")
        for container, wrap in CONTAINERS.items():
            path = folder / f"pickle-{number}-{container.replace(' ', '-')}.pt"
            path.write_bytes(wrap(content))
            yield Sample(f"{gadget} in {container}", path, MODEL)


def ineffective_gadgets(folder: Path) -> list[str]:
    """Gadgets that do not run code when a process loads them with `pickle.load`; empty if all work."""
    program = "import pickle, sys\nfor path in sys.argv[1:]:\n    try: pickle.load(open(path, 'rb'))\n    except Exception: pass"
    paths = [folder / f"gadget-{number}" for number in range(len(GADGETS))]
    for number, (gadget, path) in enumerate(zip(GADGETS, paths, strict=True)):
        path.write_bytes(pickled(gadget, folder / f"mark-{number}"))
    subprocess.run([sys.executable, "-c", program, *map(str, paths)], capture_output=True, check=False)
    return [gadget for number, gadget in enumerate(GADGETS) if not (folder / f"mark-{number}").exists()]
