"""Tables and sentences of the result of a score job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from iis_client.cli.output.concepts import format_counts
from iis_client.cli.output.numbers import format_interval, format_score

if TYPE_CHECKING:
    from iis_schemas.jobs.views import ScoreJobView
    from iis_schemas.results.reports import Report
    from iis_schemas.results.results import ResultView


def report_view(job: ScoreJobView, result: ResultView) -> Iterator[RenderableType]:
    """Scores of a report, its vocabulary, its curve and its warnings."""
    report = result.report
    library = report.library
    table = Table("", "value", "95 % interval", title=f"{library.kind}, {library.concept_count} concepts, protocol {report.protocol}")
    for row in _score_rows(report):
        table.add_row(*row)
    yield table
    yield from _vocabulary_lines(job, report)
    yield _curve_table(report)
    for warning in report.warnings:
        yield Text(f"Warning: {warning}", style="yellow")
    if job.protocol == "exact":  # protocol reference stores no heads to explain with
        yield f"Explain the prediction for a test image with: iis explain {job.id} 0"


def _score_rows(report: Report) -> Iterator[tuple[str, str, str]]:
    accuracy_interval = format_interval(report.accuracy_representation_low, report.accuracy_representation_high)
    yield "Accuracy of the representation", f"{report.accuracy_representation:.3f}", accuracy_interval
    yield "IIS", format_score(report.iis), format_interval(report.iis_low, report.iis_high)
    yield "IIS of random directions", format_score(report.iis_random_mean), ""
    yield "Standard deviation of the same", format_score(report.iis_random_sd), ""
    gain_interval = format_interval(report.concept_gain_low, report.concept_gain_high, "+.3f")
    yield "Concept gain", format_score(report.concept_gain, "+.3f"), gain_interval
    yield "IIS, chance-corrected", format_score(report.iis_chance_corrected), ""
    yield "IIS over log k", format_score(report.iis_log), ""

    text, names, elements = report.library.text, report.library.names, report.library.elements
    if elements is not None:
        yield "Visual elements", elements.in_words, ""
    if text is not None:
        yield "Phrases kept", f"{text.kept} of {text.candidates}", ""
        yield "Mean similarity on held-out images", format_score(text.similarity_mean), ""
        if text.zero_shot_accuracy is not None:
            zero_shot_interval = format_interval(text.zero_shot_low, text.zero_shot_high)
            yield "Zero-shot accuracy of the VLM", format_score(text.zero_shot_accuracy), zero_shot_interval
    if names is not None:
        yield "Named concepts", f"{names.named} of {names.named + names.unnamed}", ""


def _vocabulary_lines(job: ScoreJobView, report: Report) -> Iterator[str]:
    """Vocabulary of a text library, and counts of its excluded phrases."""
    vocabulary, text = job.vocabulary, report.library.text
    if vocabulary is not None:
        yield f"Vocabulary: {vocabulary.id}, version {vocabulary.version}."
    if text is not None and text.dropped:
        yield f"Excluded phrases: {format_counts(text.dropped)}. List them with: iis concepts {job.id} --dropped"


def _curve_table(report: Report) -> Table:
    columns = ("sparsity", "concepts kept", "accuracy", "ARR", "95 % interval", "ARR, random directions")
    table = Table(*columns, title="Accuracy retention")
    random_arr = {point.kept: f"{point.arr:.3f}" for point in report.random_points}
    for point in report.points:
        interval = format_interval(point.arr_low, point.arr_high)
        arr = f"{point.arr:.3f}", interval, random_arr.get(point.kept, "")
        table.add_row(f"{point.sparsity:.3f}", str(point.kept), f"{point.accuracy:.3f}", *arr)
    return table
