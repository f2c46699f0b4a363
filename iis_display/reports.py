"""Show the report of a score: verdict, headline numbers with both controls, curve, notes; its points as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iis_display.curves import retention_svg
from iis_display.markup import QUIET, bullets, card, element, paragraph, table, text

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
    report : dictionary of the report
    gallery : HTML of the concepts, below the curve
    """
    verdict = report["verdict"]
    mark, colour, background = _MARKS.get(verdict["code"], _UNDECIDED)
    banner = element(
        "p",
        element("b", text(mark), aria_hidden="true"),
        text(f" {verdict['sentence']}"),
        style=f"margin: 0 0 .5em; padding: .5em .7em; border-left: 4px solid {colour}; background: {background}; color: {colour}",
    )
    library = report["library"]
    facts = (
        f"{library['kind']} library of {library['concept_count']} concepts, {report['protocol']} protocol, edition {report['edition']}; "
        f"{report['train_count']} training and {report['test_count']} test images of {len(report['class_names'])} classes; "
        f"accuracy of the representation {report['accuracy_representation']:.3f}, chance {report['chance']:.3f}"
    )
    return card(
        banner,
        table(("", "IIS", "accuracy at 5 to 30 concepts"), _headlines(report)),
        retention_svg(report),
        gallery,
        paragraph(facts, QUIET),
        bullets("What to try", verdict["next"]),
        bullets("Warnings", report["warnings"]),
        bullets("Notes", report["notes"]),
    )


def curve_rows(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every point of the library's curve and of both controls, as rows with the column `curve`."""
    curves = {"library": report["points"], **{name: control["points"] for name, control in report["controls"].items()}}
    return [{"curve": name, **point} for name, points in curves.items() for point in points]


def summary_line(report: Mapping[str, Any]) -> str:
    """One line for terminals: IIS and verdict."""
    return f"IIS {_number(report['iis'])} ({report['library']['kind']}): {report['verdict']['sentence']}"


def _headlines(report: Mapping[str, Any]) -> list[list[str]]:
    few = ("few_concepts_mean", "few_concepts_mean_low", "few_concepts_mean_high")
    rows = [["concepts", _interval(report, "iis", "iis_low", "iis_high"), _interval(report, *few)]]
    for name, label in (("matched", "matched directions"), ("isotropic", "any directions")):
        control = report["controls"][name]
        few = ("few_mean", "few_mean_low", "few_mean_high")
        rows.append([label, _interval(control, "iis", "iis_low", "iis_high"), _interval(control, *few)])
    return rows


def _interval(values: Mapping[str, Any], value: str, low: str, high: str) -> str:
    if values[value] is None:
        return "withheld"
    if values[low] is None or values[high] is None:
        return _number(values[value])
    return f"{values[value]:.3f} [{values[low]:.3f}, {values[high]:.3f}]"


def _number(value: float | None) -> str:
    return "withheld" if value is None else f"{value:.3f}"
