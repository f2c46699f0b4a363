"""Attack `surface`: generated requests to every operation of the OpenAPI document, with and without a key. No 5xx, no undeclared answer."""

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
from torture.stack import NO_RATE_LIMITS, Stack
from torture.work import CLASSES, OwnerClient, OwnerInputs, checkpoint, score_requests

EXAMPLES_PER_OPERATION = 12
SEQUENCES_PER_EXAMPLE = 20
SETTINGS = {"IIS_UPLOAD_MAX_BYTES": str(1 << 20), "IIS_LEASE_SECONDS": "90", **NO_RATE_LIMITS}
PATH_PARAMETERS = frozenset(
    (
        *("upload_id", "model_id", "dataset_id", "concept_set_id", "vocabulary_id", "number", "job_id", "image", "concept", "class_name"),
        *("name", "plot_format", "figure_format", "library_id", "crop", "predictor_id", "export_format", "study_id", "figure", "key_id"),
        *("webhook_id", "delivery_id", "share_id"),
    )
)
"""Of the API's routes and of the pages."""
STREAM = "/v1/jobs/{job_id}/events"  # excluded: it lasts as long as the job
REPEATS = 50

# Valid by the schema and still refused with 422: fields that do not fit together, malformed cursors. All values of a form are text.
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
    """The attack with about this many generated requests per operation, besides the examples of its schema."""
    with Stack(folder / "stack", settings=SETTINGS) as stack:
        key = stack.add_owner("someone")
        caller = OwnerClient(stack.url, key)
        explorer = Explorer(stack, folder, examples, seed)
        ids = create_one_of_each(caller)
        named = "[parameters]\n" + "\n".join(f'"path.{name}" = {json.dumps(value)}' for name, value in ids.items())
        return [
            _identical_posts(stack, caller, ids),
            explorer.explore("existing resources", named, "--exclude-method", "DELETE", key=key),  # DELETE would remove them
            explorer.explore("random identifiers", key=key),
            explorer.explore("random identifiers without a key"),
        ]


def create_one_of_each(caller: OwnerClient) -> dict[str, str | int]:
    """Create a resource of each kind; returns their ids by the names of path parameters."""
    inputs = OwnerInputs(caller, checkpoint())
    job = caller.until_finished(caller.post("/v1/jobs", list(score_requests(inputs))[-1])["id"])
    study = caller.post(
        "/v1/studies", {"name": "study", "models": [inputs.model], "datasets": [inputs.images], "libraries": [{"kind": "random"}]}
    )
    webhook = caller.post("/v1/webhooks", {"url": "https://example.org/", "enabled": True})
    library = caller.get(f"/v1/jobs/{job['id']}/result")["library"]
    concepts = caller.get(f"/v1/concept-libraries/{library}/concepts")["data"]
    concept_set = caller.post("/v1/concept-sets", {"name": "set", "phrases": ["a corner", "a stripe"]})["id"]
    ids = {
        "upload_id": caller.post("/v1/uploads", {"filename": "open", "size_bytes": 1000, "sha256": "0" * 64})["id"],
        "model_id": inputs.model,
        "dataset_id": inputs.images,
        "concept_set_id": concept_set,
        "vocabulary_id": concept_set,
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
        "key_id": caller.post("/v1/api-keys", {"name": "spare"})["id"],  # not the key in use
        "webhook_id": webhook["id"],
        "delivery_id": caller.post(webhook["links"]["test"])["id"],
        "share_id": caller.post("/v1/shares", {"job": job["id"]})["id"],
    }
    assert set(ids) == PATH_PARAMETERS
    return ids


@dataclass
class Explorer:
    """Runs Schemathesis with all phases and checks on a stack's OpenAPI document."""

    stack: Stack
    folder: Path
    examples: int
    seed: int

    def explore(self, what: str, configuration: str = "", *options: str, key: str | None = None) -> Promise:
        """Run Schemathesis; each generated request attacks one promise."""
        promise = Promise(f"Every answer to requests with {what} is declared and is not 5xx")
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
            promise.broken.append("The key became invalid during the run, so later requests tested little.")
        if promise.broken:
            promise.broken[0] += "\n" + (folder / "output").read_text(errors="replace")
        counts = ", ".join(f"{count} {status}" for status, count in sorted(answered.items()))
        promise.measured = f"{found['operations']['tested']} operations; answered: {counts}"
        return promise

    def _answered(self) -> Counter[str]:
        """Number of answers by class of status, from the API's log."""
        lines = [json.loads(line) for line in self.stack.log("api").splitlines() if '"event": "request"' in line]
        return Counter(f"{line['status'] // 100}xx" for line in lines)


def _identical_posts(stack: Stack, caller: OwnerClient, ids: dict[str, Any]) -> Promise:
    """Send fifty identical requests at once under one Idempotency-Key to every operation that creates a resource."""
    promise = Promise("Identical POSTs at the same time create one resource")
    score = {"kind": "score", "model": ids["model_id"], "dataset": ids["dataset_id"], "library": {"kind": "random"}}
    bodies: dict[str, dict[str, Any]] = {
        "uploads": {"json": {"filename": "net.safetensors", "size_bytes": 10, "sha256": "0" * 64}},
        "uploads/small": {"files": {"file": ("a.bin", b"posted together")}},
        "models": {"json": {"architecture": "timm:resnet18", "pretrained": "a1_in1k"}},
        "datasets": {"json": {"hub": {"name": "a/b", "revision": "c"}}},
        "concept-sets": {"json": {"phrases": ["a corner", "a stripe"]}},
        "jobs": {"json": score},
        "studies": {"json": {"models": [ids["model_id"]], "datasets": [ids["dataset_id"]], "libraries": [{"kind": "random"}]}},
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
            posts = [pool.submit(http.post, f"/v1/{path}", headers=own, **body) for _ in range(REPEATS)]
            answers = [post.result() for post in posts]
            made = {answer.json()["id"] for answer in answers if answer.status_code == 201}
            new = _listed(caller, kind) - before
            for answer in answers:
                in_flight = answer.status_code == 409 and answer.json()["code"] == "idempotency_in_flight"
                promise.record(answer.status_code == 201 or in_flight, f"{path} was answered with {answer.status_code} {answer.text}.")
            promise.record(len(made) == 1 and made <= new and len(new) == 1, f"{path}: answers name {made}, the list has {new} more.")
            answered.update(answer.status_code for answer in answers)
    promise.measured = f"{len(bodies)} kinds, {REPEATS} times each; {answered[201]} answered with the resource, {answered[409]} with 409"
    return promise


def _listed(caller: OwnerClient, kind: str) -> set[str]:
    return {row["id"] for row in caller.get(f"/v1/{kind}?limit=100")["data"]}
