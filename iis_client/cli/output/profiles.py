"""Tables of classes, predictors and predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.concepts import concept_name
from iis_client.cli.output.explanations import OPPOSITE
from iis_client.cli.output.listing import Heading, Listing
from iis_schemas.names import quantity_words

if TYPE_CHECKING:
    from iis_schemas.explanations.predictors import CarryingConcept, PredictionView, PredictorView
    from iis_schemas.explanations.profiles import ClassSummary, ClassView

MAX_CONCEPTS_LISTED = 3


def class_table(classes: Sequence[ClassSummary]) -> Table:
    """One row per class with its accuracies, or per label of multi-label data with its average precisions."""
    is_labels = any(one.quantity == "average_precision" for one in classes)
    noun, name, title = ("label", "Labels", "average precision") if is_labels else ("class", "Classes", "accuracy")
    table = Table(noun, "test images", f"{title}, representation", f"{title}, interpretation", title=name)
    for one in classes:
        table.add_row(Text(one.class_), str(one.test_images), *_accuracies(one))
    return table


def class_view(profile: ClassView) -> Iterator[RenderableType]:
    """Supporting and opposing concepts of a class, its accuracies and confusions."""
    title = f"{profile.class_}, by {profile.kept} of {profile.concept_count} concepts"
    columns = ("", "concept", Column("weight", justify="right"), Column("mean contribution", justify="right"))
    table = Table(*columns, title=Text(title))
    for group in (profile.supporting, profile.opposing):
        for one in group:
            figures = f"{one.weight:+.3f}", f"{one.mean_contribution:+.3f}"
            table.add_row(str(one.concept), Text(concept_name(one)), *figures, end_section=one is group[-1])
    table.add_row("", "bias", f"{profile.bias:+.3f}", "")
    yield table
    representation, interpretation = _accuracies(profile)
    if profile.quantity == "average_precision":
        yield (
            f"Average precision of its {profile.test_images} test images: representation {representation}, interpretation {interpretation}."
        )
        return
    yield f"Accuracy on its {profile.test_images} test images: representation {representation}, interpretation {interpretation}."
    confused = ", ".join(f"{one.class_} ({one.count})" for one in profile.confused_with)
    yield f"Confused with: {confused}." if confused else "It is not confused with any other class."


def predictor_tables(predictors: Sequence[PredictorView]) -> Iterator[Listing]:
    """One table of predictors per job."""
    for (job, quantity), found in groupby(predictors, key=lambda one: (one.job, one.quantity)):
        headings = tuple(map(Heading, ("predictor", "concepts kept", quantity_words(quantity), "ARR", "sparsity")))
        rows = [
            (
                one.id,
                f"{one.kept} of {one.concept_count}",
                f"{one.accuracy:.3f}",
                f"{one.arr:.3f}",
                f"{one.sparsity:.3f}",
            )
            for one in found
        ]
        yield Listing(f"Predictors of {job}", headings, rows)


def prediction_table(predictions: Sequence[PredictionView]) -> Table:
    """One row per image with its prediction and the concepts behind it."""
    table = Table("image", "class", "probability", "concepts")
    for one in predictions:
        concepts = ", ".join(_contribution(concept) for concept in one.concepts[:MAX_CONCEPTS_LISTED])
        table.add_row(Text(one.name), Text(one.class_), f"{one.probability:.3f}", Text(concepts))
    return table


def _accuracies(one: ClassSummary) -> tuple[str, str]:
    """Both accuracies; "–" without a test image."""
    representation, interpretation = (
        "–" if value is None else f"{value:.3f}" for value in (one.accuracy.representation, one.accuracy.interpretation)
    )
    return representation, interpretation


def _contribution(concept: CarryingConcept) -> str:
    name = concept.label or f"concept {concept.concept}"
    return f"{name}{OPPOSITE if concept.activation < 0 else ''} {concept.contribution:+.2f}"
