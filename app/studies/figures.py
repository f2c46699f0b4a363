"""HTTP of a study's statistics, figures and Parquet table. A worker makes each once; the result is stored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request, Response
from starlette.concurrency import run_in_threadpool

from app.batches.routes import PARQUET_RESPONSE
from app.errors import Conflict
from app.figures.responses import FIGURE_RESPONSE, MEDIA_TYPES, SAFE_FIGURE
from app.http.auth import OwnerDep
from app.http.dependencies import SessionDep, SettingsDep, StoreDep
from app.http.problems import RESOURCE_RESPONSES, problem_responses
from app.http.routes import AuthenticatedRoute
from app.http.streaming import deliver
from app.http.worker_answers import ask_worker
from app.studies.service import require_rows
from iis_schemas.studies.analyses import AnalysisView

PARQUET = "application/vnd.apache.parquet"
RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict)}
CHANGING = {"Cache-Control": "private, no-cache"}  # answers change while a study runs or is extended

router = APIRouter(prefix="/v1/studies/{study_id}", tags=["studies"], route_class=AuthenticatedRoute)


@router.get("/analysis", response_model=AnalysisView, responses=RESPONSES)
async def get_study_analysis(
    study_id: str, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep, store: StoreDep
) -> Response:
    """Get the statistics of the jobs that have succeeded so far: correlations with intervals, evolution, ablations, agreement."""
    await run_in_threadpool(require_rows, session, owner.owner_id, study_id)
    made = await ask_worker(request, session, owner.owner_id, "study_analysis", {"study": study_id})
    return await _deliver(request, store, made, media_type="application/json", filename=f"{study_id}-analysis.json")


@router.get("/table.parquet", response_class=Response, responses={**RESPONSES, **PARQUET_RESPONSE})
async def get_study_table_as_parquet(
    study_id: str, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep, store: StoreDep
) -> Response:
    """Get the table of a study as Parquet, with the points of each curve."""
    await run_in_threadpool(require_rows, session, owner.owner_id, study_id)
    made = await ask_worker(request, session, owner.owner_id, "study_table", {"study": study_id})
    return await _deliver(request, store, made, media_type=PARQUET, filename=f"{study_id}.parquet")


@router.get("/figures/{figure}.{figure_format}", response_class=Response, responses={**RESPONSES, **FIGURE_RESPONSE})
async def get_study_figure(
    *,
    study_id: str,
    figure: Annotated[
        Literal["iis_accuracy", "gain_accuracy", "evolution", "concept_counts", "sparsity_grids", "agreement"],
        Path(description="The name of the figure"),
    ],
    figure_format: Annotated[Literal["png", "svg"], Path(description="png or svg")],
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    store: StoreDep,
) -> Response:
    """Draw one figure of a study."""
    await run_in_threadpool(require_rows, session, owner.owner_id, study_id)
    made = await ask_worker(request, session, owner.owner_id, "study_figure", {"study": study_id, "name": figure, "format": figure_format})
    named = f"{study_id}-{figure}.{figure_format}"
    return await _deliver(request, store, made, media_type=MEDIA_TYPES[figure_format], filename=named, headers=SAFE_FIGURE)


async def _deliver(
    request: Request, store: StoreDep, made: dict[str, Any], *, media_type: str, filename: str, headers: dict[str, str] | None = None
) -> Response:
    fields = {**CHANGING, **(headers or {})}
    return await run_in_threadpool(
        lambda: deliver(request, store, made["sha256"], media_type=media_type, filename=filename, headers=fields)
    )
