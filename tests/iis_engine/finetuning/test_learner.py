"""One step of fine-tuning: exact gradients through the hard mask, equal for any division into batches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import nullcontext
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.errors import OutOfMemory, SettingError
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.heads import Heads
from iis_engine.finetuning.images import Images, Step
from iis_engine.finetuning.learner import Learner, devices_for
from iis_engine.heads.sparsify import magnitude_ranks
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.random import build_random
from iis_engine.specs import BackboneSpec, LibrarySpec, Preprocessing

CLASSES = 3


@pytest.fixture(scope="module")
def backbone(tiny_checkpoint: Path) -> TorchBackbone:
    loaded = load_backbone(BackboneSpec("timm:test_resnet", preprocessing=Preprocessing(input_size=32)), tiny_checkpoint, device="cpu")
    assert isinstance(loaded, TorchBackbone)
    return loaded


@pytest.fixture
def images() -> Images:
    random = np.random.default_rng(0)
    return Images(random.integers(0, 256, (7, 32, 32, 3), dtype=np.uint8), torch.from_numpy(random.integers(0, CLASSES, 7)))


def step_of(*portions: Images) -> Step:
    """A step of images in memory."""
    return Step(sum(len(each.labels) for each in portions), iter(portions), lambda: nullcontext(iter(portions)))


def heads(dimension: int, concept_count: int = 12, sparsity: float = 0.5) -> Heads:
    generator = torch.Generator().manual_seed(1)
    h, g_cls = (torch.randn(rows + 1, CLASSES, generator=generator) / rows**0.5 for rows in (dimension, concept_count))
    return Heads(h, build_random(dimension, concept_count, 2), g_cls, sparsity)


def learner(backbone: TorchBackbone, weight: float = 1.0, batch_size: int = 64) -> Learner:
    spec = FinetuneSpec(LibrarySpec("random", 12), batch_size=batch_size, learning_rate=1e-2)
    return Learner(backbone, spec, weight, heads(backbone.num_features))


def interpretation_loss(parts: Heads, features: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(parts.logits(features, features)[1], labels)


def test_the_gradient_through_the_hard_mask_is_that_of_finite_differences() -> None:
    """The mask is constant where no two magnitudes meet, so it only decides which activations the gradient goes through."""
    parts = heads(16)
    features = torch.randn(5, 16, generator=torch.Generator().manual_seed(3), requires_grad=True)
    labels = torch.tensor([0, 1, 2, 0, 1])
    (gradient,) = torch.autograd.grad(interpretation_loss(parts, features, labels), features)
    ranks = magnitude_ranks(parts.library.activations(features.detach()))
    step, checked = 1e-2, 0
    with torch.no_grad():
        for row in range(5):
            for column in range(16):
                moved = [features.detach().clone() for _ in range(2)]
                moved[0][row, column] += step
                moved[1][row, column] -= step
                kept = [magnitude_ranks(parts.library.activations(each)) < parts.kept for each in moved]
                if not all(torch.equal(mask, ranks < parts.kept) for mask in kept):
                    continue  # a tie lies between: the loss jumps there
                up, down = (interpretation_loss(parts, each, labels) for each in moved)
                assert float((up - down) / (2 * step)) == pytest.approx(float(gradient[row, column]), abs=2e-4)
                checked += 1
    assert checked > 60


def test_zeroed_activations_pass_no_gradient_to_their_weights() -> None:
    parts = heads(16, sparsity=0.75)
    features = torch.randn(1, 16, generator=torch.Generator().manual_seed(3))
    interpretation_loss(parts, features, torch.tensor([0])).backward()
    kept = magnitude_ranks(parts.library.activations(features))[0] < 3
    gradient = parts.g_cls.weight.grad
    assert gradient is not None
    assert torch.equal(gradient.abs().sum(0) > 0, kept)


def test_the_gradient_of_a_constant_activation_row_is_zero_and_not_nan() -> None:
    features = torch.zeros(2, 16, requires_grad=True)
    interpretation_loss(heads(16), features, torch.tensor([0, 1])).backward()
    assert features.grad is not None
    assert torch.equal(features.grad, torch.zeros(2, 16))


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_a_step_follows_the_gradient_of_equation_8(backbone: TorchBackbone, images: Images, weight: float) -> None:
    one, other = learner(backbone, weight), learner(backbone)
    one.step(step_of(images), 1e-2)
    inputs = backbone.transform.normalize(torch.from_numpy(images.pixels))
    losses = other.losses(inputs, images.labels)
    (_, first), *_ = other.trained.parameters()
    (of_h,) = torch.autograd.grad(losses.representation, first, retain_graph=True)
    (of_g_cls,) = torch.autograd.grad(losses.interpretation, first)
    (_, moved), *_ = one.trained.parameters()
    assert moved.grad is not None
    assert float(of_g_cls.abs().max()) > 1e-3
    assert torch.allclose(moved.grad, of_h + weight * of_g_cls, atol=1e-6)


def gradients_of(one: Learner, images: Images) -> tuple[tuple[float, float], dict[str, Tensor]]:
    """The losses of a step, and the weights of f and the heads after it."""
    losses = one.step(step_of(images), 1e-2)
    return losses, {**one.weights(), **{f"g_cls.{key}": tensor for key, tensor in one.heads.g_cls.state_dict().items()}}


def close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float) -> bool:
    return all(torch.allclose(one[key].float(), other[key].float(), atol=tolerance) for key in one)


def test_a_step_divided_into_small_batches_is_the_same_step(backbone: TorchBackbone, images: Images) -> None:
    """With SGD, since AdamW's first step depends on the sign of a gradient alone, and with a network without batch statistics."""

    def trained(batch_size: int) -> tuple[tuple[float, float], dict[str, Tensor]]:
        spec = FinetuneSpec(LibrarySpec("random", 12), optimizer="sgd", batch_size=batch_size)
        return gradients_of(Learner(backbone, spec, 1.0, heads(backbone.num_features)), images)

    whole_losses, whole = trained(64)
    parted_losses, parted = trained(2)
    assert whole_losses == pytest.approx(parted_losses, rel=1e-5)
    assert close(whole, parted, 1e-6)


