"""Features of unlabelled images: independent of shards, with an error message for each unreadable image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.data.decoding.images import load_image
from iis_engine.errors import DataError
from iis_engine.features.unlabelled_images import UnlabelledImages, extract_unlabelled, find_images
from iis_engine.specs import BackboneSpec, Preprocessing


@pytest.fixture(scope="module")
def backbone(tiny_checkpoint: Path) -> Backbone:
    return load_backbone(BackboneSpec("timm:test_resnet", preprocessing=Preprocessing(input_size=32)), tiny_checkpoint, device="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five images, two of them in a subfolder and one of those damaged, and two other files."""
    root = tmp_path / "images"
    (root / "in").mkdir(parents=True)
    generator = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "in/c.png", "d.png"):
        Image.fromarray(generator.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(root / name)
    (root / "in" / "broken.png").write_bytes((root / "a.png").read_bytes()[:100])
    (root / "notes.txt").write_text("some text")
    (root / ".hidden.png").write_bytes(b"")
    return root


def test_images_and_other_files_are_sorted_by_name(folder: Path) -> None:
    assert find_images(folder) == (("a.png", "b.jpg", "d.png", "in/broken.png", "in/c.png"), ("notes.txt",))


def test_features_equal_those_of_single_images_and_the_damaged_one_has_an_error_message(
    backbone: Backbone, folder: Path, tmp_path: Path
) -> None:
    found = extract_unlabelled(backbone, folder, "digest", shard_folder=tmp_path / "shards", shard_size=2)
    assert found.rows.tolist() == [0, 1, 2, 4]
    expected = torch.cat([backbone.embed(backbone.preprocess(load_image(folder / found.names[row]))[None]) for row in found.rows])
    assert torch.allclose(found.features, expected, atol=1e-4)
    assert list(found.failures) == [3]
    assert found.failures[3].startswith("The image broken.png cannot be decoded")
    found.save(tmp_path / "found.safetensors")
    again = UnlabelledImages.load(tmp_path / "found.safetensors")
    assert (again.names, again.ignored, again.failures) == (found.names, found.ignored, found.failures)
    assert torch.equal(again.features, found.features)
    assert torch.equal(again.rows, found.rows)


def test_finished_shards_are_reused(backbone: Backbone, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = extract_unlabelled(backbone, folder, "digest", shard_folder=tmp_path / "shards", shard_size=2)
    (tmp_path / "shards" / "unlabelled-00001.safetensors").unlink()
    batch_sizes = list[int]()
    embed = backbone.embed

    def recording(batch: torch.Tensor) -> torch.Tensor:
        batch_sizes.append(len(batch))
        return embed(batch)

    monkeypatch.setattr(backbone, "embed", recording)
    reports = list[tuple[int, int]]()

    def report(done: int, total: int) -> None:
        reports.append((done, total))

    again = extract_unlabelled(backbone, folder, "digest", shard_folder=tmp_path / "shards", shard_size=2, progress=report)
    assert batch_sizes == [1]  # image 3 is damaged
    assert (reports[0], reports[-1]) == ((3, 5), (5, 5))
    assert torch.equal(again.features, first.features)
    assert again.failures == first.failures
    extract_unlabelled(backbone, folder, "another", shard_folder=tmp_path / "shards", shard_size=2)
    assert sum(batch_sizes) == 1 + 4


def test_an_image_on_which_the_network_overflows_is_a_failure(
    backbone: Backbone, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed = backbone.embed

    def overflowing(batch: torch.Tensor) -> torch.Tensor:
        found = embed(batch).clone()
        found[1] = torch.inf
        return found

    monkeypatch.setattr(backbone, "embed", overflowing)
    found = extract_unlabelled(backbone, folder, "digest", shard_folder=tmp_path / "shards")
    assert found.rows.tolist() == [0, 2, 4]
    assert found.failures[1] == "The representation of b.jpg is not finite: the network overflows on it."
    assert torch.isfinite(found.features).all()


def test_folders_without_a_readable_image_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    root = tmp_path / "images"
    root.mkdir()
    (root / "notes.txt").write_text("some text")
    with pytest.raises(DataError, match=r"contains no images, only notes.txt; send .avif, .bmp"):
        extract_unlabelled(backbone, root, "digest", shard_folder=tmp_path / "shards")
    (root / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"None of the 1 images can be read. The image a.png is not an image"):
        extract_unlabelled(backbone, root, "digest", shard_folder=tmp_path / "shards")
