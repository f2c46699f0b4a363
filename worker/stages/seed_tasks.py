"""Stages that compute parts of a measurement, which several workers may do; the stage itself joins them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.files import CHOICE, seed_file
from worker.stages.reporter import Reporter
from worker.stages.scored_libraries import SCORED_LIBRARIES, read_features
from worker.stages.specs import score_spec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.exact_parts import SeedCurve, StrengthChoice
    from iis_engine.scoring.measurement import Measurement
    from iis_engine.specs import ScoreSpec


def choose_strengths(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: h, nodes and strengths of the stage `of` -> choice-00000.safetensors in its folder of shards."""
    from iis_engine.scoring.measure import choose_library_strengths

    features, spec = read_features(workspace), score_spec(arguments["score"])
    first = SCORED_LIBRARIES[arguments["of"]](workspace, arguments, features)[0]
    folder = workspace / arguments["shard_folder"]
    folder.mkdir(exist_ok=True)
    choose_library_strengths(features, first, spec, device=arguments["device"]).save(folder / CHOICE)
    return {}


def measure_seeds(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: curves of some seeds of the stage `of` -> seed-<number>.safetensors each in its folder of shards."""
    from iis_engine.scoring.exact_parts import StrengthChoice

    features, spec, folder = read_features(workspace), score_spec(arguments["score"]), workspace / arguments["shard_folder"]
    scored = SCORED_LIBRARIES[arguments["of"]](workspace, arguments, features)
    choice, numbers = StrengthChoice.load(folder / CHOICE), [int(number) for number in arguments["seeds"]]
    for number, curve in zip(numbers, _curves(features, scored, numbers, choice, spec, arguments["device"]), strict=True):
        curve.save(folder / seed_file(number))
    return {}


def join_or_measure(
    workspace: Path,
    arguments: JsonObject,
    features: FeatureSet,
    scored: Sequence[ConceptLibrary],
    whole: Callable[[], Measurement],
) -> Measurement:
    """Join the parts of a measurement where its strengths are chosen, and compute those that are missing; else measure it whole."""
    from iis_engine.scoring.exact_parts import SeedCurve, StrengthChoice, joined

    folder = workspace / arguments.get("shard_folder", "none")
    if not (folder / CHOICE).exists():
        return whole()
    choice, spec = StrengthChoice.load(folder / CHOICE), score_spec(arguments["score"])
    stored = {number: SeedCurve.load(path) for number in range(len(scored)) if (path := folder / seed_file(number)).exists()}
    missing = [number for number in range(len(scored)) if number not in stored]
    curves = stored | dict(zip(missing, _curves(features, scored, missing, choice, spec, arguments["device"]), strict=True))
    return joined(choice, [curves[number] for number in range(len(scored))])


def _curves(
    features: FeatureSet, scored: Sequence[ConceptLibrary], numbers: Sequence[int], choice: StrengthChoice, spec: ScoreSpec, device: str
) -> list[SeedCurve]:
    from iis_engine.scoring.measure import measure_library_seeds

    if not numbers:
        return []
    return measure_library_seeds(features, {number: scored[number] for number in numbers}, choice, spec, device=device)
