"""The query server: replies after errors, retries when the broker fails, and data sets unpacked in parallel."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from redis import Redis

from app.db.ids import new_id
from app.db.models import Predictor, StageArtifact
from app.query_queue import add_query
from app.storage import record_blob
from app.worker_queries import REPLY_PREFIX
from worker.queries import server
from worker.queries.context import WARM_PROCESSES, Query, QueryContext
from worker.queries.dataset_cache import DatasetNotReady
from worker.queries.dispatcher import QueryDispatcher
from worker.queries.server import QueryServer
from worker.sandbox.outcomes import DeadlinePassed
from worker.sandbox.watch import Stop

if TYPE_CHECKING:
    from support.servers import ServerProcess
    from support.worker_service import Service

Ask = Callable[..., str]


@pytest.fixture
def broker(redis_url: str) -> Iterator[Redis]:
    with Redis.from_url(redis_url, socket_timeout=300) as broker:
        yield broker


@pytest.fixture
def ask(service: Service, broker: Redis) -> Ask:
    """Send a query; returns the key of its reply."""

    def put(kind: str, *, owner: str | None = None, seconds: float = 200, **about: Any) -> str:
        number, asker = new_id("job"), owner or service.owner_id
        query = {"id": number, "owner": asker, "kind": kind, "about": about, "expires_at": time.time() + seconds}
        with broker.pipeline() as pipeline:
            add_query(pipeline, asker, json.dumps(query), 200)
            pipeline.execute()
        return REPLY_PREFIX + number

    return put


@pytest.fixture
def query_server(service: Service) -> Iterator[QueryServer]:
    query_server = QueryServer(service.runtime)
    yield query_server
    query_server.close()


def reply_of(broker: Redis, reply_key: str, seconds: float = 20) -> dict[str, Any]:
    found: Any = broker.blpop([reply_key], timeout=seconds)
    assert found is not None, "No reply."
    return json.loads(found[1])


def test_a_query_that_crashes_the_handler_gets_a_reply_at_once(
    query_server: QueryServer, ask: Ask, broker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_dispatcher: QueryDispatcher, _query: Query) -> dict[str, Any]:
        raise LookupError("an unexpected error")

    monkeypatch.setattr(QueryDispatcher, "run", broken)
    query_server.start()
    for _ in range(2):
        assert reply_of(broker, ask("outcomes", job="job_any"))["refused"]["code"] == "worker_failed"


def test_a_dispatcher_that_fails_to_start_is_retried(
    query_server: QueryServer, ask: Ask, broker: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def full_at_first(*given: Any) -> QueryDispatcher:
        tried.append(1)
        if len(tried) == 1:
            raise OSError("No space left on device")
        return QueryDispatcher(*given)

    monkeypatch.setattr(server, "QueryDispatcher", full_at_first)
    monkeypatch.setattr(server, "RETRY_SECONDS", 0.1)
    query_server.start()
    assert reply_of(broker, ask("outcomes", job="job_none"))["refused"]["code"] == "artifact_gone"


@pytest.mark.parametrize("deferred", [False, True])
def test_a_query_is_repeated_when_the_broker_fails_before_its_reply(
    *,
    query_server: QueryServer,
    ask: Ask,
    broker: Redis,
    redis_server: ServerProcess,
    wait_until: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    deferred: bool,
) -> None:
    received, unpacked = list[Query](), Future[Path]()
    unpacked.set_result(Path())

    def run(_dispatcher: QueryDispatcher, query: Query) -> dict[str, Any]:
        received.append(query)
        if deferred and len(received) == 1:
            raise DatasetNotReady(unpacked)
        if len(received) == 1 + deferred:
            redis_server.stop()
        return {"times": len(received)}

    monkeypatch.setattr(QueryDispatcher, "run", run)
    monkeypatch.setattr(server, "RETRY_SECONDS", 0.1)
    query_server.start()
    reply_key = ask("outcomes", job="job_any")
    try:
        wait_until(lambda: len(received) > 1 + deferred, 60, "the query to run again")
    finally:
        redis_server.start()
    assert reply_of(broker, reply_key, 60)["result"]["times"] > 1 + deferred


def test_a_data_set_is_unpacked_while_other_queries_run(service: Service, query_server: QueryServer, ask: Ask, broker: Redis) -> None:
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
    picture = ask("picture", job=job, image=0)
    assert reply_of(broker, ask("outcomes", job="job_none"))["refused"]["code"] == "artifact_gone"
    assert broker.llen(picture) == 0  # starting a process to unpack takes longer than the other query
    refused = reply_of(broker, picture, 200)["refused"]
    assert refused["code"] != "worker_failed"
    assert "archive" in refused["message"]


class Blocking:
    """Replaces `QueryDispatcher.run`: queries of the kind `slow` run until `release`; all others return the number of queries so far."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.started = list[str]()

    def run(self, query: Query) -> dict[str, Any]:
        self.started.append(query.about["name"])
        if query.kind == "slow":
            assert self.release.wait(60)
        return {"place": len(self.started)}


