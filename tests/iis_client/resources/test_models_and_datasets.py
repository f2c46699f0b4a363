"""Registration of vision-language models."""

from __future__ import annotations

from pathlib import Path

import pytest

from iis_client import CheckFailedError, ConfigurationError, IISClient


@pytest.fixture
def towers(tmp_path: Path) -> tuple[Path, Path]:
    """Two files with the names of a pair, but without a network."""
    files = tmp_path / "image.onnx", tmp_path / "text.onnx"
    for file in files:
        file.write_bytes(f"the {file.stem} tower".encode())
    return files


@pytest.mark.slow
def test_a_pair_of_onnx_towers_is_registered_and_checked_by_a_worker(client: IISClient, towers: tuple[Path, Path]) -> None:
    model = client.create_model("onnx", role="vlm", checkpoint=towers[0], text_checkpoint=towers[1], tokenizer="ViT-B-32")
    assert (model.role, model.tokenizer, model.name) == ("vlm", "ViT-B-32", "image.onnx")
    uploads = [client.upload(file).id for file in towers]
    assert None not in (model.upload, model.text_upload)
    assert model.upload != model.text_upload
    again = client.create_model("onnx", role="vlm", upload=uploads[0], text_upload=uploads[1])
    assert (again.upload, again.text_upload, again.tokenizer) == (*uploads, None)
    with pytest.raises(CheckFailedError) as refused:
        client.wait_until_ready(model, 120)
    assert refused.value.resource == model.id


def test_an_image_tower_without_a_text_tower_is_refused(client: IISClient, towers: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigurationError, match="pair of files"):
        client.create_model("onnx", role="vlm", checkpoint=towers[0])


def test_a_backbone_has_no_text_tower(client: IISClient, towers: tuple[Path, Path]) -> None:
    assert client.create_model("onnx", checkpoint=towers[0]).role == "backbone"
    with pytest.raises(ConfigurationError, match="Only an onnx model of role vlm"):
        client.create_model("onnx", checkpoint=towers[0], text_checkpoint=towers[1])
