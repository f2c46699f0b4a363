"""The pointing game (Zhang et al. 2016, arXiv 1608.00507): does the maximum of a concept's heat map fall on the part it belongs to?

Made images of coloured parts at known places, and montages of real photos. Rates are printed beside those of chance: `pytest -s`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, interpolate, normalize

from benchmarks.cifar_resnet import CifarResNet, export_onnx
from iis_engine.backbones.backbone import Backbone
from iis_engine.backbones.factory import load_backbone
from iis_engine.backbones.token_maps import TokenMap, split_network
from iis_engine.data.decoding.images import load_image
from iis_engine.explanations.heatmaps import heat_maps
from iis_engine.specs import BackboneSpec, Preprocessing

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")

SIDE = 32
COLOURS = np.array([(220, 60, 60), (60, 200, 70), (70, 90, 230), (220, 210, 60)])
HALVES = Preprocessing(input_size=SIDE, crop_pct=1.0, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
TRAINED_ON, PLAYED_ON = 1024, 80


@dataclass(frozen=True)
class Rates:
    """Shares of hits: of the maps, of maps of another image, and of a point thrown at random (the share of the area)."""

    hit: float
    shuffled: float
    chance: float


def draw(count: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Images (n, 32, 32, 3) of one to three discs and squares on noise, each of its own colour, and each colour's mask (n, 4, 32, 32)."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images = generator.normal(110, 25, (count, SIDE, SIDE, 3))
    masks = np.zeros((count, len(COLOURS), SIDE, SIDE), dtype=bool)
    for image, mask in zip(images, masks, strict=True):
        for colour in generator.permutation(len(COLOURS))[: generator.integers(1, 4)]:
            inside = mask.any(0)
            while (inside & mask.any(0)).any() or not inside.any():
                radius = generator.uniform(4, 6)
                centre_x, centre_y = generator.uniform(radius, SIDE - 1 - radius, 2)
                dx, dy = abs(x - centre_x), abs(y - centre_y)
                inside = np.hypot(dx, dy) <= radius if generator.random() < 0.5 else np.maximum(dx, dy) <= 0.88 * radius
            mask[colour] = inside
            image[inside] = COLOURS[colour] * generator.uniform(0.8, 1.1) + generator.normal(0, 15, (int(inside.sum()), 3))
    return images.clip(0, 255).astype(np.uint8), masks


def train(network: nn.Module, represent: Callable[[Tensor], Tensor], width: int, steps: int, rate: float) -> None:
    """Train the network to predict the colours of an image; no label says where they are."""
    drawn, masks = draw(TRAINED_ON, seed=0)
    pixels = torch.from_numpy(drawn).permute(0, 3, 1, 2).float().div(127.5).sub(1)
    present = torch.from_numpy(masks.any((2, 3))).float()
    head = nn.Linear(width, len(COLOURS))
    optimizer = torch.optim.AdamW([*network.parameters(), *head.parameters()], lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    network.train()
    for _ in range(steps):
        batch = torch.randint(len(pixels), (64,))
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(head(represent(pixels[batch])), present[batch]).backward()
        optimizer.step()
        schedule.step()
    network.eval()


def concepts_of(backbone: Backbone) -> Tensor:
    """One direction per colour: the mean representation with it minus the mean without."""
    drawn, masks = draw(256, seed=1)
    features = backbone.embed(torch.stack([backbone.normalize(pixels) for pixels in drawn]))
    present = torch.from_numpy(masks.any((2, 3)))
    return normalize(torch.stack([features[has].mean(0) - features[~has].mean(0) for has in present.T]), dim=1)


def play(backbone: Backbone, method: str) -> Rates:
    """Rates of the heat maps of the colours that each image has."""
    concepts = concepts_of(backbone)
    maps = [heat_maps(backbone, concepts, backbone.normalize(pixels)[None]) for pixels in draw(PLAYED_ON, seed=2)[0]]
    assert {each.method for each in maps} == {method}
    return pointed(torch.stack([each.values for each in maps]), method)


def pointed(maps: Tensor, what: str) -> Rates:
    """The rates of (n, 4, h, w) maps of the drawn images, each also laid over the next image."""
    _, masks = draw(PLAYED_ON, seed=2)
    points = interpolate(maps, (SIDE, SIDE), mode="bilinear", align_corners=False).flatten(2).argmax(2)
    flat = torch.from_numpy(masks).flatten(2)
    present = flat.any(2)
    hits, shuffled = (flat.gather(2, at[..., None])[..., 0][present].float().mean() for at in (points, points.roll(1, 0)))
    return print_rates(f"{what}, made images", Rates(float(hits), float(shuffled), float(flat[present].float().mean())))


def print_rates(what: str, rates: Rates) -> Rates:
    print(f"\npointing game, {what}: hit {rates.hit:.3f}, shuffled maps {rates.shuffled:.3f}, chance {rates.chance:.3f}")
    return rates


def transformer(folder: Path, pool: str) -> tuple[nn.Module, Backbone]:
    torch.manual_seed(0)
    arguments: dict[str, Any] = {"img_size": SIDE, "patch_size": 4, "depth": 2, "global_pool": pool}
    network: Any = timm.create_model("test_vit", **arguments)
    train(network, lambda images: network.forward_head(network.forward_features(images), pre_logits=True), 64, 120, 3e-3)
    save_file(network.state_dict(), folder / "w.safetensors")
    spec = BackboneSpec("timm:test_vit", arguments, preprocessing=HALVES)
    return network, load_backbone(spec, folder / "w.safetensors", device="cpu")


@pytest.mark.slow
def test_exact_maps_point_at_the_part(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = CifarResNet(8)
    train(network, network.represent, 64, 60, 5e-3)
    export_onnx(network, tmp_path / "a.onnx")
    rates = play(load_backbone(BackboneSpec("onnx", preprocessing=HALVES), tmp_path / "a.onnx", device="cpu"), "feature_map")
    assert rates.chance < 0.1
    assert rates.shuffled < 0.25
    assert rates.hit > 0.8


@pytest.mark.slow
def test_tokens_that_are_pooled_point_at_the_part(tmp_path: Path) -> None:
    rates = play(transformer(tmp_path, "avg")[1], "tokens")
    assert rates.chance < 0.1
    assert rates.shuffled < 0.25
    assert rates.hit > 0.6


@pytest.mark.slow
def test_occlusion_points_at_the_part_encoded_in_a_class_token(tmp_path: Path) -> None:
    """Maps of the patch tokens point at far fewer parts."""
    network, backbone = transformer(tmp_path, "token")
    rates = play(backbone, "occlusion")
    assert rates.chance < 0.1
    assert rates.shuffled < 0.25
    assert rates.hit > 0.8
    halves = split_network(network, None)
    assert halves is not None
    drawn, _ = draw(PLAYED_ON, seed=2)
    with torch.no_grad():
        tokens = TokenMap(halves, 1)(torch.stack([backbone.normalize(pixels) for pixels in drawn]))
    rejected = pointed(torch.einsum("md,ndhw->nmhw", concepts_of(backbone), tokens), "a class token's patches (not used)")
    assert rejected.hit < rates.hit - 0.2


@pytest.mark.slow
def test_a_real_networks_maps_point_at_the_photo_that_a_class_comes_from(shared_data: Path) -> None:
    """Montages of four photos of four kinds of flowers; a concept is a kind's mean direction among other photos."""
    size = 192
    wanted = Preprocessing(input_size=size, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), interpolation="bicubic", crop_pct=1.0)
    spec = BackboneSpec("timm:mobilenetv1_100", {"channel_multiplier": 0.75, "pad_type": "same"}, preprocessing=wanted)
    backbone = load_backbone(spec, shared_data / "weights" / "imagenet_mobilenetv1_075.safetensors", device="cpu")
    kinds = sorted(folder.name for folder in (shared_data / "flowers17" / "train").iterdir())[:6]

    def photos(split: str, kind: str, count: int) -> list[Image.Image]:
        return [load_image(path) for path in sorted((shared_data / "flowers17" / split / kind).iterdir())[:count]]

    means = torch.stack(
        [backbone.embed(torch.stack([backbone.preprocess(photo) for photo in photos("train", kind, 10)])).mean(0) for kind in kinds]
    )
    concepts = normalize(means - means.mean(0), dim=1)
    test = {kind: photos("test", kind, 10) for kind in kinds}
    generator = np.random.default_rng(0)
    hits, strays = list[bool](), list[bool]()
    last = dict[int, int]()
    for _ in range(24):
        montage, chosen = Image.new("RGB", (size, size)), generator.permutation(len(kinds))[:4]
        for quarter, kind in enumerate(chosen):
            photo = test[kinds[kind]][generator.integers(10)].resize((size // 2, size // 2))
            montage.paste(photo, (quarter % 2 * size // 2, quarter // 2 * size // 2))
        maps = heat_maps(backbone, concepts, backbone.preprocess(montage)[None])
        assert maps.exact
        _, rows, columns = maps.values.shape
        for quarter, kind in enumerate(chosen):
            row, column = divmod(int(maps.values[kind].argmax()), columns)
            pointed = 2 * (2 * row // rows) + 2 * column // columns
            hits.append(pointed == quarter)
            strays.append(last.get(int(kind), -1) == quarter)
            last[int(kind)] = pointed
    rates = print_rates("feature_map, montages of flowers", Rates(float(np.mean(hits)), float(np.mean(strays)), 0.25))
    assert rates.shuffled < 0.4
    assert rates.hit > 0.6
