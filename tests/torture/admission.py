"""Attack `admission`: floods of requests, connections, bodies and streams. Another owner's polls stay fast, and memory bounded."""

from __future__ import annotations

import json
import multiprocessing
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import cast

import httpx
import numpy as np
import psutil

from app.api_keys.service import create_key, create_owner
from app.http.auth import authenticate
from support.rows import Rows
from torture.floods import Answers, Flood, Poll, poll, request, send
from torture.promises import Promise
from torture.stack import API_KEY_SECRET, Stack

POLLS_PER_SECOND = 40.0
QUIET_SECONDS, MIN_SECONDS, START_SECONDS = 2.0, 6.0, 60.0
P99_SECONDS = 0.250
MEMORY_BYTES = 400 << 20
HOLD_SECONDS = 90.0
UNUSED_KEYS = 400  # an owner may have 500
MIB = 1 << 20


@dataclass(frozen=True)
class Attackers:
    """Keys and rows that attacks use.

    Attributes
    ----------
    key : of the attacking owner, with all scopes
    reader : of the same owner, with the scope read alone
    job, dataset : the owner's queued job and data set under validation
    unused : keys that the owner has not used yet
    unused_of_owners : an unused key of each of as many owners
    """

    key: str
    reader: str
    job: str
    dataset: str
    unused: list[str]
    unused_of_owners: list[str]


def attack(folder: Path, _seed: int) -> list[Promise]:
    """All floods on one API process, and the largest ones on four."""
    return [*run(folder / "one", 1, FLOODS), *run(folder / "four", 4, LARGEST)]


def run(folder: Path, processes: int, names: tuple[str, ...], *, share: float = 1.0, seconds: float = MIN_SECONDS) -> list[Promise]:
    """Send `share` of the requests of each flood, one flood after another, each for at least so many seconds."""
    suffix = "" if processes == 1 else f", {processes} API processes"
    fast = Promise(f"Another owner's p99 stays under 250 ms during a flood{suffix}")
    served = Promise(f"Another owner gets no 503 during a flood{suffix}")
    bounded = Promise(f"The API's memory stays under 400 MiB during a flood{suffix}")
    lines = list[str]()
    with Stack(folder, workers=0, api_processes=processes) as stack:
        attackers, other_key, path = _prepare(stack)
        for name in names:
            flood = KINDS[name](attackers)
            flood = Flood(flood.requests[: max(1, round(share * len(flood.requests)))], *_rest(flood))
            before, polls, answers, memory = _measured(stack, flood, other_key, path, seconds)
            milliseconds = 1000 * np.array([one.seconds for one in polls])
            p50, p99 = np.percentile(milliseconds, [50, 99])
            with_missed = np.percentile(1000 * np.array(_with_missed(polls)), 99)
            quiet = 1000 * np.percentile([one.seconds for one in before], 50)
            failed = [one.status for one in polls if one.status != 200]
            fast.record(p99 < 1000 * P99_SECONDS, f"{name}: p99 {p99:.0f} ms.")
            served.attempts += len(polls)
            served.broken += [f"{name}: status {status}." for status in failed]
            bounded.record(memory < MEMORY_BYTES, f"{name}: {memory / MIB:.0f} MiB.")
            answered = ", ".join(f"{count} x {status or 'closed'}" for status, count in sorted(answers.statuses.items()))
            times = (
                f"p50 {p50:.0f} (quiet {quiet:.0f}), p99 {p99:.0f} ({with_missed:.0f} with missed polls), max {max(milliseconds):.0f} ms"
            )
            lines.append(f"{name}: {answered} in {answers.last_seconds:.1f} s; B {times}; {memory / MIB:.0f} MiB")
            print(lines[-1], flush=True)
    fast.measured = "; ".join(lines)
    return [fast, served, bounded]


def _rest(flood: Flood) -> tuple[float, float, int, int]:
    return flood.hold_seconds, flood.open_seconds, flood.rounds, flood.addresses


