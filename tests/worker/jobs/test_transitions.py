"""Transitions of job states and the sweeper, on real rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import select, update

from app.db import transitions
from app.db.job_rows import CancelRequested, LeaseLost
from app.db.models import IdempotencyRecord, Job
from app.settings import Settings
from worker.maintenance.garbage_collector import GarbageCollector
from worker.maintenance.periodic import Periodic
from worker.maintenance.sweeper import Sweeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.orm import Session

    from support.servers import ServerProcess
    from support.worker_service import Service

MARGIN_SECONDS = 1


def claim(service: Service, job_id: str, lease_seconds: float = 60) -> str:
    with service.runtime.sessions.begin() as session:
        token = transitions.claim(session, job_id, "a worker", lease_seconds)
    assert token is not None
    return token


def let_lease_end(service: Service, job_id: str) -> None:
    with service.runtime.sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=Job.queued_at))


def test_every_write_under_an_expired_lease_is_rejected_without_effect(service: Service) -> None:
    job_id = service.add_check()
    old = claim(service, job_id)
    let_lease_end(service, job_id)
    Sweeper(service.runtime).sweep()
    new = claim(service, job_id)
    error = {"code": "x", "message": "x", "param": None}
    writes: tuple[Callable[[Session], object], ...] = (
        lambda session: transitions.succeed(session, job_id, old),
        lambda session: transitions.fail(session, job_id, old, error),
        lambda session: transitions.report_progress(session, job_id, old, stage="heads", done=1, total=2, eta_seconds=None),
        lambda session: transitions.add_event(session, job_id, old, "warning", {}),
        lambda session: transitions.give_up_attempt(session, job_id, old, error, 3),
        lambda session: transitions.requeue(session, job_id, old),
        lambda session: transitions.finish_cancel(session, job_id, old),
    )
    for write in writes:
        with pytest.raises(LeaseLost), service.runtime.sessions.begin() as session:
            write(session)
    with service.runtime.sessions.begin() as session:
        assert transitions.renew(session, job_id, old, 60) is None
        assert transitions.renew(session, job_id, new, 60) == "running"
    job = service.job(job_id)
    assert (job.state, job.attempt, job.progress) == ("running", 2, None)
    assert service.states(job_id) == ["queued", "running", "queued", "running"]


def test_a_job_whose_worker_is_lost_three_times_fails_together_with_its_data_set(service: Service) -> None:
    job_id = service.add_check()
    for _ in range(3):
        claim(service, job_id)
        let_lease_end(service, job_id)
        Sweeper(service.runtime).sweep()
    job = service.job(job_id)
    assert (job.state, job.attempt, service.error_of(job_id)["code"]) == ("failed", 3, "worker_lost")
    dataset_error = service.dataset_of(job_id).error
    assert dataset_error is not None
    assert dataset_error["code"] == "worker_lost"


def test_a_canceling_job_whose_worker_is_lost_is_canceled(service: Service) -> None:
    job_id = service.add_check()
    claim(service, job_id)
    with service.runtime.sessions.begin() as session:
        assert transitions.request_cancel(session, session.get_one(Job, job_id)) == "canceling"
    let_lease_end(service, job_id)
    Sweeper(service.runtime).sweep()
    assert service.job(job_id).state == "canceled"


def test_a_result_after_a_cancel_request_is_not_written(service: Service) -> None:
    job_id = service.add_check()
    token = claim(service, job_id)
    with service.runtime.sessions.begin() as session:
        transitions.request_cancel(session, session.get_one(Job, job_id))
    with pytest.raises(CancelRequested), service.runtime.sessions.begin() as session:
        transitions.succeed(session, job_id, token)
    assert service.job(job_id).state == "canceling"


def test_the_sweeper_ignores_a_valid_lease(service: Service) -> None:
    job_id = service.add_check()
    claim(service, job_id)
    swept = Sweeper(service.runtime).sweep()
    assert swept is not None
    assert swept.released == 0
    assert service.job(job_id).state == "running"


def test_only_one_worker_sweeps_at_a_time(service: Service) -> None:
    sweeper = Sweeper(service.runtime)
    address = service.runtime.settings.database_url.replace("+psycopg", "")
    with psycopg.connect(address) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (0x1155,))
        assert sweeper.sweep() is None
    assert sweeper.sweep() is not None


def test_the_sweeper_sends_no_wake_up_messages_while_the_earlier_ones_wait(service: Service) -> None:
    sweeper = Sweeper(service.runtime)
    service.add_check()
    service.add_check()
    assert [swept.wake_ups for swept in (sweeper.sweep(), sweeper.sweep()) if swept] == [2, 0]


def test_maintenance_deletes_idempotency_records_after_a_day(service: Service) -> None:
    from worker.celery_app import run_maintenance

    now = datetime.now(UTC)
    with service.runtime.sessions.begin() as session:
        for key, created_at in (("old", now - timedelta(hours=25)), ("young", now - timedelta(hours=23))):
            session.add(IdempotencyRecord(owner_id=service.owner_id, key=key, request_digest="0", created_at=created_at))
    run_maintenance(service.runtime, GarbageCollector(service.runtime))
    with service.runtime.sessions() as session:
        assert list(session.scalars(select(IdempotencyRecord.key))) == ["young"]


def test_maintenance_continues_after_an_error(service: Service) -> None:
    calls = list[int]()

    def break_once() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise RuntimeError("an error in maintenance")

    periodic = Periodic("maintenance", 0.05, break_once)
    periodic.start()
    try:
        service.wait_until(lambda: len(calls) > 1, 10, "another call")
    finally:
        periodic.close()


def test_after_an_outage_of_the_database_workers_can_renew_their_leases_before_they_are_released(
    service: Service, postgres_server: ServerProcess
) -> None:
    service.runtime.settings.lease_seconds = 1
    sweeper, job_id = Sweeper(service.runtime), service.add_check()
    token = claim(service, job_id)
    let_lease_end(service, job_id)
    postgres_server.stop()
    try:
        assert sweeper.sweep() is None
    finally:
        postgres_server.start()
    swept = sweeper.sweep()
    assert (swept and swept.released, service.job(job_id).state) == (0, "running")
    with service.runtime.sessions.begin() as session:
        assert transitions.renew(session, job_id, token, 0.1) == "running"
    service.wait_until(lambda: sweeper.sweep() is not None and service.job(job_id).state == "queued", 20, "the release")


@pytest.mark.usefixtures("settings")
def test_leases_and_sweeps_notice_a_killed_worker_within_15_seconds() -> None:
    defaults = Settings()
    assert defaults.lease_seconds + defaults.sweep_seconds + MARGIN_SECONDS <= 15
    assert defaults.lease_seconds >= 4 * max(defaults.heartbeat_seconds, defaults.cancel_poll_seconds)


def test_listeners_are_notified_of_every_state_change(service: Service) -> None:
    address = service.runtime.settings.database_url.replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as listener:
        listener.execute("LISTEN job_events")
        job_id = service.add_check()
        claim(service, job_id)
        received = [notice.payload for notice in listener.notifies(timeout=10, stop_after=2)]
    assert received == [job_id, job_id]
