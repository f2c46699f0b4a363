"""Checkpoint files read as data: safetensors and torch zip files become finite float32 tensors. Networks are built elsewhere.

Nothing here ever runs code from a file: `torch.load` is called with `weights_only=True`, without a fallback.
"""

from __future__ import annotations

import pickle
import re
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from iis_engine.errors import ArchitectureError, CheckpointError

WRAPPINGS = ("state_dict", "model_state_dict", "model")
"""Keys under which training scripts put the weights beside the optimiser's state."""
WRAPPED_AT_MOST = 4
"""Wrappings inside one another; training scripts use one or two, and a pickle can hold a dictionary that contains itself."""
PREFIXES = ("module.", "model.", "_orig_mod.")
"""What data-parallel, lightning and compiled modules put before every key."""
DERIVED_KEYS = ("num_batches_tracked", "relative_position_index", "attn_mask", "total_ops", "total_params")
"""Buffers that are counted or derived, so that their absence or presence changes no representation."""

SEND_INSTEAD = "send a safetensors file, or torch.save(model.state_dict(), path) of torch 1.6 or later"
NAMED_AT_MOST = 4
TENSORS_MAX = 100_000
"""The largest networks have some thousands; a file of millions of tiny ones takes minutes to read."""
_ARCHIVE_MAGICS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
_TAR_MAGIC_OFFSET = 257
_DAMAGE = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError),
    *(EOFError, OSError, struct.error),
)


