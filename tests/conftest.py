"""Fixtures of all tests: PostgreSQL and Redis, one pair for each test process, the whole service, settings, planted images."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from alembic.config import Config

from app.local.servers import EmbeddedPostgres, EmbeddedRedis
from app.settings import Settings, get_settings
from support.s3_server import CREDENTIALS, S3Server
from support.servers import ServerProcess, WaitUntil, poll
from support.stacks import RunningStack, run_stack

if TYPE_CHECKING:
    from support.planted import Planted

REPOSITORY = Path(__file__).parents[1]
THROWAWAY_OPTIONS = (("fsync", "off"), ("full_page_writes", "off"))  # a kill loses nothing, a power cut would
LONGEST = (
    "backbones/test_round_trips.py",
    *("scoring/test_golden.py", "jobs/test_study_jobs.py", "jobs/test_finetune.py", "studies/test_commands.py"),
    *("ui/test_scoring_in_a_browser.py", "jobs/test_text.py", "ui/test_studies_in_a_browser.py", "tests/test_torture.py"),
    *("ui/test_explanations_in_a_browser.py", "ui/test_layout_in_a_browser.py", "tests/test_explanations.py", "local/test_local.py"),
    *("jobs/test_explain.py", "jobs/test_lifecycle.py", "ui/test_finetuning_in_a_browser.py", "sandbox/test_hostile_input.py"),
    *("ui/test_hostile_names_in_a_browser.py", "explanations/test_pointing_game.py", "scoring/test_score.py", "jobs/test_score.py"),
    *("resources/test_explanations.py", "iis_client/test_with_service.py", "resources/test_batches.py", "resources/test_finetuning.py"),
    *("maintenance/test_garbage_collector.py", "sandbox/test_job_limits.py", "sandbox/test_confinement.py", "cli/test_score.py"),
    *("jobs/test_library_dataset.py", "queries/test_study_queries.py", "finetuning/test_run.py", "tests/test_end_to_end.py"),
)
"""The files that take longest, in the order in which processes take them; all others, which are short, follow, so that all end together."""
REQUIRE_ALL = "IIS_TESTS_REQUIRE_ALL"
OPTIONAL = "OPTIONAL: "  # starts the reason of a skip that is fine everywhere


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, in the order of `LONGEST`."""
    items.sort(key=lambda item: next((rank for rank, name in enumerate(LONGEST) if item.path.as_posix().endswith(name)), len(LONGEST)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped tests where IIS_TESTS_REQUIRE_ALL is set, so that a green run has tested page, confinement and real data."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get(REQUIRE_ALL):  # a process of xdist has no reporter
        return
    reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", ())}
    if forbidden := sorted(reason for reason in reasons if not reason.startswith(OPTIONAL)):
        reporter.write_line(f"\n{REQUIRE_ALL} is set, and tests were skipped: {'; '.join(forbidden)}", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    """`wait_until(condition, timeout_seconds, what)` for tests that wait for another process."""
    return poll


@pytest.fixture(scope="session")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    """Images of known attributes and two models trained on them, created once for all test processes."""
    from support.planted import Planted, make

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "planted"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = tmp_path_factory.mktemp("planted")
            make(partial)
            partial.rename(folder)
    return Planted.within(folder)


@pytest.fixture(scope="session")
def running_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """The whole service, started once for each test process; tests that change what others read take an account of their own."""
    with run_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def services_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="session")
def postgres_server(services_folder: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(EmbeddedPostgres(services_folder / "postgres", THROWAWAY_OPTIONS), services_folder / "postgres.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def redis_server(services_folder: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(EmbeddedRedis(services_folder / "redis"), services_folder / "redis.log")
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def database_url(postgres_server: ServerProcess) -> str:
    """A database of this test process with every migration applied."""
    assert isinstance(postgres_server.server, EmbeddedPostgres)
    postgres_server.server.ensure_database("iis")
    config = Config(REPOSITORY / "alembic.ini")
    config.set_main_option("script_location", str(REPOSITORY / "migrations"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("IIS_DATABASE_URL", postgres_server.url)
        get_settings.cache_clear()
        command.upgrade(config, "head")
    get_settings.cache_clear()
    return postgres_server.url


@pytest.fixture(scope="session")
def redis_url(redis_server: ServerProcess) -> str:
    return redis_server.url


@pytest.fixture
def settings(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of a throw-away service; also returned by `get_settings()` in this process and in processes it starts."""
    for name in [name for name in os.environ if name.startswith("IIS_")]:
        monkeypatch.delenv(name)
    values = {
        "IIS_DATABASE_URL": database_url,
        "IIS_REDIS_URL": redis_url,
        "IIS_DATA_FOLDER": str(tmp_path / "data"),
        "IIS_STORAGE_URL": (tmp_path / "artifacts").as_uri(),
        "IIS_API_KEY_SECRET": "a secret of the tests alone, long enough",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


@pytest.fixture
def s3_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]) -> Iterator[S3Server]:
    """A real S3 server with an empty bucket named `bucket`, and its credentials in the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    server = S3Server(tmp_path / "s3")
    server.start()
    wait_until(server.answers, 20, "the S3 server to answer")
    yield server
    server.stop()
