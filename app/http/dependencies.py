"""What routes are given: the request's session, the settings, the artifact store. Made once by create_app, lent per request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, cast

from anyio import CancelScope
from fastapi import Depends, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.db.session import SessionFactory
from app.settings import Settings
from app.storage import ArtifactStore


def session_factory(request: Request) -> SessionFactory:
    return cast("SessionFactory", request.app.state.session_factory)


def settings_of(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def store_of(request: Request) -> ArtifactStore:
    return cast("ArtifactStore", request.app.state.store)


# Dependencies that only look something up are coroutines: a plain function would cost a trip through the thread pool each.
async def _factory(request: Request) -> SessionFactory:
    return session_factory(request)


async def _settings(request: Request) -> Settings:
    return settings_of(request)


async def _store(request: Request) -> ArtifactStore:
    return store_of(request)


async def _request_session(request: Request, factory: FactoryDep) -> AsyncIterator[Session]:
    """One transaction per request, committed when the route's function has returned and before the response is sent.

    Services flush; they do not commit. An exception rolls back. Under an Idempotency-Key the session is the one in which
    the key was claimed (app.http.idempotency), so that the row and the stored response are committed together.
    A route that waits or streams calls `session.close()` first: it gives the connection back and may be used again.
    """
    shared = cast("Session | None", getattr(request.state, "session", None))
    if shared is not None:
        yield shared
        return
    session = factory()  # connects when it is first used, so that only its end needs a thread
    try:
        yield session
    except BaseException:
        with CancelScope(shield=True):  # whoever went away must not take the connection along
            await run_in_threadpool(session.close)
        raise
    await run_in_threadpool(_commit_and_close, session)


def _commit_and_close(session: Session) -> None:
    with session:
        session.commit()


def let_go(request: Request, session: Session) -> None:
    """Give the connection back before a wait, unless a claimed Idempotency-Key must be committed with what follows."""
    if getattr(request.state, "session", None) is None:
        session.close()


FactoryDep = Annotated[SessionFactory, Depends(_factory)]
SessionDep = Annotated[Session, Depends(_request_session, scope="function")]
SettingsDep = Annotated[Settings, Depends(_settings)]
StoreDep = Annotated[ArtifactStore, Depends(_store)]
