"""Attack `uploads`: a large upload over a connection that is cut repeatedly, and its removal after expiry: digest, memory and disk."""

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
MEMORY_GROWTH_BYTES = 192 << 20  # four parts of 16 MiB at once
SLICE_BYTES = 1 << 20
TIMEOUT_SECONDS = 60


def attack(folder: Path, seed: int) -> list[Promise]:
    """Upload 4 GiB with ten cuts."""
    return run(folder, seed, size_bytes=SIZE_BYTES, cuts=CUTS)


def run(folder: Path, seed: int, *, size_bytes: int, cuts: int) -> list[Promise]:
    """The attack at any size."""
    complete = Promise("An upload over a connection that is cut has the right digest")
    flat = Promise("The memory of every process stays constant under an upload of any size")
    freed = Promise("Disk space of an unused upload is freed after it expires")
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
                    complete.attempts += 1

        watching = threading.Thread(target=watch)
        watching.start()
        began = time.monotonic()
        with IISClient(f"http://127.0.0.1:{proxy.port}", stack.add_owner("owner")) as client:
            upload = client.upload(path)
        taken = time.monotonic() - began
        stop.set()
        watching.join()
        if upload.state != "complete" or upload.sha256 != sha256:
            complete.broken.append(f"The upload is {upload.state} with {upload.sha256}, not {sha256}.")
        complete.measured = (
            f"{size_bytes / GIB:.2f} GiB over {complete.attempts} cuts in {taken:.0f} s, {size_bytes / taken / 2**20:.0f} MiB/s"
        )
        for name, used in before.items():
            flat.record(most[name] - used < MEMORY_GROWTH_BYTES, f"{name} grew by {(most[name] - used) / 2**20:.0f} MiB.")
        flat.measured = ", ".join(f"{name} +{(most[name] - used) / 2**20:.0f} MiB" for name, used in before.items())
        kept = _size_bytes(stack.storage)
        with stack.runtime.sessions.begin() as session:
            session.execute(update(Upload).values(expires_at=Upload.created_at))
        until = time.monotonic() + TIMEOUT_SECONDS
        while (left := _size_bytes(stack.storage)) >= SLICE_BYTES and time.monotonic() < until:
            with stack.runtime.sessions() as session:
                GarbageCollector(stack.runtime).collect(session)
            time.sleep(1)  # a request that was cut may not have removed its parts yet
        freed.record(kept >= size_bytes and left < SLICE_BYTES, f"{left} of {kept} bytes are still there.")
        freed.measured = f"{kept / GIB:.2f} GiB, then {left} bytes"
        proxy.close()
    shutil.rmtree(folder / "stack" / "storage", ignore_errors=True)
    return [complete, flat, freed]


def _large_file(folder: Path, seed: int, size_bytes: int) -> tuple[Path, str]:
    """A sparse file without two equal slices, and its sha256."""
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
