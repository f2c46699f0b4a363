"""HTTP of results: the report, the curves as JSON or CSV, and the plots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.errors import Conflict
from app.figures.responses import FIGURE_RESPONSE, MEDIA_TYPES, SAFE_FIGURE
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, StoreDep
from app.http.pagination import ID_PATTERN
from app.http.problems import RESOURCE_RESPONSES, problem_responses
from app.http.routes import AuthenticatedRoute
from app.http.streaming import deliver
from app.results import service
from iis_schemas.results.comparisons import MAX_COMPARED, ComparisonView
from iis_schemas.results.concept_metrics import CONCEPT_METRICS_CSV_EXAMPLE, ConceptMetricsListView
from iis_schemas.results.curves import CSV_EXAMPLE, CurvesView
from iis_schemas.results.plots import PlotsView
from iis_schemas.results.results import AnyResult

CSV = "text/csv"
WantedFormat = Annotated[Literal["json", "csv"] | None, Query(alias="format", description="Instead of the Accept header")]
ComparedJobs = Annotated[
    Sequence[Annotated[str, Field(pattern=ID_PATTERN)]], Query(max_length=MAX_COMPARED, description="Score jobs; repeat it for several")
]
CSV_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The curves", "content": {CSV: {"schema": {"type": "string"}, "example": CSV_EXAMPLE}}}
}
METRICS_CSV_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The metrics", "content": {CSV: {"schema": {"type": "string"}, "example": CONCEPT_METRICS_CSV_EXAMPLE}}}
}
RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict)}

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["results"], route_class=AuthenticatedRoute)
comparison = APIRouter(tags=["results"], route_class=AuthenticatedRoute)


@comparison.get("/v1/comparison", response_model=ComparisonView, responses=RESPONSES)
def compare_scores(request: Request, session: SessionDep, owner: OwnerDep, job: ComparedJobs = ()) -> Response:
    """Get the reports and curves of several score jobs, in the order of `job`."""
    return respond(request, service.compare(session, owner.owner_id, job), immutable=True)


@router.get("/result", response_model=AnyResult, responses=RESPONSES)
def get_job_result(job_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get the result of a job that has succeeded.

    A report for a score job, a summary of its rows for an explain job, the compared arms for a fine-tuning job. 409 with Retry-After
    until the job has succeeded.
    """
    return respond(request, service.read_result(session, owner.owner_id, job_id), immutable=True)


@router.get("/curves", response_model=CurvesView, responses={**RESPONSES, **CSV_RESPONSE})
def get_job_curves(job_id: str, request: Request, session: SessionDep, owner: OwnerDep, wanted: WantedFormat = None) -> Response:
    """Get the ARR curves of a score job, as JSON or as CSV (`Accept: text/csv`, or `format=csv`)."""
    found = service.read_curves(session, owner.owner_id, job_id)
    if not _wants_csv(request, wanted):
        return respond(request, found, headers={"Vary": "Accept"}, immutable=True)
    return _respond_csv(request, service.curves_csv(found), f"{job_id}-curves.csv")


@router.get("/concept-metrics", response_model=ConceptMetricsListView, responses={**RESPONSES, **METRICS_CSV_RESPONSE})
def get_job_concept_metrics(job_id: str, request: Request, session: SessionDep, owner: OwnerDep, wanted: WantedFormat = None) -> Response:
    """Get the metrics of every concept of a score job, as JSON or as CSV (`Accept: text/csv`, or `format=csv`)."""
    found = service.read_concept_metrics(session, owner.owner_id, job_id)
    if not _wants_csv(request, wanted):
        return respond(request, found, headers={"Vary": "Accept"}, immutable=True)
    return _respond_csv(request, service.concept_metrics_csv(found), f"{job_id}-concept-metrics.csv")


@router.get("/plots", response_model=PlotsView, responses=RESPONSES)
def list_job_plots(job_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """List the plots of a score job."""
    return respond(request, service.list_plots(session, owner.owner_id, job_id), immutable=True)


@router.get("/plots/{name}.{plot_format}", response_class=Response, responses={**RESPONSES, **FIGURE_RESPONSE})
def get_job_plot(
    *, job_id: str, name: str, plot_format: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep
) -> Response:
    """Get one plot of a score job, `arr` or `accuracy`, as `png` or `svg`."""
    plot = service.find_plot(session, owner.owner_id, job_id, name, plot_format)
    return deliver(
        request,
        store,
        plot.blob_sha256,
        media_type=MEDIA_TYPES[plot.format],
        filename=f"{job_id}-{plot.name}.{plot.format}",
        headers=SAFE_FIGURE,
    )


def _wants_csv(request: Request, wanted: str | None) -> bool:
    return wanted == "csv" or (wanted is None and CSV in request.headers.get("accept", ""))


def _respond_csv(request: Request, content: bytes, filename: str) -> Response:
    headers = {"Vary": "Accept", "Content-Disposition": f'attachment; filename="{filename}"'}
    return respond(request, content, media_type="text/csv; charset=utf-8", headers=headers, immutable=True)
