"""Tasks of another worker's job: what is stored, events, metrics, and locks. The stages themselves are replaced by writers of files."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select

from app.db import tasks, transitions
from app.db.models import Job, JobTask, StageArtifact
from worker.jobs.artifacts import shard_key
from worker.jobs.attempt import Attempt
from worker.jobs.sharing.helping import help_running_job
from worker.jobs.stage_workspace import StageWorkspace

if TYPE_CHECKING:
    from support.worker_service import Service

KEY = "a key of the stage"
SHARDS = ["train-00001.safetensors", "train-00002.safetensors"]
SHARDS_TASK: dict[str, Any] = {
    "key": KEY,
    "part": "a",
    "arguments": {},
    "sources": [],
    "network": False,
    "shard_folder": "extract-shards",
    "of_library": False,
    "prepare": [],
    "reading": None,
    "shards": SHARDS,
}
WHOLE_STAGE: dict[str, Any] = {
    "stage": "heads",
    "key": KEY,
    "arguments": {},
    "inputs": {},
    "outputs": {"measurement.json": "a key of the output"},
    "of_library": False,
}


def write_files(_self: Attempt, stage: str, arguments: dict[str, Any], *, workspace: StageWorkspace, **given: Any) -> dict[str, Any]:
    """In place of `Attempt.compute`: write the files that the stage would write."""
    if stage == "heads":
        (workspace.folder / "measurement.json").write_text("{}")
        return {"warnings": ["few images"]}
    on_output: Callable[[str, None], None] = given["on_output"]
    for name in arguments["shards"]:
        path = workspace.folder / arguments["shard_folder"] / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
        on_output(name, None)
    return {}


@pytest.mark.parametrize(
    ("group", "spec", "stage", "keys"),
    [
        ("extract", SHARDS_TASK, "extract", [shard_key(KEY, name) for name in SHARDS]),
        ("measurements", WHOLE_STAGE, "heads", ["a key of the output"]),
    ],
)
def test_a_task_stores_its_files_before_it_locks_the_job_and_adds_events_and_metrics_of_its_stage(
    service: Service, monkeypatch: pytest.MonkeyPatch, group: str, spec: dict[str, Any], stage: str, keys: list[str]
) -> None:
    runtime, done = service.warm_runtime, {"stage": stage, "end": "done"}
    before = REGISTRY.get_sample_value("iis_worker_tasks_ended_total", done) or 0.0
    job_id = service.add_check()
    with runtime.sessions.begin() as session:
        assert transitions.claim(session, job_id, "own worker", 60)
        tasks.plan(session, job_id, group, "plan", [(spec, 10)])
    exists, lockable = runtime.store.exists, list[str | None]()

    def note_lock(sha256: str) -> bool:
        with runtime.sessions.begin() as session:
            lockable.append(session.scalar(select(Job.id).where(Job.id == job_id).with_for_update(skip_locked=True)))
        return exists(sha256)

    monkeypatch.setattr(runtime.store, "exists", note_lock)
    monkeypatch.setattr(Attempt, "compute", write_files)
    assert help_running_job(runtime)
    assert set(lockable) == {job_id}

    with runtime.sessions() as session:
        assert session.scalars(select(JobTask.state)).all() == ["done"]
        assert sorted(session.scalars(select(StageArtifact.key))) == sorted(keys)
    events = service.events(job_id, "stage")
    assert {(event["stage"], event["worker"]) for event in events} == {(stage, runtime.name)}
    assert [(event["state"], event.get("part")) for event in events] == (
        [("finished", None)] if stage == "heads" else [("shard", "a"), ("shard", "a"), ("task", "a")]
    )
    assert [event["message"] for event in service.events(job_id, "warning")] == (["few images"] if stage == "heads" else [])
    assert REGISTRY.get_sample_value("iis_worker_tasks_ended_total", done) == before + 1
