"""Thread that reads queries from Redis, runs them, and writes the replies to Redis."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import cast

import redis
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db.models import Json
from app.storage import StorageUnavailable
from app.worker_queries import QUERY_QUEUE, REPLY_EXPIRY_SECONDS, REPLY_PREFIX
from worker.metrics import QUERY_SECONDS
from worker.queries.context import Query
from worker.queries.dataset_cache import DatasetNotReady
from worker.queries.dispatcher import QueryDispatcher
from worker.runtime import Runtime
from worker.sandbox.process import ChildLost, DeadlinePassed, Interrupted, StageRefused, Stop
from worker.sandbox.resource_limits import LimitExceeded

POLL_SECONDS = 1
DEFERRED_POLL_SECONDS = 0.1
RETRY_SECONDS = 2.0  # after a failure of the broker or of this thread
REQUEUE_ATTEMPTS = 3
FAILED: Json = {"refused": {"code": "worker_failed", "message": "The worker could not run the query; try again.", "param": None}}

log = structlog.get_logger(__name__)


class QueryServer:
    """Run queries one at a time, in parallel with the jobs of the same worker, in child processes of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stop = Stop()
        # Messages that wait until a data set is unpacked, or, with None, until the broker is available again.
        self._deferred: list[tuple[bytes, Future[Path] | None]] = []
        self._thread = threading.Thread(target=self._run, name="query-server", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop; return the current and the deferred queries to the queue for another worker."""
        self._stop.set("shutdown")
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.event.is_set():
            try:
                self._serve()
            except Exception:  # the boundary: this thread must survive every error
                log.exception("query_server_failed")
                self._stop.event.wait(RETRY_SECONDS)

    def _serve(self) -> None:
        with closing(QueryDispatcher(self._runtime, self._stop)) as dispatcher:
            # BRPOP blocks for up to `POLL_SECONDS`; the timeout of the socket must be longer.
            url = self._runtime.settings.redis_url
            with redis.Redis.from_url(url, socket_connect_timeout=POLL_SECONDS, socket_timeout=10 * POLL_SECONDS) as broker:
                while not self._stop.event.is_set():
                    self._poll(broker, dispatcher)
                self._requeue_deferred(broker)

    def _poll(self, broker: redis.Redis, dispatcher: QueryDispatcher) -> None:
        try:
            for deferred in [each for each in self._deferred if each[1] is None or each[1].done()]:
                self._deferred.remove(deferred)
                self._run_or_defer(broker, dispatcher, deferred[0])
            timeout = DEFERRED_POLL_SECONDS if self._deferred else POLL_SECONDS
            received = cast("tuple[bytes, bytes] | None", broker.brpop([QUERY_QUEUE], timeout=timeout))
            if received is not None:
                self._run_or_defer(broker, dispatcher, received[1])
        except redis.RedisError as error:
            log.warning("broker_unreachable", error=str(error))
            self._stop.event.wait(RETRY_SECONDS)

    def _requeue_deferred(self, broker: redis.Redis) -> None:
        """Return the deferred queries to the queue for another worker; retry while the broker is unavailable."""
        for _ in range(REQUEUE_ATTEMPTS):
            try:
                while self._deferred:
                    broker.rpush(QUERY_QUEUE, self._deferred[-1][0])
                    self._deferred.pop()
                return
            except redis.RedisError as error:
                log.warning("broker_unreachable", error=str(error))
                time.sleep(RETRY_SECONDS)

    def _run_or_defer(self, broker: redis.Redis, dispatcher: QueryDispatcher, message: bytes) -> None:
        """Run a query; defer it when the broker fails before its reply is written."""
        try:
            self._run_query(broker, dispatcher, message)
        except redis.RedisError:
            self._deferred.append((message, None))
            raise

    def _run_query(self, broker: redis.Redis, dispatcher: QueryDispatcher, message: bytes) -> None:
        query = json.loads(message)
        if time.time() > query["expires_at"]:
            log.info("query_expired", kind=query["kind"])
            return
        began = time.monotonic()
        try:
            reply: Json = {"result": dispatcher.run(Query(query["owner"], query["kind"], query["about"]))}
        except StageRefused as error:
            reply = {"refused": error.error}
        except Interrupted:
            broker.rpush(QUERY_QUEUE, message)
            return
        except DatasetNotReady as error:
            self._deferred.append((message, error.unpacked))
            return
        except (ChildLost, LimitExceeded, DeadlinePassed, StorageUnavailable, SQLAlchemyError) as error:
            log.warning("query_failed", kind=query["kind"], error=str(error), error_type=type(error).__name__)
            reply = FAILED
        except Exception:  # the boundary: the caller must get a reply after every error
            log.exception("query_crashed", kind=query["kind"])
            reply = FAILED
        QUERY_SECONDS.labels(query["kind"]).observe(time.monotonic() - began)
        reply_key = REPLY_PREFIX + query["id"]
        with broker.pipeline() as pipeline:
            pipeline.rpush(reply_key, json.dumps(reply))
            pipeline.expire(reply_key, REPLY_EXPIRY_SECONDS)
            pipeline.execute()
