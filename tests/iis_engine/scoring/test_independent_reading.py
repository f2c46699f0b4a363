"""A reader who knows the method's description alone (`support.independent_reader`) recomputes scores to the last test image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from iis_engine import protocols
from iis_engine.features.canonical_order import in_canonical_order
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, solve_at
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.build import build_library
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.controls import isotropic, matched
from iis_engine.libraries.library import ConceptLibrary, training_moments
from iis_engine.scoring.ensemble import build_libraries
from iis_engine.scoring.exact import measure_exact
from iis_engine.scoring.measure import matched_libraries, measure_isotropic, measure_library, measure_matched
from iis_engine.scoring.measurement import Measurement
from iis_engine.scoring.score import assemble
from iis_engine.scoring.summary import Controls
from iis_engine.specs import LibraryKind, LibrarySpec, ScoreSpec
from support.independent_reader import Reading, Rows, read

CPU = torch.device("cpu")
UNDECIDED_SHARE = 0.005  # of the test images, at any node
TIED = 0.02  # difference of two logits


@dataclass(frozen=True)
class Cell:
    """Libraries of one kind, and the edition of their activations."""

    libraries: Sequence[ConceptLibrary]
    calibrated: bool = True


def overlapping_classes() -> FeatureSet:
    """Six classes that overlap, far from the origin, in 24 dimensions of unequal variance."""
    generator = torch.Generator().manual_seed(11)
    centres = 0.7 * torch.randn(6, 24, generator=generator)
    scales = torch.logspace(-0.5, 0.5, 24)

    def draw(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        y = torch.arange(count) % 6
        return 5 + (centres[y] + torch.randn(count, 24, generator=generator)) * scales, y

    (X_train, y_train), (X_test, y_test), (elements, _) = draw(480), draw(300), draw(120)
    return FeatureSet(X_train, y_train, X_test, y_test, tuple("abcdef"), elements)


def library(features: FeatureSet, kind: LibraryKind, count: int = 30, seed: int = 0, *, centred: bool = True) -> ConceptLibrary:
    return build_library(features, LibrarySpec(kind, count), seed, CPU, centred=centred)


def side_by_side(*parts: ConceptLibrary) -> ConceptLibrary:
    return ConceptLibrary(
        "combined",
        torch.cat([part.vectors for part in parts]),
        tuple(origin for part in parts for origin in part.origins),
        tuple(exemplars for part in parts for exemplars in part.exemplars),
    )


def phrases(features: FeatureSet, count: int) -> ConceptLibrary:
    """Directions as a text library has them after its fit, standardised concept by concept."""
    vectors = isotropic(["text"] * count, features.X_train.shape[1], seed=5).vectors
    means, deviations = training_moments(features.X_train, vectors)
    return ConceptLibrary("text", vectors, ("text",) * count, ((),) * count, means, deviations)


def clusters(features: FeatureSet) -> Cell:
    return Cell([library(features, "cluster", seed=seed) for seed in range(2)])


def first_edition(features: FeatureSet) -> Cell:
    return Cell([library(features, "prototype", centred=False)], calibrated=False)


def isotropic_control(features: FeatureSet) -> Cell:
    return Cell([isotropic(["prototype"] * 30, features.X_train.shape[1], seed=10_000)])


def matched_control_of_two_parts(features: FeatureSet) -> Cell:
    return Cell([matched(side_by_side(library(features, "prototype", 12), library(features, "cluster", 18)), seed=10_000)])


def groups_beside_phrases(features: FeatureSet) -> Cell:
    return Cell([side_by_side(library(features, "end2end", 12), phrases(features, 18))])


def reading_of(features: FeatureSet, libraries: Sequence[ConceptLibrary], measured: Measurement, *, calibrated: bool = True) -> Reading:
    """The reader's answer on the same rows, vectors and L2 strengths."""
    ordered = in_canonical_order(features)
    arrays = (ordered.X_train, ordered.y_train, ordered.X_test, ordered.y_test)
    blocks = libraries[0].blocks()
    return read(
        Rows(*(array.numpy() for array in arrays)),
        [each.vectors.numpy() for each in libraries],
        dict(zip(measured.kept, measured.strengths[0].tolist(), strict=True)),
        measured.solver["baseline_strength"],
        blocks=[block.stop - block.start for block in blocks],
        text=[libraries[0].origins[block.start] == "text" for block in blocks],
        calibrated=calibrated,
    )


