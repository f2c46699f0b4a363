"""The panel as a whole: order of rows, plain JSON, protocols without heads, and real representations."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.features.canonical_order import in_canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet, read_features
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.build import build_library
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.panel.panel import Panel, measure_panel
from iis_engine.scoring.measurement import Measurement, constant_prediction
from iis_engine.specs import LibrarySpec
from support.scored import digit_features

REPOSITORY = Path(__file__).resolve().parents[3]
CPU = torch.device("cpu")


def matched_directions(library: ConceptLibrary, seed: int) -> ConceptLibrary:
    """Gaussian directions with the mean and covariance of the library's vectors."""
    vectors = library.vectors.double()
    mean = vectors.mean(dim=0)
    draws = torch.randn(len(vectors), len(vectors), generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    drawn = mean + draws @ (vectors - mean) / len(vectors) ** 0.5
    return replace(library, kind="matched", vectors=normalize(drawn, dim=1).float())


def parts_of(measured: Measurement) -> tuple[tuple[int, ...], torch.Tensor]:
    return measured.kept, measured.heads


def measurement(features: FeatureSet, library: ConceptLibrary, nodes: list[int]) -> Measurement:
    """The heads of one library at a few nodes; the panel reads nothing else of a measurement."""
    ordered = in_canonical_order(features)
    data = TrainingRows(ordered.y_train, validation_rows(ordered.y_train, 0.1, seed=0), ordered.class_count)
    solved = solve_nodes(Source.of(library.activations(ordered.X_train)), nodes, data)
    constant = constant_prediction(ordered.y_train, ordered.y_test)
    return Measurement(
        kept=tuple(nodes),
        correct=constant.expand(1, len(nodes), -1),
        baseline_correct=constant,
        constant_correct=constant,
        heads=solved.weights,
        strengths=solved.l2_strengths.unsqueeze(0),
        baseline=torch.zeros(features.X_train.shape[1] + 1, features.class_count, dtype=torch.float64),
        concept_count=len(library),
        solver={},
    )


def shuffled(features: FeatureSet) -> FeatureSet:
    def order(count: int, seed: int) -> Tensor:
        return torch.randperm(count, generator=torch.Generator().manual_seed(seed))

    train, test = order(len(features.y_train), 0), order(len(features.y_test), 1)
    return replace(
        features,
        X_train=features.X_train[train],
        y_train=features.y_train[train],
        X_test=features.X_test[test],
        y_test=features.y_test[test],
    )


class _Panels:
    """Inputs of panels of some of scikit-learn's digits with 40 concepts, and the progress that was reported."""

    def __init__(self) -> None:
        digits = digit_features()
        self.features = replace(
            digits, X_train=digits.X_train[:400], y_train=digits.y_train[:400], X_test=digits.X_test[:200], y_test=digits.y_test[:200]
        )
        self.libraries = [build_library(self.features, LibrarySpec("prototype", 40), seed, CPU) for seed in (0, 1)]
        self.matched = [matched_directions(self.libraries[0], seed) for seed in (0, 1)]
        self.measured = measurement(self.features, self.libraries[0], [40, 20, 8, 4])
        self.progress: list[tuple[int, int]] = []

    def measure(self, features: FeatureSet | None = None, measured: Measurement | None = None) -> Panel:
        self.progress.clear()
        return measure_panel(
            features or self.features,
            self.libraries,
            self.matched,
            *parts_of(measured or self.measured),
            device=CPU,
            progress=lambda done, total: self.progress.append((done, total)),
        )


@pytest.fixture(scope="module")
def panels() -> _Panels:
    torch.set_num_threads(1)
    return _Panels()


@pytest.fixture(scope="module")
def panel(panels: _Panels) -> Panel:
    return panels.measure()


def test_the_order_of_the_rows_changes_nothing(panels: _Panels, panel: Panel) -> None:
    assert panels.measure(shuffled(panels.features)) == panel


def test_the_panel_is_plain_json_with_one_record_per_concept(panel: Panel) -> None:
    values, concepts = panel.to_dict(), [concept.to_dict() for concept in panel.concepts]

    assert json.loads(json.dumps([values, concepts], allow_nan=False)) == [values, concepts]
    assert [concept["concept"] for concept in concepts] == list(range(40))
    assert values["library"]["code"]["kept"] == 8  # the node nearest to 10
    assert values["selectivity"]["kept"] == values["contributing_concepts"]["kept"] == 4  # the default node: max(5, M / 10)


def test_values_lie_within_their_bounds_and_medians_are_those_of_the_concepts(panel: Panel) -> None:
    code, concepts = panel.library.code, panel.concepts
    scores = sorted(concept.mono_score for concept in concepts if concept.mono_score is not None)

    assert 8 <= code.concepts_used <= 40
    assert 0 <= code.overlap <= 1
    assert 1 <= panel.library.effective_rank <= 40
    assert sum(concept.firing_rate for concept in concepts) == pytest.approx(8)
    assert panel.library.mono_score == pytest.approx((scores[19] + scores[20]) / 2)
    assert panel.library.class_purity == pytest.approx(sorted(concept.class_purity for concept in concepts)[20], abs=0.1)
    assert panel.contributing_concepts is not None
    assert 1 <= panel.contributing_concepts.ncc <= 4
    assert panel.effective_concepts.training_rows == 400
    assert panel.stability is not None


def test_a_protocol_without_stored_heads_has_no_contributing_concepts_and_every_step_is_reported(panels: _Panels, panel: Panel) -> None:
    without = panels.measure(measured=replace(panels.measured, heads=torch.empty(0)))
    assert without == replace(panel, contributing_concepts=None)
    assert panels.progress == [(done, 6) for done in range(1, 7)]


@pytest.fixture(scope="module")
def golden() -> Path:
    """Folder of real representations, `IIS_GOLDEN` or `golden` beside the real images; skips where it is missing."""
    images = Path(os.environ.get("IIS_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    folder = Path(os.environ.get("IIS_GOLDEN", images.parent / "golden"))
    if not (folder / "golden.json").is_file():
        pytest.skip(f"NOT TESTED: the real representations are missing at {folder}; set IIS_GOLDEN to their folder")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits_trained", "cifar_resnet20"])
def test_concepts_of_a_trained_network_are_purer_and_more_stable_than_matched_directions(name: str, golden: Path) -> None:
    features = read_features(golden / f"{name}.npz")
    libraries = [build_library(features, LibrarySpec("prototype", 200), seed, CPU) for seed in range(5)]
    matched = [matched_directions(libraries[0], seed) for seed in range(5)]
    measured = measurement(features, libraries[0], [200, 20, 10])
    started = time.process_time()
    panel = measure_panel(features, libraries, matched, *parts_of(measured), device=CPU)
    print(f"{name}: {time.process_time() - started:.1f} s of processor time")

    assert panel.library.class_purity > panel.matched.class_purity
    assert panel.stability is not None
    assert panel.stability.difference > 0.02
    assert 0.8 < panel.effective_concepts.anec <= 1
    assert panel.effective_concepts.accuracies[-1].accuracy >= panel.effective_concepts.accuracies[0].accuracy - 0.02
