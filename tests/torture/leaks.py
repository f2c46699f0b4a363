"""Recognisable secrets through a whole flow and every kind of error, at log level debug: none may turn up in logs, events or answers."""

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

from app.ui.routes import PAGES
from torture.promises import Promise
from torture.stack import API_KEY_SECRET, DATABASE_PASSWORD, Stack
from torture.surface import something_of_each
from torture.work import Caller

STORAGE_SECRET, STORAGE_TOKEN = "a-storage-key-nobody-may-see", "a-storage-token-nobody-may-see"
SETTINGS = {
    "IIS_LOG_LEVEL": "debug",
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": STORAGE_SECRET,
    "AWS_SESSION_TOKEN": STORAGE_TOKEN,
    "IIS_ANSWER_TIMEOUT_SECONDS": "20",
}
SHOWN_CHARACTERS = 160
EXCERPT_BYTES = 24  # of content: more than chance repeats
UNFORESEEN = ("webhooks", "posted_images", "api_keys", "idempotency_records")  # tables without which nothing was foreseen


def attack(folder: Path, seed: int) -> list[Promise]:
    """A flow, errors of each kind, and a search of everything that was said."""
    with Stack(folder / "stack", settings=SETTINGS) as stack:
        key = stack.add_owner("someone")
        caller = Caller(stack.url, key)
        said: dict[str, str] = {}
        found = something_of_each(caller)
        image = picture(seed)
        secrets = {
            "the API key": key,
            "the service's secret": API_KEY_SECRET,
            "the database's password": DATABASE_PASSWORD,
            "Redis's password": stack.redis.password,
            "the storage's key": STORAGE_SECRET,
            "the storage's token": STORAGE_TOKEN,
            **_told_once(caller),
        }
        _use(stack, caller, found, image, said)
        for what, provoked in _errors(stack, caller, found, image, said):
            said[f"answers: {what}"] = provoked
        said |= {f"the log of {name}": stack.log(name) for name in stack.programs}
        return [_searched(said, forms(secrets, image))]


def picture(seed: int) -> bytes:
    """A PNG of noise: no run of its bytes is there by chance."""
    content = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(content, "PNG")
    return content.getvalue()


