"""Attack `faults`: processes, servers, connections and storage fail while jobs run; each job must end once, with the right numbers."""

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
from torture.breakpoints import POINTS, arm, disarm, reached
from torture.promises import Promise
from torture.stack import FAST_SETTINGS, Stack
from torture.work import FINISHED, OwnerClient, OwnerInputs, checkpoint, curve_values, score_requests

JOBS, INJECTIONS, CANCELS = 60, 200, 8
UNFINISHED_AT_ONCE = 5
BREAKPOINT_TIMEOUT_SECONDS = 12.0
LEASE_SECONDS = float(FAST_SETTINGS["IIS_LEASE_SECONDS"])
NEXT_STATES = {
    None: {"queued"},
    "queued": {"running", "canceled"},
    "running": {"queued", "canceling", "succeeded", "failed"},
    "canceling": {"canceled"},
}


def attack(folder: Path, seed: int) -> list[Promise]:
    """Some twenty minutes of faults."""
    return run(folder, seed, jobs=JOBS, injections=INJECTIONS, cancels=CANCELS)


def run(folder: Path, seed: int, *, jobs: int, injections: int, cancels: int) -> list[Promise]:
    """The attack with any number of jobs and faults."""
    breakpoints = folder / "breakpoints"
    breakpoints.mkdir()
    weights = checkpoint()
    with Stack(folder / "stack", workers=2, proxied=True, breakpoints=breakpoints) as stack:
        undisturbed = OwnerClient(stack.url, stack.add_owner("undisturbed"))
        wanted = list(score_requests(OwnerInputs(undisturbed, weights)))[: max(1, jobs)]
        sent = [undisturbed.post("/v1/jobs", body)["id"] for body in wanted]
        expected = []
        for job_id in sent:
            if (job := undisturbed.until_finished(job_id))["state"] != "succeeded":
                raise AssertionError(f"An undisturbed job ended as {job['state']}: {job['error']}")
            expected.append(curve_values(undisturbed, job_id))
        clients = Clients(stack, weights, expected, jobs, cancels)
        injector = FaultInjector(stack, breakpoints, clients, random.Random(seed))
        clients.start()
        injector.inject(injections)
        clients.stop_sending()
        clients.wait()
        stack.supervised = False
        for name in stack.programs:
            stack.kill(name, signal.SIGTERM)
        return check_promises(stack, clients, injector)


@dataclass
class AcceptedJob:
    """A job that the service has accepted, and the events that its client received."""

    job_id: str
    owner: OwnerClient
    expected: Any
    canceled: bool = False
    streamed_ids: list[int] = field(default_factory=list[int])  # ids of events from the live stream


