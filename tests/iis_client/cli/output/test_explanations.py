"""Tables and sentences of explanations, classes, predictors and predictions."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest
from rich.console import Console, RenderableType

from iis_client.cli.output.explanations import (
    BAR_CELLS,
    class_prediction_table,
    contribution_table,
    counterfactual_sentence,
    faithfulness_sentence,
)
from iis_client.cli.output.profiles import class_table, class_view, prediction_table, predictor_tables
from iis_schemas.explanations.images import EXPLANATION_EXAMPLE, ExplanationView
from iis_schemas.explanations.predictors import PREDICTOR_EXAMPLE, PredictionView, PredictorView
from iis_schemas.explanations.profiles import ClassSummary, ClassView

CROP = {"image": "train/3/0041.png", "box": [0, 0, 8, 8]}


def contribution(concept: int, label: str | None, value: float) -> dict[str, Any]:
    fields = {"origin": "text", "exemplars": [CROP], "activation": 1.5, "contribution": value, "links": {}}
    return {"concept": concept, "label": label, **fields}


EXPLANATION: dict[str, Any] = {
    **EXPLANATION_EXAMPLE,
    "image": {"id": "17", "index": 17, "name": "test/8/0017.png", "label": "8", "size": [32, 32]},
    "kept": 7,
    "concept_count": 40,
    "representation": {"class": "8", "index": 8, "probability": 0.9, "top": [{"class": "3", "index": 3, "probability": 0.1}]},
    "interpretation": {
        **{"class": "3", "index": 3, "probability": 0.98},
        "top": [{"class": "3", "index": 3, "probability": 0.98}, {"class": "8", "index": 8, "probability": 0.0004}],
    },
    "correct": {"representation": True, "interpretation": False},
    "explained": {"class": "3", "index": 3},
    "contrast": None,
    "logit": 2.5,
    "bias": -0.5,
    "supporting": [contribution(4, "a [closed] loop", 4.0), contribution(9, None, 1.0)],
    "opposing": [contribution(2, "a stem", -2.0)],
    "remainder": 0.0,
    "remaining": 0,
    "faithfulness": {
        "counts": [0, 1, 2, 3, 5, 7],
        "deletion": [0.98, 0.7, 0.4, 0.12, 0.1, 0.1],
        "deletion_random": [0.98, 0.9, 0.8, 0.71, 0.3, 0.1],
        "sufficiency": [0.1, 0.4, 0.6, 0.9, 0.97, 0.98],
        "sufficiency_random": [0.1, 0.2, 0.3, 0.4, 0.8, 0.98],
    },
    "counterfactual": None,
    "heatmaps": {"available": True, "exact": True, "method": "feature_map", "note": "Exact."},
}


def explanation(**changes: Any) -> ExplanationView:
    return ExplanationView.model_validate(EXPLANATION | changes)


def rendered(thing: RenderableType, width: int = 160) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(thing)
    return cast("io.StringIO", console.file).getvalue()


def cells(thing: RenderableType, words: str) -> list[str]:
    """Cells of the table row that contains the words."""
    line = next(line for line in rendered(thing).splitlines() if words in line)
    return [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]]


def test_predictions_are_shown_beside_the_true_class() -> None:
    table = class_prediction_table(explanation())
    assert "test/8/0017.png, a test image of 8" in rendered(table)
    assert cells(table, "Representation") == ["Representation", "8", "0.900", "3 0.100"]
    assert cells(table, "Interpretation") == ["Interpretation, 7 of 40 concepts", "3 (wrong)", "0.980", ""]


def test_no_prediction_is_marked_wrong_where_the_true_class_is_unknown() -> None:
    posted = {"id": "img_1", "index": None, "name": None, "label": None, "size": None}
    text = rendered(class_prediction_table(explanation(image=posted, correct=None)))
    assert "Image img_1" in text
    assert "wrong" not in text


def test_bars_are_proportional_to_contributions() -> None:
    table = contribution_table(explanation())
    assert cells(table, "a [closed] loop") == ["4", "a [closed] loop", "1.50", "+4.000", "█" * BAR_CELLS]
    assert cells(table, "a stem") == ["2", "a stem", "1.50", "-2.000", "█" * (BAR_CELLS // 2)]
    assert cells(table, "bias") == ["", "bias", "", "-0.500", "█" * (BAR_CELLS // 8)]
    assert cells(table, "logit of 3") == ["", "logit of 3, centred", "", "+2.500", ""]


def test_a_concept_without_a_name_is_described_by_an_image() -> None:
    assert cells(contribution_table(explanation()), "unnamed")[1] == "unnamed, as in train/3/0041.png"


def test_an_explanation_fits_in_80_columns_with_numbers_and_bars_uncut() -> None:
    named = contribution(12, "a long and slightly curved stroke down the left side", 12.5)
    text = rendered(contribution_table(explanation(supporting=[named], contrast={"class": "8", "index": 8})), width=80)
    lines = text.splitlines()
    assert {line[-1] for line in lines if line.startswith(("│", "├", "┃"))} == {"│", "┤", "┃"}
    assert max(map(len, lines)) <= 80
    for whole in ("activation", "contribution", "+12.500", "█" * BAR_CELLS):
        assert whole in text


@pytest.mark.parametrize(("remaining", "words"), [(1, "1 other"), (5, "5 others")])
def test_contributions_that_are_not_listed_are_summed(remaining: int, words: str) -> None:
    table = contribution_table(explanation(remaining=remaining, remainder=0.25))
    assert cells(table, words) == ["", words, "", "+0.250", "█▌"]


def test_a_contrast_appears_in_the_title_and_in_the_sum() -> None:
    table = contribution_table(explanation(contrast={"class": "8", "index": 8}))
    assert "Why 3 rather than 8" in rendered(table)
    assert cells(table, "ahead")[1:4] == ["3 ahead of 8", "", "+2.500"]


def test_an_explanation_with_zero_contributions_has_no_bars() -> None:
    empty = explanation(supporting=[], opposing=[], bias=0.0, logit=0.0)
    assert "█" not in rendered(contribution_table(empty))


def test_faithfulness_is_one_sentence() -> None:
    assert faithfulness_sentence(explanation()) == (
        "Without its 3 most important concepts the probability of 3 falls from 0.98 to 0.12; without 3 random ones it is 0.71."
    )


def test_faithfulness_of_a_single_kept_concept_uses_the_singular() -> None:
    curve = {**EXPLANATION["faithfulness"], "counts": [0, 1], "deletion": [0.2, 0.3], "deletion_random": [0.2, 0.3]}
    assert faithfulness_sentence(explanation(faithfulness=curve)) == (
        "Without its most important concept the probability of 3 rises from 0.20 to 0.30; without a random one it is 0.30."
    )
    unmoved = {**curve, "deletion": [0.2, 0.2], "deletion_random": [0.2, 0.2]}
    assert "the probability of 3 stays at 0.20;" in faithfulness_sentence(explanation(faithfulness=unmoved))


def test_a_counterfactual_names_the_removed_concepts() -> None:
    removed = [{"concept": 4, "label": "a loop", "contribution": 4.0}, {"concept": 9, "label": None, "contribution": 1.0}]
    found = {"class": "8", "index": 8, "probability": 0.613, "removed": removed}
    assert counterfactual_sentence(explanation(counterfactual=found)) == "Without “a loop” and concept 9 the prediction would be 8 (0.61)."
    assert counterfactual_sentence(explanation()) == "No removal of concepts changes the prediction; it stays 3."


@pytest.mark.parametrize(
    ("found", "logit", "sentence"),
    [
        (("not sky", 0.75), 1.2, "Without “blue” the probability of sky falls below 1/2 (0.25)."),
        (("sky", 0.6), -1.0, "Without “blue” the probability of sky rises above 1/2 (0.60)."),
        (None, 1.2, "The probability of sky stays above 1/2 after any removal of concepts."),
        (None, -1.0, "The probability of sky stays below 1/2 after any removal of concepts."),
    ],
)
def test_a_counterfactual_of_a_label_takes_its_probability_across_one_half(
    found: tuple[str, float] | None, logit: float, sentence: str
) -> None:
    removed = [{"concept": 4, "label": "blue", "contribution": 4.0}]
    counterfactual = None if found is None else {"class": found[0], "index": 0, "probability": found[1], "removed": removed}
    label = explanation(explained={"class": "sky", "index": 0}, labels=[], logit=logit, counterfactual=counterfactual)
    assert counterfactual_sentence(label) == sentence


def test_a_concept_with_negative_activation_is_called_its_opposite() -> None:
    lacking = contribution(4, "ink in the centre", 4.0) | {"activation": -3.2}
    removed = [{"concept": 4, "label": "ink in the centre", "contribution": 4.0}]
    found = explanation(supporting=[lacking], counterfactual={"class": "8", "index": 8, "probability": 0.6, "removed": removed})
    assert cells(contribution_table(found), "ink")[1:3] == ["ink in the centre (its opposite)", "-3.20"]
    assert counterfactual_sentence(found) == "Without “ink in the centre” (its opposite) the prediction would be 8 (0.60)."


def test_a_class_is_shown_with_its_confusions() -> None:
    weighted = {**contribution(4, "a loop", 0.0), "weight": 1.9, "mean_contribution": 2.2}
    profile: dict[str, Any] = {
        **{"class": "8", "index": 8, "kept": 7, "concept_count": 40, "test_images": 87, "bias": 0.1, "opposing": []},
        **{"sparsity": 0.825, "nodes": [], "links": {}},
        "accuracy": {"representation": 0.98, "interpretation": 0.9},
        "supporting": [weighted],
        "confused_with": [{"class": "3", "index": 3, "count": 5}, {"class": "1", "index": 1, "count": 2}],
    }
    table, accuracy, confused = class_view(ClassView.model_validate(profile))
    assert cells(table, "a loop") == ["4", "a loop", "+1.900", "+2.200"]
    assert accuracy == "Accuracy on its 87 test images: representation 0.980, interpretation 0.900."
    assert confused == "Confused with: 3 (5), 1 (2)."
    *_, unconfused = class_view(ClassView.model_validate(profile | {"confused_with": []}))
    assert unconfused == "It is not confused with any other class."


def test_a_label_without_a_test_image_has_no_average_precision() -> None:
    accuracy = {"representation": None, "interpretation": None}
    bird = {"class": "bird", "index": 2, "test_images": 0, "quantity": "average_precision", "accuracy": accuracy, "links": {}}
    assert cells(class_table([ClassSummary.model_validate(bird)]), "bird") == ["bird", "0", "–", "–"]


def test_predictors_and_predictions_are_tables() -> None:
    numbers = {"kept": 7, "concept_count": 40, "sparsity": 0.825, "accuracy": 0.91, "arr": 0.93}
    predictor = PredictorView.model_validate(PREDICTOR_EXAMPLE | {"id": "prd_1", "job": "job_1", **numbers})
    assert cells(next(predictor_tables([predictor])), "prd_1") == ["prd_1", "7 of 40", "0.910", "0.930", "0.825"]
    concepts = [
        {"concept": n, "label": label, "activation": 0.5 - n, "contribution": 1.0 - n}
        for n, label in enumerate(["a loop", None, "a stem", "a hook"])
    ]
    prediction = {"name": "owl.png", "class": "owl", "index": 0, "probability": 0.5, "probabilities": [], "concepts": concepts}
    shown = cells(prediction_table([PredictionView.model_validate(prediction)]), "owl.png")
    assert shown == ["owl.png", "owl", "0.500", "a loop +1.00, concept 1 (its opposite) +0.00, a stem (its opposite) -1.00"]
