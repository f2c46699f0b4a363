"""Multi-label images from a manifest to score, tables and explanations, through the whole service and its command."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from iis_client import IISClient
from iis_client.errors import ServiceError
from iis_client.transport.address import Address
from iis_schemas.jobs.views import ScoreJobView
from support.iis_command import RunCommand

pytestmark = pytest.mark.slow

LABELS = ("red", "green", "blue")
SIDE_PIXELS = 32
COUNTS = {"train": 80, "test": 40}


def picture(labels: list[str], generator: np.random.Generator) -> bytes:
    """A dark image with one bright square for each label: its colour, at a place of its own."""
    pixels = generator.integers(0, 90, (SIDE_PIXELS, SIDE_PIXELS, 3), dtype=np.uint8)
    for channel, label in enumerate(LABELS):
        if label in labels:
            left = 11 * channel
            pixels[8:24, left : left + 9, channel] = 250
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of any set of labels, the empty one among them, and a table that joins their labels by |."""
    generator, path = np.random.default_rng(0), tmp_path_factory.mktemp("images") / "tags.zip"
    rows = ["path,labels,split"]
    with zipfile.ZipFile(path, "w") as file:
        for split, count in COUNTS.items():
            for number in range(count):
                labels = [label for label in LABELS if generator.random() < 0.4] or ["none"]
                file.writestr(f"images/{split}{number}.png", picture(labels, generator))
                rows.append(f"images/{split}{number}.png,{'|'.join(labels)},{split}")
        file.writestr("labels.csv", "\n".join(rows))
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "untrained.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in timm.create_model("test_resnet", num_classes=2).state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def connected(service: Address) -> Iterator[IISClient]:
    with IISClient(service.url, service.api_key) as client:
        yield client


@pytest.fixture(scope="module")
def scored(connected: IISClient, archive: Path, checkpoint: Path) -> ScoreJobView:
    """A finished score job of multi-label images."""
    dataset = connected.wait_until_ready(connected.create_dataset(archive))
    assert dataset.info is not None
    assert dataset.info.task == "multi_label"
    assert dataset.info.class_names == ["blue", "green", "none", "red"]
    preprocessing = {"input_size": SIDE_PIXELS, "crop_pct": 1.0}
    model = connected.create_model("timm:test_resnet", checkpoint=checkpoint, arguments={"num_classes": 2}, preprocessing=preprocessing)
    connected.wait_until_ready(model)
    job = connected.score(
        model, dataset, library={"kind": "cluster", "concept_count": 8}, elements={"kind": "patches", "images_per_class": 8, "scales": [2]}
    )
    finished = connected.wait(job)
    assert isinstance(finished, ScoreJobView)
    assert finished.state == "succeeded", finished.error
    return finished


def test_the_result_is_of_mean_average_precision_and_says_so(connected: IISClient, iis: RunCommand, scored: ScoreJobView) -> None:
    report = connected.result(scored).report
    assert report.quantity == "mean_average_precision"
    assert report.configuration["task"] == "multi_label"
    assert report.chance is not None
    assert report.accuracy_representation > report.chance
    assert report.iis is not None
    assert (report.balanced, report.panel) == (None, None)
    assert any(note.startswith("The data are multi-label: the heads are one-vs-rest") for note in report.notes)
    assert "mean average precision of the representation" in connected.result(scored)._repr_html_()
    shown = iis("result", scored.id)
    assert shown.returncode == 0, shown.stderr
    assert "Mean average precision of the representation" in shown.stdout
    assert "type: mean_average_precision\n" in iis("card", scored.id).stdout
    assert connected.plot(scored, "accuracy", "svg").startswith(b"<?xml")
    assert scored.summary is not None
    assert (scored.summary.quantity, next(connected.predictors(scored)).quantity) == ("mean_average_precision", "mean_average_precision")
    board = iis("leaderboard", "--dataset", scored.dataset)
    assert "mean average precision" in board.stdout
    assert "accuracy" not in board.stdout
    assert "mean average precision" in iis("predictors", scored.id).stdout


def test_images_are_explained_label_by_label(connected: IISClient, iis: RunCommand, scored: ScoreJobView, tmp_path: Path) -> None:
    outcome = next(connected.explanations(scored, class_="red"))
    assert outcome.label is None
    assert outcome.labels is not None
    assert "red" in outcome.labels
    tested = connected.explain(scored, outcome.index)
    assert tested.image.labels == outcome.labels
    assert tested.labels is not None
    assert sorted(one.class_ for one in tested.labels if one.is_true) == sorted(outcome.labels)
    path = tmp_path / "mine.png"
    path.write_bytes(picture(["red", "blue"], np.random.default_rng(5)))
    posted = connected.explain(scored, path)
    assert posted.labels is not None
    for one in posted.labels:
        total = sum(share.contribution for share in (*one.supporting, *one.opposing)) + one.remainder + one.bias
        assert total == pytest.approx(one.logit)
        assert one.is_true is None
    assert {one.class_ for one in posted.labels} == {"blue", "green", "none", "red"}
    assert connected.explanation_sheet(scored, outcome.index, "svg").startswith(b"<?xml")
    shown = iis("explain", scored.id, str(outcome.index))
    assert shown.returncode == 0, shown.stderr
    assert "largest contributions" in shown.stdout
    classes = iis("classes", scored.id)
    assert "average precision, interpretation" in classes.stdout
    assert iis("classes", scored.id, "red").returncode == 0


def test_what_needs_one_class_per_image_is_refused_with_the_reason(connected: IISClient, scored: ScoreJobView) -> None:
    with pytest.raises(ServiceError, match=r"The reference protocol needs one class per image, and data set .* is multi-label") as refused:
        connected.score(scored.model, scored.dataset, library={"kind": "prototype", "concept_count": 8}, protocol="reference")
    assert refused.value.code == "multi_label"
    with pytest.raises(ServiceError, match="Fine-tuning needs one class per image"):
        connected.finetune(str(scored.model), scored.dataset, {"kind": "prototype", "concept_count": 8})
    with pytest.raises(ServiceError, match="A contrast needs one class per image"):
        connected.explain(scored, 0, contrast="red")


def test_the_test_images_are_explained_in_one_job(connected: IISClient, scored: ScoreJobView) -> None:
    job = connected.wait(connected.explain_batch(scored, "test"))
    assert job.state == "succeeded", job.error
    with pytest.raises(ServiceError, match="contrast"):
        connected.explain_batch(scored, "test", contrast="red")
