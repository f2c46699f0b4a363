"""Attack `leaks`: search logs at level debug, events, answers and pages for secrets, through a whole flow and every kind of error."""

from __future__ import annotations

import base64
import io
import json
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psycopg
from PIL import Image
from psycopg import sql

from app.ui.routes import PAGES
from torture.promises import Promise
from torture.stack import API_KEY_SECRET, DATABASE_PASSWORD, Stack
from torture.surface import create_one_of_each
from torture.work import OwnerClient

STORAGE_SECRET, STORAGE_TOKEN = "a-secret-storage-key", "a-secret-storage-token"
SETTINGS = {
    "IIS_LOG_LEVEL": "debug",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": STORAGE_SECRET,
    "AWS_SESSION_TOKEN": STORAGE_TOKEN,
    "IIS_ANSWER_TIMEOUT_SECONDS": "20",
}
CONTEXT_CHARACTERS = 160
EXCERPT_BYTES = 24  # enough not to be repeated by chance
TABLES_BROKEN = ("webhooks", "posted_images", "api_keys", "idempotency_records")  # to provoke unexpected errors


def attack(folder: Path, seed: int) -> list[Promise]:
    """Use the service, provoke errors of each kind, and search all output."""
    with Stack(folder / "stack", settings=SETTINGS) as stack:
        key = stack.add_owner("someone")
        caller = OwnerClient(stack.url, key)
        output: dict[str, str] = {}
        ids = create_one_of_each(caller)
        image = picture(seed)
        secrets = {
            "the API key": key,
            "the service's secret": API_KEY_SECRET,
            "the database's password": DATABASE_PASSWORD,
            "Redis's password": stack.redis.password,
            "the storage's key": STORAGE_SECRET,
            "the storage's token": STORAGE_TOKEN,
            **_secrets_shown_once(caller),
        }
        _use(stack, caller, ids, image, output)
        for error, answers in _errors(stack, caller, ids, image):
            output[f"answers: {error}"] = answers
        output |= {f"the log of {name}": stack.log(name) for name in stack.programs}
        return [_search(output, encodings(secrets, image))]


def picture(seed: int) -> bytes:
    """A PNG of noise, whose bytes do not appear elsewhere by chance."""
    content = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, "PNG")
    return content.getvalue()


