"""Attack `upgrades`: from the previous minor version to this one and back; queued and running jobs finish, results stay the same."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import select

from app.db.models import Job
from torture.promises import Promise
from torture.stack import NO_RATE_LIMITS, REPOSITORY, Stack
from torture.work import OwnerClient, OwnerInputs, checkpoint, curve_values, features, score_requests

PREVIOUS_MINOR = "5c06e6be26eef8bff447a01bd2631678f78af21f"  # the last commit of 0.2
WAITING = 4
ROLLING_JOBS = 4
READY = " ready."  # in the log of a worker that has started
TIMEOUT_SECONDS = 120


def attack(folder: Path, _seed: int) -> list[Promise]:
    """Upgrade with queued and running jobs, run the old worker with the new API for a while, downgrade, and upgrade again."""
    waiting = Promise("A job queued or running before an upgrade finishes after it, with the same numbers")
    beside = Promise("A worker of the previous minor version serves a new API")
    back = Promise("A filled database can be downgraded to the previous version, revision by revision to the first, and upgraded again")
    old = previous_minor(folder / "old")
    with Stack(folder / "stack", code=old) as stack:
        caller = OwnerClient(stack.url, stack.add_owner("someone"))
        inputs = OwnerInputs(caller, checkpoint())
        bodies = list(score_requests(inputs))
        first = caller.post("/v1/jobs", _for_previous_minor(bodies[-1]))["id"]
        caller.until_finished(first)
        expected = curve_values(caller, first)

        accepted = [caller.post("/v1/jobs", _for_previous_minor(body))["id"] for body in bodies[:WAITING]]
        _until_running(stack, accepted)
        stack.supervised = False
        for name in stack.programs:
            stack.kill(name)
        stack.migrate(REPOSITORY, "upgrade", "head")
        stack.code["api"] = REPOSITORY
        stack.supervised = True
        stack.wait_until_ready()

        alongside = caller.post("/v1/jobs", bodies[WAITING])["id"]
        state = caller.until_finished(alongside)["state"]
        beside.record(state == "succeeded", f"A job that the new API accepted {state} with the old worker.")

        accepted += [caller.post("/v1/jobs", body)["id"] for body in bodies[WAITING + 1 : -1]]
        _until_running(stack, accepted)
        stack.code["worker-0"] = REPOSITORY
        stack.kill("worker-0")
        for job_id in accepted:
            job = caller.until_finished(job_id)
            waiting.record(job["state"] == "succeeded", f"{job_id} {job['state']}: {job['error']}")
        again = OwnerClient(stack.url, stack.add_owner("without stored results"))
        others = OwnerInputs(again, checkpoint())
        for job_id, body in zip(accepted, [*bodies[:WAITING], *bodies[WAITING + 1 : -1]], strict=True):
            own = body | {"dataset": others.images if "model" in body else others.features}
            fresh = again.post("/v1/jobs", own | ({"model": others.model} if "model" in body else {}))["id"]
            again.until_finished(fresh)
            waiting.record(curve_values(again, fresh) == curve_values(caller, job_id), f"{job_id} has other numbers than {fresh}.")

        stack.supervised = False
        for name in stack.programs:
            stack.kill(name)
        stack.migrate(REPOSITORY, "downgrade", _head(old))
        stack.code = dict.fromkeys(stack.programs, old)
        stack.supervised = True
        stack.wait_until_ready()
        back.record(curve_values(caller, first) == expected, "The previous version reads other numbers after the downgrade.")
        last = caller.post("/v1/jobs", _for_previous_minor(bodies[0]) | {"seed": 5})["id"]
        back.record(caller.until_finished(last)["state"] == "succeeded", "A job fails on the previous version after the downgrade.")
        stack.supervised = False
        for name in stack.programs:
            stack.kill(name)
        stack.migrate(REPOSITORY, "upgrade", "head")
        for revision in reversed(_revisions(REPOSITORY)[:-1]):
            try:
                stack.migrate(REPOSITORY, "downgrade", revision)
                broken = ""
            except subprocess.CalledProcessError as error:
                broken = f"The downgrade to {revision} failed: {error.stderr.decode(errors='replace')[-1000:]}"
            if not back.record(not broken, broken):
                return [waiting, beside, back]
        stack.migrate(REPOSITORY, "upgrade", "head")
        stack.code = dict.fromkeys(stack.programs, REPOSITORY)
        stack.supervised = True
        stack.wait_until_ready()
        back.record(curve_values(caller, first) == expected, "Other numbers after the downgrade to the first revision and the upgrade.")
    return [waiting, beside, back, run_rolling(folder / "rolling", callers=6)]


def previous_minor(folder: Path) -> Path:
    """Extract the previous minor version of this repository; needs its commit in the clone."""
    folder.mkdir()
    content = subprocess.run(["git", "archive", PREVIOUS_MINOR], cwd=REPOSITORY, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], input=content, check=True)
    return folder


def _for_previous_minor(body: dict[str, Any]) -> dict[str, Any]:
    """A score request as the previous minor version takes it: its elements are of 4 x 4 grids, and have no scales."""
    if "elements" not in body:
        return body
    return body | {"elements": {name: value for name, value in body["elements"].items() if name != "scales"}}


def _revisions(code: Path) -> list[str]:
    """The schema's revisions, oldest first, from the names of their files."""
    return sorted(path.name.partition("_")[0] for path in (code / "migrations" / "versions").glob("[0-9]*.py"))


