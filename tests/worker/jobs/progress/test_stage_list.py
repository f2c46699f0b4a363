"""The stages of an attempt: states, share of the job that is done, and seconds left."""

from __future__ import annotations

from worker.jobs.progress.stage_list import ListedStage, StageId, StageList

EXTRACT: StageId = ("extract", None, None)
HEADS: StageId = ("heads", None, None)
REPORT: StageId = ("report", None, None)
UNPACK: StageId = ("materialise", None, "dst_1")


def listed(*stages: tuple[StageId, float | None], now: list[float]) -> StageList:
    """Stages with these expected seconds; a stage without has a weight of 10."""
    return StageList([ListedStage(which, 1.0, seconds, seconds or 10.0) for which, seconds in stages], lambda: now[0])


def test_share_and_seconds_left_are_of_all_stages() -> None:
    now = [0.0]
    stages = listed((EXTRACT, 60.0), (HEADS, 30.0), (REPORT, 10.0), now=now)
    assert stages.overall() == {"share_done": 0.0, "eta_seconds": 100.0, "tasks_done": 0, "tasks_total": 3}
    stages.start(EXTRACT, "a")
    now[0] = 20.0
    assert stages.overall() == {"share_done": 0.2, "eta_seconds": 80.0, "tasks_done": 0, "tasks_total": 3}
    stages.report(EXTRACT, 1, 2, 25.0)  # slower than expected
    now[0] = 25.0
    assert stages.overall() == {"share_done": 0.3, "eta_seconds": 60.0, "tasks_done": 0, "tasks_total": 3}
    stages.finish(EXTRACT, 45.0, ["a"])
    assert stages.overall() == {"share_done": 0.6, "eta_seconds": 40.0, "tasks_done": 1, "tasks_total": 3}


def test_stages_that_are_reused_or_skipped_take_no_time() -> None:
    stages = listed((UNPACK, 50.0), (EXTRACT, 60.0), (HEADS, 30.0), now=[0.0])
    stages.reuse(EXTRACT)
    stages.skip(UNPACK)
    stages.skip(EXTRACT)  # not waiting
    assert stages.overall() == {"share_done": 0.0, "eta_seconds": 30.0, "tasks_done": 1, "tasks_total": 2}
    assert [(one["stage"], one.get("dataset"), one["state"]) for one in stages.to_json()] == [
        ("materialise", "dst_1", "skipped"),
        ("extract", None, "reused"),
        ("heads", None, "waiting"),
    ]


def test_no_time_is_given_while_a_stage_is_left_that_no_job_has_measured() -> None:
    now = [0.0]
    stages = listed((EXTRACT, None), (HEADS, 30.0), now=now)
    stages.start(EXTRACT, "a")
    assert (stages.overall() or {})["eta_seconds"] is None
    stages.report(EXTRACT, 1, 4, 12.0)
    assert (stages.overall() or {})["eta_seconds"] == 42.0


def test_a_stage_that_takes_longer_than_expected_is_not_done_before_it_ends() -> None:
    now = [0.0]
    stages = listed((EXTRACT, 10.0), now=now)
    stages.start(EXTRACT, "a")
    now[0] = 1000.0
    assert stages.overall() == {"share_done": 0.95, "eta_seconds": 0.0, "tasks_done": 0, "tasks_total": 1}


def test_stages_side_by_side_end_with_the_longer_one_and_each_names_its_worker() -> None:
    now = [0.0]
    stages = listed((EXTRACT, 60.0), (HEADS, 30.0), (REPORT, 10.0), now=now)
    stages.start(EXTRACT, "a")
    stages.start(HEADS, "b")
    assert (stages.overall() or {})["eta_seconds"] == 70.0
    stages.finish(HEADS, 31.23456, ["b"])
    assert [(one["state"], one["seconds"], one["workers"]) for one in stages.to_json()] == [
        ("running", None, ["a"]),
        ("finished", 31.235, ["b"]),
        ("waiting", None, []),
    ]


def test_tasks_of_divided_stages_count_among_all() -> None:
    stages = listed((EXTRACT, 60.0), (HEADS, 30.0), now=[0.0])
    stages.start(EXTRACT, "a")
    stages.report(EXTRACT, 10, 100, 54.0, {"done": 3, "total": 8, "workers": 2})
    stages.add_workers(EXTRACT, ["b", "a"])
    assert (stages.overall() or {}).items() >= {"tasks_done": 3, "tasks_total": 9}.items()
    stages.finish(EXTRACT, 50.0, ["a"])
    assert (stages.overall() or {}).items() >= {"tasks_done": 8, "tasks_total": 9}.items()
    (extract, _) = stages.to_json()
    assert (extract["tasks"], extract["workers"]) == ({"done": 8, "total": 8, "workers": 0}, ["a", "b"])


def test_divided_stages_share_their_workers_until_all_their_tasks_have_ended() -> None:
    now = [0.0]
    stages = listed((EXTRACT, 60.0), (HEADS, 60.0), (REPORT, 10.0), now=now)
    for stage in (EXTRACT, HEADS):
        stages.start(stage, "a")
        stages.report(stage, 1, 6, None, {"done": 1, "total": 6, "workers": 1})
    now[0] = 30.0  # in which the only worker has computed tasks of one stage
    stages.report(EXTRACT, 3, 6, None, {"done": 3, "total": 6, "workers": 1})
    assert (stages.overall() or {})["eta_seconds"] == 90.0
    stages.start(HEADS, "b")
    assert (stages.overall() or {})["eta_seconds"] == 50.0


def test_a_list_without_stages_ignores_changes() -> None:
    stages = StageList()
    stages.start(EXTRACT, "a")
    stages.finish(EXTRACT, 1.0, ["a"])
    assert (stages.overall(), stages.to_json()) == (None, [])
