"""The whole API as its OpenAPI document describes it: made-up requests, in sequences too, with and without a key. No 5xx, no surprise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from torture.promises import Promise
from torture.stack import Stack
from torture.work import Caller, Inputs, checkpoint, requests

EXAMPLES_PER_OPERATION = 12
SETTINGS = {"IIS_UPLOAD_MAX_BYTES": str(1 << 20), "IIS_LEASE_SECONDS": "90"}
STREAM = "/v1/jobs/{job_id}/events"  # it goes on for as long as its job does
REPEATS = 50

# What JSON Schema cannot say is refused with 422: what fits together, what a cursor looks like. In a form every value is text.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 413, 415, 422, 429]

[[operations]]
include-path = "/v1/uploads/small"
checks.negative_data_rejection.enabled = false
"""


def attack(folder: Path, seed: int) -> list[Promise]:
    """At least ten thousand requests."""
    return run(folder, seed, examples=EXAMPLES_PER_OPERATION)


def run(folder: Path, seed: int, *, examples: int) -> list[Promise]:
    """As `attack`, with about as many made-up requests an operation, beside those that its schema itself suggests."""
    with Stack(folder / "stack", settings=SETTINGS) as stack:
        key = stack.add_owner("someone")
        caller = Caller(stack.url, key)
        ids = _something_of_each(caller)
        headers = ["--header", f"Authorization: Bearer {key}"]
        return [
            _explored(stack, folder / "ids", "about what is there", headers, CONFIGURATION + ids, examples, seed),
            _explored(stack, folder / "any", "about anything", headers, CONFIGURATION, examples, seed),
            _explored(stack, folder / "stranger", "without a key", [], CONFIGURATION, examples, seed),
            _posted_together(stack, caller),
        ]


def _something_of_each(caller: Caller) -> str:
    """A scored job, a study, a phrase set and what belongs to them, as fixed parameters of the requests."""
    inputs = Inputs(caller, checkpoint())
    body = list(requests(inputs))[-1]
    job = caller.until_finished(caller.post("/v1/jobs", body)["id"])
    phrases = caller.post("/v1/concept-sets", {"name": "set", "phrases": ["a corner", "a stripe"]})
    study = caller.post(
        "/v1/studies", {"name": "study", "models": [inputs.model], "datasets": [inputs.images], "libraries": [{"kind": "random"}]}
    )
    library = caller.get(f"/v1/jobs/{job['id']}/result")["library"]
    predictor = caller.get("/v1/predictors")["data"][0]["id"]
    named = {
        "job_id": job["id"],
        "model_id": inputs.model,
        "dataset_id": inputs.images,
        "concept_set_id": phrases["id"],
        "study_id": study["id"],
        "library_id": library,
        "predictor_id": predictor,
    }
    return "\n[parameters]\n" + "\n".join(f'"path.{name}" = "{value}"' for name, value in named.items())


def _explored(stack: Stack, folder: Path, what: str, headers: list[str], configuration: str, examples: int, seed: int) -> Promise:
    promise = Promise(f"Whatever is asked {what}, the answer is a declared one and no 5xx")
    folder.mkdir()
    (folder / "schemathesis.toml").write_text(configuration)
    report = folder / "report.json"
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(folder / "schemathesis.toml"), "run"]
    command += [f"{stack.url}/v1/openapi.json", *headers, "--exclude-path", STREAM, "--continue-on-failure"]
    command += ["--max-examples", str(examples), "--seed", str(seed), "--no-shrink", "--request-timeout", "90", "--warnings", "off"]
    command += ["--report", "json", "--report-json-path", str(report)]
    with (folder / "output").open("wb") as output:
        subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=False, env=os.environ | {"NO_COLOR": "1"})
    found: dict[str, Any] = json.loads(report.read_text())
    promise.attempts = found["test_cases"]["generated"]
    for failure in found["failures"]:
        promise.broken += [f"{failure['title']}: {operation}" for operation in failure["operations"]]
    promise.broken += [f"{error}" for error in found["errors"]]
    promise.measured = f"{found['operations']['tested']} operations"
    if promise.broken:
        promise.broken.append((folder / "output").read_text(errors="replace"))
    return promise


def _posted_together(stack: Stack, caller: Caller) -> Promise:
    """Fifty identical requests at the same moment, under one Idempotency-Key."""
    promise = Promise("Identical POSTs at the same moment make one resource")
    key, body = "posted together", {"filename": "net.safetensors", "size_bytes": 10, "sha256": "0" * 64}
    headers = {"Idempotency-Key": key}
    with ThreadPoolExecutor(REPEATS) as pool, httpx.Client(base_url=stack.url, headers=caller.http.headers, timeout=60) as http:
        answers = list(pool.map(lambda _: http.post("/v1/uploads", json=body, headers=headers), range(REPEATS)))
    made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    listed = [
        row
        for row in caller.get("/v1/uploads?limit=100")["data"]
        if row["filename"] == body["filename"] and row["sha256"] == body["sha256"]
    ]
    for answer in answers:
        promise.tried(answer.status_code in {201, 409}, f"One of them was answered with {answer.status_code}.")
    promise.tried(len(made) == len(listed) == 1, f"{len(made)} were answered with, {len(listed)} are there.")
    promise.measured = f"{sum(answer.status_code == 201 for answer in answers)} answered with it, the others told to wait"
    return promise