@pytest.fixture
def blocking(monkeypatch: pytest.MonkeyPatch) -> Iterator[Blocking]:
    blocking = Blocking()

    def run(_dispatcher: QueryDispatcher, query: Query) -> dict[str, Any]:
        return blocking.run(query)

    monkeypatch.setattr(QueryDispatcher, "run", run)
    yield blocking
    blocking.release.set()


def test_a_slow_query_delays_no_other_owner_and_one_owner_runs_one_query_at_a_time(
    query_server: QueryServer, ask: Ask, broker: Redis, blocking: Blocking, wait_until: Callable[..., Any]
) -> None:
    slow, next_of_owner = ask("slow", name="slow"), ask("quick", name="next")
    query_server.start()
    wait_until(lambda: blocking.started, 30, "the slow query to start")
    assert reply_of(broker, ask("quick", owner="own_b", name="b"))["result"] == {"place": 2}
    assert reply_of(broker, ask("quick", owner="own_c", name="c"))["result"] == {"place": 3}
    assert blocking.started == ["slow", "b", "c"]
    blocking.release.set()
    assert reply_of(broker, slow)["result"]
    assert reply_of(broker, next_of_owner)["result"] == {"place": 4}


def test_owners_with_queries_take_turns(
    query_server: QueryServer, ask: Ask, broker: Redis, blocking: Blocking, monkeypatch: pytest.MonkeyPatch
) -> None:
    query_server._free_threads = threading.Semaphore(1)  # pyright: ignore[reportPrivateUsage]
    asked = [ask("quick", owner="own_a", name=f"a{number}") for number in range(3)]
    asked += [ask("quick", owner="own_b", name="b")]
    query_server.start()
    for reply in asked:
        assert reply_of(broker, reply)["result"]
    assert blocking.started == ["a0", "b", "a1", "a2"]


def compute_processes() -> set[psutil.Process]:
    """The compute processes of this process, those of other tests' fixtures among them."""
    return {child for child in psutil.Process().children(recursive=True) if "worker.child" in " ".join(child.cmdline())}


def test_a_query_ends_with_its_process_when_its_caller_stops_waiting(service: Service) -> None:
    before = compute_processes()
    with closing(QueryContext(service.runtime, Stop())) as context:
        began = time.monotonic()
        with pytest.raises(DeadlinePassed):  # long before the process has imported torch
            context.run_stage(Query(service.owner_id, "outcomes", {}, began + 0.2), "answer", {})
        assert time.monotonic() - began < 5
        assert compute_processes() <= before


def test_the_least_recently_used_idle_process_ends_for_another_owner(service: Service) -> None:
    with closing(QueryContext(service.runtime, Stop())) as context, ExitStack() as running:
        children = [running.enter_context(context._child_of(f"own_{number}", network=False)) for number in range(WARM_PROCESSES - 1)]  # pyright: ignore[reportPrivateUsage]
        with context._child_of("own_idle", network=False) as idle:  # pyright: ignore[reportPrivateUsage]
            pass
        with context._child_of("own_new", network=False) as new:  # pyright: ignore[reportPrivateUsage]
            assert new is not idle
        for number, child in enumerate(children):
            with context._child_of(f"own_{number}", network=False) as again:  # pyright: ignore[reportPrivateUsage]
                assert again is child
        with context._child_of("own_idle", network=False) as again:  # pyright: ignore[reportPrivateUsage]
            assert again is not idle
