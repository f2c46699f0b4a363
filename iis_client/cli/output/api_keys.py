"""Tables of API keys and quotas."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Column, Table

from iis_client.cli.output.listing import Heading, Listing, minute

if TYPE_CHECKING:
    from iis_schemas.api_keys import ApiKeyView
    from iis_schemas.quotas import QuotasView


def key_table(keys: Sequence[ApiKeyView]) -> Listing:
    """One row per key; below the table one line per replaced secret that is still valid."""
    headings = (Heading("key"), Heading("name", wraps=True), Heading("state"), Heading("scopes"), Heading("hint"), Heading("last used"))
    rows = [(key.id, key.name, _state(key), " ".join(key.scopes), key.hint, minute(key.last_used_at) or "never") for key in keys]
    notes = [
        f"The replaced secret …{one.hint} of {key.id} is valid until {minute(one.expires_at)}."
        for key in keys
        if key.revoked_at is None
        for one in key.retired_secrets
    ]
    return Listing("", headings, rows, notes)


def quota_view(quotas: QuotasView) -> Iterator[RenderableType]:
    """One row per quota, then the request rate and the scopes of the key in use."""
    table = Table("", Column("used", justify="right"), Column("limit", justify="right"))
    for title, quota in (
        ("stored bytes", quotas.stored_bytes),
        ("open uploads", quotas.open_uploads),
        ("unfinished jobs", quotas.unfinished_jobs),
        ("jobs in 24 hours", quotas.jobs_per_day),
        ("pending validations", quotas.pending_validations),
    ):
        table.add_row(title, f"{quota.used:,}", "unlimited" if quota.limit is None else f"{quota.limit:,}")
    yield table
    periods = quotas.retention
    yield (
        "Kept: "
        + "; ".join(
            f"{title} {'until you delete them' if days is None else f'{days} days'}"
            for title, days in (
                ("results", periods.results_days),
                ("failed and canceled jobs", periods.failed_jobs_days),
                ("events of finished jobs", periods.events_days),
            )
        )
        + "."
    )
    rate, key = quotas.requests, quotas.key
    if rate.per_second is not None:
        yield f"Rate limit of all your keys together: {rate.per_second:g} requests per second, in bursts of up to {rate.burst}."
    until = minute(key.expires_at)
    yield f"This key, {key.id}, has the scopes {', '.join(key.scopes)}" + (f" and expires {until}." if until else ".")


def _state(key: ApiKeyView) -> str:
    if key.revoked_at is not None:
        return f"revoked {minute(key.revoked_at)}"
    return f"valid until {minute(key.expires_at)}" if key.expires_at else "valid"
