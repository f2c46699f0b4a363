"""Attack `upgrades`: from the previous minor version to this one and back; queued and running jobs finish, results stay the same."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from sqlalchemy import select

from app.db.models import Job
from torture.promises import Promise
from torture.stack import REPOSITORY, Stack
from torture.work import OwnerClient, OwnerInputs, checkpoint, curve_values, score_requests

PREVIOUS_MINOR = "231c34e71455ab09f88c5660bc003b22d2b01ad7"  # the last commit of 0.1
WAITING = 4
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
        first = caller.post("/v1/jobs", bodies[-1])["id"]
        caller.until_finished(first)
        expected = curve_values(caller, first)

        accepted = [caller.post("/v1/jobs", body)["id"] for body in bodies[:WAITING]]
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
        last = caller.post("/v1/jobs", bodies[0] | {"seed": 5})["id"]
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
    return [waiting, beside, back]


def previous_minor(folder: Path) -> Path:
    """Extract the previous minor version of this repository; needs its commit in the clone."""
    folder.mkdir()
    content = subprocess.run(["git", "archive", PREVIOUS_MINOR], cwd=REPOSITORY, check=True, capture_output=True).stdout
    subprocess.run(["tar", "x", "-C", str(folder)], input=content, check=True)
    return folder


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
