"""Read checkpoint files (safetensors, torch) as state dicts of plain tensors; reject everything that could run code.

`torch.load` is called with `weights_only=True`, without a fallback. The choice among several state dicts is in `weights`.
"""

from __future__ import annotations

import pickle
import re
import struct
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from iis_engine.backbones.checkpoints.older_torch_format import is_older_torch_format, read_older_torch_format
from iis_engine.backbones.checkpoints.state_dicts import StateDict, find_state_dicts
from iis_engine.errors import CheckpointError, first_line

_ENTRIES_MAX = 100_000
"""Large networks have some thousands of tensors; a file of millions of tiny ones takes minutes to read."""
_SEND_INSTEAD = "send a safetensors file, or torch.save(model.state_dict(), path)"
_PICKLE_START = 0x80
_ARCHIVE_MAGICS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
_TAR_MAGIC_OFFSET = 257
_READ_ERRORS = (
    *(RuntimeError, ValueError, LookupError, TypeError, AttributeError, AssertionError, ArithmeticError),
    *(OSError, struct.error),
)


def load_checkpoint(path: Path) -> list[StateDict]:
    """Read all state dicts in a checkpoint file.

    Parameters
    ----------
    path : a safetensors file, or a file written by `torch.save` that contains a state dict. The state dict may be wrapped in
        dictionaries of training scripts (`state_dict`, `model`), beside others (`state_dict_ema`).

    Returns
    -------
    list
        At least one, in the order of preference; tensors on the CPU, of the types in the file.

    Raises
    ------
    CheckpointError
        For code (pickled modules, TorchScript, exported programs), truncated or damaged files, archives, other file types, tensors that
        are not plain dense numbers, and files without weights. The message says what to send instead.
    """
    stored = _read_safetensors(path) if _is_safetensors(path) else _read_torch(path)
    if not isinstance(stored, Mapping):
        raise CheckpointError(
            f"The file contains a {type(stored).__name__}, not a state dict; {_SEND_INSTEAD}.", code="checkpoint_wrong_type"
        )
    found = find_state_dicts(cast("Mapping[Any, object]", stored))
    if not found:
        raise CheckpointError(f"{path.name} contains no weights; {_SEND_INSTEAD}.", code="checkpoint_empty")
    for state_dict in found:
        for key, tensor in state_dict.weights.items():
            _require_plain(key, tensor, path)
    return found


def as_float32(weights: Mapping[str, Tensor], file_name: str) -> dict[str, Tensor]:
    """Return contiguous weights, floating point values of any width as float32.

    Raises
    ------
    CheckpointError
        For NaN and infinite values, with the key.
    """
    converted = dict[str, Tensor]()
    for key, tensor in weights.items():
        data = tensor.detach().to(torch.float32) if tensor.is_floating_point() else tensor.detach()
        require_finite(key, data, file_name)
        converted[key] = data.contiguous()
    return converted


def require_finite(key: str, tensor: Tensor, file_name: str) -> None:
    """Raise a CheckpointError that names the key if a tensor contains NaN or Inf."""
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        count = int((~torch.isfinite(tensor)).sum())
        raise CheckpointError(
            f"{file_name} has {count} NaN or infinite values in {key}; send a checkpoint from before training diverged.",
            code="checkpoint_not_finite",
        )


def _is_safetensors(path: Path) -> bool:
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
            _require_few_entries(len(file.keys()), path)
        return cast("dict[str, Any]", load_file(path))
    except SafetensorError as error:
        if "incomplete" in str(error).lower():
            raise _truncated(path) from error
        raise CheckpointError(f"{path.name} is not a valid safetensors file ({error}); write it again with safetensors.") from error


def _read_torch(path: Path) -> object:
    with path.open("rb") as file:
        start = file.read(_TAR_MAGIC_OFFSET + 8)
    if not start:
        raise CheckpointError(f"{path.name} is empty; {_SEND_INSTEAD}.", code="checkpoint_empty")
    is_older = is_older_torch_format(start)
    if start.startswith(b"PK"):
        _check_zip(path)
    elif start.startswith(_ARCHIVE_MAGICS) or (not is_older and tarfile.is_tarfile(path)):
        raise _archive(path)
    elif start[0] == _PICKLE_START and not is_older:
        raise CheckpointError(
            f"{path.name} is a bare pickle, which can run code when it is loaded; {_SEND_INSTEAD}.", code="checkpoint_legacy_pickle"
        )
    elif not is_older:
        raise CheckpointError(f"{path.name} is not a checkpoint; {_SEND_INSTEAD}.", code="checkpoint_wrong_type")
    try:
        return read_older_torch_format(path) if is_older else torch.load(path, map_location="cpu", weights_only=True)
    except EOFError as error:
        raise _truncated(path) from error
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        pickled = f"the Python object {named[1]}" if named else "Python objects"
        raise CheckpointError(
            f"{path.name} pickles {pickled}, and unpickling runs code; {_SEND_INSTEAD}.", code="checkpoint_pickled_code"
        ) from error
    except _READ_ERRORS as error:
        raise CheckpointError(f"{path.name} is damaged: {first_line(error)}. Upload it again from the original.") from error


def _check_zip(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        raise _truncated(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except zipfile.BadZipFile as error:
        raise _truncated(path) from error
    _require_few_entries(len(infos), path)
    members = {info.filename.partition("/")[2] or info.filename for info in infos}
    exported = {"archive_format", "serialized_exported_program.json", "serialized_state_dict.pt"}
    if exported & members or any(name.startswith("models/") for name in members):
        raise CheckpointError(
            f"{path.name} is an exported program (.pt2), which is code; {_SEND_INSTEAD}, or export the network to ONNX.",
            code="checkpoint_exported_program",
        )
    if "constants.pkl" in members or any(name.startswith("code/") for name in members):
        raise CheckpointError(
            f"{path.name} is TorchScript, which is code; {_SEND_INSTEAD}, or export the network to ONNX.", code="checkpoint_torchscript"
        )
    if "data.pkl" not in members:
        raise _archive(path)
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise CheckpointError(f"{path.name} was compressed after torch.save wrote it; send the original file.")


def _require_few_entries(count: int, path: Path) -> None:
    if count > _ENTRIES_MAX:
        raise CheckpointError(
            f"{path.name} has {count:,} entries, more than the {_ENTRIES_MAX:,} allowed; {_SEND_INSTEAD}.", code="checkpoint_too_many"
        )


def _truncated(path: Path) -> CheckpointError:
    return CheckpointError(f"{path.name} is truncated; upload it again from the original.", code="checkpoint_truncated")


def _archive(path: Path) -> CheckpointError:
    return CheckpointError(f"{path.name} is an archive; unpack it and {_SEND_INSTEAD}.", code="checkpoint_archive")


def _require_plain(key: str, tensor: Tensor, path: Path) -> None:
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta or tensor.is_complex():
        raise CheckpointError(f"{key} in {path.name} is sparse, quantised, complex or without data; send plain dense float weights.")
    if tensor.numel() * tensor.element_size() > path.stat().st_size:
        raise CheckpointError(f"{key} in {path.name} claims more values than the file contains; upload it again from the original.")
