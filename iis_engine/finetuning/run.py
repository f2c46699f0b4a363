"""Fine-tuning by interpretability maximisation (eq. 8): epochs, resuming and what comes out. A step lives in finetune_learner."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.datasets import ImageDataset
from iis_engine.errors import ArchitectureError, DataError, SettingError
from iis_engine.features.embedding import default_decode_threads
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.finetuning.checkpoint import Checkpoint, into_place, newest_checkpoint, write_checkpoint
from iis_engine.finetuning.history import EpochRecord, best_epoch, is_stalled
from iis_engine.finetuning.images import TrainingImages, even_slices
from iis_engine.finetuning.learner import Heads, Learner
from iis_engine.finetuning.schedule import learning_rate_at
from iis_engine.finetuning.start import Split, head_accuracy, only_images, own_classifier, solve_interpretation, split_images, starting_head
from iis_engine.libraries.build import check_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import SEEDS, VISUAL_KINDS, FinetuneSpec


@dataclass(frozen=True)
class FinetunedRun:
    """What came of a run.

    Attributes
    ----------
    history : a record of each epoch
    best_epoch : the one whose weights are kept, by validation accuracy of h∘f; of equals the earliest
    stopped_early : whether `patience` ended it
    weights : of the whole network at the best epoch, under the architecture's own keys
    head : h at the best epoch, (d + 1, C), the last row being the bias
    warnings : what a reader of its numbers should know
    """

    history: tuple[EpochRecord, ...]
    best_epoch: int
    stopped_early: bool
    weights: Mapping[str, Tensor]
    head: Tensor
    warnings: tuple[str, ...]

    def accuracy(self, features: FeatureSet) -> float:
        """Of the network as it was trained, its own h on f, on the test images; `features` are of the network with `weights`."""
        return head_accuracy(self.head, features.X_test, features.y_test)

    def save(self, path: Path) -> None:
        """Write a safetensors file that `load_backbone` takes for the same BackboneSpec, without its pretrained tag if it has one.

        Its classifier is h where it has the shape of the data set's classes, else it is left as it was.
        """
        into_place(path, lambda partial: save_file(dict(self.weights), partial))


def ignore_epoch(record: EpochRecord) -> None:
    """The silent `on_epoch` callback."""


def finetune(
    backbone: Backbone,
    dataset: ImageDataset,
    spec: FinetuneSpec,
    *,
    seed: int,
    weight: float,
    folder: Path,
    features: FeatureSet | None = None,
    progress: ProgressCallback = no_progress,
    on_epoch: Callable[[EpochRecord], None] = ignore_epoch,
) -> FinetunedRun:
    """Train f, h and g_cls together: L = CE(h∘f(x), y) + λ · CE(g_cls∘g_s∘g_𝒞∘f(x), y) on the training images (eq. 8).

    A tenth of each class is set aside and chooses the epoch; neither its images nor crops of them are trained on. h starts from the
    architecture's own classifier where that knows the classes, else from the solved linear probe; g_cls from the solved head at the
    sparsity. Two runs that differ in λ alone see the same batches and start from the same heads.

    Every finished epoch leaves a file in `folder`; a run that finds files there goes on behind the newest that can be read, and ends with
    the numbers of a run that was never interrupted on the same machine, device and number of threads. On a GPU that holds where torch warns
    of no operation that it cannot repeat. Nothing is promised for several GPUs.

    Parameters
    ----------
    backbone : of timm, torchvision or open_clip; it is not changed
    seed : decides the images set aside, the library, the order of images and how they are shifted
    weight : λ of eq. 8; 0 is the control, in which g_cls still learns but f does not learn from it
    folder : of this run alone; one file for each of the last two epochs is kept
    features : of the data set under `backbone`, with elements where the library is visual, as `extract_features` gives them; computed if
        not given
    progress : called with images done and their number over all epochs
    on_epoch : called with each newly finished epoch, once its file is written

    Raises
    ------
    ArchitectureError
        For an ONNX network, which cannot be trained.
    SettingError
        For a weight or seed out of range, a folder of another run, a batch of one image where batch normalisation trains, or a loss that
        stops being finite.
    LibraryError, DataError, OutOfMemory
        As `build_libraries` and `extract_features` raise them.

    References
    ----------
    Shen et al., "Enhancing Pre-trained Representation Classifiability can Boost its Interpretability", ICLR 2025, eq. 8.
    """
    if not isinstance(backbone, TorchBackbone):
        raise ArchitectureError(
            "An ONNX network cannot be trained, only run; send its weights as a checkpoint of timm, torchvision or open_clip.",
            code="architecture_not_trainable",
            param="model",
        )
    if not 0 <= weight < math.inf:
        raise SettingError(f"lambda must be a number, 0 or above; it is {weight!r}.", param="lambda")
    if seed not in SEEDS:
        raise SettingError(f"A seed is a whole number from 0 to {SEEDS[-1]}; it is {seed!r}.", param="seed")
    folder.mkdir(parents=True, exist_ok=True)
    depends_on = [backbone.digest, backbone.weights_digest(), dataset.digest, asdict(spec), seed, weight]  # h may start from the classifier
    key = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()
    with _reproducible(backbone.device):
        run = _Run(backbone, dataset, spec, seed, weight)
        if (kept := newest_checkpoint(folder, key)) is not None:
            run.go_on_from(kept)
        else:
            run.begin(features)
        while not run.is_over():
            record = run.train_epoch(progress)
            write_checkpoint(folder, key, run.checkpoint())
            on_epoch(record)
    return run.result()


class _Run:
    """A run between two epochs."""

    learner: Learner
    split: Split
    fit: TrainingImages
    validation: TrainingImages

    def __init__(self, backbone: TorchBackbone, dataset: ImageDataset, spec: FinetuneSpec, seed: int, weight: float) -> None:
        self.backbone, self.dataset, self.spec, self.seed, self.weight = backbone, dataset, spec, seed, weight
        self.history: tuple[EpochRecord, ...] = ()
        self.best: dict[str, Tensor] = {}

    def begin(self, features: FeatureSet | None) -> None:
        given = self._extract(self.backbone) if features is None else features
        _require_of(given, self.dataset)
        split, fit = split_images(given, self.seed)
        check_library(fit, self.spec.library)
        own = own_classifier(self.backbone.copy_network(), self.backbone.spec.layer, self.backbone.num_features, fit.class_count)
        h = starting_head(fit, own, self.seed, self.backbone.device)
        self._take_up(split, h, *solve_interpretation(fit, self.spec, self.seed, self.backbone.device))

    def go_on_from(self, kept: Checkpoint) -> None:
        tensors, device = kept.tensors, self.backbone.device
        vectors = tensors["library"]
        library = ConceptLibrary(self.spec.library.kind, vectors, (self.spec.library.kind,) * len(vectors), ((),) * len(vectors))
        h, g_cls = (torch.cat([tensors[f"{head}.weight"].T, tensors[f"{head}.bias"][None]]).to(device) for head in ("h", "g_cls"))
        self._take_up(Split(tensors["rows.fit"], tensors["rows.validation"]), h, library, g_cls)
        self.learner.load_state(tensors, kept.values)
        self.history = kept.history
        best = {name.removeprefix("best."): tensor for name, tensor in tensors.items() if name.startswith("best.")}
        self.best = best or self.learner.weights()

    def is_over(self) -> bool:
        return len(self.history) == self.spec.epochs or is_stalled(self.history, self.spec.patience)

    def train_epoch(self, progress: ProgressCallback) -> EpochRecord:
        started = time.perf_counter()
        epoch = len(self.history) + 1
        torch.manual_seed(int(np.random.SeedSequence((self.seed, epoch)).generate_state(1)[0]))  # for dropout and the like
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
        accuracies = self._validate()
        loss = of_h + self.weight * of_g_cls
        record = EpochRecord(epoch, loss, of_h, of_g_cls, *accuracies, rate, time.perf_counter() - started)
        self.history = (*self.history, record)
        if best_epoch(self.history) == epoch:
            self.best = self.learner.weights()
        return record

    def checkpoint(self) -> Checkpoint:
        tensors, values = self.learner.state()
        tensors |= {"rows.fit": self.split.fit, "rows.validation": self.split.validation}
        if best_epoch(self.history) != self.history[-1].epoch:
            tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        return Checkpoint(self.history, tensors, values)

    def result(self) -> FinetunedRun:
        network = self.backbone.copy_network()
        state = network.module.state_dict()
        state |= {name.removeprefix("f."): tensor for name, tensor in self.best.items() if name.startswith("f.")}
        own = own_classifier(network, self.backbone.spec.layer, self.backbone.num_features, len(self.dataset.class_names))
        if own is not None:
            state |= {f"{network.head[0]}.{name}": self.best[f"h.{name}"] for name in ("weight", "bias")}
        weights = {f"{network.key_prefix}{name}": tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}
        head = torch.cat([self.best["h.weight"].T, self.best["h.bias"][None]])
        stopped_early = len(self.history) < self.spec.epochs
        return FinetunedRun(self.history, best_epoch(self.history), stopped_early, weights, head, self._warnings())

    def _take_up(self, split: Split, h: Tensor, library: ConceptLibrary, g_cls: Tensor) -> None:
        threads = default_decode_threads(self.backbone)
        self.split = split
        self.fit, self.validation = (
            TrainingImages(self.dataset.train, rows.tolist(), self.backbone.transform, threads) for rows in (split.fit, split.validation)
        )
        self.learner = Learner(self.backbone, self.spec, self.weight, Heads(h, library, g_cls, self.spec.sparsity))

    def _warnings(self) -> tuple[str, ...]:
        count = self.learner.trained.folded_count
        if not count:
            return ()
        return (
            f"{count} of the network's batch normalisations came with mean 0 and variance 1, the statistics of no data: they are taken for"
            " folded into the weights before them, and kept these statistics while their network was trained. Where the checkpoint is of an"
            " untrained network instead, name its initial_seed in place of the checkpoint, and they are trained.",
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


def _require_of(features: FeatureSet, dataset: ImageDataset) -> None:
    rows = None if features.train_rows is None else features.train_rows.tolist()
    if rows is None or max(rows) >= len(dataset.train) or [dataset.train[row].label for row in rows] != features.y_train.tolist():
        raise DataError("These features are not of this data set's images; leave them out and they are computed.", param="features")
    if features.elements is not None and len(features.element_refs) != len(features.elements):
        raise DataError(
            "These features do not say which image each visual element was cut from; leave them out and they are computed.",
            param="features",
        )


@contextmanager
def _reproducible(device: torch.device) -> Generator[None]:
    """The same numbers every time on the same device, and torch's random state and settings as they were afterwards.

    A CPU needs no more than its seed. On a GPU sums are taken in a fixed order wherever torch can do so; where it cannot, it
    warns and goes on. Since release 2.10 torch gives cuBLAS a workspace of its own for each stream, so no environment variable is needed.
    """
    if device.type != "cuda":
        with torch.random.fork_rng(devices=[]):
            yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices), torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before[0], warn_only=before[1])
