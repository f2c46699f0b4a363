"""Forbid unpickling of anything but plain values in the compute process, whichever library calls pickle."""

from __future__ import annotations

import pickle
import sys

FIND_CLASS = "pickle.find_class"
"""Audit event of every unpickler of Python before it imports a class or function by name."""


def forbid_pickled_objects() -> None:
    """Refuse every pickle that names a class or function, for good and in all threads.

    `torch.load` with `weights_only` has an unpickler of its own, which allows tensors and raises no such event.
    `TORCH_FORCE_WEIGHTS_ONLY_LOAD` in the environment selects it in every call (`worker.sandbox.environment`).
    """
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == FIND_CLASS:
        raise pickle.UnpicklingError(f"Refused GLOBAL {'.'.join(map(str, arguments))}: pickled objects run code when they are loaded.")
