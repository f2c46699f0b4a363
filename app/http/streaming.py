"""Stream stored content to a client in constant memory, with its sha256 as ETag. The caller checks access."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from app.http.caching import matches
from app.storage import ArtifactStore

CHUNK_BYTES = 1 << 18


def deliver(
    request: Request, store: ArtifactStore, sha256: str, *, media_type: str, filename: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Response with the content under `sha256`; 304 without reading storage if If-None-Match contains its ETag."""
    etag = f'"{sha256}"'
    fields = {"ETag": etag, "Cache-Control": "private, max-age=86400, immutable", **(headers or {})}
    if matches(request, etag):
        return Response(status_code=304, headers=fields)
    fields["Content-Disposition"] = f'inline; filename="{filename}"'
    fields["X-Content-Type-Options"] = "nosniff"
    return StreamingResponse(_chunks(store.open(sha256)), media_type=media_type, headers=fields)


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
