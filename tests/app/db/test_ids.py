"""Row ids: prefix and order by time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from app.db.ids import PREFIXES, first_id_at, new_id


@pytest.mark.parametrize(("kind", "prefix"), PREFIXES.items())
def test_an_id_is_a_prefix_and_26_characters(kind: str, prefix: str) -> None:
    assert re.fullmatch(rf"{prefix}_[0-9a-hjkmnp-tv-z]{{26}}", new_id(kind))


def test_ids_sort_by_creation_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for milliseconds in (1, 31, 32, 1_700_000_000_000, 1_700_000_000_001):
        monkeypatch.setattr("app.db.ids.time.time_ns", lambda now=milliseconds: now * 1_000_000)
        made.append(new_id("job"))
    assert made == sorted(made)


def test_ids_sort_around_the_first_id_of_a_moment() -> None:
    now = datetime.now(UTC)
    made = new_id("job")
    assert first_id_at("job", now - timedelta(milliseconds=1)) < made < first_id_at("job", now + timedelta(minutes=1))
    assert len(first_id_at("job", now)) == len(made)
