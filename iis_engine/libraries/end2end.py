"""End2End library: concepts as learned groups of elements. The assignment is trained with a head, then frozen."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from iis_engine.heads.sparsify import sparsify_like_authors
from iis_engine.libraries.library import ConceptLibrary, nearest_elements
from iis_engine.progress import ProgressCallback, no_progress

MOST_ELEMENTS = 20_000  # of the authors
TEMPERATURE = 0.1
EPOCHS = 30
BATCH = 1024
LEARNING_RATE = 1e-2
DECAY_PER_EPOCH = 0.99
TRAINING_SPARSITY = 0.1  # the paper's default s for training


class Assignment(torch.nn.Module):
    """q, its LayerNorm, the activations' LayerNorm and the head g_cls, trained together by cross-entropy (METHOD §2)."""

    def __init__(self, units: Tensor, concept_count: int, class_count: int, dropped: int, generator: torch.Generator) -> None:
        super().__init__()
        self.units = units
        self.dropped = dropped
        self.generator = generator
        self.q = torch.nn.Parameter(small_normal((len(units), concept_count), generator).to(units.device))
        self.q_norm = torch.nn.LayerNorm(concept_count, device=units.device)
        self.activation_norm = torch.nn.LayerNorm(concept_count, device=units.device)
        self.head = torch.nn.Linear(concept_count, class_count, device=units.device)
        with torch.no_grad():
            self.head.weight.copy_(small_normal((class_count, concept_count), generator))
            self.head.bias.zero_()

    def logits_of_elements(self) -> Tensor:
        """Assignment logits at the sharp temperature: (E, M)."""
        return self.q_norm(self.q) / TEMPERATURE

    def noisy_concepts(self) -> Tensor:
        """Concept vectors (M, d) under a fresh hard straight-through Gumbel-softmax draw."""
        logits = self.logits_of_elements()
        noise = torch.empty(logits.shape).exponential_(generator=self.generator).clamp_min_(1e-30).log_().neg_()
        soft = functional.softmax(logits + noise.to(logits.device), dim=1)
        hard = functional.one_hot(soft.argmax(dim=1), soft.shape[1]).to(soft.dtype)
        return functional.normalize((hard - soft.detach() + soft).T @ self.units, dim=1)

    def drawn_concepts(self, draws: int) -> Tensor:
        """Draws (draws, M, d) from the distribution of `noisy_concepts`, without gradients and much faster.

        The argmax of logits with Gumbel noise is a draw from their softmax (Gumbel-max trick, Maddison et al. 2014), so that one number
        per element is drawn instead of one per element and concept.
        """
        with torch.no_grad():
            cumulative = functional.softmax(self.logits_of_elements(), dim=1).cumsum(dim=1)
            drawn = torch.rand(len(cumulative), draws, generator=self.generator).to(cumulative.device) * cumulative[:, -1:]
            assigned = torch.searchsorted(cumulative, drawn).clamp_max_(cumulative.shape[1] - 1)
            hard = functional.one_hot(assigned.T, cumulative.shape[1]).to(cumulative.dtype)
            return functional.normalize(hard.transpose(1, 2) @ self.units, dim=2)

    def forward(self, X: Tensor, concepts: Tensor) -> Tensor:
        """Class logits (n, C) of representations X (n, d): g_cls ∘ g_s ∘ g_𝒞 with concepts (M, d)."""
        activations = self.activation_norm(X @ concepts.T)
        return self.head(sparsify_like_authors(activations, self.dropped))


def small_normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Normal values with deviation .02, the initialisation of every weight in the authors' models."""
    return 0.02 * torch.randn(shape, generator=generator)


def train_assignment(model: Assignment, X: Tensor, y: Tensor, learning_rate: float, after_epoch: ProgressCallback = no_progress) -> None:
    """Train with Adam and exponential decay over shuffled batches, 30 epochs; call `after_epoch(done, total)` after each."""
    optimiser = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=DECAY_PER_EPOCH)
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(X), generator=model.generator).split(BATCH):
            optimiser.zero_grad()
            loss = _cross_entropy(model(X[rows], model.noisy_concepts()), y[rows])
            loss.backward()
            optimiser.step()
        schedule.step()
        after_epoch(epoch + 1, EPOCHS)


def _cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy; of multi-label data, labels (n, C), the mean over rows of the sum of the labels' binary ones."""
    if y.ndim > 1:
        return functional.binary_cross_entropy_with_logits(logits, y.to(logits.dtype), reduction="sum") / len(y)
    return functional.cross_entropy(logits, y)


def build_end2end(
    units: Tensor,
    numbers: Tensor,
    concept_count: int,
    X: Tensor,
    y: Tensor,
    class_count: int,
    seed: int,
    progress: ProgressCallback = no_progress,
) -> ConceptLibrary:
    """Learn an assignment of elements to concepts whose normalised sums classify X, then freeze it.

    X is divided by its root mean square norm first: the activations are normalised, so that the scale matters only to the optimiser.
    Training amplifies rounding: features with other last digits, as after a scaling by 10, may give another library of the same
    quality.

    Parameters
    ----------
    units, numbers : (E, d) unit element vectors and (E,) their indices
    X, y : (n, d) representations of the training rows and (n,) labels; of multi-label data (n, C) of 0 and 1
    """
    units, numbers = units[:MOST_ELEMENTS], numbers[:MOST_ELEMENTS]
    generator = torch.Generator().manual_seed(seed)
    dropped = int(TRAINING_SPARSITY * concept_count)
    scaled = (X / X.double().square().sum(dim=1).mean().sqrt()).float() * X.shape[1] ** 0.5
    model = Assignment(units.float().to(X.device), concept_count, class_count, dropped, generator)
    train_assignment(model, scaled, y, LEARNING_RATE, progress)
    return frozen(model.logits_of_elements().detach().cpu(), units, numbers)


def frozen(logits: Tensor, units: Tensor, numbers: Tensor) -> ConceptLibrary:
    """The library of assignment logits (E, M) without noise: unit sums of the elements of each concept, which are its exemplars.

    A concept without elements takes the element with the largest logit for it from a larger concept, as k-means does with an empty
    cluster.
    """
    concept_count = logits.shape[1]
    assigned = logits.argmax(dim=1)
    sizes = torch.bincount(assigned, minlength=concept_count)
    for concept in (sizes == 0).nonzero().flatten().tolist():
        logits_for_it = torch.where(sizes[assigned] > 1, logits[:, concept], -torch.inf)
        taken = int(logits_for_it.argmax())
        sizes[assigned[taken]] -= 1
        sizes[concept] = 1
        assigned[taken] = concept
    sums = torch.zeros(concept_count, units.shape[1], dtype=torch.float64).index_add_(0, assigned, units.double())
    vectors = functional.normalize(sums, dim=1)
    exemplars: list[tuple[tuple[int, float], ...]] = []
    for concept in range(concept_count):
        own = (assigned == concept).nonzero().flatten()
        exemplars.extend(nearest_elements(vectors[concept : concept + 1], units[own], numbers[own]))
    return ConceptLibrary("end2end", vectors.float(), ("end2end",) * concept_count, tuple(exemplars))