def make_memory_scarce(monkeypatch: pytest.MonkeyPatch, one: Learner, fails: Callable[[int, int], bool]) -> list[int]:
    """Make a learner run out of memory where fails(number of the batch from 1, images in it); returns the growing list of batch sizes."""
    sizes, losses = list[int](), one.losses

    def scarce(inputs: Tensor, labels: Tensor) -> object:
        sizes.append(len(labels))
        if fails(len(sizes), len(labels)):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return losses(inputs, labels)

    monkeypatch.setattr(one, "losses", scarce)
    return sizes


def test_a_step_that_runs_out_of_memory_is_taken_again_in_halves(
    backbone: TorchBackbone, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second failure comes when a first part has left gradients, which must not be counted twice."""
    one = learner(backbone)
    sizes = make_memory_scarce(monkeypatch, one, lambda tries, _: tries in {1, 3})
    found, weights = gradients_of(one, images)
    expected, alike = gradients_of(learner(backbone, batch_size=1), images)
    assert sizes == [7, 2, 3, *[1] * 7]
    assert one.state()[1]["batch_size"] == 1
    assert found == expected
    assert all(torch.equal(weights[key], alike[key]) for key in weights)


@pytest.fixture(scope="module")
def normalised() -> TorchBackbone:
    """A network with trained batch normalisation, whose last layers have one location per image."""
    spec = BackboneSpec("timm:test_resnet", preprocessing=Preprocessing(input_size=32), initial_seed=0)
    loaded = load_backbone(spec, None, device="cpu")
    assert isinstance(loaded, TorchBackbone)
    return loaded


def test_batch_normalisation_never_gets_one_image_when_memory_is_scarce(
    normalised: TorchBackbone, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = learner(normalised)
    sizes = make_memory_scarce(monkeypatch, one, lambda _, size: size > 3)
    one.step(step_of(images), 1e-2)
    assert sizes == [7, 2, 3, 2]
    make_memory_scarce(monkeypatch, one, lambda _number, _size: True)
    with pytest.raises(OutOfMemory, match="Not even two images fit"):
        one.step(step_of(images), 1e-2)


def test_batches_of_one_image_are_refused_where_batch_normalisation_is_trained(normalised: TorchBackbone) -> None:
    with pytest.raises(SettingError, match="batch_size must be 2 or more for this network") as refused:
        learner(normalised, batch_size=1)
    assert refused.value.param == "batch_size"


def test_devices_share_a_batch_only_where_each_gets_enough() -> None:
    for image_count, device_count, least in product(range(1, 20), range(1, 9), (1, 2)):
        devices = devices_for(image_count, device_count, least)
        dealt = [len(part) for part in torch.arange(image_count).chunk(devices)]
        assert 1 <= devices <= device_count
        assert devices == 1 or min(dealt) >= least


def test_a_network_too_large_for_one_image_is_refused(backbone: TorchBackbone, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_inputs: Tensor, _labels: Tensor) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    one = learner(backbone)
    monkeypatch.setattr(one, "losses", full)
    with pytest.raises(OutOfMemory, match="while this network is trained"):
        one.step(step_of(images), 1e-2)


def test_other_runtime_errors_are_raised(backbone: TorchBackbone, images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_inputs: Tensor, _labels: Tensor) -> object:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    one = learner(backbone)
    monkeypatch.setattr(one, "losses", broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        one.step(step_of(images), 1e-2)


def test_a_loss_that_is_not_finite_names_the_learning_rate(backbone: TorchBackbone, images: Images) -> None:
    one = learner(backbone)
    one.step(step_of(images), 1e30)
    with pytest.raises(SettingError, match="send a smaller learning_rate") as refused:
        one.step(step_of(images), 1e30)
    assert (refused.value.code, refused.value.param) == ("training_diverged", "learning_rate")


def test_in_the_control_g_cls_is_trained_without_effect_on_f(backbone: TorchBackbone, images: Images) -> None:
    with_library, without = learner(backbone, 0.0), learner(backbone, 0.0)
    without.heads.library = ConceptLibrary("random", -with_library.heads.library.vectors.flip(0), ("random",) * 12, ((),) * 12)
    before = copy.deepcopy(with_library.heads.g_cls.weight)
    for _ in range(3):
        with_library.step(step_of(images), 1e-2)
        without.step(step_of(images), 1e-2)
    assert not torch.equal(before, with_library.heads.g_cls.weight)
    assert not torch.equal(without.heads.g_cls.weight, with_library.heads.g_cls.weight)
    one, other = with_library.weights(), without.weights()
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_new_library_starts_from_its_own_head_with_fresh_optimiser_state(backbone: TorchBackbone, images: Images) -> None:
    one = learner(backbone)
    one.step(step_of(images), 1e-2)
    g_cls = torch.ones(13, CLASSES)
    one.put_library(build_random(backbone.num_features, 12, 9), g_cls)
    assert torch.equal(one.heads.g_cls.weight, torch.ones(CLASSES, 12))
    names = one.state()[0].keys()
    assert "optimizer.exp_avg.h.weight" in names
    assert "optimizer.exp_avg.g_cls.weight" not in names
