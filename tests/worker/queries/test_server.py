"""The thread that answers questions: nobody waits in vain for what broke, and nobody for another's data set."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis import Redis

from app.db.ids import new_id
from app.db.models import Predictor, StageArtifact
from app.storage import record_blob
from app.worker_queries import ANSWER_PREFIX, QUESTIONS
from worker.queries import server as answering
from worker.queries.context import Query
from worker.queries.dataset_cache import DatasetNotReady
from worker.queries.dispatcher import QueryDispatcher
from worker.queries.server import QueryServer

if TYPE_CHECKING:
    from ...conftest import ServerProcess
    from ..conftest import Service

Ask = Callable[..., str]


@pytest.fixture
def broker(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=300) as broker:
        yield broker


@pytest.fixture
def ask(service: Service, broker: Redis) -> Ask:
    """Put a question; returns where its answer will be."""

    def put(kind: str, **about: Any) -> str:
        number = new_id("job")
        question = {"id": number, "owner": service.owner_id, "kind": kind, "about": about, "expires_at": time.time() + 200}
        broker.lpush(QUESTIONS, json.dumps(question))
        return ANSWER_PREFIX + number

    return put


@pytest.fixture
def query_server(service: Service) -> Iterator[QueryServer]:
    query_server = QueryServer(service.runtime)
    yield query_server
    query_server.close()


def answered(broker: Redis, where: str, seconds: float = 20) -> dict[str, Any]:
    found: Any = broker.blpop([where], timeout=seconds)
    assert found is not None, "Nobody answered."
    return json.loads(found[1])


def test_whoever_asks_what_breaks_the_answerer_is_told_at_once(
    query_server: QueryServer, ask: Ask, broker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_dispatcher: QueryDispatcher, _question: Query) -> dict[str, Any]:
        raise LookupError("nobody foresaw this")

    monkeypatch.setattr(QueryDispatcher, "answer", broken)
    query_server.start()
    for _ in range(2):
        assert answered(broker, ask("outcomes", job="job_any"))["refused"]["code"] == "worker_failed"


def test_a_dispatcher_that_cannot_be_set_up_is_tried_again(
    query_server: QueryServer, ask: Ask, broker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def full_at_first(*given: Any) -> QueryDispatcher:
        tried.append(1)
        if len(tried) == 1:
            raise OSError("No space left on device")
        return QueryDispatcher(*given)

    monkeypatch.setattr(answering, "QueryDispatcher", full_at_first)
    monkeypatch.setattr(answering, "AWAY_SECONDS", 0.1)
    query_server.start()
    assert answered(broker, ask("outcomes", job="job_none"))["refused"]["code"] == "artifact_gone"


@pytest.mark.parametrize("aside", [False, True])
def test_a_question_whose_answer_finds_no_broker_is_answered_when_that_is_back(
    *,
    query_server: QueryServer,
    ask: Ask,
    broker: Redis,
    redis_server: ServerProcess,
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    aside: bool,
) -> None:
    asked, unpacked = list[Query](), Future[Path]()
    unpacked.set_result(Path())

    def answer(_dispatcher: QueryDispatcher, question: Query) -> dict[str, Any]:
        asked.append(question)
        if aside and len(asked) == 1:
            raise DatasetNotReady(unpacked)
        if len(asked) == 1 + aside:
            redis_server.stop()
        return {"times": len(asked)}

    monkeypatch.setattr(QueryDispatcher, "answer", answer)
    monkeypatch.setattr(answering, "AWAY_SECONDS", 0.1)
    query_server.start()
    where = ask("outcomes", job="job_any")
    try:
        wait_until(lambda: len(asked) > 1 + aside, 60, "the question to be looked at again")
    finally:
        redis_server.start()
    assert answered(broker, where, 60)["result"]["times"] > 1 + aside


def test_a_data_set_is_unpacked_while_others_are_answered(service: Service, query_server: QueryServer, ask: Ask, broker: Redis) -> None:
    dataset = service.add_dataset(b"no archive at all", "images.zip", kind="images", state="ready", test_share=0.2, split_seed=0)
    job = service.add_score(dataset, service.add_model("timm:resnet10t", initial_seed=0))
    with service.runtime.sessions.begin() as session:
        for key in ("predictors", "tested"):
            sha256, size_bytes = service.runtime.store.put_chunks([key.encode()])
            record_blob(session, sha256, size_bytes)
            session.flush()
            session.add(StageArtifact(owner_id=service.owner_id, key=key, stage="heads", blob_sha256=sha256))
        columns = {"job_id": job, "owner_id": service.owner_id, "predictors_key": "predictors", "tested_key": "tested"}
        session.add(Predictor(id=new_id("predictor"), kept=4, sparsity=0.5, accuracy=0.9, arr=0.8, **columns))
    query_server.start()
    looked = ask("picture", job=job, image=0)
    assert answered(broker, ask("outcomes", job="job_none"))["refused"]["code"] == "artifact_gone"
    assert broker.llen(looked) == 0  # a process that unpacks takes longer to start than the other answer
    refused = answered(broker, looked, 200)["refused"]
    assert refused["code"] != "worker_failed"
    assert "archive" in refused["message"]
