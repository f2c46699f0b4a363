"""`python -m benchmarks [NAME…]`: all benchmarks, or those whose names begin as given, each in a process of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when PyTorch is imported, here and in every process below

from benchmarks.timing import leave_by_exception_when_stopped, machine

BENCHMARKS = {
    "heads_digits": ["benchmarks.heads", "digits_trained"],
    "heads_cifar": ["benchmarks.heads", "cifar_resnet20"],
    "text": ["benchmarks.text"],
    "explain": ["benchmarks.explain"],
    "extraction": ["benchmarks.extraction"],
    "finetune": ["benchmarks.finetune"],
    "service": ["benchmarks.service"],
}


def main() -> int:
    """Run what was asked for; the exit status is 1 when any of it failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Prints `BENCH name ours_seconds theirs_seconds ratio`.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}, or how several of them begin")
    asked: list[str] = parser.parse_args().names
    unknown = [name for name in asked if not any(known.startswith(name) for known in BENCHMARKS)]
    if unknown:
        parser.error(f"there is no benchmark {', '.join(unknown)}; choose among {', '.join(BENCHMARKS)}")
    leave_by_exception_when_stopped()
    print(machine(), flush=True)
    failed = [name for name in BENCHMARKS if not asked or name.startswith(tuple(asked)) if not _run(name)]
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
