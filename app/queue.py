"""Send wake-up messages to workers over Redis. Jobs themselves are rows in PostgreSQL."""

from __future__ import annotations

from functools import lru_cache

import structlog
from celery import Celery
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from app.db.scheduling import WorkerKind

RUN_JOB = "iis.run_job"
QUEUE = "iis"
CONNECT_TIMEOUT_SECONDS = 0.5
SOCKET_TIMEOUT_SECONDS = 1.0
WAKE_UPS_MAX = 64  # at once

log = structlog.get_logger(__name__)


def queue_of(kind: WorkerKind) -> str:
    """Queue of the workers of a kind, which receive the messages of `QUEUE` too."""
    return f"{QUEUE}-{kind}"


def wake_worker(job_id: str, redis_url: str | None = None, queue: str = QUEUE) -> bool:
    """Send a message that `job_id` is queued; returns False when the broker does not respond within a second.

    Call it after the commit that queued the job. A lost message delays the job until the sweeper sends another.
    """
    try:
        _publisher(redis_url or _configured_url()).send_task(RUN_JOB, args=[job_id], queue=queue, retry=False, ignore_result=True)
    except (OperationalError, KombuError, RedisError, OSError) as error:
        log.warning("broker_unreachable", job_id=job_id, error=str(error))
        return False
    return True


def wake_workers(job_id: str, count: int, redis_url: str | None = None) -> None:
    """Send up to `WAKE_UPS_MAX` messages that tasks of a running job are queued; the sweeper sends more while tasks stay queued."""
    for _ in range(min(count, WAKE_UPS_MAX)):
        if not wake_worker(job_id, redis_url):
            return


@lru_cache(maxsize=8)
def _publisher(redis_url: str) -> Celery:
    publisher = Celery("iis-wake-up", broker=redis_url, set_as_current=False)
    publisher.conf.update(
        broker_connection_timeout=CONNECT_TIMEOUT_SECONDS,
        broker_transport_options={
            "socket_connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "socket_timeout": SOCKET_TIMEOUT_SECONDS,
            "max_retries": 0,
        },
        task_ignore_result=True,
    )
    return publisher


def _configured_url() -> str:
    from app.settings import get_settings

    return str(get_settings().redis_url)
