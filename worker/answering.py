"""The thread that takes questions from Redis and puts their answers there. How a question is answered: `worker.desk`."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, cast

import redis
import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.questions import ANSWER_EXPIRY_SECONDS, ANSWER_PREFIX, QUESTIONS
from app.storage import StorageUnavailable
from worker.compute import ChildLost, DeadlinePassed, Interrupted, MemoryExceeded, StageRefused, Stop
from worker.desk import Desk
from worker.metrics import QUESTION_SECONDS
from worker.questions import Question
from worker.runtime import Runtime

LISTEN_SECONDS = 1
AWAY_SECONDS = 2.0

log = structlog.get_logger(__name__)


class Answerer:
    """Answers questions one at a time, beside the jobs of the same worker, in compute processes of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stop = Stop()
        self._thread = threading.Thread(target=self._run, name="answerer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Leave the question in hand to another worker, and stop."""
        self._stop.set("shutdown")
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        desk = Desk(self._runtime, self._stop)
        try:
            # BRPOP holds the connection up to `LISTEN_SECONDS`; the socket's own patience must be longer.
            url = self._runtime.settings.redis_url
            with redis.Redis.from_url(url, socket_connect_timeout=LISTEN_SECONDS, socket_timeout=10 * LISTEN_SECONDS) as broker:
                while not self._stop.event.is_set():
                    self._listen(broker, desk)
        finally:
            desk.close()

    def _listen(self, broker: redis.Redis, desk: Desk) -> None:
        try:
            heard = cast("tuple[bytes, bytes] | None", broker.brpop([QUESTIONS], timeout=LISTEN_SECONDS))
            if heard is not None:
                self._take(broker, desk, heard[1])
        except redis.RedisError as error:
            log.warning("broker_unreachable", error=str(error))
            self._stop.event.wait(AWAY_SECONDS)
        except Exception:  # the boundary: without this thread nobody would be answered
            log.exception("answerer_broke")

    def _take(self, broker: redis.Redis, desk: Desk, written: bytes) -> None:
        asked = json.loads(written)
        if time.time() > asked["expires_at"]:
            log.info("question_expired", kind=asked["kind"])
            return
        began = time.monotonic()
        try:
            answer: dict[str, Any] = {"result": desk.answer(Question(asked["owner"], asked["kind"], asked["about"]))}
        except StageRefused as error:
            answer = {"refused": error.error}
        except Interrupted:
            broker.rpush(QUESTIONS, written)
            return
        except (ChildLost, MemoryExceeded, DeadlinePassed, StorageUnavailable, SQLAlchemyError) as error:
            log.warning("question_failed", kind=asked["kind"], error=str(error), kind_of_error=type(error).__name__)
            answer = {"refused": {"code": "worker_failed", "message": "The worker could not answer this time; ask again.", "param": None}}
        QUESTION_SECONDS.labels(asked["kind"]).observe(time.monotonic() - began)
        where = ANSWER_PREFIX + asked["id"]
        with broker.pipeline() as together:
            together.rpush(where, json.dumps(answer))
            together.expire(where, ANSWER_EXPIRY_SECONDS)
            together.execute()
