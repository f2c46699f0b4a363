"""How keys and quotas look in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Column, Table

from iis_client.cli.output.listing import Heading, Listing, minute
from iis_client.types.api_keys import ApiKey, Quotas


def key_table(keys: Sequence[ApiKey]) -> Listing:
    """A row for each key, and a line for each old secret that still works."""
    headings = (Heading("key"), Heading("name", folds=True), Heading("state"), Heading("may"), Heading("ends in"), Heading("last used"))
    rows = [
        (key["id"], key["name"], _state(key), " ".join(key["scopes"]), key["hint"], minute(key["last_used_at"]) or "never") for key in keys
    ]
    old = [
        f"{key['id']} also opens with its old secret, …{one['hint']} until {minute(one['expires_at'])}."
        for key in keys
        if key["revoked_at"] is None
        for one in key["retired_secrets"]
    ]
    return Listing("", headings, rows, old)


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
    until = minute(key["expires_at"])
    yield f"This key, {key['id']}, may {', '.join(key['scopes'])}" + (f" until {until}." if until else ".")


def _state(key: ApiKey) -> str:
    if key["revoked_at"] is not None:
        return f"revoked {minute(key['revoked_at'])}"
    return f"until {minute(key['expires_at'])}" if key["expires_at"] else "for ever"
