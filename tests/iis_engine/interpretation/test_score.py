"""Any torch module is scored from data sets, loaders or folders, and what is found shows itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.base import clone
from torch import nn
from torch.utils.data import DataLoader, Subset

from iis_engine import Interpretability, Interpretation, VisionLanguageSpec, load_vision_language_model, score, shipped
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.errors import ArchitectureError, DataError, EngineError, SettingError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.interpretation.labelled_images import read_images
from iis_engine.scoring.score import score as score_dataset
from iis_engine.specs import BackboneSpec, ElementSpec, LibrarySpec, Preprocessing, ScoreSpec
from iis_engine.tracking.record import run_record
from support.coloured_images import CLASSES, SIDE_PIXELS, ColouredImages, colour_network, to_tensor

SMALL = LibrarySpec("cluster", 6)


def scored(train: object, test: object, **options: Any) -> Interpretation:
    return score(colour_network(), train, test, library=SMALL, device="cpu", progress=False, **options)


@pytest.fixture(scope="module")
def found() -> Interpretation:
    """The module scored from data sets of tensors."""
    return scored(ColouredImages(60, 0, to_tensor), ColouredImages(30, 1, to_tensor))


def test_a_module_is_scored_from_data_sets_of_tensors(found: Interpretation) -> None:
    report = found.report
    assert report.class_names == CLASSES
    assert (report.train_count, report.test_count, report.dimension, report.library["concept_count"]) == (60, 30, 24, 6)
    assert report.accuracy_representation > 0.9
    assert report.iis is not None


def test_the_representation_is_the_input_of_the_last_linear_layer_that_is_called_and_a_note_says_so(found: Interpretation) -> None:
    dataset = ColouredImages(30, 1, to_tensor)
    network = colour_network().eval()
    with torch.no_grad():
        expected = network.features(torch.stack([image for image, _ in dataset])).mean((2, 3))
    assert torch.allclose(found.features.X_test, expected, atol=1e-5)
    assert any("the last Linear layer" in note and "'classifier'" in note and "24 numbers" in note for note in found.report.notes)


def test_the_module_itself_does_not_change() -> None:
    network = colour_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Interpretability(network, library=SMALL, device="cpu", progress=False).fit(ColouredImages(12, 0, to_tensor))
    assert network.training
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_loader_that_shuffles_gives_the_same_score_as_its_data_set(found: Interpretation) -> None:
    train, test = ColouredImages(60, 0, to_tensor), ColouredImages(30, 1, to_tensor)
    shuffled = DataLoader(train, batch_size=7, shuffle=True, generator=torch.Generator().manual_seed(3))
    other = scored(shuffled, DataLoader(test, batch_size=4))
    assert other.report.iis == pytest.approx(found.report.iis, abs=0.02)
    assert {ref.box for ref in other.features.element_refs} == {ref.box for ref in found.features.element_refs}
    assert other.report.class_names == CLASSES


def test_pil_images_with_a_preprocessing_equal_the_tensors_that_it_makes(found: Interpretation) -> None:
    half = (0.5, 0.5, 0.5)
    for preprocess in (to_tensor, Preprocessing(input_size=SIDE_PIXELS, mean=half, std=half)):
        estimator = Interpretability(colour_network(), None, preprocess, SMALL, device="cpu", progress=False).fit(ColouredImages(60, 0))
        assert torch.allclose(estimator.fitted_.images.X, found.features.X_train, atol=1e-5)


def test_concepts_have_crops_from_the_training_images_and_show_as_a_gallery(found: Interpretation) -> None:
    assert len(found.concepts) == 6
    assert all(crop.size == (SIDE_PIXELS, SIDE_PIXELS) for concept in found.concepts for crop in concept.crops)
    assert found.concepts[0].crops
    assert list(found.concepts.to_frame()["concept"]) == list(range(6))
    importances = [concept.importance for concept in found.concepts.by_importance()]
    assert importances == sorted(importances, reverse=True)
    assert found.concepts._repr_html_().count("<img ") == sum(len(concept.crops) for concept in found.concepts)


def test_an_explanation_adds_up_and_its_exact_maps_have_the_activations_as_means(found: Interpretation) -> None:
    image, _ = ColouredImages(30, 1, to_tensor)[4]
    explanation = found.explain(image, kept=found.predictors.nodes[0])
    shown = explanation.to_dict()
    listed = sum(entry["contribution"] for entry in (*shown["supporting"], *shown["opposing"]))
    assert listed + shown["remainder"] + shown["bias"] == pytest.approx(shown["logit"], abs=1e-9)
    assert shown["heatmaps"]["exact"]
    activations = found.predictors.library.activations(found.backbone.embed(image[None]))[0]
    for concept in range(6):
        assert float(explanation.heat_map(concept).mean()) == pytest.approx(float(activations[concept]), abs=1e-4)
    assert explanation.prediction == found.predict([image], kept=found.predictors.nodes[0])[0]
    html = explanation._repr_html_()
    assert f"Why {explanation.prediction}?" in html
    assert html.count("<img ") == 1 + min(4, len(explanation.to_frame()))


def test_suppressing_every_concept_leaves_the_bias_alone(found: Interpretation) -> None:
    image, _ = ColouredImages(30, 1, to_tensor)[0]
    explanation = found.explain(image)
    changed = explanation.intervene(suppress=range(6))
    expected = explanation.explanation.predictor.bias.softmax(0).tolist()
    assert changed == pytest.approx(dict(zip(CLASSES, expected, strict=True)))
    assert list(changed.values()) == sorted(changed.values(), reverse=True)


def test_the_view_of_a_normalised_tensor_is_the_picture_it_was_made_from() -> None:
    from torchvision import transforms

    normalise = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))])
    dataset = ColouredImages(12, 0, normalise)
    estimator = Interpretability(colour_network(), library=SMALL, device="cpu", progress=False).fit(dataset)
    view = estimator.preprocessing_.view(dataset[5][0])
    assert np.abs(np.asarray(view).astype(int) - np.asarray(dataset.images[5]).astype(int)).max() <= 1


def test_report_and_interpretation_show_verdict_curve_and_gallery(found: Interpretation) -> None:
    html, report = found._repr_html_(), found.report
    for shown in (html, report._repr_html_()):
        assert report.verdict["sentence"].split(":")[0] in shown
        assert "<svg " in shown
    assert "most important" in html or "6 concepts" in html
    assert "most important" not in report._repr_html_()
    frame = found.to_frame()
    assert set(frame["curve"]) == {"library", "isotropic", "matched"}
    assert len(frame[frame["curve"] == "library"]) == len(report.points)
    assert found.to_dict()["report"]["iis"] == report.iis
    assert repr(found).startswith(f"<IIS {report.iis:.3f} (cluster): ")
    assert len(found.plot().axes) == 2
    assert run_record(found.to_dict()) == run_record(report.to_dict())
    assert run_record(found.to_dict()).metrics["iis"] == report.iis
    assert len(report.plot("accuracy").axes) == 1


def test_names_of_classes_and_concepts_are_escaped_in_html(found: Interpretation) -> None:
    hostile = "<script>alert(1)</script>"
    shown = replace(found.report, verdict={**found.report.verdict, "sentence": hostile}, notes=(hostile,))._repr_html_()
    assert hostile not in shown
    assert shown.count("&lt;script&gt;") == 2
    assert hostile not in replace(found.concepts[0], label=hostile)._repr_html_()


@pytest.mark.slow
def test_an_explanation_draws_itself(found: Interpretation, tmp_path: Path) -> None:
    figure = found.explain(ColouredImages(30, 1, to_tensor)[4][0]).plot()
    figure.savefig(tmp_path / "explanation.png")
    assert (tmp_path / "explanation.png").stat().st_size > 10_000


def test_the_estimator_has_the_manners_of_scikit_learn(found: Interpretation) -> None:
    estimator = Interpretability(colour_network(), library=SMALL, device="cpu", progress=False)
    copied: Any = clone(estimator)
    assert copied.get_params(deep=False).keys() == estimator.get_params(deep=False).keys()
    assert estimator.set_params(seed=1).seed == 1
    estimator.set_params(seed=0)
    with pytest.raises(SettingError, match="not scored yet"):
        _ = estimator.report_
    iis = estimator.fit(ColouredImages(60, 0, to_tensor)).score(ColouredImages(30, 1, to_tensor))
    assert iis == estimator.report_.iis == found.report.iis
    assert estimator.predict([ColouredImages(30, 1, to_tensor)[2][0]]) == ["blue"]
    estimator.fit(ColouredImages(12, 0, to_tensor))
    with pytest.raises(SettingError, match="not scored yet"):
        _ = estimator.report_


def test_scoring_before_fitting_is_refused() -> None:
    with pytest.raises(SettingError, match="not fitted yet"):
        Interpretability(colour_network()).score([])


@pytest.mark.slow
def test_a_backbone_and_a_folder_give_the_score_of_the_stages(image_folder: Any, tiny_checkpoint: Path) -> None:
    folder = image_folder({"cat": 12, "dog": 12, "owl": 12})
    spec = BackboneSpec("timm:test_resnet", {"num_classes": 7}, preprocessing=Preprocessing(input_size=32))
    backbone = load_backbone(spec, tiny_checkpoint, device="cpu")
    library, elements = LibrarySpec("prototype", 8), ElementSpec(images_per_class=3, scales=(2,))
    own = score(backbone, folder, library=library, elements=elements, device="cpu", progress=False).report
    expected = score_dataset(backbone, ScoreSpec(library, elements), dataset=read_image_folder(folder), device="cpu")
    assert [point.arr for point in own.points] == pytest.approx([point.arr for point in expected.points], abs=1e-6)
    assert [point.arr for point in own.controls["matched"].points] == pytest.approx(
        [point.arr for point in expected.controls["matched"].points], abs=1e-6
    )
    same = ("notes", "warnings", "configuration", "class_names", "train_count", "test_count")
    assert [getattr(own, name) for name in same] == [getattr(expected, name) for name in same]


def test_two_folders_are_the_two_splits(image_folder: Any) -> None:
    root = image_folder({"cat": 8, "dog": 8}, under="train")
    image_folder({"cat": 4, "dog": 4}, under="test")
    options: dict[str, Any] = {"preprocess": Preprocessing(input_size=SIDE_PIXELS), "library": SMALL, "device": "cpu", "progress": False}
    found = score(colour_network(), root / "train", str(root / "test"), **options)
    assert (found.report.train_count, found.report.test_count, found.report.class_names) == (16, 8, ("cat", "dog"))
    file = next((root / "test" / "cat").iterdir())
    assert found.explain(file).prediction in ("cat", "dog")
    with pytest.raises(DataError, match="has its own splits"):
        score(colour_network(), root, root / "test", **options)


def test_a_named_layer_is_the_representation() -> None:
    options: dict[str, Any] = {"library": SMALL, "device": "cpu", "progress": False}
    train, test = ColouredImages(24, 0, to_tensor), ColouredImages(12, 1, to_tensor)
    found = score(colour_network(), train, test, layer="features.1", **options)
    assert found.report.dimension == 12
    assert any("'features.1'" in note for note in found.report.notes)
    with pytest.raises(ArchitectureError, match="did you mean features"):
        score(colour_network(), train, test, layer="feature", **options)


def test_a_kind_of_library_has_at_most_half_as_many_concepts_as_elements() -> None:
    train, test = ColouredImages(6, 0, to_tensor), ColouredImages(12, 1, to_tensor)
    found = score(colour_network(), train, test, library="prototype", elements=ElementSpec(scales=(1,)), device="cpu", progress=False)
    assert found.report.library["concept_count"] == 3


class WithoutLinear(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))


def refused(error: type[EngineError], message: str, model: nn.Module, train: object, test: object, **options: Any) -> None:
    given: dict[str, Any] = {"library": SMALL, "device": "cpu", "progress": False, **options}
    with pytest.raises(error, match=message):
        score(model, train, test, **given)


def test_inputs_that_cannot_be_scored_are_refused_with_advice() -> None:
    network, tensors, pictures = colour_network(), ColouredImages(12, 0, to_tensor), ColouredImages(12, 0)
    refused(ArchitectureError, "calls no Linear layer", WithoutLinear(), tensors, tensors)
    refused(SettingError, "has no preprocessing of its own; give preprocess", network, pictures, pictures)
    refused(SettingError, "Preprocessing applies to PIL images", network, tensors, tensors, preprocess=Preprocessing(input_size=16))
    refused(SettingError, "give Preprocessing.input_size", network, pictures, pictures, preprocess=Preprocessing())
    refused(DataError, r"of 1 or 3 channels", network, [(torch.zeros(4, 8, 8), 0)], tensors)
    refused(DataError, "Each item must be", network, [{"image": torch.zeros(3, 8, 8), "label": 0}], tensors)
    refused(DataError, "one whole number or a text", network, [(torch.zeros(3, 16, 16), torch.zeros(3))], tensors)
    refused(DataError, "resize and crop all images to one size", network, tensors, [(torch.zeros(3, 8, 8), 0)])
    refused(DataError, "not finite", network, tensors, [(torch.full((3, 16, 16), torch.nan), 0)])
    refused(DataError, "one class", network, Subset(tensors, [0, 3]), tensors)
    refused(DataError, "without training images: blue", network, Subset(tensors, [0, 1, 3, 4]), tensors)
    refused(DataError, "no test image: green, blue", network, tensors, Subset(tensors, [0]))
    refused(SettingError, "needs more than images", network, tensors, tensors, library="text")
    refused(DataError, "The source has no images", network, [], tensors)
    refused(DataError, "is not a source of images", network, 3, tensors)
    refused(DataError, "test images are missing", network, tensors, None)
    refused(ArchitectureError, "rejects an image of 3 x 16 x 16", nn.Sequential(nn.Flatten(), nn.Linear(5, 2)), tensors, tensors)


def test_ready_features_are_sent_to_the_function_that_scores_them() -> None:
    features: Any = FeatureSet(torch.zeros(2, 2), torch.tensor([0, 1]), torch.zeros(2, 2), torch.tensor([0, 1]), ("a", "b"))
    with pytest.raises(SettingError, match="score_features"):
        score(features, features)


def test_images_in_both_splits_are_warned_of() -> None:
    images = ColouredImages(30, 0, to_tensor)
    warnings = scored(images, Subset(images, range(12))).report.warnings
    assert any("12 images of the test split are also in the train split" in warning for warning in warnings)


def test_labels_that_are_texts_name_the_classes() -> None:
    pairs = [(to_tensor(Image.new("RGB", (8, 8))), "b"), (to_tensor(Image.new("RGB", (8, 8), "white")), "a")]
    assert [item.label.name for item in read_images(pairs).iterate()] == ["b", "a"]


@pytest.mark.slow
def test_a_vision_language_model_names_the_concepts(tmp_path: Path) -> None:
    arguments: dict[str, Any] = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1},
    }
    torch.manual_seed(0)
    clip: Any = open_clip.create_model("ViT-B-32", pretrained_text=False, **arguments)
    save_file({key: tensor.contiguous() for key, tensor in clip.state_dict().items()}, tmp_path / "clip.safetensors")
    vlm = load_vision_language_model(VisionLanguageSpec("open_clip:ViT-B-32", arguments), tmp_path / "clip.safetensors", device="cpu")
    train, test = ColouredImages(24, 0, to_tensor), ColouredImages(12, 1, to_tensor)
    found = scored(train, test, vlm=vlm, vocabulary=shipped("colours").phrases)
    names = found.report.library["names"]
    assert names["named"] + names["unnamed"] == 6
    assert sum(concept.label is not None for concept in found.concepts) == names["named"]
    assert all(concept.title == (concept.label or f"cluster {concept.concept}") for concept in found.concepts)
