"""HTTP of plots: which there are, and their bytes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from app.errors import Conflict
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, StoreDep
from app.http.problems import RESOURCE_RESPONSES, problem_responses
from app.http.streaming import deliver
from app.results import plot_service as service
from iis_schemas.plots import PlotsView

MEDIA_TYPES = {"png": "image/png", "svg": "image/svg+xml"}
# A figure opened on its own address may draw itself and nothing more.
SAFE_FIGURE = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox"}
FIGURE_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The figure",
        "content": {
            "image/png": {"schema": {"type": "string", "format": "binary"}},
            "image/svg+xml": {"schema": {"type": "string"}, "example": '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 432 288"/>'},
        },
    }
}
RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict)}

router = APIRouter(prefix="/v1/jobs/{job_id}/plots", tags=["plots"])


@router.get("", response_model=PlotsView, responses=RESPONSES)
def list_plots(job_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """The figures of a job that succeeded."""
    return respond(request, service.list_plots(session, owner.owner_id, job_id), immutable=True)


@router.get("/{name}.{plot_format}", response_class=Response, responses={**RESPONSES, **FIGURE_RESPONSE})
def get(*, job_id: str, name: str, plot_format: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep) -> Response:
    """One figure, `arr` or `accuracy`, as `png` or `svg`."""
    plot = service.find_plot(session, owner.owner_id, job_id, name, plot_format)
    return deliver(
        request,
        store,
        plot.blob_sha256,
        media_type=MEDIA_TYPES[plot.format],
        filename=f"{job_id}-{plot.name}.{plot.format}",
        headers=SAFE_FIGURE,
    )
