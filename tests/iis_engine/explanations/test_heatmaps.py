"""Heat maps: exact ones average to the activation, occlusion measures the loss, overlays show both signs."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.cifar_resnet import export_onnx, load_cifar_resnet
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.decoding.images import load_image
from iis_engine.errors import DataError, LibraryError
from iis_engine.explanations.heatmaps import HeatMaps, heat_maps, network_view, normalised_maps, overlay, png_bytes
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.specs import BackboneSpec, Preprocessing

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
MOBILENETS = {
    "imagenet_mobilenetv1_025": ("mobilenetv1_100", {"channel_multiplier": 0.25, "pad_type": "same"}, 128),
    "imagenet_mobilenetv2_100_tf2ptq": ("mobilenetv2_100", {"pad_type": "same"}, 224),
}
RED, BLUE = [214, 39, 40], [31, 95, 168]


def directions(count: int, width: int) -> Tensor:
    return normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(3)), dim=1)


def max_pooled(folder: Path, size: tuple[int, int], channels: int = 3) -> Backbone:
    """A network whose representation is the largest positive value of each channel, which no map averages to."""
    nodes = [
        helper.make_node("Relu", ["images"], ["positive"]),
        helper.make_node("GlobalMaxPool", ["positive"], ["largest"]),
        helper.make_node("Flatten", ["largest"], ["representation"]),
        helper.make_node("MatMul", ["representation", "W"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", channels, *size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((channels, 2), np.float32), "W")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "a.onnx")
    return load_backbone(BackboneSpec("onnx"), folder / "a.onnx", device="cpu")


def require_exact(backbone: Backbone, photo: Image.Image) -> HeatMaps:
    maps = heat_maps(backbone, directions(20, backbone.num_features), backbone.preprocess(photo)[None])
    assert maps.method == "feature_map"
    assert maps.exact
    assert maps.values.dtype == torch.float32
    assert maps.values.shape[0] == len(maps.activations) == 20
    assert maps.values.shape[1:].numel() > 1
    error = (maps.values.double().mean((1, 2)) - maps.activations).abs()
    assert float((error / maps.values.abs().amax((1, 2))).max()) < 1e-5
    require_exact_as_read(backbone, photo)
    return maps


def require_exact_as_read(backbone: Backbone, photo: Image.Image) -> None:
    """Check visual concepts, normalised together, and text concepts, standardised one by one."""
    vectors, batch = directions(20, backbone.num_features), backbone.preprocess(photo)[None]
    means = torch.cat([torch.full((12,), torch.nan), torch.linspace(-1, 1, 8)]).double()
    deviations = torch.cat([torch.full((12,), torch.nan), torch.linspace(0.5, 2, 8)]).double()
    library = ConceptLibrary("combined", vectors, ("cluster",) * 12 + ("text",) * 8, (), means, deviations)
    values = normalised_maps(heat_maps(backbone, vectors, batch), library)
    error = (values.double().mean((1, 2)) - library.activations(backbone.embed(batch))[0]).abs()
    assert float((error / values.abs().amax((1, 2))).max()) < 1e-5


@pytest.mark.parametrize("name", MOBILENETS)
def test_maps_of_a_real_mobilenet_average_to_the_activations(name: str, shared_data: Path) -> None:
    architecture, arguments, size = MOBILENETS[name]
    wanted = Preprocessing(input_size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic", crop_pct=0.875)
    spec = BackboneSpec(f"timm:{architecture}", arguments, preprocessing=wanted)
    backbone = load_backbone(spec, shared_data / "weights" / f"{name}.safetensors", device="cpu")
    for path in sorted((shared_data / "flowers17" / "test" / "Sunflower").iterdir())[:2]:
        require_exact(backbone, load_image(path))


def test_maps_of_a_real_cifar_resnet_from_onnx_average_to_the_activations(shared_data: Path, tmp_path: Path) -> None:
    export_onnx(load_cifar_resnet(shared_data / "weights" / "cifar10_resnet20.safetensors", 20), tmp_path / "resnet20.onnx")
    backbone = load_backbone(BackboneSpec("onnx"), tmp_path / "resnet20.onnx", device="cpu")
    for path in sorted((shared_data / "cifar10" / "test").glob("*/*"))[:2]:
        require_exact(backbone, load_image(path))


def test_an_exact_map_is_the_inner_product_at_each_place(tiny_checkpoint: Path) -> None:
    backbone = load_backbone(BackboneSpec("timm:test_resnet"), tiny_checkpoint, device="cpu")
    image = torch.randn(1, 3, *backbone.input_size)
    features, concepts = backbone.feature_map(image), directions(3, 96)
    assert features is not None
    maps = heat_maps(backbone, concepts, image)
    assert torch.allclose(maps.values[2, 1, 3], features[0, :, 1, 3] @ concepts[2], atol=1e-5)
    assert maps.note.startswith("Exact: ")


def test_a_network_that_normalises_after_pooling_has_an_approximate_token_map(tmp_path: Path) -> None:
    save_file(timm.create_model("test_convnext").state_dict(), tmp_path / "w.safetensors")
    backbone = load_backbone(BackboneSpec("timm:test_convnext"), tmp_path / "w.safetensors", device="cpu")
    image = torch.randn(1, 3, *backbone.input_size)
    tokens, concepts = backbone.token_map(image), directions(2, 64)
    assert tokens is not None
    maps = heat_maps(backbone, concepts, image)
    assert (maps.method, maps.exact) == ("tokens", False)
    assert maps.note.startswith("Approximate: ")
    assert torch.allclose(maps.values[1], torch.einsum("d,dhw->hw", concepts[1], tokens[0]), atol=1e-5)
    assert torch.allclose(maps.activations, (backbone.embed(image) @ concepts.T)[0].double(), atol=1e-5)


def test_occlusion_finds_the_place_that_a_maximum_comes_from(tmp_path: Path) -> None:
    backbone = max_pooled(tmp_path, (14, 21))
    image = torch.zeros(1, 3, 14, 21)
    image[0, 0, 5, 16] = 3.0  # row 2 of cells of 2 pixels, column 5 of cells of 3
    image[0, 0, 0, 0] = 1.0
    image[0, 1, 13, 20] = 2.0
    concepts = torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0]])
    maps = heat_maps(backbone, concepts, image)
    assert (maps.method, maps.exact) == ("occlusion", False)
    assert maps.activations.tolist() == [3.0, -2.0, 0.0]
    expected = torch.zeros(3, 7, 7)
    expected[0, 2, 5] = 2.0  # without it the value 1 in the corner is the largest
    expected[1, 6, 6] = -2.0
    assert torch.equal(maps.values, expected)


def test_an_occlusion_loss_is_divided_by_the_deviation_of_the_activations(tmp_path: Path) -> None:
    backbone = max_pooled(tmp_path, (14, 14))
    batch = torch.zeros(1, 3, 14, 14)
    batch[0, 0, 3, 3] = 2.0
    means, deviations = torch.tensor([5.0, 7.0]).double(), torch.tensor([4.0, 0.5]).double()
    library = ConceptLibrary("text", torch.eye(3)[:2], ("text",) * 2, (), means, deviations)
    found = heat_maps(backbone, library.vectors, batch)
    values = normalised_maps(found, library)
    assert found.method == "occlusion"
    assert float(found.values[0].max()) == 2.0
    assert torch.equal(values[0], found.values[0] / 4)
    assert not values[1].any()


def test_an_image_smaller_than_the_grid_is_occluded_pixel_by_pixel(tmp_path: Path) -> None:
    backbone = max_pooled(tmp_path, (2, 5))
    image = torch.zeros(1, 3, 2, 5)
    image[0, 2, 1, 4] = 1.0
    maps = heat_maps(backbone, torch.eye(3), image)
    assert maps.values.shape == (3, 2, 5)
    assert maps.values.nonzero().tolist() == [[2, 1, 4]]


def test_a_network_with_a_class_token_is_occluded(tmp_path: Path) -> None:
    save_file(timm.create_model("test_vit").state_dict(), tmp_path / "w.safetensors")
    backbone = load_backbone(BackboneSpec("timm:test_vit"), tmp_path / "w.safetensors", device="cpu")
    maps = heat_maps(backbone, directions(2, 64), torch.randn(1, 3, *backbone.input_size))
    assert maps.method == "occlusion"
    assert maps.values.shape == (2, 7, 7)


@pytest.mark.parametrize("shape", [(4, 7), (96,), (0, 95)])
def test_concepts_of_another_network_are_refused(shape: tuple[int, ...], tiny_checkpoint: Path) -> None:
    backbone = load_backbone(BackboneSpec("timm:test_resnet"), tiny_checkpoint, device="cpu")
    with pytest.raises(LibraryError, match="built with this network"):
        heat_maps(backbone, torch.zeros(shape), torch.zeros(1, 3, *backbone.input_size))


@pytest.mark.parametrize("shape", [(2, 3, 160, 160), (3, 160, 160), (1, 1, 160, 160), (1, 3, 64, 64)])
def test_more_than_one_image_or_one_of_another_size_is_refused(shape: tuple[int, ...], tiny_checkpoint: Path) -> None:
    backbone = load_backbone(BackboneSpec("timm:test_resnet"), tiny_checkpoint, device="cpu")
    with pytest.raises(DataError, match="one preprocessed image of 3 x 160 x 160"):
        heat_maps(backbone, torch.zeros(1, 96), torch.zeros(shape))


def test_an_overlay_is_red_for_and_blue_against_and_opaque_by_magnitude() -> None:
    layer = overlay(np.array([[2.0, -1.0]]), (1, 2))
    assert layer.dtype == np.uint8
    assert layer.tolist() == [[[*RED, 190], [*BLUE, 95]]]
    assert overlay(np.array([[2.0, -1.0]]), (1, 2), scale=8.0)[..., 3].tolist() == [[48, 24]]
    assert overlay(np.array([[2.0, -1.0]]), (1, 2), scale=1.0)[..., 3].tolist() == [[190, 190]]


def test_an_overlay_has_the_size_of_the_input_and_grows_smoothly() -> None:
    layer = overlay(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), (30, 40))
    assert layer.shape == (30, 40, 4)
    assert layer[0, -1, 3] == 190
    assert layer[-1].max() <= 214
    assert layer[-1, :, 3].max() == 0
    across = layer[0, :, 3].astype(int)
    assert (np.diff(across) >= 0).all()
    assert np.diff(across).max() < 20


@pytest.mark.parametrize("scale", [None, 0.0])
def test_a_map_of_zeros_is_transparent(scale: float | None) -> None:
    assert overlay(np.zeros((3, 3)), (6, 6), scale)[..., 3].max() == 0


def test_the_network_view_shows_the_input_before_normalisation(tiny_checkpoint: Path) -> None:
    backbone = load_backbone(BackboneSpec("timm:test_resnet"), tiny_checkpoint, device="cpu")
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    view = network_view(backbone, photo)
    assert view.size == (160, 160)
    assert torch.equal(backbone.normalize(np.asarray(view)), backbone.preprocess(photo))


def test_the_view_of_a_network_of_one_channel_is_grey(tmp_path: Path) -> None:
    backbone = max_pooled(tmp_path, (8, 6), channels=1)
    view = network_view(backbone, Image.new("RGB", (6, 8), (250, 20, 20)))
    assert (view.mode, view.size) == ("RGB", (6, 8))
    red, green, blue = np.asarray(view).reshape(-1, 3).T
    assert (red == green).all()
    assert (green == blue).all()


@pytest.mark.parametrize("channels", [3, 4])
def test_png_bytes_hold_the_pixels(channels: int) -> None:
    pixels: np.ndarray[Any, Any] = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    assert np.array_equal(np.asarray(Image.open(BytesIO(png_bytes(pixels)))), pixels)
    assert np.array_equal(np.asarray(Image.open(BytesIO(png_bytes(Image.fromarray(pixels))))), pixels)
