"""Explain two predictions of the demo: one correct and one wrong. Calls only the service."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType

from iis_client.cli.output.explanations import (
    concept_label,
    contribution_table,
    counterfactual_sentence,
    faithfulness_sentence,
    heat_map_sentence,
)
from iis_client.client import IISClient
from iis_schemas.explanations.images import ExplanationView

MAX_CONCEPTS_LISTED = 4
MIN_CONTRIBUTION = 0.005  # a smaller one prints as 0.00


def explain_two(client: IISClient, job: str, figure: Path) -> Iterator[RenderableType]:
    """Explain the first correct and the first wrong prediction for a test image; save the figure of the correct one to `figure`."""
    outcomes = list(client.explanations(job))
    right = next((one for one in outcomes if one.interpretation.class_ == one.label), None)
    if right is not None:
        explanation = client.explain(job, right.index, top=MAX_CONCEPTS_LISTED)
        figure.parent.mkdir(parents=True, exist_ok=True)
        figure.write_bytes(client.explanation_sheet(job, right.index))
        prediction = explanation.interpretation
        predicted = f"predicts {prediction.class_} for {right.name} with probability {prediction.probability:.2f}"
        yield f"The interpretation {predicted}, by {explanation.kept} of {explanation.concept_count} concepts."
        yield contribution_table(explanation)
        yield f"{faithfulness_sentence(explanation)}\n{counterfactual_sentence(explanation)}\n{heat_map_sentence(explanation)}"
        yield f"The same as a figure: {figure}. Other images: iis explain {job} IMAGE (a file, or 0 to {outcomes[-1].index})"
    wrong = next((one for one in outcomes if one.interpretation.class_ != one.label), None)
    if wrong is not None:
        yield _wrong_prediction(client.explain(job, wrong.index, contrast=wrong.label, top=MAX_CONCEPTS_LISTED))


def _wrong_prediction(explanation: ExplanationView) -> str:
    """The concepts that supported the wrong class against the true one."""
    prediction, true = explanation.interpretation, explanation.image.label
    visible = [one for one in explanation.supporting if one.contribution >= MIN_CONTRIBUTION]
    concepts = ", ".join(f"{concept_label(one, opposite=one.activation < 0)} {one.contribution:+.2f}" for one in visible)
    wrong = f"Wrong prediction: {explanation.image.name} as {prediction.class_} ({prediction.probability:.2f})."
    return f"{wrong} Concepts for {prediction.class_} against {true}: {concepts or 'none above 0.005'}."
