"""Registering models that compare images with phrases."""

from __future__ import annotations

from pathlib import Path

import pytest

from iis_client import CheckFailedError, IISClient, InvalidInputError


@pytest.fixture
def towers(tmp_path: Path) -> tuple[Path, Path]:
    """Two files with the names of a pair and no network in them."""
    files = tmp_path / "image.onnx", tmp_path / "text.onnx"
    for file in files:
        file.write_bytes(f"the {file.stem} tower".encode())
    return files


def test_a_pair_of_towers_is_registered_with_both_files_and_a_tokenizer_and_checked_by_a_worker(
    client: IISClient, towers: tuple[Path, Path]
) -> None:
    model = client.create_model("onnx", role="vlm", checkpoint=towers[0], text_checkpoint=towers[1], tokenizer="ViT-B-32")
    assert (model["role"], model["tokenizer"], model["name"]) == ("vlm", "ViT-B-32", "image.onnx")
    uploads = [client.upload(file)["id"] for file in towers]
    assert None not in (model["upload"], model["text_upload"])
    assert model["upload"] != model["text_upload"]
    again = client.create_model("onnx", role="vlm", upload=uploads[0], text_upload=uploads[1])
    assert (again["upload"], again["text_upload"], again["tokenizer"]) == (*uploads, None)
    with pytest.raises(CheckFailedError) as refused:
        client.wait_until_ready(model, 120)
    assert refused.value.resource == model["id"]


def test_half_a_pair_is_refused_with_what_is_missing(client: IISClient, towers: tuple[Path, Path]) -> None:
    with pytest.raises(InvalidInputError, match="pair of files"):
        client.create_model("onnx", role="vlm", checkpoint=towers[0])


def test_a_backbone_has_no_text_tower(client: IISClient, towers: tuple[Path, Path]) -> None:
    assert client.create_model("onnx", checkpoint=towers[0])["role"] == "backbone"
    with pytest.raises(InvalidInputError, match="Only an onnx model of role vlm"):
        client.create_model("onnx", checkpoint=towers[0], text_checkpoint=towers[1])
