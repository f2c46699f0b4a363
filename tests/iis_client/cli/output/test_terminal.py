"""Output of reports, concepts and phrases."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, cast

import pytest

from iis_client.cli.output.concepts import concept_table, dropped_concept_table, format_counts
from iis_client.cli.output.jobs import job_table
from iis_client.cli.output.reports import report_view
from iis_client.cli.output.terminal import SafeConsole, Terminal
from iis_client.cli.settings.options import OutputForm
from iis_schemas.concept_libraries import CONCEPT_EXAMPLE, ConceptView, DroppedConceptView
from iis_schemas.jobs.events import EventView
from iis_schemas.jobs.summaries import ScoreSummary
from iis_schemas.jobs.views import SCORE_JOB_EXAMPLE, ScoreJobView
from iis_schemas.results.reports import REPORT_EXAMPLE
from iis_schemas.results.results import RESULT_EXAMPLE, ResultView

POINT = {
    "sparsity": 0.0,
    "kept": 2,
    "accuracy": 0.5,
    "accuracy_low": 0.4,
    "accuracy_high": 0.6,
    "arr": 1.0,
    "arr_low": 0.9,
    "arr_high": 1.1,
    "arr_chance_corrected": None,
}
REPORT: dict[str, Any] = {
    **REPORT_EXAMPLE,
    "accuracy_representation": 0.5,
    "accuracy_representation_low": 0.4,
    "accuracy_representation_high": 0.6,
    "points": [POINT],
    "iis": None,
    "iis_low": None,
    "iis_high": None,
    "iis_chance_corrected": None,
    "iis_log": 0.8,
    "library": {"kind": "cluster", "concept_count": 2},
    "protocol": "exact",
    "warnings": ["The representation classifies no better than chance."],
}
TEXT = {
    "candidates": 300,
    "kept": 120,
    "dropped": {"interpretability_cutoff": 50, "clip_cutoff": 130},
    "similarity_mean": 0.6124,
    "zero_shot_accuracy": 0.81,
    "zero_shot_low": 0.784,
    "zero_shot_high": 0.836,
    "chance": 0.1,
    "concepts": [],
    "clip_cutoff": 0.25,
    "interpretability_cutoff": 0.45,
    "native": False,
}
SUMMARY_EXAMPLE: dict[str, Any] = {
    **dict.fromkeys(ScoreSummary.model_fields),
    **{
        "edition": 2,
        "quantity": "accuracy",
        "near_chance": False,
        "verdict": "reads_through_concepts",
        "iis": 0.903,
        "gain_matched": 0.021,
    },
}


@pytest.fixture
def terminal() -> Terminal:
    """Writes to a string in place of the terminal."""
    terminal = Terminal()
    terminal.out = SafeConsole(file=io.StringIO(), width=160)
    return terminal


def written(terminal: Terminal) -> str:
    return cast("io.StringIO", terminal.out.file).getvalue()


def line_with(text: str, words: str) -> list[str]:
    """Cells of the table row that contains the words."""
    line = next(line for line in text.splitlines() if words in line)
    return [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]]


def test_csv_has_no_formula_after_control_characters_are_removed(terminal: Terminal) -> None:
    job = ScoreJobView.model_validate({**SCORE_JOB_EXAMPLE, "name": '\u202e=HYPERLINK("http://a")', "tags": ["\x01@SUM(1)", "\u2066plain"]})
    terminal.answer([job], [], as_json=False, output=OutputForm.csv)
    (row,) = csv.DictReader(io.StringIO(written(terminal)))
    assert row["name"] == '\'=HYPERLINK("http://a")'
    assert row["tags"] == "'@SUM(1), plain"


def show_report(terminal: Terminal, vocabulary: dict[str, Any] | None = None, **library: Any) -> str:
    report = {**REPORT, "library": {**REPORT["library"], **library}}
    job = ScoreJobView.model_validate({**SCORE_JOB_EXAMPLE, "id": "job_1", "vocabulary": vocabulary})
    terminal.show(*report_view(job, ResultView.model_validate({**RESULT_EXAMPLE, "report": report})))
    return written(terminal)


def test_a_withheld_score_is_shown_with_its_reason(terminal: Terminal) -> None:
    text = show_report(terminal)
    assert "withheld" in text
    assert "no better than chance" in text


def test_a_text_report_shows_phrase_counts_similarity_and_zero_shot_accuracy(terminal: Terminal) -> None:
    text = show_report(terminal, {"id": "birds", "version": 1, "digest": "d"}, kind="text", text=TEXT)
    assert line_with(text, "Phrases kept")[1] == "120 of 300"
    assert line_with(text, "Mean similarity on held-out images")[1] == "0.612"
    assert line_with(text, "Zero-shot accuracy")[1:] == ["0.810", "0.784 to 0.836"]
    assert "Vocabulary: birds, version 1." in text
    assert (
        "Excluded phrases: 130 below the clip cutoff, 50 below the interpretability cutoff. List them with: iis concepts job_1 --dropped"
        in text
    )


def test_a_text_library_of_another_data_set_shows_no_zero_shot_accuracy(terminal: Terminal) -> None:
    unknown = {"zero_shot_accuracy": None, "zero_shot_low": None, "zero_shot_high": None}
    text = show_report(terminal, kind="text", text=TEXT | unknown)
    assert line_with(text, "Phrases kept")[1] == "120 of 300"
    assert "Zero-shot" not in text


def test_a_report_with_named_concepts_counts_them(terminal: Terminal) -> None:
    text = show_report(terminal, {"id": "cst_1", "version": 2, "digest": "d"}, names={"named": 32, "unnamed": 18})
    assert line_with(text, "Named concepts")[1] == "32 of 50"
    assert "Vocabulary: cst_1, version 2." in text


def test_names_cannot_send_escape_sequences_to_the_terminal(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "a\x1b]0;title\x07 \x1b[31mred\x9b2J\r\u202eright"
    concept = {"index": 0, "origin": "text", "label": hostile, "details": {"group": "bill", "similarity": 0.71, "clip_top5": 0.29}}
    terminal.show(concept_table([ConceptView.model_validate({**CONCEPT_EXAMPLE, **concept})]), hostile)
    terminal.err = SafeConsole(file=terminal.out.file, width=160)
    terminal.note(hostile)
    with terminal.spinner(hostile):
        pass
    Terminal().error(hostile)
    for text in (written(terminal), capsys.readouterr().err):
        assert "a]0;title [31mred2Jright" in text
        assert not set("\x1b\x07\x9b\r\u202e") & set(text)
    styled = SafeConsole(file=io.StringIO(), width=160, force_terminal=True, color_system="standard")
    styled.print("red", style="red")
    assert cast("io.StringIO", styled.file).getvalue() == "\x1b[31mred\x1b[0m\n"


def test_phrases_and_names_share_a_table_with_their_measurements(terminal: Terminal) -> None:
    phrase = {"group": "bill", "similarity": 0.71, "clip_top5": 0.29}
    names = {"names": [{"phrase": "a tail", "score": 0.4, "cosine": 0.3}, {"phrase": "a wing", "score": 0.38, "cosine": 0.29}]}
    concepts = [
        {"index": 0, "origin": "text", "label": "a [red] bill", "details": phrase},
        {"index": 1, "origin": "cluster", "label": "a tail", "details": {**names, "margin": 0.02, "named": True}},
        {"index": 2, "origin": "cluster", "label": None, "details": {**names, "margin": 0.01, "named": False}},
        {"index": 3, "origin": "prototype", "label": None, "details": None},
    ]
    terminal.show(concept_table([ConceptView.model_validate({**CONCEPT_EXAMPLE, **concept}) for concept in concepts]))
    text = written(terminal)
    assert line_with(text, "held-out similarity") == [
        *("", "concept", "library", "group", "held-out similarity", "mean of top 5 cosines"),
        *("nearest phrase", "score", "margin"),
    ]
    assert line_with(text, "a [red] bill") == ["0", "a [red] bill", "text", "bill", "0.710", "0.290", "", "", ""]
    assert line_with(text, "0.020") == ["1", "a tail", "cluster", "", "", "", "a tail", "0.400", "0.020"]
    assert line_with(text, "0.010") == ["2", "unnamed", "cluster", "", "", "", "a tail", "0.400", "0.010"]
    assert line_with(text, "prototype")[:2] == ["3", "unnamed"]


def test_excluded_phrases_are_listed_with_reason_and_measurements(terminal: Terminal) -> None:
    dropped = [
        {"index": 4, "text": "a striped tail", "reason": "clip_cutoff", "details": {"clip_top5": 0.181}},
        {"index": 9, "text": "red bills", "reason": "near_phrase", "details": {"cosine": 0.97, "other": "a red bill"}},
    ]
    terminal.show(dropped_concept_table([DroppedConceptView.model_validate(phrase) for phrase in dropped]))
    text = written(terminal)
    assert line_with(text, "a striped tail") == ["a striped tail", "below the clip cutoff", "0.181", "", ""]
    assert line_with(text, "red bills") == ["red bills", "close to another phrase", "", "0.970", "a red bill"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("too_long", "too long"),
        ("class_name", "contains a class name"),
        ("repeated", "repeated"),
        ("near_class", "close to a class name"),
        ("near_phrase", "close to another phrase"),
        ("clip_cutoff", "below the clip cutoff"),
        ("interpretability_cutoff", "below the interpretability cutoff"),
        ("beyond_count", "beyond the requested count"),
    ],
)
def test_every_exclusion_reason_has_words(terminal: Terminal, reason: str, words: str) -> None:
    assert format_counts({reason: 3}) == f"3 {words}"
    phrase = DroppedConceptView.model_validate({"index": 0, "text": "a tail", "reason": reason, "details": {}})
    terminal.show(dropped_concept_table([phrase]))
    assert line_with(written(terminal), "a tail")[1] == words


def test_reasons_are_sorted_by_count_and_unknown_ones_are_readable() -> None:
    assert format_counts({"too_long": 2, "repeated": 12, "made_up_later": 1}) == "12 repeated, 2 too long, 1 made up later"


def test_names_with_brackets_or_colons_are_printed_verbatim(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    error = {"code": "x", "message": "Class cat [/b] has no image :cat:."}
    job = ScoreJobView.model_validate({**SCORE_JOB_EXAMPLE, "state": "failed", "error": error})
    terminal.show(job_table([job], datetime.now(UTC)))
    terminal.saved(Path("figure [/b].png"))
    with terminal.upload_bar(Path("digits [b].npz")):
        pass
    output = capsys.readouterr()
    assert "[/b]" in output.out
    assert ":cat:" in output.out
    assert "figure [/b].png" in output.err
    assert "digits [b].npz" in output.err


OVERALL = {"share_done": 0.4, "eta_seconds": 52.0, "tasks_done": 2, "tasks_total": 4}


def running_job(**changes: Any) -> ScoreJobView:
    """A job with two stages that its events do not name."""
    stages = [
        {"stage": "heads", "title": "Fitting heads", "state": "waiting", "share": 0.6, "expected_seconds": 31.4},
        {"stage": "curve", "title": "Computing the curve", "state": "reused", "share": 0.0, "expected_seconds": None},
    ]
    return ScoreJobView.model_validate({**SCORE_JOB_EXAMPLE, "stages": stages, **changes})


def stage_events() -> Iterator[EventView]:
    fields = {"id": 1, "job": "job_1", "created_at": "2026-01-12T09:30:00Z"}
    training = {"stage": "finetune", "title": "Training: control, seed 1"}
    data = [
        ("stage", {"stage": "extract", "title": "Extracting features", "state": "reused"}),
        ("stage", {**training, "state": "started"}),
        ("progress", {**training, "done": 3, "total": 4, "eta_seconds": 12.4, "overall": OVERALL}),
    ]
    return (EventView.model_validate({**fields, "type": kind, "data": each}) for kind, each in data)


def test_each_stage_has_one_bar_with_its_title_and_whether_it_was_reused() -> None:
    terminal, err = Terminal(), io.StringIO()
    terminal.err = SafeConsole(file=err, width=160, force_terminal=True, color_system=None)
    terminal.watch("job_1", stage_events(), lambda: running_job(queue_position=None))
    lines = err.getvalue().splitlines()
    assert [line.split() for line in lines if "Extracting features" in line][-1][-2] == "reused"
    assert [line for line in lines if "Training: control, seed 1" in line and "12 s left" in line]
    assert [line for line in lines if "Fitting heads" in line and "about 31 s" in line]
    assert [line for line in lines if line.startswith("Job ") and "2 of 4 tasks, 52 s left in all" in line]


def test_without_a_terminal_each_finished_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    with terminal.upload_bar(Path("digits.npz")) as progress:
        assert progress is None
    last = {"stage": "finetune", "title": "Training: control, seed 1", "state": "finished"}
    ended = EventView.model_validate({"id": 2, "job": "job_1", "created_at": "2026-01-12T09:30:05Z", "type": "stage", "data": last})
    terminal.watch("job_1", chain(stage_events(), [ended]), lambda: running_job(queue_position=3))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "Upload digits.npz: done.",
        "Job job_1 is at position 3 in the queue",
        "Extracting features: reused",
        "Training: control, seed 1: 0 s (2 of 4 tasks, 52 s left in all)",
    ]


def test_a_list_is_printed_as_csv_with_a_row_for_each_item(capsys: pytest.CaptureFixture[str]) -> None:
    job = ScoreJobView.model_validate({**SCORE_JOB_EXAMPLE, "name": 'seed 0, "wide"', "tags": ["a", "b"], "summary": SUMMARY_EXAMPLE})
    Terminal().answer([job, job], [], as_json=False, output=OutputForm.csv)
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 2
    assert (rows[0]["id"], rows[0]["name"], rows[0]["tags"]) == (job.id, 'seed 0, "wide"', "a, b")
    assert (rows[0]["summary.iis"], rows[0]["summary.gain_matched"], rows[0]["library.kind"]) == ("0.903", "0.021", "cluster")
    assert rows[0]["error"] == ""
    assert not [name for name in rows[0] if name.startswith("links")]
