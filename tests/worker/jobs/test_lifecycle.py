"""A job ends exactly once, whatever happens to messages, processes and servers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import redis

from app.db import transitions
from app.db.models import Job
from app.queue import wake_worker
from worker.jobs.runner import run_job

if TYPE_CHECKING:
    from support.worker_service import Service


def test_a_validated_data_set_becomes_ready(service: Service) -> None:
    job_id = service.add_check()
    assert service.run(job_id) == "succeeded"
    dataset = service.dataset_of(job_id)
    assert dataset.state == "ready"
    assert dataset.info is not None
    assert dataset.info["class_names"] == ["0", "1", "2"]
    assert service.states(job_id) == ["queued", "running", "succeeded"]


def test_an_unreadable_features_file_fails_without_retry(service: Service) -> None:
    job_id = service.add_check(b"this is not a features file")
    assert service.run(job_id) == "failed"
    job, error = service.job(job_id), service.error_of(job_id)
    assert (job.state, job.attempt, error["code"]) == ("failed", 1, "data_invalid")
    dataset = service.dataset_of(job_id)
    assert (dataset.state, dataset.error) == ("failed", error)


def test_a_message_delivered_fifty_times_runs_its_job_once(service: Service) -> None:
    service.start_worker()
    job_id = service.add_check()
    for _ in range(50):
        assert wake_worker(job_id)
    service.await_state(job_id, "succeeded")
    with ThreadPoolExecutor(8) as pool:  # and late ones, to many workers at the same moment
        assert set(pool.map(run_job, [service.runtime] * 50, [job_id] * 50)) == {None}
    assert service.states(job_id) == ["queued", "running", "succeeded"]


def test_a_job_whose_child_process_is_killed_is_retried(service: Service) -> None:
    with service.frozen_compute() as compute:
        job_id = service.add_check()
        first = service.run_aside(job_id)
        service.await_request(job_id)
        compute.kill()
        assert first.result(30) == "queued"
    assert service.run(job_id) == "succeeded"
    assert service.states(job_id) == ["queued", "running", "queued", "running", "succeeded"]


def test_a_job_that_loses_its_child_process_on_every_attempt_fails(service: Service) -> None:
    with service.frozen_compute() as compute:
        job_id = service.add_check()
        service.runtime.settings.max_attempts = 1
        attempt = service.run_aside(job_id)
        service.await_request(job_id)
        compute.kill()
        assert attempt.result(30) == "failed"
    error = service.error_of(job_id)
    assert error["code"] == "compute_lost"
    assert "SIGKILL" in error["message"]


def test_another_worker_finishes_the_job_of_a_killed_worker(service: Service) -> None:
    worker, compute = service.start_worker_with_frozen_compute()
    job_id = service.add_check()
    wake_worker(job_id)
    service.await_state(job_id, "running")
    worker.kill()
    worker.wait()
    psutil.wait_procs([compute], 10)
    assert not compute.is_running()
    service.start_worker()
    assert service.await_state(job_id, "succeeded").attempt == 2


@pytest.mark.slow
def test_a_suspended_worker_cannot_write_after_its_lease_has_expired(service: Service) -> None:
    worker, compute = service.start_worker_with_frozen_compute()
    job_id = service.add_check()
    wake_worker(job_id)
    service.await_state(job_id, "running")
    psutil.Process(worker.pid).suspend()
    other = service.start_worker()
    assert service.await_state(job_id, "succeeded").attempt == 2
    compute.resume()  # its result now waits in the pipe of the suspended worker
    other.kill()
    other.wait()
    late = service.add_check()
    psutil.Process(worker.pid).resume()
    service.await_state(late, "succeeded")  # the worker is back, and has dropped the job it had lost
    assert service.states(job_id) == ["queued", "running", "queued", "running", "succeeded"]


@pytest.mark.slow
def test_a_job_runs_after_the_broker_has_lost_every_message(service: Service) -> None:
    job_id = service.add_check()
    wake_worker(job_id)
    with redis.Redis.from_url(service.runtime.settings.redis_url) as broker:
        broker.flushall()
    service.start_worker()
    assert service.await_state(job_id, "succeeded").attempt == 1


def test_only_one_of_many_workers_claims_a_job(service: Service) -> None:
    job_id = service.add_check()
    with service.runtime.sessions() as session, ThreadPoolExecutor(8) as pool:

        def claim(_: int) -> str | None:
            with service.runtime.sessions.begin() as own:
                return transitions.claim(own, job_id, "worker", 60)

        tokens = [token for token in pool.map(claim, range(50)) if token]
        assert len(tokens) == 1
        assert session.get_one(Job, job_id).attempt == 1


@pytest.mark.slow
def test_a_job_submitted_while_the_broker_is_down_runs_when_it_returns(service: Service, redis_server: Any) -> None:
    service.start_worker()
    warm = service.add_check()
    wake_worker(warm)
    service.await_state(warm, "succeeded")
    redis_server.stop()
    try:
        job_id = service.add_check()
        began = time.monotonic()
        assert not wake_worker(job_id)
        assert time.monotonic() - began < 2
        assert service.job(job_id).state == "queued"
    finally:
        redis_server.start()
    service.await_state(job_id, "succeeded")


@pytest.mark.slow
def test_a_job_survives_an_outage_of_the_database_that_lasts_longer_than_its_lease(service: Service, postgres_server: Any) -> None:
    service.runtime.settings.lease_seconds = 0.1
    with service.frozen_compute() as compute:
        job_id = service.add_check()
        attempt = service.run_aside(job_id)
        service.await_request(job_id)
        postgres_server.stop()
        compute.resume()
        postgres_server.start()
        assert attempt.result(30) == "succeeded"
    assert service.job(job_id).attempt == 1


@pytest.mark.slow
def test_a_terminated_worker_requeues_its_job_without_counting_the_attempt(service: Service) -> None:
    worker, _ = service.start_worker_with_frozen_compute()
    job_id = service.add_check()
    wake_worker(job_id)
    service.await_request(job_id)
    worker.terminate()
    assert worker.wait(30) == 0
    job = service.job(job_id)
    assert (job.state, job.attempt, job.lease_token) == ("queued", 0, None)
