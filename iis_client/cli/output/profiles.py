"""Classes, predictors and predictions as tables for a terminal. Where they are printed is decided in iis_client.cli.output.terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from iis_client.cli.output.concepts import known_as
from iis_client.cli.output.explanations import OPPOSITE
from iis_client.cli.output.listing import Heading, Listing
from iis_client.types.profiles import ClassProfile, ClassSummary, PredictedConcept, Prediction, Predictor

CONCEPTS_SHOWN = 3


def class_table(classes: Sequence[ClassSummary]) -> Table:
    """Every class with its accuracies."""
    table = Table("class", "test images", "accuracy of the representation", "of the interpretation", title="Classes")
    for one in classes:
        table.add_row(Text(one["class"]), str(one["test_images"]), *_accuracies(one))
    return table


def class_view(profile: ClassProfile) -> Iterator[RenderableType]:
    """What a class is made of."""
    read = f"{profile['class']}, read by {profile['kept']} of {profile['concept_count']} concepts"
    columns = ("", "concept", Column("weight", justify="right"), Column("contribution to its images, mean", justify="right"))
    table = Table(*columns, title=Text(read))
    for group in (profile["supporting"], profile["opposing"]):
        for one in group:
            figures = f"{one['weight']:+.3f}", f"{one['mean_contribution']:+.3f}"
            table.add_row(str(one["concept"]), Text(known_as(one)), *figures, end_section=one is group[-1])
    table.add_row("", "bias", f"{profile['bias']:+.3f}", "")
    yield table
    representation, interpretation = _accuracies(profile)
    yield f"Accuracy on its {profile['test_images']} test images: representation {representation}, interpretation {interpretation}."
    confused = ", ".join(f"{one['class']} ({one['count']})" for one in profile["confused_with"])
    yield f"Taken for: {confused}." if confused else "It is never taken for another class."


def predictor_tables(predictors: Sequence[Predictor]) -> Iterator[Listing]:
    """The predictors of each job; those of one job stand together."""
    headings = tuple(map(Heading, ("predictor", "concepts kept", "accuracy", "ARR", "sparsity")))
    for job, found in groupby(predictors, key=lambda one: one["job"]):
        rows = [
            (
                one["id"],
                f"{one['kept']} of {one['concept_count']}",
                f"{one['accuracy']:.3f}",
                f"{one['arr']:.3f}",
                f"{one['sparsity']:.3f}",
            )
            for one in found
        ]
        yield Listing(f"Predictors of {job}", headings, rows)


def prediction_table(predictions: Sequence[Prediction]) -> Table:
    """What a predictor says of images."""
    table = Table("image", "class", "probability", "by")
    for one in predictions:
        carried = ", ".join(_share(concept) for concept in one["concepts"][:CONCEPTS_SHOWN])
        table.add_row(Text(one["name"]), Text(one["class"]), f"{one['probability']:.3f}", Text(carried))
    return table


def _accuracies(one: ClassSummary) -> tuple[str, str]:
    return f"{one['accuracy']['representation']:.3f}", f"{one['accuracy']['interpretation']:.3f}"


def _share(concept: PredictedConcept) -> str:
    name = concept["label"] or f"concept {concept['concept']}"
    return f"{name}{OPPOSITE if concept['activation'] < 0 else ''} {concept['contribution']:+.2f}"
