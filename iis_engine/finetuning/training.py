"""Training of f, h and g_cls epoch by epoch: start, resume, validation, library rebuilds and checkpoints."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import DataError
from iis_engine.features.extraction import default_decode_threads, extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.finetuning.checkpoint import Checkpoint
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.finetuned_run import FinetunedRun
from iis_engine.finetuning.heads import Heads
from iis_engine.finetuning.history import EpochRecord, best_epoch, is_stalled
from iis_engine.finetuning.images import TrainingImages, even_slices
from iis_engine.finetuning.learner import Learner
from iis_engine.finetuning.schedule import learning_rate_at
from iis_engine.finetuning.start import Split, only_images, own_classifier, solve_interpretation, split_images, starting_head
from iis_engine.libraries.build import check_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.progress import ProgressCallback
from iis_engine.specs import VISUAL_KINDS


class TrainingRun:
    """State of a run between two epochs."""

    learner: Learner
    split: Split
    fit: TrainingImages
    validation: TrainingImages

    def __init__(self, backbone: TorchBackbone, dataset: ImageDataset, spec: FinetuneSpec, seed: int, weight: float) -> None:
        self.backbone, self.dataset, self.spec, self.seed, self.weight = backbone, dataset, spec, seed, weight
        self.history: tuple[EpochRecord, ...] = ()
        self.best: dict[str, Tensor] = {}

    def start(self, features: FeatureSet | None) -> None:
        """Split the images, and solve the library and both heads on `features`, which are extracted if None."""
        features = self._extract(self.backbone) if features is None else features
        _require_features_of(features, self.dataset)
        split, fit = split_images(features, self.seed)
        check_library(fit, self.spec.library)
        own = own_classifier(self.backbone.copy_network(), self.backbone.spec.layer, self.backbone.num_features, fit.class_count)
        h = starting_head(fit, own, self.seed, self.backbone.device)
        self._set_up(split, h, *solve_interpretation(fit, self.spec, self.seed, self.backbone.device))

    def resume(self, checkpoint: Checkpoint) -> None:
        """Continue from the state after an epoch."""
        tensors, device = checkpoint.tensors, self.backbone.device
        vectors = tensors["library"]
        kind = self.spec.library.kind
        library = ConceptLibrary(
            kind,
            vectors,
            (kind,) * len(vectors),
            ((),) * len(vectors),
            means=tensors.get("library.means"),
            deviations=tensors.get("library.deviations"),
            centre=tensors.get("library.centre"),
        )
        h, g_cls = (torch.cat([tensors[f"{head}.weight"].T, tensors[f"{head}.bias"][None]]).to(device) for head in ("h", "g_cls"))
        self._set_up(Split(tensors["rows.fit"], tensors["rows.validation"]), h, library, g_cls)
        self.learner.load_state(tensors, checkpoint.values)
        self.history = checkpoint.history
        best = {name.removeprefix("best."): tensor for name, tensor in tensors.items() if name.startswith("best.")}
        self.best = best or self.learner.weights()

    def is_finished(self) -> bool:
        return len(self.history) == self.spec.epochs or is_stalled(self.history, self.spec.patience)

    def train_epoch(self, progress: ProgressCallback) -> EpochRecord:
        """Train and validate one epoch."""
        started = time.perf_counter()
        epoch = len(self.history) + 1
        torch.manual_seed(int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0]))  # for dropout and other random layers
        if self.spec.rebuild_every is not None and epoch > 1 and (epoch - 1) % self.spec.rebuild_every == 0:
            self._rebuild_library()
        steps = len(even_slices(len(self.fit), self.spec.batch_size * self.spec.accumulation_steps))
        done, total = (epoch - 1) * len(self.fit), self.spec.epochs * len(self.fit)
        sums, rate = np.zeros(2), 0.0
        with self.fit.epoch(self.seed, epoch, self.spec.batch_size, self.spec.accumulation_steps) as stream:
            for number, step in enumerate(stream):
                progress(done, total)
                rate = learning_rate_at((epoch - 1) * steps + number, self.spec, steps)
                sums += step.image_count * np.array(self.learner.step(step, rate))
                done += step.image_count
        progress(done, total)
        of_h, of_g_cls = (sums / len(self.fit)).tolist()
        accuracy_h, accuracy_g_cls = self._validate()
        record = EpochRecord(
            epoch=epoch,
            loss=of_h + self.weight * of_g_cls,
            loss_representation=of_h,
            loss_interpretation=of_g_cls,
            validation_accuracy=accuracy_h,
            validation_accuracy_interpretation=accuracy_g_cls,
            learning_rate=rate,
            seconds=time.perf_counter() - started,
        )
        self.history = (*self.history, record)
        if best_epoch(self.history) == epoch:
            self.best = self.learner.weights()
        return record

    def checkpoint(self) -> Checkpoint:
        """The state after the last epoch."""
        tensors, values = self.learner.state()
        tensors |= {"rows.fit": self.split.fit, "rows.validation": self.split.validation}
        if best_epoch(self.history) != self.history[-1].epoch:
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        return Checkpoint(self.history, tensors, values)

    def result(self) -> FinetunedRun:
        """The weights of the best epoch under the architecture's keys."""
        network = self.backbone.copy_network()
        state = network.module.state_dict()
        state |= {name.removeprefix("f."): tensor for name, tensor in self.best.items() if name.startswith("f.")}
        own = own_classifier(network, self.backbone.spec.layer, self.backbone.num_features, len(self.dataset.class_names))
        if own is not None:
            state |= {f"{network.head[0]}.{name}": self.best[f"h.{name}"] for name in ("weight", "bias")}
        weights = {f"{network.key_prefix}{name}": tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
        head = torch.cat([self.best["h.weight"].T, self.best["h.bias"][None]])
        stopped_early = len(self.history) < self.spec.epochs
        return FinetunedRun(
            history=self.history,
            best_epoch=best_epoch(self.history),
            stopped_early=stopped_early,
            weights=weights,
            head=head,
            warnings=self._warnings(),
        )

    def _set_up(self, split: Split, h: Tensor, library: ConceptLibrary, g_cls: Tensor) -> None:
        threads = default_decode_threads(self.backbone)
        self.split = split
        self.fit, self.validation = (
            TrainingImages(self.dataset.train, rows.tolist(), self.backbone.transform, threads, self.dataset.grey_bits)
            for rows in (split.fit, split.validation)
        )
        self.learner = Learner(self.backbone, self.spec, self.weight, Heads(h, library, g_cls, self.spec.sparsity))

    def _warnings(self) -> tuple[str, ...]:
        count = self.learner.trained.folded_count
        if not count:
            return ()
        return (
            f"{count} of the network's batch normalisations came with mean 0 and variance 1, the statistics of no data: they are assumed to"
            " be folded into the preceding weights, and kept these statistics in training. If the checkpoint is of an untrained network,"
            " give its initial_seed in place of the checkpoint, and they are trained.",
        )

    def _validate(self) -> tuple[float, float]:
        correct = np.zeros(2)
        with self.validation.in_order(self.spec.batch_size) as stream:
            for images in stream:
                correct += [int(each.sum()) for each in self.learner.predict(images)]
        of_h, of_g_cls = (correct / len(self.validation)).tolist()
        return of_h, of_g_cls

    def _rebuild_library(self) -> None:
        features = self._extract(self.backbone.with_weights(self.learner.f.module.state_dict()))
        fit = only_images(features, self.split.fit)
        self.learner.put_library(*solve_interpretation(fit, self.spec, self.seed, self.backbone.device))

    def _extract(self, backbone: TorchBackbone) -> FeatureSet:
        elements = self.spec.elements if self.spec.library.kind in VISUAL_KINDS else None
        with tempfile.TemporaryDirectory() as folder:
            return extract_features(backbone, replace(self.dataset, test=()), elements, shard_folder=Path(folder))


def _require_features_of(features: FeatureSet, dataset: ImageDataset) -> None:
    rows = None if features.train_rows is None else features.train_rows.tolist()
    if rows is None or max(rows) >= len(dataset.train) or [dataset.train[row].label for row in rows] != features.y_train.tolist():
        raise DataError("These features are not of this data set's images; omit them and they are computed.", param="features")
    if features.elements is not None and len(features.element_refs) != len(features.elements):
        raise DataError(
            "These features do not say which image each visual element was cut from; omit them and they are computed.",
            param="features",
        )
