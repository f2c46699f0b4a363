"""Scopes of API keys, and the scope that each route requires. Defined here for all routes, so that no route can omit it.

read   read all resources of the owner; queries that store at most an image for a day: explanations, interventions,
       predictions, nearest concepts, cost estimates of studies
write  create, change and delete uploads, models, data sets, concept sets, jobs, studies and share links; to create a share link
       `read` is required too, because its token reads
admin  list, create, rotate and revoke API keys; manage webhooks, also by naming a new address in the request of a job or study
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from app.errors import Forbidden
from iis_schemas.names import SCOPES, Scope

SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))
QUERY_ROUTES = frozenset(
    (
        "/v1/concept-libraries/{library_id}/nearest",
        "/v1/jobs/{job_id}/explanations",
        "/v1/jobs/{job_id}/explanations/{image}/interventions",
        "/v1/predictors/{predictor_id}/predict",
        "/v1/studies/estimate",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}/infer",
    )
)
"""Routes whose POST changes nothing and requires the scope `read`."""
TOKEN_ROUTES = frozenset(("/v1/shares",))
"""Routes whose POST makes a token that reads; it requires `read` beside `write`."""
ADMIN_PATHS = ("/v1/api-keys", "/v1/webhooks")


def needed_scopes(method: str, route: str) -> tuple[Scope, ...]:
    """Scopes that a request requires, all of them; `route` is the path template, with parameters in braces."""
    if any(route == path or route.startswith(f"{path}/") for path in ADMIN_PATHS):
        return ("admin",)
    if method in SAFE_METHODS or route in QUERY_ROUTES:
        return ("read",)
    return ("write", "read") if route in TOKEN_ROUTES else ("write",)


def require_scopes(held: Collection[str], needed: Iterable[Scope]) -> None:
    """Check that the required scopes are among those of the key.

    Raises
    ------
    Forbidden
    """
    missing = next((scope for scope in needed if scope not in held), None)
    if missing is not None:
        scopes = ", ".join(in_order(held))
        raise Forbidden(f"This request needs a key with the scope {missing}; this key has: {scopes}.", code="scope_missing")


def in_order(scopes: Iterable[str]) -> list[Scope]:
    """Distinct scopes in the order of `SCOPES`."""
    given = set(scopes)
    return [scope for scope in SCOPES if scope in given]
