"""Stages of scoring: libraries, controls, heads, curve, exemplars, predictors and report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import open_images
from worker.stages.files import (
    ENSEMBLE,
    ISOTROPIC,
    LIBRARY,
    MATCHED,
    MATCHED_LIBRARIES,
    MEASUREMENT,
    NAMES,
    PANEL,
    PLOTS,
    PREDICTORS,
    REPORT,
    TEST_SET,
)
from worker.stages.reporter import Reporter
from worker.stages.scored_libraries import SCORED_LIBRARIES, pack_libraries, read_ensemble, read_features, unpack_libraries
from worker.stages.seed_tasks import join_or_measure
from worker.stages.specs import DatasetRequest, score_spec
from worker.stages.text import text_source

if TYPE_CHECKING:
    from iis_engine.scoring.measurement import Measurement


def libraries(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: the concept library -> library.safetensors; all seeds for the interval -> ensemble.zip."""
    from iis_engine.libraries.vectors import read_vectors
    from iis_engine.scoring.ensemble import build_libraries

    source = text_source(workspace) if arguments["words"] else None
    given = arguments.get("sources", {}).get("vectors")
    own = None if given is None else read_vectors(Path(given["file"]))
    features, spec = read_features(workspace), score_spec(arguments["score"])
    ensemble = build_libraries(features, spec, reporter.progress, text_source=source, own_vectors=own, device=arguments["device"])
    ensemble.primary.save(workspace / LIBRARY)
    pack_libraries(ensemble, workspace, ENSEMBLE)
    return {}


def isotropic(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: curve of the isotropic control -> isotropic.safetensors."""
    return _measure(workspace, arguments, reporter, "isotropic", ISOTROPIC)


def matched(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: libraries and curve of the matched control -> matched.zip, matched.safetensors."""
    return _measure(workspace, arguments, reporter, "matched", MATCHED)


def heads(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: sparse heads at every node -> measurement.safetensors."""
    return _measure(workspace, arguments, reporter, "heads", MEASUREMENT)


def _measure(workspace: Path, arguments: JsonObject, reporter: Reporter, stage: str, file: str) -> JsonObject:
    """Measure the curves of a stage's libraries, or join those that are measured."""
    from iis_engine.scoring.measure import measure_libraries

    features, spec = read_features(workspace), score_spec(arguments["score"])
    scored, kind = SCORED_LIBRARIES[stage](workspace, arguments, features), spec.library.kind if stage == "heads" else "random"

    def whole() -> Measurement:
        return measure_libraries(features, scored, kind, spec, reporter.progress, device=arguments["device"])

    join_or_measure(workspace, arguments, features, scored, whole).save(workspace / file)
    return {}


def panel(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: measures beside the score -> panel.json; none of multi-label data."""
    from iis_engine.scoring.measure import measure_score_panel
    from iis_engine.scoring.measurement import Measurement

    features, ensemble, spec = read_features(workspace), read_ensemble(workspace), score_spec(arguments["score"])
    controls, measured = unpack_libraries(workspace, MATCHED_LIBRARIES), Measurement.load(workspace / MEASUREMENT)
    found = measure_score_panel(features, ensemble, controls, measured, spec, reporter.progress, device=arguments["device"])
    concepts = [] if found is None else [concept.to_dict() for concept in found.concepts]
    content = {"panel": found and found.to_dict(), "concepts": concepts}
    (workspace / PANEL).write_text(json.dumps(content, allow_nan=False))
    return {}


def curve(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: the curve, the IIS and their intervals -> report.json."""
    from iis_engine.libraries.naming import load_names
    from iis_engine.scoring.measurement import Measurement
    from iis_engine.scoring.score import assemble
    from iis_engine.scoring.summary import Controls

    measured, *of_controls = (Measurement.load(workspace / name) for name in (MEASUREMENT, ISOTROPIC, MATCHED))
    names = load_names(workspace / NAMES) if arguments["named"] else None
    spec, controls = score_spec(arguments["score"]), Controls(*of_controls)
    report = assemble(read_features(workspace), read_ensemble(workspace), measured, controls, spec, names).to_dict()
    panel = json.loads((workspace / PANEL).read_text())["panel"]
    if panel is not None:
        report |= {"panel": panel, "warnings": [*report["warnings"], *panel["warnings"]]}
    (workspace / REPORT).write_text(json.dumps(report, allow_nan=False))
    reporter.progress(1, 1)
    return {"warnings": report["warnings"]}


def explain(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: concepts with names and exemplars -> concepts.json, left_out.json, vectors.npy, exemplars.zip."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.libraries.naming import load_names
    from worker.stages.exemplars import write_concepts

    sources = arguments.get("sources")
    images = open_images(workspace, DatasetRequest.from_json(sources["dataset"])) if sources else None
    names = load_names(workspace / NAMES) if arguments["named"] else None
    write_concepts(read_features(workspace), ConceptLibrary.load(workspace / LIBRARY), images, names, workspace, reporter.progress)
    return {}


def predictors(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: predictors and test set, for explanations -> predictors.safetensors, tested.safetensors."""
    from iis_engine.explanations.test_set import TestSet
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.measurement import Measurement
    from iis_engine.scoring.predictor import PredictorFamily

    features, names = read_features(workspace), list[str]()
    if sources := arguments.get("sources"):
        images = open_images(workspace, DatasetRequest.from_json(sources["dataset"]))
        names = [image.path.relative_to(images.root).as_posix() for image in images.test]
    family = PredictorFamily.of(ConceptLibrary.load(workspace / LIBRARY), Measurement.load(workspace / MEASUREMENT), features.class_names)
    family.save(workspace / PREDICTORS)
    TestSet.of(features, family, names).save(workspace / TEST_SET)
    reporter.progress(1, 1)
    return {}


def report(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: figures of the report -> arr.png, arr.svg, accuracy.png, accuracy.svg."""
    from iis_engine.figures.report import save_plot

    content = json.loads((workspace / REPORT).read_text())
    figures = sorted({figure for figure, _, _ in PLOTS})
    for done, figure in enumerate(figures, start=1):
        save_plot(content, figure, *(workspace / file for name, _, file in PLOTS if name == figure))
        reporter.progress(done, len(figures))
    return {}
