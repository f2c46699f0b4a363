"""What the command shows of a report."""

import io

from rich.console import Console

from client.terminal import Terminal

POINT = {
    "sparsity": 0.0,
    "kept": 2,
    "accuracy": 0.5,
    "accuracy_low": 0.4,
    "accuracy_high": 0.6,
    "arr": 1.0,
    "arr_low": 0.9,
    "arr_high": 1.1,
}
REPORT = {
    "accuracy_representation": 0.5,
    "accuracy_representation_low": 0.4,
    "accuracy_representation_high": 0.6,
    "points": [POINT],
    "random_points": [POINT],
    "iis": None,
    "iis_low": None,
    "iis_high": None,
    "iis_random_mean": 0.9,
    "iis_random_sd": 0.01,
    "concept_gain": None,
    "concept_gain_low": None,
    "concept_gain_high": None,
    "iis_chance_corrected": None,
    "iis_log": 0.8,
    "library": {"kind": "cluster", "concept_count": 2},
    "protocol": "exact",
    "warnings": ["The representation classifies no better than chance."],
}


def test_a_withheld_score_is_called_that_and_its_reason_is_shown():
    terminal = Terminal()
    terminal.out = Console(file=io.StringIO(), width=100)
    terminal.show_result({"job": "job_1", "library": None, "report": REPORT, "links": {}}, as_json=False)
    text = terminal.out.file.getvalue()
    assert "withheld" in text
    assert "no better than chance" in text
