"""The thread that takes questions from Redis and puts their answers there. How a question is answered: `worker.queries.dispatcher`."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import redis
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.storage import StorageUnavailable
from app.worker_queries import ANSWER_EXPIRY_SECONDS, ANSWER_PREFIX, QUESTIONS
from worker.metrics import QUESTION_SECONDS
from worker.queries.context import Query
from worker.queries.dataset_cache import DatasetNotReady
from worker.queries.dispatcher import QueryDispatcher
from worker.runtime import Runtime
from worker.sandbox.process import ChildLost, DeadlinePassed, Interrupted, StageRefused, Stop
from worker.sandbox.resource_limits import LimitExceeded

LISTEN_SECONDS = 1
ASIDE_SECONDS = 0.1  # between looks at questions that were put aside
AWAY_SECONDS = 2.0
HAND_BACK_TRIES = 3
FAILED: dict[str, Any] = {
    "refused": {"code": "worker_failed", "message": "The worker could not answer this time; ask again.", "param": None}
}

log = structlog.get_logger(__name__)


class QueryServer:
    """Answers questions one at a time, beside the jobs of the same worker, in compute processes of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stop = Stop()
        # Questions that wait for a data set, without holding up others, or for the broker alone.
        self._aside: list[tuple[bytes, Future[Path] | None]] = []
        self._thread = threading.Thread(target=self._run, name="answerer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Leave the question in hand to another worker, and stop."""
        self._stop.set("shutdown")
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.event.is_set():
            try:
                self._serve()
            except Exception:  # the boundary: without this thread nobody would be answered
                log.exception("answerer_broke")
                self._stop.event.wait(AWAY_SECONDS)

    def _serve(self) -> None:
        with closing(QueryDispatcher(self._runtime, self._stop)) as dispatcher:
            # BRPOP holds the connection up to `LISTEN_SECONDS`; the socket's own patience must be longer.
            url = self._runtime.settings.redis_url
            with redis.Redis.from_url(url, socket_connect_timeout=LISTEN_SECONDS, socket_timeout=10 * LISTEN_SECONDS) as broker:
                while not self._stop.event.is_set():
                    self._listen(broker, dispatcher)
                self._hand_back(broker)

    def _listen(self, broker: redis.Redis, dispatcher: QueryDispatcher) -> None:
        try:
            for aside in [each for each in self._aside if each[1] is None or each[1].done()]:
                self._aside.remove(aside)
                self._take_or_keep(broker, dispatcher, aside[0])
            pause = ASIDE_SECONDS if self._aside else LISTEN_SECONDS
            heard = cast("tuple[bytes, bytes] | None", broker.brpop([QUESTIONS], timeout=pause))
            if heard is not None:
                self._take_or_keep(broker, dispatcher, heard[1])
        except redis.RedisError as error:
            log.warning("broker_unreachable", error=str(error))
            self._stop.event.wait(AWAY_SECONDS)

    def _hand_back(self, broker: redis.Redis) -> None:
        """Leave the questions that were put aside to another worker; a broker that is away for a moment is waited for."""
        for _ in range(HAND_BACK_TRIES):
            try:
                while self._aside:
                    broker.rpush(QUESTIONS, self._aside[-1][0])
                    self._aside.pop()
                return
            except redis.RedisError as error:
                log.warning("broker_unreachable", error=str(error))
                time.sleep(AWAY_SECONDS)

    def _take_or_keep(self, broker: redis.Redis, dispatcher: QueryDispatcher, written: bytes) -> None:
        """Take a question out of the broker's hands; when its answer does not get there, it is put aside to be tried again."""
        try:
            self._take(broker, dispatcher, written)
        except redis.RedisError:
            self._aside.append((written, None))
            raise

    def _take(self, broker: redis.Redis, dispatcher: QueryDispatcher, written: bytes) -> None:
        asked = json.loads(written)
        if time.time() > asked["expires_at"]:
            log.info("question_expired", kind=asked["kind"])
            return
        began = time.monotonic()
        try:
            answer: dict[str, Any] = {"result": dispatcher.answer(Query(asked["owner"], asked["kind"], asked["about"]))}
        except StageRefused as error:
            answer = {"refused": error.error}
        except Interrupted:
            broker.rpush(QUESTIONS, written)
            return
        except DatasetNotReady as later:
            self._aside.append((written, later.unpacked))
            return
        except (ChildLost, LimitExceeded, DeadlinePassed, StorageUnavailable, SQLAlchemyError) as error:
            log.warning("question_failed", kind=asked["kind"], error=str(error), kind_of_error=type(error).__name__)
            answer = FAILED
        except Exception:  # the boundary: whoever asks must not wait in vain for what nobody foresaw
            log.exception("question_broke", kind=asked["kind"])
            answer = FAILED
        QUESTION_SECONDS.labels(asked["kind"]).observe(time.monotonic() - began)
        where = ANSWER_PREFIX + asked["id"]
        with broker.pipeline() as together:
            together.rpush(where, json.dumps(answer))
            together.expire(where, ANSWER_EXPIRY_SECONDS)
            together.execute()