def _head(code: Path) -> str:
    return _revisions(code)[-1]


def _until_running(stack: Stack, job_ids: list[str]) -> None:
    """Wait until one of these jobs is running and another queued."""
    until = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < until:
        with stack.runtime.sessions() as session:
            states = set(session.scalars(select(Job.state).where(Job.id.in_(job_ids))))
        if {"running", "queued"} <= states:
            return
        time.sleep(0.05)
    raise TimeoutError("No worker started one of the jobs.")


def run_rolling(folder: Path, callers: int) -> Promise:
    """Replace API processes and workers one after the other while so many clients send requests and repeat none."""
    answered = Promise("Replacing API processes and workers one by one fails no request, and every accepted job succeeds")
    with Stack(folder, workers=2, api_processes=2, settings=NO_RATE_LIMITS, storage_bytes=None) as stack:
        caller = OwnerClient(stack.url, stack.add_owner("someone"))
        dataset = caller.post("/v1/datasets", {"kind": "features", "upload": caller.upload(features(0), "features.npz")})["id"]
        caller.until_ready(f"/v1/datasets/{dataset}")
        body = {"kind": "score", "dataset": dataset, "library": {"kind": "prototype", "concept_count": 6}}
        first = caller.post("/v1/jobs", body)["id"]
        caller.until_finished(first)
        reads = ("/v1/jobs", f"/v1/jobs/{first}", f"/v1/jobs/{first}/result", f"/v1/jobs/{first}/explanations/0")
        accepted: list[str] = []
        stop = threading.Event()

        def send(number: int) -> None:
            headers = dict(caller.http.headers) | {"Connection": "close"}
            with httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as http:
                for step in itertools.count(number):
                    if stop.wait(0.05):
                        return
                    submits = number == 0 and len(accepted) < ROLLING_JOBS and step % 10 == 0
                    try:
                        answer = http.post("/v1/jobs", json=body | {"seed": step + 1}) if submits else http.get(reads[step % len(reads)])
                    except httpx.HTTPError as error:
                        answered.record(held=False, failure=f"A request failed: {error!r}.")
                        continue
                    answered.record(answer.status_code < 500, f"{answer.request.url.path}: {answer.status_code} {answer.text[:200]}")
                    if submits:
                        accepted.append(answer.json()["id"])

        with ThreadPoolExecutor(callers) as pool:
            sending = [pool.submit(send, number) for number in range(callers)]
            began = time.monotonic()
            try:
                _replace_all(stack)
            finally:
                stop.set()
            replaced_seconds = time.monotonic() - began
            for one in sending:
                one.result()
        for job_id in accepted:
            job = caller.until_finished(job_id)
            answered.record(job["state"] == "succeeded", f"{job_id} {job['state']}: {job['error']}")
    answered.measured = f"two workers and two API processes in {replaced_seconds:.0f} s"
    return answered


def _replace_all(stack: Stack) -> None:
    """Replace each worker, then each API process."""
    for name in stack.programs[1:]:
        starts = stack.log(name).count(READY)
        stack.kill(name, signal.SIGTERM)
        stack.start(name)
        _until(lambda name=name, starts=starts: stack.log(name).count(READY) > starts)
    before = _serving(stack)
    os.kill(stack.pid("api"), signal.SIGHUP)
    _until(lambda: not before & _serving(stack))


def _serving(stack: Stack) -> set[int]:
    """Ids of the processes that serve the API."""
    serving: set[int] = set()
    for child in psutil.Process(stack.pid("api")).children():
        with suppress(psutil.Error):  # it has just ended
            if "spawn_main" in " ".join(child.cmdline()):
                serving.add(child.pid)
    return serving


def _until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise TimeoutError("A process was not replaced.")
        time.sleep(0.1)
