"""HTTP of results."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.errors import Conflict
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep
from app.http.problems import RESOURCE_RESPONSES, problem_responses
from app.results import service
from iis_schemas.results import AnyResult

router = APIRouter(prefix="/v1/jobs/{job_id}/result", tags=["results"])


@router.get("", response_model=AnyResult, responses={**RESOURCE_RESPONSES, **problem_responses(Conflict)})
def result(job_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """The report of a job that succeeded, the summary of its rows, or what fine-tuning changed; 409 with Retry-After until it has."""
    return respond(request, service.read_result(session, owner.owner_id, job_id), immutable=True)
