"""HTTP of explanations: test images and posted ones, heat maps, interventions. A worker answers within the request."""

from __future__ import annotations

import base64
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, File, Query, Request, Response, UploadFile
from starlette.concurrency import run_in_threadpool

from app.errors import ApiError, Conflict
from app.explanations import service
from app.explanations.service import AskedImage, Explained
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.caching import respond
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep
from app.http.idempotency import WaitingIdempotentRoute
from app.http.pagination import Page, PageParams, number_cursor, page
from app.http.problems import CREATION_RESPONSES, RESOURCE_RESPONSES, problem_responses
from app.http.routes import AuthenticatedRoute
from app.http.worker_answers import ask_worker
from iis_schemas.explanations.images import ExplanationView, HeatMapsListView, HeatMapView, OutcomeView
from iis_schemas.explanations.interventions import InterventionRequest, InterventionView
from iis_schemas.fields import MAX_TOP

Kept = Annotated[int | None, Query(description="Number of kept concepts, a node of the curve; about a tenth of M unless given")]
Sparsity = Annotated[float | None, Query(description="The node by its sparsity instead of kept")]
Contrast = Annotated[str | None, Query(description="Explain the predicted class against this class")]
Top = Annotated[int, Query(ge=1, le=MAX_TOP, description="Number of concepts listed for and against")]

RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict)}
PNG_RESPONSE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A PNG file", "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}
}

PREFIX = "/v1/jobs/{job_id}/explanations"
# An intervention stores nothing, so it needs no Idempotency-Key.
router = APIRouter(prefix=PREFIX, tags=["explanations"], route_class=AuthenticatedRoute)
posting = APIRouter(prefix=PREFIX, tags=["explanations"], route_class=WaitingIdempotentRoute)


