"""AsyncIISClient has the calls of IISClient, and several are in progress at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeVar

import pytest

from iis_client import AsyncIISClient, IISClient, NotFoundError
from iis_client.async_client import call_names, gives_iterator
from iis_schemas.jobs.views import SCORE_JOB_EXAMPLE
from support.scripted_service import ScriptedService

Result = TypeVar("Result")
JOB: dict[str, Any] = {**SCORE_JOB_EXAMPLE, "state": "succeeded"}


def run_in_thread(task: Coroutine[Any, Any, Result]) -> Result:
    """The result of a coroutine, run in a thread of its own: a browser of other tests keeps an event loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, task).result()


def test_every_call_of_the_client_is_listed_and_iterators_are_recognised_by_their_annotation() -> None:
    assert {"score", "wait", "jobs", "explain", "upload", "delete_model"} <= call_names()
    assert "close" not in call_names()
    assert {name for name in ("jobs", "models", "events", "score", "curves") if gives_iterator(name)} == {"jobs", "models", "events"}
    public = {name for name in dir(IISClient) if not name.startswith("_")}
    assert public - {"base_url"} <= set(dir(AsyncIISClient("http://127.0.0.1:9", "iis_key")))


def test_a_call_is_awaited_and_pages_are_iterated_over(scripted: ScriptedService) -> None:
    first, second = ({**JOB, "id": f"job_{number}"} for number in (1, 2))
    scripted.answer("GET /v1/jobs/job_1", (200, first))
    scripted.answer("GET /v1/jobs?limit=100", (200, {"data": [first], "has_more": True, "after": "x"}))
    scripted.answer("GET /v1/jobs?limit=100&after=x", (200, {"data": [second], "has_more": False, "after": None}))
    scripted.answer("GET /v1/jobs/job_3", (404, {"detail": "There is no job job_3.", "code": "not_found", "request_id": "req_1"}))

    async def run() -> tuple[str, list[str]]:
        async with AsyncIISClient(scripted.url, "iis_key") as client:
            job = await client.job("job_1")
            listed = [each.id async for each in client.jobs()]
            with pytest.raises(NotFoundError, match="no job job_3"):
                await client.job("job_3")
            with pytest.raises(AttributeError, match="has no call 'jbo'"):
                client.jbo("job_1")
            return job.id, listed

    assert run_in_thread(run()) == ("job_1", ["job_1", "job_2"])


def test_calls_are_in_progress_at_the_same_time() -> None:
    """The server answers only when all requests have arrived."""
    arrived = threading.Barrier(8)

    class Handler(BaseHTTPRequestHandler):
        def do_DELETE(self) -> None:
            arrived.wait(timeout=20)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    async def run() -> None:
        async with AsyncIISClient(f"http://127.0.0.1:{server.server_address[1]}", "iis_key") as client:
            await asyncio.gather(*(client.delete_model(f"mdl_{number}") for number in range(8)))

    try:
        run_in_thread(run())
    finally:
        server.shutdown()
        server.server_close()
    assert not arrived.broken
