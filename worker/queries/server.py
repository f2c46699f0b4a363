"""Threads that take queries from Redis, run them, and write the replies to Redis."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import redis
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db.models import Json
from app.storage import StorageUnavailable
from app.worker_queries import REPLY_EXPIRY_SECONDS, REPLY_PREFIX
from worker.jobs.outputs import require_shown
from worker.metrics import QUERY_SECONDS
from worker.queries.context import WARM_PROCESSES, Query
from worker.queries.dataset_cache import DatasetNotReady
from worker.queries.dispatcher import QueryDispatcher
from worker.queries.turns import QueryTurns, requeue
from worker.runtime import Runtime
from worker.sandbox.outcomes import ChildLost, DeadlinePassed, Interrupted, StageRefused
from worker.sandbox.resource_limits import LimitExceeded
from worker.sandbox.watch import Stop

QUERIES_AT_ONCE = WARM_PROCESSES  # each of another owner, in a process of its own
POLL_SECONDS = 1
DEFERRED_POLL_SECONDS = 0.1
RETRY_SECONDS = 2.0  # after a failure of the broker or of this thread
REQUEUE_ATTEMPTS = 3
FAILED: Json = {"refused": {"code": "worker_failed", "message": "The worker could not run the query; try again.", "param": None}}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Deferred:
    """A query that waits until a data set is unpacked, or, with None, runs again because its reply was not written."""

    owner_id: str
    message: bytes
    unpacked: Future[Path] | None

    @property
    def is_due(self) -> bool:
        return self.unpacked is None or self.unpacked.done()


class QueryServer:
    """Run queries beside the jobs of the same worker, in child processes of its own: owners in turn, one query of each at a time."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stop = Stop()
        self._turns = QueryTurns()
        self._free_threads = threading.Semaphore(QUERIES_AT_ONCE)
        self._lock = threading.Lock()
        self._deferred: list[Deferred] = []
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
        # BZPOPMIN blocks for up to `POLL_SECONDS`; the timeout of the socket must be longer.
        url = self._runtime.settings.redis_url
        with (
            closing(QueryDispatcher(self._runtime, self._stop)) as dispatcher,
            redis.Redis.from_url(url, socket_connect_timeout=POLL_SECONDS, socket_timeout=10 * POLL_SECONDS) as broker,
        ):
            with ThreadPoolExecutor(QUERIES_AT_ONCE, "query") as threads:
                while not self._stop.event.is_set():
                    self._poll(broker, dispatcher, threads)
            self._requeue_deferred(broker)

    def _poll(self, broker: redis.Redis, dispatcher: QueryDispatcher, threads: ThreadPoolExecutor) -> None:
        """Start the next query, once a thread is free."""
        if not self._free_threads.acquire(timeout=POLL_SECONDS):
            return
        taken = None
        try:
            taken = self._next(broker)
        except redis.RedisError as error:
            log.warning("broker_unreachable", error=str(error))
            self._stop.event.wait(RETRY_SECONDS)
        finally:
            if taken is None:
                self._free_threads.release()
        if taken is not None:
            threads.submit(self._run_taken, broker, dispatcher, *taken)

    def _next(self, broker: redis.Redis) -> tuple[str, bytes] | None:
        """Owner and message of a deferred query that is due, else of the next one in the queue; the owner's turn is reserved."""
        with self._lock:
            for deferred in self._deferred:
                if deferred.is_due and self._turns.start(deferred.owner_id):
                    self._deferred.remove(deferred)
                    return deferred.owner_id, deferred.message
            waiting = bool(self._deferred)
        return self._turns.take(broker, DEFERRED_POLL_SECONDS if waiting else POLL_SECONDS)

    def _requeue_deferred(self, broker: redis.Redis) -> None:
        """Return the deferred queries to the queue for another worker; retry while the broker is unavailable."""
        for _ in range(REQUEUE_ATTEMPTS):
            try:
                while self._deferred:
                    requeue(broker, self._deferred[-1].owner_id, self._deferred[-1].message)
                    self._deferred.pop()
                return
            except redis.RedisError as error:
                log.warning("broker_unreachable", error=str(error))
                time.sleep(RETRY_SECONDS)

    def _run_taken(self, broker: redis.Redis, dispatcher: QueryDispatcher, owner_id: str, message: bytes) -> None:
        """Run a query and release the owner's turn; defer the query when the broker fails before its reply is written."""
        try:
            self._run_query(broker, dispatcher, owner_id, message)
        except redis.RedisError as error:
            log.warning("broker_unreachable", error=str(error))
            self._stop.event.wait(RETRY_SECONDS)
            self._defer(Deferred(owner_id, message, None))
        except Exception:  # the boundary: nothing reads the exceptions of these threads
            log.exception("query_server_failed")
        finally:
            self._free_threads.release()
            try:
                self._turns.end(broker, owner_id)
            except redis.RedisError as error:  # the owner's next query queues its turn again
                log.warning("broker_unreachable", error=str(error))

    def _defer(self, deferred: Deferred) -> None:
        with self._lock:
            self._deferred.append(deferred)

    def _run_query(self, broker: redis.Redis, dispatcher: QueryDispatcher, owner_id: str, message: bytes) -> None:
        query = json.loads(message)
        seconds = query["expires_at"] - time.time()
        if seconds < 0:
            log.info("query_expired", kind=query["kind"])
            return
        began = time.monotonic()
        try:
            reply: Json = {"result": dispatcher.run(Query(owner_id, query["kind"], query["about"], began + seconds))}
            require_shown(reply, "an answer")  # which the API holds in memory
        except StageRefused as error:
            reply = {"refused": error.error}
        except Interrupted:
            requeue(broker, owner_id, message)
            return
        except DatasetNotReady as error:
            self._defer(Deferred(owner_id, message, error.unpacked))
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
