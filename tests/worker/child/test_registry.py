"""Modules of the compute process."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from worker.child.registry import prepare

prepare()
import timm
print([name for name in sys.modules if name.startswith("wandb.")])
"""


@pytest.mark.slow
def test_timm_does_not_import_an_experiment_tracker() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
