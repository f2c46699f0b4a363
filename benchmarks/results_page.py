"""The words and tables of docs/results.md, from finished cells. Nothing here computes a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

COMMAND = "OMP_WAIT_POLICY=PASSIVE python -m benchmarks.results"
READING = """\
Accuracy is that of a converged linear head on the whole representation, in per cent. IIS is the area under the curve of accuracy
kept, relative to that head, from all {M} concepts down to none, over three draws of each library; brackets hold 95 % intervals over
test images and draws. Read it beside the control: random directions keep accuracy too, so what a library adds is its gain, IIS minus
the mean IIS of five sets of random directions: above zero, the concepts carry more of the classes than chance directions; below,
less; and where its interval holds zero, no more and no less. With {M} concepts for about ten classes every IIS is close to its
ceiling; networks and libraries differ at the other end, which two columns show: `IIS log` is the mean of accuracy kept over the
logarithm of the concepts kept, `few` the mean accuracy with 5 to 30 concepts. IIS divides by accuracy, so the network with the higher
IIS need not be the more accurate one; compare networks on the same images only. Seconds are those of building and measuring one
library; features and control come once per network, in the second table. The combined library is half Prototype and half Cluster;
Random is scored as a library would be, on other draws than the control's, so its gain should hold zero."""


@dataclass(frozen=True)
class Cell:
    """One network read through one library."""

    network: str
    data: str
    library: str
    report: dict[str, Any]
    seconds: float
    machine: str


@dataclass(frozen=True)
class NetworkFacts:
    """What the cells of one network share."""

    network: str
    data: str
    dimension: int
    element_count: int
    extraction_seconds: float
    control_seconds: float


def render(cells: Sequence[Cell], facts: Sequence[NetworkFacts], missing: Sequence[tuple[str, str]], concept_count: int) -> str:
    """The whole page in Markdown."""
    parts = [
        "# Scores of real pre-trained networks",
        f"Exact protocol, M = {concept_count}, elements from a 4 x 4 grid of patches on ten training images per class. Made by",
        f"```\n{COMMAND}\n```",
        "which takes the images and weights from the folder in `IIS_SHARED_DATA`, keeps what it has finished and goes on from there; "
        "`--networks` and `--libraries` choose a part of the table.",
        READING.format(M=concept_count),
        _table(
            (
                "network",
                "images",
                "accuracy %",
                "library",
                "IIS",
                "random control",
                "gain",
                "IIS log",
                "few %",
                "seconds",
            ),
            [_row(cell) for cell in cells],
            text_columns=(0, 1, 3),
        ),
        _table(
            ("network", "images", "dimension", "elements", "seconds for features", "seconds for the control"),
            [
                (f.network, f.data, str(f.dimension), str(f.element_count), f"{f.extraction_seconds:.0f}", f"{f.control_seconds:.0f}")
                for f in facts
            ],
            text_columns=(0, 1),
        ),
        "Measured with " + "; ".join(dict.fromkeys(cell.machine for cell in cells)) + ".",
        _warnings(cells),
        _not_run(missing),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _row(cell: Cell) -> tuple[str, ...]:
    r = cell.report
    accuracy = (100 * r[name] for name in ("accuracy_representation", "accuracy_representation_low", "accuracy_representation_high"))
    few = r["few_concepts_mean"]
    return (
        cell.network,
        cell.data,
        _interval(*accuracy, form=".1f"),
        cell.library,
        _interval(r["iis"], r["iis_low"], r["iis_high"], form=".4f"),
        _shown(r["iis_random_mean"]) + (f" ± {r['iis_random_sd']:.4f}" if r["iis_random_sd"] is not None else ""),
        _interval(r["concept_gain"], r["concept_gain_low"], r["concept_gain_high"], form="+.4f"),
        _shown(r["iis_log"]),
        "" if few is None else f"{100 * few:.1f}",
        f"{cell.seconds:.0f}",
    )


def _shown(value: float | None) -> str:
    return "withheld" if value is None else f"{value:.4f}"


def _interval(value: float | None, low: float | None, high: float | None, form: str) -> str:
    if value is None or low is None or high is None:
        return "withheld"
    return f"{value:{form}} [{low:{form}}, {high:{form}}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], text_columns: Sequence[int]) -> str:
    rule = ["---" if column in text_columns else "---:" for column in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows)) if rows else ""


def _warnings(cells: Sequence[Cell]) -> str:
    lines = [f"- {cell.network}, {cell.library}: {warning}" for cell in cells for warning in cell.report["warnings"]]
    return "Warnings in these reports:\n\n" + "\n".join(lines) if lines else ""


def _not_run(missing: Sequence[tuple[str, str]]) -> str:
    by_network: dict[str, list[str]] = {}
    for network, library in missing:
        by_network.setdefault(network, []).append(library)
    if not by_network:
        return ""
    lines = [f"- {network}: {', '.join(libraries)}" for network, libraries in by_network.items()]
    return "Not run yet, so missing above:\n\n" + "\n".join(lines)
