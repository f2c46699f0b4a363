"""Hostile output of a compute process, given to its readers in worker and API: each must refuse it or read it within bounds."""

from __future__ import annotations

import io
import json
import os
import random
import resource
import struct
import threading
import time
import zipfile
from collections.abc import Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from app.batches.service import read_rows
from app.db.models import ExplanationBatch
from app.errors import NotFound
from app.storage import ArtifactStore
from app.storage.stored_zip import MEMBER_BYTES_MAX, ZipInvalid, read_stored_member
from torture.promises import Promise
from worker.jobs.outputs import OutputInvalid, open_matrix, open_output, read_json
from worker.sandbox.pipes import REPLY_CHARACTERS, REPLY_VALUES, new_reply_queue, read_replies

MUTANTS = 3000
SECONDS_MAX = 5.0
MEMORY_BYTES_MAX = 1 << 30
CROPS = {f"{number}.png": bytes([number]) * (100 + number) for number in range(40)}
DIMENSION = 8


def attack_outputs(folder: Path, seed: int, mutants: int = MUTANTS) -> list[Promise]:
    """Read output that is malformed on purpose or at random."""
    source = random.Random(seed)
    folder.mkdir(exist_ok=True)
    return [
        _attack_zips(source, mutants),
        _attack_matrices(folder, source, mutants),
        _attack_files(folder),
        _attack_rows(folder, source, mutants),
        _attack_replies(),
    ]


def stored_zip(members: dict[str, bytes] = CROPS, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A zip as a stage writes its crops."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def hostile_zips() -> dict[str, bytes]:
    """Zips with `a.png` that claim what they do not have, or unpack to more than they should."""
    good = stored_zip({"a.png": b"content"})
    end = len(good) - 22
    size, start = struct.unpack("<2L", good[end + 12 : end + 20])
    entry = start + 24  # the member's sizes in the directory
    huge = good[:entry] + struct.pack("<L", 3 << 30) + good[entry + 4 :]
    return {
        "bomb": stored_zip({"a.png": bytes(64 << 20)}, zipfile.ZIP_DEFLATED),
        "too large": stored_zip({"a.png": bytes(MEMBER_BYTES_MAX + 1)}),
        "size beyond the file": huge[: entry - 4] + struct.pack("<L", 3 << 30) + huge[entry:],
        "directory of gigabytes": good[: end + 12] + struct.pack("<2L", 3 << 30, 0) + good[end + 20 :],
        "directory before the file": good[: end + 16] + struct.pack("<L", 0xFFFFFFF0) + good[end + 20 :],
        "header elsewhere": good[: start + 42] + struct.pack("<L", 5) + good[start + 46 :],
        "header in the directory": good[: start + 42] + struct.pack("<L", start) + good[start + 46 :],
        "comment": good[:-2] + struct.pack("<H", 4) + b"more",
        "million members": good[:start] + good[start : start + size] * 400_000 + good[end:],
        "large zip without its end": good[: end + 16] + struct.pack("<L", 0xFFFFFFFF) + good[end + 20 :],
        "empty": b"",
        "end alone": good[end:],
    }


def _attack_zips(source: random.Random, mutants: int) -> Promise:
    promise = Promise("The API reads one crop of a hostile zip within bounds, or refuses it")
    for name, content in hostile_zips().items():
        ended = _bounded(lambda content=content: read_stored_member(io.BytesIO(content), "a.png"))
        promise.record(ended == ZipInvalid.__name__, f"{name}: {ended}")
    good = stored_zip()
    for _ in range(mutants):
        content = mutated(good, source)
        name = source.choice(list(CROPS))
        with suppress(ZipInvalid):
            try:
                read = read_stored_member(io.BytesIO(content), name)
            except ZipInvalid:
                raise
            except Exception as error:
                promise.record(False, f"a mutant raised {error!r}")
                continue
            promise.record(read in (None, *CROPS.values()), "a mutant gave content that is no member's")
            continue
        promise.record(True, "")
    return promise


def mutated(content: bytes, source: random.Random) -> bytes:
    """The content with some bytes changed, cut off, repeated or set to extreme numbers, more often near its end."""
    changed = bytearray(content)
    for _ in range(source.randint(1, 4)):
        at = min(int(source.triangular(0, len(changed), len(changed))), max(len(changed) - 1, 0))
        match source.randrange(5):
            case 0:
                changed[at : at + 1] = bytes([source.randrange(256)])
            case 1:
                changed[at : at + 4] = struct.pack("<L", source.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, len(content))))
            case 2:
                changed = changed[: source.randint(0, len(changed))]
            case 3:
                changed[at:at] = changed[at : at + source.randint(1, 60)]
            case _:
                changed[at : at + 2] = struct.pack("<H", source.choice((0, 1, 0xFFFF)))
    return bytes(changed)


