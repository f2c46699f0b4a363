"""A stage divided into tasks: shards that are stored, and tasks after a refusal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.db import tasks, transitions
from app.db.models import JobTask
from worker.jobs.artifacts import artifact_key, shard_key
from worker.jobs.attempt import Attempt
from worker.jobs.sharing.division import DivisibleStage, Division
from worker.sandbox.outcomes import StageRefused
from worker.sandbox.watch import Stop

if TYPE_CHECKING:
    from support.worker_service import Service

KEY = "a key of the stage"
SHARDS = [["train-00001.safetensors", "train-00002.safetensors"], ["train-00003.safetensors"]]


@pytest.fixture
def attempt(service: Service) -> Iterator[Attempt]:
    """An attempt at a job whose stage has two queued tasks, of two shards and of one."""
    job_id = service.add_check()
    with service.runtime.sessions.begin() as session:
        token = transitions.claim(session, job_id, "own worker", 60)
        assert token is not None
        tasks.plan(session, job_id, "extract", artifact_key(stage=KEY, spec={}), [({"part": "a", "shards": names}, 10) for names in SHARDS])
    with Attempt(service.warm_runtime, job_id, token, Stop()) as begun:
        begun.make_folder()
        yield begun


def divided(attempt: Attempt) -> Division:
    stage = DivisibleStage(
        name="extract",
        key=KEY,
        part="a",
        spec={},
        arguments={},
        network=False,
        workspace=attempt.workspace,
        wants="cpu",
        store=lambda _name, _about: None,
    )
    return Division(attempt, stage)


def states(session: Session) -> list[str]:
    return list(session.scalars(select(JobTask.state).order_by(JobTask.number)))


def test_a_task_of_a_lost_worker_is_resumed_at_its_first_shard_that_is_not_stored(
    service: Service, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = attempt.folder / SHARDS[0][0]
    path.write_bytes(b"a shard")
    stored = attempt.artifacts.upload(shard_key(KEY, path.name), f"{KEY}/{path.name}", path, lambda: None)
    attempt.write(lambda session: attempt.artifacts.record(session, stored))
    computed: list[list[str]] = []

    def compute(_stage: str, arguments: dict[str, Any], **_: Any) -> None:
        computed.append(arguments["shards"])

    monkeypatch.setattr(attempt, "compute", compute)
    divided(attempt).run()
    assert computed == [SHARDS[0][1:], SHARDS[1]]
    assert attempt.write(states) == ["done", "done"]
    ends = [event for event in service.events(attempt.job_id, "stage") if event["state"] == "task"]
    assert [(event["number"], event["part"]) for event in ends] == [(0, "a"), (1, "a")]


def test_tasks_of_a_refused_stage_are_left(attempt: Attempt, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise StageRefused("data_invalid", "The images differ.", None)

    monkeypatch.setattr(attempt, "compute", refuse)
    divided(attempt).run()
    assert attempt.write(states) == ["left", "left"]
