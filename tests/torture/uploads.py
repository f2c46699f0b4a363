"""A large upload over a connection that is cut again and again, and content that is no longer needed: digests, memory and disk."""

from __future__ import annotations

import hashlib
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path

from sqlalchemy import update

from app.db.models import Upload
from iis_client import IISClient
from torture.promises import Promise
from torture.proxies import Proxy
from torture.stack import Stack
from worker.maintenance.garbage_collector import GarbageCollector

GIB = 1 << 30
SIZE_BYTES, CUTS = 4 * GIB, 10
MEMORY_GROWTH_BYTES = 192 << 20  # parts of 16 MiB, four at once, as they come in
SLICE_BYTES = 1 << 20
PATIENCE_SECONDS = 60


def attack(folder: Path, seed: int) -> list[Promise]:
    """4 GiB, ten cuts."""
    return run(folder, seed, size_bytes=SIZE_BYTES, cuts=CUTS)


def run(folder: Path, seed: int, *, size_bytes: int, cuts: int) -> list[Promise]:
    """As `attack`, of any size."""
    right = Promise("An upload whose connection is cut arrives with the right digest")
    flat = Promise("The memory of every process stays flat under an upload of any size")
    returned = Promise("Disk is given back once an upload that nothing was made of has expired")
    path, sha256 = _large_file(folder, seed, size_bytes)
    with Stack(folder / "stack", storage_bytes=None) as stack:
        proxy = Proxy(("127.0.0.1", stack.port))
        before, most, stop = stack.memory_bytes(), dict[str, int](), threading.Event()

        def watch() -> None:
            cut = 0
            while not stop.wait(0.05):
                for name, used in stack.memory_bytes().items():
                    most[name] = max(used, most.get(name, 0))
                if cut < cuts and proxy.passed_bytes > (cut + 1) * size_bytes / (cuts + 1):
                    proxy.cut()
                    cut += 1
                    right.attempts += 1

        watching = threading.Thread(target=watch)
        watching.start()
        began = time.monotonic()
        with IISClient(f"http://127.0.0.1:{proxy.port}", stack.add_owner("owner")) as client:
            upload = client.upload(path)
        taken = time.monotonic() - began
        stop.set()
        watching.join()
        if upload.state != "complete" or upload.sha256 != sha256:
            right.broken.append(f"The upload is {upload.state} with {upload.sha256}, not {sha256}.")
        right.measured = f"{size_bytes / GIB:.2f} GiB over {right.attempts} cuts in {taken:.0f} s, {size_bytes / taken / 2**20:.0f} MiB/s"
        for name, used in before.items():
            flat.tried(most[name] - used < MEMORY_GROWTH_BYTES, f"{name} grew by {(most[name] - used) / 2**20:.0f} MiB.")
        flat.measured = ", ".join(f"{name} +{(most[name] - used) / 2**20:.0f} MiB" for name, used in before.items())
        kept = _size_bytes(stack.storage)
        with stack.runtime.sessions.begin() as session:
            session.execute(update(Upload).values(expires_at=Upload.created_at))
        until = time.monotonic() + PATIENCE_SECONDS
        while (left := _size_bytes(stack.storage)) >= SLICE_BYTES and time.monotonic() < until:
            with stack.runtime.sessions() as session:
                GarbageCollector(stack.runtime).collect(session)
            time.sleep(1)  # a request that was cut may still be removing parts
        returned.tried(kept >= size_bytes and left < SLICE_BYTES, f"{left} of {kept} bytes are still there.")
        returned.measured = f"{kept / GIB:.2f} GiB, then {left} bytes"
        proxy.close()
    shutil.rmtree(folder / "stack" / "storage", ignore_errors=True)
    return [right, flat, returned]


def _large_file(folder: Path, seed: int, size_bytes: int) -> tuple[Path, str]:
    """A file without two equal slices, and its sha256; most of it takes no room on disk."""
    path, digest = folder / "large.tar", hashlib.sha256()
    rest = bytes(SLICE_BYTES - 64)
    with path.open("wb") as file:
        for number in range(size_bytes // SLICE_BYTES):
            head = hashlib.sha512(f"{seed} {number}".encode()).digest()
            file.write(head)
            file.seek(len(rest), 1)
            digest.update(head + rest)
        file.truncate(size_bytes)
    return path, digest.hexdigest()


def _size_bytes(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            total += path.stat().st_size if path.is_file() else 0
    return total
