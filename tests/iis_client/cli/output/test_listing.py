"""Tables at several terminal widths: no identifier, state or date is cut or wrapped."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, get_args

import pytest
from rich.console import RenderableType

from iis_client.cli.output.api_keys import key_table
from iis_client.cli.output.comparisons import comparison_view
from iis_client.cli.output.concepts import concept_set_table
from iis_client.cli.output.jobs import VERDICT_WORDS, job_table, job_view
from iis_client.cli.output.leaderboards import leaderboard_table
from iis_client.cli.output.listing import Heading, Listing, age, minute, short_ids
from iis_client.cli.output.profiles import predictor_tables
from iis_client.cli.output.resources import dataset_table, library_table, model_table, webhook_table
from iis_client.cli.output.studies import study_table
from iis_client.cli.output.terminal import Terminal
from iis_schemas.api_keys import KEY_EXAMPLE, ApiKeyView
from iis_schemas.concept_libraries import LIBRARY_EXAMPLE, ConceptLibraryView
from iis_schemas.concept_sets import SET_EXAMPLE, ConceptSetView
from iis_schemas.datasets import DATASET_EXAMPLE, DatasetView
from iis_schemas.explanations.predictors import PREDICTOR_EXAMPLE, PredictorView
from iis_schemas.jobs.progress import OVERALL_EXAMPLE, STAGES_EXAMPLE
from iis_schemas.jobs.views import (
    EXPLAIN_JOB_EXAMPLE,
    FINETUNE_JOB_EXAMPLE,
    SCORE_JOB_EXAMPLE,
    AnyJob,
    AnyJobView,
    ScoreJobView,
    ScoreSummary,
)
from iis_schemas.models import MODEL_EXAMPLE, ModelView
from iis_schemas.names import VerdictCode
from iis_schemas.studies.leaderboard import LEADERBOARD_EXAMPLE, LeaderboardView
from iis_schemas.studies.views import STUDY_EXAMPLE, StudyView
from iis_schemas.webhooks import WEBHOOK_EXAMPLE, WebhookView

JOBS = [
    "job_01m842nw3r2bff4k79prk91dk4",
    "job_01m842p0c5v3x8jh6w1zqg7t2n",
    "job_01m842q9yk4dd0s5b8rfa3e6mv",
    "job_01m842r5t7h1w9c2xj0npz4g8k",
]
MODEL, DATASET, LIBRARY = "mdl_01m842ma1ee6vq3h8d5y0ktwzx", "dst_01m842ma2sh4c9rj7f6b1gnp5e", "lib_01m842mz9b3k5t7wqx2v8hcd6a"
STUDY, KEY, WORDS = "std_01m842s3n8y6f4d2a0zkq9j7wp", "key_01m842t1x5c7r9g3b6hvm8e4sk", "cst_01m842v7w2p4n6q8t0y3j5d9fz"
MADE, SHOWN = "2026-11-23T11:42:07.123456Z", "2026-11-23 11:42"
NOW = datetime.fromisoformat(MADE) + timedelta(hours=3, minutes=20)
MESSAGE = (
    "M = 500 concepts were asked for but only 240 visual elements can be used; ask for fewer concepts or cut elements from more images."
)


def printed(*things: RenderableType, width: int = 80) -> list[str]:
    terminal, out = Terminal(), io.StringIO()
    terminal.out.file = out
    terminal.out.width = width
    terminal.show(*things)
    return out.getvalue().splitlines()


def lines_with(lines: Sequence[str], *words: str) -> list[str]:
    return [line for line in lines if all(each in line for each in words)]


def score_job(job: str, **changes: Any) -> ScoreJobView:
    fields = {"id": job, "model": MODEL, "dataset": DATASET, "created_at": MADE, "state": "succeeded", "progress": None}
    return ScoreJobView.model_validate({**SCORE_JOB_EXAMPLE, **fields, **changes})


def summary_of(verdict: str, **numbers: Any) -> dict[str, Any]:
    return {
        **dict.fromkeys(ScoreSummary.model_fields),
        "edition": 2,
        "quantity": "accuracy",
        "near_chance": False,
        "verdict": verdict,
        **numbers,
    }


def jobs() -> list[AnyJobView]:
    common: dict[str, Any] = {"model": MODEL, "dataset": DATASET, "created_at": MADE}
    progress = {"stage": "extract", "title": "Extracting features", "part": None, "done": 12, "total": 40, "eta_seconds": None}
    explaining = {**EXPLAIN_JOB_EXAMPLE, **common, "id": JOBS[2], "state": "running", "job": JOBS[0], "progress": progress}
    tuning = {**FINETUNE_JOB_EXAMPLE, **common, "id": JOBS[3], "state": "canceling", "progress": None}
    return [
        score_job(JOBS[0], progress=progress),
        score_job(JOBS[1], state="failed", error={"code": "x", "message": MESSAGE}),
        AnyJob.model_validate(explaining).root,
        AnyJob.model_validate(tuning | {"library": {"kind": "prototype", "concept_count": 20}}).root,
    ]


SHORT = ["job_01m842nw3r", "job_01m842p0c5", "job_01m842q9yk", "job_01m842r5t7"]


@pytest.mark.parametrize("width", [40, 80, 100, 160, 240])
def test_beginnings_of_job_ids_and_states_are_uncut_at_any_width(width: int) -> None:
    lines = printed(job_table(jobs(), NOW), width=width)
    for job, short in zip(jobs(), SHORT, strict=True):
        assert lines_with(lines, f"{short} ")
        assert width < 80 or lines_with(lines, f"{short} ", f" {job.state} ", " 3 h")
    notes = [line for line in lines if line.startswith(tuple(JOBS))]
    assert max(len(line) for line in lines if line not in notes) <= width


def test_jobs_show_name_data_set_score_gain_verdict_and_age_in_80_columns() -> None:
    names = {"name": "a baseline with a long name, seed 0", "dataset_name": "photographs of birds"}
    scored = [
        score_job(job, summary=summary, **names)
        for job, summary in zip(
            JOBS,
            (
                summary_of("reads_through_concepts", iis=0.903, gain_matched=0.1234),
                summary_of("worse_than_any", iis=0.61, gain_matched=-0.02),
                summary_of("too_close_to_chance", near_chance=True),
                summary_of("not_comparable", iis=0.8),
            ),
            strict=True,
        )
    ]
    lines = printed(job_table(scored, NOW))
    assert max(map(len, lines)) <= 80
    heading = lines[0].split()
    assert heading == ["job", "name", "data", "set", "IIS", "gain", "verdict", "age"]
    assert lines_with(lines, SHORT[0], "a baseline", "0.903", "+0.123", "reads through", "3 h")
    assert lines_with(lines, SHORT[1], "0.610", "-0.020", "worse than any")
    assert lines_with(lines, SHORT[2], " – ", "near chance")
    assert lines_with(lines, SHORT[3], "0.800", "not comparable")


def test_a_job_is_shown_with_a_table_of_its_stages() -> None:
    shown = job_view(score_job(JOBS[0], state="running", stages=STAGES_EXAMPLE, queue_position=None))
    fields, stages = printed(shown[0]), printed(shown[1], width=160)
    assert not lines_with(fields, "stages")
    assert [" ".join(line.split()) for line in lines_with(stages, "Fetching checkpoint")] == [
        "Fetching checkpoint and images finished 1% 0.4 s 0.5 s gpu1:4211:a3f09c"
    ]
    assert lines_with(stages, "Extracting features", "running", "60%", "28.0 s", "1/8", "gpu1:4211:a3f09c, gpu2:977:51be20")


def test_a_running_job_in_a_list_says_how_far_it_is_over_all_stages() -> None:
    progress = {"stage": "extract", "title": "Extracting features", "done": 12, "total": 40, "overall": OVERALL_EXAMPLE}
    lines = printed(job_table([score_job(JOBS[0], state="running", progress=progress)], NOW))
    assert f"{JOBS[0]}: stage extract 12/40; 20% of the job, 3 of 19 tasks, 41 s left." in lines


def test_compared_scores_have_a_column_each_and_only_settings_that_differ() -> None:
    summary = summary_of("worse_than_any", iis=0.61, iis_low=0.58, iis_high=0.64, gain_matched=-0.02)
    first = score_job(JOBS[0], name="first", summary=summary)
    second = score_job(JOBS[1], name="second", summary=summary_of("not_comparable") | {"edition": 1}, seed=3)
    lines = printed(*comparison_view([first, second]))
    assert lines_with(lines, SHORT[0], SHORT[1])
    assert lines_with(lines, "IIS", "0.610 (0.580 to 0.640)", "–")
    assert lines_with(lines, "verdict", "worse than any", "not comparable")
    assert [line.split() for line in lines_with(lines, "seed")] == [["seed", "0", "3"]]
    assert not lines_with(lines, "library.concept_count")
    assert "The scores are of different editions and cannot be compared number by number." in lines
    assert max(map(len, lines)) <= 80


def test_every_verdict_has_its_word() -> None:
    assert set(VERDICT_WORDS) == set(get_args(VerdictCode))


def test_ids_are_shown_as_far_as_they_differ() -> None:
    same_moment = ["job_01m842nw3r2bff4k79prk91dk4", "job_01m842nw3r2bfg4k79prk91dk4", "job_01m842nw4r2bfg4k79prk91dk4"]
    assert list(short_ids(same_moment).values()) == ["job_01m842nw3r2bff", "job_01m842nw3r2bfg", "job_01m842nw4r"]


def test_omitted_columns_are_named_and_a_wide_terminal_shows_all() -> None:
    assert lines_with(printed(job_table(jobs(), NOW)), "not shown: ", "library or job")
    wide = printed(job_table(jobs(), NOW), width=240)
    assert lines_with(wide, SHORT[2], f"explains {JOBS[0]}", "resnet18, epoch 90", "digits")
    assert lines_with(wide, SHORT[3], "fine-tunes, prototype 20", "canceling")
    assert not lines_with(wide, "--json")


def test_errors_and_stages_of_jobs_are_lines_below_the_table() -> None:
    lines = printed(job_table(jobs(), NOW))
    assert f"{JOBS[1]} failed: {MESSAGE}" in lines
    assert f"{JOBS[2]}: stage extract 12/40." in lines
    assert not lines_with(lines, f"{JOBS[0]}: stage")


def test_a_job_with_a_fitted_or_combined_library_names_it() -> None:
    fitted = score_job(JOBS[0], library={"id": LIBRARY})
    parts = [{"kind": "cluster", "concept_count": 20}, {"kind": "text", "concept_count": 30}]
    joined = score_job(JOBS[1], library={"kind": "combined", "concept_count": None, "parts": parts})
    lines = printed(job_table([fitted, joined], NOW), width=240)
    assert lines_with(lines, SHORT[0], "succeeded", LIBRARY)
    assert lines_with(lines, SHORT[1], "cluster 20 + text 30")


def test_models_data_sets_libraries_and_webhooks_fit_in_80_columns() -> None:
    made = {"name": "a network with a name of many words", "created_at": MADE}
    failed = {**MODEL_EXAMPLE, **made, "state": "failed", "error": {"code": "x", "message": MESSAGE}}
    lines = printed(model_table([ModelView.model_validate(failed)], NOW))
    assert lines_with(lines, MODEL_EXAMPLE["id"][:14], "timm:resnet18", "failed", "3 h")
    assert f"{MODEL_EXAMPLE['id']} failed: {MESSAGE}" in lines
    lines = printed(dataset_table([DatasetView.model_validate({**DATASET_EXAMPLE, **made})], NOW))
    assert lines_with(lines, "images", "ready", "2", "288", "72", "3 h")
    listed = {**DATASET_EXAMPLE, **made, "info": {"train": 288, "test": 72}}  # lists leave the names of the classes out
    (row,) = lines_with(printed(dataset_table([DatasetView.model_validate(listed)], NOW)), "ready", "288")
    assert "0" not in row.split()
    lines += printed(library_table([ConceptLibraryView.model_validate({**LIBRARY_EXAMPLE, **made})], NOW))
    assert lines_with(lines, "cluster", "200", "512", "3 h")
    disabled = {**WEBHOOK_EXAMPLE, "created_at": MADE, "enabled": False, "disabled_reason": "It answered 410."}
    lines += printed(webhook_table([WebhookView.model_validate(disabled)], NOW))
    assert lines_with(lines, "disabled", "3 h", "https://")
    assert f"{WEBHOOK_EXAMPLE['id']} disabled: It answered 410." in lines
    assert max(map(len, lines)) <= 80


def test_ages_are_in_their_largest_unit() -> None:
    spans = {"seconds": 42, "minutes": 59, "hours": 23, "days": 400}
    assert [age(NOW - timedelta(**{unit: count}), NOW) for unit, count in spans.items()] == ["42 s", "59 min", "23 h", "400 d"]


def test_keys_show_their_state_and_replaced_secrets_below_the_table() -> None:
    key = KEY_EXAMPLE | {
        "id": KEY,
        "name": "dashboard [of the group on the second floor]",
        "hint": "a1b2",
        "scopes": ["read", "write", "admin"],
    }
    key |= {"last_used_at": MADE, "expires_at": MADE, "revoked_at": None, "retired_secrets": [{"hint": "c3d4", "expires_at": MADE}]}
    lines = printed(key_table([ApiKeyView.model_validate(key)]))
    assert lines_with(lines, KEY, f"valid until {SHOWN}")
    assert f"The replaced secret …c3d4 of {KEY} is valid until {SHOWN}." in lines
    wide = printed(key_table([ApiKeyView.model_validate(key | {"last_used_at": None})]), width=240)
    assert lines_with(wide, KEY, "dashboard [of the group on the second floor]", "read write admin", "a1b2", "never")


def test_studies_vocabularies_and_predictors_fit_in_80_columns_with_their_ids() -> None:
    states = ("queued", "running", "canceling", "failed", "canceled")
    study = STUDY_EXAMPLE | {"id": STUDY, "name": "epochs of a run on digits", "state": "finished", "created_at": MADE}
    study["jobs"] = {"total": 40, "succeeded": 40, **dict.fromkeys(states, 0)}
    lines = printed(study_table([StudyView.model_validate(study)]))
    assert lines_with(lines, STUDY, "finished", SHOWN)
    words = SET_EXAMPLE | {"id": WORDS, "latest_version": 3, "name": "what is true of digits", "description": "strokes, loops and " * 5}
    lines += printed(concept_set_table([ConceptSetView.model_validate(words)]))
    assert lines_with(lines, WORDS)
    predictor = PREDICTOR_EXAMPLE | {"kept": 120, "concept_count": 300, "sparsity": 0.6, "accuracy": 0.91, "arr": 0.93}
    rows = [PredictorView.model_validate(predictor | {"id": f"prd_{job[4:]}", "job": job}) for job in JOBS[:2]]
    lines += printed(*predictor_tables(rows))
    for job in JOBS[:2]:
        assert lines_with(lines, f"Predictors of {job}")
        assert lines_with(lines, f"prd_{job[4:]}", "120 of 300", "0.600", "0.910", "0.930")
    assert max(map(len, lines)) <= 80


def test_a_leaderboard_fits_in_80_columns_with_a_model_near_chance() -> None:
    board = {"board": "5f2a90c1d3e8", "dataset": DATASET, "dataset_name": "digits", "library": "cluster", "concept_count": 20}
    board |= {"protocol": "exact", "details": None, "models": 2}
    scored = LEADERBOARD_EXAMPLE["data"][0] | {
        "rank": 12,
        "tied": True,
        "name": "a network with a name of many words",
        "job": JOBS[0],
        "accuracy": 0.9,
    }
    scored |= {"iis": 0.8, "iis_low": 0.75, "iis_high": 0.85, "gain_matched": 0.1, "few_gain_matched": 0.05}
    lost = scored | {"rank": None, "tied": False, "job": JOBS[1], **dict.fromkeys(("iis", "iis_low", "iis_high"))}
    lost |= dict.fromkeys(("gain_matched", "few_gain_matched"))
    found = {"board": board, "data": [scored, lost], "boards": [board], "notes": [], "links": {}}
    lines = printed(*leaderboard_table(LeaderboardView.model_validate(found)))
    assert lines_with(lines, f" {JOBS[0]} ")
    assert lines_with(lines, " 0.750 to 0.850 ")
    assert lines_with(lines, f" {JOBS[1]} ")
    assert lines_with(lines, " near chance ")
    assert lines_with(lines, "gain")
    assert max(map(len, lines)) <= 80


def test_an_empty_list_has_headings() -> None:
    assert lines_with(printed(Listing("", (Heading("job"), Heading("state")), [])), "job", "state")


def test_timestamps_are_formatted_to_the_minute() -> None:
    assert (minute(datetime.fromisoformat(MADE)), minute(None)) == (SHOWN, "")
