"""Checkpoints of a run, one file per finished epoch: written atomically, damaged files are skipped."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.errors import SettingError
from iis_engine.finetuning.history import EpochRecord

FILES_KEPT = 2  # the newest, and the one before it in case the newest is damaged
_DAMAGE = (SafetensorError, OSError, ValueError, KeyError, TypeError)


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after an epoch.

    Attributes
    ----------
    history : records of all epochs up to it
    tensors : weights, library, heads, optimiser state, split, and under `best.` the weights of the best epoch where it is an earlier one
    values : the rest of the state, JSON-ready
    """

    history: tuple[EpochRecord, ...]
    tensors: dict[str, Tensor]
    values: dict[str, Any]


def write_checkpoint(folder: Path, key: str, checkpoint: Checkpoint) -> None:
    """Write `epoch-NNN.safetensors` atomically, then delete files that are no longer needed.

    Parameters
    ----------
    key : sha256 of all inputs of the run
    """
    header = {"key": key, "history": [record.to_dict() for record in checkpoint.history], "values": checkpoint.values}
    write_atomically(
        folder / f"epoch-{checkpoint.history[-1].epoch:03d}.safetensors",
        lambda path: save_file(checkpoint.tensors, path, metadata={"iis": json.dumps(header)}),
    )
    for old in _files(folder)[:-FILES_KEPT]:
        old.unlink(missing_ok=True)


def newest_checkpoint(folder: Path, key: str) -> Checkpoint | None:
    """The newest readable checkpoint of a folder; damaged files are skipped. None without any.

    Raises
    ------
    SettingError
        When the folder holds another run.
    """
    for path in reversed(_files(folder)):
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads(file.metadata()["iis"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (safe_open is not a mapping)
            history = tuple(EpochRecord(**record) for record in header["history"])
        except _DAMAGE:
            continue
        if header["key"] != key:
            raise SettingError(
                f"{folder.name} holds a run of another network, data set, seed, weight or setting; give each run its own folder.",
                param="folder",
            )
        return Checkpoint(history, tensors, header["values"])
    return None


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name and rename, so that no reader sees a partial file."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _files(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("epoch-*.safetensors"), key=lambda path: int(path.stem.partition("-")[2]))
