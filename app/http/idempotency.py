"""`Idempotency-Key` on POST: store the first response and replay it for repeated requests. Use `route_class=IdempotentRoute` in a router.

Claim, work and stored response are one transaction: a crash leaves all three or none. A route that waits for a worker commits its claim
first, so that it holds no connection while it waits (`WaitingIdempotentRoute`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import cast

from anyio import CancelScope
from fastapi import Request, Response
from python_multipart.multipart import parse_options_header
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from app.db.models import IdempotencyRecord
from app.db.row_limits import require_room_for_idempotency_keys
from app.errors import Conflict, InvalidInput
from app.http.admission.admitted import admitted_of
from app.http.auth import Owner
from app.http.dependencies import session_factory, settings_of
from app.http.routes import AuthenticatedRoute, Handler
from app.settings import Settings

# Own implementation because a middleware with its own store cannot share this transaction (docs/decisions/0005-own-implementations.md).

MAX_KEY_CHARACTERS = 255
STORED_HEADERS = ("content-type", "location", "etag", "retry-after")
REPLAYED_HEADER = "Idempotency-Replayed"
CLAIM_EXPIRY_TIMEOUTS = 2  # multiples of the answer timeout after which a claim without a response is abandoned


class IdempotentRoute(AuthenticatedRoute):
    """Route whose POSTs honour `Idempotency-Key`; other requests pass through.

    Only 2xx responses are stored: a refused request can be corrected and sent again with the same key.
    A route whose response contains a secret sets `request.state.replay_body` (bytes) to the body to store instead.
    """

    async def answer(self, request: Request, original: Handler) -> Response:
        key = request.headers.get("idempotency-key")
        if request.method != "POST" or key is None:
            return await original(request)
        return await self._handle_once(request, key, original)

    async def _handle_once(self, request: Request, key: str, original: Handler) -> Response:
        return await _in_one_transaction(request, key, original)


class WaitingIdempotentRoute(IdempotentRoute):
    """Idempotent route that waits for a worker's answer: commits the claim before the wait and releases it if the request is refused.

    After a crash during the wait the key stays claimed (409) until the claim expires.
    """

    async def _handle_once(self, request: Request, key: str, original: Handler) -> Response:
        return await _with_committed_claim(request, key, original)


async def _in_one_transaction(request: Request, key: str, original: Handler) -> Response:
    _require_key(key)
    settings, owner = settings_of(request), cast("Owner", request.state.owner)
    digest = _request_digest(request, await request.body())
    async with admitted_of(request).slot():
        session = session_factory(request)()
        try:
            kept = await run_in_threadpool(_claim, session, owner, key, digest, settings)
            if kept is not None:
                return kept
            request.state.session = session
            response = await original(request)
            await run_in_threadpool(_keep, session, owner, key, response, _body_to_store(request, response))
            return response
        finally:
            with CancelScope(shield=True):
                await run_in_threadpool(session.close)


async def _with_committed_claim(request: Request, key: str, original: Handler) -> Response:
    _require_key(key)
    admitted, owner, body = admitted_of(request), cast("Owner", request.state.owner), await request.body()
    kept = await admitted.run(lambda: _claim_and_commit(request, owner, key, body))
    if kept is not None:
        return kept
    try:
        response = await original(request)
    except Exception:
        await admitted.run(lambda: _release(request, owner, key))
        raise
    await admitted.run(lambda: _keep_in_own_session(request, owner, key, response))
    return response


def _require_key(key: str) -> None:
    if not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidInput(f"Idempotency-Key must have 1 to {MAX_KEY_CHARACTERS} characters.", param="Idempotency-Key")


def _claim_and_commit(request: Request, owner: Owner, key: str, body: bytes) -> Response | None:
    settings = settings_of(request)
    with session_factory(request)() as session:
        record = session.get(IdempotencyRecord, (owner.owner_id, key))
        abandoned = datetime.now(UTC) - timedelta(seconds=CLAIM_EXPIRY_TIMEOUTS * settings.answer_timeout_seconds)
        if record is not None and record.response_status is None and record.created_at < abandoned:
            session.delete(record)
            session.flush()
        kept = _claim(session, owner, key, _request_digest(request, body), settings)
        session.commit()
        return kept


def _release(request: Request, owner: Owner, key: str) -> None:
    with session_factory(request).begin() as session:
        record = session.get(IdempotencyRecord, (owner.owner_id, key))
        if record is not None:
            session.delete(record)


def _request_digest(request: Request, body: bytes) -> str:
    content = canonical_content(request.headers.get("content-type"), body)
    parts = (request.method.encode(), request.url.path.encode(), request.url.query.encode(), content)
    return sha256(b"\0".join(parts)).hexdigest()


def canonical_content(content_type: str | None, body: bytes) -> bytes:
    """Body without its multipart boundary, which clients choose at random: the concatenated hashes of the parts. Other bodies unchanged."""
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not media_type.startswith(b"multipart/") or not boundary:
        return body
    return b"".join(sha256(piece).digest() for piece in body.split(b"--" + boundary))


def _claim(session: Session, owner: Owner, key: str, digest: str, settings: Settings) -> Response | None:
    """Claim the key in this transaction, or return the stored response.

    Raises
    ------
    Conflict
        If a request with this key is in flight.
    InvalidInput
        If the key was used for another request.
    QuotaExceeded
        If too many answers are kept for the owner.
    """
    lock = func.hashtextextended(f"idempotency {owner.owner_id} {key}", 0)
    if not session.scalar(select(func.pg_try_advisory_xact_lock(lock))):
        raise _in_flight()
    record = session.get(IdempotencyRecord, (owner.owner_id, key))
    oldest = datetime.now(UTC) - timedelta(seconds=settings.idempotency_expiry_seconds)
    if record is not None and record.created_at < oldest:
        session.delete(record)
        session.flush()
        record = None
    if record is None:
        require_room_for_idempotency_keys(session, owner.owner_id)
        session.add(IdempotencyRecord(owner_id=owner.owner_id, key=key, request_digest=digest))
        session.flush()
        return None
    if record.request_digest != digest:
        raise InvalidInput(
            "This Idempotency-Key was used for another request; use a new key for a new request.",
            code="idempotency_key_reused",
            param="Idempotency-Key",
        )
    if record.response_status is None:
        raise _in_flight()
    headers = {str(name): str(value) for name, value in (record.response_headers or {}).items()}
    return Response((record.response_body or "").encode(), record.response_status, {**headers, REPLAYED_HEADER: "true"})


def _keep_in_own_session(request: Request, owner: Owner, key: str, response: Response) -> None:
    with session_factory(request)() as session:
        _keep(session, owner, key, response, _body_to_store(request, response))


def _body_to_store(request: Request, response: Response) -> bytes:
    return getattr(request.state, "replay_body", None) or bytes(response.body)


def _keep(session: Session, owner: Owner, key: str, response: Response, body: bytes) -> None:
    record = session.get(IdempotencyRecord, (owner.owner_id, key))
    if record is not None:
        record.response_status = response.status_code
        record.response_headers = {name: response.headers[name] for name in STORED_HEADERS if name in response.headers}
        record.response_body = body.decode()
    session.commit()


def _in_flight() -> Conflict:
    return Conflict("A request with this Idempotency-Key is still in progress.", code="idempotency_in_flight", retry_after_seconds=1)
