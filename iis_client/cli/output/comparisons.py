"""Table of several scores, and the settings in which their jobs differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType

from iis_client.cli.output.fields import flat_fields
from iis_client.cli.output.jobs import VERDICT_WORDS
from iis_client.cli.output.listing import Heading, Listing, short_ids
from iis_client.cli.output.numbers import format_interval
from iis_schemas.names import quantity_words

if TYPE_CHECKING:
    from iis_schemas.jobs.views import ScoreJobView

NUMBERS = (
    ("IIS", "iis", ".3f"),
    ("gain over matched", "gain_matched", "+.3f"),
    ("gain over any", "gain_isotropic", "+.3f"),
    ("few concepts", "few_concepts_mean", ".3f"),
)
SETTINGS = (
    "model_name",
    "dataset_name",
    "library",
    "library_dataset",
    "vlm",
    "vocabulary",
    "elements",
    "protocol",
    "activations",
    "seed",
)


def comparison_view(jobs: Sequence[ScoreJobView]) -> Iterator[RenderableType]:
    """One column per job: its numbers with their intervals, its verdict, and the settings that differ."""
    ids = short_ids([job.id for job in jobs])
    headings = [Heading(""), *(Heading(ids[job.id], wraps=True) for job in jobs)]
    quantities = {job.summary.quantity for job in jobs if job.summary is not None}
    rows = [("name", *(job.name or job.model_name or "features" for job in jobs)), ("verdict", *(_verdict(job) for job in jobs))]
    rows += [(title, *(_number(job, field, form) for job in jobs)) for title, field, form in NUMBERS]
    rows += [(quantity_words(each), *(_accuracy(job, each) for job in jobs)) for each in sorted(quantities)]
    rows += differing_settings(jobs)
    editions = {job.summary.edition for job in jobs if job.summary is not None}
    notes = ["The scores are of different editions and cannot be compared number by number."] if len(editions) > 1 else []
    if len(quantities) > 1:
        notes.append("The scores retain different quantities and cannot be compared number by number.")
    yield Listing("", headings, rows, notes, lines=False)


def differing_settings(jobs: Sequence[ScoreJobView]) -> list[tuple[str, ...]]:
    """Rows of the settings that are not the same in all jobs."""
    settings = [flat_fields(job.model_dump(mode="json", include=set(SETTINGS))) for job in jobs]
    names = dict.fromkeys(name for each in settings for name in each)
    values = [(name, *(each.get(name, "") for each in settings)) for name in names]
    return [row for row in values if len(set(row[1:])) > 1]


def _verdict(job: ScoreJobView) -> str:
    return "" if job.summary is None or job.summary.verdict is None else VERDICT_WORDS[job.summary.verdict]


def _accuracy(job: ScoreJobView, quantity: str) -> str:
    """The representation's accuracy, or what is in its place; "–" for a job of another quantity."""
    return _number(job, "accuracy", ".3f") if job.summary is not None and job.summary.quantity == quantity else "–"


def _number(job: ScoreJobView, field: str, form: str) -> str:
    value = getattr(job.summary, field)
    if value is None:
        return "–"
    interval = format_interval(getattr(job.summary, f"{field}_low"), getattr(job.summary, f"{field}_high"), form)
    return f"{value:{form}}" + (f" ({interval})" if interval else "")
