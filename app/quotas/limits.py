"""Limits of an owner: the defaults of the service, or the owner's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Self

from app.settings import Settings


@dataclass(frozen=True)
class Quotas:
    """Limits of one owner; None where there is none."""

    stored_bytes: int | None
    open_uploads: int | None
    unfinished_jobs: int | None
    jobs_per_day: int | None
    pending_validations: int | None

    @classmethod
    def of(cls, settings: Settings, overrides: Mapping[str, int | None]) -> Self:
        """The defaults of the service, replaced by the owner's own limits; 0 means no limit.

        Parameters
        ----------
        overrides : by name of the quota; null where the owner has none of its own
        """
        own = {name: overrides.get(name) for name in NAMES}
        chosen = {name: getattr(settings, f"quota_{name}") if limit is None else limit for name, limit in own.items()}
        return cls(**{name: limit or None for name, limit in chosen.items()})


NAMES = tuple(field.name for field in fields(Quotas))
