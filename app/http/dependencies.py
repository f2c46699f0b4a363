"""FastAPI dependencies: database session of the request, settings, artifact store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, cast

from anyio import CancelScope
from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.db.session import SessionFactory
from app.http.admission.admitted import admitted_of
from app.settings import Settings
from app.storage import ArtifactStore


def session_factory(request: Request) -> SessionFactory:
    return cast("SessionFactory", request.app.state.session_factory)


def settings_of(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def store_of(request: Request) -> ArtifactStore:
    return cast("ArtifactStore", request.app.state.store)


# Coroutines, although they do not wait: FastAPI runs plain functions in the thread pool.
async def _factory(request: Request) -> SessionFactory:
    return session_factory(request)


async def _settings(request: Request) -> Settings:
    return settings_of(request)


async def _store(request: Request) -> ArtifactStore:
    return store_of(request)


async def _request_session(request: Request, factory: FactoryDep) -> AsyncIterator[Session]:
    """One transaction per request, committed after the route function returns and before the response is sent.

    Services flush and do not commit. An exception rolls back. With an Idempotency-Key the session is the one that claimed
    the key (app.http.idempotency), so that the row and the stored response are committed together.
    It has a slot as long as it may hold a connection. Routes that wait do so within `Admitted.paused`, which gives both back.
    """
    shared = cast("Session | None", getattr(request.state, "session", None))
    if shared is not None:
        yield shared
        return
    async with admitted_of(request).slot():
        session = factory()  # connects on first use, so that only commit and close need a thread
        try:
            yield session
        except BaseException:
            with CancelScope(shield=True):  # return the connection even if the request was cancelled
                await run_in_threadpool(session.close)
            raise
        with CancelScope(shield=True):
            await run_in_threadpool(_commit_and_close, session)


def _commit_and_close(session: Session) -> None:
    with session:
        session.commit()


FactoryDep = Annotated[SessionFactory, Depends(_factory)]
SessionDep = Annotated[Session, Depends(_request_session, scope="function")]
SettingsDep = Annotated[Settings, Depends(_settings)]
StoreDep = Annotated[ArtifactStore, Depends(_store)]
