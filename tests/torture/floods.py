"""Clients of the attack `admission`: many raw HTTP/1.1 connections from one process, and an owner who polls meanwhile.

Run in processes of their own, so that the clients' work does not delay each other's clocks.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import resource
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit

from support.event_loop import run_coroutine

FEW = 100  # connections that are opened between two looks at the clock
CLOSED = 0  # status of a connection that ended without an answer


@dataclass(frozen=True)
class Flood:
    """Requests that are sent over connections of their own, all at once.

    Attributes
    ----------
    requests : bytes of each request; one connection each
    hold_seconds : how long connections without an answer are kept
    open_seconds : time over which the connections are opened
    rounds : requests one after another on each connection
    addresses : loopback addresses that the connections come from, in turn
    """

    requests: list[bytes]
    hold_seconds: float
    open_seconds: float = 0.0
    rounds: int = 1
    addresses: int = 1


@dataclass
class Answers:
    """Statuses of a flood's answers, and the time of the last one."""

    statuses: Counter[int] = field(default_factory=Counter[int])
    last_seconds: float = 0.0


def request(method: str, path: str, *headers: str, body: bytes = b"", sent: int | None = None, keep: bool = False) -> bytes:
    """One HTTP/1.1 request; with `sent`, only so many bytes of its body."""
    fields = ["Host: torture", *headers, *([] if keep else ["Connection: close"])]
    if body or method in {"POST", "PUT"}:
        fields.append(f"Content-Length: {len(body)}")
    return (f"{method} {path} HTTP/1.1\r\n" + "\r\n".join(fields) + "\r\n\r\n").encode() + body[:sent]


def send(url: str, flood: Flood) -> Answers:
    """Send a flood and count its answers."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return run_coroutine(_send(str(urlsplit(url).hostname), urlsplit(url).port or 80, flood))


async def _send(host: str, port: int, flood: Flood) -> Answers:
    answers, began = Answers(), time.monotonic()

    async def connect(number: int) -> None:
        await asyncio.sleep(flood.open_seconds * number / len(flood.requests))
        source = (f"127.0.0.{1 + number % flood.addresses}", 0)
        try:
            reader, writer = await asyncio.open_connection(host, port, local_addr=source)
        except OSError:
            answers.statuses[CLOSED] += 1
            return
        try:
            async with asyncio.timeout(flood.hold_seconds):
                for _ in range(flood.rounds):
                    await _ask(reader, writer, flood.requests[number], answers)
                    answers.last_seconds = time.monotonic() - began
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            answers.statuses[CLOSED] += 1
        finally:
            writer.close()

    await asyncio.gather(*(connect(number) for number in range(len(flood.requests))))
    return answers


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, content: bytes, answers: Answers) -> None:
    writer.write(content)
    with contextlib.suppress(ConnectionError):  # a refusal may close the connection before the body was sent
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    while head.startswith(b"HTTP/1.1 100"):
        head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
    await (reader.readexactly(length) if length is not None else reader.read(-1))
    answers.statuses[int(head[9:12])] += 1


@dataclass(frozen=True)
class Poll:
    """Status and duration of one poll, and when it began (monotonic seconds, the same clock in all processes)."""

    status: int
    seconds: float
    began: float


def poll(url: str, key: str, path: str, per_second: float, started: Event, stop: Event) -> list[Poll]:
    """Poll at a constant rate, in turn over a connection that is kept and over a new one; sets `started` after the first poll."""
    found, began, number = list[Poll](), time.monotonic(), 0
    kept = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=60)
    while not stop.is_set():
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        connection = kept if number % 2 else http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=60)
        found.append(_timed(connection, key, path))
        started.set()
        if connection is not kept:
            connection.close()
        number = max(number + 1, int((time.monotonic() - began) * per_second))
    return found


def _timed(connection: http.client.HTTPConnection, key: str, path: str) -> Poll:
    asked = time.monotonic()
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        answer.read()
        return Poll(answer.status, time.monotonic() - asked, asked)
    except (OSError, http.client.HTTPException):
        connection.close()
        return Poll(CLOSED, time.monotonic() - asked, asked)
