"""What a key may do: the scopes, and which of them a request needs. Decided here for every route, so that no route can forget it.

read   look at everything of the owner's, and ask questions that leave nothing behind but an image for a day: explanations,
       interventions, predictions, nearest concepts, what a study would cost
write  make, change and delete uploads, models, data sets, concept sets, jobs and studies
admin  see, make, rotate and revoke API keys, and webhooks
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from app.errors import Forbidden
from iis_schemas.names import SCOPES, Scope

LOOKING = frozenset(("GET", "HEAD", "OPTIONS"))
QUESTIONS = frozenset(
    (
        "/v1/concept-libraries/{library_id}/nearest",
        "/v1/jobs/{job_id}/explanations",
        "/v1/jobs/{job_id}/explanations/{image}/interventions",
        "/v1/predictors/{predictor_id}/predict",
        "/v1/studies/estimate",
    )
)
"""Routes whose POST only asks."""
ADMIN_PATHS = ("/v1/api-keys", "/v1/webhooks")


def needed_scope(method: str, route: str) -> Scope:
    """The scope that a request to a route needs; `route` as the router knows it, with names in braces."""
    if any(route == path or route.startswith(f"{path}/") for path in ADMIN_PATHS):
        return "admin"
    return "read" if method in LOOKING or route in QUESTIONS else "write"


def require_scope(held: Collection[str], needed: Scope) -> None:
    """Refuse a request whose key lacks the scope that it needs.

    Raises
    ------
    Forbidden
    """
    if needed not in held:
        has = ", ".join(in_order(held))
        raise Forbidden(f"This request needs a key with the scope {needed}; this one has {has} alone.", code="scope_missing")


def in_order(scopes: Iterable[str]) -> list[Scope]:
    """The same scopes, each once, in the order in which they are always named."""
    given = set(scopes)
    return [scope for scope in SCOPES if scope in given]
