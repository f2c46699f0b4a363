"""Tasks of running jobs: who may claim, write and end them, and whose turn it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, text, update

from app.db import task_progress, tasks, transitions
from app.db.deletion.job_deletion import delete_jobs
from app.db.job_rows import LeaseLost
from app.db.models import Job, JobTask, Worker
from app.db.tasks import ClaimedTask
from worker.jobs.runner import run_queued_jobs
from worker.jobs.sharing.division import PlannedShard, group_shards, read_plan
from worker.sandbox.outcomes import ChildLost

if TYPE_CHECKING:
    from support.worker_service import Service

LEASE_SECONDS = 60


def divided_job(service: Service, count: int = 2) -> tuple[str, str]:
    """A running job with `count` queued tasks, and its lease token."""
    job_id = service.add_check()
    with service.runtime.sessions.begin() as session:
        token = transitions.claim(session, job_id, "own worker", LEASE_SECONDS)
        assert token is not None
        tasks.plan(session, job_id, "extract", "plan", [({"shards": [str(number)]}, 10) for number in range(count)])
    return job_id, token


def claim(service: Service, worker: str = "helper", without: tuple[str, ...] = ()) -> ClaimedTask:
    with service.runtime.sessions.begin() as session:
        task = tasks.claim(session, worker, LEASE_SECONDS, without=without)
    assert task is not None
    return task


def claim_none(service: Service, without: tuple[str, ...] = ()) -> bool:
    with service.runtime.sessions.begin() as session:
        return tasks.claim(session, "helper", LEASE_SECONDS, without=without) is None


def expire(service: Service, task: ClaimedTask, max_attempts: int) -> list[str]:
    with service.runtime.sessions.begin() as session:
        session.execute(text("UPDATE job_tasks SET lease_expires_at = now() - interval '1 second' WHERE id = :id"), {"id": task.id})
        return tasks.release_expired(session, max_attempts)


def states(service: Service, job_id: str) -> list[str]:
    with service.runtime.sessions() as session:
        return list(session.scalars(select(JobTask.state).where(JobTask.job_id == job_id).order_by(JobTask.number)))


def test_each_of_many_workers_claims_another_task(service: Service) -> None:
    divided_job(service, 5)
    with ThreadPoolExecutor(8) as pool:

        def claim_one(_: int) -> ClaimedTask | None:
            with service.runtime.sessions.begin() as session:
                return tasks.claim(session, "helper", LEASE_SECONDS)

        claimed = [task for task in pool.map(claim_one, range(20)) if task is not None]
    claimed += [task for task in [claim_one(0) for _ in range(5)] if task is not None]
    assert sorted(task.number for task in claimed) == [0, 1, 2, 3, 4]


def test_a_task_whose_lease_expired_is_queued_again_and_its_former_worker_writes_nothing(service: Service) -> None:
    job_id, _ = divided_job(service, 1)
    lost = claim(service)
    assert expire(service, lost, 3) == [job_id]
    again = claim(service, "another")
    assert (again.id, again.attempt) == (lost.id, 2)
    for write in (tasks.finish, tasks.fence, tasks.leave, tasks.release):
        with pytest.raises(LeaseLost), service.runtime.sessions.begin() as session:
            write(session, lost)
    with service.runtime.sessions.begin() as session:
        assert tasks.state_under_lease(session, lost.id, lost.token) is None
        tasks.finish(session, again)
    assert states(service, job_id) == ["done"]


def test_a_task_without_an_attempt_left_is_left_to_the_jobs_own_worker(service: Service) -> None:
    job_id, token = divided_job(service, 1)
    assert expire(service, claim(service), 1) == []
    assert states(service, job_id) == ["left"]
    with service.runtime.sessions.begin() as session:
        assert tasks.claim_own(session, job_id, "plan", "own worker", token, LEASE_SECONDS) is None
        assert task_progress.counts(session, job_id, "plan").done == 1


def test_tasks_of_a_job_that_lost_its_worker_wait_while_claimed_ones_go_on(service: Service) -> None:
    job_id, token = divided_job(service)
    task = claim(service)
    with service.runtime.sessions.begin() as session:
        transitions.requeue(session, job_id, token)
    assert claim_none(service)
    with service.runtime.sessions.begin() as session:
        assert tasks.state_under_lease(session, task.id, task.token) == "running"
        tasks.finish(session, task)
    assert states(service, job_id) == ["done", "queued"]


def test_cancellation_stops_tasks_and_the_end_of_a_job_deletes_them(service: Service) -> None:
    job_id, token = divided_job(service)
    task = claim(service)
    with service.runtime.sessions.begin() as session:
        transitions.request_cancel(session, session.get_one(Job, job_id))
    assert claim_none(service)
    with service.runtime.sessions.begin() as session:
        assert tasks.state_under_lease(session, task.id, task.token) == "canceling"
    with service.runtime.sessions.begin() as session:
        transitions.finish_cancel(session, job_id, token)
    assert states(service, job_id) == []
    with pytest.raises(LeaseLost), service.runtime.sessions.begin() as session:
        tasks.finish(session, task)


def test_tasks_are_deleted_with_their_job(service: Service) -> None:
    job_id, _ = divided_job(service)
    with service.runtime.sessions.begin() as session:
        delete_jobs(session, [job_id], 0)
    assert states(service, job_id) == []


def test_the_next_task_is_of_the_owner_for_whom_fewest_run(service: Service) -> None:
    first, _ = divided_job(service, 3)
    assert claim(service).job_id == first
    service.become_another_owner()
    second, _ = divided_job(service, 3)
    assert claim(service).job_id == second  # one task of the first owner runs, none of the second
    assert claim(service).job_id == first  # one each: the older job
    assert claim(service, without=(second,)).job_id == first
    assert claim_none(service, without=(first, second))


def test_tasks_are_for_workers_of_the_kind_that_they_want_while_one_is_alive(service: Service) -> None:
    job_id, token = divided_job(service, 1)
    until = datetime.now(UTC) + timedelta(minutes=1)
    with service.runtime.sessions.begin() as session:
        session.execute(update(JobTask).values(wants="gpu"))
        assert tasks.next_job(session, kind="cpu") == job_id, "no GPU worker is alive"
        session.add(Worker(name="a worker", kind="gpu", alive_until=until))
        session.flush()
        assert tasks.claim(session, "helper", LEASE_SECONDS, kind="cpu") is None
        assert tasks.claim_of(session, job_id, "helper", LEASE_SECONDS, kind="cpu") is None
        tasks.plan(session, job_id, "explain_rows", "rows", [({}, 1)], wants="cpu")
        on_cpu = tasks.claim(session, "helper", LEASE_SECONDS, kind="cpu")
        on_gpu = tasks.claim(session, "helper", LEASE_SECONDS, kind="gpu")
        assert (on_cpu and on_cpu.stage, on_gpu and on_gpu.stage) == ("explain_rows", "extract")
        tasks.plan(session, job_id, "extract", "another", [({}, 1)], wants="gpu")
        assert tasks.claim_own(session, job_id, "another", "own worker", token, LEASE_SECONDS) is not None, "its own job's, on any kind"


def test_the_next_task_of_a_job_is_claimed_past_a_job_that_the_worker_cannot_help(service: Service) -> None:
    first, _ = divided_job(service)
    second, _ = divided_job(service)
    with service.runtime.sessions.begin() as session:
        assert tasks.claim_of(session, second, "helper", LEASE_SECONDS) is None
        task = tasks.claim_of(session, second, "helper", LEASE_SECONDS, without=(first,))
    assert task is not None
    assert task.job_id == second


def test_an_unexpected_error_costs_the_task_an_attempt_and_leaves_its_job_to_other_workers(service: Service) -> None:
    job_id, _ = divided_job(service, 1)  # its spec has none of the fields that are read
    run_queued_jobs(service.runtime)
    assert states(service, job_id) == ["queued"]
    assert service.runtime.not_helped() == [job_id]
    run_queued_jobs(service.runtime)
    assert claim(service).attempt == 2  # the second run did not claim it


def test_a_new_plan_of_a_stage_replaces_the_tasks_of_the_former_one(service: Service) -> None:
    job_id, _ = divided_job(service)
    with service.runtime.sessions.begin() as session:
        tasks.plan(session, job_id, "extract", "another", [({}, 7)])
        tasks.plan(session, job_id, "extract", "another", [({}, 7)])
        assert task_progress.counts(session, job_id, "plan").total == 0
        assert task_progress.counts(session, job_id, "another") == task_progress.TaskCounts(1, 0, 1, 0, 7, 0, 0)


def test_counts_leave_out_the_progress_of_the_asking_worker(service: Service) -> None:
    job_id, token = divided_job(service, 3)
    helper = claim(service)
    with service.runtime.sessions.begin() as session:
        own = tasks.claim_own(session, job_id, "plan", "own worker", token, LEASE_SECONDS)
        assert own is not None
        tasks.report(session, helper, 4)
        tasks.report(session, own, 3)
        assert task_progress.counts(session, job_id, "plan", token) == task_progress.TaskCounts(3, 0, 1, 2, 30, 4, 2)


def test_a_later_attempt_finds_the_plan_that_makes_its_outputs(service: Service) -> None:
    job_id, _ = divided_job(service)
    outputs = [{f"seed-{number}": f"key {number}"} for number in range(3)]
    with service.runtime.sessions.begin() as session:
        tasks.plan(session, job_id, "curves", "first", [({"outputs": made}, 1) for made in outputs])
        assert tasks.plan_with(session, job_id, "curves", outputs[1:]) == "first"
        assert tasks.plan_with(session, job_id, "curves", [*outputs, {"seed-3": "key 3"}]) is None
        assert tasks.plan_with(session, job_id, "choices", outputs[1:]) is None


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"shards": 3, "done": 0},
        {"shards": [["train-00000.safetensors"]], "done": 0},
        {"shards": [["../../etc/passwd", 1]], "done": 0},
        {"shards": [["train-00000.safetensors\x00", 1]], "done": 0},
        {"shards": [["train-00000.safetensors", -1]], "done": 0},
        {"shards": [["train-00000.safetensors", 2**40]], "done": 0},
        {"shards": [["train-00000.safetensors", "many"]], "done": 0},
        {"shards": [["train-00000.safetensors", 1]] * 100_001, "done": 0},
        {"shards": [["train-00000.safetensors", 1]]},
        {"shards": [["train-00000.safetensors", 1]], "done": None},
        {"shards": [["train-00000.safetensors", 1]], "done": 0, "size": 0},
    ],
)
def test_an_invalid_plan_is_refused(found: dict[str, Any]) -> None:
    with pytest.raises(ChildLost):
        read_plan({"size": 64} | found)


def test_a_plan_lists_shards_with_their_work() -> None:
    plan = {"shards": [["train-00001.safetensors", 512], ["elements-00012.safetensors", 448]], "done": 512, "size": 64}
    assert read_plan(plan) == ([PlannedShard("train-00001.safetensors", 512), PlannedShard("elements-00012.safetensors", 448)], 512, 64)


@pytest.mark.parametrize(
    ("task_seconds", "expected"),
    [
        (0.0, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        (10.0, [(0, 2), (2, 5)]),  # two seconds at least; the fifth shard alone would be too short
        (24.5, [(0, 5)]),
        (100.0, [(0, 5)]),
    ],
)
def test_consecutive_shards_make_tasks_of_the_time_asked_for(task_seconds: float, expected: list[tuple[int, int]]) -> None:
    assert group_shards([512] * 5, 512, 1.0, task_seconds) == expected


def test_tasks_take_an_eighth_of_the_rest_within_their_limits() -> None:
    sizes = [end - start for start, end in group_shards([64] * 200, 64, 1.0, 10.0)]
    assert sizes[:12] == [10] * 12  # ten seconds at most
    assert sizes[12:] == sorted(sizes[12:], reverse=True)
    assert sizes[-2:] == [2, 2]
    assert sum(sizes) == 200
