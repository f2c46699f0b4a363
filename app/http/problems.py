"""Error responses as application/problem+json (RFC 9457), built from the exceptions of app.errors."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

from app.db.session import is_outage
from app.errors import ApiError, Conflict, Forbidden, InvalidInput, NotFound, TooLarge, TooManyRequests, Unauthorized, Unavailable
from app.storage import StorageUnavailable
from iis_schemas.problems import PROBLEM_MEDIA_TYPE, TYPE_PREFIX, FieldError, Problem

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
CODES = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}

log = structlog.get_logger(__name__)


def problem_responses(*errors: type[ApiError]) -> dict[int | str, dict[str, Any]]:
    """Value of a route's `responses=` for the errors that it raises."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {error.status: {"description": error.title, "content": content} for error in errors}


COMMON_RESPONSES = problem_responses(Unauthorized, Forbidden, InvalidInput, TooManyRequests, Unavailable)
RESOURCE_RESPONSES = {**COMMON_RESPONSES, **problem_responses(NotFound)}
CREATION_RESPONSES = {**RESOURCE_RESPONSES, **problem_responses(Conflict, TooLarge)}


def problem_response(
    request_id: str,
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Build one problem response."""
    problem = Problem(
        type=TYPE_PREFIX + code, title=title, status=status, detail=detail, code=code, request_id=request_id, errors=errors or []
    )
    return JSONResponse(problem.model_dump(), status, headers, media_type=PROBLEM_MEDIA_TYPE)


def install_problem_handlers(app: FastAPI) -> None:
    """Register handlers that turn exceptions into problem responses; app.http.middleware answers unhandled ones with 500."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(StorageUnavailable, _storage_error)
    app.add_exception_handler(PoolTimeout, _database_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(UnicodeEncodeError, _unencodable_text)


def request_id_of(request: Request) -> str:
    return cast("str", getattr(request.state, "request_id", ""))


def api_error_response(request_id: str, error: ApiError) -> JSONResponse:
    """Problem response for an ApiError."""
    headers: dict[str, str] = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    errors = [FieldError(param=error.param, message=error.detail, code=error.code)] if error.param else []
    return problem_response(request_id, error.status, error.code, error.title, error.detail, errors=errors, headers=headers)


def _api_error(request: Request, error: Exception) -> JSONResponse:
    return api_error_response(request_id_of(request), cast("ApiError", error))


def _http_exception(request: Request, error: Exception) -> JSONResponse:
    refusal = cast("HTTPException", error)
    if isinstance(refusal.__cause__, ApiError):  # raised while FastAPI read the body
        return _api_error(request, refusal.__cause__)
    if refusal.status_code == HTTPStatus.BAD_REQUEST:  # FastAPI's status for a body that is not valid JSON or form data
        return _api_error(request, InvalidInput("The body cannot be parsed as its Content-Type.", param="body"))
    title = HTTPStatus(refusal.status_code).phrase
    code = CODES.get(refusal.status_code, title.lower().replace(" ", "_"))
    detail, headers = str(refusal.detail), dict(refusal.headers or {})
    if refusal.status_code == HTTPStatus.NOT_FOUND:
        detail = f"{request.url.path} does not exist."
    elif refusal.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"{request.url.path} does not support {request.method}."
        headers["Allow"] = ", ".join(_allowed_methods(request))
    return problem_response(request_id_of(request), refusal.status_code, code, title, detail, headers=headers)


def _allowed_methods(request: Request) -> list[str]:
    """Methods of all routes at this path; Starlette reports those of the first route only.

    If the OpenAPI document lists the literal path, routes that would match its last segment as an id do not count.
    """
    documented: dict[str, Any] | None = request.app.openapi()["paths"].get(request.url.path)
    if documented is not None:
        return sorted(method.upper() for method in documented)
    routes = cast("list[BaseRoute]", request.app.routes)
    scope = {name: request.scope[name] for name in ("type", "path", "root_path", "headers")}
    return [method for method in METHODS if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)]


def _validation_error(request: Request, error: Exception) -> JSONResponse:
    errors = [
        FieldError(param=".".join(str(part) for part in found["loc"] if part != "body") or "body", message=found["msg"], code=found["type"])
        for found in cast("RequestValidationError", error).errors()
    ]
    detail = "; ".join(f"{one.param}: {one.message}" for one in errors[:3])
    return problem_response(request_id_of(request), 422, InvalidInput.code, InvalidInput.title, detail, errors=errors)


def _storage_error(request: Request, error: Exception) -> JSONResponse:
    log.error("storage_unavailable", error=str(error))
    return _api_error(request, Unavailable("Artifact storage does not answer; try again shortly.", code="storage_unavailable"))


def _unencodable_text(request: Request, error: Exception) -> JSONResponse:
    """JSON can escape half of a surrogate pair, which is no character and cannot be stored or sent."""
    if "surrogates not allowed" not in str(error):
        raise error
    return _api_error(
        request, InvalidInput("The request contains half of a surrogate pair (\\ud800 to \\udfff), which is not a character.")
    )


def _database_error(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DataError):
        detail = "The request contains a character or number that cannot be stored, such as NUL."
        return _api_error(request, InvalidInput(detail))
    if not is_outage(error):
        raise error
    log.error("database_unavailable", error=type(error).__name__, detail=str(getattr(error, "orig", error)))
    return _api_error(request, Unavailable("The database does not answer; try again shortly.", code="database_unavailable"))