def disagreements(measured: Measurement, reading: Reading) -> dict[int, NDArray[np.bool_]]:
    """Where engine and reader differ on a test image, (S, n), by node k."""
    by_node = {k: measured.correct[:, place].bool().numpy() != np.stack(reading.correct[k]) for place, k in enumerate(measured.kept)}
    return {k: differs for k, differs in by_node.items() if differs.any()}


def solved_tightly(features: FeatureSet, library: ConceptLibrary, kept: int, strength: float) -> NDArray[np.bool_]:
    """Correctness (n,) of the engine's head, solved many times as tightly as a score solves it."""
    ordered = in_canonical_order(features)
    calibrated = calibrate(library, ordered.X_train).apply(library)
    train, test = (Source.of(calibrated.activations(X)) for X in (ordered.X_train, ordered.X_test))
    rows = TrainingRows(ordered.y_train, torch.zeros(len(ordered.y_train), dtype=torch.bool), features.class_count)
    solved = solve_at(train, [kept], torch.tensor([strength]), rows, tolerance=protocols.HEAD_TOLERANCE / 25)
    return (predict(test, kept, solved.weights)[:, 0].argmax(dim=1) == ordered.y_test).numpy()


def assert_same_images(features: FeatureSet, cell: Cell) -> None:
    """Every decision is the same, but for images that the engine's tolerance leaves undecided: those agree once it is tight.

    At weak strengths the optimum is flat: the largest gradient entry at which a head counts as solved may leave an image on the wrong side
    of a boundary. An image within `TIED` of two equal logits is undecided in float32.
    """
    measured = measure_exact(features, cell.libraries, 0, CPU, calibrated=cell.calibrated)
    reading = reading_of(features, cell.libraries, measured, calibrated=cell.calibrated)
    strengths = dict(zip(measured.kept, measured.strengths[0].tolist(), strict=True))
    different = disagreements(measured, reading)
    print({kept: (int(differs.sum()), strengths[kept]) for kept, differs in different.items()}, "differ of", len(features.y_test))
    for kept, differs in different.items():
        assert differs.mean() <= UNDECIDED_SHARE, f"{differs.sum()} images differ at k = {kept}"
        for number in np.flatnonzero(differs.sum(axis=1)).tolist():
            tight = solved_tightly(features, cell.libraries[number], kept, strengths[kept])
            still = tight != reading.correct[kept][number]
            assert (reading.margin[kept][number][still] < TIED).all(), f"{still.sum()} images differ at k = {kept}"
    assert np.array_equal(measured.baseline_correct.numpy(), reading.baseline)
    assert np.array_equal(measured.constant_correct.numpy(), reading.constant)


def test_the_reader_finds_each_test_image_of_a_control() -> None:
    features = overlapping_classes()
    assert_same_images(features, isotropic_control(features))


@pytest.mark.slow
@pytest.mark.parametrize("cell", [clusters, first_edition, matched_control_of_two_parts, groups_beside_phrases])
def test_the_reader_finds_each_test_image_of_every_library_and_edition(cell: Callable[[FeatureSet], Cell]) -> None:
    features = overlapping_classes()
    assert_same_images(features, cell(features))


@pytest.mark.slow
def test_the_reader_finds_the_headline_and_the_gains_of_a_whole_report() -> None:
    features, spec = overlapping_classes(), ScoreSpec(LibrarySpec("cluster", 30))
    ensemble = build_libraries(features, spec, device="cpu")
    controls = matched_libraries(features, ensemble, spec)
    directions = [isotropic(ensemble.primary.origins, 24, seed) for seed in range(10_000, 10_005)]
    measured = measure_library(features, ensemble, spec, device="cpu")
    over_any = measure_isotropic(features, ensemble.primary.origins, spec, device="cpu")
    over_matched = measure_matched(features, controls, spec, device="cpu")
    report = assemble(features, ensemble, measured, Controls(over_any, over_matched), spec)

    own = reading_of(features, ensemble.libraries, measured)
    assert report.accuracy_representation == pytest.approx(np.mean(own.baseline))
    assert {point.kept: point.arr for point in report.points} == pytest.approx({k: own.retention(k) for k in (*measured.kept, 0)})
    assert (report.iis, report.few_concepts_mean) == pytest.approx((own.iis(), own.few()))
    for name, libraries, found in (("isotropic", directions, over_any), ("matched", controls.libraries, over_matched)):
        control, theirs = report.controls[name], reading_of(features, libraries, found)
        gain = own.iis() - theirs.iis()
        expected = (theirs.iis(), gain, gain / (1 - theirs.iis()), theirs.few(), own.few() - theirs.few())
        assert (control.iis, control.gain, control.headroom_gain, control.few_mean, control.few_gain) == pytest.approx(expected)
