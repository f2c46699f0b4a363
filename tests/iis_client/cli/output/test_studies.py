"""Sentences on failed jobs and estimated costs of studies."""

from __future__ import annotations

import pytest

from iis_client.cli.output.studies import estimate_lines, failure_lines
from iis_schemas.studies.estimates import ESTIMATE_EXAMPLE, EstimateView
from iis_schemas.studies.views import CellView

CELL = {
    **{"number": 0, "job": "job_1", "model": "mdl_1", "label": "a", "dataset": "dst_1", "dataset_name": "digits", "library": "cluster"},
    **{"concept_count": 20, "library_dataset": None, "library_dataset_name": None, "seed": 0, "created": True, "links": {}},
    **{"state": "failed", "error": {"code": "x", "message": "Too few elements."}},
}


def test_the_first_of_many_failures_are_listed_with_their_errors() -> None:
    canceled = CellView.model_validate({**CELL, "state": "canceled", "error": None})
    lines = list(failure_lines("std_1", [*[CellView.model_validate(CELL)] * 6, canceled]))
    assert lines[0] == "7 jobs of the study have no result; run them again with: iis study extend std_1"
    assert lines[1] == "  a, digits, cluster 20, seed 0: Too few elements."
    assert lines[-1] == "  and 2 more"


@pytest.mark.parametrize(("seconds", "words"), [(None, "unknown"), (90.4, "90 seconds"), (600.0, "10 minutes"), (9000.0, "2.5 hours")])
def test_an_estimate_shows_counts_and_a_readable_duration(seconds: float | None, words: str) -> None:
    estimate = EstimateView.model_validate({**ESTIMATE_EXAMPLE, "images": None, "bytes": None, "seconds": seconds, "basis": "Because."})
    assert list(estimate_lines(estimate, 1234)) == [
        "Jobs: 16, of which 4 exist already.",
        "Images and crops to process: unknown.",
        "Bytes to upload: 1,234. Bytes of features to store: unknown.",
        f"Time: {words}. Because.",
    ]
