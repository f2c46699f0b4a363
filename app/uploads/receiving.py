"""Receive a request body into a local file, in constant memory, hashed while it arrives."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from app.errors import InvalidInput

WRITE_BYTES = 1 << 20  # buffered before a thread hashes and writes them


@dataclass(frozen=True)
class Received:
    """A complete body."""

    path: Path
    size_bytes: int
    sha256: str


@asynccontextmanager
async def received_body(request: Request, folder: Path, max_bytes: int) -> AsyncGenerator[Received]:
    """Stream the body into a file of `folder` that exists as long as the context.

    Raises
    ------
    InvalidInput
        When it has more than `max_bytes`, the declared size of the upload; no more than these are written.
    """
    digest, size_bytes = sha256(), 0
    with NamedTemporaryFile(dir=folder, prefix="part-") as file:

        def write(content: bytes) -> None:
            digest.update(content)
            file.write(content)

        gathered = bytearray()
        async for chunk in request.stream():
            gathered += chunk
            if size_bytes + len(gathered) > max_bytes:
                raise InvalidInput(f"The part has more than the {max_bytes} bytes that were declared for the upload.", code="size_mismatch")
            if len(gathered) >= WRITE_BYTES:
                await run_in_threadpool(write, bytes(gathered))
                size_bytes += len(gathered)
                gathered.clear()
        await run_in_threadpool(write, bytes(gathered))
        size_bytes += len(gathered)
        file.flush()
        yield Received(Path(file.name), size_bytes, digest.hexdigest())
