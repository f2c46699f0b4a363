"""Workers of one machine take GPUs of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from worker.gpu_assignment import VARIABLE, take_gpu, worker_kind

SCRIPT = """
import sys
from pathlib import Path
from worker.gpu_assignment import take_gpu
print(take_gpu(Path(sys.argv[1]), {}, Path(sys.argv[2])), file=sys.stderr, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def devices(tmp_path: Path) -> Path:
    """Device files of two GPUs, and of the driver."""
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("nvidia0", "nvidia7", "nvidiactl", "nvidia-uvm"):
        (folder / name).touch()
    return folder


def test_workers_take_one_gpu_each_and_a_killed_one_gives_its_back(devices: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "gpus"), str(devices)]
    workers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    answers = [worker.stderr.readline().strip() for worker in workers if worker.stderr is not None]
    assert sorted(answers) == ["0", "1"]
    environment: dict[str, str] = {}
    assert take_gpu(tmp_path / "gpus", environment, devices) is None
    assert environment == {}
    for worker in workers:
        worker.kill()
        worker.communicate()
    assert take_gpu(tmp_path / "gpus", environment, devices) == 0
    assert environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", VARIABLE: "0"}


def test_a_given_choice_and_a_single_gpu_stay_as_they_are(devices: Path, tmp_path: Path) -> None:
    given = {VARIABLE: "1"}
    assert take_gpu(tmp_path / "gpus", given, devices) is None
    assert given == {VARIABLE: "1"}
    (devices / "nvidia7").unlink()
    alone: dict[str, str] = {}
    assert take_gpu(tmp_path / "gpus", alone, devices) is None
    assert alone == {}


@pytest.mark.parametrize(
    ("device", "environment", "kind"),
    [("auto", {}, "gpu"), ("auto", {VARIABLE: "1"}, "gpu"), ("auto", {VARIABLE: ""}, "cpu"), ("cpu", {}, "cpu"), ("cuda", {}, "gpu")],
)
def test_the_kind_of_a_worker_follows_from_its_device(device: str, environment: dict[str, str], kind: str, devices: Path) -> None:
    assert worker_kind(device, environment, devices) == kind


def test_without_device_files_a_worker_computes_on_the_cpu(tmp_path: Path) -> None:
    assert (worker_kind("auto", {}, tmp_path), worker_kind("cuda", {}, tmp_path)) == ("cpu", "gpu")
