"""Phrases of a text library that reach the cutoff on the held-out images and miss it on unseen ones; and the cost of the matched control.

A synthetic network encodes half of the factors of its images, and a vision-language model all of them, so that phrases are represented more
or less well. The true similarity of each direction is measured on 4,000 images that nothing has seen. Compared are selection and judgement
on the same fifth of the training images, and on the two halves of it (METHOD §3).
"""

from __future__ import annotations

import statistics
import sys
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.timing import timed
from iis_engine.features.canonical_order import validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.libraries.build import build_library
from iis_engine.libraries.fitting import cos_cubed, imitate
from iis_engine.libraries.matched_text import build_matched_text
from iis_engine.libraries.text import TextSource, refit_text
from iis_engine.libraries.text_evidence import read_evidence
from iis_engine.specs import LibrarySpec
from iis_engine.vision_language.phrase_embeddings import PhraseEmbeddings
from iis_engine.vocabularies.phrases import Phrase

CUTOFF = LibrarySpec("text").interpretability_cutoff
PHRASES, FACTORS, DIMENSION, UNSEEN = 400, 64, 256, 4000
SEEDS = range(3)
CPU = torch.device("cpu")


@dataclass(frozen=True)
class World:
    """Representations X (n + UNSEEN, d), image embeddings and phrase embeddings (·, e), all float32."""

    X: Tensor
    images: Tensor
    phrases: Tensor

    @staticmethod
    def drawn(n: int, seed: int) -> World:
        """Half of the phrases name one factor each, the others are mixtures."""
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator)

        factors = normal(n + UNSEEN, FACTORS) / torch.arange(1, FACTORS + 1).sqrt()
        X = torch.relu(factors[:, ::2] @ normal(FACTORS // 2, DIMENSION) + 0.5 * normal(n + UNSEEN, DIMENSION))
        phrases = normal(PHRASES, FACTORS)
        named = torch.arange(PHRASES // 2)
        phrases[named] *= 0.15
        phrases[named, torch.randint(0, 16, (len(named),), generator=generator)] += 1
        images = factors + 0.125 * normal(n + UNSEEN, FACTORS)
        return World(X, normalize(images, dim=1), normalize(phrases, dim=1))

    def features(self, rows: Tensor, n: int) -> FeatureSet:
        """A feature set of n training rows."""
        y = torch.arange(n) % 2
        return FeatureSet(rows[:n], y, rows[n : n + 100], y[:100], ("a", "b"), train_rows=torch.arange(n))


def missed(n: int, seed: int) -> tuple[float, float]:
    """Shares of the phrases that pass and miss the cutoff on unseen images: judged on the choosing images, and on others."""
    world = World.drawn(n, seed)
    features, images = world.features(world.X, n), world.features(world.images, n)

    def share_missed(vectors: Tensor, passing: Tensor) -> float:
        unseen = cos_cubed(world.X[n:].double() @ vectors.T, (world.images[n:] @ world.phrases.T).double())
        return float((unseen[passing] < CUTOFF).double().mean())

    held_out = validation_rows(features.y_train, 0.2, seed)
    together = imitate(features.X_train, images.X_train, world.phrases, held_out)
    apart = read_evidence(features, images, seed).fit(world.phrases, seed, CPU)
    confirmed = (apart.chosen >= CUTOFF) & (apart.judged >= CUTOFF)
    return share_missed(together.vectors, together.similarity >= CUTOFF), share_missed(apart.vectors, confirmed)


def control_cost(n: int, count: int) -> tuple[float, float]:
    """Wall-clock seconds of a further library seed and of one matched control, for M = count."""
    world = World.drawn(n, 0)
    phrases = tuple(Phrase(f"q{chr(97 + i // 26)}{chr(97 + i % 26)}q", None) for i in range(PHRASES))
    classes = normalize(torch.randn(2, FACTORS, generator=torch.Generator().manual_seed(1)), dim=1)
    source = TextSource(PhraseEmbeddings(phrases, world.phrases, ("a", "b"), classes), world.features(world.images, n))
    features, spec = world.features(world.X, n), LibrarySpec("text", count, clip_cutoff=-1, interpretability_cutoff=0.2)
    library = build_library(features, spec, 0, CPU, text_source=source)
    report = library.text_report
    if report is None or len(library) < count:
        raise RuntimeError(f"Only {len(library)} of {count} phrases were kept.")
    return (
        timed(lambda: refit_text(features, source, report, spec, 1, CPU))[0].wall,
        timed(lambda: build_matched_text(features, source, library, spec, 1, CPU))[0].wall,
    )


def main() -> int:
    """Print the shares for several numbers of training images, then the cost of the control."""
    for n in (250, 500, 1000, 3000):
        shares = [missed(n, seed) for seed in SEEDS]
        together, apart = (statistics.mean(pair[which] for pair in shares) for which in (0, 1))
        print(f"MISSED training images {n}: chosen and judged together {together:.2f}, apart {apart:.2f}", flush=True)
    for n in (1000, 4000):
        further_seed, control = control_cost(n, 50)
        print(
            f"CONTROL n {n} d {DIMENSION} M 50 phrases {PHRASES}: further seed {further_seed:.2f} s, matched control {control:.2f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
