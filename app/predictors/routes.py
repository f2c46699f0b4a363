"""HTTP of predictors: list, get, predict and export. A worker answers within the request."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from app.errors import Conflict
from app.explanations.service import drop_images, keep_image
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep, StoreDep
from app.http.pagination import ID_PATTERN, Page, PageParams, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses
from app.http.routes import AuthenticatedRoute
from app.http.streaming import deliver
from app.http.worker_answers import ask_worker
from app.predictors import service
from app.predictors.views import PATH
from iis_schemas.explanations.predictors import PredictionsView, PredictorView
from iis_schemas.fields import MAX_TOP

MEDIA_TYPE = "application/octet-stream"
EXPORT_RESPONSES: dict[int | str, dict[str, Any]] = {
    **RESOURCE_RESPONSES,
    **problem_responses(Conflict),
    200: {"description": "The file", "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}},
}

# A prediction stores nothing, so it needs no Idempotency-Key.
router = APIRouter(prefix=PATH, tags=["predictors"], route_class=AuthenticatedRoute)


@router.get("", response_model=Page[PredictorView], responses=RESOURCE_RESPONSES)
def list_predictors(
    *,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    params: PageParams,
    job: Annotated[str | None, Query(pattern=ID_PATTERN)] = None,
) -> Response:
    """List your predictors, newest first: one for each point of each curve."""
    views = service.list_predictors(session, owner.owner_id, job=job, after=params.after, limit=params.limit)
    return respond(request, page(views, params, PATH + (f"?{urlencode({'job': job})}" if job is not None else "")))


@router.get("/{predictor_id}", response_model=PredictorView, responses=RESOURCE_RESPONSES)
def get_predictor(predictor_id: str, request: Request, session: SessionDep, owner: OwnerDep) -> Response:
    """Get a predictor."""
    return respond(request, service.find_predictor(session, owner.owner_id, predictor_id).view, immutable=True)


@router.post("/{predictor_id}/predict", response_model=PredictionsView, responses=CREATION_RESPONSES)
async def predict(
    *,
    predictor_id: str,
    request: Request,
    session: SessionDep,
    sessions: FactoryDep,
    owner: OwnerDep,
    settings: SettingsDep,
    file: Annotated[list[UploadFile], File(description="One image or many")],
    top: Annotated[int, Query(ge=1, le=MAX_TOP, description="Number of concepts listed for each image")] = 5,
) -> PredictionsView:
    """Classify images by their concepts; the images are not kept."""
    found = await run_in_threadpool(service.find_predictor, session, owner.owner_id, predictor_id)
    service.require_predictable(found, len(file))
    await run_in_threadpool(session.close)  # the images are committed in sessions of their own
    filenames = [one.filename or "image" for one in file]
    images: list[str] = []
    try:
        for one, filename in zip(file, filenames, strict=True):
            content = await one.read()
            images.append(await run_in_threadpool(keep_image, sessions, owner.owner_id, found.view.job, filename, content, settings))
        answer = await ask_worker(request, session, owner.owner_id, "predict", found.about | {"images": images, "top": top})
    finally:
        await admitted_of(request).run(lambda: drop_images(sessions, owner.owner_id, images))
    return await run_in_threadpool(service.predictions_view, session, owner.owner_id, found, filenames, answer)


@router.get(
    "/{predictor_id}/export.{export_format}",
    response_class=Response,
    responses=EXPORT_RESPONSES,
)
async def export_predictor(
    *, predictor_id: str, export_format: str, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep, store: StoreDep
) -> Response:
    """Download a predictor as `safetensors` or `onnx`: from a representation to class, probabilities and concepts.

    `image.onnx` contains the network too: from the pixels of an image to label and contributing concepts.
    """
    found = await run_in_threadpool(service.find_predictor, session, owner.owner_id, predictor_id)
    chosen = service.export_format(export_format, found)
    answer = await ask_worker(
        request, session, owner.owner_id, "export", found.about | {"format": chosen, "concept_names": found.concept_names}
    )
    filename = f"{predictor_id}.{chosen}"
    return await run_in_threadpool(deliver, request, store, answer["sha256"], media_type=MEDIA_TYPE, filename=filename)
