"""Constants of the protocols `exact` and `reference` (METHOD §3), and the nodes of their curves."""

from __future__ import annotations

from iis_engine.nodes import kept_count

PAPER_SPARSITIES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98)
FEW_CONCEPTS = (5, 10, 15, 20, 25, 30)  # activations kept per image
LOG_NODES = (1, 2, 3, 5, 7, 10, 15, 20, 25, 30)
CONTROL_SEEDS = 5
CONTROL_SEED_OFFSET = 10_000  # so that a random library is never its own control

# exact
L2_STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)  # λ of mean cross-entropy + λ/2 ‖W‖², strongest first
STRONGER_L2_STRENGTHS = (10.0, 1.0, 1e-1)  # of the nodes at which the strongest wins
WEAKER_L2_STRENGTHS = (1e-4, 1e-5, 1e-6, 1e-7)  # of the nodes at which the weakest wins
VALIDATION_SHARE = 0.1
LIBRARY_SEEDS = 5
TEXT_HELD_OUT_SHARE = 0.2  # of the training images; they select and evaluate the directions of text concepts
SMALLEST_GAIN = 1e-3  # relative: a weaker L2 strength must lower the validation loss by more
# Largest absolute gradient entry, at which decisions settle; strengths are selected on fits as exact as the final ones.
HEAD_TOLERANCE = 5e-7
BASELINE_TOLERANCE = 2e-7  # of h, which divides every point; near the precision of float32
REFINEMENT_ROUNDS = 2
NODES_PER_ROUND = 3
QUADRATURE_TARGET = 1e-3

# reference
LEARNING_RATES = (1e-3, 1e-2, 1e-1)
END2END_LEARNING_RATES = (1e-2,)  # of the authors' three the only one that ever won; each rate trains every assignment anew
EPOCHS = 30
BATCH = 1024
DECAY_PER_EPOCH = 0.99
NOISE_DRAWS = 5

# intervals
CONFIDENCE = 0.95


def exact_nodes(concept_count: int) -> list[int]:
    """Kept concepts at the first nodes of the exact curve, falling from M to 1."""
    paper = {kept_count(concept_count, s) for s in PAPER_SPARSITIES}
    return sorted((paper | {k for k in LOG_NODES if k <= concept_count}) - {0}, reverse=True)


def reference_kept(concept_count: int, sparsity: float) -> int:
    """k under the authors' threshold: M - floor(s·M) - 1."""
    return max(kept_count(concept_count, sparsity) - 1, 0)


def reference_nodes(concept_count: int) -> list[int]:
    """Kept concepts at the paper's nodes under the authors' threshold and at few concepts, falling."""
    few = {k for k in (1, 2, *FEW_CONCEPTS) if k < concept_count}
    return sorted(few | set(paper_nodes(concept_count)), reverse=True)


def paper_nodes(concept_count: int) -> list[int]:
    """Kept concepts at the paper's nodes under the authors' threshold, falling."""
    return sorted({reference_kept(concept_count, s) for s in PAPER_SPARSITIES} - {0}, reverse=True)
