"""What the demo says of a prediction that is wrong."""

from __future__ import annotations

from typing import Any, cast

import pytest

from demo.explanation import explain_two
from iis_client import IISClient

LABELS = ("a loop", "a stem", "an empty centre")


class Service:
    """Answers with one wrong prediction and what speaks for it."""

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
    ("contributions", "spoke"),
    [
        ((2.0, 0.006, 0.004), "“a loop” +2.00, “a stem” +0.01."),
        ((0.004, 0.003, 0.0), "no concepts visibly."),
    ],
)
def test_concepts_that_add_nothing_at_the_printed_digits_are_not_named(tmp_path: Any, contributions: tuple[float, ...], spoke: str) -> None:
    (said,) = explain_two(cast("IISClient", Service(contributions)), "job_1", tmp_path / "sheet.png")
    assert said == f"It takes test/3/1.png for 7 (0.81). For 7 rather than 3 speak: {spoke}"
