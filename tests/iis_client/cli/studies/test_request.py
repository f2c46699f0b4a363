"""Find the study of an equal request."""

from __future__ import annotations

from typing import Any

import pytest

from iis_client.cli.studies.request import find_study
from iis_schemas.studies.requests import StudyCreate
from iis_schemas.studies.views import STUDY_EXAMPLE, StudyView

REQUEST: dict[str, Any] = {
    "name": "a study",
    "models": [{"model": "mdl_1", "label": "a", "accuracy": 1}, {"model": "mdl_2", "label": "b"}],
    "datasets": ["dst_1", "dst_2"],
    "libraries": [{"kind": "cluster"}, {"kind": "text", "clip_cutoff": 0.25}],
    "library_datasets": [None],
    "sparsity_grids": [[0, 0.5]],
    "seeds": [1, 0],
    "protocol": "exact",
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0, "scales": [4]},
    "vlm": "mdl_3",
    "vocabulary": "cst_1@2",
    "evolution": False,
}


def study(**changed: Any) -> StudyView:
    grid = {
        **REQUEST,
        "concept_counts": None,
        "sparsity_grids": [[0.0, 0.5]],
        "seeds": [0, 1],
        "activations": "calibrated",
        "vocabulary": {"id": "cst_1", "version": 2, "digest": "abc"},
        "deadline_seconds": None,
        **changed,
    }
    del grid["name"]
    return StudyView.model_validate({**STUDY_EXAMPLE, "id": "std_1", "name": "a study", "grid": grid})


def test_a_study_is_found_by_its_request_regardless_of_list_order() -> None:
    found = study()
    assert find_study(StudyCreate.model_validate(REQUEST), [study(seeds=[0]), found]) is found


@pytest.mark.parametrize(
    "changed",
    [
        {"seeds": [0, 1, 2]},
        {"evolution": True},
        {"activations": "layernorm"},
        {"concept_counts": [20]},
        {"vocabulary": {"id": "cst_1", "version": 3, "digest": "abc"}},
        {"models": list(reversed(REQUEST["models"]))},
        {"libraries": [{"kind": "cluster"}, {"kind": "text", "clip_cutoff": 0.3}]},
    ],
)
def test_a_study_with_another_request_is_not_found(changed: dict[str, Any]) -> None:
    assert find_study(StudyCreate.model_validate(REQUEST), [study(**changed)]) is None
