"""`python -m audit`: the locked packages against the known holes of the advisory database. A hole fails; no answer is said loudly.

pip-audit ends with success where the database knows none of the packages, as behind a mirror of PyPI that has no advisories: that nothing
was found then says nothing. `judge` tells the two apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements.txt"
TIMEOUT_SECONDS = 180
LOUD = "=" * 80


@dataclass(frozen=True)
class Verdict:
    """What an audit found.

    Attributes
    ----------
    holes : a sentence for each package with known ones
    unknown : packages that the database could not be asked about
    asked : how many it was asked about
    """

    holes: tuple[str, ...]
    unknown: tuple[str, ...]
    asked: int


def judge(written: str) -> Verdict | None:
    """The verdict that pip-audit's JSON tells; None where it wrote none, for it did not get that far."""
    try:
        packages: list[dict[str, Any]] = json.loads(written)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    audited = [package for package in packages if "skip_reason" not in package]
    return Verdict(
        holes=tuple(_sentence(package) for package in audited if package["vulns"]),
        unknown=tuple(package["name"] for package in packages if "skip_reason" in package),
        asked=len(audited),
    )


def _sentence(package: dict[str, Any]) -> str:
    fixed = sorted({version for hole in package["vulns"] for version in hole["fix_versions"]})
    ids = ", ".join(hole["id"] for hole in package["vulns"])
    return f"{package['name']} {package['version']} has {ids}; " + (f"fixed in {', '.join(fixed)}." if fixed else "not fixed yet.")


def main() -> int:
    """0 unless a hole is known."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
        verdict, said = judge(done.stdout), (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
    except subprocess.TimeoutExpired:
        verdict, said = None, f"no answer within {TIMEOUT_SECONDS} s"
    if verdict is None or verdict.asked == 0:
        reason = said if verdict is None else "it knows none of the packages"
        print(
            f"{LOUD}\nSKIPPED: the packages were NOT audited, for the advisory database is out of reach: {reason}\n{LOUD}", file=sys.stderr
        )
        return 0
    if verdict.unknown:
        print(f"{LOUD}\nNOT audited: {', '.join(verdict.unknown)}\n{LOUD}", file=sys.stderr)
    for hole in verdict.holes:
        print(hole)
    print(f"{verdict.asked} packages audited, {len(verdict.holes)} with known holes.")
    return 1 if verdict.holes else 0


if __name__ == "__main__":
    sys.exit(main())
