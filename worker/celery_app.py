"""The Celery app of the worker. Messages only wake it up; jobs are rows in PostgreSQL.

Start it with `celery -A worker.celery_app worker --pool threads --concurrency N`.
"""

from __future__ import annotations

import os
from functools import lru_cache, partial

import structlog
from celery import Celery
from celery.signals import setup_logging, worker_ready, worker_shutdown, worker_shutting_down
from kombu.entity import Queue
from sqlalchemy.exc import SQLAlchemyError

from app.db.deletion.expiry import expire_idempotency_records, expire_posted_images, expire_webhook_deliveries
from app.db.lists.job_summaries import summarise_earlier
from app.db.pooler_check import refuse_transaction_pooling
from app.db.webhook_events import announce_studies
from app.logging import configure_logging
from app.minimum_versions import require_minimum_versions
from app.queue import QUEUE, queue_of
from app.settings import get_settings
from app.storage import StorageUnavailable
from app.storage.upload_expiry import expire_uploads
from app.traces import configure_traces
from worker.gpu_assignment import take_gpu, worker_kind
from worker.maintenance.garbage_collector import GarbageCollector
from worker.maintenance.periodic import Periodic
from worker.maintenance.sweeper import Sweeper
from worker.metrics import serve_metrics
from worker.minimum_versions import WORKER_MINIMUM_VERSIONS
from worker.presence import report_alive, report_end
from worker.queries.server import QueryServer
from worker.runtime import Runtime, open_runtime
from worker.sandbox.confinement import hide_from_children
from worker.sandbox.probe import require_confinement
from worker.webhooks.sender import WebhookSender

MAINTENANCE_SWEEPS = 10  # sweeps in the time from one maintenance to the next

log = structlog.get_logger(__name__)

# On import, since Celery only logs exceptions of signal receivers.
require_minimum_versions(WORKER_MINIMUM_VERSIONS)
require_confinement(best_effort=get_settings().best_effort_confinement)
refuse_transaction_pooling(get_settings())
configure_traces(get_settings(), "iis-worker")

app = Celery("iis-worker", broker=get_settings().redis_url, include=["worker.tasks"])
app.conf.update(
    task_default_queue=QUEUE,
    task_queues=[Queue(QUEUE), Queue(queue_of(worker_kind(get_settings().device, os.environ)))],
    task_ignore_result=True,
    # Acknowledge a message on receipt: the sweeper sends another for each job that stays queued.
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    # Leave further messages to other workers while this one is busy; it runs every queued job before it waits again.
    worker_disable_prefetch=True,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    broker_transport_options={"socket_connect_timeout": 3, "health_check_interval": 10},
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_redirect_stdouts=False,
)


@lru_cache(maxsize=1)
def runtime() -> Runtime:
    """The runtime of this process."""
    return open_runtime(get_settings())


@lru_cache(maxsize=1)
def sweeper() -> Periodic:
    """The sweeper of this process."""
    current = runtime()
    return Periodic("sweeper", current.settings.sweep_seconds, Sweeper(current).sweep)


@lru_cache(maxsize=1)
def presence() -> Periodic:
    """The thread that reports this process alive."""
    current = runtime()
    return Periodic("presence", current.settings.sweep_seconds, partial(report_alive, current))


@lru_cache(maxsize=1)
def maintenance() -> Periodic:
    """Other maintenance of this process, which may last and must not delay the sweeper."""
    current = runtime()
    interval_seconds = MAINTENANCE_SWEEPS * current.settings.sweep_seconds
    return Periodic("maintenance", interval_seconds, partial(run_maintenance, current, GarbageCollector(current)))


@lru_cache(maxsize=1)
def query_server() -> QueryServer:
    """The query thread of this process."""
    return QueryServer(runtime())


@lru_cache(maxsize=1)
def webhook_sender() -> WebhookSender:
    """The webhook thread of this process."""
    current = runtime()
    return WebhookSender(current.settings, current.sessions)


def run_maintenance(current: Runtime, collector: GarbageCollector) -> None:
    """Announce finished studies, delete expired rows and uploads, write missing summaries, and collect garbage in storage."""
    try:
        with current.sessions() as session:
            announce_studies(session)
            expire_uploads(session, current.store)
            expire_posted_images(session)
            expire_idempotency_records(session, current.settings.idempotency_expiry_seconds)
            expire_webhook_deliveries(session)
            summarise_earlier(session)
            collector.collect_if_due(session)
    except (SQLAlchemyError, StorageUnavailable) as error:
        log.warning("maintenance_failed", error=str(error))


@setup_logging.connect
def _configure_logging(**_: object) -> None:
    configure_logging(get_settings().log_level)


@worker_ready.connect
def _start(**_: object) -> None:
    hide_from_children()
    if get_settings().device != "cpu":
        take_gpu(get_settings().data_folder.absolute() / "gpus", os.environ)
    serve_metrics(get_settings().worker_metrics_port)
    presence().start()
    sweeper().start()
    maintenance().start()
    query_server().start()
    if get_settings().api_key_secret:  # without it deliveries cannot be signed
        webhook_sender().start()


@worker_shutting_down.connect
def _return_jobs(**_: object) -> None:
    runtime().shut_down()


@worker_shutdown.connect
def _close(**_: object) -> None:
    presence().close()
    report_end(runtime())
    sweeper().close()
    maintenance().close()
    query_server().close()
    webhook_sender().close()
    runtime().close()
