"""`python -m benchmarks [NAME…]`: run all benchmarks, or those whose names start with NAME, each in its own process."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before PyTorch is imported, here and in child processes

from benchmarks.timing import exit_on_signals, machine

BENCHMARKS = {
    "heads_digits": ["benchmarks.heads", "digits_trained"],
    "heads_cifar": ["benchmarks.heads", "cifar_resnet20"],
    "text": ["benchmarks.text"],
    "text_selection": ["benchmarks.text_selection"],
    "explain": ["benchmarks.explain"],
    "extraction": ["benchmarks.extraction"],
    "finetune": ["benchmarks.finetune"],
    "service": ["benchmarks.service"],
    "many_jobs": ["benchmarks.many_jobs"],
    "workers": ["benchmarks.workers", "--images", "flowers17"],
}


def main() -> int:
    """Run the benchmarks; the exit status is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Prints `BENCH name ours_seconds theirs_seconds ratio`.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}, or a common beginning of their names")
    names: list[str] = parser.parse_args().names
    unknown = [name for name in names if not any(known.startswith(name) for known in BENCHMARKS)]
    if unknown:
        parser.error(f"unknown benchmark: {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}")
    exit_on_signals()
    print(machine(), flush=True)
    failed = [name for name in BENCHMARKS if not names or name.startswith(tuple(names)) if not _run(name)]
    if failed:
        print(f"Failed: {', '.join(failed)}.", file=sys.stderr)
    return int(bool(failed))


def _run(name: str) -> bool:
    process = subprocess.Popen([sys.executable, "-m", *BENCHMARKS[name]], cwd=Path(__file__).parents[1])
    try:
        return process.wait() == 0
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
