"""SAE library: decoder directions of a TopK sparse autoencoder that is trained on the visual elements."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from iis_engine.libraries.library import ConceptLibrary, nearest_elements

MOST_ELEMENTS = 20_000  # as for clusters
ACTIVE_PER_ELEMENT = 8  # k of TopK
STEPS = 400
BATCH = 512
LEARNING_RATE = 1e-3
DECIMALS = 12


def build_sae(units: Tensor, numbers: Tensor, concept_count: int, seed: int) -> ConceptLibrary:
    """Train x̂ = b + TopK(ReLU((x - b) W_enc))·C on the elements (E, d) for the mean of |x - x̂|², C with unit rows; the concepts are C.

    C starts as M different elements less their mean, W_enc as its transpose and b as the mean. A direction that no element activates keeps
    the element that it started from. Adam in float64, batches and start from the seed, so that the same elements give the same concepts.

    References
    ----------
    Makhzani and Frey, "k-Sparse Autoencoders", ICLR 2014; Gao et al., "Scaling and evaluating sparse autoencoders", 2024.
    """
    units, numbers = units[:MOST_ELEMENTS].double(), numbers[:MOST_ELEMENTS]
    generator = torch.Generator().manual_seed(seed)
    bias = units.mean(dim=0)
    start = normalize((units - bias)[torch.randperm(len(units), generator=generator)[:concept_count]], dim=1)
    decoder, encoder, bias = (part.clone().requires_grad_() for part in (start, start.T, bias))
    optimiser = torch.optim.Adam([decoder, encoder, bias], lr=LEARNING_RATE)
    for _ in range(STEPS):
        batch = units[torch.randint(len(units), (min(BATCH, len(units)),), generator=generator)]
        loss = (reconstruct(batch, encoder, decoder, bias) - batch).square().sum(dim=1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            decoder.copy_(normalize(decoder, dim=1))
    learned = decoder.detach().numpy().round(DECIMALS) + 0.0
    vectors = normalize(torch.from_numpy(learned), dim=1).float()
    return ConceptLibrary("sae", vectors, ("sae",) * concept_count, nearest_elements(vectors, units, numbers))


def reconstruct(x: Tensor, encoder: Tensor, decoder: Tensor, bias: Tensor) -> Tensor:
    """Reconstruct elements (n, d) from their k largest positive activations; encoder (d, M), decoder (M, d), bias (d,)."""
    activations = ((x - bias) @ encoder).relu()
    largest = activations.topk(min(ACTIVE_PER_ELEMENT, len(decoder)), dim=1)
    code = torch.zeros_like(activations).scatter(1, largest.indices, largest.values)
    return bias + code @ decoder
