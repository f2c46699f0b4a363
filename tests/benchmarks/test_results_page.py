"""What the page of real scores says and admits, on cells written by hand."""

from __future__ import annotations

from benchmarks.results_page import Cell, NetworkFacts, render

REPORT = {
    "accuracy_representation": 0.835,
    "accuracy_representation_low": 0.818,
    "accuracy_representation_high": 0.851,
    "iis": 0.97,
    "iis_low": 0.96,
    "iis_high": 0.98,
    "iis_random_mean": 0.95,
    "iis_random_sd": 0.002,
    "concept_gain": 0.02,
    "concept_gain_low": 0.01,
    "concept_gain_high": 0.03,
    "iis_log": 0.81,
    "few_concepts_mean": 0.75,
    "warnings": [],
}
FACTS = NetworkFacts("a_network", "some_images", 64, 1600, 20.0, 30.0)


def page(report: dict[str, object], missing: list[tuple[str, str]]) -> str:
    return render([Cell("a_network", "some_images", "cluster", report, 41.7, "2 cores")], [FACTS], missing, 200)


def test_a_finished_cell_stands_with_its_control_gain_and_intervals() -> None:
    assert (
        "| a_network | some_images | 83.5 [81.8, 85.1] | cluster | 0.9700 [0.9600, 0.9800] | 0.9500 ± 0.0020 "
        "| +0.0200 [+0.0100, +0.0300] | 0.8100 | 75.0 | 42 |"
    ) in page(REPORT, [])


def test_cells_that_were_not_run_are_named() -> None:
    assert "- b_network: prototype, end2end" in page(REPORT, [("b_network", "prototype"), ("b_network", "end2end")])
    assert "Not run" not in page(REPORT, [])


def test_a_score_that_was_withheld_is_no_number() -> None:
    nothing = dict.fromkeys(("iis", "iis_low", "iis_high", "concept_gain", "concept_gain_low", "concept_gain_high"))
    shown = page({**REPORT, **nothing, "warnings": ["No better than chance."]}, [])
    assert "| cluster | withheld |" in shown
    assert "- a_network, cluster: No better than chance." in shown
