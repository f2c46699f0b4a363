"""Cache of a compute process between queries: no value of one job is used for another, and no forward pass is repeated."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.image_dataset import ImageDataset, LabelledImage
from iis_engine.explanations.test_set import TestSet
from iis_engine.features.feature_set import FeatureSet
from iis_engine.scoring.predictor import PredictorFamily
from support.scored import Scored
from support.silent_reporter import SilentReporter
from worker.handlers.dispatch import answer
from worker.handlers.model_cache import size_bytes_of
from worker.stages.datasets import read_images
from worker.stages.specs import DatasetRequest, ModelRequest, open_backbone

SHADES = {"dark": 40, "light": 200}
PIXELS = 64  # so that the network's last map has more than one place
TRAIN, TEST = 12, 4  # images of each class
QUERY_DEFAULTS = {
    "kept": 2,
    "contrast": None,
    "top": 8,
    "after": None,
    "limit": 100,
    "class": None,
    "predicted": None,
    "predicted_by_representation": None,
    "min_confidence": None,
    "max_confidence": None,
}
DATASET_REQUEST = DatasetRequest("images", split_seed=0, test_share=0.2)


@dataclass(frozen=True)
class QueriedJob:
    """Files of a scored job; calling it runs a query about it in this process."""

    folder: Path
    model: dict[str, Any]
    predictors: Path
    tested: Path
    images: Path
    first_test_image: Path

    def __call__(self, kind: str, **about: Any) -> dict[str, Any]:
        image = about.get("image")
        arguments = {
            "kind": kind,
            "about": {**QUERY_DEFAULTS, "wrong": False, "disagree": False, **about},
            "files": {"predictors": str(self.predictors), "tested": str(self.tested)},
            "posted": {image: str(self.folder / "posted.png")} if isinstance(image, str) else {},
            "model": self.model,
            "dataset": DATASET_REQUEST.to_json(),
            "dataset_folder": str(self.images),
            "warm_bytes": 10**9,
        }
        return answer(self.folder, arguments, SilentReporter())


def unpacked_images(folder: Path, seed: int) -> ImageDataset:
    """Images unpacked as for a query; only those of the test split depend on `seed`."""
    generators = {"train": np.random.default_rng(0), "test": np.random.default_rng(seed)}
    for split, count in (("train", TRAIN), ("test", TEST)):
        for name, shade in SHADES.items():
            class_folder = folder / "images" / split / name
            class_folder.mkdir(parents=True)
            for number in range(count):
                pixels = generators[split].integers(shade - 40, shade + 40, (PIXELS, PIXELS, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(class_folder / f"{number}.png")
    return read_images(folder, DATASET_REQUEST, lambda _done, _total: None)


@pytest.fixture(scope="module")
def one_job_and_another(tmp_path_factory: pytest.TempPathFactory) -> tuple[QueriedJob, QueriedJob]:
    """Two jobs that share network and training images, and with them the heads, but not the test images."""
    tmp_path = tmp_path_factory.mktemp("jobs")
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=len(SHADES))
    checkpoint = tmp_path / "untrained.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, checkpoint)
    model = {
        **{
            "role": "backbone",
            "architecture": "timm:test_resnet",
            "tokenizer": None,
            "arguments": {"num_classes": len(SHADES)},
            "pretrained": None,
            "initial_seed": None,
            "layer": None,
        },
        **{"preprocessing": {"input_size": PIXELS, "crop_pct": 1.0}, "checkpoint": str(checkpoint), "device": "cpu"},
    }
    backbone = open_backbone(ModelRequest.from_json(model))
    sets = [unpacked_images(tmp_path / name, seed) for seed, name in enumerate(("one", "other"), 1)]

    def embedded(images: Sequence[LabelledImage]) -> torch.Tensor:
        return backbone.embed(torch.stack([backbone.preprocess(Image.open(one.path)) for one in images]))

    def labels(images: Sequence[LabelledImage]) -> torch.Tensor:
        return torch.tensor([one.label for one in images])

    X = embedded(sets[0].train)
    features = FeatureSet(X, labels(sets[0].train), embedded(sets[0].test), labels(sets[0].test), tuple(SHADES), X)
    family = Scored.of(features, 6).family
    family.save(tmp_path / "predictors")
    Image.open(sets[0].test[0].path).save(tmp_path / "posted.png")
    jobs = list[QueriedJob]()
    for name, images in zip(("one", "other"), sets, strict=True):
        TestSet.of(replace(features, X_test=embedded(images.test)), family).save(tmp_path / f"tested-{name}")
        jobs.append(QueriedJob(tmp_path, model, tmp_path / "predictors", tmp_path / f"tested-{name}", tmp_path / name, images.test[0].path))
    return jobs[0], jobs[1]


@pytest.fixture
def job(one_job_and_another: tuple[QueriedJob, QueriedJob]) -> QueriedJob:
    return one_job_and_another[0]


@pytest.fixture
def embedded(job: QueriedJob, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Batch sizes of each forward pass after the network is loaded."""
    job("picture", image=0)
    calls, embed = list[int](), TorchBackbone.embed

    def counted(backbone: TorchBackbone, batch: torch.Tensor) -> torch.Tensor:
        calls.append(len(batch))
        return embed(backbone, batch)

    monkeypatch.setattr(TorchBackbone, "embed", counted)
    return calls


