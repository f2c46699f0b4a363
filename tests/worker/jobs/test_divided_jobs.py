"""One job on several workers: the numbers of one worker, also after a worker is killed; order of jobs; cancellation."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from sqlalchemy import delete, select

from app.db import transitions
from app.db.models import Job, JobTask, StageArtifact
from app.queue import wake_worker
from support.squares import squares_zip
from worker.jobs.pipeline import Pipeline
from worker.sandbox.outcomes import ChildLost

if TYPE_CHECKING:
    from support.worker_service import Service
    from worker.jobs.stage import Stage

ARCHITECTURE = "timm:lcnet_035"
MEASUREMENTS = ("heads", "isotropic", "matched")
WHOLE = sorted((stage, group) for stage in MEASUREMENTS for group in ("choices", *["curves"] * 5))
"""Tasks of measurements of five seeds each."""


@pytest.fixture
def every_shard_is_a_task(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that the test starts divide stages however short they are."""
    monkeypatch.setenv("IIS_TASK_SECONDS", "0")


def add_long_job(service: Service, cut_per_class: int) -> str:
    """A queued score job of a checked model and data set, with shards of training and test images, and one for every 32 images cut."""
    model_id = service.add_model(ARCHITECTURE, initial_seed=0, preprocessing={"input_size": 224})
    dataset_id = service.add_dataset(squares_zip(per_class=2 * cut_per_class), "squares.zip", "images")
    for check in (service.add_job("check_model", None, model_id=model_id), service.add_job("check_dataset", dataset_id)):
        assert service.run(check) == "succeeded", service.job(check).error
    elements = {"kind": "patches", "images_per_class": cut_per_class, "seed": 0, "scales": [1, 2, 3]}
    return service.add_score(dataset_id, model_id, elements=elements)


def tasks_of(service: Service, job_id: str) -> list[JobTask]:
    with service.runtime.sessions() as session:
        return list(session.scalars(select(JobTask).where(JobTask.job_id == job_id).order_by(JobTask.number)))


def helped(service: Service, job_id: str) -> JobTask | None:
    """A task of the job that another worker computes now."""
    worker = service.job(job_id).worker
    running = [task for task in tasks_of(service, job_id) if task.state == "running" and task.worker != worker]
    return running[0] if running else None


def digests(service: Service) -> dict[str, str]:
    """sha256 of the features and of what was measured on them, of the current owner."""
    with service.runtime.sessions() as session:
        which = (StageArtifact.owner_id == service.owner_id, StageArtifact.stage.in_(("extract", "heads", "isotropic", "curve")))
        rows = session.execute(select(StageArtifact.stage, StageArtifact.blob_sha256).where(*which)).all()
        return {stage: digest for stage, digest in rows}  # noqa: C416 (the type checker does not know that rows are pairs)


def task_events(service: Service, job_id: str) -> list[dict[str, Any]]:
    return [event for event in service.events(job_id, "stage") if event["state"] == "task"]


def stages_of(service: Service, job_id: str) -> list[dict[str, Any]]:
    """The job's list of stages."""
    with service.runtime.sessions() as session:
        return session.scalars(select(Job.stages).where(Job.id == job_id)).one() or []


def measured_parts(service: Service, job_id: str) -> list[tuple[str, str]]:
    """Stage and kind of each task of a measurement that a worker has ended."""
    return sorted((event["stage"], event["group"]) for event in task_events(service, job_id) if "group" in event)


@pytest.mark.slow
def test_curves_of_seeds_that_are_tasks_have_the_numbers_of_an_undivided_measurement(service: Service) -> None:
    service.warm_runtime.settings.task_seconds = 1e6
    whole = service.add_score()
    assert service.run(whole) == "succeeded"
    assert task_events(service, whole) == []
    expected = digests(service)

    dataset_id = service.job(whole).dataset_id
    assert dataset_id is not None
    with service.runtime.sessions.begin() as session:
        measured = (*MEASUREMENTS, "curve", "panel", "predictors", "report")
        session.execute(delete(StageArtifact).where(StageArtifact.stage.in_(measured)))
    service.warm_runtime.settings.task_seconds = 0
    divided = service.add_score(dataset_id)
    assert service.run(divided) == "succeeded", service.job(divided).error
    assert measured_parts(service, divided) == WHOLE
    assert digests(service) == expected
    with service.runtime.sessions() as session:
        assert session.scalars(select(StageArtifact.stage).where(StageArtifact.stage.contains("/"))).all() == []
    events = [event["seconds"] for event in task_events(service, divided) if event["stage"] == "heads"]
    heads = next(stage for stage in stages_of(service, divided) if stage["stage"] == "heads")
    assert heads["seconds"] >= sum(events) - 0.1
    assert heads["tasks"] == {"done": 6, "total": 6, "workers": 0}


