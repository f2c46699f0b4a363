"""A whole service in a temporary folder, started as `iis up` starts it, and clients that reach it."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from iis_client import IISClient
from iis_client.cli import main
from iis_client.cli.local_stack import LocalStack
from iis_client.transport.address import Address
from iis_client.transport.http import Transport
from support.planted import ARCHITECTURE, ARGUMENTS, PREPROCESSING, Planted

RunCommand = Callable[..., subprocess.CompletedProcess[str]]
StartCommand = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A running service of this test process."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("IIS_")]:
            environment.delenv(name)
        stack = LocalStack(tmp_path_factory.mktemp("service"))
        try:
            yield stack.wait_until_ready()
        finally:
            stack.stop()


@pytest.fixture
def client(service: Address) -> Iterator[IISClient]:
    with IISClient(service.url, service.api_key) as connected:
        yield connected


@pytest.fixture
def iis(service: Address, tmp_path: Path) -> RunCommand:
    """Runs the `iis` command against the running service, in this process: starting one takes longer than most commands do."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        words, code = ["iis", *map(str, arguments)], 0
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(sys, "argv", words)
            patch.chdir(tmp_path)
            for name, value in (_to_reach(service) | environment).items():
                patch.setenv(name, value)
            try:
                main()
            except SystemExit as end:
                code = int(end.code or 0)
        written = (stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]
        return subprocess.CompletedProcess(words, code, *written)

    return run


@pytest.fixture
def start_iis(service: Address, tmp_path: Path) -> StartCommand:
    """Starts the `iis` program as a person would, in a process of its own."""
    program = Path(sys.executable).parent / "iis"

    def start(*arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        words = ["/usr/bin/env", "--default-signal=INT", str(program), *map(str, arguments)]  # tests in the background ignore it
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(words, **pipes, text=True, env=os.environ | _to_reach(service) | environment, cwd=tmp_path)

    return start


def _to_reach(service: Address) -> dict[str, str]:
    return {"IIS_URL": service.url, "IIS_API_KEY": service.api_key, "COLUMNS": "160"}


@pytest.fixture(scope="session")
def digits_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pixels of scikit-learn's digits as ready features, with images of the training split as elements."""
    pixels, labels = load_digits(return_X_y=True)
    train, test, train_labels, test_labels = train_test_split(pixels, labels, test_size=0.25, stratify=labels, random_state=0)
    path = tmp_path_factory.mktemp("features") / "digits.npz"
    arrays = {"X_train": train, "X_test": test, "concepts": train[:300]}
    np.savez(path, y_train=train_labels, y_test=test_labels, **{name: value.astype(np.float32) for name, value in arrays.items()})
    return path


@pytest.fixture(scope="session")
def cats_and_owls(service: Address, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A ready data set of two classes whose names are words."""
    folder = tmp_path_factory.mktemp("images") / "pets"
    noise = np.random.default_rng(0)
    for name in ("train/cat", "train/owl", "test/cat", "test/owl"):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(noise.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / name / f"{number}.png")
    with IISClient(service.url, service.api_key) as client:
        return client.wait_until_ready(client.create_dataset(folder), 120)["id"]


@pytest.fixture(scope="session")
def image_job(service: Address, planted: Planted) -> str:
    """A finished job on images, read through 50 clusters of patches."""
    with IISClient(service.url, service.api_key) as client:
        model = client.create_model(ARCHITECTURE, checkpoint=planted.backbone, arguments=ARGUMENTS, preprocessing=PREPROCESSING)
        dataset = client.create_dataset(planted.images, name="planted")
        ready = client.wait_until_ready(model, 120)["id"], client.wait_until_ready(dataset, 120)["id"]
        return client.wait(client.score(*ready, {"kind": "cluster", "concept_count": 50})["id"], 240)["id"]


@pytest.fixture
def warm_circle(planted: Planted) -> Path:
    """One of the test images."""
    return min((planted.images / "test" / "warm circle").iterdir())


class BreakingProxy:
    """Passes bytes on to the service until told to break: then every connection is reset and new ones are refused."""

    def __init__(self, service: Address) -> None:
        host, _, port = service.url.removeprefix("http://").partition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.break_after_bytes: int | None = None
        self.sent_bytes = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def mend(self) -> None:
        self.break_after_bytes = None
        self.sent_bytes = 0

    def close(self) -> None:
        if self._listener.fileno() >= 0:
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave the thread in its accept
        self._listener.close()
        self.drop_all()

    @property
    def broken(self) -> bool:
        return self.break_after_bytes is not None and self.sent_bytes >= self.break_after_bytes

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.broken:
                near.close()
                continue
            far = socket.create_connection(self._target)
            with self._lock:
                self._open |= {near, far}
            threading.Thread(target=self._pass_on, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pass_on, args=(far, near, False), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while content := source.recv(65536):
                target.sendall(content)
                if counted:
                    self.sent_bytes += len(content)
                if self.broken:
                    self.drop_all()
                    return
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def drop_all(self) -> None:
        with self._lock:
            dropped, self._open = self._open, set()
        for connection in dropped:
            _reset(connection)


def _reset(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
    finally:
        connection.close()


@pytest.fixture
def proxy(service: Address) -> Iterator[BreakingProxy]:
    between = BreakingProxy(service)
    yield between
    between.close()


@pytest.fixture
def through_proxy(proxy: BreakingProxy, service: Address) -> Iterator[IISClient]:
    """A client whose connections can be broken; it gives up fast."""
    transport = Transport(proxy.url, service.api_key, attempts=3, first_pause_seconds=0.05)
    with IISClient(transport=transport) as connected:
        yield connected


class ScriptedService:
    """Answers each request with what is written down for it, in order, the last one for ever: for answers that no healthy service gives."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: list[str | None] = []
        self.sizes: list[int] = []  # bytes of each body
        self._answers: dict[str, list[tuple[int, str, bytes, dict[str, str]]]] = defaultdict(list)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, request: str, *answers: tuple[int, Any] | tuple[int, Any, dict[str, str]]) -> None:
        """Write down the answers to `request` ("GET /v1/jobs"): a status, text of a stream or what becomes JSON, and header fields."""
        for status, body, *fields in answers:
            media_type = "text/event-stream" if isinstance(body, str) else "application/json"
            content = (body if isinstance(body, str) else json.dumps(body)).encode()
            self._answers[request].append((status, media_type, content, fields[0] if fields else {}))

    def times(self, request: str) -> int:
        return self.asked.count(request)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        service = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                service.sizes.append(len(self.rfile.read(int(self.headers.get("Content-Length", 0)))))
                request = f"{self.command} {self.path}"
                service.asked.append(request)
                service.keys.append(self.headers.get("Idempotency-Key"))
                answers = service._answers[request]
                status, media_type, body, fields = answers.pop(0) if len(answers) > 1 else answers[0]
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                for name, value in fields.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 (http.server looks for these names)

            def log_message(self, *_: Any) -> None:
                return

        return Handler


@pytest.fixture
def scripted() -> Iterator[ScriptedService]:
    service = ScriptedService()
    yield service
    service.close()


@pytest.fixture
def impatient(scripted: ScriptedService) -> Iterator[Transport]:
    """Reaches the scripted service and sends a request three times at most, with short pauses."""
    transport = Transport(scripted.url, "iis_key", attempts=3, first_pause_seconds=0.01)
    yield transport
    transport.close()
