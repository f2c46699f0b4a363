"""Job counts of a study as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iis_schemas.studies.views import JobCounts


def progress_summary(jobs: JobCounts) -> str:
    """Job counts of a study: `5 of 16 succeeded, 2 running, 1 failed`."""
    return ", ".join([f"{jobs.succeeded} of {jobs.total} succeeded", *other_states(jobs)])


def other_states(jobs: JobCounts) -> Iterator[str]:
    """Counts above 0 of the states other than queued and succeeded."""
    for state in ("running", "canceling", "failed", "canceled"):
        if count := getattr(jobs, state):
            yield f"{count} {state}"