def test_jobs_with_the_same_predictors_show_their_own_test_images(one_job_and_another: tuple[QueriedJob, QueriedJob]) -> None:
    for job in one_job_and_another:
        seen = Image.open(io.BytesIO(base64.b64decode(job("picture", image=0)["png"])))
        assert np.array_equal(np.asarray(seen), np.asarray(Image.open(job.first_test_image)))
        heat = job("heat_map", image=0, concept=1)
        assert heat["mean"] == pytest.approx(heat["activation"], abs=1e-4)  # the map is of the image that the activations are of
    one, other = (job("heat_map", image=0, concept=1)["values"] for job in one_job_and_another)
    assert one != other


def test_another_data_set_or_network_is_not_served_from_the_cache(one_job_and_another: tuple[QueriedJob, QueriedJob]) -> None:
    one, other = one_job_and_another
    known = one("picture", image=0)["png"]
    assert replace(one, images=other.images)("picture", image=0)["png"] != known
    smaller = replace(one, model=one.model | {"preprocessing": {"input_size": 32, "crop_pct": 1.0}})
    assert Image.open(io.BytesIO(base64.b64decode(smaller("picture", image=0)["png"]))).size == (32, 32)


def test_jobs_with_the_same_test_images_use_their_own_predictors(job: QueriedJob) -> None:
    family = PredictorFamily.load(job.predictors)
    swapped = replace(family, heads=family.heads.flip(2), baseline=family.baseline.flip(1))
    swapped.save(job.folder / "swapped")
    contrary = replace(job, predictors=job.folder / "swapped")
    predicted, swapped_predictions = (
        [row["interpretation"]["class"] for row in queried("outcomes")["data"]] for queried in (job, contrary)
    )
    assert [{"dark": "light", "light": "dark"}[name] for name in swapped_predictions] == predicted
    without = replace(family, heads=torch.zeros_like(family.heads))
    without.save(job.folder / "without")
    used, unused = (
        [one["importance"] for one in queried("concepts")["data"]] for queried in (job, replace(job, predictors=job.folder / "without"))
    )
    assert any(used)
    assert not any(unused)


def test_a_thumbnail_takes_no_forward_pass_and_a_heat_map_one(job: QueriedJob, embedded: list[int]) -> None:
    job("picture", image=3)
    assert embedded == []
    for concept in (0, 1):
        job("heat_map", image=3, concept=concept)
    assert embedded == [1]


def test_a_posted_image_is_embedded_once_for_its_explanations(job: QueriedJob, embedded: list[int]) -> None:
    for kept in (2, 4):
        job("explain", image="img_posted", kept=kept)
    assert embedded == [1]


def test_the_size_of_an_image_counts_in_the_cache() -> None:
    assert size_bytes_of(Image.new("RGB", (20, 10))) == 600


def test_several_heat_maps_are_those_of_their_concepts_without_further_forward_passes(job: QueriedJob, embedded: list[int]) -> None:
    single = [{name: value for name, value in job("heat_map", image=0, concept=concept).items() if name != "png"} for concept in (4, 1)]
    passes = len(embedded)
    assert job("several_heat_maps", image=0, concepts=[4, 1])["data"] == single
    assert len(embedded) == passes


def test_images_are_filtered_by_confidence_and_by_the_prediction_of_the_representation(job: QueriedJob) -> None:
    rows = job("outcomes")["data"]
    bound = sorted(row["interpretation"]["probability"] for row in rows)[len(rows) // 2]
    sure = job("outcomes", min_confidence=bound)["data"]
    unsure = job("outcomes", max_confidence=bound)["data"]
    assert [row["index"] for row in sure] == [row["index"] for row in rows if row["interpretation"]["probability"] >= bound]
    assert len(sure) + len(unsure) > len(rows)  # the bound itself is in both
    dark = job("outcomes", predicted_by_representation="dark")["data"]
    assert [row["index"] for row in dark] == [row["index"] for row in rows if row["representation"]["class"] == "dark"]


def test_confusions_of_both_heads_agree_with_the_list_of_images(job: QueriedJob) -> None:
    names, rows = list(SHADES), job("outcomes")["data"]
    for head, counts in job("classes")["confusion"].items():
        expected = [[sum(row["label"] == true and row[head]["class"] == found for row in rows) for found in names] for true in names]
        assert counts == expected
