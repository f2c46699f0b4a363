"""`python -m audit`: check the locked packages for known vulnerabilities; exit with 1 if there are any.

pip-audit succeeds where the advisory database has none of the packages, as behind a mirror of PyPI without advisories. `parse_audit`
distinguishes that from an audit without findings, and `main` prints a loud notice.
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
RULE = "=" * 80


@dataclass(frozen=True)
class AuditResult:
    """Result of an audit.

    Attributes
    ----------
    vulnerabilities : a sentence for each package with known ones
    not_audited : packages that the database does not have
    audited_count : number of packages that were audited
    """

    vulnerabilities: tuple[str, ...]
    not_audited: tuple[str, ...]
    audited_count: int


def parse_audit(output: str) -> AuditResult | None:
    """Parse pip-audit's JSON; None where the output is not JSON because pip-audit failed."""
    try:
        packages: list[dict[str, Any]] = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return None
    audited = [package for package in packages if "skip_reason" not in package]
    return AuditResult(
        vulnerabilities=tuple(_sentence(package) for package in audited if package["vulns"]),
        not_audited=tuple(package["name"] for package in packages if "skip_reason" in package),
        audited_count=len(audited),
    )


def _sentence(package: dict[str, Any]) -> str:
    fixed = sorted({version for vulnerability in package["vulns"] for version in vulnerability["fix_versions"]})
    ids = ", ".join(vulnerability["id"] for vulnerability in package["vulns"])
    return f"{package['name']} {package['version']} has {ids}; " + (f"fixed in {', '.join(fixed)}." if fixed else "not fixed yet.")


def main() -> int:
    """Run pip-audit; the exit status is 1 if a vulnerability is known."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(LOCK), "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS)
        result, reason = parse_audit(done.stdout), (done.stderr.strip().splitlines() or ["no output"])[-1]
    except subprocess.TimeoutExpired:
        result, reason = None, f"no answer within {TIMEOUT_SECONDS} s"
    if result is None or result.audited_count == 0:
        reason = reason if result is None else "it has none of the packages"
        print(f"{RULE}\nSKIPPED: the packages were not audited, because the advisory database failed: {reason}\n{RULE}", file=sys.stderr)
        return 0
    if result.not_audited:
        print(f"{RULE}\nSKIPPED: these packages were not audited: {', '.join(result.not_audited)}\n{RULE}", file=sys.stderr)
    for sentence in result.vulnerabilities:
        print(sentence)
    print(f"{result.audited_count} packages audited, {len(result.vulnerabilities)} with known vulnerabilities.")
    return 1 if result.vulnerabilities else 0


if __name__ == "__main__":
    sys.exit(main())
