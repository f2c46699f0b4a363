"""Choose the torch device. Imports no network library, so that ready features are scored without loading one."""

from __future__ import annotations

import torch

from iis_engine.errors import SettingError


def choose_device(device: str = "auto") -> torch.device:
    """Return the torch device for `auto` (CUDA if available), `cpu` or `cuda`.

    Raises
    ------
    SettingError
        For another name, or for `cuda` on a machine without a CUDA device.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise SettingError(f"{device!r} is not a device; write auto, cpu or cuda.", param="device")
    if device == "cuda" and not torch.cuda.is_available():
        raise SettingError("This machine has no CUDA device; write auto or cpu.", param="device")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")
