"""One file a finished epoch, from which a run goes on to the same numbers: written whole or not at all, read back or passed over."""

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
    """The state behind an epoch.

    Attributes
    ----------
    history : records of all epochs up to it
    tensors : weights, library, heads, optimiser, images set aside, and under `best.` the best epoch's weights where it is an earlier one
    values : what else moves, JSON-ready
    """

    history: tuple[EpochRecord, ...]
    tensors: dict[str, Tensor]
    values: dict[str, Any]


def write_checkpoint(folder: Path, key: str, checkpoint: Checkpoint) -> None:
    """Write `epoch-003.safetensors` whole, then drop the files that are no longer needed.

    Parameters
    ----------
    key : sha256 of all that the run depends on
    """
    header = {"key": key, "history": [record.to_dict() for record in checkpoint.history], "values": checkpoint.values}
    into_place(
        folder / f"epoch-{checkpoint.history[-1].epoch:03d}.safetensors",
        lambda path: save_file(checkpoint.tensors, path, metadata={"iis": json.dumps(header)}),
    )
    for old in _files(folder)[:-FILES_KEPT]:
        old.unlink(missing_ok=True)


def newest_checkpoint(folder: Path, key: str) -> Checkpoint | None:
    """The newest file that can be read; a damaged one is passed over for the one before it. None where there is none.

    Raises
    ------
    SettingError
        When the folder holds another run.
    """
    for path in reversed(_files(folder)):
        try:
            with safe_open(path, framework="pt") as file:
                header = json.loads(file.metadata()["iis"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
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


def into_place(path: Path, write: Callable[[Path], None]) -> None:
    """Write under a temporary name and rename, so that nobody sees half a file."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _files(folder: Path) -> Sequence[Path]:
    return sorted(folder.glob("epoch-*.safetensors"), key=lambda path: int(path.stem.partition("-")[2]))
