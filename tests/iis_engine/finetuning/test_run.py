"""Fine-tuning runs: bit-exact resume, the control with λ = 0, and checkpoints that load again."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.decoding.images import load_image
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import ArchitectureError, DataError, LibraryError, SettingError
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.finetuning.checkpoint import newest_checkpoint
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.finetuned_run import FinetunedRun
from iis_engine.finetuning.history import EpochRecord, best_epoch, is_stalled
from iis_engine.finetuning.images import TrainingImages
from iis_engine.finetuning.network import Representation
from iis_engine.finetuning.run import finetune, ignore_epoch
from iis_engine.finetuning.schedule import learning_rate_at, make_optimizer
from iis_engine.finetuning.start import solve_probe, split_images
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import BackboneSpec, ElementSpec, LibraryKind, LibrarySpec, OptimizerName, Preprocessing

ImageFolder = Callable[..., Path]
SPEC = BackboneSpec("timm:test_resnet", preprocessing=Preprocessing(input_size=32))
SMALL = FinetuneSpec(LibrarySpec("prototype", 8), ElementSpec(images_per_class=2, scales=(4,)), epochs=4, batch_size=6, learning_rate=1e-3)


class Interrupted(Exception):
    """Interruption of a run, as by a killed worker."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network whose running statistics are those of images, so that training changes them."""
    torch.manual_seed(0)
    network = timm.create_model("test_resnet", num_classes=7).train()
    for _ in range(2):
        network(torch.rand(8, 3, 32, 32))
    path = tmp_path_factory.mktemp("seen") / "seen.safetensors"
    save_file(network.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def backbone(checkpoint: Path) -> TorchBackbone:
    loaded = load_backbone(SPEC, checkpoint, device="cpu")
    assert isinstance(loaded, TorchBackbone)
    return loaded


@pytest.fixture
def dataset(image_folder: ImageFolder) -> ImageDataset:
    """Noise, all of one colour, so that there is a loss left to lower."""
    image_folder({"cat": 12}, under="train", size=32)
    image_folder({"dog": 11}, under="train", size=32)
    image_folder({"cat": 3}, under="test", size=32)
    return read_image_folder(image_folder({"dog": 3}, under="test", size=32))


def run(
    backbone: TorchBackbone,
    dataset: ImageDataset,
    folder: Path,
    spec: FinetuneSpec = SMALL,
    *,
    seed: int = 0,
    weight: float = 1.0,
    features: FeatureSet | None = None,
    progress: ProgressCallback = no_progress,
    on_epoch: Callable[[EpochRecord], None] = ignore_epoch,
) -> FinetunedRun:
    return finetune(
        backbone, dataset, spec, seed=seed, weight=weight, folder=folder, features=features, progress=progress, on_epoch=on_epoch
    )


def until(last: int) -> Callable[[EpochRecord], None]:
    """An `on_epoch` that ends the run after an epoch."""

    def stop(record: EpochRecord) -> None:
        if record.epoch == last:
            raise Interrupted

    return stop


def untimed(history: tuple[EpochRecord, ...]) -> list[EpochRecord]:
    return [replace(record, seconds=0.0) for record in history]


def newest_tensors(folder: Path) -> dict[str, Tensor]:
    return load_file(sorted(folder.glob("epoch-*.safetensors"))[-1])


def same_end(one: Path, other: Path) -> bool:
    """Whether two folders end in the same state to the bit: weights, library, heads, optimiser."""
    first, second = newest_tensors(one), newest_tensors(other)
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("optimizer", "kind", "last"),
    [("adamw", "prototype", 2), ("adamw", "cluster", 1), ("sgd", "end2end", 3), ("sgd", "random", 2)],
)
def test_an_interrupted_run_ends_as_an_uninterrupted_one(
    backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path, optimizer: OptimizerName, kind: LibraryKind, last: int
) -> None:
    """The library is fitted again after two epochs: before, at or after the interruption."""
    spec = replace(SMALL, optimizer=optimizer, library=LibrarySpec(kind, 8), rebuild_every=2, accumulation_steps=2, batch_size=4)
    whole = run(backbone, dataset, tmp_path / "whole", spec)
    with pytest.raises(Interrupted):
        run(backbone, dataset, tmp_path / "resumed", spec, on_epoch=until(last))
    seen = list[int]()
    resumed = run(backbone, dataset, tmp_path / "resumed", spec, on_epoch=lambda record: seen.append(record.epoch))
    assert seen == list(range(last + 1, 5))
    assert untimed(resumed.history) == untimed(whole.history)
    assert resumed.best_epoch == whole.best_epoch
    assert all(torch.equal(resumed.weights[key], whole.weights[key]) for key in whole.weights)
    assert same_end(tmp_path / "whole", tmp_path / "resumed")