class Clients:
    """Owners that send jobs, read their live streams, and cancel some, until all faults are injected."""

    def __init__(self, stack: Stack, weights: bytes, expected: list[Any], jobs: int, cancels: int) -> None:
        self.stack = stack
        self.accepted: list[AcceptedJob] = []
        self._jobs, self._cancels = jobs, cancels
        self._expected = expected
        self._owners = [OwnerClient(stack.url, stack.add_owner(f"owner {number}")) for number in range(-(-jobs // len(expected)))]
        self._inputs = [OwnerInputs(owner, weights) for owner in self._owners]
        self._stop_sending = threading.Event()
        self._pool = ThreadPoolExecutor(64)
        self._futures: list[Any] = []
        self._sender = threading.Thread(target=self._send_all, daemon=True)

    def start(self) -> None:
        self._sender.start()

    def stop_sending(self) -> None:
        """Send no further jobs once the wanted number was sent."""
        self._stop_sending.set()

    def wait(self) -> None:
        self._sender.join()
        for future in self._futures:
            future.result()
        self._pool.shutdown()

    def _send_all(self) -> None:
        wanted = [
            (owner, body, self._expected[number])
            for owner, inputs in zip(self._owners, self._inputs, strict=True)
            for number, body in enumerate(list(score_requests(inputs))[: len(self._expected)])
        ]
        for number, (owner, body, expected) in enumerate(self._endless(wanted)):
            cancel = number >= self._jobs if number < self._jobs + self._cancels else number % 4 == 0
            while sum(not future.done() for future in self._futures) >= UNFINISHED_AT_ONCE:
                time.sleep(0.1)
            if self._stop_sending.is_set() and number >= self._jobs + self._cancels:
                return
            job = AcceptedJob(owner.post("/v1/jobs", body)["id"], owner, expected, cancel)
            self.accepted.append(job)
            self._futures.append(self._pool.submit(self._follow, job))

    def _endless(self, wanted: list[Any]) -> Iterator[Any]:
        """The wanted jobs, then the same with other seeds, which reuse no result and whose numbers are not known."""
        yield from wanted[: self._jobs]
        for number, (owner, body, _) in enumerate(cycle(wanted)):
            yield (
                owner,
                body | {"elements": {"kind": "patches", "scales": [4], "images_per_class": 6, "seed": 1 + number}, "seed": 1 + number},
                None,
            )

    def _follow(self, job: AcceptedJob) -> None:
        """Read a job's live stream to its end, resuming after the last event when the connection breaks."""
        if job.canceled:
            threading.Timer(random.uniform(0, 4), lambda: job.owner.post(f"/v1/jobs/{job.job_id}/cancel")).start()
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(job.streamed_ids[-1])} if job.streamed_ids else {})
            with suppress(httpx.HTTPError):
                if self._listen(job, headers):
                    return
            time.sleep(0.3)

    def _listen(self, job: AcceptedJob, headers: dict[str, str]) -> bool:
        """Read the live stream until it breaks or the job ends; returns whether the job has ended."""
        with job.owner.http.stream("GET", f"/v1/jobs/{job.job_id}/events", headers=headers, timeout=20) as stream:
            message: dict[str, str] = {}
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    message[name] = value
                elif "id" in message:
                    job.streamed_ids.append(int(message["id"]))
                    if _is_last(message["data"]):
                        return True
                    message = {}
        return False


def _is_last(data: str) -> bool:
    event = json.loads(data)
    return event["type"] == "state" and event["data"]["state"] in FINISHED


class FaultInjector:
    """Injects faults, one at a time, and waits after each until the service is ready again."""

    def __init__(self, stack: Stack, breakpoints: Path, clients: Clients, rng: random.Random) -> None:
        self.stack, self.breakpoints, self.clients, self.rng = stack, breakpoints, clients, rng
        self.done: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()  # breakpoints that no process reached in time

    def inject(self, count: int) -> None:
        """Inject every fault at every breakpoint in turn, mixed with faults at random moments."""
        at_points = [(point, fault) for point in POINTS for fault in self._faults_at(point)]
        at_random = list(self._faults_at_random())
        self.rng.shuffle(at_points)
        next_at_point, next_at_random = cycle(at_points), cycle(at_random)
        while self.done.total() < count:
            if self.rng.random() < 0.6:
                self._inject_at(*next(next_at_point))
            else:
                time.sleep(self.rng.uniform(0, 2))
                name, fault = next(next_at_random)
                fault()
                self.done[f"at random: {name}"] += 1
            self.stack.wait_until_ready()

    def _inject_at(self, point: str, fault: tuple[str, Callable[[int, int | None], None]]) -> None:
        name, action = fault
        arm(self.breakpoints, point)
        until = time.monotonic() + BREAKPOINT_TIMEOUT_SECONDS
        while (halted := reached(self.breakpoints, point)) is None and time.monotonic() < until:
            time.sleep(0.01)
        if halted is None:
            self.missed[point] += 1
        else:
            action(int(halted["pid"]), halted["child"])
            self.done[f"{point}: {name}"] += 1
        disarm(self.breakpoints, point)

    def _faults_at(self, point: str) -> list[tuple[str, Callable[[int, int | None], None]]]:
        if point == "after_commit_before_publish":
            return [
                ("kill the API", lambda pid, _child: os.kill(pid, signal.SIGKILL)),
                ("stop Redis", lambda _pid, _child: self._restart_redis()),
            ]
        faults: list[tuple[str, Callable[[int, int | None], None]]] = [
            ("kill the worker", lambda pid, _child: os.kill(pid, signal.SIGKILL)),
            ("suspend the worker past its lease", self._suspend),
            ("stop PostgreSQL immediately", lambda _pid, _child: self._restart_postgres()),
            ("cut connections to PostgreSQL", lambda _pid, _child: self.stack.to_postgres.cut()),
            ("stall connections to PostgreSQL", lambda _pid, _child: self._stall(self.stack.to_postgres)),
            ("fill the storage", lambda _pid, _child: self._fill()),
        ]
        if point == "in_a_stage":
            faults += [("kill the child", self._kill_child)] * 3
        return faults

    def _faults_at_random(self) -> Iterator[tuple[str, Callable[[], None]]]:
        yield "kill a child", lambda: self._kill_child(0, self.stack.child(self.rng.choice(self.stack.programs[1:])))
        yield "empty Redis", self._flush
        yield "kill the API", lambda: self.stack.kill("api")
        yield "deliver a message fifty times", self._deliver_fifty_times
        yield "cut connections to Redis", self.stack.to_redis.cut
        yield "kill a worker", lambda: self.stack.kill(self.rng.choice(self.stack.programs[1:]))
        yield "restart Redis", self._restart_redis
        yield "stall connections to Redis", lambda: self._stall(self.stack.to_redis)
        yield "delay connections to PostgreSQL", lambda: self._delay(self.stack.to_postgres)
        yield "stop PostgreSQL immediately", self._restart_postgres
        yield "fill the storage", self._fill
        yield "cut connections to PostgreSQL", self.stack.to_postgres.cut

    def _suspend(self, pid: int, _: int | None) -> None:
        """Suspend a process past its lease, when another worker may have claimed its job; its later writes must be refused."""
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(LEASE_SECONDS + 2)
            os.kill(pid, signal.SIGCONT)

    def _kill_child(self, _: int, child: int | None) -> None:
        if child is not None:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def _restart_postgres(self) -> None:
        self.stack.kill("postgres", signal.SIGQUIT)  # immediate shutdown; PostgreSQL recovers committed data from its log
        time.sleep(self.rng.uniform(0, 2))
        self.stack.start_postgres()

    def _restart_redis(self) -> None:
        self.stack.kill("redis")
        time.sleep(self.rng.uniform(0, 2))
        self.stack.start_redis()

    def _flush(self) -> None:
        with redis.Redis.from_url(self.stack.redis.url) as broker:
            broker.flushall()

    def _stall(self, proxy: Any) -> None:
        proxy.stalled = True
        time.sleep(self.rng.uniform(1, LEASE_SECONDS))
        proxy.stalled = False

    def _delay(self, proxy: Any) -> None:
        proxy.delay_seconds = 0.05
        time.sleep(3)
        proxy.delay_seconds = 0.0

    def _fill(self) -> None:
        if self.stack.limited_storage:
            self.stack.fill_storage()
            time.sleep(self.rng.uniform(0.5, 2))
            self.stack.empty_storage()

    def _deliver_fifty_times(self) -> None:
        for job in self.clients.accepted[-1:]:
            for _ in range(50):
                wake_worker(job.job_id, self.stack.redis.url)


def check_promises(stack: Stack, clients: Clients, injector: FaultInjector) -> list[Promise]:
    """Check every accepted job against the promises."""
    once = Promise("Every accepted job ends exactly once")
    whole = Promise("A job that succeeded has one result set; any other job has none")
    same = Promise("The numbers equal those of an undisturbed run to the last digit")
    events = Promise("Events are in order and without gaps, and the live stream has each of them once")
    attempts = Promise("A job has at most three attempts, and a reason for each that was lost")
    sessions = stack.runtime.sessions
    ends: Counter[str] = Counter()
    with sessions() as session:
        for accepted in clients.accepted:
            job = session.get_one(Job, accepted.job_id)
            rows = session.execute(
                select(JobEvent.id, JobEvent.type, JobEvent.data).where(JobEvent.job_id == job.id).order_by(JobEvent.id)
            ).all()
            states = [row.data for row in rows if row.type == "state"]
            described = f"{job.id} ({[each['state'] for each in states]})"
            ends[job.state] += 1
            finals = [each["state"] for each in states if each["state"] in FINISHED]
            once.record(finals == [job.state], f"{described} is {job.state}.")
            results = session.scalar(select(func.count()).select_from(Result).where(Result.job_id == job.id))
            curves = session.scalar(select(func.count()).select_from(Curve).where(Curve.job_id == job.id))
            fits = (results, curves) == ((1, 2) if job.state == "succeeded" else (0, 0))
            whole.record(fits, f"{described} has {results} results and {curves} curves.")
            legal = all(after["state"] in NEXT_STATES[before] for before, after in _transitions(states))
            ids = [row.id for row in rows]
            events.record(legal and accepted.streamed_ids == ids, f"{described}: the stream had events {accepted.streamed_ids} of {ids}.")
            back = [each for each in states[1:] if each["state"] == "queued"]
            explained = all(each.get("reason") for each in back) and (job.state != "failed" or bool((job.error or {}).get("message")))
            attempts.record(job.attempt <= 3 and explained, f"{described} took {job.attempt} attempts: {back}.")
    kept = Promise("A repeated POST creates one job, and no accepted job is lost")
    for owner in {accepted.owner for accepted in clients.accepted}:
        with sessions() as session:
            owner_id = session.get_one(Job, next(each.job_id for each in clients.accepted if each.owner is owner)).owner_id
            made = set(session.scalars(select(Job.id).where(Job.owner_id == owner_id, Job.kind == "score")))
        known = {each.job_id for each in clients.accepted if each.owner is owner}
        kept.attempts += len(known)
        kept.broken += [f"{job_id} exists but no answer named it, or the reverse." for job_id in made ^ known]
    stack.supervised = True
    stack.wait_until_ready()
    for accepted in clients.accepted:
        job = accepted.owner.get(f"/v1/jobs/{accepted.job_id}")
        if job["state"] == "succeeded" and accepted.expected is not None:
            same.record(curve_values(accepted.owner, accepted.job_id) == accepted.expected, f"{accepted.job_id} has other numbers.")
    stack.supervised = False
    once.measured = f"{len(clients.accepted)} jobs: " + ", ".join(f"{count} {state}" for state, count in sorted(ends.items()))
    missed = f", {injector.missed.total()} breakpoints not reached in time" if injector.missed else ""
    attempts.measured = f"{injector.done.total()} faults of {len(injector.done)} kinds{missed}"
    return [once, kept, whole, same, events, attempts, _check_storage(stack)]


def _transitions(states: list[Any]) -> Iterator[tuple[str | None, Any]]:
    before = None
    for each in states:
        yield before, each
        before = each["state"]


def _check_storage(stack: Stack) -> Promise:
    """Compare files and rows after garbage collection."""
    promise = Promise("After garbage collection no file is without a row, no row without a file, and no partial file is left")
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
        promise.record(sha256 in files and sha256 in rows, f"{sha256} has only {'a file' if sha256 in files else 'a row'}.")
    for sha256 in unneeded:
        promise.record(False, f"{sha256} is kept though nothing refers to it.")
    incoming = stack.storage / "incoming"
    left = [path.name for path in incoming.iterdir()] if incoming.exists() else []
    promise.record(not left, f"{left} are left partially written.")
    return promise
