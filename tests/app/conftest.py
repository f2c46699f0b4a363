"""Fixtures of the API on real PostgreSQL and Redis: apps, clients, tenants, and rows written as a worker writes them."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.db.session import SessionFactory
from app.jobs.signals import Waiter
from app.main import create_app
from app.settings import Settings
from app.storage import ArtifactStore
from support.rows import Rows
from support.tenants import Tenant, add_key, add_tenant


@pytest.fixture(scope="session")
def prepared() -> dict[str, Any]:
    """Routes analysed by FastAPI and the OpenAPI document, which are slow to build and the same for every app."""
    return {}


@pytest.fixture
def app(settings: Settings, prepared: dict[str, Any]) -> Iterator[FastAPI]:
    api = create_app(settings)
    api.router.routes[:] = prepared.setdefault("routes", list(api.router.routes))
    api.openapi_schema = prepared.get("openapi")
    yield api
    prepared["openapi"] = api.openapi_schema
    api.state.engine.dispose()


@pytest.fixture
def sessions(app: FastAPI) -> SessionFactory:
    return app.state.session_factory


@pytest.fixture
def store(app: FastAPI) -> ArtifactStore:
    return app.state.store


@pytest.fixture
def tenant(sessions: SessionFactory, settings: Settings) -> Tenant:
    return add_tenant(sessions, settings)


@pytest.fixture
def other_tenant(sessions: SessionFactory, settings: Settings) -> Tenant:
    """Another owner, who must not see any resource of `tenant`."""
    return add_tenant(sessions, settings)


@pytest.fixture
def key_for(sessions: SessionFactory, settings: Settings, tenant: Tenant) -> Callable[..., dict[str, str]]:
    """`key_for("read", expires_at=…)`: request headers of another key of the tenant with these scopes."""
    return partial(add_key, sessions, settings, tenant.owner_id)


@pytest.fixture
def client(app: FastAPI, tenant: Tenant) -> Iterator[TestClient]:
    with TestClient(app, headers=tenant.headers, raise_server_exceptions=False) as test_client:
        yield test_client


@pytest.fixture
def live_url(app: FastAPI) -> Iterator[str]:
    """URL of the API on a real socket, for streams and long polls."""
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", timeout_graceful_shutdown=1))
    started = threading.Event()
    notify_started = server.startup

    async def startup(sockets: Any = None) -> None:
        await notify_started(sockets)
        started.set()

    server.startup = startup
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert started.wait(20), "The server did not start in 20 s."
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def live(live_url: str, tenant: Tenant) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_url, headers=tenant.headers, timeout=60, limits=httpx.Limits(max_connections=None)) as http:
        yield http


@pytest.fixture
def waiting_count(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], int]:
    """`waiting_count(job_id)`: number of streams and long polls that wait for events of a job."""
    watch = app.state.job_signals.watch
    counts = Counter[str]()

    @contextmanager
    def counted(job_id: str) -> Generator[Waiter]:
        with watch(job_id) as waiter:
            counts[job_id] += 1
            try:
                yield waiter
            finally:
                counts[job_id] -= 1

    monkeypatch.setattr(app.state.job_signals, "watch", counted)
    return lambda job_id: counts[job_id]


@pytest.fixture
def rows(sessions: SessionFactory, store: ArtifactStore, tenant: Tenant) -> Rows:
    return Rows(sessions, store, tenant.owner_id)


@pytest.fixture
def other_rows(sessions: SessionFactory, store: ArtifactStore, other_tenant: Tenant) -> Rows:
    return Rows(sessions, store, other_tenant.owner_id)
