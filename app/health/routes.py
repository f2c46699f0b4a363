"""HTTP of health and metrics; no key is needed."""

from __future__ import annotations

from typing import cast

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from app.errors import Unavailable
from app.health.service import readiness
from app.http.dependencies import FactoryDep, SettingsDep, StoreDep
from app.http.problems import problem_responses
from iis_schemas.health import Live, Ready

router = APIRouter(prefix="/v1", tags=["health"])

NAMES = ("database", "storage")


@router.get("/health/live")
def get_liveness() -> Live:
    """Check that the process runs; its dependencies are not checked."""
    return Live()


@router.get("/health/ready", responses=problem_responses(Unavailable))
def get_readiness(factory: FactoryDep, store: StoreDep, settings: SettingsDep) -> Ready:
    """Check that requests can be served, with the state of each dependency."""
    found = readiness(factory, store, settings)
    if found.status == "unavailable":
        down = " and ".join(name for name in NAMES if getattr(found, name) != "ok")
        raise Unavailable(f"Not ready: the {down} cannot be used now.", code="not_ready")
    return found


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"example": 'iis_jobs{kind="score",state="queued"} 0.0\n'}}}},
)
def get_metrics(request: Request) -> Response:
    """Get the metrics in the format of Prometheus."""
    registry = cast("CollectorRegistry", request.app.state.metrics_registry)
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