def test_a_resumed_run_has_the_random_state_of_an_uninterrupted_one(checkpoint: Path, dataset: ImageDataset, tmp_path: Path) -> None:
    dropping = load_backbone(replace(SPEC, arguments={"drop_path_rate": 0.5}), checkpoint, device="cpu")
    assert isinstance(dropping, TorchBackbone)
    spec = replace(SMALL, library=LibrarySpec("random", 8), epochs=2)
    run(dropping, dataset, tmp_path / "whole", spec)
    with pytest.raises(Interrupted):
        run(dropping, dataset, tmp_path / "resumed", spec, on_epoch=until(1))
    run(dropping, dataset, tmp_path / "resumed", spec)
    assert same_end(tmp_path / "whole", tmp_path / "resumed")


def test_images_that_batches_do_not_divide_are_all_trained_on(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    """21 images in pairs leave one image, for which this network's batch normalisation fails."""
    history = run(backbone, dataset, tmp_path / "run", replace(SMALL, library=LibrarySpec("random", 8), epochs=1, batch_size=2)).history
    assert np.isfinite(history[0].loss)


@pytest.mark.parametrize("is_untrained", [True, False])
def test_batch_normalisation_without_data_trains_in_an_untrained_network_and_otherwise_gives_a_warning(
    dataset: ImageDataset, tmp_path: Path, *, is_untrained: bool
) -> None:
    network = load_backbone(replace(SPEC, initial_seed=0), None, device="cpu")
    assert isinstance(network, TorchBackbone)
    if not is_untrained:
        fresh = {key: tensor.contiguous() for key, tensor in network.copy_network().module.state_dict().items()}
        save_file(fresh, tmp_path / "fresh.safetensors")
        network = load_backbone(SPEC, tmp_path / "fresh.safetensors", device="cpu")
        assert isinstance(network, TorchBackbone)
    spec = replace(SMALL, library=LibrarySpec("random", 8), epochs=1)
    made = run(network, dataset, tmp_path / "run", spec)
    assert bool(made.weights["bn1.running_mean"].any()) is is_untrained
    assert ["kept these statistics" in warning for warning in made.warnings] == ([] if is_untrained else [True])


def test_the_accuracy_of_the_trained_head_is_that_on_the_test_images(
    classified: Callable[[list[int]], TorchBackbone], dataset: ImageDataset, tmp_path: Path
) -> None:
    """The classifier of the network is h, so that its accuracy is that of the whole network's predictions."""
    made = run(classified([0, 1]), dataset, tmp_path / "run", replace(SMALL, library=LibrarySpec("random", 8), epochs=1))
    made.save(tmp_path / "tuned.safetensors")
    tuned = load_backbone(replace(SPEC, arguments={"num_classes": 2}), tmp_path / "tuned.safetensors", device="cpu")
    assert isinstance(tuned, TorchBackbone)
    features = extract_features(tuned, dataset, None, shard_folder=tmp_path / "shards")
    pixels = np.stack([tuned.transform.pixels(load_image(image.path)) for image in dataset.test])
    named = tuned.copy_network().module(tuned.transform.normalize(torch.from_numpy(pixels))).argmax(1)
    assert made.accuracy(features) == pytest.approx(float((named == features.y_test).float().mean()))


def test_visual_elements_are_not_cut_from_validation_images(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    features = extract_features(backbone, dataset, ElementSpec(images_per_class=10, scales=(4,)), shard_folder=tmp_path / "shards")
    assert features.elements is not None
    split, fit = split_images(features, 0)
    kept = [place for place, ref in enumerate(features.element_refs) if ref.image not in split.validation.tolist()]
    assert fit.elements is not None
    assert 0 < len(kept) < len(features.elements)
    assert torch.equal(fit.elements, features.elements[kept])
    assert [ref.image in split.fit.tolist() for ref in fit.element_refs] == [True] * len(kept)
    with pytest.raises(DataError, match="which image each visual element was cut from"):
        run(backbone, dataset, tmp_path / "run", features=replace(features, element_refs=()))


def test_a_finished_run_is_read_from_its_file_and_not_trained_again(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    first = run(backbone, dataset, tmp_path / "run")
    again = run(backbone, dataset, tmp_path / "run", on_epoch=until(1), progress=lambda done, total: pytest.fail("trained again"))
    assert again.history == first.history
    assert all(torch.equal(again.weights[key], first.weights[key]) for key in first.weights)


def test_a_damaged_newest_file_is_skipped_for_the_one_before(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    whole = run(backbone, dataset, tmp_path / "whole")
    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    newest = tmp_path / "cut" / "epoch-004.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    seen = list[int]()
    resumed = run(backbone, dataset, tmp_path / "cut", on_epoch=lambda record: seen.append(record.epoch))
    assert seen == [4]
    assert all(torch.equal(resumed.weights[key], whole.weights[key]) for key in whole.weights)


def test_only_the_last_two_files_are_kept_and_no_partial_one(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    run(backbone, dataset, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["epoch-003.safetensors", "epoch-004.safetensors"]


@pytest.mark.parametrize("other", [{"seed": 1}, {"weight": 0.5}, {"spec": replace(SMALL, learning_rate=2e-3)}])
def test_the_folder_of_another_run_is_refused(
    backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path, other: dict[str, Any]
) -> None:
    with pytest.raises(Interrupted):
        run(backbone, dataset, tmp_path / "run", on_epoch=until(1))
    with pytest.raises(SettingError, match="give each run its own folder"):
        run(backbone, dataset, tmp_path / "run", **other)


def test_the_folder_of_a_run_from_another_classifier_is_refused(
    classified: Callable[[list[int]], TorchBackbone], dataset: ImageDataset, tmp_path: Path
) -> None:
    one, other = classified([0, 1]), classified([1, 0])
    assert one.digest == other.digest
    run(one, dataset, tmp_path / "run", replace(SMALL, epochs=1))
    with pytest.raises(SettingError, match="give each run its own folder"):
        run(other, dataset, tmp_path / "run", replace(SMALL, epochs=1))


def test_training_lowers_the_loss_of_a_library_of_three_random_directions(
    backbone: TorchBackbone, image_folder: ImageFolder, tmp_path: Path
) -> None:
    """Two of three random directions separate two colours badly at first, even with the best head."""
    image_folder({"cat": 12, "dog": 12}, under="train")
    dataset = read_image_folder(image_folder({"cat": 2, "dog": 2}, under="test"))
    spec = replace(SMALL, library=LibrarySpec("random", 3), sparsity=0.5, epochs=8)
    history = run(backbone, dataset, tmp_path / "run", spec).history
    assert history[-1].loss_interpretation < 0.8 * history[0].loss_interpretation
    assert [record.epoch for record in history] == list(range(1, 9))
    assert all(record.loss == pytest.approx(record.loss_representation + record.loss_interpretation) for record in history)


def test_the_control_trains_f_and_h_exactly_as_plain_training_does(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    """The same loop written out without a library: weights are equal to the bit, and both arms start from the same heads."""
    spec = replace(SMALL, epochs=2)
    run(backbone, dataset, tmp_path / "control", spec, weight=0.0)
    kept = newest_tensors(tmp_path / "control")

    features = extract_features(backbone, dataset, None, shard_folder=tmp_path / "shards")
    split, fit = split_images(features, 0)
    probe = solve_probe(fit, 0, torch.device("cpu"))
    f = Representation(backbone.copy_network(), None, None)
    f.module.requires_grad_(requires_grad=True)
    h = torch.nn.Linear(backbone.num_features, 2)
    with torch.no_grad():
        h.weight.copy_(probe[:-1].T)
        h.bias.copy_(probe[-1])
    images = TrainingImages(dataset.train, split.fit.tolist(), backbone.transform, 1)
    body = [(name, parameter) for name, parameter in f.module.named_parameters() if not name.startswith("fc.")]
    optimizer = make_optimizer([*body, *h.named_parameters()], spec)
    f.module.train()
    step = 0
    for epoch in (1, 2):
        with images.epoch(0, epoch, spec.batch_size, 1) as steps:
            for batch in (portion for step_of in steps for portion in step_of.portions()):
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(step, spec, math.ceil(len(images) / spec.batch_size))
                inputs = backbone.transform.normalize(torch.from_numpy(batch.pixels)).to(memory_format=torch.channels_last)
                optimizer.zero_grad()
                functional.cross_entropy(h(f(inputs)), batch.labels).backward()
                optimizer.step()
                step += 1
    state = f.module.state_dict()
    assert step == 8
    assert all(torch.equal(state[key.removeprefix("f.")], tensor) for key, tensor in kept.items() if key.startswith("f."))
    assert torch.equal(h.weight, kept["h.weight"])
    assert torch.equal(h.bias, kept["h.bias"])


def test_both_arms_start_from_the_same_state_and_differ_in_lambda_alone(
    backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path
) -> None:
    """At a learning rate near zero both arms keep their weights: the same images, heads and library give the same losses."""
    spec = replace(SMALL, epochs=1, learning_rate=1e-30)
    (treatment,), (control,) = (run(backbone, dataset, tmp_path / str(weight), spec, weight=weight).history for weight in (1.0, 0.0))
    assert treatment.loss_representation == control.loss_representation
    assert treatment.loss_interpretation == control.loss_interpretation
    assert control.loss == control.loss_representation
    moved = [run(backbone, dataset, tmp_path / f"{weight} moved", weight=weight).weights["layer4.0.conv1.weight"] for weight in (1.0, 0.0)]
    assert not torch.equal(*moved)


def test_training_the_head_alone_freezes_f_and_lambda_changes_no_stored_weight(
    backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path
) -> None:
    spec = replace(SMALL, trains="head", epochs=2)
    treatment, control = (run(backbone, dataset, tmp_path / str(weight), spec, weight=weight) for weight in (1.0, 0.0))
    before = backbone.copy_network().module.state_dict()
    assert all(torch.equal(before[key], treatment.weights[key]) for key in before)
    assert [record.loss_representation for record in treatment.history] == [record.loss_representation for record in control.history]


def test_the_weights_load_again_and_the_backbone_is_left_as_it_was(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    digest = representation_of(backbone)
    made = run(backbone, dataset, tmp_path / "run", replace(SMALL, trains="last", epochs=1))
    made.save(tmp_path / "tuned.safetensors")
    again = load_backbone(SPEC, tmp_path / "tuned.safetensors", device="cpu")
    assert isinstance(again, TorchBackbone)
    assert again.digest != backbone.digest
    assert torch.equal(representation_of(backbone), digest)
    state, before = again.copy_network().module.state_dict(), backbone.copy_network().module.state_dict()
    assert torch.equal(state["layer3.0.conv1.weight"], before["layer3.0.conv1.weight"])
    assert not torch.equal(state["layer4.0.conv1.weight"], before["layer4.0.conv1.weight"])
    assert torch.equal(state["fc.weight"], before["fc.weight"]), "a classifier of 7 classes is not h of 2"


def representation_of(backbone: TorchBackbone) -> Tensor:
    return backbone.embed(torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def classified(checkpoint: Path, backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> Callable[[list[int]], TorchBackbone]:
    """Make the network with its own classifier of the two classes, its outputs in a given order."""

    def make(order: list[int]) -> TorchBackbone:
        features = extract_features(backbone, dataset, None, shard_folder=tmp_path / "probe")
        probe = solve_probe(features, 0, torch.device("cpu"))
        weights = {key: tensor for key, tensor in load_file(checkpoint).items() if not key.startswith("fc.")}
        weights |= {"fc.weight": probe[:-1].T[order].contiguous(), "fc.bias": probe[-1][order].contiguous()}
        save_file(weights, tmp_path / "own.safetensors")
        loaded = load_backbone(replace(SPEC, arguments={"num_classes": 2}), tmp_path / "own.safetensors", device="cpu")
        assert isinstance(loaded, TorchBackbone)
        return loaded

    return make


def test_h_starts_from_the_networks_own_classifier_and_ends_in_it(
    classified: Callable[[list[int]], TorchBackbone], dataset: ImageDataset, tmp_path: Path
) -> None:
    own = classified([0, 1])
    made = run(own, dataset, tmp_path / "run", replace(SMALL, epochs=1, learning_rate=1e-30, weight_decay=0.0))
    before = own.copy_network().module.state_dict()
    assert torch.allclose(made.weights["fc.weight"], before["fc.weight"], atol=1e-6)
    assert torch.equal(made.weights["fc.weight"], newest_tensors(tmp_path / "run")["h.weight"])


def test_a_classifier_of_as_many_other_classes_is_not_the_initial_h(
    classified: Callable[[list[int]], TorchBackbone], dataset: ImageDataset, tmp_path: Path
) -> None:
    swapped = classified([1, 0])
    made = run(swapped, dataset, tmp_path / "run", replace(SMALL, epochs=1, learning_rate=1e-30, weight_decay=0.0))
    before = swapped.copy_network().module.state_dict()["fc.weight"]
    assert float(functional.cosine_similarity(made.weights["fc.weight"], before).max()) < 0


def test_given_features_replace_the_extraction_and_change_no_number(
    backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run(backbone, dataset, tmp_path / "plain", replace(SMALL, epochs=1))
    features = extract_features(backbone, dataset, SMALL.elements, shard_folder=tmp_path / "shards")

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("extracted")

    monkeypatch.setattr("iis_engine.finetuning.training.extract_features", refuse)
    given = run(backbone, dataset, tmp_path / "given", replace(SMALL, epochs=1), features=features)
    assert untimed(given.history) == untimed(plain.history)
    assert all(torch.equal(given.weights[key], plain.weights[key]) for key in plain.weights)
    with pytest.raises(DataError, match="not of this data set's images"):
        run(backbone, dataset, tmp_path / "other", features=replace(features, train_rows=None))


def test_an_image_that_cannot_be_decoded_is_not_trained_on(backbone: TorchBackbone, image_folder: ImageFolder, tmp_path: Path) -> None:
    image_folder({"cat": 60, "dog": 60}, under="train", size=8)
    dataset = read_image_folder(image_folder({"cat": 2, "dog": 2}, under="test", size=8))
    dataset.train[7].path.write_bytes(b"broken")
    run(backbone, dataset, tmp_path / "run", replace(SMALL, epochs=1, batch_size=60, library=LibrarySpec("random", 8)))
    tensors = newest_tensors(tmp_path / "run")
    rows = [*tensors["rows.fit"].tolist(), *tensors["rows.validation"].tolist()]
    assert sorted(rows) == [row for row in range(120) if row != 7]
    assert len(tensors["rows.validation"]) == 12


def record(epoch: int, accuracy: float) -> EpochRecord:
    return EpochRecord(epoch, 1.0, 0.5, 0.5, accuracy, 0.0, 1e-4, 1.0)


def test_the_best_epoch_is_the_earliest_of_equals_and_patience_counts_from_it() -> None:
    history = [record(1, 0.5), record(2, 0.7), record(3, 0.7), record(4, 0.6)]
    assert best_epoch(history) == 2
    assert is_stalled(history, 2)
    assert not is_stalled(history, 3)
    assert not is_stalled(history, None)
    assert not is_stalled([], 1)


def test_a_run_without_improvement_stops_and_keeps_its_best_weights(
    backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([(0.5, 0.5), (0.9, 0.5), (0.9, 0.5), (0.1, 0.5)])

    def next_accuracies(_: object) -> tuple[float, float]:
        return next(accuracies)

    monkeypatch.setattr("iis_engine.finetuning.training.TrainingRun._validate", next_accuracies)
    spec, at_second = replace(SMALL, epochs=9, warmup_epochs=0, patience=2), dict[str, Tensor]()

    def look(record: EpochRecord) -> None:
        if record.epoch == 2:
            at_second.update(newest_tensors(tmp_path / "run"))

    made = run(backbone, dataset, tmp_path / "run", spec, on_epoch=look)
    assert (len(made.history), made.best_epoch, made.stopped_early) == (4, 2, True)
    assert torch.equal(made.weights["layer4.0.conv1.weight"], at_second["f.layer4.0.conv1.weight"])
    again = run(backbone, dataset, tmp_path / "run", spec)
    assert all(torch.equal(made.weights[key], again.weights[key]) for key in made.weights)


def test_progress_counts_images_over_all_epochs(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    seen = list[tuple[int, int]]()
    run(backbone, dataset, tmp_path / "run", replace(SMALL, epochs=2), progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 42)
    assert seen[-1] == (42, 42)
    assert seen == sorted(seen)


def test_the_random_state_of_torch_is_restored(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    run(backbone, dataset, tmp_path / "run", replace(SMALL, epochs=1))
    assert torch.equal(before, torch.get_rng_state())


def test_an_onnx_network_is_refused_with_a_suggestion(dataset: ImageDataset, tmp_path: Path) -> None:
    from benchmarks.cifar_resnet import CifarResNet, export_onnx

    export_onnx(CifarResNet(8), tmp_path / "a.onnx")
    network = load_backbone(BackboneSpec("onnx"), tmp_path / "a.onnx", device="cpu")
    with pytest.raises(ArchitectureError, match="An ONNX network cannot be trained") as refused:
        finetune(network, dataset, SMALL, seed=0, weight=1.0, folder=tmp_path / "run")
    assert refused.value.code == "architecture_not_trainable"


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_an_invalid_lambda_is_refused(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path, weight: float) -> None:
    with pytest.raises(SettingError, match="lambda must be a number, 0 or above"):
        run(backbone, dataset, tmp_path / "run", weight=weight)


def test_more_concepts_than_elements_are_refused(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="M = 200"):
        run(backbone, dataset, tmp_path / "run", replace(SMALL, library=LibrarySpec("prototype", 200)))


def test_classes_of_one_image_are_refused(backbone: TorchBackbone, image_folder: ImageFolder, tmp_path: Path) -> None:
    image_folder({"cat": 1, "dog": 1}, under="train")
    dataset = read_image_folder(image_folder({"cat": 1, "dog": 1}, under="test"))
    with pytest.raises(DataError, match="there are none for validation"):
        run(backbone, dataset, tmp_path / "run", replace(SMALL, library=LibrarySpec("random", 8)))


def test_a_run_that_diverges_names_the_learning_rate(backbone: TorchBackbone, dataset: ImageDataset, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="send a smaller learning_rate"):
        run(backbone, dataset, tmp_path / "run", replace(SMALL, learning_rate=1e30))
    assert newest_checkpoint(tmp_path / "run", "") is None


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"library": LibrarySpec("text")}, "library.kind"),
        ({"sparsity": 1.0}, "sparsity"),
        ({"epochs": 0}, "epochs"),
        ({"optimizer": "lion"}, "optimizer"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"batch_size": 0}, "batch_size"),
        ({"accumulation_steps": 0}, "accumulation_steps"),
        ({"batch_size": 256, "accumulation_steps": 257}, "accumulation_steps"),
        ({"warmup_epochs": 11}, "warmup_epochs"),
        ({"trains": "most"}, "trains"),
        ({"rebuild_every": 0}, "rebuild_every"),
        ({"patience": 0}, "patience"),
        ({"precision": "half"}, "precision"),
    ],
)
def test_invalid_settings_are_refused_by_name(wrong: dict[str, Any], param: str) -> None:
    with pytest.raises(SettingError) as refused:
        FinetuneSpec(**wrong)
    assert refused.value.param == param
