"""The `reference` protocol against the authors' own code on the same arrays (M = 200, seed 0).

Their integral stops at s = .98. The tolerances are several times the spread of their own numbers over seeds.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from iis_engine.features.feature_set import read_features
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.measure import measure_library
from iis_engine.scoring.score import assemble
from iis_engine.scoring.summary import Controls
from iis_engine.specs import LibraryKind, LibrarySpec, ScoreSpec

REPOSITORY = Path(__file__).resolve().parents[3]
CONCEPT_COUNT = 200
SEED = "0"
NAMES_IN_GOLDEN: dict[LibraryKind, str] = {"prototype": "Prototype", "cluster": "Cluster", "end2end": "End2End"}


@pytest.fixture(scope="module")
def golden() -> Path:
    """Folder of arrays and of the authors' numbers, `IIS_GOLDEN` or `golden` beside the real images; skips where it is missing."""
    images = Path(os.environ.get("IIS_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = Path(os.environ.get("IIS_GOLDEN", images.parent / "golden"))
    if not (folder / "golden.json").is_file():
        pytest.skip(f"NOT TESTED: the authors' numbers are missing at {folder}; set IIS_GOLDEN to their folder")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)  # End2End trains every node anew: minutes on a busy machine, so once
@pytest.mark.parametrize(
    ("representation", "kind", "tolerance"),
    [
        ("digits_trained", "prototype", 0.015),
        ("digits_trained", "end2end", 0.03),
        ("digits_ep1", "cluster", 0.015),
        ("cifar_resnet20", "prototype", 0.015),
    ],
)
def test_the_reference_protocol_gives_the_iis_of_the_authors_code(
    representation: str, kind: LibraryKind, tolerance: float, golden: Path
) -> None:
    theirs = json.loads((golden / "golden.json").read_text())["reference"][representation][SEED]
    features = read_features(golden / f"{representation}.npz")
    spec = ScoreSpec(LibrarySpec(kind, CONCEPT_COUNT), protocol="reference")
    libraries = build_libraries(features, spec, device="cpu")
    measured = measure_library(features, libraries, spec, device="cpu")
    report = assemble(features, libraries, measured, Controls(measured, measured), spec)  # no control is needed here
    iis, baseline = report.iis, report.accuracy_representation
    print(f"{representation} {kind}: IIS {iis:.4f}, theirs {theirs[NAMES_IN_GOLDEN[kind]]['iis']:.4f}")

    assert iis == pytest.approx(theirs[NAMES_IN_GOLDEN[kind]]["iis"], abs=tolerance)
    assert baseline == pytest.approx(max(theirs["standard_accuracy_by_learning_rate_best_epoch"].values()), abs=0.015)
