"""Attack `tenants`: whether response times reveal another owner's resources. tests/app/test_tenants.py compares their content."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from scipy.stats import norm, rankdata

from app.db.ids import ALPHABET
from torture.promises import Promise
from torture.stack import NO_RATE_LIMITS, Stack
from torture.surface import create_one_of_each
from torture.work import OwnerClient

PAIRS = 800  # of requests per route: one with a foreign identifier, one with an identifier that never existed
WARM_UP = 20
MARGIN = 0.1  # an AUC within 0.5 ± this counts as chance: hundreds of requests for one identifier then reveal nothing
CONFIDENCE = 0.95  # of all intervals together
RANDOM_TAIL = 10  # characters of an identifier that are replaced at random

GET = (
    *("/v1/uploads/{upload_id}", "/v1/models/{model_id}", "/v1/datasets/{dataset_id}", "/v1/concept-sets/{concept_set_id}"),
    *("/v1/jobs/{job_id}", "/v1/jobs/{job_id}/result", "/v1/jobs/{job_id}/explanations/0", "/v1/predictors/{predictor_id}"),
    *("/v1/concept-libraries/{library_id}", "/v1/studies/{study_id}", "/v1/api-keys/{key_id}", "/v1/webhooks/{webhook_id}"),
)
DELETE = ("/v1/uploads/{upload_id}", "/v1/studies/{study_id}", "/v1/webhooks/{webhook_id}")
POST: dict[str, tuple[str, dict[str, Any]]] = {
    "/v1/jobs": ("dataset", {"kind": "score", "library": {"kind": "random"}}),
    "/v1/datasets": ("upload", {}),
    "/v1/concept-sets": ("from_classes", {}),
}
"""Field with the foreign identifier, and the rest of the body."""
Ask = Callable[[httpx.Client, str], httpx.Response]


def attack(folder: Path, seed: int) -> list[Promise]:
    """Request resources of another owner and resources that do not exist, in turns."""
    with Stack(folder / "stack", settings=NO_RATE_LIMITS) as stack:
        owner = OwnerClient(stack.url, stack.add_owner("owner"))
        owned = {name: str(value) for name, value in create_one_of_each(owner).items()}
        while any(owner.get(f"/v1/jobs?state={state}")["data"] for state in ("queued", "running")):
            time.sleep(0.5)  # until the study's jobs are done
        headers = {"Authorization": f"Bearer {stack.add_owner('other')}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as other:
            return [_attack_timing(other, owned, random.Random(seed))]


def _attack_timing(other: httpx.Client, owned: dict[str, str], chance: random.Random) -> Promise:
    asked = [(f"GET {path}", *_by_path("GET", path, owned)) for path in GET]
    asked += [(f"DELETE {path}", *_by_path("DELETE", path, owned)) for path in DELETE]
    asked += [
        (f"POST {path}", _by_body(path), owned[name]) for path, name in zip(POST, ("dataset_id", "upload_id", "dataset_id"), strict=True)
    ]
    promise = Promise(f"Response time does not distinguish a foreign identifier from one that never existed: AUC within 0.5 ± {MARGIN}")
    found: list[str] = []
    for what, ask, foreign in asked:
        auc, half_width = auc_of(*_times(other, ask, foreign, chance), comparisons=len(asked))
        found.append(f"{what} {auc:.3f}")
        promise.record(abs(auc - 0.5) + half_width <= MARGIN, f"{what} is distinguished by its time: AUC {auc:.3f} ± {half_width:.3f}.")
    promise.measured = f"{PAIRS} pairs each; AUC {', '.join(found)}"
    return promise


def _by_path(method: str, path: str, owned: dict[str, str]) -> tuple[Ask, str]:
    name = path[path.index("{") + 1 : path.index("}")]

    def ask(http: httpx.Client, identifier: str) -> httpx.Response:
        return http.request(method, path.replace(f"{{{name}}}", identifier))

    return ask, owned[name]


def _by_body(path: str) -> Ask:
    field, rest = POST[path]
    return lambda http, identifier: http.post(path, json={**rest, field: identifier})


def _times(http: httpx.Client, ask: Ask, foreign: str, chance: random.Random) -> tuple[list[float], list[float]]:
    """Response times for the foreign identifier and for absent ones, in pairs of random order."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(WARM_UP + PAIRS):
        absent = foreign[:-RANDOM_TAIL] + "".join(secrets.choice(ALPHABET) for _ in range(RANDOM_TAIL))
        pair = [(0, foreign), (1, absent)]
        chance.shuffle(pair)
        for side, identifier in pair:
            began = time.perf_counter()
            answer = ask(http, identifier)
            took = time.perf_counter() - began
            if answer.status_code != 404:
                raise AssertionError(f"{identifier}: {answer.status_code} {answer.text}")
            if number >= WARM_UP:
                times[side].append(took)
    return times


def auc_of(foreign: list[float], absent: list[float], *, comparisons: int = 1) -> tuple[float, float]:
    """Probability that a foreign identifier takes longer than an absent one, and half the width of its interval.

    The Mann-Whitney statistic over all pairs, which is the area under the ROC curve of a threshold on time. The width is that under equal
    distributions, sqrt((m + n + 1) / 12mn), widened for the number of comparisons (Bonferroni).
    """
    m, n = len(foreign), len(absent)
    ranks = rankdata(np.array([*foreign, *absent]))
    auc = (float(ranks[:m].sum()) - m * (m + 1) / 2) / (m * n)
    quantile = float(norm.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons)))
    return auc, quantile * ((m + n + 1) / (12 * m * n)) ** 0.5
