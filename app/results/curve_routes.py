"""HTTP of curves: JSON, or CSV when asked for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response

from app.errors import Conflict
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep
from app.http.problems import RESOURCE_RESPONSES, problem_responses
from app.results import curve_service as service
from iis_schemas.curves import CSV_EXAMPLE, CurvesView

CSV = "text/csv"
CSV_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The curves", "content": {CSV: {"schema": {"type": "string"}, "example": CSV_EXAMPLE}}}
}

router = APIRouter(prefix="/v1/jobs/{job_id}/curves", tags=["curves"])


@router.get("", response_model=CurvesView, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict), **CSV_RESPONSE})
def curves(
    job_id: str,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    wanted: Annotated[Literal["json", "csv"] | None, Query(alias="format", description="Instead of the Accept header.")] = None,
) -> Response:
    """The ARR curves of a job that succeeded, as JSON or (`Accept: text/csv`, or `format=csv`) as CSV."""
    found = service.read_curves(session, owner.owner_id, job_id)
    as_csv = wanted == "csv" or (wanted is None and CSV in request.headers.get("accept", ""))
    if not as_csv:
        return respond(request, found, headers={"Vary": "Accept"}, immutable=True)
    headers = {"Vary": "Accept", "Content-Disposition": f'attachment; filename="{job_id}-curves.csv"'}
    return respond(request, service.to_csv(found), media_type="text/csv; charset=utf-8", headers=headers, immutable=True)
