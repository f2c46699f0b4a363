"""Trained weights of a network, the mode of its layers, and the equality of the trained and the scored f."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from iis_engine.backbones.architectures import build_network
from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.finetuning.network import Representation, TrainedWeights, last_stage
from iis_engine.specs import BackboneSpec, Preprocessing, TrainedPart

SMALL = Preprocessing(input_size=64)
IMAGES = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
DRY = torch.zeros(2, 3, 64, 64)
VISION = {"layers": 4, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64}


def loaded(spec: BackboneSpec, folder: Path) -> TorchBackbone:
    """A backbone of random weights."""
    torch.manual_seed(0)
    network = build_network(spec)
    save_file({key: tensor.clone() for key, tensor in network.module.state_dict().items()}, folder / "w.safetensors")
    backbone = load_backbone(spec, folder / "w.safetensors", device="cpu")
    assert isinstance(backbone, TorchBackbone)
    return backbone


@pytest.mark.parametrize(
    "spec",
    [
        BackboneSpec("timm:test_resnet", preprocessing=SMALL),
        BackboneSpec("timm:test_vit", {"img_size": 64}, preprocessing=SMALL),
        BackboneSpec("timm:test_resnet", layer="layer2", preprocessing=SMALL),
        BackboneSpec("torchvision:shufflenet_v2_x0_5", preprocessing=SMALL),
        BackboneSpec("open_clip:ViT-B-32", {"embed_dim": 24, "vision_cfg": VISION}),
    ],
    ids=["timm", "timm-tokens", "layer", "torchvision", "open_clip"],
)
@pytest.mark.filterwarnings("ignore")
def test_the_trained_representation_equals_the_scored_one(spec: BackboneSpec, tmp_path: Path) -> None:
    backbone = loaded(spec, tmp_path)
    f = Representation(backbone.copy_network(), spec.layer, None)
    features = f(IMAGES)
    assert torch.equal(features, backbone.embed(IMAGES))
    trained = TrainedWeights(f, "all", DRY, untrained=False)
    f(IMAGES).sum().backward()
    assert trained.names
    assert all(parameter.grad is not None for _, parameter in trained.parameters())
    assert not any(parameter.requires_grad for parameter in backbone.copy_network().module.parameters())


@pytest.mark.parametrize(
    ("architecture", "stage"),
    [
        ("timm:resnet18", "layer4"),
        ("timm:resnet50d", "layer4"),
        ("timm:vit_tiny_patch16_224", "blocks.11"),
        ("timm:convnext_tiny", "stages.3"),
        ("timm:swin_tiny_patch4_window7_224", "layers.3"),
        ("timm:mobilenetv2_100", "blocks.6"),
        ("torchvision:resnet50", "layer4"),
        ("torchvision:vit_b_16", "encoder.layers.encoder_layer_11"),
        ("torchvision:vgg11", "classifier"),
        ("torchvision:mobilenet_v2", "features.17"),
        ("torchvision:densenet121", "features.denseblock4"),
    ],
)
def test_the_last_stage_is_that_of_the_architecture(architecture: str, stage: str) -> None:
    with torch.device("meta"):
        network = build_network(BackboneSpec(architecture))
    names = [name for name, _ in network.module.named_parameters()]
    assert last_stage(network.module, frozenset(name for name in names if not name.startswith(network.head))) == stage


def replica_of(module: nn.Module) -> nn.Module:
    """The copy that DataParallel puts on each device: shallow, with the hooks of the original."""
    replica: nn.Module = module._replicate_for_data_parallel()
    for name, parameter in module._parameters.items():  # a layer without a bias has the parameter None
        setattr(replica, name, parameter)
    for name, child in module.named_children():
        setattr(replica, name, replica_of(child))
    return replica


@pytest.mark.parametrize(
    "spec", [BackboneSpec("torchvision:shufflenet_v2_x0_5", preprocessing=SMALL), BackboneSpec("timm:test_resnet", layer="layer2")]
)
@pytest.mark.filterwarnings("ignore")
def test_replicas_in_threads_do_not_mix_their_images(spec: BackboneSpec, tmp_path: Path) -> None:
    f = Representation(loaded(spec, tmp_path).copy_network(), spec.layer, None)
    batches = [torch.rand(2, 3, 64, 64) for _ in range(12)]
    expected = [f(batch) for batch in batches]
    replicas = [replica_of(f) for _ in batches]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(nn.Module.__call__, replicas, batches))
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def first_parts(trains: TrainedPart, spec: BackboneSpec, folder: Path) -> tuple[TrainedWeights, Representation, set[str]]:
    f = Representation(loaded(spec, folder).copy_network(), spec.layer, None)
    trained = TrainedWeights(f, trains, DRY, untrained=False)
    return trained, f, {name.partition(".")[0] for name in trained.names}


def test_every_weight_of_the_representation_trains_and_the_classifier_does_not(tmp_path: Path) -> None:
    _, f, parts = first_parts("all", BackboneSpec("timm:test_resnet", preprocessing=SMALL), tmp_path)
    assert parts == {"conv1", "bn1", "layer1", "layer2", "layer3", "layer4"}
    assert not any(parameter.requires_grad for name, parameter in f.module.named_parameters() if name.startswith("fc."))


def test_the_last_stage_trains_with_the_layers_after_it(tmp_path: Path) -> None:
    trained, _, parts = first_parts("last", BackboneSpec("timm:test_vit", {"img_size": 64}, preprocessing=SMALL), tmp_path)
    assert trained.stage == "blocks.5"
    assert parts == {"blocks", "norm"}
    assert {name.split(".")[1] for name in trained.names if name.startswith("blocks.")} == {"5"}


def test_a_projection_that_is_a_bare_parameter_follows_the_last_stage_too(tmp_path: Path) -> None:
    spec = BackboneSpec("open_clip:ViT-B-32", {"embed_dim": 24, "vision_cfg": VISION})
    trained, _, parts = first_parts("last", spec, tmp_path)
    assert trained.stage == "transformer.resblocks.3"
    assert parts == {"transformer", "ln_post", "proj"}


def test_the_last_stage_is_that_of_the_chosen_layer(tmp_path: Path) -> None:
    _, _, parts = first_parts("last", BackboneSpec("timm:test_resnet", layer="layer2", preprocessing=SMALL), tmp_path)
    assert parts == {"layer2"}


def test_training_the_head_alone_does_not_change_f(tmp_path: Path) -> None:
    trained, f, parts = first_parts("head", BackboneSpec("timm:test_resnet", preprocessing=SMALL), tmp_path)
    assert parts == set()
    assert trained.moving_state() == {}
    trained.train()
    before = {key: tensor.clone() for key, tensor in f.module.state_dict().items()}
    f(IMAGES)
    assert all(torch.equal(before[key], tensor) for key, tensor in f.module.state_dict().items())


def with_statistics(folder: Path) -> Representation:
    """A residual network that has seen some images, so that its running statistics are those of data."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=7).train()
    for _ in range(2):
        network(torch.rand(8, 3, 64, 64))
    save_file(network.state_dict(), folder / "seen.safetensors")
    spec = BackboneSpec("timm:test_resnet", preprocessing=SMALL)
    backbone = load_backbone(spec, folder / "seen.safetensors", device="cpu")
    assert isinstance(backbone, TorchBackbone)
    return Representation(backbone.copy_network(), None, None)


