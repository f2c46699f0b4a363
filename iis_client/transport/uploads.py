"""One file into the service: in parts, in parallel, and only those that are not there yet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import cast

from iis_client.errors import ConflictError, LocalFileError, NotFoundError
from iis_client.transport.http import READ_TIMEOUT_SECONDS, Transport
from iis_client.transport.packing import file_digest, file_slice
from iis_client.types.scores import Upload

PART_BYTES = 16 * 1024 * 1024  # the service takes up to 64 MiB; smaller parts lose less when a connection breaks
MAX_PARTS = 10_000
PARALLEL_PARTS = 4
JOINED_BYTES_PER_SECOND = 20 * 1024 * 1024  # of a slow store; the service reads and hashes the whole file before it answers

UploadProgress = Callable[[int, int], None]  # bytes there, bytes in all


@dataclass(frozen=True)
class Part:
    """A slice of a file; numbers begin with 1."""

    number: int
    start: int
    size_bytes: int


def plan_parts(size_bytes: int, part_bytes: int = PART_BYTES) -> list[Part]:
    """Cut a file into parts, always the same way for the same size, so that a later attempt fits what an earlier one sent."""
    part_bytes = max(part_bytes, -(-size_bytes // MAX_PARTS))
    starts = range(0, size_bytes, part_bytes)
    return [Part(number, start, min(part_bytes, size_bytes - start)) for number, start in enumerate(starts, 1)]


def send_file(transport: Transport, path: Path, progress: UploadProgress | None = None) -> Upload:
    """Upload a file. Content that was sent before is not sent again; of an attempt that broke off only the missing parts are.

    Raises
    ------
    LocalFileError
        For an empty file, or one that changes while it is sent.
    """
    size_bytes = path.stat().st_size
    if size_bytes == 0:
        raise LocalFileError(f"{path} is empty; send a file with content.")
    tell = _Tally(size_bytes, progress or _quiet)
    parts = plan_parts(size_bytes)
    upload = _open_upload(transport, path, size_bytes, parts)
    if upload["state"] == "complete":
        tell.add(size_bytes)
        return upload
    there = {part["number"] for part in upload["parts"]}
    tell.add(sum(part["size_bytes"] for part in upload["parts"]))
    missing = [part for part in parts if part.number not in there]
    with ThreadPoolExecutor(PARALLEL_PARTS) as pool:
        sent = [pool.submit(_send_part, transport, upload["id"], path, part, tell) for part in missing]
        try:
            for one in sent:
                one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    seconds = READ_TIMEOUT_SECONDS + size_bytes / JOINED_BYTES_PER_SECOND
    return cast("Upload", transport.send("POST", f"/v1/uploads/{upload['id']}/complete", read_timeout_seconds=seconds).json())


def _open_upload(transport: Transport, path: Path, size_bytes: int, parts: list[Part]) -> Upload:
    """The upload that an earlier attempt with the same content left open, or a new one.

    The `Idempotency-Key` is made from the content, so the service itself answers with the earlier one for as long as it keeps it.
    """
    declared = {"filename": path.name, "size_bytes": size_bytes, "sha256": file_digest(path)}
    key = sha256(f"upload {declared['sha256']} {size_bytes} {path.name}".encode()).hexdigest()
    response = transport.send("POST", "/v1/uploads", json=declared, headers={"Idempotency-Key": key})
    upload = cast("Upload", response.json())
    if "Idempotency-Replayed" not in response.headers:
        return upload
    try:
        upload = cast("Upload", transport.send("GET", f"/v1/uploads/{upload['id']}").json())
        if upload["state"] == "complete" or _fits(upload, parts):
            return upload
        transport.send("DELETE", f"/v1/uploads/{upload['id']}")
    except (NotFoundError, ConflictError):  # it has expired in the meantime
        pass
    return cast("Upload", transport.send("POST", "/v1/uploads", json=declared).json())


def _fits(upload: Upload, parts: list[Part]) -> bool:
    planned = {part.number: part.size_bytes for part in parts}
    return all(planned.get(part["number"]) == part["size_bytes"] for part in upload["parts"])


def _send_part(transport: Transport, upload: str, path: Path, part: Part, tell: _Tally) -> None:
    for_this_part = 0

    def sent(size_bytes: int) -> None:
        nonlocal for_this_part
        for_this_part += size_bytes
        tell.add(size_bytes)

    def body() -> Iterator[bytes]:
        nonlocal for_this_part
        tell.add(-for_this_part)  # a repeated attempt begins anew
        for_this_part = 0
        return file_slice(path, part.start, part.size_bytes, sent)

    headers = {"Content-Length": str(part.size_bytes), "Content-Type": "application/octet-stream"}
    transport.send("PUT", f"/v1/uploads/{upload}/parts/{part.number}", body=body, headers=headers)


class _Tally:
    """Adds up what several threads have sent and passes it on."""

    def __init__(self, total: int, progress: UploadProgress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0
        self._lock = threading.Lock()

    def add(self, size_bytes: int) -> None:
        with self._lock:
            self._done += size_bytes
            self._progress(self._done, self._total)


def _quiet(_done: int, _total: int) -> None:
    return
