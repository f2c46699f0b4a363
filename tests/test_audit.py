"""The audit of the lock: a known hole is a failure, and an audit that asked nobody is not taken for a clean one."""

from __future__ import annotations

import json
from typing import Any

from audit import judge


def written(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_hole_is_told_with_the_version_that_mends_it() -> None:
    hole = {"id": "PYSEC-2026-1", "fix_versions": ["2.10.0"], "aliases": [], "description": ""}
    verdict = judge(written({"name": "torch", "version": "2.9.0", "vulns": [hole]}, {"name": "timm", "version": "1.0", "vulns": []}))
    assert verdict is not None
    assert verdict.holes == ("torch 2.9.0 has PYSEC-2026-1; fixed in 2.10.0.",)
    assert verdict.asked == 2


def test_packages_that_the_database_does_not_know_are_not_taken_for_audited() -> None:
    verdict = judge(written({"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.9.0)"}))
    assert verdict is not None
    assert (verdict.asked, verdict.unknown) == (0, ("torch",))


def test_an_audit_that_broke_off_has_no_verdict() -> None:
    assert judge("") is None
    assert judge("Traceback (most recent call last):") is None
