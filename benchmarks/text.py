"""Fitting W_c: ridge start and L-BFGS against 1,000 steps of Adam on the same cubed cosine, on the same rows and threads.

Adam's loop is that of Label-free CBM (Oikarinen et al., ICLR 2023, appendix): the whole training set in a batch, learning rate 1e-3, the
best weights on the held-out rows, evaluated every 50 steps. Here it also gets centred features of unit variance, larger rates, and the best
evaluation per concept, as ours does; its time is that of one rate.
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
EVALUATION_STEPS = 50
RATES = (1e-3, 1e-2, 1e-1)
ROUNDS = 3  # of ours; the median is printed


def adam(X: Tensor, P: Tensor, held_out: Tensor, rate: float) -> Tensor:
    """(M,) held-out similarity of each concept at its best evaluation."""
    scaled = X - X[~held_out].mean(dim=0)
    scaled = scaled / scaled[~held_out].square().mean().sqrt()
    fit_rows, held_out_rows = scaled[~held_out], scaled[held_out]
    torch.manual_seed(0)
    projection = torch.nn.Linear(X.shape[1], P.shape[1], bias=False)
    optimiser = torch.optim.Adam(projection.parameters(), lr=rate)
    best = torch.full((P.shape[1],), -1.0)
    for step in range(1, STEPS + 1):
        loss = -cos_cubed(projection(fit_rows), P[~held_out]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % EVALUATION_STEPS == 0:
            with torch.no_grad():
                best = torch.maximum(best, cos_cubed(projection(held_out_rows), P[held_out]))
    return best


def digits(folder: Path) -> tuple[Tensor, Tensor, Tensor]:
    """A small network's representation of the digits, a small vision-language model's cosines with attributes, and labels."""
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
    torch.set_num_threads(threads)  # training sets it to one
    spec = BackboneSpec(f"timm:{ARCHITECTURE}", {"num_classes": 10}, preprocessing=Preprocessing(input_size=SIDE_PIXELS, crop_pct=1.0))
    images = read_image_folder(folder / "digits")
    features = extract_features(load_backbone(spec, checkpoint), images, None, shard_folder=folder / "features")
    embeddings = extract_features(vlm.images, images, None, shard_folder=folder / "embeddings")
    P = torch.nn.functional.normalize(embeddings.X_train, dim=1) @ vlm.embed_text(list(DIGIT_ATTRIBUTES)).T
    return features.X_train, P, features.y_train


def synthetic(n: int, d: int, M: int) -> tuple[Tensor, Tensor, Tensor]:
    """Synthetic data: 32 factors of decreasing strength, through a noisy rectified layer (X) and as cosines (P)."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    factors = normal(n, 32) / torch.arange(1, 33).sqrt()
    X = torch.relu(factors @ normal(32, d) + 0.3 * normal(n, d))
    images = torch.nn.functional.normalize(factors + 0.15 * normal(n, 32), dim=1)
    P = images @ torch.nn.functional.normalize(normal(M, 32), dim=1).T
    return X, P, torch.zeros(n, dtype=torch.int64)


def compare(name: str, X: Tensor, P: Tensor, y: Tensor) -> None:
    """Print times and similarities of both."""
    held_out = validation_rows(y, protocols.TEXT_HELD_OUT_SHARE, 0)
    columns = torch.eye(P.shape[1])
    ours = [timed(lambda: imitate(X, P, columns, held_out)) for _ in range(ROUNDS)]
    theirs = [timed(lambda rate=rate: adam(X, P, held_out, rate)) for rate in RATES]
    our_times, adam_times = [elapsed for elapsed, _ in ours], [elapsed for elapsed, _ in theirs]
    print_ratio(name, statistics.median(each.wall for each in our_times), statistics.median(each.wall for each in adam_times))
    print_ratio(name, statistics.median(each.cpu for each in our_times), statistics.median(each.cpu for each in adam_times), kind="CPU")
    similarities = "; ".join(f"Adam at {rate:g} {float(found.mean()):.4f}" for rate, (_, found) in zip(RATES, theirs, strict=True))
    print(
        f"SIMILARITY {name} n {len(X)} d {X.shape[1]} M {P.shape[1]}: ours {float(ours[0][1].similarity.mean()):.4f}; {similarities}",
        flush=True,
    )


def main() -> int:
    """Compare on digits with a small vision-language model, then on synthetic data of two sizes."""
    with tempfile.TemporaryDirectory() as folder:
        compare("text_digits", *digits(Path(folder)))
    compare("text_latent_1000x768x200", *synthetic(1000, 768, 200))
    compare("text_latent_2000x512x300", *synthetic(2000, 512, 300))
    return 0


if __name__ == "__main__":
    sys.exit(main())
