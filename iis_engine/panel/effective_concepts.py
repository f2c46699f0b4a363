"""NEC, ANEC and NCC: accuracy by non-zero weights per class along an L1 path, and contributions that make up a class score."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine.heads.sparsify import magnitude_ranks
from iis_engine.panel.l1_path import l1_heads
from iis_engine.panel.samples import evenly_spaced

NEC_TARGETS = (5, 10, 15, 20, 25, 30)  # non-zero weights per class, those of VLG-CBM
COVERAGE = 0.95  # of a class score
CONTRIBUTIONS_AT_ONCE = 1 << 23
MOST_CONTRIBUTIONS = 1 << 28  # read in all; with more, evenly spaced images stand for the others
ROUNDING = 1e-12  # relative, of sums of contributions


@dataclass(frozen=True)
class AccuracyAtNEC:
    """Test accuracy of the sparse linear head at one number of effective concepts.

    Attributes
    ----------
    nec : the target, non-zero weights per class on average
    reached : non-zero weights per class that the head has, at most `nec`; fewer where the L1 path ends before
    accuracy : on the test images
    """

    nec: int
    reached: float
    accuracy: float


def accuracy_at_nec(train: Tensor, y_train: Tensor, test: Tensor, y_test: Tensor, class_count: int) -> tuple[AccuracyAtNEC, ...]:
    """Test accuracy at each of `NEC_TARGETS`: NEC = Σ_jc 1{W_jc ≠ 0} / C of a linear head on dense activations.

    The head is the one of the L1 path just before NEC exceeds the target. VLG-CBM takes the next one and zeroes its smallest weights,
    so that the accuracy depends on the grid of strengths. ANEC is the mean of the accuracies.

    Parameters
    ----------
    train, test : (n, M) float32 activations; standardised here by the training rows

    References
    ----------
    Srivastava, Yan and Weng, "VLG-CBM: Training Concept Bottleneck Models with Vision-Language Guidance", NeurIPS 2024, section 4.
    """
    mean, deviation = train.double().mean(dim=0), train.double().std(dim=0, correction=0)
    scale = torch.where(deviation > 0, 1 / deviation, 0.0)
    standardised_train, standardised_test = (((part.double() - mean) * scale).float() for part in (train, test))
    heads = l1_heads(standardised_train, y_train, class_count, [nec * class_count for nec in NEC_TARGETS])
    return tuple(
        AccuracyAtNEC(nec, head.nonzero / class_count, _accuracy(standardised_test @ head.weights + head.bias, y_test))
        for nec, head in zip(NEC_TARGETS, heads, strict=True)
    )


def _accuracy(logits: Tensor, y: Tensor) -> float:
    return float((logits.argmax(dim=1) == y).double().mean())


def contributing_concepts(activations: Tensor, kept: int, head: Tensor, coverage: float = COVERAGE) -> float:
    """NCC: smallest number of contributions that make up `coverage` of a class score, mean over images and classes.

    min{κ : Σ_{s≤κ} u_(s) ≥ τ Σ_j u_j}, where u_j = |(W_jc - mean over classes of W_j) · a_j|, largest first. Weights are centred
    over the classes, since softmax is invariant to a shift that all classes share (METHOD §4).

    Parameters
    ----------
    activations : (n, M) dense
    kept : k, number of concepts that each image keeps
    head : (M + 1, C) of g_cls at k, the last row being the bias
    coverage : τ

    References
    ----------
    De Santis et al., "Learning Concept Bottleneck Models from Mechanistic Explanations", ICLR 2026.
    """
    if kept == 0:
        return 0.0
    weights = head[:-1].double()
    weights = (weights - weights.mean(dim=1, keepdim=True)).to(activations.device)
    class_count = weights.shape[1]
    sample = activations[evenly_spaced(len(activations), max(1, MOST_CONTRIBUTIONS // (kept * class_count))).to(activations.device)]
    total = torch.zeros((), dtype=torch.int64, device=activations.device)
    for rows in sample.split(max(1, CONTRIBUTIONS_AT_ONCE // (kept * class_count))):
        places = torch.argsort(magnitude_ranks(rows), dim=1)[:, :kept]
        sizes = (weights[places] * rows.gather(1, places).double().unsqueeze(2)).abs()  # (rows, k, C)
        grown = sizes.sort(dim=1, descending=True).values.cumsum(dim=1)
        # κ contributions are too few as long as their sum lies below the target.
        short = (grown < coverage * grown[:, -1:] * (1 - ROUNDING)).sum(dim=1)
        total += (short + (grown[:, -1] > 0)).sum()
    return int(total) / (len(sample) * class_count)
