"""Register the demo's inputs, score its networks over REST, and show the numbers. Calls only the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table

from iis_client.cli.output.jobs import VERDICT_WORDS
from iis_client.cli.output.numbers import format_score
from iis_client.client import IISClient
from iis_schemas.results.reports import ControlView, Report

if TYPE_CHECKING:
    from demo.inputs import Network

LIBRARY = {"kind": "cluster", "concept_count": 50}


@dataclass(frozen=True)
class Scored:
    """One row of the table."""

    network: Network
    report: Report
    job: str


def score_all(client: IISClient, datasets: Mapping[str, Path], networks: Iterable[Network], say: Callable[[str], None]) -> list[Scored]:
    """Upload data sets by name and each network as it comes, submit its scores, and collect the results."""
    registered = {name: client.create_dataset(folder, name=name) for name, folder in datasets.items()}
    submitted: list[tuple[Network, str]] = []
    for network in networks:
        model = client.create_model(
            network.architecture,
            checkpoint=network.checkpoint,
            name=network.name,
            arguments=network.arguments,
            preprocessing=network.preprocessing,
        )
        dataset, ready = client.wait_until_ready(registered[network.dataset]), client.wait_until_ready(model)
        job = client.score(ready, dataset, LIBRARY, name=network.name)
        submitted.append((network, job.id))
        say(f"Submitted a score: {network.name}.")
    scored: list[Scored] = []
    for network, job in submitted:
        client.wait(job)
        say(f"Scored: {network.name}.")
        scored.append(Scored(network, client.result(job).report, job))
    return scored


def best_of(scored: list[Scored]) -> Scored:
    """The score with the largest gain over matched directions at few concepts."""

    def gain(one: Scored) -> float:
        matched = one.report.controls.matched
        return float("-inf") if matched is None or matched.few_gain is None else matched.few_gain

    return max(scored, key=gain)


def score_table(scored: list[Scored]) -> Table:
    """Accuracy at few concepts, its gains over both controls, IIS and the verdict, one row per score."""
    columns = ("network", "accuracy", "few", "matched", "any", "IIS", "verdict")
    table = Table(*columns, title="Accuracy with 5 to 30 concepts, its gains over matched and any directions, and IIS")
    for one in scored:
        report = one.report
        table.add_row(
            one.network.name,
            f"{report.accuracy_representation:.3f}",
            format_score(report.few_concepts_mean),
            _few_gain(report.controls.matched),
            _few_gain(report.controls.isotropic),
            _with_half_width(report),
            "none" if report.verdict is None else VERDICT_WORDS[report.verdict.code],
        )
    return table


def _few_gain(control: ControlView | None) -> str:
    return "none" if control is None else format_score(control.few_gain, "+.3f")


def _with_half_width(report: Report) -> str:
    low, high = report.iis_low, report.iis_high
    return format_score(report.iis) + ("" if low is None or high is None else f" ± {(high - low) / 2:.3f}")