def _prepare(stack: Stack) -> tuple[Attackers, str, str]:
    key, other_key = stack.add_owner("attacker"), stack.add_owner("another")
    with httpx.Client(base_url=stack.url, trust_env=False) as client:
        reader = client.post("/v1/api-keys", json={"name": "r", "scopes": ["read"]}, headers=_bearer(key)).json()["secret"]
    rows = {owner_key: Rows(stack.runtime.sessions, stack.runtime.store, _owner_of(stack, owner_key)) for owner_key in (key, other_key)}
    unused = _unused_keys(stack, [_owner_of(stack, key)] * UNUSED_KEYS)
    unused_of_owners = _unused_keys(stack, _new_owners(stack, UNUSED_KEYS))
    attackers = Attackers(key, reader, rows[key].job(), rows[key].dataset("pending"), unused, unused_of_owners)
    return attackers, other_key, f"/v1/jobs/{rows[other_key].job()}"


def _unused_keys(stack: Stack, owner_ids: list[str]) -> list[str]:
    """A new key of each of these owners."""
    with stack.runtime.sessions.begin() as session:
        return [create_key(session, owner_id, "unused", stack.runtime.settings, ("read",))[1] for owner_id in owner_ids]


def _new_owners(stack: Stack, count: int) -> list[str]:
    with stack.runtime.sessions.begin() as session:
        return [create_owner(session, f"owner {number}").id for number in range(count)]


def _owner_of(stack: Stack, key: str) -> str:
    with stack.runtime.sessions() as session:
        return authenticate(session, f"Bearer {key}", API_KEY_SECRET).owner_id


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _measured(stack: Stack, flood: Flood, key: str, path: str, seconds: float) -> tuple[list[Poll], list[Poll], Answers, int]:
    """Polls of the other owner before and during a flood, the flood's answers, and the largest memory of an API process."""
    context = multiprocessing.get_context("spawn")
    largest, sampled = 0, threading.Event()
    api = psutil.Process(stack.pid("api"))

    def sample() -> None:
        nonlocal largest
        while not sampled.wait(0.05):
            sizes = [api.memory_info().rss] + [child.memory_info().rss for child in api.children(recursive=True)]
            largest = max(largest, *sizes)

    with (
        context.Manager() as manager,
        ProcessPoolExecutor(2, mp_context=context) as clients,
        ThreadPoolExecutor(1) as watch,
    ):
        started, stop = cast("Event", manager.Event()), cast("Event", manager.Event())
        polling = clients.submit(poll, stack.url, key, path, POLLS_PER_SECOND, started, stop)
        sampling = watch.submit(sample)
        started.wait(START_SECONDS)
        time.sleep(QUIET_SECONDS)
        began = time.monotonic()
        answers = clients.submit(send, stack.url, flood).result()
        time.sleep(max(0.5, seconds - (time.monotonic() - began)))
        stop.set()
        polls = polling.result()
        sampled.set()
        sampling.result()
    return [one for one in polls if one.began < began], [one for one in polls if one.began >= began], answers, largest


def _with_missed(polls: list[Poll]) -> list[float]:
    """Seconds of the polls, and of those that would have been sent while a slow one was waited for (Tene, "coordinated omission")."""
    return [one.seconds - late / POLLS_PER_SECOND for one in polls for late in range(max(1, int(one.seconds * POLLS_PER_SECOND)))]


def _burst(count: int, attackers: Attackers) -> Flood:
    return Flood([request("GET", "/v1/jobs?limit=1", f"Authorization: Bearer {attackers.key}")] * count, HOLD_SECONDS)


def _made_up(count: int, distinct: bool, attackers: Attackers) -> Flood:
    keys = [f"iis_{secrets.token_urlsafe(32)}" for _ in range(count if distinct else 1)]
    return Flood([request("GET", "/v1/jobs", f"Authorization: Bearer {keys[i % len(keys)]}") for i in range(count)], HOLD_SECONDS)


def _keyless(count: int, attackers: Attackers) -> Flood:
    return Flood([request("GET", "/v1/jobs")] * count, HOLD_SECONDS, addresses=50)


def _first_uses(keys: list[str]) -> Flood:
    return Flood([request("GET", "/v1/jobs?limit=1", f"Authorization: Bearer {key}") for key in keys], HOLD_SECONDS, addresses=50)


