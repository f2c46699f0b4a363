"""Build the OpenAPI 3.1 document. Examples are beside the schemas; `app.openapi_document` prints it."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.http.scopes import in_order, needed_scopes
from iis_schemas.problems import Problem

TAGS = {
    "uploads": "Upload files in parts, in parallel and resumable; models, data sets and concept sets are made of them.",
    "models": "Register networks: an architecture with its weights. A worker checks each before it is used.",
    "datasets": "Register labelled images, or ready feature matrices.",
    "concept-sets": "Phrases that text libraries are made of and that concepts are named by, in versions.",
    "jobs": "Submit, follow and cancel jobs: scores, batches of explanations, and fine-tuning.",
    "events": "The history of a job, as pages or as a stream.",
    "results": "Reports, ARR curves and plots of jobs that have succeeded.",
    "explanations": "Explain single images: contributions of concepts, heat maps, interventions.",
    "batches": "The rows of explain jobs: explanations of many images.",
    "figures": "Explanations, classes and concepts drawn as figures.",
    "profiles": "The classes and the concepts of a scored job over all test images.",
    "predictors": "The sparse heads of scored jobs as classifiers.",
    "concept-libraries": "Concept libraries fitted to one model: vectors, names and exemplars.",
    "studies": "Grids of score jobs with their statistics and figures.",
    "shares": "Links that show one result, concept, image or study without an API key; they expire, and can be revoked.",
    "leaderboard": "Models that were scored alike, ranked by IIS.",
    "api-keys": "Create, rotate and revoke the API keys of an owner.",
    "webhooks": "Send events to an address of yours, signed by the Standard Webhooks scheme.",
    "quotas": "Limits of an owner, and their use.",
    "health": "Liveness, readiness and metrics.",
}


def install_openapi(app: FastAPI) -> None:
    """Make `app.openapi()` complete; the document is built on first request and kept."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = document


def operation_id(route: APIRoute) -> str:
    """The operation id of a route: the name of its function in lowerCamelCase, such as getJobResult for get_job_result."""
    first, *others = route.name.split("_")
    return first + "".join(word.capitalize() for word in others)


def _build(app: FastAPI) -> dict[str, Any]:
    tags = [{"name": name, "description": sentence} for name, sentence in TAGS.items()]
    document = get_openapi(title=app.title, version=app.version, openapi_version="3.1.0", routes=app.routes, tags=tags)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            _split_description(operation)
            needed = in_order(needed_scopes(method.upper(), path))
            operation["security"] = [dict.fromkeys(choice, needed) for choice in operation.get("security", [])]
    return document


def _split_description(operation: dict[str, Any]) -> None:
    """The first paragraph of a docstring is the summary, the others are the description."""
    summary, _, description = operation.pop("description", "").partition("\n\n")
    operation["summary"] = " ".join(summary.split())
    if description:
        operation["description"] = " ".join(description.split())
