"""Checks of a GPU against the CPU (`benchmarks.gpu`): on a GPU where there is one, and the same code on the CPU everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks.gpu.__main__ import main
from benchmarks.gpu.checks import CHECKS, Setting
from benchmarks.gpu.figures import FIGURES
from benchmarks.gpu.inputs import SMALL, synthetic_features

REPOSITORY = Path(__file__).parents[2]
NEEDED = ("cv2", "open_clip", "onnx", "onnxruntime", "pandas", "pyarrow", "scipy", "skimage", "sklearn", "transformers", "datasets")
QUICK = [name for name in CHECKS if name not in ("curve", "finetuning")]

gpu = pytest.mark.gpu
without_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="OPTIONAL: NOT TESTED ON A GPU: this machine has no CUDA device; the same code ran on the CPU"
)


@gpu
@without_gpu
@pytest.mark.parametrize("name", [*CHECKS, *FIGURES])
def test_a_gpu_agrees_with_the_cpu(name: str, tmp_path: Path) -> None:
    (CHECKS | FIGURES)[name](Setting("cuda", SMALL, tmp_path))


@pytest.mark.parametrize("name", QUICK)
def test_the_entry_point_runs_a_check_on_the_cpu(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--device", "cpu", "--small"]) == 0
    assert f"CHECK {name} passed" in capsys.readouterr().out


@pytest.mark.slow
def test_the_entry_point_scores_images_on_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--device", "cpu", "--small"]) == 0
    assert "FIGURE score passed" in capsys.readouterr().out


def test_the_synthetic_classes_are_in_both_splits() -> None:
    features = synthetic_features(1000, 4, 20)
    assert torch.bincount(features.y_train).tolist() == [40] * 20
    assert torch.bincount(features.y_test).tolist() == [10] * 20


def test_what_exceeds_the_time_is_reported_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["heat_maps", "--device", "cpu", "--small", "--minutes", "-1"]) == 1
    assert "CHECK heat_maps OUT OF TIME" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="OPTIONAL: this machine has a CUDA device")
def test_without_a_gpu_the_entry_point_names_the_option_for_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "--device cpu --small" in capsys.readouterr().err


@pytest.mark.slow
def test_the_checks_need_torch_timm_numpy_and_safetensors_alone(tmp_path: Path) -> None:
    site = next(Path(entry) for entry in sys.path if (Path(entry) / "torch").is_dir())
    for entry in site.iterdir():
        if (
            entry.name.partition("-")[0].lower() not in NEEDED
            and not entry.name.startswith(("scikit", "__editable__", "_iis"))
            and entry.suffix != ".pth"
        ):
            (tmp_path / entry.name).symlink_to(entry)
    command = [sys.executable, "-S", "-m", "benchmarks.gpu", "--device", "cpu", "--small"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{tmp_path}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FIGURE score NOT RUN, needs scipy, sklearn" in done.stdout
    assert done.stdout.count(" passed in ") == len(CHECKS) + len(FIGURES) - 1
