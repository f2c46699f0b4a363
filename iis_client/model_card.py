"""Block of a Hugging Face model card about one score: metadata of its evaluation, and a section in markdown."""

from __future__ import annotations

from typing import Any

import yaml

from iis_schemas.results.reports import Report

_TEXT_ESCAPES = {ord(character): f"\\{character}" for character in "\\`*_{}[]<>#|"}


def model_card(report: Report, *, model: str, dataset: str, job: str) -> str:
    """The metadata (`model-index`) between lines of `---`, and a section with verdict, scores, controls and settings.

    Parameters
    ----------
    model, dataset : their names
    job : id of the job
    """
    metadata = {"tags": ["interpretability"], "model-index": [{"name": model, "results": [_evaluation(report, dataset)]}]}
    front = yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n{_section(report, dataset, job)}"


def _evaluation(report: Report, dataset: str) -> dict[str, Any]:
    """One result of the `model-index` format; a score that was withheld is left out."""
    quantity, name = report.quantity, report.quantity_in_words
    values = (
        ("iis", "Inherent Interpretability Score", report.iis),
        (f"{quantity}_at_few_concepts", f"Mean {name.removeprefix('mean ')} at 5 to 30 concepts per image", report.few_concepts_mean),
        ("gain_over_matched_directions", f"Gain in that {name} over directions of the same statistics", _few_gain(report)),
        (quantity, f"{name.capitalize()} of a linear head on the representation", report.accuracy_representation),
    )
    metrics = [{"type": kind, "name": name, "value": round(value, 4)} for kind, name, value in values if value is not None]
    return {
        "task": {"type": "image-classification"},
        "dataset": {"type": dataset, "name": dataset, "config": f"{report.library.kind}, {report.library.concept_count} concepts"},
        "metrics": metrics,
    }


def _section(report: Report, dataset: str, job: str) -> str:
    controls = report.controls
    rows = [("concepts", report.iis, report.iis_low, report.iis_high, report.few_concepts_mean)]
    for name, control in (("matched directions", controls.matched), ("any directions", controls.isotropic)):
        if control is not None:
            rows.append((name, control.iis, control.iis_low, control.iis_high, control.few_mean))
    lines = ["## Inherent interpretability", ""]
    if report.verdict is not None:
        lines += [_escaped(report.verdict.sentence), ""]
    lines += [f"| | IIS (95 % interval) | {report.quantity_in_words} at 5 to 30 concepts |", "| --- | --- | --- |"]
    lines += [f"| {name} | {_interval(value, low, high)} | {_number(few)} |" for name, value, low, high, few in rows]
    lines += [
        "",
        f"Data set {_escaped(dataset)}; {report.library.kind} library of {report.library.concept_count} concepts; "
        f"{report.protocol} protocol, edition {report.edition}; {report.quantity_in_words} of the representation "
        f"{_number(report.accuracy_representation)}; job {_escaped(job)}.",
    ]
    lines += [f"- {_escaped(warning)}" for warning in report.warnings]
    lines += ["", "Method: Shen et al., [arXiv 2510.24105](https://arxiv.org/abs/2510.24105).", ""]
    return "\n".join(lines)


def _few_gain(report: Report) -> float | None:
    matched = report.controls.matched
    return None if matched is None else matched.few_gain


def _interval(value: float | None, low: float | None, high: float | None) -> str:
    return _number(value) if low is None or high is None else f"{_number(value)} [{low:.3f}, {high:.3f}]"


def _number(value: float | None) -> str:
    return "withheld" if value is None else f"{value:.3f}"


def _escaped(text: str) -> str:
    """Text on one line that markdown shows as it is."""
    return " ".join(text.split()).translate(_TEXT_ESCAPES)
