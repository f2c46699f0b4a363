"""Show the report of a score: verdict, headline numbers with both controls, curve, notes; its points as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iis_engine.display.curves import retention_svg
from iis_engine.display.markup import QUIET, bullets, card, element, paragraph, table, text

_MARKS = {
    "reads_through_concepts": ("✔", "#1a6b36", "#e5f4ea"),
    "worse_than_any": ("✘", "#9c2a1c", "#fbeae7"),
    "no_better_than_matched": ("✘", "#9c2a1c", "#fbeae7"),
}
_UNDECIDED = ("?", "#7a5200", "#fdf3dc")


def report_html(report: Mapping[str, Any], gallery: str = "") -> str:
    """A report for a notebook.

    Parameters
    ----------
    report : dictionary of the report; stored ones of earlier releases lack the verdict or a control
    gallery : HTML of the concepts, below the curve
    """
    verdict = report.get("verdict") or {}
    library, quantity = report["library"], quantity_in_words(report)
    facts = (
        f"{library['kind']} library of {library['concept_count']} concepts, {report['protocol']} protocol; "
        f"{quantity} of the representation {report['accuracy_representation']:.3f}"
    )
    if "test_count" in report:
        classes = len(report["class_names"])
        facts += (
            f", chance {report['chance']:.3f}; {report['train_count']} training and {report['test_count']} test images of {classes} classes"
        )
    return card(
        _banner(verdict),
        table(("", "IIS", f"{quantity} at 5 to 30 concepts"), _headlines(report)),
        retention_svg(report),
        gallery,
        paragraph(facts, QUIET),
        bullets("What to try", verdict.get("next", ())),
        bullets("Warnings", report.get("warnings", ())),
        bullets("Notes", report.get("notes", ())),
    )


def quantity_in_words(report: Mapping[str, Any]) -> str:
    """What is retained: accuracy, or mean average precision of multi-label data."""
    return str(report.get("quantity", "accuracy")).replace("_", " ")


def curve_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every point of the library's curve and of both controls, as rows with the column `curve`."""
    controls = report.get("controls") or {}
    curves = {"library": report["points"], **{name: control.get("points", ()) for name, control in controls.items() if control}}
    return [{"curve": name, **point} for name, points in curves.items() for point in points]


def summary_line(report: Mapping[str, Any]) -> str:
    """One line for terminals: IIS and verdict."""
    verdict = (report.get("verdict") or {}).get("sentence", "the verdict is missing in this stored report.")
    return f"IIS {_number(report['iis'])} ({report['library']['kind']}): {verdict}"


def _banner(verdict: Mapping[str, Any]) -> str:
    if not verdict:
        return ""
    mark, colour, background = _MARKS.get(verdict["code"], _UNDECIDED)
    style = f"margin: 0 0 .5em; padding: .5em .7em; border-left: 4px solid {colour}; background: {background}; color: {colour}"
    return element("p", element("b", text(mark), aria_hidden="true"), text(f" {verdict['sentence']}"), style=style)


def _headlines(report: Mapping[str, Any]) -> list[list[str]]:
    few = ("few_concepts_mean", "few_concepts_mean_low", "few_concepts_mean_high")
    rows = [["concepts", _interval(report, "iis", "iis_low", "iis_high"), _interval(report, *few)]]
    for name, label in (("matched", "matched directions"), ("isotropic", "any directions")):
        if not (control := (report.get("controls") or {}).get(name)):
            continue
        few = ("few_mean", "few_mean_low", "few_mean_high")
        rows.append([label, _interval(control, "iis", "iis_low", "iis_high"), _interval(control, *few)])
    return rows


def _interval(values: Mapping[str, Any], value: str, low: str, high: str) -> str:
    if values.get(low) is None or values.get(high) is None:
        return _number(values.get(value))
    return f"{values[value]:.3f} [{values[low]:.3f}, {values[high]:.3f}]"


def _number(value: float | None) -> str:
    return "withheld" if value is None else f"{value:.3f}"
