"""Arguments of `iis score` that name the model and the data: files and architectures to register, or registered ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from iis_client import ConfigurationError
from iis_client.cli.inputs.scored import NewModel, ScoredInputs, read_inputs

NO_OPTIONS: dict[str, Any] = {"pretrained": None, "weights_of": None, "arguments": {}, "preprocessing": None}


def read(source: str | None = None, *, data: Path | None = None, network: dict[str, Any] | None = None, **given: Any) -> ScoredInputs:
    others: dict[str, Any] = {"arch": None, "features": None, "labels": None, "columns": {}, **given}
    return read_inputs(source, data=data, network=NO_OPTIONS | (network or {}), **others)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with weights and a folder of images in it."""
    (tmp_path / "net.safetensors").touch()
    (tmp_path / "photos").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("files")
def test_files_and_architectures_are_registered_and_other_words_are_references() -> None:
    new = read("net.safetensors", arch="timm:resnet18", data=Path("photos"))
    assert (new.model, new.data) == (NewModel(Path("net.safetensors"), "timm:resnet18", NO_OPTIONS), Path("photos"))
    assert read("timm:resnet18", data=Path("photos")).model == NewModel(None, "timm:resnet18", NO_OPTIONS)
    registered = read("epoch 90", data=Path("@last"))
    assert (registered.model, registered.data) == ("epoch 90", "@last")
    assert read("timm:resnet18", data=Path("dst_01m8q5")).data == "dst_01m8q5"
    features = read(data=Path("digits features"))
    assert (features.model, features.data) == (None, "digits features")
    assert read(features=Path("digits.npz")) == ScoredInputs(None, Path("digits.npz"), is_features=True)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"source": "epoch 90"}, "A model (timm:resnet18, a checkpoint with --arch, or a registered model) and --data"),
        ({"data": Path("photos")}, "are required"),
        ({"source": "net.safetensors", "data": Path("photos")}, "A checkpoint needs its architecture"),
        (
            {"source": "gone.pt", "data": Path("photos"), "network": {"weights_of": "openai", "preprocessing": {"input_size": 32}}},
            "There is no file gone.pt, and a registered model has its own settings; leave out --weights-of, --preprocess,",
        ),
        ({"data": Path("digits"), "network": {"layer": "blocks.3"}}, "leave out --layer"),
        ({"source": "timm:resnet18", "data": Path("birds"), "labels": Path("labels.csv")}, "leave out --labels"),
        ({"source": "timm:resnet18", "features": Path("digits.npz")}, "--features contains the representation"),
    ],
)
@pytest.mark.usefixtures("files")
def test_arguments_that_do_not_go_together_are_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(given.pop("source", None), **given)
    assert sentence in str(refused.value)
