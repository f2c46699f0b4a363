"""Coverage of every interval of a report, over populations with known accuracies."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import populations
from benchmarks.coverage import BASE_ACCURACIES, IMAGE_COUNTS, NODES_SHOWN, intervals, measure_coverage
from benchmarks.populations import ThresholdModel
from iis_engine.scoring.sparse_curves import Baseline, Estimate, SparseCurve

UNBOUNDED = ("headroom gain", "IIS, chance-corrected")
"""Their denominators may be as small as the error of the mean; then the interval is infinite and holds every value."""


def test_intervals_of_a_middling_network_hold_the_true_values() -> None:
    records, passed = measure_coverage(ThresholdModel(0.88, 0.1), image_count=100, test_sets=400)
    assert passed == 1.0
    assert min(record.coverage for record in records.values()) > 0.92
    assert max(record.coverage for name, record in records.items() if name not in UNBOUNDED) < 0.99


def curves_of_a_report(sets: populations.TestSets, number: int) -> list[SparseCurve]:
    """Library and control of one test set, as a report reads them."""
    baseline = Baseline(sets.h[number], sets.constant[number])
    curves: list[SparseCurve] = []
    for name, correct, kept in (("library", sets.library, sets.library_kept), ("control", sets.control, sets.control_kept)):
        nothing_kept = np.broadcast_to(baseline.constant, (correct.shape[1], 1, len(baseline.constant)))
        nodes = [*kept, 0]
        sparsity = [1 - k / populations.CONCEPT_COUNT for k in nodes]
        all_nodes = np.concatenate([correct[number], nothing_kept], axis=1)
        curves.append(SparseCurve(name, populations.CONCEPT_COUNT, "exact", nodes, sparsity, [], all_nodes, baseline))
    return curves


def test_the_quantities_whose_coverage_is_measured_are_those_of_a_report() -> None:
    sets, _ = ThresholdModel(0.88, 0.1).draw(3, 100, np.random.default_rng(4))
    found = intervals(sets)
    for number in range(3):
        library, control = curves_of_a_report(sets, number)
        nodes = [library.kept.index(k) for k in NODES_SHOWN]
        accuracies, retentions = library.accuracies(), library.retentions()
        for k, place in zip(NODES_SHOWN, nodes, strict=True):
            for name, of_nodes in ((f"accuracy at k = {k}", accuracies), (f"ARR at k = {k}", retentions)):
                expected = [float(end[place]) for end in (of_nodes.estimate, of_nodes.low, of_nodes.high)]
                assert [float(end[number]) for end in (found[name].estimate, found[name].low, found[name].high)] == pytest.approx(expected)
        of_report: dict[str, Estimate | None] = {
            "accuracy of h": Estimate.of(library.baseline.interval()),
            "IIS": library.iis(),
            "IIS of control": control.iis(),
            "log IIS": library.iis_log(),
            "few concepts": library.few(),
            "IIS, chance-corrected": library.chance_corrected(),
            "gain": library.gain(control),
            "few-concept gain": library.few_gain(control),
            "headroom gain": library.headroom_gain(control),
        }
        for name, estimate in of_report.items():
            assert estimate is not None
            assert (estimate.low is None) == bool(np.isinf(found[name].low[number]))
            ends = (estimate.value, -np.inf if estimate.low is None else estimate.low, np.inf if estimate.high is None else estimate.high)
            assert [float(end[number]) for end in (found[name].estimate, found[name].low, found[name].high)] == pytest.approx(ends)


@pytest.mark.slow
@pytest.mark.parametrize("image_count", IMAGE_COUNTS)
@pytest.mark.parametrize(("accuracy", "majority"), BASE_ACCURACIES)
def test_intervals_of_every_population_hold_the_true_values(accuracy: float, majority: float, image_count: int) -> None:
    records, _ = measure_coverage(ThresholdModel(accuracy, majority), image_count, test_sets=1000)
    assert min(record.coverage for record in records.values()) > 0.925
    bounded = {name: record.coverage for name, record in records.items() if name not in UNBOUNDED}
    assert max(bounded.values()) < 0.99 if accuracy == 0.99 and image_count == 100 else max(bounded.values()) < 0.98
