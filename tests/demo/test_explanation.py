"""The demo's sentence on a wrong prediction."""

from __future__ import annotations

from typing import Any, cast

import pytest

from demo.explanation import explain_two
from iis_client import IISClient

LABELS = ("a loop", "a stem", "an empty centre")


class Service:
    """A client that answers with one wrong prediction and its supporting concepts."""

    def __init__(self, contributions: tuple[float, ...]) -> None:
        self.contributions = contributions

    def explanations(self, job: str) -> list[dict[str, Any]]:
        return [{"index": 4, "label": "3", "interpretation": {"class": "7"}}]

    def explain(self, job: str, image: int, **asked: Any) -> dict[str, Any]:
        supporting = [
            {"concept": number, "label": label, "activation": 1.0, "contribution": share}
            for number, (label, share) in enumerate(zip(LABELS, self.contributions, strict=True))
        ]
        read = {"class": "7", "probability": 0.81}
        return {"image": {"name": "test/3/1.png", "label": "3"}, "interpretation": read, "supporting": supporting}


@pytest.mark.parametrize(
    ("contributions", "concepts"),
    [
        ((2.0, 0.006, 0.004), "“a loop” +2.00, “a stem” +0.01."),
        ((0.004, 0.003, 0.0), "none above 0.005."),
    ],
)
def test_concepts_whose_contribution_prints_as_zero_are_not_listed(tmp_path: Any, contributions: tuple[float, ...], concepts: str) -> None:
    (sentence,) = explain_two(cast("IISClient", Service(contributions)), "job_1", tmp_path / "sheet.png")
    assert sentence == f"Wrong prediction: test/3/1.png as 7 (0.81). Concepts for 7 against 3: {concepts}"
