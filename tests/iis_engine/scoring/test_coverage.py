"""Coverage of every interval of a report, over populations with known accuracies."""

from __future__ import annotations

import pytest

from benchmarks.coverage import BASE_ACCURACIES, IMAGE_COUNTS, measure_coverage
from benchmarks.populations import ThresholdModel

UNBOUNDED = ("headroom gain", "IIS, chance-corrected")
"""Their denominators may be as small as the error of the mean; then the interval is infinite and holds every value."""


def test_intervals_of_a_middling_network_hold_the_true_values() -> None:
    records, passed = measure_coverage(ThresholdModel(0.88, 0.1), image_count=100, test_sets=400)
    assert passed == 1.0
    assert min(record.coverage for record in records.values()) > 0.92
    assert max(record.coverage for name, record in records.items() if name not in UNBOUNDED) < 0.99


@pytest.mark.slow
@pytest.mark.parametrize("image_count", IMAGE_COUNTS)
@pytest.mark.parametrize(("accuracy", "majority"), BASE_ACCURACIES)
def test_intervals_of_every_population_hold_the_true_values(accuracy: float, majority: float, image_count: int) -> None:
    records, _ = measure_coverage(ThresholdModel(accuracy, majority), image_count, test_sets=1000)
    assert min(record.coverage for record in records.values()) > 0.925
    bounded = {name: record.coverage for name, record in records.items() if name not in UNBOUNDED}
    assert max(bounded.values()) < 0.99 if accuracy == 0.99 and image_count == 100 else max(bounded.values()) < 0.98
