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
    from iis_schemas.results.reports import ControlView, Report
    from iis_schemas.results.results import ResultView


VERDICT_STYLES = {"reads_through_concepts": "green", "no_better_than_matched": "yellow", "worse_than_any": "red"}
CONTROL_TITLES = {"isotropic": "any directions", "matched": "matched directions"}


def report_view(job: ScoreJobView, result: ResultView) -> Iterator[RenderableType]:
    """The verdict, scores of a report, its vocabulary, its curve, its notes and its warnings."""
    report = result.report
    library = report.library
    if report.verdict is not None:
        yield Text(report.verdict.sentence, style=VERDICT_STYLES.get(report.verdict.code, "bold"))
        for suggestion in report.verdict.next:
            yield Text(f"Try: {suggestion}")
    for note in report.notes:
        yield Text(f"Note: {note}")
    edition = f"protocol {report.protocol}, edition {report.edition}"
    table = Table("", "value", "95 % interval", title=f"{library.kind}, {library.concept_count} concepts, {edition}")
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
    quantity = report.quantity_in_words.capitalize()
    few_interval = format_interval(report.few_concepts_mean_low, report.few_concepts_mean_high)
    yield f"{quantity} at 5 to 30 concepts, mean", format_score(report.few_concepts_mean), few_interval
    for name, control in _controls(report):
        interval = format_interval(control.few_gain_low, control.few_gain_high, "+.3f")
        yield f"  gain over {CONTROL_TITLES[name]}", format_score(control.few_gain, "+.3f"), interval
    yield "IIS", format_score(report.iis), format_interval(report.iis_low, report.iis_high)
    for name, control in _controls(report):
        yield (
            f"  gain over {CONTROL_TITLES[name]}",
            format_score(control.gain, "+.3f"),
            format_interval(control.gain_low, control.gain_high, "+.3f"),
        )
    accuracy_interval = format_interval(report.accuracy_representation_low, report.accuracy_representation_high)
    yield f"{quantity} of the representation", f"{report.accuracy_representation:.3f}", accuracy_interval
    for name, control in _controls(report):
        yield f"IIS of {CONTROL_TITLES[name]}", format_score(control.iis), format_interval(control.iis_low, control.iis_high)
    corrected = format_interval(report.iis_chance_corrected_low, report.iis_chance_corrected_high)
    yield "IIS, chance-corrected", format_score(report.iis_chance_corrected), corrected
    yield "IIS over log k", format_score(report.iis_log), format_interval(report.iis_log_low, report.iis_log_high)
    if report.balanced is not None:
        yield "Balanced accuracy of the representation", f"{report.balanced.accuracy:.3f}", ""
        yield "IIS from balanced accuracy", format_score(report.balanced.iis), ""

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
    columns = (
        "sparsity",
        "concepts kept",
        report.quantity_in_words,
        "ARR",
        "95 % interval",
        *(f"ARR, {CONTROL_TITLES[name]}" for name, _ in _controls(report)),
    )
    table = Table(*columns, title=f"{report.quantity_in_words.capitalize()} retention")
    by_control = [{point.kept: f"{point.arr:.3f}" for point in control.points} for _, control in _controls(report)]
    for point in report.points:
        interval = format_interval(point.arr_low, point.arr_high)
        of_controls = (arr.get(point.kept, "") for arr in by_control)
        table.add_row(f"{point.sparsity:.3f}", str(point.kept), f"{point.accuracy:.3f}", f"{point.arr:.3f}", interval, *of_controls)
    return table


def _controls(report: Report) -> list[tuple[str, ControlView]]:
    """The controls of a report by name; results of the first edition have one."""
    found = (("isotropic", report.controls.isotropic), ("matched", report.controls.matched))
    return [(name, control) for name, control in found if control is not None]