@router.get("", response_model=Page[OutcomeView], responses=RESPONSES)
async def list_explanations(
    *,
    job_id: str,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    params: PageParams,
    wrong: Annotated[bool, Query(description="Only images that the interpretation classifies wrongly")] = False,
    disagree: Annotated[
        bool, Query(description="Only images for which the predictions of representation and interpretation differ")
    ] = False,
    class_: Annotated[str | None, Query(alias="class", description="Only images of this class")] = None,
    predicted: Annotated[str | None, Query(description="Only images for which the interpretation predicts this class")] = None,
    predicted_by_representation: Annotated[
        str | None, Query(description="Only images for which the representation predicts this class")
    ] = None,
    min_confidence: Annotated[
        float | None, Query(ge=0, le=1, description="Only images whose prediction by the interpretation has at least this probability")
    ] = None,
    max_confidence: Annotated[float | None, Query(ge=0, le=1, description="Only images for which it has at most this probability")] = None,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """List the test images of a job by index, with the predictions for each."""
    explained = await run_in_threadpool(service.explainable_job, session, owner.owner_id, job_id)
    filters: dict[str, Any] = {
        "wrong": wrong,
        "disagree": disagree,
        "class": class_,
        "predicted": predicted,
        "predicted_by_representation": predicted_by_representation,
        "min_confidence": min_confidence,
        "max_confidence": max_confidence,
    }
    node = service.require_one_node(kept, sparsity)
    about = {"job": job_id, "after": number_cursor(params.after), "limit": params.limit, **filters, **node}
    answer = await ask_worker(request, session, owner.owner_id, "outcomes", about)
    found = [
        OutcomeView.model_validate(
            one
            | {
                "links": {"self": f"{explained.at}/{one['index']}"}
                | ({"image": f"{explained.at}/{one['index']}/image.png"} if explained.has_images else {})
            }
        )
        for one in answer["data"]
    ]
    asked = {name: _text(value) for name, value in (filters | node).items() if value not in (None, False)}
    path = explained.at + (f"?{urlencode(asked)}" if asked else "")
    return respond(request, page(found, params, path, cursors=[one.index for one in found]))


@posting.post("", status_code=201, response_model=ExplanationView, responses=CREATION_RESPONSES)
async def explain_image(
    *,
    job_id: str,
    request: Request,
    session: SessionDep,
    sessions: FactoryDep,
    owner: OwnerDep,
    settings: SettingsDep,
    file: Annotated[UploadFile, File(description="An image")],
    contrast: Contrast = None,
    top: Top = 8,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """Explain an image of your own.

    It is kept for a day, for heat maps and interventions.
    """
    explained = await run_in_threadpool(service.explainable_job, session, owner.owner_id, job_id)
    if explained.no_images is not None:
        raise Conflict(explained.no_images, code="no_images")
    about = {"job": job_id, "contrast": contrast, "top": top, **service.require_one_node(kept, sparsity)}
    filename = file.filename or "image"
    content = await file.read()
    await run_in_threadpool(session.close)  # the image is committed in a session of its own
    image = await run_in_threadpool(service.keep_image, sessions, owner.owner_id, job_id, filename, content, settings)
    try:
        answer = await ask_worker(request, session, owner.owner_id, "explain", about | {"image": image})
    except ApiError:
        await admitted_of(request).run(lambda: service.drop_images(sessions, owner.owner_id, [image]))
        raise
    view = await run_in_threadpool(
        service.explanation_view, session, owner.owner_id, explained, AskedImage(image, filename), answer, top=top
    )
    return Response(view.model_dump_json(), 201, {"Location": f"{explained.at}/{image}"}, media_type="application/json")


@router.get("/{image}", response_model=ExplanationView, responses=RESPONSES)
async def get_explanation(
    *,
    job_id: str,
    image: str,
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
    contrast: Contrast = None,
    top: Top = 8,
    kept: Kept = None,
    sparsity: Sparsity = None,
) -> Response:
    """Explain the prediction for a test image (by index) or a posted one."""
    explained, asked = await asked_about(request, session, owner.owner_id, job_id, image)
    about = {"job": job_id, "image": asked.id, "contrast": contrast, "top": top, **service.require_one_node(kept, sparsity)}
    answer = await ask_worker(request, session, owner.owner_id, "explain", about)
    view = await run_in_threadpool(service.explanation_view, session, owner.owner_id, explained, asked, answer, top=top)
    return respond(request, view)


@router.get("/{image}/image.png", response_class=Response, responses={**RESPONSES, **PNG_RESPONSE})
async def get_explained_image(
    *, job_id: str, image: str, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep
) -> Response:
    """Get the image as the network sees it: resized and cropped."""
    _, asked = await asked_about(request, session, owner.owner_id, job_id, image)
    answer = await ask_worker(request, session, owner.owner_id, "picture", {"job": job_id, "image": asked.id})
    return respond(request, base64.b64decode(answer["png"]), media_type="image/png", immutable=True)


@router.get("/{image}/heatmaps", response_model=HeatMapsListView, responses=RESPONSES)
async def list_heat_maps(
    *,
    job_id: str,
    image: str,
    concepts: Annotated[list[int], Query(min_length=1, max_length=MAX_TOP, description="Concepts of the library; repeat it for several")],
    request: Request,
    session: SessionDep,
    owner: OwnerDep,
    settings: SettingsDep,
) -> Response:
    """Get the heat maps of several concepts as numbers."""
    explained, asked = await asked_about(request, session, owner.owner_id, job_id, image)
    about = {"job": job_id, "image": asked.id, "concepts": concepts}
    answer = await ask_worker(request, session, owner.owner_id, "several_heat_maps", about)
    at = f"{explained.at}/{image}/heatmaps"
    data = [one | {"links": {"png": f"{at}/{one['concept']}.png"}} for one in answer["data"]]
    links = {"self": f"{at}?{urlencode({'concepts': concepts}, doseq=True)}"}
    return respond(request, HeatMapsListView.model_validate({"data": data, "links": links}), immutable=True)


@router.get("/{image}/heatmaps/{concept}.png", response_class=Response, responses={**RESPONSES, **PNG_RESPONSE})
async def get_heat_map_layer(
    *, job_id: str, image: str, concept: int, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep
) -> Response:
    """Get the heat map of a concept as a PNG layer over the image.

    Red is evidence for the concept, blue against it.
    """
    answer = await _heat_map(request, session, owner.owner_id, job_id, image, concept, settings)
    return respond(request, base64.b64decode(answer["png"]), media_type="image/png", immutable=True)


@router.get("/{image}/heatmaps/{concept}", response_model=HeatMapView, responses=RESPONSES)
async def get_heat_map(
    *, job_id: str, image: str, concept: int, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep
) -> Response:
    """Get the heat map of a concept as numbers."""
    answer = await _heat_map(request, session, owner.owner_id, job_id, image, concept, settings)
    links = {"png": f"/v1/jobs/{job_id}/explanations/{image}/heatmaps/{concept}.png"}
    return respond(request, HeatMapView.model_validate(answer | {"links": links}), immutable=True)


@router.post("/{image}/interventions", response_model=InterventionView, responses=CREATION_RESPONSES)
async def intervene(
    *, job_id: str, image: str, body: InterventionRequest, request: Request, session: SessionDep, owner: OwnerDep, settings: SettingsDep
) -> InterventionView:
    """Set, scale or suppress concepts of an image and get the new prediction."""
    explained, asked = await asked_about(request, session, owner.owner_id, job_id, image)
    about = {"job": job_id, "image": asked.id, **service.changes_of(body)}
    answer = await ask_worker(request, session, owner.owner_id, "intervene", about)
    return InterventionView.model_validate(answer | {"links": {"explanation": f"{explained.at}/{image}"}})


async def asked_about(request: Request, session: SessionDep, owner_id: str, job_id: str, image: str) -> tuple[Explained, AskedImage]:
    """The job and the image that a path names; the connection is released."""
    explained = await run_in_threadpool(service.explainable_job, session, owner_id, job_id)
    asked = await run_in_threadpool(service.read_image, session, owner_id, job_id, image)
    return explained, asked


async def _heat_map(
    request: Request, session: SessionDep, owner_id: str, job_id: str, image: str, concept: int, settings: SettingsDep
) -> dict[str, Any]:
    _, asked = await asked_about(request, session, owner_id, job_id, image)
    return await ask_worker(request, session, owner_id, "heat_map", {"job": job_id, "image": asked.id, "concept": concept})


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
