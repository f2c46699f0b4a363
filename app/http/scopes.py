"""Scopes of API keys, and the scope that each route requires. Defined here for all routes, so that no route can omit it.

read   read all resources of the owner; queries that store at most an image for a day: explanations, interventions,
       predictions, nearest concepts, cost estimates of studies
write  create, change and delete uploads, models, data sets, concept sets, jobs, studies and share links
admin  list, create, rotate and revoke API keys; manage webhooks
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
ADMIN_PATHS = ("/v1/api-keys", "/v1/webhooks")


def needed_scope(method: str, route: str) -> Scope:
    """Scope that a request requires; `route` is the path template, with parameters in braces."""
    if any(route == path or route.startswith(f"{path}/") for path in ADMIN_PATHS):
        return "admin"
    return "read" if method in SAFE_METHODS or route in QUERY_ROUTES else "write"


def require_scope(held: Collection[str], needed: Scope) -> None:
    """Check that the required scope is among those of the key.

    Raises
    ------
    Forbidden
    """
    if needed not in held:
        scopes = ", ".join(in_order(held))
        raise Forbidden(f"This request needs a key with the scope {needed}; this key has: {scopes}.", code="scope_missing")


def in_order(scopes: Iterable[str]) -> list[Scope]:
    """Distinct scopes in the order of `SCOPES`."""
    given = set(scopes)
    return [scope for scope in SCOPES if scope in given]
