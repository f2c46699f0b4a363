"""Attack `hostile`: malicious files read in a compute process. Each must be refused or handled within limits, and leave no file.

The modules `hostile_…` make the files. tests/worker/sandbox/test_hostile_input.py reads some of them in the test suite.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from torture import hostile_archives, hostile_checkpoints, hostile_graphs, hostile_pickles, hostile_tables, hostile_transformers
from torture.hostile_samples import BATCH, DATASET, EITHER, HANDLED, KILLED, REFUSED, Sample, Samples
from torture.promises import Promise
from worker.sandbox.outcomes import ChildLost, DeadlinePassed, StageRefused
from worker.sandbox.process import ChildProcess
from worker.sandbox.resource_limits import LimitExceeded, ResourceLimits
from worker.sandbox.scratch_folders import LockedFolder
from worker.sandbox.watch import Stop, Watch

MEMORY_BYTES = 4 << 30
DISK_BYTES = 8 << 30
DEADLINE_SECONDS = 240.0
ENDLESS_DEADLINE_SECONDS = 6.0  # for samples whose work never ends
SENTENCE_CHARACTERS = 2500
MODEL_REQUEST: dict[str, Any] = {
    **{"role": "backbone", "architecture": "timm:resnet10t", "arguments": {}, "pretrained": None, "initial_seed": None, "layer": None},
    **{"preprocessing": {"input_size": 32}, "tokenizer": None, "device": "cpu", "checkpoint": None, "text_checkpoint": None},
}
DATASET_REQUEST: dict[str, Any] = {"server_path": None, "hub": None, "split_seed": 0, "test_share": 0.2, "digest": None}

GROUPS: dict[str, Callable[[Path, Path, bool], Samples]] = {
    "pickles": lambda folder, marks, _: hostile_pickles.pickles(folder, marks),
    "malformed checkpoints": lambda folder, _, bombs: hostile_checkpoints.checkpoints(folder, bombs=bombs),
    "files of torch before 1.6": lambda folder, _marks, _bombs: hostile_transformers.older_torch_files(folder),
    "archives of transformers": lambda folder, _marks, _bombs: hostile_transformers.transformers_archives(folder),
    "ONNX graphs": lambda folder, _, bombs: hostile_graphs.graphs(folder, bombs=bombs),
    "archives": lambda folder, _, bombs: hostile_archives.archives(folder, bombs=bombs),
    "images": lambda folder, _marks, _bombs: hostile_archives.images(folder),
    "tables": lambda folder, marks, bombs: hostile_tables.tables(folder, marks, bombs=bombs),
    "class names": lambda folder, _marks, _bombs: hostile_archives.names(folder),
}


@dataclass(frozen=True)
class Outcome:
    """Result of reading a sample.

    Attributes
    ----------
    end : `refused`, `handled`, `killed` or `crashed`
    message : of the refusal or error, empty where the sample was handled
    """

    end: str
    message: str
    seconds: float
    peak_bytes: int


class SampleReader:
    """Reads one sample after another in a compute process with limits; all files are under `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marks = folder / "marks"
        self.marks.mkdir()
        self.compute = ChildProcess(folder / "home", LockedFolder(folder / "work", "samples"))
        self.starts = 0
        self._pid: int | None = None

    def read(self, sample: Sample) -> Outcome:
        """Read the sample in a workspace, which is removed afterwards."""
        workspace = self.compute.create_folder() / "job"
        workspace.mkdir()
        path = workspace / sample.path.name
        shutil.copyfile(sample.path, path)
        _reset_peak(self.compute.pid)
        began = time.monotonic()
        try:
            end, message = self._read(sample, path, workspace)
            peak_bytes = MEMORY_BYTES if "of memory" in message else _peak_bytes(self.compute.pid)
            return Outcome(end, message, time.monotonic() - began, peak_bytes)
        finally:
            shutil.rmtree(workspace)
            self.starts += self.compute.pid != self._pid
            self._pid = self.compute.pid

    def leftover_files(self) -> list[str]:
        """Files that a sample left in the folder or elsewhere."""
        inside = [path.name for path in self.compute.folder.iterdir() if path.name not in {"lock", "home"}]
        outside = [str(path) for path in (Path("/tmp/evil"), Path("/tmp/evil.png"), self.folder / "evil.png") if path.exists()]  # noqa: S108
        return inside + outside

    def _read(self, sample: Sample, path: Path, workspace: Path) -> tuple[str, str]:
        seconds = ENDLESS_DEADLINE_SECONDS if sample.expected == KILLED else DEADLINE_SECONDS
        watch = Watch(Stop(), time.monotonic() + seconds, ResourceLimits(MEMORY_BYTES, DISK_BYTES))
        try:
            for stage, arguments in _requests(sample, path):
                self.compute.run(stage, workspace, arguments, watch, owner_id="samples", on_progress=_ignore, on_output=_ignore)
        except StageRefused as refused:
            return REFUSED, refused.error["message"] or ""
        except (LimitExceeded, DeadlinePassed) as error:
            return KILLED, str(error)
        except ChildLost as error:
            return "crashed", str(error)
        return HANDLED, ""


@contextmanager
def sample_reader(folder: Path) -> Generator[SampleReader]:
    """Open a reader; close it at the end."""
    opened = SampleReader(folder)
    try:
        yield opened
    finally:
        opened.compute.close()


def _requests(sample: Sample, path: Path) -> Iterable[tuple[str, dict[str, Any]]]:
    if sample.stage == BATCH:
        sources = {"model": MODEL_REQUEST | {"initial_seed": 0}, "archive": {"file": str(path), "sha256": "0" * 64}}
        yield "unpack", {"sources": sources}
        yield "represent", {"sources": sources, "shard_folder": "shards"}
    elif sample.stage == DATASET:
        yield sample.stage, {"dataset": DATASET_REQUEST | {"file": str(path)} | sample.request}
    else:
        yield sample.stage, {"model": MODEL_REQUEST | {"checkpoint": str(path)} | sample.request}


def defect_of(sample: Sample, outcome: Outcome, folder: Path) -> str | None:
    """The defect of an outcome as a sentence; None where it is as expected."""
    described = f"{sample.name}: {outcome.end} after {outcome.seconds:.1f} s: {outcome.message[:300]!r}"
    allowed = {EITHER: {REFUSED, HANDLED, KILLED}, KILLED: {KILLED}}.get(sample.expected, {sample.expected})
    if outcome.end not in allowed:
        return f"{described}, not {sample.expected}"
    if outcome.end == REFUSED and (reason := _defect_of_message(outcome.message, sample, folder)):
        return f"{described}, {reason}"
    return None


def _defect_of_message(message: str, sample: Sample, folder: Path) -> str | None:
    """The defect of a refusal's message as a sentence for the sender of the file; None where it has none."""
    control = next((character for character in message if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co"}), None)
    if control is not None:
        return f"which contains the control character {control!r}"
    if str(folder) in message or "Traceback" in message:
        return "which reveals paths or code of this machine"
    if not message.endswith(".") or not 20 < len(message) <= SENTENCE_CHARACTERS:
        return f"which is not a sentence ({len(message)} characters)"
    if sample.message_part not in message:
        return f"which does not contain {sample.message_part!r}"
    return None


def read_unconfined(paths: list[Path]) -> subprocess.CompletedProcess[str]:
    """Read checkpoints without confinement and print those that are accepted: protection by the engine alone, on every platform."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from iis_engine.backbones.checkpoints.files import load_checkpoint\n"
        "from iis_engine.errors import EngineError\n"
        "for path in sys.stdin.read().splitlines():\n"
        "    try: load_checkpoint(Path(path))\n"
        "    except EngineError: continue\n"
        "    print(path)\n"
    )
    given = "\n".join(map(str, paths))
    return subprocess.run([sys.executable, "-c", program], input=given, capture_output=True, text=True, check=True)


def attack(folder: Path, seed: int) -> list[Promise]:
    """Read every sample. `seed` is unused: samples are not random."""
    del seed
    nothing_left = Promise("A malicious file leaves no sign of executed code and no file in a workspace or elsewhere")
    promises = list[Promise]()
    with sample_reader(folder) as reader:
        for group, make in GROUPS.items():
            promise = Promise(f"Malicious {group} are refused with a sentence or handled, within limits of time and memory")
            promises.append(_read_group(reader, promise, make, nothing_left))
        promises.append(_read_pickles_unconfined(reader))
        nothing_left.record(all(path.suffix for path in reader.marks.glob("mark-*")), "a pickle ran code")
    return [*promises, nothing_left]


def _read_group(reader: SampleReader, promise: Promise, make: Callable[[Path, Path, bool], Samples], nothing_left: Promise) -> Promise:
    made = reader.folder / "made"
    ends, slowest, largest = Counter[str](), ("", 0.0), ("", 0)
    made.mkdir()
    try:
        for sample in make(made, reader.marks, True):
            outcome = reader.read(sample)
            sample.path.unlink()
            defect = defect_of(sample, outcome, reader.folder)
            promise.record(defect is None, defect or "")
            leftover = reader.leftover_files()
            nothing_left.record(not leftover, f"{sample.name} left {', '.join(leftover)}")
            ends[outcome.end] += 1
            slowest = max(slowest, (sample.name, outcome.seconds), key=lambda pair: pair[1])
            largest = max(largest, (sample.name, outcome.peak_bytes), key=lambda pair: pair[1])
    finally:
        shutil.rmtree(made)
    counted = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
    promise.measured = f"{counted}; slowest {slowest[1]:.1f} s ({slowest[0]}), largest {largest[1] / 1e9:.2f} GB ({largest[0]})"
    return promise


def _read_pickles_unconfined(reader: SampleReader) -> Promise:
    promise = Promise("A pickle runs no code when it is read, even without confinement")
    made = reader.folder / "bare"
    made.mkdir()
    samples = list(hostile_pickles.pickles(made, reader.marks))
    accepted = read_unconfined([sample.path for sample in samples]).stdout.splitlines()
    for number, gadget in enumerate(hostile_pickles.GADGETS):
        promise.record(not (reader.marks / f"mark-{number}").exists(), f"{gadget} ran code")
    promise.record(not accepted, f"accepted: {', '.join(accepted)}")
    return promise


def _reset_peak(pid: int | None) -> None:
    """Reset the peak of resident memory (Linux)."""
    if pid is not None and sys.platform == "linux":
        with open(f"/proc/{pid}/clear_refs", "w") as file:
            file.write("5")


def _peak_bytes(pid: int | None) -> int:
    """Peak of resident memory since `_reset_peak`; 0 for a killed process."""
    if pid is None:
        return 0
    if sys.platform != "linux":
        return psutil.Process(pid).memory_info().rss
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _ignore(*_: object) -> None:
    """Discard progress and outputs."""
