"""Two owners: whether the time to answer tells one what the other has. What the answers say is compared in tests/app/test_tenants.py."""

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
from torture.stack import UNLIMITED, Stack
from torture.surface import something_of_each
from torture.work import Caller

PAIRS = 800  # of requests, for each address: one with a foreign identifier, one with an identifier that never was
WARM_UP = 20
MARGIN = 0.1  # an AUC up to 0.5 ± this is taken for chance: hundreds of requests for one identifier then tell nothing
CONFIDENCE = 0.95  # that all intervals together hold
RANDOM_TAIL = 10  # characters of an identifier that are made up anew

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
"""The field that names something foreign, and the rest of the body."""
Ask = Callable[[httpx.Client, str], httpx.Response]


def attack(folder: Path, seed: int) -> list[Promise]:
    """Ask for what another owner has, and for what nobody has, in turns."""
    with Stack(folder / "stack", settings=UNLIMITED) as stack:
        owner = Caller(stack.url, stack.add_owner("owner"))
        owned = {name: str(value) for name, value in something_of_each(owner).items()}
        while any(owner.get(f"/v1/jobs?state={state}")["data"] for state in ("queued", "running")):
            time.sleep(0.5)  # of the study
        headers = {"Authorization": f"Bearer {stack.add_owner('stranger')}"}
        with httpx.Client(base_url=stack.url, headers=headers, timeout=60, trust_env=False) as stranger:
            return [_told_by_time(stranger, owned, random.Random(seed))]


def _told_by_time(stranger: httpx.Client, owned: dict[str, str], chance: random.Random) -> Promise:
    asked = [(f"GET {path}", *_by_path("GET", path, owned)) for path in GET]
    asked += [(f"DELETE {path}", *_by_path("DELETE", path, owned)) for path in DELETE]
    asked += [
        (f"POST {path}", _by_body(path), owned[name]) for path, name in zip(POST, ("dataset_id", "upload_id", "dataset_id"), strict=True)
    ]
    promise = Promise(f"Time tells no foreign identifier from one that never was: AUC within 0.5 ± {MARGIN}")
    found: list[str] = []
    for what, ask, foreign in asked:
        auc, half_width = auc_of(*_times(stranger, ask, foreign, chance), comparisons=len(asked))
        found.append(f"{what} {auc:.3f}")
        promise.tried(abs(auc - 0.5) + half_width <= MARGIN, f"{what} is told by its time: AUC {auc:.3f} ± {half_width:.3f}.")
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
    """Seconds of each answer, for the foreign identifier and for others like it; which of a pair comes first is drawn."""
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
    """How often a foreign identifier takes longer than one that never was, and half the width of the interval around that.

    The rank statistic of Mann and Whitney over all pairs: the best that any threshold's ROC curve encloses. The width is that under
    equal distributions, sqrt((m + n + 1) / 12mn), widened for so many comparisons (Bonferroni).
    """
    m, n = len(foreign), len(absent)
    ranks = rankdata(np.array([*foreign, *absent]))
    auc = (float(ranks[:m].sum()) - m * (m + 1) / 2) / (m * n)
    quantile = float(norm.ppf(1 - (1 - CONFIDENCE) / (2 * comparisons)))
    return auc, quantile * ((m + n + 1) / (12 * m * n)) ** 0.5