def norms(f: Representation) -> dict[str, nn.BatchNorm2d]:
    return {name: part for name, part in f.module.named_modules() if isinstance(part, nn.BatchNorm2d)}


def test_batch_statistics_are_updated_only_in_trained_layers(tmp_path: Path) -> None:
    f = with_statistics(tmp_path)
    trained = TrainedWeights(f, "last", DRY, untrained=False)
    before = {name: norm.running_mean.clone() for name, norm in norms(f).items() if norm.running_mean is not None}
    trained.train()
    f(IMAGES)
    moved = {name for name, norm in norms(f).items() if norm.running_mean is not None and not torch.equal(before[name], norm.running_mean)}
    assert moved == {name for name in before if name.startswith("layer4.")}
    trained.evaluate()
    assert not any(norm.training for norm in norms(f).values())


def test_batch_statistics_folded_into_the_weights_are_not_recomputed(tmp_path: Path) -> None:
    """Folding leaves mean 0 and variance 1, as in networks converted from integers; batch statistics would change the outputs."""
    f = Representation(loaded(BackboneSpec("timm:test_resnet", preprocessing=SMALL), tmp_path).copy_network(), None, None)
    trained = TrainedWeights(f, "all", DRY, untrained=False)
    trained.evaluate()
    before = f(IMAGES)
    trained.train()
    assert torch.equal(f(IMAGES), before)
    assert (trained.takes_batch_statistics, trained.folded_count) == (False, len(norms(f)))


def test_batch_statistics_of_an_untrained_network_are_computed(tmp_path: Path) -> None:
    """They have mean 0 and variance 1, as folded ones."""
    f = Representation(loaded(BackboneSpec("timm:test_resnet", preprocessing=SMALL), tmp_path).copy_network(), None, None)
    trained = TrainedWeights(f, "all", DRY, untrained=True)
    assert (trained.takes_batch_statistics, trained.folded_count) == (True, 0)
    trained.train()
    f(IMAGES)
    assert all(norm.running_mean is not None and bool(norm.running_mean.any()) for norm in norms(f).values())


def test_frozen_batch_normalisation_computes_no_batch_statistics(tmp_path: Path) -> None:
    f = with_statistics(tmp_path)
    assert not TrainedWeights(f, "head", DRY, untrained=False).takes_batch_statistics
    assert TrainedWeights(f, "last", DRY, untrained=False).takes_batch_statistics


def test_half_precision_gives_the_same_representation_but_for_rounding(tmp_path: Path) -> None:
    backbone = loaded(BackboneSpec("timm:test_resnet", preprocessing=SMALL), tmp_path)
    full, half = (Representation(backbone.copy_network(), None, dtype)(IMAGES) for dtype in (None, torch.bfloat16))
    assert half.dtype == torch.float32
    assert not torch.equal(full, half)
    assert torch.allclose(full, half, atol=3e-2 * float(full.abs().max()))
