"""HTTP/1.1 over a socket, for requests that no client library sends."""

from __future__ import annotations

import socket
from collections.abc import Callable

Connect = Callable[[], socket.socket]
Serve = Callable[..., Connect]


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"", *, length: int | None = None) -> bytes:
    """One request; `length` bytes are declared, those of the body by default."""
    declared = {} if length is None and not body else {"Content-Length": str(len(body) if length is None else length)}
    fields = "".join(f"{name}: {value}\r\n" for name, value in ({"Host": "test"} | headers | declared).items())
    return f"{method} {path} HTTP/1.1\r\n{fields}\r\n".encode() + body


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, headers in lower case and body of the next answer."""
    with connection.makefile("rb") as file:
        status = int(file.readline().split()[1])
        headers: dict[str, str] = {}
        while line := file.readline().strip().decode():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return status, headers, file.read(int(headers.get("content-length", 0)))
