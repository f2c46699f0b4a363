"""`python -m benchmarks.gpu [NAME…]`: run the checks, then the figures; print one line for each.

A line ends in what was measured, or in FAILED, OUT OF TIME, or NOT RUN where a package is missing. The exit status is 1 after FAILED and
OUT OF TIME, and 2 without the device.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.gpu.checks import CHECKS, CheckFailed, Setting
from benchmarks.gpu.figures import FIGURES, MissingPackage
from benchmarks.gpu.inputs import FULL, SMALL
from benchmarks.timing import machine, timed
from iis_engine.errors import EngineError

MINUTES = 8.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all items, or those that are named; returns the exit status."""
    items = CHECKS | FIGURES
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description="Checks of a GPU against the CPU, then figures.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(items)}; all by default")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="`cpu` runs the same code where there is no GPU")
    parser.add_argument("--small", action="store_true", help="sizes that take seconds on a CPU")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="no item starts after this time")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.names if name not in items]:
        parser.error(f"unknown: {', '.join(unknown)}; choose from {', '.join(items)}")
    if given.device == "cuda" and not torch.cuda.is_available():
        print("NOT RUN: this machine has no CUDA device; --device cpu --small runs the same code on the CPU.", file=sys.stderr, flush=True)
        return 2
    print(machine(), flush=True)
    deadline = time.monotonic() + 60 * given.minutes
    bad = False
    for name, item in items.items():
        if given.names and name not in given.names:
            continue
        kind = "CHECK" if name in CHECKS else "FIGURE"
        if time.monotonic() > deadline:
            print(f"{kind} {name} OUT OF TIME after {given.minutes:g} minutes", flush=True)
            bad = True
            continue
        with tempfile.TemporaryDirectory() as folder:
            passed, words = _run(item, Setting(given.device, SMALL if given.small else FULL, Path(folder)))
        print(f"{kind} {name} {words}", flush=True)
        bad |= not passed
    return int(bad)


def _run(item: Callable[[Setting], str], setting: Setting) -> tuple[bool, str]:
    """Whether the item did not fail, and its line."""
    try:
        elapsed, words = timed(lambda: item(setting))
    except (CheckFailed, EngineError, RuntimeError) as error:
        return False, f"FAILED {error}"
    except MissingPackage as error:
        return True, f"NOT RUN, needs {error}"
    return True, f"passed in {elapsed.wall:.1f} s: {words}"


if __name__ == "__main__":
    sys.exit(main())
