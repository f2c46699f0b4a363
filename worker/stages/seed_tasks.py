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
    choice = StrengthChoice.load(folder / CHOICE)
    for done, number in enumerate(arguments["seeds"], start=1):
        _seed_curve(features, scored, number, choice, spec, arguments["device"]).save(folder / seed_file(number))
        reporter.progress(done, len(arguments["seeds"]))
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
    curves = [
        SeedCurve.load(folder / seed_file(number))
        if (folder / seed_file(number)).exists()
        else _seed_curve(features, scored, number, choice, spec, arguments["device"])
        for number in range(len(scored))
    ]
    return joined(choice, curves)


def _seed_curve(
    features: FeatureSet, scored: Sequence[ConceptLibrary], number: int, choice: StrengthChoice, spec: ScoreSpec, device: str
) -> SeedCurve:
    from iis_engine.scoring.measure import measure_library_seed

    return measure_library_seed(features, scored[number], choice, spec, is_first=number == 0, device=device)
