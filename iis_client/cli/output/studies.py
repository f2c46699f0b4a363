"""Tables and sentences of studies: list, estimated cost, failed jobs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from iis_client.cli.output.job_counts import progress_summary
from iis_client.cli.output.listing import Heading, Listing, minute

if TYPE_CHECKING:
    from iis_schemas.studies.estimates import EstimateView
    from iis_schemas.studies.views import CellView, StudyView

MAX_FAILURES_LISTED = 5
SHOW_MINUTES_FROM_SECONDS = 120
SHOW_HOURS_FROM_MINUTES = 120


def study_table(studies: Sequence[StudyView]) -> Listing:
    """One row per study."""
    names = ("study", "state", "name", "created", "jobs", "models", "data sets", "libraries")
    headings = [Heading(name, wraps=name in ("name", "jobs")) for name in names]
    rows: list[tuple[str, ...]] = []
    for study in studies:
        grid = study.grid
        sizes = [str(len(items)) for items in (grid.models or grid.datasets, grid.datasets, grid.libraries)]
        rows.append((study.id, study.state, study.name, minute(study.created_at), progress_summary(study.jobs), *sizes))
    return Listing("Studies", headings, rows)


def estimate_lines(estimate: EstimateView, upload_bytes: int) -> Iterator[str]:
    """Estimated cost of a study."""
    yield f"Jobs: {estimate.jobs:,}, of which {estimate.reused:,} exist already."
    yield f"Images and crops to process: {_count(estimate.images)}."
    yield f"Bytes to upload: {upload_bytes:,}. Bytes of features to store: {_count(estimate.bytes)}."
    yield f"Time: {_duration(estimate.seconds)}. {estimate.basis}"


def failure_lines(study: str, failed: Sequence[CellView]) -> Iterator[str]:
    """The jobs without a result, the first few with their errors."""
    yield f"{len(failed)} jobs of the study have no result; run them again with: iis study extend {study}"
    for cell in failed[:MAX_FAILURES_LISTED]:
        reason = cell.error.message if cell.error is not None else f"The job was {cell.state}."
        yield f"  {cell.label}, {cell.dataset_name}, {cell.library} {cell.concept_count}, seed {cell.seed}: {reason}"
    if len(failed) > MAX_FAILURES_LISTED:
        yield f"  and {len(failed) - MAX_FAILURES_LISTED} more"


def _count(value: int | None) -> str:
    return "unknown" if value is None else f"{value:,}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "unknown"
    if seconds < SHOW_MINUTES_FROM_SECONDS:
        return f"{seconds:.0f} seconds"
    minutes = seconds / 60
    return f"{minutes:.0f} minutes" if minutes < SHOW_HOURS_FROM_MINUTES else f"{minutes / 60:.1f} hours"
