"""Identifiers sort by time and say what they name."""

from __future__ import annotations

import re

import pytest

from app.db.ids import PREFIXES, new_id


@pytest.mark.parametrize(("kind", "prefix"), PREFIXES.items())
def test_an_identifier_is_a_prefix_and_26_plain_characters(kind: str, prefix: str) -> None:
    assert re.fullmatch(rf"{prefix}_[0-9a-hjkmnp-tv-z]{{26}}", new_id(kind))


def test_identifiers_sort_by_the_time_they_were_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (1, 31, 32, 1_700_000_000_000, 1_700_000_000_001):
        monkeypatch.setattr("app.db.ids.time.time_ns", lambda now=milliseconds: now * 1_000_000)
        made.append(new_id("job"))
    assert made == sorted(made)
