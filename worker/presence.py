"""Rows of the workers that are alive, with their kinds, and wake-up messages for workers of the other kind."""

from __future__ import annotations

import redis
import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from app.db import tasks
from app.db.models import Worker
from app.db.scheduling import WorkerKind, queued_jobs
from app.db.session import is_outage
from app.queue import queue_of, wake_worker
from worker.runtime import Runtime

log = structlog.get_logger(__name__)


def report_alive(runtime: Runtime) -> None:
    """Renew the row of this worker, and delete those of workers that have ended; call it every `sweep_seconds`."""
    settings = runtime.settings
    lasting = func.make_interval(0, 0, 0, 0, 0, 0, settings.lease_seconds + settings.sweep_seconds)
    until = func.clock_timestamp() + lasting
    row = insert(Worker).values(name=runtime.name, kind=runtime.kind, alive_until=until)
    with runtime.sessions.begin() as session:
        session.execute(row.on_conflict_do_update(index_elements=[Worker.name], set_={"alive_until": until}))
        outdated = select(Worker.name).where(Worker.alive_until < func.now() - lasting).with_for_update(skip_locked=True)
        session.execute(delete(Worker).where(Worker.name.in_(outdated.scalar_subquery())))


def report_end(runtime: Runtime) -> None:
    """Delete the row of this worker, so that others take what wants its kind at once."""
    try:
        with runtime.sessions.begin() as session:
            session.execute(delete(Worker).where(Worker.name == runtime.name))
    except SQLAlchemyError as error:
        log.warning("database_unavailable", error=str(error))


def wake_other_kind(runtime: Runtime) -> None:
    """Wake a worker of the other kind where jobs or tasks are queued that this one does not take.

    Call it for messages of the common queue alone: those of the queue of a kind are not passed on again.
    """
    other: WorkerKind = "gpu" if runtime.kind == "cpu" else "cpu"
    try:
        with runtime.sessions.begin() as session:
            alive = select(Worker.name).where(Worker.kind == other, Worker.alive_until > func.clock_timestamp())
            if session.scalars(alive.limit(1)).first() is None:
                return
            queued = [*queued_jobs(session, 1), *tasks.queued_of_running_jobs(session, 1)]
        if not queued:
            return
        with redis.Redis.from_url(runtime.settings.redis_url, socket_connect_timeout=1, socket_timeout=1) as broker:
            if broker.llen(queue_of(other)):
                return  # those that are idle take the message that is there
    except SQLAlchemyError as error:
        if not is_outage(error):
            raise
        log.warning("database_unavailable", error=str(error))
        return
    except redis.RedisError as error:
        log.warning("broker_unreachable", error=str(error))
        return
    wake_worker(queued[0], runtime.settings.redis_url, queue_of(other))
