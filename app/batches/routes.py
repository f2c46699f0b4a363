"""HTTP of explain jobs: rows in pages, and all of them as JSON Lines or Parquet."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from app.batches import service
from app.errors import Conflict
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, StoreDep
from app.http.pagination import Page, PageParams, number_cursor, page
from app.http.problems import RESOURCE_RESPONSES, problem_responses
from app.http.routes import AuthenticatedRoute
from app.http.streaming import deliver
from iis_schemas.results.batches import ExplainedRow

JSON_LINES = "application/jsonl"
PARQUET = "application/vnd.apache.parquet"
RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict)}
JSON_LINES_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A row a line",
        "content": {JSON_LINES: {"schema": {"type": "string"}, "example": '{"index": 0, "name": "test/3/0007.png", …}\n'}},
    }
}
PARQUET_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The same rows as a table", "content": {PARQUET: {"schema": {"type": "string", "format": "binary"}}}}
}

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["batches"], route_class=AuthenticatedRoute)


@router.get("/rows", response_model=Page[ExplainedRow], responses=RESPONSES)
def list_explained_rows(
    job_id: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep, params: PageParams
) -> Response:
    """List the rows of an explain job by index, one for each image."""
    batch = service.finished_batch(session, owner.owner_id, job_id)
    found = service.read_rows(store, batch, number_cursor(params.after), params.limit)
    shown = page(found, params, f"/v1/jobs/{job_id}/rows", cursors=[row.index for row in found])
    return respond(request, shown, immutable=True)


@router.get("/rows.jsonl", response_class=Response, responses={**RESPONSES, **JSON_LINES_RESPONSE})
def download_rows_as_json_lines(job_id: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep) -> Response:
    """Download all rows of an explain job as JSON Lines."""
    batch = service.finished_batch(session, owner.owner_id, job_id)
    return deliver(request, store, batch.jsonl_sha256, media_type=JSON_LINES, filename=f"{job_id}-rows.jsonl")


@router.get("/rows.parquet", response_class=Response, responses={**RESPONSES, **PARQUET_RESPONSE})
def download_rows_as_parquet(job_id: str, request: Request, session: SessionDep, owner: OwnerDep, store: StoreDep) -> Response:
    """Download all rows of an explain job as one Parquet file, with the same fields."""
    batch = service.finished_batch(session, owner.owner_id, job_id)
    return deliver(request, store, batch.parquet_sha256, media_type=PARQUET, filename=f"{job_id}-rows.parquet")