def npy(matrix: np.ndarray[Any, Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, matrix)
    return buffer.getvalue()


def hostile_matrices() -> dict[str, bytes]:
    """npy files that claim other contents than they have."""
    good = npy(np.ones((4, DIMENSION), np.float32))
    return {
        "ten gigabytes claimed": good.replace(b"(4, 8)", b"(335544320, 8)".ljust(6))[:200],
        "wide": npy(np.ones((1, 2 * DIMENSION), np.float32)),
        "column-major": npy(np.asfortranarray(np.ones((4, DIMENSION), np.float32))),
        "other numbers": npy(np.ones((4, DIMENSION), np.float64)),
        "one axis": npy(np.ones(DIMENSION, np.float32)),
        "objects": npy(np.array([[print]], object)),
        "truncated": good[:-4],
        "not npy": b"PK\3\4",
        "empty": b"",
    }


def _attack_matrices(folder: Path, source: random.Random, mutants: int) -> Promise:
    promise = Promise("The worker reads a hostile matrix within bounds, also while it is truncated, or refuses it")
    path = folder / "vectors.npy"

    def read() -> object:
        with open_matrix(path, dimension_max=DIMENSION) as matrix:
            return [matrix.read_rows(1) for _ in range(matrix.count)]

    for name, content in hostile_matrices().items():
        path.write_bytes(content)
        ended = _bounded(read)
        promise.record(ended == OutputInvalid.__name__, f"{name}: {ended}")
    good = npy(np.ones((4, DIMENSION), np.float32))
    for _ in range(mutants):
        path.write_bytes(mutated(good, source))
        ended = _bounded(read)
        promise.record(ended in {OutputInvalid.__name__, "read"}, f"a mutant: {ended}")
    path.write_bytes(npy(np.ones((100_000, DIMENSION), np.float32)))
    with open_matrix(path, dimension_max=DIMENSION) as matrix:
        os.truncate(path, 200)  # a mapped file would end this process by SIGBUS
        ended = _bounded(lambda: matrix.read_rows(matrix.count))
    promise.record(ended == OutputInvalid.__name__, f"truncated while open: {ended}")
    return promise


def _attack_files(folder: Path) -> Promise:
    promise = Promise("The worker opens no link, pipe, device or folder in place of an output, and reads no JSON beyond bounds")
    places = {name: folder / name for name in ("link", "pipe", "folder", "deep.json", "large.json", "text.json", "wide.json")}
    places["link"].symlink_to("/etc/passwd")
    os.mkfifo(places["pipe"])
    places["folder"].mkdir()
    places["deep.json"].write_bytes(b"[" * 1_000_000)
    with places["large.json"].open("wb") as file:
        file.truncate(200 << 30)
    places["text.json"].write_bytes(b"\xff{")
    places["wide.json"].write_bytes(b'{"a": 1e999999999999}' + b" " * 10)
    for name, path in places.items():
        ended = _bounded(lambda path=path: read_json(path))
        promise.record(ended == ("read" if name == "wide.json" else OutputInvalid.__name__), f"{name}: {ended}")
    promise.record(_bounded(lambda: open_output(places["large.json"])) == OutputInvalid.__name__, "a sparse file was opened")
    promise.record(_bounded(lambda: open_output(Path("/dev/zero"))) == OutputInvalid.__name__, "a device was opened")
    return promise


def _attack_rows(folder: Path, source: random.Random, mutants: int) -> Promise:
    promise = Promise("The API reads rows at hostile offsets within bounds, or refuses them")
    store = ArtifactStore(f"file://{folder / 'artifacts'}")
    lines = b"".join(json.dumps({"index": number}).encode() + b"\n" for number in range(50))
    rows, _ = store.put_chunks([lines])
    with (folder / "sparse").open("wb") as file:
        file.truncate(64 << 30)
    edges = [0, *(at + 1 for at, byte in enumerate(lines) if byte == ord("\n"))]
    hostile: list[list[int]] = [
        *([0, 1 << 63], [1 << 40, 1 << 41], [5, 5], [9, 3], [0, len(lines) * 10], [(1 << 64) - 1, 0]),
        *([source.choice((0, 1, 7, 1 << 31, 1 << 62, (1 << 64) - 1, *edges)) for _ in range(51)] for _ in range(mutants // 10)),
    ]
    for offsets in hostile:
        sha256, _ = store.put_chunks([b"".join(struct.pack("<Q", offset) for offset in offsets)])
        for count in (len(offsets) - 1, 10**6):
            batch = ExplanationBatch(job_id="job_x", summary={"count": count}, jsonl_sha256=rows, offsets_sha256=sha256)
            ended = _bounded(lambda batch=batch: read_rows(store, batch, None, 100))
            promise.record(ended == NotFound.__name__, f"{offsets[:4]}: {ended}")
        store.delete(sha256)
    return promise


def hostile_replies() -> dict[str, Callable[[], Generator[str]]]:
    """Lines that a compute process sends instead of replies."""
    return {
        "deep": lambda: iter_of("[" * 100_000 + "\n"),
        "deep object": lambda: iter_of('{"type":"done","result":' + "[" * 100_000),
        "no object": lambda: iter_of("[1]\n"),
        "number": lambda: iter_of("1\n"),
        "no type": lambda: iter_of('{"result": 1}\n'),
        "long progress": lambda: iter_of('{"type": "progress", "done": "' + "x" * 100_000 + '"}\n'),
        "many values": lambda: iter_of('{"type": "done", "result": [' + "1," * (REPLY_VALUES + 1) + "1]}\n"),
        "endless line": lambda: ("x" * (1 << 20) for _ in range(2 * REPLY_CHARACTERS >> 20)),
        "not UTF-8": lambda: iter_of("\ud800\n"),
    }


def iter_of(text: str) -> Generator[str]:
    yield text


def _attack_replies() -> Promise:
    promise = Promise("A hostile line of a compute process ends its stage within seconds, with bounded memory")
    for name, lines in hostile_replies().items():
        read, write = os.pipe()
        replies = new_reply_queue()
        with os.fdopen(read, "r", errors="replace") as stdout:
            reader = threading.Thread(target=read_replies, args=(stdout, replies), daemon=True)
            writer = threading.Thread(target=_write, args=(write, lines()), daemon=True)
            began = time.monotonic()
            reader.start()
            writer.start()
            end = replies.get(timeout=60)
            seconds = time.monotonic() - began
            promise.record(end is None and seconds < SECONDS_MAX, f"{name}: {str(end)[:60]} after {seconds:.1f} s")
            reader.join()
        writer.join()
    return promise


def _write(descriptor: int, lines: Generator[str]) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "wb") as pipe:
        for line in lines:
            pipe.write(line.encode(errors="surrogatepass"))


def _bounded(read: Callable[[], object]) -> str:
    """`read`, or the name of the exception, if it took few seconds and little memory; else a sentence."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        read()
        ended = "read"
    except Exception as error:  # the name tells the caller which one
        ended = type(error).__name__
    seconds = time.monotonic() - began
    grown_bytes = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    return ended if seconds < SECONDS_MAX and grown_bytes < MEMORY_BYTES_MAX else f"{ended} after {seconds:.1f} s and {grown_bytes:,} bytes"
