"""Upload one file in parts, in parallel; send only the parts that the service does not have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from iis_client.errors import ConflictError, LocalFileError, NotFoundError
from iis_client.transport.http import READ_TIMEOUT_SECONDS, Transport
from iis_client.transport.messages import parse_answer
from iis_client.transport.packing import file_digest, file_slice
from iis_schemas.uploads import MAX_PARTS, UploadView

PART_BYTES = 16 * 1024 * 1024  # the service accepts up to 64 MiB; smaller parts lose less when a connection breaks
PARALLEL_PARTS = 4
ASSEMBLY_BYTES_PER_SECOND = 20 * 1024 * 1024  # of a slow store; the service reads and hashes the whole file before it answers

UploadProgress = Callable[[int, int], None]  # bytes sent, total bytes


@dataclass(frozen=True)
class Part:
    """A slice of a file; numbers start at 1."""

    number: int
    start: int
    size_bytes: int


def plan_parts(size_bytes: int, part_bytes: int = PART_BYTES) -> list[Part]:
    """Split a file into parts; the same size gives the same parts, so that a later attempt can resume an earlier one."""
    part_bytes = max(part_bytes, -(-size_bytes // MAX_PARTS))
    starts = range(0, size_bytes, part_bytes)
    return [Part(number, start, min(part_bytes, size_bytes - start)) for number, start in enumerate(starts, 1)]


def send_file(transport: Transport, path: Path, progress: UploadProgress | None = None) -> UploadView:
    """Upload a file; known content is not sent again, and of an interrupted upload only the missing parts are sent.

    Raises
    ------
    LocalFileError
        When the file is empty, or changes during the upload.
    """
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise LocalFileError(f"{path} is empty; send a file with content.")
    counter = _ProgressCounter(size_bytes, progress or _ignore_progress)
    parts = plan_parts(size_bytes)
    upload = _open_upload(transport, path, size_bytes, parts)
    if upload.state == "complete":
        counter.add(size_bytes)
        return upload
    received = {part.number for part in upload.parts}
    counter.add(sum(part.size_bytes for part in upload.parts))
    missing = [part for part in parts if part.number not in received]
    with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
        futures = [pool.submit(_send_part, transport, upload.id, path, part, counter) for part in missing]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    seconds = READ_TIMEOUT_SECONDS + size_bytes / ASSEMBLY_BYTES_PER_SECOND
    response = transport.send("POST", f"/v1/uploads/{upload.id}/complete", read_timeout_seconds=seconds)
    return parse_answer(UploadView, response.json())


def _open_upload(transport: Transport, path: Path, size_bytes: int, parts: list[Part]) -> UploadView:
    """The open upload of an earlier attempt with the same content, or a new one.

    The `Idempotency-Key` is derived from the content, so the service answers with the earlier upload for as long as it keeps it.
    """
    declared = {"filename": path.name, "size_bytes": size_bytes, "sha256": file_digest(path)}
    key = sha256(f"upload {declared['sha256']} {size_bytes} {path.name}".encode()).hexdigest()
    response = transport.send("POST", "/v1/uploads", json=declared, headers={"Idempotency-Key": key})
    upload = parse_answer(UploadView, response.json())
    if "Idempotency-Replayed" not in response.headers:
        return upload
    try:
        upload = parse_answer(UploadView, transport.send("GET", f"/v1/uploads/{upload.id}").json())
        if upload.state == "complete" or _has_same_parts(upload, parts):
            return upload
        transport.send("DELETE", f"/v1/uploads/{upload.id}")
    except (NotFoundError, ConflictError):  # it has expired in the meantime
        pass
    return parse_answer(UploadView, transport.send("POST", "/v1/uploads", json=declared).json())


def _has_same_parts(upload: UploadView, parts: list[Part]) -> bool:
    planned = {part.number: part.size_bytes for part in parts}
    return all(planned.get(part.number) == part.size_bytes for part in upload.parts)


def _send_part(transport: Transport, upload: str, path: Path, part: Part, counter: _ProgressCounter) -> None:
    sent_bytes = 0

    def on_chunk(size_bytes: int) -> None:
        nonlocal sent_bytes
        sent_bytes += size_bytes
        counter.add(size_bytes)

    def body() -> Iterator[bytes]:
        nonlocal sent_bytes
        counter.add(-sent_bytes)  # a retry sends the part from its start
        sent_bytes = 0
        return file_slice(path, part.start, part.size_bytes, on_chunk)

    headers = {"Content-Length": str(part.size_bytes), "Content-Type": "application/octet-stream"}
    transport.send("PUT", f"/v1/uploads/{upload}/parts/{part.number}", body=body, headers=headers)


class _ProgressCounter:
    """Sum of the bytes that several threads have sent; reports each change."""

    def __init__(self, total_bytes: int, progress: UploadProgress) -> None:
        self._total_bytes = total_bytes
        self._progress = progress
        self._sent_bytes = 0
        self._lock = threading.Lock()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._sent_bytes += size_bytes
            self._progress(self._sent_bytes, self._total_bytes)


def _ignore_progress(_sent_bytes: int, _total_bytes: int) -> None:
    return
