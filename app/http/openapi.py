"""The OpenAPI 3.1 document: the problem schema that every refusal refers to, and the scope that each operation needs of a key.

Examples live beside the schemas they show."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.http.scopes import needed_scope
from iis_schemas.problems import Problem


def install_openapi(app: FastAPI) -> None:
    """Make `app.http.openapi()` complete; it is built on first request and kept."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _build(app)
        return app.openapi_schema

    app.openapi = document


def _build(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, openapi_version="3.1.0", routes=app.routes)
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(problem.pop("$defs", {}))
    schemas["Problem"] = problem
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            needed = needed_scope(method.upper(), path)
            operation["security"] = [{scheme: [needed] for scheme in choice} for choice in operation.get("security", [])]
    return document
