"""HTTP of class and concept profiles. A worker answers within the request."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.explanations.routes import RESPONSES, Kept, Sparsity
from app.explanations.service import explainable_job, require_one_node
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep
from app.http.pagination import Page, PageParams, number_cursor, page
from app.http.routes import AuthenticatedRoute
from app.http.worker_answers import ask_worker
from app.profiles import service
from iis_schemas.explanations.profiles import ClassesView, ClassView, ConceptProfileView, ConceptUseView
from iis_schemas.fields import MAX_TOP

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["profiles"], route_class=AuthenticatedRoute)


@router.get("/classes", response_model=ClassesView, responses=RESPONSES)
async def list_classes(
    *,
    job_id: str,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """List the classes of a job with their accuracies on the test images."""
    explained = await run_in_threadpool(explainable_job, session, owner.owner_id, job_id)
    answer = await ask_worker(request, session, owner.owner_id, "classes", {"job": job_id, **require_one_node(kept, sparsity)})
    return respond(request, service.classes_view(explained, answer))


@router.get("/classes/{class_name:path}", response_model=ClassView, responses=RESPONSES)
async def get_class(
    *,
    job_id: str,
    class_name: Annotated[str, Path(description="The name of a class")],
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    top: Annotated[int, Query(ge=1, le=MAX_TOP, description="Number of concepts listed for and against")] = 10,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """Get the profile of a class: its strongest concepts for and against, and the classes it is confused with."""
    explained = await run_in_threadpool(explainable_job, session, owner.owner_id, job_id)
    about = {"job": job_id, "class": class_name, "top": top, **require_one_node(kept, sparsity)}
    answer = await ask_worker(request, session, owner.owner_id, "class_view", about)
    return respond(request, await run_in_threadpool(service.class_view, session, owner.owner_id, explained, answer))


@router.get("/concepts", response_model=Page[ConceptUseView], responses=RESPONSES)
async def list_concepts(
    *,
    job_id: str,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    params: PageParams,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """List the concepts of a job by index: how often each fires, how much it contributes, and its near-duplicates."""
    explained = await run_in_threadpool(explainable_job, session, owner.owner_id, job_id)
    node = require_one_node(kept, sparsity)
    about = {"job": job_id, "after": number_cursor(params.after), "limit": params.limit, **node}
    answer = await ask_worker(request, session, owner.owner_id, "concepts", about)
    found = await run_in_threadpool(service.concept_use_views, session, owner.owner_id, explained, answer["data"])
    asked = {name: value for name, value in node.items() if value is not None}
    path = f"/v1/jobs/{job_id}/concepts" + (f"?{urlencode(asked)}" if asked else "")
    return respond(request, page(found, params, path, cursors=[one.concept for one in found]))


@router.get("/concepts/{concept}", response_model=ConceptProfileView, responses=RESPONSES)
async def get_concept(
    *,
    job_id: str,
    concept: int,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """Get the profile of a concept: the classes it supports and opposes, and the test images that activate it most."""
    explained = await run_in_threadpool(explainable_job, session, owner.owner_id, job_id)
    answer = await ask_worker(
        request, session, owner.owner_id, "concept_view", {"job": job_id, "concept": concept, **require_one_node(kept, sparsity)}
    )
    return respond(request, await run_in_threadpool(service.concept_profile_view, session, owner.owner_id, explained, answer))
