"""Reading checkpoint files: wrapped state dicts are read, code and damaged files are refused."""

from __future__ import annotations

import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, cast

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from iis_engine.backbones.checkpoints import load_checkpoint
from iis_engine.errors import CheckpointError


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


State = dict[str, Any]
WRAPPERS: list[Callable[[State], State]] = [
    lambda state: state,
    lambda state: {"state_dict": state, "epoch": 3},
    lambda state: {"model": state, "optimizer": {"lr": 0.1}},
    lambda state: {"model_state_dict": {f"module.{key}": value for key, value in state.items()}},
    lambda state: {"state_dict": {f"_orig_mod.module.{key}": value for key, value in state.items()}},
    lambda state: {"state_dict": {"model": {f"model.{key}": value for key, value in state.items()}}},
]


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrappers_and_prefixes_of_training_scripts_are_removed(wrap: Callable[[State], State], network: nn.Module, tmp_path: Path) -> None:
    torch.save(wrap(dict(network.state_dict())), tmp_path / "weights.pt")
    loaded = load_checkpoint(tmp_path / "weights.pt")
    assert set(loaded) == set(network.state_dict())
    assert torch.equal(loaded["0.weight"], network.state_dict()["0.weight"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_width_become_float32_and_counters_stay_integers(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({"weight": torch.ones(3, dtype=dtype), "count": torch.tensor(5)}, tmp_path / "weights.safetensors")
    loaded = load_checkpoint(tmp_path / "weights.safetensors")
    assert loaded["weight"].dtype == torch.float32
    assert loaded["count"].dtype == torch.int64


def refusal(path: Path) -> CheckpointError:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(caught.value).endswith(".")
    return caught.value


def test_a_pickled_module_is_refused_with_its_class(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network, tmp_path / "model.pt")
    error = refusal(tmp_path / "model.pt")
    assert error.code == "checkpoint_pickled_code"
    assert "torch.nn.modules.container.Sequential" in str(error)
    assert "model.state_dict()" in str(error)


def test_code_in_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"state_dict": Attack()}, tmp_path / "zip.pt")
    (tmp_path / "bare.pkl").write_bytes(pickle.dumps(Attack()))
    assert refusal(tmp_path / "zip.pt").code == "checkpoint_pickled_code"
    assert refusal(tmp_path / "bare.pkl").code == "checkpoint_legacy_pickle"
    assert not (tmp_path / "ran").exists()


def test_a_legacy_torch_file_is_refused(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    error = refusal(tmp_path / "old.pth")
    assert error.code == "checkpoint_legacy_pickle"
    assert "safetensors" in str(error)


def test_torchscript_is_refused(network: nn.Module, tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(network), tmp_path / "script.pt")
    assert refusal(tmp_path / "script.pt").code == "checkpoint_torchscript"


def test_an_exported_program_is_refused(network: nn.Module, tmp_path: Path) -> None:
    torch.export.save(torch.export.export(network.eval(), (torch.zeros(1, 3, 3, 3),)), tmp_path / "program.pt2")
    assert refusal(tmp_path / "program.pt2").code == "checkpoint_exported_program"


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_file_is_reported_as_truncated(suffix: str, share: float, tmp_path: Path) -> None:
    whole = tmp_path / f"whole.{suffix}"
    state = {f"layer{index}.weight": torch.randn(64, 64) for index in range(8)}
    save_file(state, whole) if suffix == "safetensors" else torch.save(state, whole)
    content = whole.read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(content[: int(len(content) * share)])
    assert refusal(cut).code == "checkpoint_truncated"


def test_an_archive_of_a_checkpoint_is_refused(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    with zipfile.ZipFile(tmp_path / "weights.zip", "w") as archive:
        archive.write(tmp_path / "weights.pt", "weights.pt")
    for name, mode in (("weights.tar", "w"), ("weights.tar.gz", "w:gz")):
        with tarfile.open(tmp_path / name, cast("Literal['w:gz']", mode)) as archive:
            archive.add(tmp_path / "weights.pt", "weights.pt")
    for name in ("weights.zip", "weights.tar", "weights.tar.gz"):
        error = refusal(tmp_path / name)
        assert error.code == "checkpoint_archive", name
        assert "unpack it" in str(error)


def test_a_recompressed_torch_file_is_refused(network: nn.Module, tmp_path: Path) -> None:
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    with (
        zipfile.ZipFile(tmp_path / "weights.pt") as original,
        zipfile.ZipFile(tmp_path / "deflated.pt", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for name in original.namelist():
            deflated.writestr(name, original.read(name))
    assert "compressed" in str(refusal(tmp_path / "deflated.pt"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_weights_that_are_not_finite_are_named(value: float, suffix: str, tmp_path: Path) -> None:
    state = {"layer.weight": torch.ones(4, 4), "layer.bias": torch.ones(4)}
    state["layer.bias"][2] = value
    path = tmp_path / f"weights.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    error = refusal(path)
    assert error.code == "checkpoint_not_finite"
    assert "layer.bias" in str(error)
    assert "1 NaN or infinite values" in str(error)


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1).expand(1 << 40)}, tmp_path / "weights.pt")
    assert "claims more values" in str(refusal(tmp_path / "weights.pt"))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"state_dict": {}}])
def test_a_file_without_weights_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    assert refusal(tmp_path / "weights.pt").code == "checkpoint_empty"


def test_a_checkpoint_that_contains_itself_is_refused(tmp_path: Path) -> None:
    endless: dict[str, Any] = {"epoch": 3}
    endless["state_dict"] = endless
    torch.save(endless, tmp_path / "weights.pt")
    assert "in more than 4 dictionaries" in str(refusal(tmp_path / "weights.pt"))


def test_a_pickle_without_storage_ids_is_reported_as_damaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weights.pt", "w") as archive:
        archive.writestr("weights/data.pkl", b"\x80\x02K\x01Q.")  # the persistent id 1, where torch asserts a tuple
        archive.writestr("weights/version", b"3")
    assert "is damaged: saved_id must be a tuple" in str(refusal(tmp_path / "weights.pt"))


def test_an_empty_file_and_other_file_types_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    (tmp_path / "keras.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(1000))
    torch.save(torch.ones(3), tmp_path / "tensor.pt")
    assert refusal(tmp_path / "empty.pt").code == "checkpoint_empty"
    for name in ("picture.png", "keras.h5", "tensor.pt"):
        assert refusal(tmp_path / name).code == "checkpoint_wrong_type", name
