"""Answers to registrations of models and data sets: a new row, or the one that has the same content and settings."""

from __future__ import annotations

from fastapi import Response

from app.validation import RETRY_AFTER_SECONDS
from iis_schemas.datasets import DatasetView
from iis_schemas.models import ModelView


def registered(view: ModelView | DatasetView, *, is_new: bool) -> Response:
    """201 for a new row, 200 for a known one, with its address."""
    headers = {"Location": view.links["self"]}
    if view.state == "pending":
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return Response(view.model_dump_json(), 201 if is_new else 200, headers, media_type="application/json")
