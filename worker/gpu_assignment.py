"""Kind of a worker, and a GPU of its own for each worker process of a machine, by locks in the data folder that the workers share."""

from __future__ import annotations

import fcntl
import re
from collections.abc import Mapping, MutableMapping
from pathlib import Path

import structlog

from app.db.scheduling import WorkerKind

DEVICES = Path("/dev")
VARIABLE = "CUDA_VISIBLE_DEVICES"

log = structlog.get_logger(__name__)


def worker_kind(device: str, environment: Mapping[str, str], devices: Path = DEVICES) -> WorkerKind:
    """`gpu` for a worker that computes on one.

    Parameters
    ----------
    device : IIS_DEVICE; with `auto`, whether there is a GPU that CUDA_VISIBLE_DEVICES does not hide decides
    devices : folder of the device files
    """
    if device == "auto":
        return "gpu" if environment.get(VARIABLE) != "" and _gpus(devices) else "cpu"
    return "gpu" if device == "cuda" else "cpu"


def take_gpu(folder: Path, environment: MutableMapping[str, str], devices: Path = DEVICES) -> int | None:
    """Lock the first GPU that no other worker has, and set CUDA_VISIBLE_DEVICES to it, which compute processes inherit.

    The lock ends with the process. Nothing happens where the variable is set, or where the machine has fewer than two GPUs; a worker that
    finds all of them taken sees them all.

    Parameters
    ----------
    folder : of the locks, shared by the workers of the machine; created if missing
    environment : of this process
    devices : folder of the device files

    Returns
    -------
    CUDA's number of the GPU; None if none was chosen
    """
    gpus = _gpus(devices)
    if VARIABLE in environment or len(gpus) < 2:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    for number, device in enumerate(gpus):
        lock = (folder / f"nvidia{device}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _held.append(lock)
        # CUDA's own order is by speed; the order of device files is that of the bus.
        environment.update({"CUDA_DEVICE_ORDER": "PCI_BUS_ID", VARIABLE: str(number)})
        log.info("gpu_taken", gpu=number)
        return number
    log.warning("gpus_taken", gpus=len(gpus))
    return None


def _gpus(devices: Path) -> list[int]:
    """Numbers of the device files."""
    return sorted(int(found[1]) for path in devices.glob("nvidia*") if (found := re.fullmatch(r"nvidia(\d+)", path.name)))


_held: list[object] = []
"""Open lock files, for as long as the process lives."""
