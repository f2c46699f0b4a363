"""What is logged of one score, whatever the tracker: metrics, curve by kept concepts, parameters, tags and files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from iis_engine.display.curves import retention_svg
from iis_engine.display.reports import report_html

CURVE_STEP = "iis_curve/kept"
_ENDS = ("", "_low", "_high")
_REPORT_METRICS = {
    "iis": "iis",
    "iis_log": "iis_log",
    "iis_chance_corrected": "iis_chance_corrected",
    "iis_few_concepts": "few_concepts_mean",
}
_CONTROL_METRICS = ("iis", "gain", "headroom_gain", "few_mean", "few_gain")
_CURVE_METRICS = ("sparsity", "accuracy", "arr", "arr_low", "arr_high")
_COUNTS = ("protocol", "edition", "quantity", "train_count", "test_count", "dimension")


@dataclass(frozen=True)
class RunRecord:
    """One score as an experiment tracker keeps it. Every key begins with `iis`, so that a run's own keys stay as they are.

    Attributes
    ----------
    metrics : numbers of the report with both ends of their 95 % intervals; withheld ones are absent
    curve : a row for each number of kept concepts, ascending, with retention and accuracy of the library and retention of both controls
    parameters : configuration of the score, nested keys joined by dots
    tags : code and sentence of the verdict, and the job of a service
    files : text of the artifacts by file name
    """

    metrics: dict[str, float]
    curve: list[dict[str, float]]
    parameters: dict[str, str | int | float | bool]
    tags: dict[str, str]
    files: dict[str, str]


def run_record(score: Mapping[str, Any]) -> RunRecord:
    """The record of one score.

    Parameters
    ----------
    score : dictionary of a report, or one with the key `report`: a result of the service, an interpretation of the engine
    """
    report: Mapping[str, Any] = score.get("report", score)
    verdict = report.get("verdict") or {}
    tags = {"iis.verdict": verdict.get("code"), "iis.verdict_sentence": verdict.get("sentence"), "iis.job": score.get("job")}
    return RunRecord(
        metrics=dict(_metrics(report)),
        curve=_curve(report),
        parameters=dict(_parameters(report)),
        tags={name: str(value) for name, value in tags.items() if value},
        files={
            "iis/report.json": json.dumps(report, indent=2),
            "iis/report.html": f'<!doctype html>\n<meta charset="utf-8">\n<title>IIS</title>\n{report_html(report)}\n',
            "iis/arr.svg": retention_svg(report),
        },
    )


def _metrics(report: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    quantity = report.get("quantity", "accuracy")
    named = [(key, report, name) for key, name in _REPORT_METRICS.items()]
    named.append((f"iis_{quantity}_representation", report, "accuracy_representation"))
    for control, values in (report.get("controls") or {}).items():
        named += [(f"iis_{control}/{name}", values or {}, name) for name in _CONTROL_METRICS]
    for key, values, name in named:
        for end in _ENDS:
            if (value := values.get(f"{name}{end}")) is not None:
                yield f"{key}{end}", float(value)
    if report.get("chance") is not None:
        yield "iis_chance", float(report["chance"])


def _curve(report: Mapping[str, Any]) -> list[dict[str, float]]:
    rows: dict[int, dict[str, float]] = {}
    for point in report["points"]:
        values = {f"iis_curve/{name}": float(point[name]) for name in _CURVE_METRICS if point.get(name) is not None}
        rows[int(point["kept"])] = {CURVE_STEP: float(point["kept"]), **values}
    for control, values in (report.get("controls") or {}).items():
        for point in (values or {}).get("points", ()):
            if (row := rows.get(int(point["kept"]))) is not None:
                row[f"iis_curve/arr_{control}"] = float(point["arr"])
    return [rows[kept] for kept in sorted(rows)]


def _parameters(report: Mapping[str, Any]) -> Iterator[tuple[str, str | int | float | bool]]:
    kept = {name: report[name] for name in _COUNTS if name in report}
    library = {name: value for name, value in report["library"].items() if name not in ("text", "names")}  # findings, not settings
    yield from _flat("iis", {**kept, "classes": len(report.get("class_names", ())), "library": library})
    yield from _flat("iis.configuration", report.get("configuration") or {})


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str | int | float | bool]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{prefix}.{name}", inner)
    elif isinstance(value, (str, int, float, bool)):
        yield prefix, value
    elif value is not None:
        yield prefix, json.dumps(value)
