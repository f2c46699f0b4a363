"""Queries about a scored job of multi-label data: labels with probabilities and contributions; refusals of what needs one class."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iis_engine.errors import SettingError
from iis_engine.explanations.test_set import TestSet
from support.multi_label import NAMES, multi_label_features
from support.scored import Scored
from support.silent_reporter import SilentReporter
from worker.handlers.dispatch import answer

QUERY_DEFAULTS = {
    **{"kept": 3, "sparsity": None, "contrast": None, "top": 8, "after": None, "limit": 100},
    **{"class": None, "predicted": None, "predicted_by_representation": None, "min_confidence": None, "max_confidence": None},
}


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Scored, dict[str, str], Path]:
    folder, scored = tmp_path_factory.mktemp("job"), Scored.of(multi_label_features(), 6)
    files = {"predictors": str(folder / "predictors.safetensors"), "tested": str(folder / "tested.safetensors")}
    scored.family.save(Path(files["predictors"]))
    TestSet.of(scored.features, scored.family).save(Path(files["tested"]))
    return scored, files, folder


def asked(job: tuple[Scored, dict[str, str], Path], kind: str, **about: Any) -> dict[str, Any]:
    _, files, folder = job
    arguments = {
        "kind": kind,
        "about": {**QUERY_DEFAULTS, "wrong": False, "disagree": False, **about},
        "files": files,
        "posted": {},
        "model": None,
        "dataset": None,
        "dataset_folder": None,
        "warm_bytes": 10**9,
    }
    return answer(folder, arguments, SilentReporter())


def test_a_test_image_is_explained_label_by_label(job: tuple[Scored, dict[str, str], Path]) -> None:
    scored = job[0]
    labels = scored.features.labels_test
    assert labels is not None
    row = int(labels.sum(dim=1).argmax())
    found = asked(job, "explain", image=row)
    true = [NAMES[label] for label in labels[row].nonzero().flatten().tolist()]
    assert (found["image"]["label"], found["image"]["labels"], found["correct"]) == (None, true, None)
    assert len(true) > 1
    assert [one["class"] for one in found["labels"] if one["is_true"]] == [one["class"] for one in found["labels"] if one["class"] in true]
    assert {one["class"] for one in found["labels"]} == set(NAMES)
    assert found["explained"]["class"] == found["interpretation"]["class"] == found["labels"][0]["class"]
    for one in found["labels"]:
        shares = sum(share["contribution"] for share in [*one["supporting"], *one["opposing"]])
        assert shares + one["remainder"] + one["bias"] == pytest.approx(one["logit"])
        assert one["probability"] == pytest.approx(1 / (1 + np.exp(-one["logit"])))
    assert found["logit"] == found["labels"][0]["logit"]


def test_test_images_are_listed_with_their_labels_and_filtered_by_label(job: tuple[Scored, dict[str, str], Path]) -> None:
    labels = job[0].features.labels_test
    assert labels is not None
    found = asked(job, "outcomes", **{"class": "bird"})
    assert found["total"] == int(labels[:, 2].sum())
    assert all("bird" in image["labels"] and image["label"] is None for image in found["data"])
    with pytest.raises(SettingError, match="has no wrong class"):
        asked(job, "outcomes", wrong=True)


def test_profiles_of_labels_and_concepts_are_of_all_images_with_a_label(job: tuple[Scored, dict[str, str], Path]) -> None:
    summaries = asked(job, "classes")["data"]
    profile = asked(job, "class_view", **{"class": "tree"})
    assert (profile["test_images"], profile["accuracy"]) == (summaries[1]["test_images"], summaries[1]["accuracy"])
    assert profile["confused_with"] == []
    images = asked(job, "concept_view", concept=0)["top_images"]
    assert {type(image["labels"]) for image in images} == {list}


def test_an_intervention_changes_the_probability_of_each_label(job: tuple[Scored, dict[str, str], Path]) -> None:
    before = asked(job, "explain", image=0)
    removed = [share["concept"] for share in (*before["supporting"], *before["opposing"])]
    found = asked(job, "intervene", image=0, set=[(concept, 0.0) for concept in removed], scale=[])
    of_biases = {one["class"]: 1 / (1 + np.exp(-one["bias"])) for one in before["labels"]}
    assert {one["class"]: one["after"] for one in found["probabilities"]} == pytest.approx(of_biases)
