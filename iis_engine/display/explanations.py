"""Show an explanation: both predictions, contributions of concepts as bars, the smallest change that alters the prediction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from iis_engine.display.markup import PLAIN_TABLE, QUIET, card, element, paragraph, text

SUPPORTING_COLOUR, OPPOSING_COLOUR = "#b5482a", "#1f5fa8"
BAR_PIXELS = 180


def explanation_html(explanation: Mapping[str, Any], pictures: str = "") -> str:
    """An explanation for a notebook.

    Parameters
    ----------
    explanation : dictionary of the explanation
    pictures : HTML of the image and its heat maps, above the contributions
    """
    explained, contrast = explanation["explained"]["class"], explanation["contrast"]
    question = f"Why {explained}" + (f" rather than {contrast['class']}?" if contrast else "?")
    heads = "; ".join(
        f"{title}: {explanation[key]['class']} ({explanation[key]['probability']:.1%})"
        for title, key in (
            ("whole representation", "representation"),
            (f"{explanation['kept']} of {explanation['concept_count']} concepts", "interpretation"),
        )
    )
    entries = [*explanation["supporting"], *explanation["opposing"]]
    largest = max((abs(entry["contribution"]) for entry in entries), default=1.0) or 1.0
    rows = "".join(_bar(entry, largest) for entry in sorted(entries, key=lambda entry: -entry["contribution"]))
    sums = f"all others {explanation['remainder']:+.2f}, bias {explanation['bias']:+.2f}, logit {explanation['logit']:+.2f}"
    return card(
        element("b", text(question)),
        paragraph(heads),
        pictures,
        element("table", rows, style=PLAIN_TABLE),
        paragraph(sums, QUIET),
        paragraph(_counterfactual(explanation), QUIET),
    )


def contribution_rows(explanation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The listed concepts as rows: number, name, library, activation, contribution; largest contribution first."""
    names = ("concept", "label", "origin", "activation", "contribution")
    entries = sorted((*explanation["supporting"], *explanation["opposing"]), key=lambda entry: -entry["contribution"])
    return [{name: entry[name] for name in names} for entry in entries]


def concept_title(concept: Mapping[str, Any]) -> str:
    """The name of a concept, or its library and number, such as `cluster 7`."""
    return str(concept.get("label") or f"{concept['origin']} {concept['concept']}")


def _bar(entry: Mapping[str, Any], largest: float) -> str:
    value = entry["contribution"]
    colour = SUPPORTING_COLOUR if value > 0 else OPPOSING_COLOUR
    width = max(1, round(BAR_PIXELS * abs(value) / largest))
    bar = element("div", style=f"background: {colour}; height: 11px; width: {width}px; display: inline-block")
    cell = "padding: 0 .6em 0 0; text-align: left; border: 0"
    return element(
        "tr",
        element("td", text(concept_title(entry)), style=cell),
        element("td", text(f"{value:+.2f}"), style=cell),
        element("td", bar, style=cell),
    )


def _counterfactual(explanation: Mapping[str, Any]) -> str:
    found, explained = explanation["counterfactual"], explanation["explained"]["class"]
    is_label = explanation.get("labels") is not None
    if found is None and is_label:
        return (
            f"The probability of {explained} stays {'above' if explanation['logit'] >= 0 else 'below'} 1/2 after any removal of concepts."
        )
    if found is None:
        return "No removal of concepts changes the prediction."
    count = len(found["removed"])
    removed = f"{count} {'concept' if count == 1 else 'concepts'}"
    if is_label:  # against its absence, the other class
        change, probability = (
            ("rises above", found["probability"]) if found["class"] == explained else ("falls below", 1 - found["probability"])
        )
        return f"Without {removed} the probability of {explained} {change} 1/2 ({probability:.1%})."
    return f"Without {removed} it would be {found['class']} ({found['probability']:.1%})."
