"""Rows of workers that are alive, and wake-up messages for workers of the other kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import redis
from sqlalchemy import select

from app.db.models import Worker
from app.queue import queue_of
from worker.presence import report_alive, report_end, wake_other_kind

if TYPE_CHECKING:
    from support.worker_service import Service


def test_a_worker_is_alive_until_it_ends_and_outdated_rows_are_deleted(service: Service) -> None:
    runtime, past = service.runtime, datetime(2020, 1, 1, tzinfo=UTC)
    with runtime.sessions.begin() as session:
        session.add(Worker(name="a lost worker", kind="gpu", alive_until=past))
    for _ in range(2):
        report_alive(runtime)
        with runtime.sessions() as session:
            (row,) = session.scalars(select(Worker))
        assert (row.name, row.kind) == (runtime.name, runtime.kind)
        assert timedelta(0) < row.alive_until - datetime.now(UTC) < timedelta(minutes=1)
    report_end(runtime)
    with runtime.sessions() as session:
        assert session.scalars(select(Worker)).all() == []


def test_a_worker_of_the_other_kind_is_woken_once_for_jobs_that_this_one_does_not_take(service: Service) -> None:
    runtime = service.runtime
    runtime.settings.device = "cpu"
    with redis.Redis.from_url(runtime.settings.redis_url) as broker:

        def messages() -> object:
            return broker.llen(queue_of("gpu"))

        job = service.add_check()
        wake_other_kind(runtime)
        assert messages() == 0, "no worker of the other kind is alive"
        with runtime.sessions.begin() as session:
            session.add(Worker(name="another", kind="gpu", alive_until=datetime.now(UTC) + timedelta(minutes=1)))
        for _ in range(2):
            wake_other_kind(runtime)
            assert messages() == 1, job
        broker.delete(queue_of("gpu"))
        service.run(job)
        wake_other_kind(runtime)
        assert messages() == 0, "nothing is queued"
