"""Attack `restore`: back up a running service, lose it, restore into an empty one, and explain an image of an old job."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import psycopg

from app.local.servers import postgres_programs
from torture.promises import Promise
from torture.stack import Stack
from torture.work import MODEL, OwnerClient, checkpoint, curve_values, features, images


def attack(folder: Path, _seed: int) -> list[Promise]:
    """Restore a service with a job on images."""
    return run(folder, with_images=True)


def run(folder: Path, *, with_images: bool) -> list[Promise]:
    """Score, back up while another job is submitted, restore into an empty stack, and compare.

    Parameters
    ----------
    with_images : score a network on images instead of ready features
    """
    restored = Promise("A backup restored into an empty stack has the same results and explains an image of an old job as before")
    works = Promise("A restored service runs jobs that were queued in the backup, and new ones")
    backup = folder / "backup"
    with Stack(folder / "first", storage_bytes=None) as stack:
        key = stack.add_owner("someone")
        caller = OwnerClient(stack.url, key)
        body = _request(caller, with_images)
        job_id = caller.post("/v1/jobs", body)["id"]
        job = caller.until_finished(job_id)
        restored.record(job["state"] == "succeeded", f"The job {job['state']}: {job['error']}")
        before = _readings(caller, job_id)
        stack.supervised = False
        stack.kill("worker-0")
        queued = caller.post("/v1/jobs", body | {"seed": 7})["id"]
        began = time.monotonic()
        back_up(stack, backup)
        backed_up_seconds = time.monotonic() - began
    shutil.rmtree(folder / "first")
    with Stack(folder / "second", storage_bytes=None) as stack:
        stack.supervised = False
        for name in stack.programs:
            stack.kill(name)
        began = time.monotonic()
        restore(stack, backup)
        restored_seconds = time.monotonic() - began
        stack.supervised = True
        stack.wait_until_ready()
        caller = OwnerClient(stack.url, key)
        after = _readings(caller, job_id)
        for name, value in before.items():
            restored.record(after[name] == value, f"{name} differs after the restoration.")
        for waiting in (queued, caller.post("/v1/jobs", body | {"seed": 8})["id"]):
            job = caller.until_finished(waiting)
            works.record(job["state"] == "succeeded", f"{waiting} {job['state']}: {job['error']}")
    size_bytes = sum(path.stat().st_size for path in backup.rglob("*") if path.is_file())
    restored.measured = f"{size_bytes >> 10:,} KiB backed up in {backed_up_seconds:.1f} s, restored in {restored_seconds:.1f} s"
    return [restored, works]


def back_up(stack: Stack, folder: Path) -> None:
    """As in docs/operations.md: copy storage, dump the database, copy what has been stored since. Nothing is deleted from the copy."""
    folder.mkdir()
    _copy(stack.storage, folder / "storage")
    dump = [str(postgres_programs() / "pg_dump"), "--format=custom", f"--file={folder / 'iis.dump'}", _plain_url(stack)]
    subprocess.run(dump, check=True, capture_output=True)
    _copy(stack.storage, folder / "storage")


def restore(stack: Stack, folder: Path) -> None:
    """As in docs/operations.md: an empty database, `pg_restore`, and the copy of storage."""
    with psycopg.connect(_plain_url(stack).replace("/iis?", "/postgres?"), autocommit=True) as connection:
        connection.execute("DROP DATABASE iis WITH (FORCE)")
        connection.execute("CREATE DATABASE iis")
    command = [str(postgres_programs() / "pg_restore"), "--exit-on-error", "--no-owner", f"--dbname={_plain_url(stack)}"]
    subprocess.run([*command, str(folder / "iis.dump")], check=True, capture_output=True)
    _copy(folder / "storage", stack.storage)


def _copy(source: Path, target: Path) -> None:
    """Copy content. Parts of open uploads are left out; their owners send them again."""
    shutil.copytree(source / "sha256", target / "sha256", dirs_exist_ok=True)


def _plain_url(stack: Stack) -> str:
    return stack.postgres.url("iis").replace("+psycopg", "")


def _request(caller: OwnerClient, with_images: bool) -> dict[str, Any]:
    """A score job on a data set of this owner."""

    def ready(resource: str, body: dict[str, Any]) -> str:
        made = caller.post(f"/v1/{resource}", body)
        state = caller.until_ready(made["links"]["self"])
        if state != "ready":
            raise RuntimeError(f"{made['id']} is {state}.")
        return made["id"]

    if not with_images:
        dataset = ready("datasets", {"kind": "features", "upload": caller.upload(features(0), "features.npz")})
        return {"kind": "score", "dataset": dataset, "library": {"kind": "prototype", "concept_count": 6}}
    model = ready("models", MODEL | {"upload": caller.upload(checkpoint(), "net.safetensors")})
    dataset = ready("datasets", {"kind": "images", "upload": caller.upload(images(0), "images.zip")})
    library = {"kind": "prototype", "concept_count": 6}
    return {
        "kind": "score",
        "model": model,
        "dataset": dataset,
        "library": library,
        "elements": {"kind": "patches", "scales": [4], "images_per_class": 6},
    }


def _readings(caller: OwnerClient, job_id: str) -> dict[str, Any]:
    """The job, its curves, result and events, and the explanation of its first test image."""
    at = f"/v1/jobs/{job_id}"
    return {
        "job": caller.get(at),
        "curves": curve_values(caller, job_id),
        "result": caller.get(f"{at}/result"),
        "events": caller.get(f"{at}/events?limit=100"),
        "explanation": caller.get(f"{at}/explanations/0"),
    }
