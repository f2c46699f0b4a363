"""Fine-tuning of a real network with and without the interpretability term: time and scores. Prints a BENCH line.

Each seed trains the network twice on the same batches, with λ and with λ = 0. The original and every tuned network are scored in the
`exact` protocol. The ratio is seconds per epoch of the control over those with the term.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path
from typing import Any, cast

import torch

from benchmarks.real_networks import DATA, MOBILENETS
from benchmarks.timing import print_ratio, timed
from iis_engine import compare_runs
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.datasets import read_image_folder
from iis_engine.data.image_dataset import ImageDataset
from iis_engine.features.extraction import extract_features
from iis_engine.features.feature_set import FeatureSet
from iis_engine.finetuning.finetune_spec import FinetuneSpec
from iis_engine.finetuning.finetuned_run import FinetunedRun
from iis_engine.finetuning.run import finetune
from iis_engine.scoring.score import score_features
from iis_engine.specs import FINETUNE_LIBRARY_KINDS, TRAINED_PARTS, LibrarySpec, ScoreSpec

NETWORK = "imagenet_mobilenetv1_025"


class Comparison:
    """One network and data set, trained and scored in a folder, from which an interrupted run resumes."""

    def __init__(self, checkpoint: Path, images: Path, spec: FinetuneSpec, folder: Path) -> None:
        self.dataset: ImageDataset = read_image_folder(images)
        self.spec = spec
        self.folder = folder
        self.backbone = load_backbone(MOBILENETS[NETWORK].spec(), checkpoint)
        self.features = self._features(self.backbone)

    def train(self, seed: int, weight: float) -> FinetunedRun:
        return finetune(
            self.backbone, self.dataset, self.spec, seed=seed, weight=weight, folder=self._folder(seed, weight), features=self.features
        )

    def score_original(self) -> dict[str, Any]:
        return self._report(self.features)

    def score(self, run: FinetunedRun, seed: int, weight: float) -> dict[str, Any]:
        path = self._folder(seed, weight) / "best.safetensors"
        run.save(path)
        features = self._features(load_backbone(MOBILENETS[NETWORK].spec(), path))
        return self._report(features) | {"accuracy_trained": run.accuracy(features)}

    def _folder(self, seed: int, weight: float) -> Path:
        return self.folder / f"seed-{seed}-lambda-{weight:g}"

    def _features(self, backbone: Backbone) -> FeatureSet:
        with tempfile.TemporaryDirectory() as shards:
            return extract_features(backbone, self.dataset, self.spec.elements, shard_folder=Path(shards))

    def _report(self, features: FeatureSet) -> dict[str, Any]:
        return score_features(features, ScoreSpec(self.spec.library, self.spec.elements)).to_dict()


def main() -> None:
    """Train and score both arms of every seed; print the table, the differences and the BENCH line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.finetune", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of weights and images")
    parser.add_argument("--images", default="flowers17", help="folder of images within it")
    parser.add_argument("--library", choices=FINETUNE_LIBRARY_KINDS, default="prototype")
    parser.add_argument("--concepts", type=int, default=200, help="M")
    parser.add_argument("--weight", type=float, default=1.0, help="λ of the treatment")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--trains", choices=TRAINED_PARTS, default="all")
    parser.add_argument("--rebuild-every", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--folder", type=Path, help="folder for runs, so that an interrupted one can resume; temporary by default")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of torch")
    options = parser.parse_args()
    checkpoint = options.data / "weights" / f"{NETWORK}.safetensors"
    if not checkpoint.is_file():
        print(f"SKIPPED finetune: {checkpoint.name} is missing in {options.data}; set IIS_SHARED_DATA to its folder.")
        return
    torch.set_num_threads(options.threads)
    spec = FinetuneSpec(
        LibrarySpec(options.library, options.concepts),
        epochs=options.epochs,
        learning_rate=options.learning_rate,
        trains=options.trains,
        rebuild_every=options.rebuild_every,
    )
    with tempfile.TemporaryDirectory() as temporary:
        comparison = Comparison(checkpoint, options.data / options.images, spec, options.folder or Path(temporary))
        _compare(comparison, options.seeds, options.weight)


def _compare(comparison: Comparison, seeds: list[int], weight: float) -> None:
    elapsed, probe = timed(comparison.score_original)
    print(f"original: {_describe(probe)}, scored in {elapsed.wall:.0f} s", flush=True)
    reports: dict[float, list[dict[str, Any]]] = {weight: [], 0.0: []}
    seconds: dict[float, list[float]] = {weight: [], 0.0: []}
    for seed in seeds:
        for arm in (weight, 0.0):
            run = comparison.train(seed, arm)
            reports[arm].append(comparison.score(run, seed, arm))
            seconds[arm] += [record.seconds for record in run.history]
            last, best = run.history[-1], run.history[run.best_epoch - 1]
            print(
                f"seed {seed} λ {arm:g}: {_describe(reports[arm][-1])}, best epoch {run.best_epoch}, "
                f"validation {best.validation_accuracy:.3f} and {best.validation_accuracy_interpretation:.3f}, "
                f"losses {run.history[0].loss_representation:.3f} -> {last.loss_representation:.3f} "
                f"and {run.history[0].loss_interpretation:.3f} -> {last.loss_interpretation:.3f}",
                flush=True,
            )
    compared = compare_runs(probe, reports[weight], reports[0.0], seeds, comparison.spec.trains)
    _print_table(compared)
    print_ratio(f"finetune_epoch_{NETWORK}", statistics.median(seconds[weight]), statistics.median(seconds[0.0]))


def _print_table(compared: dict[str, Any]) -> None:
    print("\n| measure | original | λ > 0, mean | λ = 0, mean | difference, 95 % interval |\n| --- | --- | --- | --- | --- |")
    for measure in ("accuracy", "iis", "accuracy_trained"):
        part = cast("dict[str, Any]", compared[measure])
        difference = part["differences"]["treatment_minus_control"]
        interval = "no interval" if difference["low"] is None else f"{difference['low']:+.4f} to {difference['high']:+.4f}"
        means = " | ".join("withheld" if mean is None else f"{mean:.4f}" for mean in (part["means"][arm] for arm in part["means"]))
        print(f"| {measure} | {means} | {difference['mean']:+.4f}, {interval} |")
    print()
    for measure in ("accuracy", "iis", "accuracy_trained"):
        for difference in compared[measure]["differences"].values():
            print(difference["sentence"])


def _describe(report: dict[str, Any]) -> str:
    iis = "withheld" if report["iis"] is None else f"{report['iis']:.4f} ({report['iis_low']:.4f} to {report['iis_high']:.4f})"
    found = report["controls"]["matched"]["gain"]
    gain = "" if found is None else f", gain {found:+.4f}"
    return f"accuracy {report['accuracy_representation']:.4f}, IIS {iis}{gain}"


if __name__ == "__main__":
    main()
