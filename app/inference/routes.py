"""HTTP of the Open Inference Protocol. The protocol publishes its own OpenAPI document, so this one does not list it."""

from __future__ import annotations

from importlib import metadata
from typing import cast

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from app.errors import InvalidInput, Unavailable
from app.explanations.service import drop_images, keep_image
from app.health.cached import Cached
from app.http.admission.admitted import admitted_of
from app.http.auth import OwnerDep
from app.http.dependencies import FactoryDep, SessionDep, SettingsDep
from app.http.routes import AuthenticatedRoute
from app.http.worker_answers import ask_worker
from app.inference.models import served_model
from app.inference.tensors import images_in, outputs_of, requested_outputs, requested_top
from app.predictors import service as predictors
from iis_schemas.faults import fault_sentence
from iis_schemas.health import Ready
from iis_schemas.inference import InferenceRequest, InferenceResponse, ModelMetadata, ModelReady, ServerLive, ServerMetadata, ServerReady

MODEL = "/models/{name}"
VERSION = f"{MODEL}/versions/{{version}}"

router = APIRouter(prefix="/v2", route_class=AuthenticatedRoute, include_in_schema=False)


@router.get("")
async def get_server() -> ServerMetadata:
    """Describe the server."""
    return ServerMetadata(name="iis", version=metadata.version("iis"))


@router.get("/health/live")
async def get_server_live() -> ServerLive:
    """Check that the process runs."""
    return ServerLive()


@router.get("/health/ready")
async def get_server_ready(request: Request) -> ServerReady:
    """Check that models answer: database, storage and Redis are available."""
    found = await cast("Cached[Ready]", request.app.state.readiness).get()
    if found.status != "ok":
        down = [name for name in ("database", "redis", "storage") if getattr(found, name) != "ok"]
        raise Unavailable(f"Not ready: the {' and '.join(down)} cannot be used now.", code="not_ready")
    return ServerReady()


@router.get(VERSION)
@router.get(MODEL)
def get_inference_model(name: str, request: Request, session: SessionDep, owner: OwnerDep) -> ModelMetadata:
    """Describe a model: its versions and tensors."""
    return served_model(session, owner.owner_id, name, _version(request)).metadata


@router.get(f"{VERSION}/ready")
@router.get(f"{MODEL}/ready")
def get_inference_model_ready(name: str, request: Request, session: SessionDep, owner: OwnerDep) -> ModelReady:
    """Check that a model answers."""
    return ModelReady(name=served_model(session, owner.owner_id, name, _version(request)).found.view.job)


@router.post(f"{VERSION}/infer", response_model_exclude_none=True)
@router.post(f"{MODEL}/infer", response_model_exclude_none=True)
async def infer(
    name: str, request: Request, session: SessionDep, sessions: FactoryDep, owner: OwnerDep, settings: SettingsDep
) -> InferenceResponse:
    """Classify image files by their concepts; the images are not kept."""
    model = await run_in_threadpool(served_model, session, owner.owner_id, name, _version(request))
    found = model.found
    asked = await run_in_threadpool(_parsed, await request.body())
    top = requested_top(asked)
    requested_outputs(asked)
    contents = await run_in_threadpool(images_in, asked)
    predictors.require_predictable(found, len(contents))
    await run_in_threadpool(session.close)  # the images are committed in sessions of their own
    images: list[str] = []
    filenames = [f"image {place}" for place in range(len(contents))]
    try:
        for filename, content in zip(filenames, contents, strict=True):
            images.append(await run_in_threadpool(keep_image, sessions, owner.owner_id, found.view.job, filename, content, settings))
        answer = await ask_worker(request, session, owner.owner_id, "predict", found.about | {"images": images, "top": top})
    finally:
        await admitted_of(request).run(lambda: drop_images(sessions, owner.owner_id, images))
    view = await run_in_threadpool(predictors.predictions_view, session, owner.owner_id, found, filenames, answer)
    outputs = await run_in_threadpool(outputs_of, asked, view.data)
    return InferenceResponse(model_name=found.view.job, model_version=str(found.view.kept), id=asked.id, outputs=outputs)


def _version(request: Request) -> str | None:
    return cast("dict[str, str]", request.path_params).get("version")


def _parsed(body: bytes) -> InferenceRequest:
    try:
        return InferenceRequest.model_validate_json(body)
    except ValidationError as error:
        raise InvalidInput(fault_sentence(error, InferenceRequest), param="body") from error
