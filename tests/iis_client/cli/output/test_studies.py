"""Tables of studies and leaderboards; finding the study of an equal request."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest
from rich.console import Console, RenderableType

from iis_client.cli.output.studies import analysis_view, cost_lines, failure_lines, leaderboard_table
from iis_client.cli.studies.cost import Cost
from iis_client.cli.studies.request import study_of
from iis_client.types.studies import Leaderboard, Study, StudyAnalysis, StudyCell

SETTING: dict[str, Any] = {
    "dataset": "dst_1",
    "dataset_name": "digits [small]",
    "library": "cluster",
    "concept_count": 20,
    "library_dataset": None,
    "library_dataset_name": None,
}
RHO: dict[str, Any] = {"n": 5, "value": 0.9, "low": 0.21, "high": 1.0, "p": 0.04, "reason": None}
UNDEFINED: dict[str, Any] = {"n": 3, "value": None, "low": None, "high": None, "p": None, "reason": "Too few."}
RELATION: dict[str, Any] = {
    **SETTING,
    "n": 5,
    "left_out": [],
    "accuracy": {"spearman": RHO, "kendall": RHO, "random_control": UNDEFINED, "sentence": "They rise together."},
    "given_accuracy": None,
}
NOTHING: dict[str, Any] = {name: [] for name in ("evolution", "concept_counts", "sparsity_grids", "agreement", "transfer", "untrained")}


def printed(*things: RenderableType) -> str:
    out = io.StringIO()
    console = Console(file=out, width=160)
    for thing in things:
        console.print(thing, markup=False, highlight=False)
    return out.getvalue()


def findings_of(**sections: Any) -> str:
    analysis = {"rows": 5, "models": 5, "relation": [RELATION], "warnings": [], **NOTHING, **sections}
    return printed(*analysis_view(cast("StudyAnalysis", analysis)))


def test_a_correlation_is_a_table_row_and_a_sentence() -> None:
    text = findings_of(warnings=["Not every cell has all seeds yet."])
    line = next(line for line in text.splitlines() if "0.90 (0.21 to 1.00)" in line)
    assert "digits [small], cluster, M = 20" in line
    assert line.count("0.90 (0.21 to 1.00)") == 2
    assert "undefined" in line
    assert "digits [small], cluster, M = 20: They rise together." in text
    assert "Warning: Not every cell has all seeds yet." in text


def test_models_excluded_from_a_correlation_are_listed_with_the_reason() -> None:
    lost = {"model": "mdl_1", "label": "epoch 0", "reason": "Its representation is no better than chance."}
    text = findings_of(relation=[{**RELATION, "left_out": [lost]}])
    assert "digits [small], cluster, M = 20: epoch 0 is excluded: its representation is no better than chance." in text
    many = findings_of(relation=[{**RELATION, "left_out": [lost] * 7}])
    assert many.count("epoch 0 is excluded") == 5
    assert "digits [small], cluster, M = 20: 2 more are excluded." in many


def test_an_evolution_is_shown_by_epoch_and_marks_points_near_chance() -> None:
    accuracy = {"value": 0.5, "low": 0.4, "high": 0.6}
    start = {"epoch": 0.0, "label": "untrained", "accuracy": accuracy, "iis": None, "near_chance": True}
    end = {"epoch": 2.5, "label": "end", "accuracy": accuracy, "iis": {"value": 0.8, "low": 0.75, "high": 0.87}, "near_chance": False}
    text = findings_of(evolution=[{**SETTING, "epochs_given": True, "points": [start, end], "sentence": "IIS rises."}])
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert ["0", "untrained", "0.500", "near chance"] in rows
    assert ["2.5", "end", "0.500", "0.800 ± 0.060"] in rows
    assert "epoch" in text
    assert "epoch" not in findings_of(evolution=[{**SETTING, "epochs_given": False, "points": [start, end], "sentence": "IIS rises."}])
    assert "digits [small], cluster, M = 20: IIS rises." in text


def test_names_with_brackets_are_printed_verbatim() -> None:
    odd = {**SETTING, "dataset_name": "digits [/b]", "library_dataset_name": "DTD [draft]"}
    accuracy = {"value": 0.5, "low": 0.4, "high": 0.6}
    point = {"epoch": 0.0, "label": "step [1]", "accuracy": accuracy, "iis": None, "near_chance": True}
    text = findings_of(
        relation=[{**RELATION, **odd}], evolution=[{**odd, "epochs_given": True, "points": [point], "sentence": "It rises."}]
    )
    assert "Evolution on digits [/b]" in text
    assert "library from DTD [draft]" in text.replace("│", "").split("step [1]")[0]
    board = {"dataset": "d", "dataset_name": "digits [/b]", "library": "cluster", "concept_count": 20, "protocol": "exact", "models": 0}
    board |= {"board": "5f2a90c1d3e8", "details": None}
    assert "digits [/b], cluster" in printed(
        *leaderboard_table(cast("Leaderboard", {"board": board, "data": [], "boards": [], "notes": []}))
    )


def test_each_comparison_is_one_sentence() -> None:
    other = {**SETTING, "library_dataset_name": "DTD", "sentence": "No difference beyond noise."}
    alike = {**SETTING, "pairs": [{"a": "cluster", "b": "text", "n": 5, "spearman": RHO}]}
    text = findings_of(transfer=[other], untrained=[{**SETTING, "sentence": "IIS is higher by the first."}], agreement=[alike])
    assert "M = 20, library from DTD, library of the same data set against library of another: No difference beyond noise." in text
    assert "M = 20, trained against untrained: IIS is higher by the first." in text
    assert "cluster and text agree on the order of 5 models with rho 0.90 (0.21 to 1.00)." in text
    few = {**SETTING, "pairs": [{"a": "cluster", "b": "text", "n": 3, "spearman": UNDEFINED}]}
    assert "M = 20: cluster and text cannot be compared: Too few." in findings_of(agreement=[few])


def test_ties_are_marked_and_other_leaderboards_listed() -> None:
    board = {"dataset": "dst_1", "dataset_name": "digits", "library": "cluster", "concept_count": 20, "protocol": "exact", "models": 3}
    board |= {"board": "5f2a90c1d3e8", "details": None}
    entry: dict[str, Any] = {"job": "job_1", "iis_low": 0.8, "iis_high": 0.9, "accuracy": 0.9, "concept_gain": 0.1}
    entries = [
        {**entry, "rank": 1, "tied": True, "name": "[a]", "iis": 0.86},
        {**entry, "rank": 1, "tied": True, "name": "b", "iis": 0.85},
        {**entry, "rank": None, "tied": False, "name": "c", "iis": None, "iis_low": None, "iis_high": None, "concept_gain": None},
    ]
    other = {**board, "board": "0c1d3e85f2a9", "details": "cut otherwise"}
    lone = {**board, "board": "77d3e85f2a90", "library": "text", "models": 1}
    found = {"board": board, "data": entries, "boards": [board, other, lone], "notes": ["Ties."], "links": {}}
    text = printed(*leaderboard_table(cast("Leaderboard", found)))
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert rows == [
        ["1 =", "[a]", "0.860", "0.900", "+0.100"],
        ["", "job_1", "0.800 to 0.900", "", ""],
        ["1 =", "b", "0.850", "0.900", "+0.100"],
        ["", "job_1", "0.800 to 0.900", "", ""],
        ["–", "c", "withheld", "0.900", "withheld"],
        ["", "job_1", "near chance", "", ""],
    ]
    assert "exact, cut otherwise (3 models): --board 0c1d3e85f2a9" in text
    assert "digits, text, M = 20, exact (1 model): --board 77d3e85f2a90" in text


def test_leaderboards_of_data_sets_with_equal_names_show_their_ids() -> None:
    board = {"board": "a1", "dataset": "dst_1", "dataset_name": "digits", "library": "cluster", "concept_count": 20, "protocol": "exact"}
    board |= {"details": None, "models": 2}
    boards = [board, {**board, "board": "b2", "dataset": "dst_2"}, {**board, "board": "c3", "dataset": "dst_3", "concept_count": 40}]
    found = {"board": board, "data": [], "boards": boards, "notes": [], "links": {}}
    text = printed(*leaderboard_table(cast("Leaderboard", found)))
    assert "digits (dst_1), cluster, M = 20, exact" in " ".join(text.split())
    assert "  digits (dst_2), cluster, M = 20, exact (2 models): --board b2" in text
    assert "  digits, cluster, M = 40, exact (2 models): --board c3" in text


def test_the_first_of_many_failures_are_listed_with_their_errors() -> None:
    cell = {"label": "a", "dataset_name": "digits", "library": "cluster", "concept_count": 20, "seed": 0, "state": "failed"}
    cells = [cast("StudyCell", {**cell, "error": {"code": "x", "message": "Too few elements."}})] * 6
    lines = list(failure_lines("std_1", [*cells, cast("StudyCell", {**cell, "state": "canceled", "error": None})]))
    assert lines[0] == "7 jobs of the study have no result; run them again with: iis study extend std_1"
    assert lines[1] == "  a, digits, cluster 20, seed 0: Too few elements."
    assert lines[-1] == "  and 2 more"


@pytest.mark.parametrize(("seconds", "words"), [(None, "unknown"), (90.4, "90 seconds"), (600.0, "10 minutes"), (9000.0, "2.5 hours")])
def test_durations_use_a_readable_unit(seconds: float | None, words: str) -> None:
    assert list(cost_lines(Cost(1234, 56789, 10, seconds, "Because.")))[-1] == f"Time: {words}. Because."


REQUEST: dict[str, Any] = {
    "name": "a study",
    "models": [{"model": "mdl_1", "label": "a", "accuracy": 1}, {"model": "mdl_2", "label": "b"}],
    "datasets": ["dst_1", "dst_2"],
    "libraries": [{"kind": "cluster"}, {"kind": "text", "clip_cutoff": 0.25}],
    "library_datasets": [None],
    "sparsity_grids": [[0, 0.5]],
    "seeds": [1, 0],
    "protocol": "exact",
    "elements": {"kind": "patches", "images_per_class": 10, "seed": 0},
    "vlm": "mdl_3",
    "vocabulary": "cst_1@2",
    "evolution": False,
}


def made(**changed: Any) -> Study:
    grid = {
        **REQUEST,
        "models": [{"family": None, "epoch": None, "accuracy": None, **entry} for entry in REQUEST["models"]],
        "concept_counts": None,
        "sparsity_grids": [[0.0, 0.5]],
        "seeds": [0, 1],
        "vocabulary": {"id": "cst_1", "version": 2, "digest": "abc"},
        "deadline_seconds": None,
        **changed,
    }
    del grid["name"]
    return cast("Study", {"id": "std_1", "name": "a study", "grid": grid})


def test_a_study_is_found_by_its_request_regardless_of_list_order() -> None:
    study = made()
    assert study_of(REQUEST, [made(seeds=[0]), study]) is study


@pytest.mark.parametrize(
    "changed",
    [
        {"seeds": [0, 1, 2]},
        {"evolution": True},
        {"concept_counts": [20]},
        {"vocabulary": {"id": "cst_1", "version": 3, "digest": "abc"}},
        {"models": list(reversed(REQUEST["models"]))},
        {"libraries": [{"kind": "cluster"}, {"kind": "text", "clip_cutoff": 0.3}]},
    ],
)
def test_a_study_with_another_request_is_not_found(changed: dict[str, Any]) -> None:
    assert study_of(REQUEST, [made(**changed)]) is None
