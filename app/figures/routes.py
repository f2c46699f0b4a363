"""Routes of figures for papers: an explained image, a class, the concepts of a library. A worker draws them during the request."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from app.explanations.routes import RESPONSES, Contrast, Kept, Sparsity, Top, asked_about
from app.explanations.service import explainable_job, require_one_node
from app.figures.responses import FIGURE_RESPONSE, MEDIA_TYPES, SAFE_FIGURE
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import SessionDep, SettingsDep
from app.http.routes import AuthenticatedRoute
from app.http.worker_answers import ask_worker

GALLERY_CONCEPTS = 100

Format = Annotated[Literal["png", "svg"], Path(description="png or svg")]

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["figures"], route_class=AuthenticatedRoute)


@router.get("/explanations/{image}/sheet.{figure_format}", response_class=Response, responses={**RESPONSES, **FIGURE_RESPONSE})
async def get_explanation_figure(
    *,
    job_id: str,
    image: str,
    figure_format: Format,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    contrast: Contrast = None,
    top: Top = 6,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """Draw the explanation of one image as a figure."""
    _, asked = await asked_about(request, session, owner.owner_id, job_id, image)
    about = {
        "job": job_id,
        "image": asked.id,
        "image_name": asked.filename,
        "format": figure_format,
        "contrast": contrast,
        "top": top,
        **require_one_node(kept, sparsity),
    }
    return _figure(request, await ask_worker(request, session, owner.owner_id, "sheet", about), figure_format)


@router.get("/classes/{class_name:path}/profile.{figure_format}", response_class=Response, responses={**RESPONSES, **FIGURE_RESPONSE})
async def get_class_figure(
    *,
    job_id: str,
    class_name: Annotated[str, Path(description="The name of a class")],
    figure_format: Format,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    top: Top = 10,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """Draw the profile of a class as a figure."""
    await run_in_threadpool(explainable_job, session, owner.owner_id, job_id)
    about = {"job": job_id, "class": class_name, "format": figure_format, "top": top, **require_one_node(kept, sparsity)}
    return _figure(request, await ask_worker(request, session, owner.owner_id, "class_figure", about), figure_format)


@router.get("/concepts/gallery.{figure_format}", response_class=Response, responses={**RESPONSES, **FIGURE_RESPONSE})
async def get_concept_gallery(
    *,
    job_id: str,
    figure_format: Format,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    limit: Annotated[int, Query(ge=1, le=GALLERY_CONCEPTS, description="Number of concepts, from the first")] = GALLERY_CONCEPTS,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """Draw the concepts of a job side by side as a figure."""
    await run_in_threadpool(explainable_job, session, owner.owner_id, job_id)
    about = {"job": job_id, "after": None, "limit": limit, "format": figure_format, **require_one_node(kept, sparsity)}
    return _figure(request, await ask_worker(request, session, owner.owner_id, "gallery", about), figure_format)


def _figure(request: Request, drawn: dict[str, Any], figure_format: str) -> Response:
    content = base64.b64decode(drawn["figure"])
    return respond(request, content, media_type=MEDIA_TYPES[figure_format], headers=SAFE_FIGURE)