def load_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the weights in a checkpoint file.

    Parameters
    ----------
    path : a safetensors file, or a zip file written by `torch.save` that holds a state dict, possibly under one of `WRAPPINGS`
        and with one of `PREFIXES` before every key.

    Returns
    -------
    Key to tensor on the CPU; floating point values of any width as float32.

    Raises
    ------
    CheckpointError
        With a sentence that says what to send instead: code, not data (pickled modules, TorchScript, exported programs), truncated or
        damaged files, archives, other file types, weights that are not finite, no weights at all.
    """
    stored = _read_safetensors(path) if _looks_like_safetensors(path) else _read_torch(path)
    weights = {key: _as_data(key, tensor, path) for key, tensor in _unwrap(stored, path).items()}
    if not weights:
        raise CheckpointError(f"{path.name} holds no weights; {SEND_INSTEAD}.", code="checkpoint_empty")
    return weights


def fit_weights(module: nn.Module, weights: Mapping[str, Tensor], *, architecture: str, head: Iterable[str] = ()) -> None:
    """Load weights into a module; the classifier, which no representation uses, may be absent or of another size.

    Parameters
    ----------
    architecture : the name by which the sentence of a refusal calls the module.
    head : names of the submodules that lie after the representation.

    Raises
    ------
    ArchitectureError
        Naming the first missing and unexpected keys, and the first shapes that differ.
    """
    heads = tuple(head)

    def matters(key: str) -> bool:
        in_head = any(key == name or key.startswith(f"{name}.") for name in heads)
        return not in_head and key.rpartition(".")[2] not in DERIVED_KEYS

    expected = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    missing = [key for key in expected if matters(key) and key not in weights]
    unexpected = [key for key in weights if matters(key) and key not in expected]
    misshapen = [
        f"{key} is {tuple(weights[key].shape)} in the file and {shape} in the network"
        for key, shape in expected.items()
        if matters(key) and key in weights and tuple(weights[key].shape) != shape
    ]
    faults = [
        f"{title} {_first(items)}"
        for title, items in (("missing keys", missing), ("unexpected keys", unexpected), ("other shapes:", misshapen))
        if items
    ]
    if faults:
        raise ArchitectureError(
            f"The weights do not fit {architecture}: {'; '.join(faults)}. "
            "Name the architecture and the arguments that the checkpoint was made with, or send the checkpoint of this one.",
            param="architecture",
        )
    usable = {key: tensor for key, tensor in weights.items() if key in expected and tuple(tensor.shape) == expected[key]}
    module.load_state_dict(usable, strict=False)


def refuse_nonfinite(key: str, tensor: Tensor, file_name: str) -> None:
    """Raise a CheckpointError that names the key if a tensor holds NaN or Inf."""
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        count = int((~torch.isfinite(tensor)).sum())
        raise CheckpointError(
            f"{file_name} holds {count} values in {key} that are NaN or infinite; send a checkpoint from before training diverged.",
            code="checkpoint_not_finite",
        )


def _first(items: list[str]) -> str:
    more = len(items) - NAMED_AT_MOST
    return ", ".join(items[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def _looks_like_safetensors(path: Path) -> bool:
    with path.open("rb") as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{"


def _read_safetensors(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
    if 8 + header_bytes > path.stat().st_size:
        raise _truncated(path)
    try:
        with safe_open(path, framework="pt") as file:
            _refuse_too_many(len(file.keys()), path)
        return cast("dict[str, Any]", load_file(path))
    except SafetensorError as error:
        if "incomplete" in str(error).lower():
            raise _truncated(path) from error
        raise CheckpointError(f"{path.name} is not a valid safetensors file ({error}); write it again with safetensors.") from error


def _read_torch(path: Path) -> object:
    with path.open("rb") as file:
        start = file.read(_TAR_MAGIC_OFFSET + 8)
    if not start:
        raise CheckpointError(f"{path.name} is empty; {SEND_INSTEAD}.", code="checkpoint_empty")
    if start.startswith(b"PK"):
        _check_zip(path)
    elif start[0] == 0x80:
        raise CheckpointError(
            f"{path.name} is a bare pickle, which can run code when it is read; {SEND_INSTEAD}.", code="checkpoint_legacy_pickle"
        )
    elif start.startswith(_ARCHIVE_MAGICS) or tarfile.is_tarfile(path):
        raise _archive(path)
    else:
        raise CheckpointError(f"{path.name} is not a checkpoint; {SEND_INSTEAD}.", code="checkpoint_wrong_type")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f"the Python object {named[1]}" if named else "Python objects"
        raise CheckpointError(
            f"{path.name} pickles {what}, and unpickling runs code; {SEND_INSTEAD}.", code="checkpoint_pickled_code"
        ) from error
    except _DAMAGE as error:
        raise CheckpointError(f"{path.name} is damaged: {_first_line(error)}. Upload it again from the original.") from error


def _check_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise _truncated(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except zipfile.BadZipFile as error:
        raise _truncated(path) from error
    _refuse_too_many(len(infos), path)
    members = {info.filename.partition("/")[2] or info.filename for info in infos}
    exported = {"archive_format", "serialized_exported_program.json", "serialized_state_dict.pt"}
    if exported & members or any(name.startswith("models/") for name in members):
        raise CheckpointError(
            f"{path.name} is an exported program (.pt2), which is code; {SEND_INSTEAD}, or export the network to ONNX.",
            code="checkpoint_exported_program",
        )
    if "constants.pkl" in members or any(name.startswith("code/") for name in members):
        raise CheckpointError(
            f"{path.name} is TorchScript, which is code; {SEND_INSTEAD}, or export the network to ONNX.", code="checkpoint_torchscript"
        )
    if "data.pkl" not in members:
        raise _archive(path)
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise CheckpointError(f"{path.name} was compressed after torch.save wrote it; send the file that torch.save wrote.")


def _refuse_too_many(count: int, path: Path) -> None:
    if count > TENSORS_MAX:
        raise CheckpointError(
            f"{path.name} holds {count:,} entries, and no network more than {TENSORS_MAX:,}; {SEND_INSTEAD}.", code="checkpoint_too_many"
        )


def _truncated(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path.name} ends before its contents do, so it is truncated; upload it again from the original.", code="checkpoint_truncated"
    )


def _archive(path: Path) -> CheckpointError:
    return CheckpointError(f"{path.name} is an archive; unpack it and {SEND_INSTEAD}.", code="checkpoint_archive")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")


def _unwrap(stored: object, path: Path) -> dict[str, Tensor]:
    level = 0
    while (inner := _inside(stored)) is not None:
        level += 1
        if level > WRAPPED_AT_MOST:
            raise CheckpointError(f"{path.name} wraps its weights in more than {WRAPPED_AT_MOST} dictionaries; {SEND_INSTEAD}.")
        stored = inner
    if not isinstance(stored, Mapping):
        raise CheckpointError(f"The file holds a {type(stored).__name__}, not a state dict; {SEND_INSTEAD}.", code="checkpoint_wrong_type")
    weights = {str(key): value for key, value in cast("Mapping[Any, object]", stored).items() if isinstance(value, Tensor)}
    while weights and (prefix := next((p for p in PREFIXES if all(key.startswith(p) for key in weights)), None)):
        weights = {key.removeprefix(prefix): value for key, value in weights.items()}
    return weights


def _inside(stored: object) -> object | None:
    if not isinstance(stored, Mapping):
        return None
    entries = cast("Mapping[Any, object]", stored)
    return next((entries[name] for name in WRAPPINGS if isinstance(entries.get(name), Mapping)), None)


def _as_data(key: str, tensor: Tensor, path: Path) -> Tensor:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_complex():
        raise CheckpointError(f"{key} in {path.name} is sparse, quantised, complex or empty of data; send plain dense float weights.")
    if tensor.numel() * tensor.element_size() > path.stat().st_size:
        raise CheckpointError(f"{key} in {path.name} claims more values than the file holds; upload it again from the original.")
    data = tensor.detach().to(torch.float32) if tensor.is_floating_point() else tensor.detach()
    refuse_nonfinite(key, data, path.name)
    return data.contiguous()
