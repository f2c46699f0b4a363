"""Tables of concepts, phrases and vocabularies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.listing import Heading, Listing, minute

if TYPE_CHECKING:
    from iis_schemas.concept_libraries import ConceptView, DroppedConceptView
    from iis_schemas.concept_sets import ConceptSetVersionView, ConceptSetView, DroppedPhraseView
    from iis_schemas.explanations.images import ConceptRef

UNNAMED = "unnamed"
REASON_WORDS = {
    "too_long": "too long",
    "class_name": "contains a class name",
    "repeated": "repeated",
    "near_class": "close to a class name",
    "near_phrase": "close to another phrase",
    "clip_cutoff": "below the clip cutoff",
    "interpretability_cutoff": "below the interpretability cutoff",
    "not_confirmed": "not confirmed on other images",
    "beyond_count": "beyond the requested count",
}
FIGURE_WORDS = {  # in the order of the columns
    "group": "group",
    "similarity": "held-out similarity",
    "chosen_similarity": "similarity when chosen",
    "clip_top5": "mean of top 5 cosines",
    "cosine": "cosine",
    "other": "close to",
}


def concept_table(concepts: Sequence[ConceptView]) -> Table:
    """One row per concept: phrases with their similarity, names with their score and margin."""
    combined = len({concept.origin for concept in concepts}) > 1
    return _table("Concepts", [_concept(concept, combined) for concept in concepts])


def dropped_concept_table(dropped: Sequence[DroppedConceptView]) -> Table:
    """One row per phrase that a text library excluded, with the reason and its measurements."""
    return _table(
        "Excluded phrases",
        [{"phrase": each.text, "reason": _reason(each.reason), **_measurements(each.details)} for each in dropped],
    )


def dropped_phrase_table(dropped: Sequence[DroppedPhraseView]) -> Table:
    """One row per phrase that a concept set excluded, with the reason and what it is too close to."""
    return _table(
        "Excluded phrases",
        [
            {
                "phrase": each.text,
                "reason": _reason(each.reason),
                "close to": each.other or "",
                "similarity": _format_value(each.similarity),
            }
            for each in dropped
        ],
    )


def concept_set_table(concept_sets: Sequence[ConceptSetView]) -> Listing:
    """One row per concept set."""
    return Listing(
        "Vocabularies",
        (Heading("id"), Heading("version"), Heading("name", wraps=True), Heading("description", wraps=True)),
        [
            (
                each.id,
                str(each.latest_version),
                each.name if each.name != each.id else "",
                each.description or "",
            )
            for each in concept_sets
        ],
    )


def version_table(versions: Sequence[ConceptSetVersionView]) -> Table:
    """One row per version of a concept set; shipped versions have no time of creation."""
    return _table(
        "Versions",
        [
            {
                "number": str(each.number),
                "state": each.state,
                "phrases": str(each.phrase_count),
                "excluded": str(each.dropped_count),
                "created": minute(each.created_at),
            }
            for each in versions
        ],
    )


def format_counts(reasons: Mapping[str, int]) -> str:
    """Format counts by reason, highest first: `12 repeated, 3 too long`."""
    return ", ".join(f"{count} {_reason(reason)}" for reason, count in Counter(reasons).most_common())


def concept_name(concept: ConceptRef) -> str:
    """Name of a concept; without one, the image of an exemplar."""
    if concept.label:
        return concept.label
    image = next((exemplar.image for exemplar in concept.exemplars if exemplar.image), None)
    return f"{UNNAMED}, as in {image}" if image else UNNAMED


def _concept(concept: ConceptView, combined: bool) -> dict[str, str]:
    from iis_schemas.concept_libraries import PhraseDetails

    row = {"": str(concept.index), "concept": concept.label or UNNAMED}
    if combined:
        row["library"] = concept.origin
    if isinstance(concept.details, PhraseDetails):
        row |= _measurements(concept.details.model_dump(exclude_unset=True))
    elif concept.details is not None:
        for nearest in concept.details.names[:1]:
            row |= {"nearest phrase": nearest.phrase, "score": _format_value(nearest.score)}
        row["margin"] = _format_value(concept.details.margin)
    return row


def _measurements(details: Mapping[str, object]) -> dict[str, str]:
    known = {words: _format_value(details[name]) for name, words in FIGURE_WORDS.items() if name in details}
    return known | {name: _format_value(value) for name, value in details.items() if name not in FIGURE_WORDS}


def _reason(code: str) -> str:
    return REASON_WORDS.get(code, code.replace("_", " "))


def _format_value(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(title: str, rows: Sequence[Mapping[str, str]]) -> Table:
    """Build a table with a column for every key of the rows, in order of first appearance."""
    headers = list(dict.fromkeys(header for row in rows for header in row))
    table = Table(*(Column(header, overflow="fold") for header in headers), title=title)
    for row in rows:
        table.add_row(*(Text(row.get(header, "")) for header in headers))  # as Text, since phrases can contain brackets
    return table
