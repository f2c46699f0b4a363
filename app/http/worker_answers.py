"""Queries that a worker answers within a request, which holds no connection and no slot meanwhile."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from sqlalchemy.orm import Session

from app.http.admission.admitted import admitted_of
from app.http.dependencies import settings_of
from app.worker_queries import query_worker


async def ask_worker(request: Request, session: Session, owner_id: str, kind: str, about: dict[str, Any]) -> dict[str, Any]:
    """`query_worker`, with the session of the request closed during the wait; it is usable again afterwards."""
    admitted = admitted_of(request)
    async with admitted.paused(session):
        return await admitted.shutdown.answer_in_time(query_worker(settings_of(request), owner_id, kind, about))
