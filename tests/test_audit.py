"""Audit of the locked packages: a known vulnerability fails, and an audit of no package is not reported as clean."""

from __future__ import annotations

import json
from typing import Any

from audit import parse_audit


def audit_json(*packages: dict[str, Any]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_vulnerability_is_reported_with_the_version_that_fixes_it() -> None:
    vulnerability = {"id": "PYSEC-2026-1", "fix_versions": ["2.10.0"], "aliases": [], "description": ""}
    affected = {"name": "torch", "version": "2.9.0", "vulns": [vulnerability]}
    result = parse_audit(audit_json(affected, {"name": "timm", "version": "1.0", "vulns": []}))
    assert result is not None
    assert result.vulnerabilities == ("torch 2.9.0 has PYSEC-2026-1; fixed in 2.10.0.",)
    assert result.audited_count == 2


def test_packages_that_the_database_does_not_have_do_not_count_as_audited() -> None:
    reason = "Dependency not found on PyPI and could not be audited: torch (2.9.0)"
    result = parse_audit(audit_json({"name": "torch", "skip_reason": reason}))
    assert result is not None
    assert (result.audited_count, result.not_audited) == (0, ("torch",))


def test_output_of_a_failed_audit_has_no_result() -> None:
    assert parse_audit("") is None
    assert parse_audit("Traceback (most recent call last):") is None
