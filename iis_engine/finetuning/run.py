"""Fine-tuning by interpretability maximisation (eq. 8): validate the request, resume or start the run, and train to its end."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.torch_backbone import TorchBackbone
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.errors import ArchitectureError, SettingError
from iis_engine.features.feature_set import FeatureSet
from iis_engine.finetuning.checkpoint import newest_checkpoint, write_checkpoint
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.finetuned_run import FinetunedRun
from iis_engine.finetuning.history import EpochRecord
from iis_engine.finetuning.training import TrainingRun
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.specs import SEEDS


def ignore_epoch(record: EpochRecord) -> None:
    """The `on_epoch` callback that does nothing."""


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

    A tenth of each class is a validation split that selects the epoch; neither its images nor crops of them are trained on. h starts from
    the architecture's own classifier where that has the same classes, else from the solved linear probe; g_cls from the solved head at
    the sparsity. Two runs that differ in λ alone see the same batches and start from the same heads.

    Every finished epoch writes a file into `folder`. A run that finds files there resumes after the newest readable one, and ends with
    the numbers of an uninterrupted run on the same machine, device and number of threads. On a GPU this holds unless torch warns of a
    nondeterministic operation; it is not guaranteed on several GPUs.

    Parameters
    ----------
    backbone : of timm, torchvision or open_clip; it is not modified
    seed : of the validation split, the library, the order of images and their shifts
    weight : λ of eq. 8; 0 is the control, in which g_cls is trained without gradients to f
    folder : of this run alone; it keeps one file for each of the last two epochs
    features : of the data set under `backbone`, with elements for a visual library, from `extract_features`; None to extract them
    progress : called with the number of images done and of all images over all epochs
    on_epoch : called with each newly finished epoch after its file is written

    Raises
    ------
    ArchitectureError
        For an ONNX network, which cannot be trained.
    SettingError
        For a weight or seed out of range, a folder of another run, a batch of one image where batch normalisation trains, or a loss that
        is not finite.
    LibraryError, DataError, OutOfMemory
        As `build_libraries` and `extract_features` raise them.

    References
    ----------
    Shen et al., "Enhancing Pre-trained Representation Classifiability can Boost its Interpretability", ICLR 2025, eq. 8.
    """
    if not isinstance(backbone, TorchBackbone):
        raise ArchitectureError(
            "An ONNX network cannot be trained; send its weights as a checkpoint of timm, torchvision or open_clip.",
            code="architecture_not_trainable",
            param="model",
        )
    if dataset.is_multi_label:
        raise SettingError("Fine-tuning needs one class per image, and these data are multi-label.", code="multi_label", param="dataset")
    if not 0 <= weight < math.inf:
        raise SettingError(f"lambda must be a number, 0 or above; it is {weight!r}.", param="lambda")
    if seed not in SEEDS:
        raise SettingError(f"A seed is a whole number from 0 to {SEEDS[-1]}; it is {seed!r}.", param="seed")
    folder.mkdir(parents=True, exist_ok=True)
    inputs = [
        backbone.digest,
        backbone.weights_digest(),
        dataset.digest,
        asdict(spec),
        seed,
        weight,
    ]  # h may start from the classifier
    key = hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
    with _reproducible(backbone.device):
        run = TrainingRun(backbone, dataset, spec, seed, weight)
        if (kept := newest_checkpoint(folder, key)) is not None:
            run.resume(kept)
        else:
            run.start(features)
        while not run.is_finished():
            record = run.train_epoch(progress)
            write_checkpoint(folder, key, run.checkpoint())
            on_epoch(record)
    return run.result()


@contextmanager
def _reproducible(device: torch.device) -> Generator[None]:
    """Make torch deterministic, and restore its random state and settings afterwards.

    A CPU needs no more than its seed. On a GPU torch uses deterministic operations where it has them, and warns where it has none.
    Since release 2.10 torch gives cuBLAS a workspace per stream, so that no environment variable is needed.
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
