"""The demo's sentence on a wrong prediction."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from demo.explanation import explain_two
from iis_client import IISClient
from iis_schemas.explanations.images import EXPLANATION_EXAMPLE, ExplanationView, OutcomeView

LABELS = ("a loop", "a stem", "an empty centre")
SEVEN = {"class": "7", "index": 7, "probability": 0.81}


class WrongPrediction:
    """A client that answers with one wrong prediction and its supporting concepts."""

    def __init__(self, contributions: tuple[float, ...]) -> None:
        self.contributions = contributions

    def explanations(self, job: str) -> list[OutcomeView]:
        fields = {"index": 4, "name": None, "label": "3", "representation": SEVEN, "interpretation": SEVEN, "links": {}}
        return [OutcomeView.model_validate(fields)]

    def explain(self, job: str, image: int, **options: Any) -> ExplanationView:
        rest: dict[str, Any] = {"origin": "text", "exemplars": [], "activation": 1.0, "links": {}}
        supporting = [
            {"concept": number, "label": label, "contribution": contribution, **rest}
            for number, (label, contribution) in enumerate(zip(LABELS, self.contributions, strict=True))
        ]
        image_fields = {**EXPLANATION_EXAMPLE["image"], "name": "test/3/1.png", "label": "3"}
        changes = {"image": image_fields, "interpretation": {**SEVEN, "top": []}, "supporting": supporting}
        return ExplanationView.model_validate(EXPLANATION_EXAMPLE | changes)


@pytest.mark.parametrize(
    ("contributions", "concepts"),
    [
        ((2.0, 0.006, 0.004), "“a loop” +2.00, “a stem” +0.01."),
        ((0.004, 0.003, 0.0), "none above 0.005."),
    ],
)
def test_concepts_whose_contribution_prints_as_zero_are_not_listed(tmp_path: Path, contributions: tuple[float, ...], concepts: str) -> None:
    client = cast("IISClient", WrongPrediction(contributions))
    (sentence,) = explain_two(client, "job_1", tmp_path / "sheet.png")
    assert sentence == f"Wrong prediction: test/3/1.png as 7 (0.81). Concepts for 7 against 3: {concepts}"
