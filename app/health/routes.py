"""HTTP of health and metrics; no key is needed."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.errors import Unavailable
from app.health.cached import Cached
from app.http.problems import problem_responses
from iis_schemas.health import Live, Ready

router = APIRouter(prefix="/v1", tags=["health"])

NAMES = ("database", "storage")


@router.get("/health/live")
async def get_liveness() -> Live:
    """Check that the process runs; its dependencies are not checked."""
    return Live()


@router.get("/health/ready", responses=problem_responses(Unavailable))
async def get_readiness(request: Request) -> Ready:
    """Check that requests can be served, with the state of each dependency.

    The state is at most a second old.
    """
    found = await cast("Cached[Ready]", request.app.state.readiness).get()
    if found.status == "unavailable":
        down = " and ".join(name for name in NAMES if getattr(found, name) != "ok")
        raise Unavailable(f"Not ready: the {down} cannot be used now.", code="not_ready")
    return found


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": 'iis_jobs{kind="score",state="queued"} 0.0\n'}}}},
)
async def get_metrics(request: Request) -> Response:
    """Get the metrics in the format of Prometheus.

    They are at most a second old.
    """
    found = await cast("Cached[bytes]", request.app.state.metrics).get()
    return Response(found, headers={"Content-Type": CONTENT_TYPE_LATEST})
