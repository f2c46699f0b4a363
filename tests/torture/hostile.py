"""Hostile files through the engine's own doors, in a real compute process: each refused or handled, within bounds, leaving nothing.

The files come from the `hostile_…` modules beside. What the suite proper tries of them is in tests/worker/test_hostile_input.py.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from torture import hostile_archives, hostile_checkpoints, hostile_graphs, hostile_pickles
from torture.hostile_samples import BATCH, DATASET, EITHER, HANDLED, KILLED, REFUSED, Sample, Samples
from torture.promises import Promise
from worker.sandbox.process import ChildLost, ChildProcess, DeadlinePassed, StageRefused, Stop, Watch
from worker.sandbox.resource_limits import LimitExceeded, ResourceLimits
from worker.sandbox.scratch_folders import LockedFolder

MEMORY_BYTES = 4 << 30
DISK_BYTES = 8 << 30
DEADLINE_SECONDS = 240.0
ENDLESS_SECONDS = 6.0
SENTENCE_CHARACTERS = 2500
MODEL_REQUEST: dict[str, Any] = {
    **{"role": "backbone", "architecture": "timm:resnet10t", "arguments": {}, "pretrained": None, "initial_seed": None, "layer": None},
    **{"preprocessing": {"input_size": 32}, "tokenizer": None, "device": "cpu", "checkpoint": None, "text_checkpoint": None},
}
DATASET_REQUEST: dict[str, Any] = {"server_path": None, "hub": None, "split_seed": 0, "test_share": 0.2, "digest": None}

GROUPS: dict[str, Callable[[Path, Path, bool], Samples]] = {
    "pickles": lambda folder, marks, _: hostile_pickles.pickles(folder, marks),
    "checkpoints that lie": lambda folder, _, bombs: hostile_checkpoints.checkpoints(folder, bombs=bombs),
    "ONNX graphs": lambda folder, _, bombs: hostile_graphs.graphs(folder, bombs=bombs),
    "archives": lambda folder, _, bombs: hostile_archives.archives(folder, bombs=bombs),
    "images": lambda folder, *_: hostile_archives.images(folder),
    "class names": lambda folder, *_: hostile_archives.names(folder),
}


@dataclass(frozen=True)
class Outcome:
    """How a sample ended: as one of the ends that samples expect or `crashed`, in whose words, after what time, at what peak of memory."""

    ends: str
    words: str
    seconds: float
    peak_bytes: int


class Range:
    """A compute process with limits, for one sample after another; everything is made and read within `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks = folder / "marks"
        self.marks.mkdir()
        self.compute = ChildProcess(folder / "home", LockedFolder(folder / "work", "range"))
        self.starts = 0
        self._pid: int | None = None

    def shoot(self, sample: Sample) -> Outcome:
        """Let the sample be read in a workspace of its own, which is then removed, as an attempt's is."""
        workspace = self.compute.claim_folder() / "job"
        workspace.mkdir()
        path = workspace / sample.path.name
        shutil.copyfile(sample.path, path)
        _forget_peak(self.compute.pid)
        began = time.monotonic()
        try:
            ends, words = self._read(sample, path, workspace)
            return Outcome(ends, words, time.monotonic() - began, MEMORY_BYTES if "of memory" in words else _peak_bytes(self.compute.pid))
        finally:
            shutil.rmtree(workspace)
            self.starts += self.compute.pid != self._pid
            self._pid = self.compute.pid

    def left(self) -> list[str]:
        """What lies about that no sample may have left."""
        inside = [path.name for path in self.compute.folder.iterdir() if path.name not in {"lock", "home"}]
        outside = [str(path) for path in (Path("/tmp/evil"), Path("/tmp/evil.png"), self.folder / "evil.png") if path.exists()]  # noqa: S108
        return inside + outside

    def _read(self, sample: Sample, path: Path, workspace: Path) -> tuple[str, str]:
        seconds = ENDLESS_SECONDS if sample.ends == KILLED else DEADLINE_SECONDS
        watch = Watch(Stop(), time.monotonic() + seconds, ResourceLimits(MEMORY_BYTES, DISK_BYTES))
        try:
            for stage, arguments in _requests(sample, path):
                self.compute.run(stage, workspace, arguments, watch, owner_id="range", on_progress=_ignore, on_output=_ignore)
        except StageRefused as refused:
            return REFUSED, refused.error["message"]
        except (LimitExceeded, DeadlinePassed) as error:
            return KILLED, str(error)
        except ChildLost as error:
            return "crashed", str(error)
        return HANDLED, ""


@contextmanager
def shooting_range(folder: Path) -> Iterator[Range]:
    """A range that is closed at the end."""
    opened = Range(folder)
    try:
        yield opened
    finally:
        opened.compute.close()


def _requests(sample: Sample, path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    if sample.kind == BATCH:
        sources = {"model": MODEL_REQUEST | {"initial_seed": 0}, "archive": {"file": str(path), "sha256": "0" * 64}}
        yield "unpack", {"sources": sources}
        yield "represent", {"sources": sources, "shard_folder": "shards"}
    elif sample.kind == DATASET:
        yield sample.kind, {"dataset": DATASET_REQUEST | {"file": str(path)} | sample.request}
    else:
        yield sample.kind, {"model": MODEL_REQUEST | {"checkpoint": str(path)} | sample.request}


def fault_of(sample: Sample, outcome: Outcome, folder: Path) -> str | None:
    """What is wrong with how a sample ended, as a sentence; None where all is well."""
    told = f"{sample.name}: {outcome.ends} after {outcome.seconds:.1f} s: {outcome.words[:300]!r}"
    allowed = {EITHER: {REFUSED, HANDLED, KILLED}, KILLED: {KILLED}}.get(sample.ends, {sample.ends})
    if outcome.ends not in allowed:
        return f"{told}, not {sample.ends}"
    if outcome.ends == REFUSED and (reason := _unfit(outcome.words, sample, folder)):
        return f"{told}, {reason}"
    return None


def _unfit(words: str, sample: Sample, folder: Path) -> str | None:
    """Why the words of a refusal are no sentence for the person who sent the file."""
    odd = next((character for character in words if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co"}), None)
    if odd is not None:
        return f"which holds the raw character {odd!r}"
    if str(folder) in words or "Traceback" in words:
        return "which tells of this machine"
    if not words.endswith(".") or not 20 < len(words) <= SENTENCE_CHARACTERS:
        return f"which is no sentence ({len(words)} characters)"
    if sample.says not in words:
        return f"which does not say {sample.says!r}"
    return None


def bare_reading(paths: list[Path]) -> subprocess.CompletedProcess[str]:
    """Read checkpoints through the engine's door without any sandbox: what holds here holds on every platform."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from iis_engine.backbones.checkpoints import load_checkpoint\n"
        "from iis_engine.errors import EngineError\n"
        "for path in sys.stdin.read().splitlines():\n"
        "    try: load_checkpoint(Path(path))\n"
        "    except EngineError: continue\n"
        "    print(path)\n"
    )
    given = "\n".join(map(str, paths))
    return subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, text=True, check=True)


def attack(folder: Path, seed: int) -> list[Promise]:
    """Shoot everything there is. `seed` is not needed: the samples are what they are."""
    del seed
    nothing_left = Promise("A hostile file leaves nothing: no mark of executed code, no file in a workspace or outside")
    promises = list[Promise]()
    with shooting_range(folder) as range_:
        for group, make in GROUPS.items():
            promise = Promise(f"Hostile {group} are refused or handled with a sentence, in bounded time and memory")
            promises.append(_shoot_group(range_, promise, make, nothing_left))
        promises.append(_without_sandbox(range_))
        nothing_left.tried(all(path.suffix for path in range_.marks.glob("mark-*")), "a gadget left its mark")
    return [*promises, nothing_left]


def _shoot_group(range_: Range, promise: Promise, make: Callable[[Path, Path, bool], Samples], nothing_left: Promise) -> Promise:
    made = range_.folder / "made"
    ends, slowest, largest = Counter[str](), ("", 0.0), ("", 0)
    made.mkdir()
    try:
        for sample in make(made, range_.marks, True):
            outcome = range_.shoot(sample)
            sample.path.unlink()
            fault = fault_of(sample, outcome, range_.folder)
            promise.tried(fault is None, fault or "")
            left = range_.left()
            nothing_left.tried(not left, f"{sample.name} left {', '.join(left)}")
            ends[outcome.ends] += 1
            slowest = max(slowest, (sample.name, outcome.seconds), key=lambda pair: pair[1])
            largest = max(largest, (sample.name, outcome.peak_bytes), key=lambda pair: pair[1])
    finally:
        shutil.rmtree(made)
    counted = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    promise.measured = f"{counted}; slowest {slowest[1]:.1f} s ({slowest[0]}), largest {largest[1] / 1e9:.2f} GB ({largest[0]})"
    return promise


def _without_sandbox(range_: Range) -> Promise:
    promise = Promise("No pickle runs code when it is read, even without the sandbox")
    made = range_.folder / "bare"
    made.mkdir()
    samples = list(hostile_pickles.pickles(made, range_.marks))
    accepted = bare_reading([sample.path for sample in samples]).stdout.splitlines()
    for number, gadget in enumerate(hostile_pickles.GADGETS):
        promise.tried(not (range_.marks / f"mark-{number}").exists(), f"{gadget} left its mark")
    promise.tried(not accepted, f"accepted: {', '.join(accepted)}")
    return promise


def _forget_peak(pid: int | None) -> None:
    """Begin to count the peak anew (Linux)."""
    if pid is not None and sys.platform == "linux":
        with open(f"/proc/{pid}/clear_refs", "w") as file:
            file.write("5")


def _peak_bytes(pid: int | None) -> int:
    """The peak of resident memory since `_forget_peak`; 0 of a process that was killed."""
    if pid is None:
        return 0
    if sys.platform != "linux":
        return psutil.Process(pid).memory_info().rss
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _ignore(*_: object) -> None:
    """Samples show no progress."""
