"""Memory of a stage, from samples of the parent and reports of the compute process, which is not trusted."""

from __future__ import annotations

from typing import Any

import pytest

from worker.jobs.progress.stage_usage import UsageMeter
from worker.sandbox.usage import ComputeUsage, read_usage


def test_the_peak_of_the_process_counts_for_the_stage_that_raised_it() -> None:
    grown, peak = read_usage({"process_peak_bytes": 900, "gpu_peak_bytes": None, "gpu": None}, 500, 700)
    assert (grown, peak) == (ComputeUsage(900, None, None), 900)
    small, peak = read_usage({"process_peak_bytes": 900, "gpu_peak_bytes": 2**40, "gpu": "NVIDIA H200"}, peak, 300)
    assert (small, peak) == (ComputeUsage(300, 2**40, "NVIDIA H200"), 900)


@pytest.mark.parametrize(
    "reported",
    [
        None,
        "much",
        [1],
        {},
        {"process_peak_bytes": -1, "gpu_peak_bytes": True, "gpu": "a"},
        {"process_peak_bytes": 2**80, "gpu_peak_bytes": 1.5, "gpu": 7},
        {"process_peak_bytes": "900", "gpu_peak_bytes": None, "gpu": "a GPU without memory"},
    ],
)
def test_values_of_a_hostile_process_are_left_out(reported: Any) -> None:
    assert read_usage(reported, 500, 700) == (ComputeUsage(700, None, None), 500)


def test_the_name_of_a_gpu_is_bounded() -> None:
    usage, _ = read_usage({"gpu_peak_bytes": 1, "gpu": "x" * 10_000}, 0, 0)
    assert usage.gpu == "x" * 100


def test_a_stage_has_the_peaks_of_its_runs_and_the_bytes_since_the_last_one() -> None:
    meter = UsageMeter()
    meter.add_run(ComputeUsage(700, None, None))
    meter.add_run(ComputeUsage(500, 80, "NVIDIA H200"))
    for size_bytes in (10, 20):
        meter.add_fetched(size_bytes)
        meter.add_stored(2 * size_bytes)
    assert meter.take() == {
        "device": "NVIDIA H200",
        "peak_memory_bytes": 700,
        "gpu_peak_memory_bytes": 80,
        "fetched_bytes": 30,
        "stored_bytes": 60,
    }
    assert meter.take() == {"device": None, "peak_memory_bytes": None, "gpu_peak_memory_bytes": None, "fetched_bytes": 0, "stored_bytes": 0}
