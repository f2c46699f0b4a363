"""`python -m torture [PART …]`: run the attacks, print promise, attempts and survived, and exit with 1 when one was broken."""

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

# Each is a module of this package with `attack(folder, seed) -> list[Promise]`: a scratch folder of its own, and where randomness starts.
PARTS = ("faults", "load", "uploads", "hostile", "surface", "tenants", "leaks", "webhooks", "upgrades")
SHOWN_BREAKS = 20


def main() -> int:
    """Run the named parts, or all."""
    parser = argparse.ArgumentParser(prog="python -m torture", description="Try to break what the service promises.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all unless named")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    console = Console()
    table = Table("promise", "attempts", "survived", "measured", title="Promises under attack")
    broken: list[str] = []
    for part in options.parts or PARTS:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"torture-{part}-", ignore_cleanup_errors=True) as folder:
            promises: list[Promise] = importlib.import_module(f"torture.{part}").attack(Path(folder), options.seed)
        console.print(f"{part}: {len(promises)} promises in {time.monotonic() - began:.0f} s")
        for promise in promises:
            table.add_row(promise.sentence, str(promise.attempts), str(promise.survived), promise.measured)
            broken += [f"{promise.sentence}: {what}" for what in promise.broken]
        table.add_section()
    console.print(table)
    for what in broken[:SHOWN_BREAKS]:
        console.print(what, style="red", markup=False)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
