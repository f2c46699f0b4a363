"""Stages of scoring: libraries, controls, heads, curve, exemplars, predictors and report."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from worker.sandbox.messages import JsonObject
from worker.stages.datasets import open_images
from worker.stages.files import (
    ENSEMBLE,
    FEATURES,
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
from worker.stages.specs import DatasetRequest, score_spec
from worker.stages.text import text_source

if TYPE_CHECKING:
    from iis_engine.features.feature_set import FeatureSet
    from iis_engine.scoring.ensemble import LibraryEnsemble


def libraries(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: the concept library -> library.safetensors; all seeds for the interval -> ensemble.zip."""
    from iis_engine.libraries.vectors import read_vectors
    from iis_engine.scoring.ensemble import build_libraries

    source = text_source(workspace) if arguments["words"] else None
    given = arguments.get("sources", {}).get("vectors")
    own = None if given is None else read_vectors(Path(given["file"]))
    features, spec = _features(workspace), score_spec(arguments["score"])
    ensemble = build_libraries(features, spec, reporter.progress, text_source=source, own_vectors=own, device=arguments["device"])
    ensemble.primary.save(workspace / LIBRARY)
    _pack(ensemble, workspace, ENSEMBLE)
    return {}


def isotropic(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: curve of the isotropic control -> isotropic.safetensors."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.measure import measure_isotropic

    count = arguments["concept_count"]
    # Blocks, and the size of a text library, are known once it is built.
    origins = ConceptLibrary.load(workspace / LIBRARY).origins if count is None else ("random",) * count
    features, spec = _features(workspace), score_spec(arguments["score"])
    measure_isotropic(features, origins, spec, reporter.progress, device=arguments["device"]).save(workspace / ISOTROPIC)
    return {}


def matched(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: libraries and curve of the matched control -> matched.zip, matched.safetensors."""
    from iis_engine.scoring.measure import matched_libraries, measure_matched

    source = text_source(workspace) if arguments["words"] else None
    features, ensemble, spec = _features(workspace), _ensemble(workspace), score_spec(arguments["score"])
    controls = matched_libraries(features, ensemble, spec, text_source=source, device=arguments["device"])
    _pack(controls, workspace, MATCHED_LIBRARIES)
    measure_matched(features, controls, spec, reporter.progress, device=arguments["device"]).save(workspace / MATCHED)
    return {}


def heads(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: sparse heads at every node -> measurement.safetensors."""
    from iis_engine.scoring.measure import measure_library

    features, ensemble, spec = _features(workspace), _ensemble(workspace), score_spec(arguments["score"])
    measure_library(features, ensemble, spec, reporter.progress, device=arguments["device"]).save(workspace / MEASUREMENT)
    return {}


def panel(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: measures beside the score -> panel.json; none of multi-label data."""
    from iis_engine.scoring.measure import measure_score_panel
    from iis_engine.scoring.measurement import Measurement

    features, ensemble, spec = _features(workspace), _ensemble(workspace), score_spec(arguments["score"])
    controls, measured = _unpack(workspace, MATCHED_LIBRARIES), Measurement.load(workspace / MEASUREMENT)
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
    report = assemble(_features(workspace), _ensemble(workspace), measured, controls, spec, names).to_dict()
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
    write_concepts(_features(workspace), ConceptLibrary.load(workspace / LIBRARY), images, names, workspace, reporter.progress)
    return {}


def predictors(workspace: Path, arguments: JsonObject, reporter: Reporter) -> JsonObject:
    """Stage: predictors and test set, for explanations -> predictors.safetensors, tested.safetensors."""
    from iis_engine.explanations.test_set import TestSet
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.measurement import Measurement
    from iis_engine.scoring.predictor import PredictorFamily

    features, names = _features(workspace), list[str]()
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


def _features(workspace: Path) -> FeatureSet:
    from iis_engine.features.feature_set import FeatureSet

    return FeatureSet.load(workspace / FEATURES)


def _ensemble(workspace: Path) -> LibraryEnsemble:
    """The libraries of all seeds; one alone where an earlier job fitted the library."""
    from iis_engine.libraries.library import ConceptLibrary
    from iis_engine.scoring.ensemble import LibraryEnsemble

    if not (workspace / ENSEMBLE).exists():
        return LibraryEnsemble((ConceptLibrary.load(workspace / LIBRARY).on_other_images(),))
    return _unpack(workspace, ENSEMBLE)


def _pack(ensemble: LibraryEnsemble, workspace: Path, name: str) -> None:
    """Write the libraries of an ensemble as a zip."""
    folder = workspace / Path(name).stem
    ensemble.save(folder)
    with zipfile.ZipFile(workspace / name, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)


def _unpack(workspace: Path, name: str) -> LibraryEnsemble:
    """Read a zip written by `_pack`."""
    from iis_engine.scoring.ensemble import LibraryEnsemble

    folder = workspace / Path(name).stem
    with zipfile.ZipFile(workspace / name) as archive:
        archive.extractall(folder)
    return LibraryEnsemble.load(folder)