def encodings(secrets: dict[str, str], content: bytes) -> dict[str, list[str]]:
    """Each secret as plain text, URL-encoded, in base64 at any offset, in hex, and as Python's repr of bytes."""
    written = {
        name: [secret, urllib.parse.quote(secret, safe=""), *_base64(secret.encode()), secret.encode().hex()]
        for name, secret in secrets.items()
    }
    middle = content[len(content) // 2 :][:EXCERPT_BYTES]
    written["a posted image"] = [*_base64(middle), middle.hex(), repr(middle)[2:-1], middle.decode("latin-1")]
    written["the values of a row"] = ["Failing row contains", "already exists."]  # PostgreSQL's quotes of a row
    return written


def _base64(content: bytes) -> Iterator[str]:
    """The part of its base64 that does not depend on the bytes around it, for each offset modulo 3."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode()
        yield encoded[4 * (before > 0) : 4 * ((before + len(content)) // 3)]


def _secrets_shown_once(caller: OwnerClient) -> dict[str, str]:
    """Secrets that the API returns only when it creates them."""
    hook = caller.post("/v1/webhooks", {"url": "https://example.org/hook"})
    return {
        "another API key": caller.post("/v1/api-keys", {"name": "another"})["secret"],
        "a webhook's secret": hook["secret"],
        "a webhook's next secret": caller.post(hook["links"]["rotate-secret"])["secret"],
    }


def _use(stack: Stack, caller: OwnerClient, ids: dict[str, Any], image: bytes, output: dict[str, str]) -> None:
    """Post the image, sign in, and read every page and every GET route."""
    for path in (f"/v1/jobs/{ids['job_id']}/explanations", f"/v1/predictors/{ids['predictor_id']}/predict"):
        output[path] = json.dumps(caller.post(path, files={"file": ("noise.png", image)}))
    key = caller.http.headers["Authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as browser:
        signed_in = browser.post("/sign-in", data={"key": key}, headers={"Origin": stack.url})
        output["signing in"] = signed_in.text
        wrong = browser.post("/sign-in", data={"key": key + "x"}, headers={"Origin": stack.url})
        output["signing in wrongly"] = wrong.text
        for page in PAGES:
            output[page] = browser.get(page.replace("{name:path}", "bright").format(**ids)).text
    document = caller.get("/v1/openapi.json")
    for path, methods in document["paths"].items():
        if "get" in methods:
            answer = caller.http.get(path.format(**ids), timeout=60)
            output[path] = f"{answer.headers} {answer.text}"


def _errors(stack: Stack, caller: OwnerClient, ids: dict[str, Any], image: bytes) -> Iterator[tuple[str, str]]:
    """Provoke errors of each kind: (error, answers to requests meanwhile)."""

    def answers() -> str:
        texts: list[str] = []
        form = {"file": ("noise.png", image)}
        requests: tuple[tuple[str, str, dict[str, Any]], ...] = (
            ("GET", "/v1/jobs", {}),
            ("GET", "/v1/api-keys", {}),
            ("GET", "/v1/health/ready", {}),
            ("GET", "/v1/metrics", {}),
            ("POST", "/v1/uploads/small", {"files": form}),
            ("POST", f"/v1/jobs/{ids['job_id']}/explanations", {"files": form}),
            ("POST", "/v1/api-keys", {"json": {"name": "lost"}, "headers": {"Idempotency-Key": "lost"}}),
            ("POST", "/v1/webhooks", {"json": {"url": "https://example.org/lost"}}),
            ("POST", "/v1/jobs", {"json": {"kind": "score", "dataset": ids["dataset_id"], "library": {"kind": "x"}}}),
        )
        for method, path, options in requests:
            answer = caller.http.request(method, path, timeout=60, **options)
            if answer.is_error:
                texts.append(f"{method} {path}: {answer.status_code} {answer.headers} {answer.text}")
        return "\n".join(texts)

    yield "no error", answers()
    stack.kill("postgres")
    yield "database stopped", answers()
    stack.start_postgres()
    stack.wait_until_ready()
    stack.kill("redis")
    yield "Redis stopped", answers()
    stack.start_redis()
    stack.fill_storage()
    yield "storage full", answers()
    stack.empty_storage()
    with psycopg.connect(stack.postgres.url("iis").replace("+psycopg", ""), autocommit=True) as database:
        for table in TABLES_BROKEN:
            name = sql.Identifier(table)
            database.execute(sql.SQL("ALTER TABLE {} ADD COLUMN unexpected integer NOT NULL DEFAULT 1").format(name))
            database.execute(sql.SQL("ALTER TABLE {} ADD CHECK (unexpected = 2) NOT VALID").format(name))
        yield "rows refused by an unexpected constraint", answers()
        for table in TABLES_BROKEN:
            names = sql.Identifier(table), sql.Identifier(f"{table}_missing")
            database.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(*names))
        yield "missing tables", answers()


def _search(output: dict[str, str], encoded: dict[str, list[str]]) -> Promise:
    promise = Promise("Secrets are in no log, event, answer or page, under every kind of error")
    for where, text in output.items():
        for name, forms in encoded.items():
            place = next((at for form in forms if (at := text.find(form)) >= 0), -1)
            context = text[max(0, place - CONTEXT_CHARACTERS) : place + CONTEXT_CHARACTERS]
            promise.record(place < 0, f"{name} is in {where}: …{context}…")
    unexpected = sum(line.count('"request_failed"') for line in output.values())
    characters = sum(map(len, output.values()))
    promise.measured = f"{len(encoded)} secrets, {len(output)} outputs of {characters:,} characters; {unexpected} unexpected errors"
    promise.record(unexpected > 0, "No unexpected error was provoked.")
    return promise