@pytest.mark.slow
def test_a_later_attempt_repeats_no_choice_and_no_curve(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.warm_runtime.settings.task_seconds = 0
    job_id = service.add_score()
    compute = Pipeline._compute

    def compute_and_lose_child(pipeline: Pipeline, stage: Stage) -> None:
        compute(pipeline, stage)
        if stage.name == "heads":  # joined and stored; the other measurements have their choices and curves
            raise ChildLost("The child process was killed by SIGKILL.")

    with monkeypatch.context() as patched:
        patched.setattr(Pipeline, "_compute", compute_and_lose_child)
        assert service.run(job_id) == "queued"
    assert measured_parts(service, job_id) == WHOLE
    assert service.run(job_id) == "succeeded", service.job(job_id).error
    assert measured_parts(service, job_id) == WHOLE


@pytest.mark.slow
@pytest.mark.timeout(900)  # five compute processes start and compute, on however many cores
@pytest.mark.usefixtures("every_shard_is_a_task")
def test_a_job_on_workers_of_which_one_is_killed_has_the_numbers_of_one_worker(service: Service) -> None:
    service.runtime.settings.task_seconds = 1e6
    alone = add_long_job(service, 48)
    assert service.run(alone) == "succeeded", service.job(alone).error
    assert task_events(service, alone) == []
    expected = digests(service)

    service.become_another_owner()
    job_id = add_long_job(service, 48)
    first, second = service.start_worker(), service.start_worker()
    wake_worker(job_id)
    lost = service.wait_until(lambda: helped(service, job_id), 120, "another worker to take a task")
    assert lost.worker is not None
    killed = first if f":{first.pid}:" in lost.worker else second
    killed.kill()
    killed.wait()
    third = service.start_worker()
    assert service.await_state(job_id, "succeeded", "failed", timeout_seconds=300).state == "succeeded", service.job(job_id).error

    assert digests(service) == expected
    assert service.states(job_id) == ["queued", "running", "succeeded"]
    stages = service.events(job_id, "stage")
    divided = {event["stage"]: event["tasks"] for event in stages if event["state"] == "divided"}
    assert divided.keys() == {"extract", *MEASUREMENTS}
    planned = divided["extract"]
    finished = [event["stage"] for event in stages if event["state"] == "finished"]
    assert len(finished) == len(set(finished))
    assert {"isotropic", "matched", "heads", "report"} <= set(finished)
    extracted = [event["number"] for event in task_events(service, job_id) if event["stage"] == "extract"]
    assert sorted(extracted) == list(range(planned))
    assert measured_parts(service, job_id) == WHOLE
    names = [event["name"] for event in stages if event["state"] == "shard"]
    assert len(names) == len(set(names))
    workers = {event["worker"].split(":")[1] for event in task_events(service, job_id)}
    assert workers <= {str(process.pid) for process in (first, second, third)}
    assert tasks_of(service, job_id) == []
    of_extract = [event for event in service.events(job_id, "progress") if event["stage"] == "extract"]
    counted = [event["tasks"] for event in of_extract if "tasks" in event]
    assert max(one["workers"] for one in counted) >= 2
    assert {one["total"] for one in counted} == {planned}
    listed = {stage["stage"]: stage for stage in stages_of(service, job_id)}
    assert {stage["state"] for stage in listed.values()} == {"finished"}
    assert {name for name, stage in listed.items() if "tasks" in stage} == {"extract", *MEASUREMENTS}
    assert workers <= {name.split(":")[1] for stage in listed.values() for name in stage["workers"]}
    overall = [event["overall"] for event in service.events(job_id, "progress")]
    assert overall[-1]["tasks_done"] <= overall[-1]["tasks_total"] == planned + 3 * 6 + len(listed) - 4


@pytest.mark.slow
@pytest.mark.timeout(900)  # five compute processes start and compute, on however many cores
@pytest.mark.usefixtures("every_shard_is_a_task")
def test_another_owners_job_comes_before_tasks_and_cancel_reaches_every_worker(service: Service) -> None:
    job_id = add_long_job(service, 128)
    workers = service.start_worker(), service.start_worker()
    wake_worker(job_id)
    service.wait_until(lambda: helped(service, job_id), 120, "another worker to take a task")
    service.become_another_owner()
    urgent = service.add_check()
    wake_worker(urgent)
    service.await_state(urgent, "succeeded", timeout_seconds=180)
    assert service.job(job_id).state == "running"
    assert any(task.state == "queued" for task in tasks_of(service, job_id))

    service.wait_until(lambda: helped(service, job_id), 120, "a worker to take a task again")
    with service.runtime.sessions.begin() as session:
        transitions.request_cancel(session, session.get_one(Job, job_id))
    asked_at = time.monotonic()
    service.await_state(job_id, "canceled", timeout_seconds=10)
    service.wait_until(lambda: all(not psutil.Process(one.pid).children() for one in workers), 10, "compute processes to end")
    assert time.monotonic() - asked_at < 10
    assert tasks_of(service, job_id) == []
