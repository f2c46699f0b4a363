"""The first argument of `iis score`: a checkpoint, or an architecture."""

from __future__ import annotations

from pathlib import Path

import pytest

from iis_client import ConfigurationError, LocalFileError
from iis_client.cli.settings.model_options import manifest_columns, read_source


def test_an_architecture_or_a_file_is_recognised(tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    file.touch()
    assert read_source("timm:resnet18", None, None) == (None, "timm:resnet18")
    assert read_source("timm:resnet18", None, "a1_in1k") == (None, "timm:resnet18")
    assert read_source(str(file), "timm:resnet18", None) == (file, "timm:resnet18")
    assert read_source(None, "timm:resnet18", None) == (None, "timm:resnet18")


@pytest.mark.parametrize("word", ["gone.safetensors", "timm:", "tim:resnet18", "onnx"])
def test_what_is_neither_is_refused_with_both_forms(word: str) -> None:
    with pytest.raises(LocalFileError, match=f"There is no file {word}; give a checkpoint, or an architecture such as timm:resnet18"):
        read_source(word, None, None)


def test_an_architecture_given_twice_and_two_sources_of_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--arch gives another"):
        read_source("timm:resnet18", "timm:resnet34", None)
    file = tmp_path / "net.safetensors"
    file.touch()
    with pytest.raises(ConfigurationError, match="not both"):
        read_source(str(file), "timm:resnet18", "a1_in1k")


def test_columns_name_roles_of_a_table() -> None:
    table = Path("labels.csv")
    assert manifest_columns(table, ["path=file", "label=species"]) == {"path_column": "file", "label_column": "species"}
    with pytest.raises(ConfigurationError, match="give it with --labels"):
        manifest_columns(None, ["path=file"])
    with pytest.raises(ConfigurationError, match="not colour"):
        manifest_columns(table, ["colour=file"])
