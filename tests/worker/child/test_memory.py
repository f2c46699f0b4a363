"""Heap memory of the compute process: kept during a stage, returned when idle."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from worker.sandbox.environment import ALLOCATOR

PROGRAM = """
import psutil
from worker.child.__main__ import return_free_memory

own = psutil.Process()
start = own.memory_info().rss
blocks = [bytearray(b"x") * (4 << 20) for _ in range(50)]
del blocks[:-1]
kept = own.memory_info().rss
return_free_memory()
print((kept - start) >> 20, (own.memory_info().rss - start) >> 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="NOT TESTED: this platform has another C library than glibc")
@pytest.mark.parametrize(("tunables", "kept_mib"), [(ALLOCATOR, 200), ("", 4)])
def test_freed_memory_stays_mapped_until_the_process_is_idle(tunables: str, kept_mib: int) -> None:
    program = [sys.executable, "-c", PROGRAM]
    printed = subprocess.run(program, env=os.environ | {"GLIBC_TUNABLES": tunables}, capture_output=True, text=True, check=True).stdout
    kept, returned = map(int, printed.split())
    assert kept == pytest.approx(kept_mib, abs=6)
    assert returned == pytest.approx(4, abs=6)
