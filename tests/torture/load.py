"""Attack `load`: many jobs at once, status polls and live streams. No request fails, no owner waits for another, no process grows."""

from __future__ import annotations

import http.client
import multiprocessing
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from sqlalchemy import func, select

from app.db.models import Job
from torture.promises import Promise
from torture.stack import Stack
from torture.work import OwnerClient, features

JOBS, CLIENTS, LISTENERS, POLLS_PER_SECOND, SECONDS = 200, 20, 50, 200, 120
POLLING_THREADS = 10
GROWTH = 1.25  # allowed growth of a process's memory from the first to the second half of the attack
STARTED_BEFORE_MAX = 2  # jobs of the busy owner that may start between the submission and the start of another owner's
SETTINGS = {"IIS_LEASE_SECONDS": "10", "IIS_HEARTBEAT_SECONDS": "2", "IIS_SWEEP_SECONDS": "3", "IIS_CANCEL_POLL_SECONDS": "2"}


def attack(folder: Path, _seed: int) -> list[Promise]:
    """Two minutes of load."""
    return run(folder, jobs=JOBS, clients=CLIENTS, listeners=LISTENERS, polls_per_second=POLLS_PER_SECOND, seconds=SECONDS)


def run(folder: Path, *, jobs: int, clients: int, listeners: int, polls_per_second: int, seconds: float) -> list[Promise]:
    """The attack at any size."""
    no_errors = Promise("No request under load is answered with 5xx")
    fair = Promise("One owner's jobs do not delay another owner's job")
    bounded = Promise("The memory of every process is bounded under load")
    statuses: Counter[int] = Counter()
    with Stack(folder / "stack", settings=SETTINGS) as stack:
        key = stack.add_owner("busy")
        busy, other = OwnerClient(stack.url, key), OwnerClient(stack.url, stack.add_owner("another"))
        busy_dataset, other_dataset = _add_features(busy), _add_features(other)
        began = time.monotonic()
        with ThreadPoolExecutor(clients) as pool:
            answers = list(pool.map(partial(_submit, stack.url, key, busy_dataset), range(jobs)))
        queued_in = time.monotonic() - began
        statuses.update(status for status, _ in answers)
        ids = [job_id for _, job_id in answers if job_id]
        single = other.post("/v1/jobs", _score(other_dataset, 0))["id"]
        stop = threading.Event()
        memory: list[dict[str, int]] = []
        with ThreadPoolExecutor(listeners + 1) as pool, ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as polling:
            listening = [pool.submit(_listen, stack.url, key, ids[number * len(ids) // listeners], stop) for number in range(listeners)]
            sampling = pool.submit(_sample, stack, memory, stop)
            paths = [f"/v1/jobs/{job_id}" for job_id in ids]
            polls = polling.submit(_poll, stack.url, key, paths, polls_per_second, seconds).result()
            stop.set()
            sampling.result()
            streams = [each.result() for each in listening]
        statuses.update(status for status, _ in polls)
        statuses.update(status for status, _ in streams)
        for status, count in statuses.items():
            no_errors.attempts += count
            no_errors.broken += [f"An answer had status {status}."] * count if status >= 500 or status == 0 else []
        state = other.until_finished(single)["state"]
        before = _started_before(stack, single)
        fair.record(state == "succeeded" and before <= STARTED_BEFORE_MAX, f"{before} jobs of others started before it; it is {state}.")
        fair.measured = f"{before} of {jobs} started between its submission and its start"
    for name in memory[0]:
        sizes = [sample[name] for sample in memory if name in sample]
        half = len(sizes) // 2
        first, second = max(sizes[:half]), max(sizes[half:])
        bounded.record(second <= GROWTH * first, f"{name} grew from {first} to {second} bytes.")
    latencies = 1000 * np.array([taken for _, taken in polls])
    p50, p99 = np.percentile(latencies, [50, 99])
    events = sum(count for _, count in streams)
    no_errors.measured = (
        f"{len(polls) / seconds:.0f} polls a second: p50 {p50:.1f} ms, p99 {p99:.1f} ms; {events} events to {listeners} listeners;"
        f" {jobs} jobs accepted in {queued_in:.1f} s"
    )
    bounded.measured = ", ".join(f"{name} {max(sample.get(name, 0) for sample in memory) / 2**20:.0f} MiB" for name in memory[0])
    return [no_errors, fair, bounded]


def _add_features(caller: OwnerClient) -> str:
    row = caller.post("/v1/datasets", {"kind": "features", "upload": caller.upload(features(0), "features.npz")})
    caller.until_ready(row["links"]["self"])
    return row["id"]


def _score(dataset: str, seed: int) -> dict[str, Any]:
    return {"kind": "score", "dataset": dataset, "library": {"kind": "prototype", "concept_count": 6}, "seed": seed}


def _submit(url: str, key: str, dataset: str, seed: int) -> tuple[int, str | None]:
    headers = {"Authorization": f"Bearer {key}"}
    answer = httpx.post(f"{url}/v1/jobs", json=_score(dataset, seed), headers=headers, timeout=60, trust_env=False)
    return answer.status_code, answer.json()["id"] if answer.status_code == 201 else None


def _listen(url: str, key: str, job_id: str, stop: threading.Event) -> tuple[int, int]:
    """Status of a live stream (0 if it broke) and its number of events."""
    headers, events = {"Authorization": f"Bearer {key}", "Accept": "text/event-stream"}, 0
    try:
        with httpx.stream("GET", f"{url}/v1/jobs/{job_id}/events", headers=headers, timeout=30, trust_env=False) as stream:
            for line in stream.iter_lines():
                events += line.startswith("id: ")
                if stop.is_set():
                    break
            return stream.status_code, events
    except httpx.HTTPError:
        return 0, events


def _sample(stack: Stack, memory: list[dict[str, int]], stop: threading.Event) -> None:
    while not stop.is_set():
        memory.append(stack.memory_bytes())
        stop.wait(2)


def _poll(url: str, key: str, paths: list[str], per_second: int, seconds: float) -> list[tuple[int, float]]:
    """Poll at a constant rate over persistent connections: (status, seconds) of each poll. Runs in its own process."""
    found: list[tuple[int, float]] = []
    began = time.monotonic()

    def poll(first: int) -> None:
        connection = http.client.HTTPConnection(str(urlsplit(url).netloc), timeout=60)
        for number in range(first, int(per_second * seconds), POLLING_THREADS):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            if (asked := time.monotonic()) > began + seconds:  # it cannot keep the rate; the table shows the rate it reached
                break
            try:
                connection.request("GET", paths[number % len(paths)], headers={"Authorization": f"Bearer {key}"})
                answer = connection.getresponse()
                answer.read()
                found.append((answer.status, time.monotonic() - asked))
            except (OSError, http.client.HTTPException):
                connection.close()
                found.append((0, time.monotonic() - asked))

    threads = [threading.Thread(target=poll, args=(first,)) for first in range(POLLING_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def _started_before(stack: Stack, job_id: str) -> int:
    """Number of other owners' jobs that started between this one's submission and its start."""
    with stack.runtime.sessions() as session:
        job = session.get_one(Job, job_id)
        between = Job.running_at.between(job.queued_at, job.running_at)
        return int(session.scalar(select(func.count()).select_from(Job).where(Job.owner_id != job.owner_id, between)) or 0)
