"""Tables and sentences of the statistics of a study."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.numbers import format_interval
from iis_schemas.names import quantity_words

if TYPE_CHECKING:
    from iis_schemas.studies.analyses import AgreementView, AnalysisView
    from iis_schemas.studies.relations import (
        CorrelationView,
        EvolutionPoint,
        EvolutionView,
        LeftOutModel,
        LibrarySetting,
        RelationView,
        SettingView,
    )

MAX_EXCLUDED_LISTED = 5


def analysis_view(analysis: AnalysisView) -> Iterator[RenderableType]:
    """Evolution and correlation tables, then one sentence per comparison, then the warnings."""
    if analysis.evolution:
        yield from _evolution_tables(analysis.evolution)
    if analysis.relation:
        yield _correlation_table(analysis.relation)
        for relation in analysis.relation:
            for accuracy in (relation.accuracy, relation.given_accuracy):
                if accuracy is not None:
                    yield from (f"{_library_label(relation)}: {sentence}" for sentence in accuracy.sentences)
            for line in _excluded_lines(relation.left_out):
                yield f"{_library_label(relation)}: {line}"
    for run in analysis.evolution:
        yield f"{_library_label(run)}: {run.sentence}"
    for untrained in analysis.untrained:
        yield f"{_library_label(untrained)}, trained against untrained: {untrained.sentence}"
    for transfer in analysis.transfer:
        yield f"{_library_label(transfer)}, library of the same data set against library of another: {transfer.sentence}"
    for agreement in analysis.agreement:
        yield from _agreement_lines(agreement)
    for warning in analysis.warnings:
        yield Text(f"Warning: {warning}", style="yellow")


def _correlation_table(relations: Sequence[RelationView]) -> Table:
    headers = ("data set, library", "models", "IIS", "matched directions", "IIS given these", "few-concept gain", "gain in IIS")
    quantity = quantity_words(*(relation.quantity for relation in relations))
    table = Table(*headers, title=f"Spearman's rho with {quantity}; gains are over matched directions")
    for relation in relations:
        accuracy = relation.accuracy
        beside = accuracy.controls.matched, accuracy.partial.matched, accuracy.gains.few_gain_matched, accuracy.gains.gain_matched
        correlations = [_correlation(each) for each in (accuracy.spearman, *beside)]
        table.add_row(Text(_library_label(relation)), str(relation.n), *correlations)
    return table


def _excluded_lines(excluded: Sequence[LeftOutModel]) -> Iterator[str]:
    """The models excluded from a correlation, the first few with the reason."""
    for model in excluded[:MAX_EXCLUDED_LISTED]:
        yield f"{model.label} is excluded: {model.reason[0].lower()}{model.reason[1:]}"
    if len(excluded) > MAX_EXCLUDED_LISTED:
        yield f"{len(excluded) - MAX_EXCLUDED_LISTED} more are excluded."


def _evolution_tables(runs: Sequence[EvolutionView]) -> Iterator[Table]:
    """One table per data set, edition and quantity, one row per checkpoint: epoch or position, accuracy, IIS by library."""
    for shown in dict.fromkeys((run.dataset_name, run.edition, run.quantity) for run in runs):
        dataset_runs = [run for run in runs if (run.dataset_name, run.edition, run.quantity) == shown]
        dataset, edition, quantity = shown
        libraries = [f"{run.library}, M = {run.concept_count}{_origin(run)}" for run in dataset_runs]
        order = "epoch" if dataset_runs[0].epochs_given else "position"
        columns = (order, "checkpoint", quantity_words(quantity), *(Column(Text(f"IIS, {library}")) for library in libraries))
        table = Table(*columns, title=Text(f"Evolution on {dataset}, edition {edition}"))
        by_epoch = [{point.epoch: point for point in run.points} for run in dataset_runs]
        for epoch in dict.fromkeys(epoch for points in by_epoch for epoch in points):
            at_epoch = [points.get(epoch) for points in by_epoch]
            first = next(point for point in at_epoch if point is not None)
            cells = ["" if point is None else _point_iis(point) for point in at_epoch]
            table.add_row(f"{epoch:g}", Text(first.label), f"{first.accuracy.value:.3f}", *cells)
        yield table


def _agreement_lines(agreement: AgreementView) -> Iterator[str]:
    label = f"{agreement.dataset_name}, M = {agreement.concept_count}{_origin(agreement)}, edition {agreement.edition}"
    for pair in agreement.pairs:
        if pair.spearman.value is None:
            yield f"{label}: {pair.a} and {pair.b} cannot be compared: {pair.spearman.reason}"
        else:
            yield f"{label}: {pair.a} and {pair.b} agree on the order of {pair.n} models with rho {_correlation(pair.spearman)}."


def _library_label(setting: LibrarySetting) -> str:
    """Data set, library, M and edition of one section of an analysis."""
    return f"{setting.dataset_name}, {setting.library}, M = {setting.concept_count}{_origin(setting)}, edition {setting.edition}"


def _origin(setting: SettingView) -> str:
    return f", library from {setting.library_dataset_name}" if setting.library_dataset_name else ""


def _point_iis(point: EvolutionPoint) -> str:
    if point.near_chance:
        return "near chance"
    return "" if point.iis is None else f"{point.iis.value:.3f} ± {(point.iis.high - point.iis.low) / 2:.3f}"


def _correlation(correlation: CorrelationView) -> str:
    if correlation.value is None:
        return "undefined"
    interval = format_interval(correlation.low, correlation.high, ".2f")
    return f"{correlation.value:.2f}" + (f" ({interval})" if interval else "")
