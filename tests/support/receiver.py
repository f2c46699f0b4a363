"""Receivers of webhooks on real sockets, addresses where nobody may ever knock, and a resolver whose answers a test decides."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from unittest import mock

CERTIFICATE = Path(__file__).with_name("receiver.pem")  # of receiver.test, with its key; signed by itself, valid for a century
NAME = "receiver.test"

Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Heard:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: str
    at: float  # on the monotonic clock


class Receiver:
    """An HTTP or HTTPS server that remembers what it heard and answers as the path says, else 200.

    Parameters
    ----------
    answers : by path without its query, what to do instead of answering 200
    """

    def __init__(self, *, tls: bool = False, answers: dict[str, Answer] | None = None, host: str = "127.0.0.1") -> None:
        self.heard: list[Heard] = []
        self.answers: dict[str, Answer] = answers or {}
        self.arrived = threading.Condition()
        self.scheme, self.host = ("https" if tls else "http"), host
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                with receiver.arrived:
                    receiver.heard.append(Heard(self.path, dict(self.headers.items()), body, time.monotonic()))
                    receiver.arrived.notify_all()
                with suppress(OSError):
                    receiver.answers.get(self.path.partition("?")[0], status(200))(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (http.server's name)
                pass

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # senders that hang up are what some tests are about

        self.server = Server((host, 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def port(self) -> int:
        return self.server.server_address[1]

    def url(self, path: str = "/", host: str | None = None) -> str:
        named = host or (f"[{self.host}]" if ":" in self.host else self.host)
        return f"{self.scheme}://{named}:{self.port}{path}"

    def on(self, path: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.path == path]

    def wait_for(self, count: int, timeout_seconds: float = 10) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.heard) >= count, timeout_seconds), f"{len(self.heard)} of {count} requests came."

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class Trap:
    """A listening socket at which nobody may ever knock."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.knocks = 0
        self.socket = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def port(self) -> int:
        return self.socket.getsockname()[1]

    def close(self) -> None:
        self.socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                self.socket.accept()[0].close()
                self.knocks += 1


class Resolver:
    """Answers for names: each look-up gets the next list of addresses, the last one for ever."""

    def __init__(self, answers: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self.answers = {name: list(lists) for name, lists in answers.items()}
        self.asked: list[str] = []

    @contextmanager
    def installed(self) -> Generator[Resolver]:
        """In place of the system's resolver; addresses as such go to the system."""
        real = socket.getaddrinfo

        def getaddrinfo(host: str | None, port: Any, *arguments: Any, **options: Any) -> Any:
            if host is None or _is_address(host):
                return real(host, port, *arguments, **options)
            self.asked.append(host)
            lists = self.answers.get(host)
            if not lists:
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            found = lists.pop(0) if len(lists) > 1 else lists[0]
            return [
                (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (each, port))
                for each in found
            ]

        with mock.patch("socket.getaddrinfo", getaddrinfo):
            yield self


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer with a status and a body."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def drip(seconds: float, start: bytes = b"HTTP/1.1 200 OK\r\nX-Slow: ") -> Answer:
    """Send a beginning, and then a byte every tenth of a second."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)
        handler.close_connection = True

    return answer


def flood(sent: list[int], start: bytes = b"HTTP/1.1 200 OK\r\n\r\n", *, most: int = 1 << 30) -> Answer:
    """Send as much as is taken; `sent` gets the number of bytes."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True
        handler.wfile.write(start)
        count, block = 0, b"y" * 65536
        try:
            while count < most:
                handler.wfile.write(block)
                count += len(block)
        finally:
            sent.append(count)

    return answer


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
