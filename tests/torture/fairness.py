"""Attack `fairness`: registrations, endless images, long queues and killed workers. Other owners get their turn in bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import psutil
from sqlalchemy import func, select

from app.db import transitions
from app.db.models import Job
from app.db.scheduling import next_queued_job
from app.http.auth import authenticate
from benchmarks.claims import claim_seconds
from support.rows import Rows
from torture.endless_images import REQUEST, network, white_image
from torture.promises import Promise
from torture.stack import API_KEY_SECRET, NO_RATE_LIMITS, Stack
from torture.work import FINISHED, OwnerClient, features, images

REGISTRATIONS = 300
NOTICED_SECONDS = 15.0
KILLS = 3  # of each of two kinds
QUEUED = (1_000, 100_000)
CLAIM_GROWTH = 4.0
ANSWER_TIMEOUT_SECONDS = 15
ANSWER_SECONDS = 10.0  # of the other owner, whose process shares the cores with the endless one
ENDLESS_AT_ONCE = 6
TIMEOUT_SECONDS = 120.0
DEFAULTS = {"IIS_LEASE_SECONDS": "10", "IIS_HEARTBEAT_SECONDS": "2", "IIS_SWEEP_SECONDS": "3", "IIS_CANCEL_POLL_SECONDS": "2"}


def attack(folder: Path, _seed: int) -> list[Promise]:
    """Turns and claims without workers; killed workers and endless images with two, at the default leases."""
    found = run_turns(folder / "turns", REGISTRATIONS, QUEUED)
    settings = {**DEFAULTS, **NO_RATE_LIMITS, "IIS_ANSWER_TIMEOUT_SECONDS": str(ANSWER_TIMEOUT_SECONDS)}
    with Stack(folder / "workers", workers=2, settings=settings) as stack:
        found.append(_killed_workers(stack))
        stack.supervised = False
        stack.kill("worker-1")  # the endless images meet one worker
        found += _endless_images(stack)
    return found


def run_turns(folder: Path, registrations: int, queued: tuple[int, int] | None = None) -> list[Promise]:
    """The registrations of one owner against one job of another, and the time of a claim with many jobs queued."""
    settings = {**NO_RATE_LIMITS, "IIS_QUOTA_PENDING_VALIDATIONS": str(registrations)}
    with Stack(folder, workers=0, settings=settings) as stack:
        found = _registrations(stack, registrations)
        return found if queued is None else [*found, _claims(stack, queued)]


def _registrations(stack: Stack, count: int) -> list[Promise]:
    turns = Promise("Registrations of one owner delay a job of another owner by one turn")
    bounded = Promise("An owner has no more pending validations than the quota")
    canceled = Promise("Deleting a pending model, data set or concept set cancels its validation")
    caller, other = OwnerClient(stack.url, stack.add_owner("attacker")), _rows(stack, stack.add_owner("another"))
    body = {"kind": "features", "upload": caller.upload(features(0), "features.npz")}
    addresses = [caller.post("/v1/datasets", {**body, "split_seed": number})["links"]["self"] for number in range(count)]
    status = caller.http.post("/v1/datasets", json={**body, "split_seed": count}).status_code
    bounded.record(status == 429, f"Registration {count + 1} was answered with {status}.")
    first = _take(stack)
    single = other.job()
    taken = [_take(stack) for _ in range(3)]
    turns.record(single in taken[:1], f"The other owner's job is not the next after {first}, but {taken}.")
    turns.measured = f"{count} registrations: the other owner's job is the next one taken"
    with ThreadPoolExecutor(8) as pool:
        deleted = [answer.status_code for answer in pool.map(caller.http.delete, addresses)]
    with stack.runtime.sessions() as session:
        left = session.scalar(select(func.count(Job.id)).where(Job.owner_id != other.owner_id, Job.state.in_(("queued", "running"))))
    canceled.attempts = count
    canceled.broken += [f"DELETE was answered with {status}." for status in deleted if status != 204]
    canceled.broken += ["A validation is still queued or running."] * (left or 0)
    return [turns, bounded, canceled]


def _claims(stack: Stack, queued: tuple[int, int]) -> Promise:
    promise = Promise("The time of a claim does not grow with the number of queued jobs")
    medians = list[float]()
    for count in queued:
        with stack.runtime.sessions() as session:
            medians.append(1000 * float(np.median(claim_seconds(session, count))))
            session.rollback()
    few, many = medians
    promise.record(many <= CLAIM_GROWTH * few, f"A claim took {few:.1f} ms with {queued[0]} queued jobs, {many:.1f} ms with {queued[1]}.")
    promise.measured = f"median {few:.1f} ms with {queued[0]:,} queued jobs, {many:.1f} ms with {queued[1]:,}"
    return promise


def _killed_workers(stack: Stack) -> Promise:
    """Kill the worker of a running job, and of one whose cancellation is requested; another worker is there."""
    promise = Promise("A killed worker's job runs again, or is canceled, within 15 s")
    caller = OwnerClient(stack.url, stack.add_owner("of killed workers"))
    dataset = _registered(caller, "datasets", {"kind": "features", "upload": caller.upload(features(0), "features.npz")})
    seconds = list[float]()
    seed = 0
    while len(seconds) < 2 * KILLS:
        seed += 1
        cancel = len(seconds) % 2 == 1
        body = {"kind": "score", "dataset": dataset, "library": {"kind": "prototype", "concept_count": 6}, "seed": seed}
        job_id = caller.post("/v1/jobs", body)["id"]
        name = _await_worker(stack, job_id)
        psutil.Process(stack.pid(name)).suspend()
        if _job(stack, job_id).state != "running":  # it ended before the worker stopped
            psutil.Process(stack.pid(name)).resume()
            continue
        if cancel:
            caller.post(f"/v1/jobs/{job_id}/cancel")
        began = time.monotonic()
        psutil.Process(stack.pid(name)).kill()
        _wait_for(lambda: _is_noticed(_job(stack, job_id)), "the killed worker to be noticed")  # noqa: B023 (called before the next job)
        seconds.append(time.monotonic() - began)
        promise.record(seconds[-1] <= NOTICED_SECONDS, f"{job_id} waited {seconds[-1]:.1f} s{' for its cancellation' if cancel else ''}.")
        caller.until_finished(job_id)
    promise.measured = f"{min(seconds):.1f} to {max(seconds):.1f} s"
    return promise


def _endless_images(stack: Stack) -> list[Promise]:
    """Post images on which a network never ends, while another owner asks for explanations of its own job."""
    answered = Promise("Images on which one owner's network never ends delay no other owner's answers")
    freed = Promise("A query that its caller has given up ends with its process")
    attacker, other = (OwnerClient(stack.url, stack.add_owner(name)) for name in ("attacker of queries", "another asker"))
    jobs = {caller: _scored(caller) for caller in (attacker, other)}
    for caller, job_id in jobs.items():  # starts their processes
        caller.get(f"/v1/jobs/{job_id}/explanations/0")
    stop, waits = threading.Event(), list[tuple[int, float]]()

    def post(_: int) -> int:
        form = {"file": ("white.png", white_image())}
        address = f"{stack.url}/v1/jobs/{jobs[attacker]}/explanations"
        return httpx.post(address, files=form, headers=dict(attacker.http.headers), timeout=TIMEOUT_SECONDS, trust_env=False).status_code

    def ask() -> None:
        number = 0
        while not stop.is_set():
            began, number = time.monotonic(), (number + 1) % 6
            status = other.http.get(f"/v1/jobs/{jobs[other]}/explanations/{number}", timeout=TIMEOUT_SECONDS).status_code
            waits.append((status, time.monotonic() - began))

    with ThreadPoolExecutor(ENDLESS_AT_ONCE + 1) as pool:
        asking = pool.submit(ask)
        statuses = list(pool.map(post, range(ENDLESS_AT_ONCE)))
        stop.set()
        asking.result()
    for status, seconds in waits:
        answered.record(status == 200 and seconds <= ANSWER_SECONDS, f"An answer had status {status} after {seconds:.1f} s.")
    times = [seconds for _, seconds in waits]
    waited = f"p50 {np.median(times):.2f}, max {max(times):.2f} s"
    answered.measured = f"{len(statuses)} endless images, {statuses.count(503)} x 503; the other owner's {len(times)} answers: {waited}"
    began = time.monotonic()
    freed.record(503 in statuses, f"The endless images were answered with {statuses}.")
    attacker.get(f"/v1/jobs/{jobs[attacker]}/explanations/1")
    taken = time.monotonic() - began
    freed.record(taken <= 2 * ANSWER_TIMEOUT_SECONDS, f"The attacker's next query took {taken:.1f} s.")
    return [answered, freed]


def _scored(caller: OwnerClient) -> str:
    """A finished score job of the network on images that are not white."""
    model = _registered(caller, "models", {**REQUEST, "upload": caller.upload(network(), "endless.onnx")})
    dataset = _registered(caller, "datasets", {"kind": "images", "upload": caller.upload(images(0), "images.zip")})
    library = {"kind": "cluster", "concept_count": 6}
    body = {"kind": "score", "model": model, "dataset": dataset, "library": library, "elements": {"kind": "patches", "images_per_class": 6}}
    job = caller.until_finished(caller.post("/v1/jobs", body)["id"])
    if job["state"] != "succeeded":
        raise AssertionError(f"The job to explain {job['state']}: {job['error']}")
    return job["id"]


def _registered(caller: OwnerClient, resource: str, body: dict[str, object]) -> str:
    row = caller.post(f"/v1/{resource}", body)
    state = caller.until_ready(row["links"]["self"])
    if state != "ready":
        raise AssertionError(f"{row['links']['self']} is {state}: {caller.get(row['links']['self'])['error']}")
    return row["id"]


def _rows(stack: Stack, key: str) -> Rows:
    with stack.runtime.sessions() as session:
        owner_id = authenticate(session, f"Bearer {key}", API_KEY_SECRET).owner_id
    return Rows(stack.runtime.sessions, stack.runtime.store, owner_id)


def _take(stack: Stack) -> str | None:
    """Claim the next job, as a worker does; returns its id."""
    with stack.runtime.sessions.begin() as session:
        job_id = next_queued_job(session)
        if job_id is not None:
            transitions.claim(session, job_id, "an attack", TIMEOUT_SECONDS)
        return job_id


def _job(stack: Stack, job_id: str) -> Job:
    with stack.runtime.sessions() as session:
        return session.get_one(Job, job_id)


def _is_noticed(job: Job) -> bool:
    return job.state in FINISHED or job.attempt > 1 or job.state == "queued"


def _await_worker(stack: Stack, job_id: str) -> str:
    """The name of the worker that runs a job."""
    pids = {str(stack.pid(name)): name for name in stack.programs}
    _wait_for(lambda: _job(stack, job_id).worker, "a worker to claim the job")
    worker = _job(stack, job_id).worker or ""
    return pids[worker.split(":")[1]]


def _wait_for(condition: Callable[[], object], what: str) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError(f"Waited {TIMEOUT_SECONDS:.0f} s for {what}.")
        time.sleep(0.02)
