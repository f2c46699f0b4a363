"""Fitting W_c: ridge start and L-BFGS beside 1,000 steps of Adam on the same cubed cosine, on the same rows and threads.

Adam's loop is that of Label-free CBM (Oikarinen et al., ICLR 2023, appendix): whole training set in a batch, learning rate 1e-3, the
weights kept that did best on the held-out rows, looked at every 50 steps. Here it is given centred features of unit variance, larger
rates too, and the best of the looks for each concept by itself, as ours has it; its time is that of one rate.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.timing import print_ratio, timed
from iis_engine import protocols
from iis_engine.features.canonical_order import validation_rows
from iis_engine.libraries.fitting import cos_cubed, imitate

STEPS = 1000
LOOK_EVERY = 50
RATES = (1e-3, 1e-2, 1e-1)
ROUNDS = 3  # of ours; the median counts


def adam(X: Tensor, P: Tensor, held_out: Tensor, rate: float) -> Tensor:
    """Held-out similarity (M,) of each concept at its best look."""
    scaled = X - X[~held_out].mean(dim=0)
    scaled = scaled / scaled[~held_out].square().mean().sqrt()
    fitted, judged = scaled[~held_out], scaled[held_out]
    torch.manual_seed(0)
    projection = torch.nn.Linear(X.shape[1], P.shape[1], bias=False)
    optimiser = torch.optim.Adam(projection.parameters(), lr=rate)
    best = torch.full((P.shape[1],), -1.0)
    for step in range(1, STEPS + 1):
        loss = -cos_cubed(projection(fitted), P[~held_out]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % LOOK_EVERY == 0:
            with torch.no_grad():
                best = torch.maximum(best, cos_cubed(projection(judged), P[held_out]))
    return best


def digits(folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """A small network's representation of the digits, cosines with the attributes that a small vision-language model knows, and labels."""
    from demo.checkpoints import ARCHITECTURE, SIDE_PIXELS, train_checkpoints, write_digits
    from demo.language_model import ARCHITECTURE as VLM
    from demo.language_model import ARGUMENTS, DIGIT_ATTRIBUTES, train_digit_language_model
    from iis_engine.backbones.factory import load_backbone
    from iis_engine.data.datasets import read_image_folder
    from iis_engine.features.extraction import extract_features
    from iis_engine.specs import BackboneSpec, Preprocessing, VisionLanguageSpec
    from iis_engine.vision_language.model import load_vision_language_model

    threads = torch.get_num_threads()
    write_digits(folder / "digits")
    checkpoint = train_checkpoints(folder / "checkpoints")[-1].path
    vlm = load_vision_language_model(VisionLanguageSpec(VLM, ARGUMENTS), train_digit_language_model(folder / "vlm.safetensors"))
    torch.set_num_threads(threads)  # the trainings take one
    own = BackboneSpec(f"timm:{ARCHITECTURE}", {"num_classes": 10}, preprocessing=Preprocessing(input_size=SIDE_PIXELS, crop_pct=1.0))
    images = read_image_folder(folder / "digits")
    features = extract_features(load_backbone(own, checkpoint), images, None, shard_folder=folder / "features")
    embeddings = extract_features(vlm.images, images, None, shard_folder=folder / "embeddings")
    P = torch.nn.functional.normalize(embeddings.X_train, dim=1) @ vlm.embed_text(list(DIGIT_ATTRIBUTES)).T
    return features.X_train, P, features.y_train


def latent(n: int, d: int, M: int) -> tuple[Tensor, Tensor, Tensor]:
    """Made-up data of a larger size: 32 factors of falling strength, seen by a rectified layer with noise and otherwise by the cosines."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    factors = normal(n, 32) / torch.arange(1, 33).sqrt()
    X = torch.relu(factors @ normal(32, d) + 0.3 * normal(n, d))
    images = torch.nn.functional.normalize(factors + 0.15 * normal(n, 32), dim=1)
    P = images @ torch.nn.functional.normalize(normal(M, 32), dim=1).T
    return X, P, torch.zeros(n, dtype=torch.int64)


def compare(name: str, X: Tensor, P: Tensor, y: Tensor) -> None:
    """Print seconds and similarities of both."""
    held_out = validation_rows(y, protocols.TEXT_HELD_OUT_SHARE, 0)
    columns = torch.eye(P.shape[1])
    ours = [timed(lambda: imitate(X, P, columns, held_out)) for _ in range(ROUNDS)]
    theirs = [timed(lambda rate=rate: adam(X, P, held_out, rate)) for rate in RATES]
    print_ratio(name, statistics.median(spent.wall for spent, _ in ours), statistics.median(spent.wall for spent, _ in theirs))
    print_ratio(name, statistics.median(spent.cpu for spent, _ in ours), statistics.median(spent.cpu for spent, _ in theirs), kind="CPU")
    reached = "; ".join(f"Adam at {rate:g} {float(found.mean()):.4f}" for rate, (_, found) in zip(RATES, theirs, strict=True))
    print(
        f"SIMILARITY {name} n {len(X)} d {X.shape[1]} M {P.shape[1]}: ours {float(ours[0][1].similarity.mean()):.4f}; {reached}", flush=True
    )


def main() -> int:
    """Digits with a real, small vision-language model, then two made-up sizes."""
    with tempfile.TemporaryDirectory() as folder:
        compare("text_digits", *digits(Path(folder)))
    compare("text_latent_1000x768x200", *latent(1000, 768, 200))
    compare("text_latent_2000x512x300", *latent(2000, 512, 300))
    return 0


if __name__ == "__main__":
    sys.exit(main())
