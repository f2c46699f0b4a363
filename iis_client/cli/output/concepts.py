"""Concepts and phrases as tables for a terminal. Where they are printed is decided in iis_client.cli.output.terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.listing import Heading, Listing, minute
from iis_client.types.concepts import Concept, ConceptSet, ConceptSetVersion, DroppedConcept, DroppedPhrase
from iis_client.types.explanations import ConceptRef

UNNAMED = "unnamed"
REASON_WORDS = {
    "too_long": "too long",
    "class_name": "names a class",
    "repeated": "repeated",
    "near_class": "close to a class name",
    "near_phrase": "close to another phrase",
    "clip_cutoff": "below the clip cutoff",
    "interpretability_cutoff": "below the interpretability cutoff",
    "beyond_count": "beyond the count asked for",
}
FIGURE_WORDS = {  # in the order of the columns
    "group": "group",
    "similarity": "held-out similarity",
    "clip_top5": "mean of top 5 cosines",
    "cosine": "cosine",
    "other": "close to",
}


def concept_table(concepts: Sequence[Concept]) -> Table:
    """The concepts of a library: each phrase with how well it is seen, each name with how sure it is."""
    combined = len({concept["origin"] for concept in concepts}) > 1
    return _table("Concepts", [_concept(concept, combined) for concept in concepts])


def dropped_concept_table(dropped: Sequence[DroppedConcept]) -> Table:
    """The phrases that became no concept, with the figures behind it."""
    return _table(
        "Left out", [{"phrase": each["text"], "reason": _reason(each["reason"]), **_figures(each["details"])} for each in dropped]
    )


def dropped_phrase_table(dropped: Sequence[DroppedPhrase]) -> Table:
    """The phrases that a concept set left out, with what they are too close to."""
    return _table(
        "Left out",
        [
            {
                "phrase": each["text"],
                "reason": _reason(each["reason"]),
                "close to": each["other"] or "",
                "similarity": _shown(each["similarity"]),
            }
            for each in dropped
        ],
    )


def concept_set_table(concept_sets: Sequence[ConceptSet]) -> Listing:
    """A list of concept sets."""
    return Listing(
        "Vocabularies",
        (Heading("id"), Heading("version"), Heading("name", folds=True), Heading("covers", folds=True)),
        [
            (
                each["id"],
                str(each["latest_version"]),
                each["name"] if each["name"] != each["id"] else "",
                each["description"] or "",
            )
            for each in concept_sets
        ],
    )


def version_table(versions: Sequence[ConceptSetVersion]) -> Table:
    """The versions of a concept set; shipped ones were never made."""
    return _table(
        "Versions",
        [
            {
                "number": str(each["number"]),
                "state": each["state"],
                "phrases": str(each["phrase_count"]),
                "left out": str(each["dropped_count"]),
                "created": minute(each["created_at"]),
            }
            for each in versions
        ],
    )


def counted(reasons: Mapping[str, int]) -> str:
    """How many for which reason, most first: `12 repeated, 3 too long`."""
    return ", ".join(f"{count} {_reason(reason)}" for reason, count in Counter(reasons).most_common())


def known_as(concept: ConceptRef) -> str:
    """A concept in words, or an image that shows it where it has none."""
    if concept["label"]:
        return concept["label"]
    shown_in = next((exemplar["image"] for exemplar in concept["exemplars"] if exemplar.get("image")), None)
    return f"{UNNAMED}, as in {shown_in}" if shown_in else UNNAMED


def _concept(concept: Concept, combined: bool) -> dict[str, str]:
    row = {"": str(concept["index"]), "concept": concept["label"] or UNNAMED}
    if combined:
        row["library"] = concept["origin"]
    details = concept["details"]
    if details is None:
        return row
    if "names" not in details:
        return row | _figures(details)
    for nearest in details["names"][:1]:
        row |= {"nearest phrase": nearest["phrase"], "score": _shown(nearest["score"])}
    return row | {"margin": _shown(details["margin"])}


def _figures(details: Mapping[str, object]) -> dict[str, str]:
    known = {words: _shown(details[name]) for name, words in FIGURE_WORDS.items() if name in details}
    return known | {name: _shown(value) for name, value in details.items() if name not in FIGURE_WORDS}


def _reason(code: str) -> str:
    return REASON_WORDS.get(code, code.replace("_", " "))


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(title: str, rows: Sequence[Mapping[str, str]]) -> Table:
    """A row for each; a column for whatever any of them says, in the order it is first said."""
    headers = list(dict.fromkeys(header for row in rows for header in row))
    table = Table(*(Column(header, overflow="fold") for header in headers), title=title)
    for row in rows:
        table.add_row(*(Text(row.get(header, "")) for header in headers))  # as Text, since phrases may have brackets
    return table
