"""Processes, servers, connections and storage fail under running jobs, at named points and at random: each job ends once, and right."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import redis
from sqlalchemy import func, select

from app.db.models import Blob, Curve, Job, JobEvent, Result
from app.queue import wake_worker
from app.storage import is_referred_to
from app.storage.garbage_collection import drop_unknown_files, drop_unreferenced_content
from app.storage.store import CONTENT_PREFIXES
from torture.promises import Promise
from torture.stack import QUICK, Stack
from torture.trapped import POINTS, arm, disarm, reached
from torture.work import FINISHED, Caller, Inputs, checkpoint, numbers, requests

JOBS, INJECTIONS, CANCELS = 60, 200, 8
UNFINISHED_AT_ONCE = 5
TRAP_PATIENCE_SECONDS = 12.0
LEASE_SECONDS = float(QUICK["IIS_LEASE_SECONDS"])
NEXT = {
    None: {"queued"},
    "queued": {"running", "canceled"},
    "running": {"queued", "canceling", "succeeded", "failed"},
    "canceling": {"canceled"},
}


def attack(folder: Path, seed: int) -> list[Promise]:
    """Some twenty minutes of faults."""
    return run(folder, seed, jobs=JOBS, injections=INJECTIONS, cancels=CANCELS)


def run(folder: Path, seed: int, *, jobs: int, injections: int, cancels: int) -> list[Promise]:
    """As `attack`, of any length."""
    traps = folder / "traps"
    traps.mkdir()
    weights = checkpoint()
    with Stack(folder / "stack", workers=2, proxied=True, traps=traps) as stack:
        undisturbed = Caller(stack.url, stack.add_owner("undisturbed"))
        wanted = list(requests(Inputs(undisturbed, weights)))[: max(1, jobs)]
        sent = [undisturbed.post("/v1/jobs", body)["id"] for body in wanted]
        expected = []
        for job_id in sent:
            if (job := undisturbed.until_finished(job_id))["state"] != "succeeded":
                raise AssertionError(f"An undisturbed job ended as {job['state']}: {job['error']}")
            expected.append(numbers(undisturbed, job_id))
        crowd = Crowd(stack, weights, expected, jobs, cancels)
        adversary = Adversary(stack, traps, crowd, random.Random(seed))
        crowd.start()
        adversary.strike(injections)
        crowd.enough()
        crowd.wait()
        stack.supervised = False
        for name in stack.programs:
            stack.kill(name, signal.SIGTERM)
        return judge(stack, crowd, adversary)


@dataclass
class Accepted:
    """One job that the service has accepted."""

    job_id: str
    caller: Caller
    expected: Any
    canceled: bool = False
    heard: list[int] = field(default_factory=list[int])  # ids of the events that the live stream told


class Crowd:
    """Owners who send jobs, listen to them, and cancel some; they go on until they sent enough and nobody strikes any more."""

    def __init__(self, stack: Stack, weights: bytes, expected: list[Any], jobs: int, cancels: int) -> None:
        self.stack = stack
        self.accepted: list[Accepted] = []
        self._jobs, self._cancels = jobs, cancels
        self._expected = expected
        self._callers = [Caller(stack.url, stack.add_owner(f"owner {number}")) for number in range(-(-jobs // len(expected)))]
        self._inputs = [Inputs(caller, weights) for caller in self._callers]
        self._enough = threading.Event()
        self._pool = ThreadPoolExecutor(64)
        self._futures: list[Any] = []
        self._sender = threading.Thread(target=self._send_all, daemon=True)

    def start(self) -> None:
        self._sender.start()

    def enough(self) -> None:
        """Nobody strikes any more: whatever was accepted may finish."""
        self._enough.set()

    def wait(self) -> None:
        self._sender.join()
        for future in self._futures:
            future.result()
        self._pool.shutdown()

    def _send_all(self) -> None:
        wanted = [
            (caller, body, self._expected[number])
            for caller, inputs in zip(self._callers, self._inputs, strict=True)
            for number, body in enumerate(list(requests(inputs))[: len(self._expected)])
        ]
        for number, (caller, body, expected) in enumerate(self._endless(wanted)):
            cancel = number >= self._jobs if number < self._jobs + self._cancels else number % 4 == 0
            while sum(not future.done() for future in self._futures) >= UNFINISHED_AT_ONCE:
                time.sleep(0.1)
            if self._enough.is_set() and number >= self._jobs + self._cancels:
                return
            job = Accepted(caller.post("/v1/jobs", body)["id"], caller, expected, cancel)
            self.accepted.append(job)
            self._futures.append(self._pool.submit(self._follow, job))

    def _endless(self, wanted: list[Any]) -> Iterator[Any]:
        """What was wanted, and then the same again with another seed of the elements, which must run anew; its numbers are not known."""
        yield from wanted[: self._jobs]
        for number, (caller, body, _) in enumerate(cycle(wanted)):
            yield caller, body | {"elements": {"kind": "patches", "images_per_class": 6, "seed": 1 + number}, "seed": 1 + number}, None

    def _follow(self, job: Accepted) -> None:
        """Listen to a job until it has ended, going on behind the last event heard after each break."""
        if job.canceled:
            threading.Timer(random.uniform(0, 4), lambda: job.caller.post(f"/v1/jobs/{job.job_id}/cancel")).start()
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(job.heard[-1])} if job.heard else {})
            with suppress(httpx.HTTPError):
                if self._listen(job, headers):
                    return
            time.sleep(0.3)

    def _listen(self, job: Accepted, headers: dict[str, str]) -> bool:
        """Hear what the live stream tells until it breaks off or the job has ended; returns whether it has."""
        with job.caller.http.stream("GET", f"/v1/jobs/{job.job_id}/events", headers=headers, timeout=20) as stream:
            message: dict[str, str] = {}
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    message[name] = value
                elif "id" in message:
                    job.heard.append(int(message["id"]))
                    if _ends(message["data"]):
                        return True
                    message = {}
        return False


def _ends(data: str) -> bool:
    event = json.loads(data)
    return event["type"] == "state" and event["data"]["state"] in FINISHED


class Adversary:
    """Who breaks things, one at a time, and lets them be mended as an operator's supervisor would."""

    def __init__(self, stack: Stack, traps: Path, crowd: Crowd, dice: random.Random) -> None:
        self.stack, self.traps, self.crowd, self.dice = stack, traps, crowd, dice
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()  # traps that nobody came to in time

    def strike(self, injections: int) -> None:
        """Every fault at every point that it can hit, over and over, between faults at random moments."""
        at_points = [(point, fault) for point in POINTS for fault in self._of_point(point)]
        anywhere = list(self._anywhere())
        self.dice.shuffle(at_points)
        pointed, loose = cycle(at_points), cycle(anywhere)
        while self.done.total() < injections:
            if self.dice.random() < 0.6:
                self._at(*next(pointed))
            else:
                time.sleep(self.dice.uniform(0, 2))
                name, fault = next(loose)
                fault()
                self.done[f"at random: {name}"] += 1
            self._mend()

    def _at(self, point: str, fault: tuple[str, Callable[[int, int | None], None]]) -> None:
        name, action = fault
        arm(self.traps, point)
        until = time.monotonic() + TRAP_PATIENCE_SECONDS
        while (held := reached(self.traps, point)) is None and time.monotonic() < until:
            time.sleep(0.01)
        if held is None:
            self.missed[point] += 1
        else:
            action(int(held["pid"]), held["child"])
            self.done[f"{point}: {name}"] += 1
        disarm(self.traps, point)

    def _of_point(self, point: str) -> list[tuple[str, Callable[[int, int | None], None]]]:
        if point == "after_commit_before_publish":
            return [("kill the API", lambda pid, _: os.kill(pid, signal.SIGKILL)), ("stop Redis", lambda *_: self._restart_redis())]
        faults: list[tuple[str, Callable[[int, int | None], None]]] = [
            ("kill the worker", lambda pid, _: os.kill(pid, signal.SIGKILL)),
            ("suspend the worker past its lease", self._suspend),
            ("stop PostgreSQL at once", lambda *_: self._restart_postgres()),
            ("cut the way to PostgreSQL", lambda *_: self.stack.to_postgres.cut()),
            ("stall the way to PostgreSQL", lambda *_: self._stall(self.stack.to_postgres)),
            ("fill the storage", lambda *_: self._fill()),
        ]
        if point == "in_a_stage":
            faults += [("kill the child", self._kill_child)] * 3
        return faults

    def _anywhere(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "kill a child", lambda: self._kill_child(0, self.stack.child(self.dice.choice(self.stack.programs[1:])))
        yield "forget everything in Redis", self._flush
        yield "kill the API", lambda: self.stack.kill("api")
        yield "deliver a message fifty times", self._deliver_fifty_times
        yield "cut the way to Redis", self.stack.to_redis.cut
        yield "kill a worker", lambda: self.stack.kill(self.dice.choice(self.stack.programs[1:]))
        yield "restart Redis", self._restart_redis
        yield "stall the way to Redis", lambda: self._stall(self.stack.to_redis)
        yield "delay the way to PostgreSQL", lambda: self._delay(self.stack.to_postgres)
        yield "stop PostgreSQL at once", self._restart_postgres
        yield "fill the storage", self._fill
        yield "cut the way to PostgreSQL", self.stack.to_postgres.cut

    def _suspend(self, pid: int, _: int | None) -> None:
        """Suspend a process until its lease is over and another may hold its job; what it writes then must be refused."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(LEASE_SECONDS + 2)
            os.kill(pid, signal.SIGCONT)

    def _kill_child(self, _: int, child: int | None) -> None:
        if child is not None:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def _restart_postgres(self) -> None:
        self.stack.kill("postgres", signal.SIGQUIT)  # immediate shutdown: what was committed must come back from the log
        time.sleep(self.dice.uniform(0, 2))
        self.stack.start_postgres()

    def _restart_redis(self) -> None:
        self.stack.kill("redis")
        time.sleep(self.dice.uniform(0, 2))
        self.stack.start_redis()

    def _flush(self) -> None:
        with redis.Redis.from_url(self.stack.redis.url) as broker:
            broker.flushall()

    def _stall(self, proxy: Any) -> None:
        proxy.stalled = True
        time.sleep(self.dice.uniform(1, LEASE_SECONDS))
        proxy.stalled = False

    def _delay(self, proxy: Any) -> None:
        proxy.delay_seconds = 0.05
        time.sleep(3)
        proxy.delay_seconds = 0.0

    def _fill(self) -> None:
        if self.stack.limited_storage:
            self.stack.fill_storage()
            time.sleep(self.dice.uniform(0.5, 2))
            self.stack.empty_storage()

    def _deliver_fifty_times(self) -> None:
        for job in self.crowd.accepted[-1:]:
            for _ in range(50):
                wake_worker(job.job_id, self.stack.redis.url)

    def _mend(self) -> None:
        """Wait until the API answers again; what died is started by the stack."""
        self.stack.wait_until_ready()


def judge(stack: Stack, crowd: Crowd, adversary: Adversary) -> list[Promise]:
    """What must be true of every accepted job, whatever was done to it."""
    once = Promise("Every accepted job reaches exactly one end")
    whole = Promise("A job that succeeded has one result set, any other none")
    same = Promise("The numbers equal those of an undisturbed run, to the last digit")
    events = Promise("Events are in order, without gaps, and the live stream told each of them once")
    attempts = Promise("At most three attempts, and a reason for each that was lost")
    sessions = stack.runtime.sessions
    ends: Counter[str] = Counter()
    with sessions() as session:
        for accepted in crowd.accepted:
            job = session.get_one(Job, accepted.job_id)
            rows = session.execute(
                select(JobEvent.id, JobEvent.type, JobEvent.data).where(JobEvent.job_id == job.id).order_by(JobEvent.id)
            ).all()
            states = [row.data for row in rows if row.type == "state"]
            told = f"{job.id} ({[each['state'] for each in states]})"
            ends[job.state] += 1
            finals = [each["state"] for each in states if each["state"] in FINISHED]
            once.tried(finals == [job.state], f"{told} is {job.state}.")
            results = session.scalar(select(func.count()).select_from(Result).where(Result.job_id == job.id))
            curves = session.scalar(select(func.count()).select_from(Curve).where(Curve.job_id == job.id))
            fits = (results, curves) == ((1, 2) if job.state == "succeeded" else (0, 0))
            whole.tried(fits, f"{told} has {results} results and {curves} curves.")
            legal = all(after["state"] in NEXT[before] for before, after in _pairs(states))
            ids = [row.id for row in rows]
            events.tried(legal and accepted.heard == ids, f"{told}: the stream told {accepted.heard} of {ids}.")
            back = [each for each in states[1:] if each["state"] == "queued"]
            explained = all(each.get("reason") for each in back) and (job.state != "failed" or bool((job.error or {}).get("message")))
            attempts.tried(job.attempt <= 3 and explained, f"{told} took {job.attempt} attempts: {back}.")
    kept = Promise("A POST that had to be repeated made one job, and no accepted one is lost")
    for caller in {accepted.caller for accepted in crowd.accepted}:
        with sessions() as session:
            owner_id = session.get_one(Job, next(each.job_id for each in crowd.accepted if each.caller is caller)).owner_id
            made = set(session.scalars(select(Job.id).where(Job.owner_id == owner_id, Job.kind == "score")))
        known = {each.job_id for each in crowd.accepted if each.caller is caller}
        kept.attempts += len(known)
        kept.broken += [f"{job_id} is there but was never answered with, or the other way round." for job_id in made ^ known]
    stack.supervised = True
    stack.wait_until_ready()
    for accepted in crowd.accepted:
        job = accepted.caller.get(f"/v1/jobs/{accepted.job_id}")
        if job["state"] == "succeeded" and accepted.expected is not None:
            same.tried(numbers(accepted.caller, accepted.job_id) == accepted.expected, f"{accepted.job_id} has other numbers.")
    stack.supervised = False
    once.measured = f"{len(crowd.accepted)} jobs: " + ", ".join(f"{count} {state}" for state, count in sorted(ends.items()))
    missed = f", {adversary.missed.total()} traps nobody came to" if adversary.missed else ""
    attempts.measured = f"{adversary.done.total()} faults of {len(adversary.done)} kinds{missed}"
    return [once, kept, whole, same, events, attempts, _nothing_left(stack)]


def _pairs(states: list[Any]) -> Iterator[tuple[str | None, Any]]:
    before = None
    for each in states:
        yield before, each
        before = each["state"]


def _nothing_left(stack: Stack) -> Promise:
    """Whether files and rows agree once the collector has passed."""
    promise = Promise("No file without a row, no row without a file, and no workspace outlives the collector")
    store = stack.runtime.store
    with stack.runtime.sessions() as session:
        drop_unreferenced_content(session, store)
        store.sweep_temporary(0)
        for prefix in range(CONTENT_PREFIXES):
            drop_unknown_files(session, store, prefix, 0)
        rows = set(session.scalars(select(Blob.sha256)))
        unneeded = set(session.scalars(select(Blob.sha256).where(~is_referred_to())))
    files = {path.name for path in (stack.storage / "sha256").rglob("*") if path.is_file()}
    for sha256 in files | rows:
        promise.tried(sha256 in files and sha256 in rows, f"{sha256} has {'a file' if sha256 in files else 'a row'} alone.")
    for sha256 in unneeded:
        promise.tried(False, f"{sha256} is kept though nothing refers to it.")
    incoming = stack.storage / "incoming"
    left = [path.name for path in incoming.iterdir()] if incoming.exists() else []
    promise.tried(not left, f"{left} were left half-written.")
    return promise
