"""Predictors from Python and by the `iis` command: predictions and exported files."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from safetensors import safe_open

from iis_client import ConfigurationError, IISClient, InvalidInputError, LocalFileError, NotFoundError
from iis_client.resources import predictors
from iis_client.transport.messages import answer_json
from iis_schemas.explanations.predictors import PredictorView
from support.planted import CLASS_NAMES

if TYPE_CHECKING:
    from iis_client.transport.http import Transport
    from support.iis_command import RunCommand
    from support.planted import Planted
    from support.scripted_service import ScriptedService

KEPT = 5


@pytest.fixture
def predictor(client: IISClient, image_job: str) -> PredictorView:
    return client.predictor_of(image_job, kept=KEPT)


@pytest.fixture
def pictures(planted: Planted) -> list[Path]:
    """A test image of each class."""
    return [min((planted.images / "test" / name).iterdir()) for name in CLASS_NAMES]


@pytest.mark.slow
def test_every_node_of_the_curve_has_a_predictor(client: IISClient, image_job: str) -> None:
    (curve,) = [curve.points for curve in client.curves(image_job) if curve.name == "library"]
    found = {one.kept: one.accuracy for one in client.predictors(image_job)}
    points = {point.kept: point.accuracy for point in curve if point.kept}
    assert {kept: found[kept] for kept in points} == pytest.approx(points)
    assert {one.id for one in client.predictors(image_job)} <= {one.id for one in client.predictors()}


@pytest.mark.slow
def test_a_predictor_is_selected_by_its_node(client: IISClient, image_job: str, predictor: PredictorView) -> None:
    assert predictor.kept == KEPT
    assert client.predictor(predictor.id) == predictor
    assert client.predictor_of(image_job, sparsity=predictor.sparsity) == predictor
    assert client.predictor_of(image_job).kept == client.explain(image_job, 0).kept
    with pytest.raises(InvalidInputError, match=r"no node at sparsity = 0\.33"):
        client.predictor_of(image_job, sparsity=0.33)


@pytest.mark.slow
def test_predictions_equal_those_of_explanations(
    client: IISClient, image_job: str, predictor: PredictorView, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(predictors, "MAX_IMAGES_PER_REQUEST", 3)
    found = client.predict(predictor.id, *pictures, top=2)
    assert [one.name for one in found] == [path.name for path in pictures]
    assert {len(one.concepts) for one in found} == {2}
    for path, one in zip(pictures[:2], found, strict=False):
        interpretation = client.explain(image_job, path, kept=KEPT).interpretation
        assert one.class_ == interpretation.class_
        assert math.isclose(one.probability, interpretation.probability, rel_tol=1e-4)


def test_large_images_are_split_into_several_requests(scripted: ScriptedService, impatient: Transport, tmp_path: Path) -> None:
    """Seven photographs of 10 MB are more than twice the 32 MiB that one request may have; one of 40 MB is for the service to refuse."""
    sizes = [10_000_000] * 7 + [40_000_000, *[1000] * 20]
    paths = [tmp_path / f"{number}.png" for number in range(len(sizes))]
    for path, size_bytes in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(size_bytes))
    scripted.answer("POST /v1/predictors/prd_one/predict?top=5", (200, {"data": [], "links": {}}))
    IISClient(transport=impatient).predict("prd_one", *paths)
    assert len(scripted.sizes) == 7 + 1 + 2
    assert sorted(scripted.sizes)[-2] < 32 * 1024 * 1024
    assert sum(scripted.sizes) == pytest.approx(sum(sizes), rel=0.001)


@pytest.mark.slow
def test_an_exported_predictor_works_without_the_service(client: IISClient, predictor: PredictorView, tmp_path: Path) -> None:
    client.export_predictor(predictor.id, tmp_path / "head.onnx")
    session: Any = onnxruntime.InferenceSession(tmp_path / "head.onnx")
    features = np.random.default_rng(0).normal(size=(3, session.get_inputs()[0].shape[1])).astype(np.float32)
    probabilities, activations = session.run(["probabilities", "activations"], {"features": features})
    assert probabilities.shape == (3, len(CLASS_NAMES))
    assert ((activations != 0).sum(axis=1) <= KEPT).all()
    client.export_predictor(predictor.id, tmp_path / "head.bin", "safetensors")
    with safe_open(tmp_path / "head.bin", "np") as file:
        assert file.metadata()


@pytest.mark.slow
def test_network_and_predictor_are_exported_as_one_graph(
    client: IISClient, image_job: str, predictor: PredictorView, tmp_path: Path
) -> None:
    client.export_predictor(predictor.id, tmp_path / "whole.image.onnx")
    session: Any = onnxruntime.InferenceSession(tmp_path / "whole.image.onnx")
    classes = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
    for index in (0, 7):
        with Image.open(io.BytesIO(client.image(image_job, index))) as view:  # as the network sees it
            pixels = np.asarray(view.convert("RGB"))[None]
        label, concepts, contributions = session.run(["label", "concepts", "contributions"], {"pixels": pixels})
        explanation = client.explain(image_job, index, kept=KEPT)
        largest = max([*explanation.supporting, *explanation.opposing], key=lambda share: abs(share.contribution))
        assert classes[label[0]] == explanation.interpretation.class_
        assert concepts[0, 0] == largest.concept
        assert contributions[0, 0] == pytest.approx(largest.contribution, abs=1e-3)


@pytest.mark.slow
def test_invalid_images_predictors_and_formats_are_refused(client: IISClient, predictor: PredictorView, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("This is not an image.")
    with pytest.raises(InvalidInputError, match=r"notes\.txt is not an image"):
        client.predict(predictor.id, tmp_path / "notes.txt")
    with pytest.raises(LocalFileError, match=r"There is no image .*missing\.png"):
        client.predict(predictor.id, tmp_path / "missing.png")
    with pytest.raises(NotFoundError, match="There is no predictor"):
        client.predictor("prd_00000000000000000000000000")
    with pytest.raises(ConfigurationError, match=r"\.onnx or \.image\.onnx, not as head\.pt"):
        client.export_predictor(predictor.id, tmp_path / "head.pt")


@pytest.mark.slow
def test_the_command_lists_predictors_by_number_of_concepts(iis: RunCommand, image_job: str, predictor: PredictorView) -> None:
    listed = json.loads(iis("predictors", image_job, "--json").stdout)
    kept = [one["kept"] for one in listed]
    assert kept == sorted(kept, reverse=True)
    shown = iis("predictors", image_job)
    assert shown.returncode == 0, shown.stderr
    assert predictor.id in shown.stdout


@pytest.mark.slow
def test_the_command_predicts_by_a_predictor_or_a_node_of_a_job(
    iis: RunCommand, client: IISClient, image_job: str, predictor: PredictorView, pictures: list[Path]
) -> None:
    found = client.predict(predictor.id, *pictures)
    assert json.loads(iis("predict", predictor.id, *pictures, "--json").stdout) == answer_json(found)
    assert json.loads(iis("predict", image_job, *pictures, "--kept", str(KEPT), "--json").stdout) == answer_json(found)
    shown = iis("predict", predictor.id, *pictures)
    assert shown.returncode == 0, shown.stderr
    assert all(one.name in shown.stdout and one.class_ in shown.stdout for one in found)


@pytest.mark.slow
def test_the_command_exports_a_predictor(iis: RunCommand, image_job: str, predictor: PredictorView, tmp_path: Path) -> None:
    assert iis("export", predictor.id, "--to", "one.safetensors").returncode == 0
    assert iis("export", image_job, "--kept", str(KEPT), "--to", "other.safetensors").returncode == 0
    assert (tmp_path / "one.safetensors").read_bytes() == (tmp_path / "other.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["predict", "{predictor}", "notes.txt"], "notes.txt is not an image"),
        (["predict", "{predictor}", "missing.png"], "There is no image missing.png"),
        (["predict", "{predictor}", "notes.txt", "--kept", "5"], "leave them out, or give the job"),
        (["predict", "{job}", "notes.txt", "--sparsity", "0.33"], "no node at sparsity = 0.33"),
        (["predict", "prd_00000000000000000000000000", "notes.txt"], "There is no predictor"),
        (["predictors", "job_00000000000000000000000000"], "There is no job"),
        (["export", "{predictor}", "--to", "head.pt"], ".safetensors, .onnx or .image.onnx"),
        (["export", "{predictor}", "--to", "missing/head.onnx"], "There is no folder missing"),
    ],
)
def test_errors_are_one_sentence_with_exit_code_1(
    iis: RunCommand, image_job: str, predictor: PredictorView, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "notes.txt").write_text("This is not an image.")
    done = iis(*[word.format(job=image_job, predictor=predictor.id) for word in arguments])
    assert done.returncode == 1
    assert done.stdout == ""
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
