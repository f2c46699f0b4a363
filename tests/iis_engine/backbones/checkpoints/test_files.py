"""Reading checkpoint files: state dicts are read, code and damaged files are refused. Their choice: test_weights."""

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

from iis_engine.backbones.checkpoints.files import as_float32, load_checkpoint
from iis_engine.errors import CheckpointError


@pytest.fixture
def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_float_width_become_float32_and_counters_stay_integers(dtype: torch.dtype, tmp_path: Path) -> None:
    save_file({"weight": torch.ones(3, dtype=dtype), "count": torch.tensor(5)}, tmp_path / "weights.safetensors")
    loaded = as_float32(load_checkpoint(tmp_path / "weights.safetensors")[0].weights, "weights.safetensors")
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


def older(content: object, path: Path) -> bytes:
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()


def test_a_file_of_torch_before_1_6_is_read(network: nn.Module, tmp_path: Path) -> None:
    base = torch.arange(12.0).reshape(3, 4)
    stored = {**network.state_dict(), "shared": base[1:], "transposed": base.t(), "half": torch.ones(3, dtype=torch.bfloat16)}
    stored |= {"empty": torch.zeros(0), "parameter": nn.Parameter(torch.ones(2))}
    older({"state_dict": stored, "epoch": 3}, tmp_path / "old.pth")
    (found,) = load_checkpoint(tmp_path / "old.pth")
    assert found.location == "state_dict"
    assert all(torch.equal(found.weights[key], value) for key, value in stored.items())


def test_code_in_a_file_of_torch_before_1_6_is_not_run(network: nn.Module, tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Path]]:
            return Path.touch, (tmp_path / "ran",)

    older({"state_dict": Attack()}, tmp_path / "attack.pth")
    older(network, tmp_path / "module.pth")
    for name in ("attack.pth", "module.pth"):
        assert refusal(tmp_path / name).code == "checkpoint_pickled_code", name
    assert not (tmp_path / "ran").exists()


def test_a_file_of_torch_before_1_6_cannot_claim_more_than_it_has(tmp_path: Path) -> None:
    content = older({"weight": torch.ones(256)}, tmp_path / "old.pth")
    claimed = content.replace(b"M\x00\x01", b"J\x00\x00\x00\x7f")  # 256 values become two billion
    assert claimed != content
    (tmp_path / "claims.pth").write_bytes(claimed)
    assert refusal(tmp_path / "claims.pth").code == "checkpoint_truncated"


def test_a_storage_that_a_file_of_torch_before_1_6_does_not_list_is_refused(tmp_path: Path) -> None:
    """torch.load would return the uninitialised memory of the process."""
    content = older({"weight": torch.ones(256)}, tmp_path / "old.pth")
    head, _, storages = content.rpartition(b"\x80\x02]q\x00")
    assert storages
    (tmp_path / "unlisted.pth").write_bytes(head + b"\x80\x02]q\x00." + bytes(1100))
    assert "list of storages does not match" in str(refusal(tmp_path / "unlisted.pth"))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_file_of_torch_before_1_6_is_reported(share: float, tmp_path: Path) -> None:
    content = older({"weight": torch.ones(256)}, tmp_path / "old.pth")
    (tmp_path / "cut.pth").write_bytes(content[: int(len(content) * share)])
    assert refusal(tmp_path / "cut.pth").code == "checkpoint_truncated"


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


def test_a_tensor_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(1).expand(1 << 40)}, tmp_path / "weights.pt")
    assert "claims more values" in str(refusal(tmp_path / "weights.pt"))


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"state_dict": {}}])
def test_a_file_without_weights_is_refused(content: dict[str, Any], tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    assert refusal(tmp_path / "weights.pt").code == "checkpoint_empty"


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
