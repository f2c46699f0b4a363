"""How keys and quotas look in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Column, Table

from client.key_records import ApiKey, Quotas

MINUTES = 16  # characters of a moment, to the minute


def key_table(keys: Sequence[ApiKey]) -> Table:
    """A row for each key."""
    table = Table(Column("key", no_wrap=True), "name", "ends in", "may", "last used", "state")
    for key in keys:
        table.add_row(key["id"], key["name"], key["hint"], " ".join(key["scopes"]), _moment(key["last_used_at"]) or "never", _state(key))
    return table


def quota_view(quotas: Quotas) -> Iterator[RenderableType]:
    """A row for each quota, and how fast one may ask."""
    table = Table("", Column("used", justify="right"), Column("of", justify="right"))
    for title, quota in (
        ("bytes stored", quotas["stored_bytes"]),
        ("open uploads", quotas["open_uploads"]),
        ("unfinished jobs", quotas["unfinished_jobs"]),
        ("jobs in 24 hours", quotas["jobs_per_day"]),
    ):
        table.add_row(title, f"{quota['used']:,}", "any number" if quota["limit"] is None else f"{quota['limit']:,}")
    yield table
    rate, key = quotas["requests"], quotas["key"]
    if rate["per_second"] is not None:
        yield f"A key may send {rate['per_second']:g} requests a second in the long run, and {rate['burst']} at once."
    until = _moment(key["expires_at"])
    yield f"This key, {key['id']}, may {', '.join(key['scopes'])}" + (f" until {until}." if until else ".")


def _state(key: ApiKey) -> str:
    if key["revoked_at"] is not None:
        return f"revoked {_moment(key['revoked_at'])}"
    said = [f"until {_moment(key['expires_at'])}" if key["expires_at"] else "for ever"]
    said += [f"…{one['hint']} until {_moment(one['expires_at'])}" for one in key["retired_secrets"]]
    return "; ".join(said)


def _moment(moment: str | None) -> str | None:
    return None if moment is None else moment[:MINUTES].replace("T", " ")
