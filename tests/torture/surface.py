"""The whole API as its OpenAPI document describes it: made-up requests, in sequences too, with and without a key. No 5xx, no surprise."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import httpx

from torture.promises import Promise
from torture.stack import UNLIMITED, Stack
from torture.work import CLASSES, Caller, Inputs, checkpoint, requests

EXAMPLES_PER_OPERATION = 12
SEQUENCES_PER_EXAMPLE = 20
SETTINGS = {"IIS_UPLOAD_MAX_BYTES": str(1 << 20), "IIS_LEASE_SECONDS": "90", **UNLIMITED}
STREAM = "/v1/jobs/{job_id}/events"  # it goes on for as long as its job does
REPEATS = 50

# What JSON Schema cannot say is refused with 422: what fits together, what a cursor looks like. In a form every value is text.
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 413, 415, 422, 429]

[[operations]]
include-name = "POST /v1/uploads/small"
checks.negative_data_rejection.enabled = false

[phases.stateful]
generation.max-examples = {sequences}
"""


def attack(folder: Path, seed: int) -> list[Promise]:
    """At least ten thousand requests."""
    return run(folder, seed, examples=EXAMPLES_PER_OPERATION)


def run(folder: Path, seed: int, *, examples: int) -> list[Promise]:
    """As `attack`, with about as many made-up requests an operation, beside those that its schema itself suggests."""
    with Stack(folder / "stack", settings=SETTINGS) as stack:
        key = stack.add_owner("someone")
        caller = Caller(stack.url, key)
        explorer = Explorer(stack, folder, examples, seed)
        found = something_of_each(caller)
        named = "[parameters]\n" + "\n".join(f'"path.{name}" = {json.dumps(value)}' for name, value in found.items())
        return [
            _posted_together(stack, caller, found),
            explorer.explore("what is there", named, "--exclude-method", "DELETE", key=key),  # or it would not be there for long
            explorer.explore("anything", key=key),
            explorer.explore("anything without a key"),
        ]


def something_of_each(caller: Caller) -> dict[str, str | int]:
    """A scored job, a study, a phrase set, a webhook and what belongs to them, by the names of the parameters that stand for them."""
    inputs = Inputs(caller, checkpoint())
    job = caller.until_finished(caller.post("/v1/jobs", list(requests(inputs))[-1])["id"])
    study = caller.post(
        "/v1/studies", {"name": "study", "models": [inputs.model], "datasets": [inputs.images], "libraries": [{"kind": "random"}]}
    )
    webhook = caller.post("/v1/webhooks", {"url": "https://example.org/", "enabled": True})
    library = caller.get(f"/v1/jobs/{job['id']}/result")["library"]
    concepts = caller.get(f"/v1/concept-libraries/{library}/concepts")["data"]
    return {
        "upload_id": caller.post("/v1/uploads", {"filename": "open", "size_bytes": 1000, "sha256": "0" * 64})["id"],
        "model_id": inputs.model,
        "dataset_id": inputs.images,
        "concept_set_id": caller.post("/v1/concept-sets", {"name": "set", "phrases": ["a corner", "a stripe"]})["id"],
        "number": 1,
        "job_id": job["id"],
        "image": "1",
        "concept": 0,
        "class_name": CLASSES[0],
        "name": "arr",
        "plot_format": "png",
        "figure_format": "svg",
        "library_id": library,
        "crop": next(PurePath(exemplar["crop"]).name for concept in concepts for exemplar in concept["exemplars"]),
        "predictor_id": caller.get("/v1/predictors")["data"][0]["id"],
        "export_format": "onnx",
        "study_id": study["id"],
        "figure": "iis_accuracy",
        "key_id": caller.post("/v1/api-keys", {"name": "spare"})["id"],  # another than the one that asks
        "webhook_id": webhook["id"],
        "delivery_id": caller.post(webhook["links"]["test"])["id"],
    }


