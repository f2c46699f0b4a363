"""Rules of uploads: declaration, parts, completion and use. `app.storage.upload_expiry` deletes expired uploads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from app.db.ids import new_id
from app.db.models import Upload, UploadPart
from app.db.row_limits import require_room_for_uploads
from app.db.session import after_commit, let_idle
from app.errors import Conflict, InvalidInput, TooLarge
from app.quotas.service import require_bytes, require_room_for_upload
from app.settings import Settings
from app.storage import ArtifactMissing, ArtifactStore, ContentMismatch, StorageUnavailable, record_blob
from app.uploads.receiving import Received
from app.uploads.repository import UploadRepository
from iis_schemas.uploads import UploadCreate, bare_filename

NAMED_NUMBERS = 5

log = structlog.get_logger(__name__)


def create_upload(session: Session, owner_id: str, declared: UploadCreate, settings: Settings) -> Upload:
    """Open an upload; it is complete at once where this owner has uploaded the same content before.

    Raises
    ------
    TooLarge
    QuotaExceeded
        When the owner has no room for it.
    """
    if declared.size_bytes > settings.upload_max_bytes:
        raise TooLarge(f"An upload may have at most {settings.upload_max_bytes} bytes.", param="size_bytes")
    require_room_for_uploads(session, owner_id)
    uploads = UploadRepository(session, owner_id)
    known = uploads.find_complete(declared.sha256, declared.size_bytes)
    if known is None:
        require_room_for_upload(session, owner_id, declared.size_bytes, settings, parts_to_come=True)
    upload = _new_upload(owner_id, declared.filename, declared.size_bytes, declared.sha256, settings)
    if known is not None:
        _finish(upload, settings)
    return uploads.add(upload)


def create_small_upload(
    session: Session,
    store: ArtifactStore,
    owner_id: str,
    filename: str,
    size_bytes: int,
    chunks: Iterable[bytes],
    sha256: str | None,
    settings: Settings,
) -> Upload:
    """Store a small file in one request.

    Raises
    ------
    InvalidInput
        For an empty file, or when the content is not what `sha256` promised; nothing is kept.
    QuotaExceeded
        When the owner has no room for it.
    """
    require_room_for_uploads(session, owner_id)
    uploads = UploadRepository(session, owner_id)
    if sha256 is None or uploads.find_complete(sha256, size_bytes) is None:
        require_bytes(session, owner_id, size_bytes, settings)  # before the bytes are stored
    digest, size_bytes = store.put_chunks(_checked(chunks, sha256, settings.small_upload_max_bytes))
    if uploads.find_complete(digest, size_bytes) is None:
        require_room_for_upload(session, owner_id, size_bytes, settings, parts_to_come=False)
    _record_content(session, store, digest, size_bytes)
    upload = _new_upload(owner_id, bare_filename(filename), size_bytes, digest, settings)
    _finish(upload, settings)
    return uploads.add(upload)


def require_open(session: Session, owner_id: str, upload_id: str) -> Upload:
    """The upload, if it is open."""
    upload = UploadRepository(session, owner_id).get(upload_id)
    if upload.state != "open":
        raise Conflict(f"Upload {upload_id} is complete; create another upload for other content.", code="upload_complete")
    if upload.expires_at < datetime.now(UTC):
        raise Conflict(f"Upload {upload_id} has expired; create a new one.", code="upload_expired")
    return upload


def keep_part(
    session: Session, store: ArtifactStore, owner_id: str, upload_id: str, number: int, received: Received, settings: Settings
) -> UploadPart:
    """Store a part; a part of the same number is replaced.

    Parts are stored at the same time and counted one after the other: one that goes beyond the declared size is removed again.

    Raises
    ------
    InvalidInput
        For an empty part, one that goes beyond the declared size, or a second one below the least size.
    Conflict
        When the upload was completed, has expired, or is being completed now.
    """
    uploads = UploadRepository(session, owner_id)
    require_open(session, owner_id, upload_id)
    upload = uploads.lock_for_part(upload_id)
    if upload is None or upload.state != "open":
        raise _being_completed(upload_id)
    if received.size_bytes == 0:
        raise InvalidInput(f"Part {number} is empty; send its bytes as the body.", code="part_empty")
    _require_room(uploads, upload, number, received, settings.least_part_bytes)
    store.put_part(upload_id, number, received.path, received.sha256)
    uploads.lock_count(upload)
    try:
        _require_room(uploads, upload, number, received, settings.least_part_bytes)
    except InvalidInput:
        if all((part.number, part.sha256) != (number, received.sha256) for part in uploads.parts(upload)):
            _remove_parts(upload_id, lambda: store.delete_part(upload_id, number, received.sha256))
        raise
    part, replaced = uploads.put_part(upload, number, received.size_bytes, received.sha256)
    if replaced is not None:
        _remove_after_commit(session, upload_id, lambda: store.delete_part(upload_id, number, replaced))
    return part


def _require_room(uploads: UploadRepository, upload: Upload, number: int, received: Received, least_bytes: int) -> None:
    others_bytes, small_parts = uploads.other_parts(upload, number, least_bytes)
    total = others_bytes + received.size_bytes
    if total > upload.size_bytes:
        raise InvalidInput(
            f"With part {number} the upload would have {total} bytes, but {upload.size_bytes} were declared.", code="size_mismatch"
        )
    if received.size_bytes < least_bytes and small_parts:
        raise InvalidInput(
            f"Part {number} has {received.size_bytes} bytes; all parts of an upload but one must have at least {least_bytes}.",
            code="part_too_small",
        )


def complete_upload(session: Session, store: ArtifactStore, owner_id: str, upload_id: str, settings: Settings) -> Upload:
    """Join the parts and verify size and sha256; completing twice changes nothing.

    Raises
    ------
    InvalidInput
        When parts are missing or the whole has another size or sha256. The parts stay, so that they can be sent again.
    Conflict
        While another request completes it, or after it expired.
    """
    uploads = UploadRepository(session, owner_id)
    upload = uploads.get(upload_id)
    if upload.state == "complete":
        return upload
    require_open(session, owner_id, upload_id)
    upload = uploads.lock(upload_id)
    if upload is None:
        raise _being_completed(upload_id)
    if upload.state == "complete":
        return upload
    let_idle(session)
    parts = uploads.parts(upload)
    _require_whole(upload, parts)
    try:
        store.put_chunks(_joined(store, parts), expected=(upload.sha256, upload.size_bytes))
    except ContentMismatch as mismatch:
        raise _sha256_mismatch(mismatch.sha256, upload.sha256) from mismatch
    _record_content(session, store, upload.sha256, upload.size_bytes)
    uploads.delete_parts(upload)
    _finish(upload, settings)
    session.flush()
    _remove_after_commit(session, upload_id, lambda: store.delete_parts(upload_id))
    return upload


def abandon_upload(session: Session, store: ArtifactStore, owner_id: str, upload_id: str) -> None:
    """Delete an unused upload with its parts; complete content is deleted when nothing else refers to it.

    Raises
    ------
    Conflict
        When it is being completed, or something was made of it.
    """
    uploads = UploadRepository(session, owner_id)
    uploads.get(upload_id)
    upload = uploads.lock(upload_id)
    if upload is None:
        raise _being_completed(upload_id)
    if upload.state == "complete" and uploads.is_used(upload):
        raise Conflict(
            f"Upload {upload_id} is in use by a model, a data set or an unfinished job; delete that first.",
            code="upload_in_use",
        )
    uploads.delete(upload)
    _remove_after_commit(session, upload_id, lambda: store.delete_parts(upload_id))


def require_complete(session: Session, owner_id: str, upload_id: str, param: str = "upload") -> Upload:
    """A complete upload that a request names in the field `param`, locked until the commit."""
    upload = UploadRepository(session, owner_id).hold(upload_id)
    if upload.state != "complete":
        raise Conflict(
            f"Upload {upload_id} is not complete; send its parts and POST to {upload_id}/complete first.",
            code="upload_open",
            param=param,
        )
    return upload


def _remove_after_commit(session: Session, upload_id: str, remove: Callable[[], None]) -> None:
    after_commit(session, lambda: _remove_parts(upload_id, remove))


def _remove_parts(upload_id: str, remove: Callable[[], None]) -> None:
    """Remove parts that no row refers to. `app.storage.upload_expiry` removes later what storage fails to remove now."""
    try:
        remove()
    except StorageUnavailable as error:
        log.warning("parts_left_behind", upload_id=upload_id, error=str(error))


def _record_content(session: Session, store: ArtifactStore, sha256: str, size_bytes: int) -> None:
    """Add a row for content that was just stored; raise where it was collected in between."""
    record_blob(session, sha256, size_bytes)
    if not store.exists(sha256):
        raise StorageUnavailable("The content was collected while it was stored.")


def _new_upload(owner_id: str, filename: str, size_bytes: int, sha256: str, settings: Settings) -> Upload:
    now = datetime.now(UTC)
    return Upload(
        id=new_id("upload"),
        owner_id=owner_id,
        filename=filename,
        size_bytes=size_bytes,
        sha256=sha256,
        state="open",
        created_at=now,
        expires_at=now + timedelta(seconds=settings.upload_expiry_seconds),
    )


def _finish(upload: Upload, settings: Settings) -> None:
    upload.state = "complete"
    now = datetime.now(UTC)
    upload.completed_at = now
    upload.expires_at = now + timedelta(seconds=settings.upload_expiry_seconds)


def _require_whole(upload: Upload, parts: Sequence[UploadPart]) -> None:
    numbers = {part.number for part in parts}
    missing = [number for number in range(1, max(numbers, default=1) + 1) if number not in numbers]
    if missing:
        named = ", ".join(map(str, missing[:NAMED_NUMBERS])) + (" and more" if len(missing) > NAMED_NUMBERS else "")
        raise InvalidInput(f"Part {named} is missing; send it and complete the upload again.", code="parts_missing")
    size_bytes = sum(part.size_bytes for part in parts)
    if size_bytes != upload.size_bytes:
        raise InvalidInput(
            f"The parts have {size_bytes} bytes together, but {upload.size_bytes} were declared; send what is missing.",
            code="size_mismatch",
        )


def _joined(store: ArtifactStore, parts: Sequence[UploadPart]) -> Iterator[bytes]:
    for part in parts:
        try:
            yield from store.read_part(part.upload_id, part.number, part.sha256)
        except ArtifactMissing as error:
            raise InvalidInput(f"Part {part.number} was lost; send it again and complete the upload.", code="parts_missing") from error


def _checked(chunks: Iterable[bytes], sha256: str | None, max_bytes: int) -> Iterator[bytes]:
    """Pass the content on, and raise at its end, before it is stored, where it is empty, too long or differs from its sha256."""
    digest, size_bytes = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size_bytes += len(chunk)
        if size_bytes > max_bytes:
            raise TooLarge(f"A one-shot upload may have at most {max_bytes} bytes; send larger files in parts.", param="file")
        yield chunk
    if size_bytes == 0:
        raise InvalidInput("The file is empty.", param="file")
    if sha256 is not None and digest.hexdigest() != sha256:
        raise _sha256_mismatch(digest.hexdigest(), sha256)


def _sha256_mismatch(found: str, declared: str) -> InvalidInput:
    return InvalidInput(
        f"The content has sha256 {found}, but {declared} was declared; send the damaged parts again, or create another upload.",
        code="sha256_mismatch",
        param="sha256",
    )


def _being_completed(upload_id: str) -> Conflict:
    return Conflict(f"Upload {upload_id} is being completed; try again in a moment.", code="upload_busy", retry_after_seconds=2)
