"""`python -m torture [PART …]`: run the attacks, print a table of promises, and exit with 1 if one was broken."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from torture.promises import Promise

# Modules of this package with `attack(scratch_folder, seed) -> list[Promise]`.
PARTS = (
    *("faults", "load", "admission", "fairness", "uploads", "hostile", "wall", "surface", "tenants", "leaks", "webhooks", "upgrades"),
    *("restore", "retention"),
)
FAILURES_SHOWN = 20


def main() -> int:
    """Run the given parts, or all."""
    parser = argparse.ArgumentParser(prog="python -m torture", description="Attack the promises of the service.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"one of {', '.join(PARTS)}; all by default")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    console = Console()
    broken: list[str] = []
    for part in options.parts or PARTS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"torture-{part}-", ignore_cleanup_errors=True) as folder:
            try:
                promises: list[Promise] = importlib.import_module(f"torture.{part}").attack(Path(folder), options.seed)
            except Exception:  # the other parts and their numbers are still wanted
                console.print_exception()
                promises = []
                broken.append(f"{part} ended before its promises were attacked; the traceback is above.")
        console.print(f"{part}: {len(promises)} promises in {time.monotonic() - began:.0f} s")
        table = Table("promise", "attempts", "survived", "measured")
        for promise in promises:
            table.add_row(promise.sentence, str(promise.attempts), str(promise.survived), promise.measured)
            broken += [f"{promise.sentence}: {failure}" for failure in promise.broken]
        console.print(table)
    for failure in broken[:FAILURES_SHOWN]:
        console.print(failure, style="red", markup=False)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