def forms(secrets: dict[str, str], content: bytes) -> dict[str, list[str]]:
    """How each secret may be written: as it is, in an address, in base64 at any offset, in hex, as Python shows bytes."""
    written = {
        name: [secret, urllib.parse.quote(secret, safe=""), *_base64(secret.encode()), secret.encode().hex()]
        for name, secret in secrets.items()
    }
    middle = content[len(content) // 2 :][:EXCERPT_BYTES]
    written["a posted image"] = [*_base64(middle), middle.hex(), repr(middle)[2:-1], middle.decode("latin-1")]
    written["the values of a row"] = ["Failing row contains", "already exists."]  # how PostgreSQL begins, and ends, to quote one
    return written


def _base64(content: bytes) -> Iterator[str]:
    """What is the same of it in the base64 of anything that it stands in."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + content).decode()
        yield encoded[4 * (before > 0) : 4 * ((before + len(content)) // 3)]


def _told_once(caller: Caller) -> dict[str, str]:
    """Secrets that the API made and may never say again."""
    hook = caller.post("/v1/webhooks", {"url": "https://example.org/told"})
    return {
        "another API key": caller.post("/v1/api-keys", {"name": "another"})["secret"],
        "a webhook's secret": hook["secret"],
        "a webhook's next secret": caller.post(hook["links"]["rotate-secret"])["secret"],
    }


def _use(stack: Stack, caller: Caller, found: dict[str, Any], image: bytes, said: dict[str, str]) -> None:
    """Post the image, sign in, and read every page and every address that has an answer."""
    for path in (f"/v1/jobs/{found['job_id']}/explanations", f"/v1/predictors/{found['predictor_id']}/predict"):
        said[path] = json.dumps(caller.post(path, files={"file": ("noise.png", image)}))
    key = caller.http.headers["Authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as browser:
        signed_in = browser.post("/sign-in", data={"key": key}, headers={"Origin": stack.url})
        said["signing in"] = signed_in.text
        wrong = browser.post("/sign-in", data={"key": key + "x"}, headers={"Origin": stack.url})
        said["signing in wrongly"] = wrong.text
        for page in PAGES:
            said[page] = browser.get(page.replace("{name:path}", "bright").format(**found)).text
    document = caller.get("/v1/openapi.json")
    for path, methods in document["paths"].items():
        if "get" in methods:
            answer = caller.http.get(path.format(**found), timeout=60)
            said[path] = f"{answer.headers} {answer.text}"


def _errors(stack: Stack, caller: Caller, found: dict[str, Any], image: bytes, said: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Errors of each kind, with all that was answered to what was asked meanwhile."""

    def ask() -> str:
        texts: list[str] = []
        form = {"file": ("noise.png", image)}
        for method, path, options in (
            ("GET", "/v1/jobs", {}),
            ("GET", "/v1/api-keys", {}),
            ("GET", "/v1/health/ready", {}),
            ("GET", "/v1/metrics", {}),
            ("POST", "/v1/uploads/small", {"files": form}),
            ("POST", f"/v1/jobs/{found['job_id']}/explanations", {"files": form}),
            ("POST", "/v1/api-keys", {"json": {"name": "lost"}, "headers": {"Idempotency-Key": "lost"}}),
            ("POST", "/v1/webhooks", {"json": {"url": "https://example.org/lost"}}),
            ("POST", "/v1/jobs", {"json": {"kind": "score", "dataset": found["dataset_id"], "library": {"kind": "x"}}}),
        ):
            answer = caller.http.request(method, path, timeout=60, **options)
            if answer.is_error:
                texts.append(f"{method} {path}: {answer.status_code} {answer.headers} {answer.text}")
        return "\n".join(texts)

    yield "nothing wrong", ask()
    stack.kill("postgres")
    yield "the database away", ask()
    stack.start_postgres()
    stack.wait_until_ready()
    stack.kill("redis")
    yield "Redis away", ask()
    stack.start_redis()
    stack.fill_storage()
    yield "no room in storage", ask()
    stack.empty_storage()
    with psycopg.connect(stack.postgres.url("iis").replace("+psycopg", ""), autocommit=True) as database:
        for table in UNFORESEEN:
            database.execute(f"ALTER TABLE {table} ADD COLUMN unforeseen integer NOT NULL DEFAULT 1")  # type: ignore[call-overload]
            database.execute(f"ALTER TABLE {table} ADD CHECK (unforeseen = 2) NOT VALID")  # type: ignore[call-overload]
        yield "rows that nobody foresaw to be refused", ask()
        for table in UNFORESEEN:
            database.execute(f"ALTER TABLE {table} RENAME TO {table}_gone")  # type: ignore[call-overload]
        yield "tables that are gone", ask()


def _searched(said: dict[str, str], written: dict[str, list[str]]) -> Promise:
    promise = Promise("Secrets are in no log, event, answer or page, whatever goes wrong")
    for where, text in said.items():
        for name, ways in written.items():
            place = next((at for way in ways if (at := text.find(way)) >= 0), -1)
            shown = text[max(0, place - SHOWN_CHARACTERS) : place + SHOWN_CHARACTERS]
            promise.tried(place < 0, f"{name} is in {where}: …{shown}…")
    unforeseen = sum(line.count('"request_failed"') for line in said.values())
    characters = sum(map(len, said.values()))
    promise.measured = f"{len(written)} secrets in {len(said)} places, {characters:,} characters; {unforeseen} unforeseen errors among them"
    promise.tried(unforeseen > 0, "Nothing that was provoked was unforeseen.")
    return promise