def _slow_polls(attackers: Attackers) -> Flood:
    line = request("GET", f"/v1/datasets/{attackers.dataset}", f"Authorization: Bearer {attackers.key}", "Prefer: wait=20")
    return Flood([line] * 600, HOLD_SECONDS, open_seconds=6)


def _half_headers(attackers: Attackers) -> Flood:
    return Flood([b"GET /v1/jobs HTTP/1.1\r\nHost: torture\r\nAuthor"] * 1000, 20, open_seconds=2, addresses=20)


def _streams(attackers: Attackers) -> Flood:
    line = request(
        "GET", f"/v1/jobs/{attackers.job}/events", f"Authorization: Bearer {attackers.key}", "Accept: text/event-stream", keep=True
    )
    return Flood([line] * 1500, 15, open_seconds=3)


def _keyless_bodies(attackers: Attackers) -> Flood:
    bodies = (("POST", "/v1/concept-sets", 8), ("POST", "/v1/uploads/small", 16), ("PUT", "/v1/uploads/upl_0/parts/1", 60))
    whole = [request(method, path, body=bytes(size * MIB), sent=size * MIB - 1) for method, path, size in bodies]
    return Flood([whole[number % 3] for number in range(60)], 15)


def _half_bodies(attackers: Attackers) -> Flood:
    body = json.dumps({"models": [], "padding": "x" * 1000}).encode()
    fields = (f"Authorization: Bearer {attackers.reader}", "Content-Type: application/json")
    requests = [
        request("POST", "/v1/studies/estimate", *fields, f"Idempotency-Key: {number}", body=body, sent=len(body) // 2)
        for number in range(45)
    ]
    return Flood(requests, 20)


def _health(path: str, attackers: Attackers) -> Flood:
    return Flood([request("GET", path, keep=True)] * 60, HOLD_SECONDS, rounds=30)


def _estimates(attackers: Attackers) -> Flood:
    body = json.dumps(
        {
            "models": [f"model {number}" for number in range(10)],
            "datasets": [f"set {number}" for number in range(10)],
            "libraries": [{"kind": "prototype"}],
            "concept_counts": list(range(10, 110)),
            "unregistered": {
                "models": [f"model {number}" for number in range(10)],
                "datasets": {f"set {number}": {"images": 1000} for number in range(10)},
            },
        }
    ).encode()
    fields = (f"Authorization: Bearer {attackers.reader}", "Content-Type: application/json")
    return Flood([request("POST", "/v1/studies/estimate", *fields, body=body)] * 40, HOLD_SECONDS)


def _phrases(attackers: Attackers) -> Flood:
    requests = list[bytes]()
    for number in range(40):
        body = json.dumps(
            {"name": f"set {number}", "phrases": [f"a phrase {number} of number {index}" for index in range(20_000)]}
        ).encode()
        requests.append(
            request("POST", "/v1/concept-sets", f"Authorization: Bearer {attackers.key}", "Content-Type: application/json", body=body)
        )
    return Flood(requests, HOLD_SECONDS)


KINDS: dict[str, Callable[[Attackers], Flood]] = {
    **{f"burst of {count}": partial(_burst, count) for count in (100, 200, 400, 1000)},
    "400 with one made-up key": partial(_made_up, 400, False),
    "1000 with made-up keys": partial(_made_up, 1000, True),
    "1000 without a key": partial(_keyless, 1000),
    "400 unused keys of one owner": lambda attackers: _first_uses(attackers.unused),
    "an unused key of each of 400 owners": lambda attackers: _first_uses(attackers.unused_of_owners),
    "600 slow polls": _slow_polls,
    "1000 half-sent headers": _half_headers,
    "1500 streams": _streams,
    "60 bodies without a key": _keyless_bodies,
    "45 half-sent bodies": _half_bodies,
    "readiness flood": partial(_health, "/v1/health/ready"),
    "metrics flood": partial(_health, "/v1/metrics"),
    "40 estimates": _estimates,
    "40 x 20,000 phrases": _phrases,
}
FLOODS = tuple(KINDS)
LARGEST = ("burst of 1000", "600 slow polls", "1500 streams", "40 estimates")