@dataclass
class Explorer:
    """Runs Schemathesis over a stack's document: every phase and check, and links from answers to requests."""

    stack: Stack
    folder: Path
    examples: int
    seed: int

    def explore(self, what: str, configuration: str = "", *options: str, key: str | None = None) -> Promise:
        """One promise, attempted with each request that was made up."""
        promise = Promise(f"Whatever is asked about {what}, the answer is a declared one and no 5xx")
        folder = self.folder / what.replace(" ", "-")
        folder.mkdir()
        report = folder / "report.json"
        sequences = SEQUENCES_PER_EXAMPLE * self.examples
        (folder / "schemathesis.toml").write_text(configuration + CONFIGURATION.format(sequences=sequences))
        command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(folder / "schemathesis.toml"), "run"]
        command += [f"{self.stack.url}/v1/openapi.json", *options, "--exclude-path", STREAM, "--continue-on-failure"]
        command += ["--max-examples", str(self.examples), "--seed", str(self.seed), "--no-shrink", "--request-timeout", "90"]
        command += ["--warnings", "off", "--report", "json", "--report-json-path", str(report)]
        command += ["--header", f"Authorization: Bearer {key}"] if key else []
        answered = self._answered()
        with (folder / "output").open("wb") as output:
            subprocess.run(command, cwd=folder, stdout=output, stderr=output, check=False, env=os.environ | {"NO_COLOR": "1"})
        answered = self._answered() - answered
        found: dict[str, Any] = json.loads(report.read_text())
        promise.attempts = found["test_cases"]["generated"]
        for failure in found["failures"]:
            promise.broken += [f"{failure['title']}: {operation}" for operation in failure["operations"]]
        promise.broken += [f"{error}" for error in found["errors"]]
        if key and httpx.get(f"{self.stack.url}/v1/quotas", headers={"Authorization": f"Bearer {key}"}, trust_env=False).status_code != 200:
            promise.broken.append("The key that asked was lost on the way, so what came after it tried little.")
        if promise.broken:
            promise.broken[0] += "\n" + (folder / "output").read_text(errors="replace")
        counts = ", ".join(f"{count} {status}" for status, count in sorted(answered.items()))
        promise.measured = f"{found['operations']['tested']} operations; answered: {counts}"
        return promise

    def _answered(self) -> Counter[str]:
        """How many requests were answered how, by the API's own log."""
        lines = [json.loads(line) for line in self.stack.log("api").splitlines() if '"event": "request"' in line]
        return Counter(f"{line['status'] // 100}xx" for line in lines)


def _posted_together(stack: Stack, caller: Caller, found: dict[str, Any]) -> Promise:
    """Fifty identical requests at the same moment, under one Idempotency-Key, to everything that makes something."""
    promise = Promise("Identical POSTs at the same moment make one resource")
    score = {"kind": "score", "model": found["model_id"], "dataset": found["dataset_id"], "library": {"kind": "random"}}
    bodies: dict[str, dict[str, Any]] = {
        "uploads": {"json": {"filename": "net.safetensors", "size_bytes": 10, "sha256": "0" * 64}},
        "uploads/small": {"files": {"file": ("a.bin", b"posted together")}},
        "models": {"json": {"architecture": "timm:resnet18", "pretrained": "a1_in1k"}},
        "datasets": {"json": {"hub": {"name": "a/b", "revision": "c"}}},
        "concept-sets": {"json": {"phrases": ["a corner", "a stripe"]}},
        "jobs": {"json": score},
        "studies": {"json": {"models": [found["model_id"]], "datasets": [found["dataset_id"]], "libraries": [{"kind": "random"}]}},
        "api-keys": {"json": {"name": "posted together"}},
        "webhooks": {"json": {"url": "https://example.org/together"}},
    }
    answered: Counter[int] = Counter()
    headers = {"Authorization": caller.http.headers["Authorization"]}
    with ThreadPoolExecutor(REPEATS) as pool, httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as http:
        for path, body in bodies.items():
            kind = path.partition("/")[0]
            own = headers | {"Idempotency-Key": f"posted together to {path}"}
            before = _listed(caller, kind)
            answers = list(pool.map(lambda _, p=path, b=body, h=own: http.post(f"/v1/{p}", headers=h, **b), range(REPEATS)))
            made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
            new = _listed(caller, kind) - before
            for answer in answers:
                in_flight = answer.status_code == 409 and answer.json()["code"] == "idempotency_in_flight"
                promise.tried(answer.status_code == 201 or in_flight, f"{path} was answered with {answer.status_code} {answer.text}.")
            promise.tried(len(made) == 1 and made <= new and len(new) == 1, f"{path}: {made} were told, {new} are there.")
            answered.update(answer.status_code for answer in answers)
    promise.measured = f"{len(bodies)} kinds, {REPEATS} times each; {answered[201]} answered with the one, {answered[409]} told to wait"
    return promise


def _listed(caller: Caller, kind: str) -> set[str]:
    return {row["id"] for row in caller.get(f"/v1/{kind}?limit=100")["data"]}
