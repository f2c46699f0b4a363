"""Fixtures of the worker: settings of short leases, an empty database, and a warm child process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import text

from app.db.models import Base
from app.db.session import make_engine, make_session_factory
from app.settings import Settings, get_settings
from support.tenants import add_owner
from support.worker_service import Service
from worker.runtime import open_runtime
from worker.sandbox.process import ChildProcess
from worker.sandbox.scratch_folders import LockedFolder

QUICK = {
    "IIS_LEASE_SECONDS": "3",
    "IIS_HEARTBEAT_SECONDS": "0.5",
    "IIS_SWEEP_SECONDS": "0.5",
    "IIS_CANCEL_POLL_SECONDS": "0.2",
    "IIS_RETRY_PAUSE_SECONDS": "0",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture
def quick_settings(settings: Settings, monkeypatch: pytest.MonkeyPatch, redis_url: str, tmp_path: Path) -> Settings:
    """Leases of seconds, an empty database, an empty broker, and credentials in the environment, which a child must not get."""
    for name, value in QUICK.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a credential")
    monkeypatch.setenv("IIS_SERVER_DATASET_FOLDERS", json.dumps([str(tmp_path)]))
    get_settings.cache_clear()
    with open_runtime(get_settings()).sessions.begin() as session:
        tables = ", ".join(table.name for table in Base.metadata.sorted_tables)
        session.execute(text(f"TRUNCATE {tables} CASCADE"))
    with redis.Redis.from_url(redis_url) as broker:
        broker.flushall()
    return get_settings()


@pytest.fixture(scope="session")
def warm_compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChildProcess]:
    """A child process for all tests of one owner that do not kill it: importing torch takes seconds."""
    folder = tmp_path_factory.mktemp("compute")
    compute = ChildProcess(folder / "home", LockedFolder(folder / "work", "tests"))
    yield compute
    compute.close()


@pytest.fixture
def service(quick_settings: Settings, warm_compute: ChildProcess, tmp_path: Path) -> Iterator[Service]:
    runtime = open_runtime(quick_settings)
    runtime.sessions = make_session_factory(
        make_engine(quick_settings)
    )  # without the worker's transaction timeout, which a busy machine exceeds
    service = Service(runtime, warm_compute, tmp_path)
    add_owner(runtime.sessions, service.owner_id)
    yield service
    service.close()
