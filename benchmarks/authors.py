"""The authors' procedure for one curve (METHOD §3): a model per sparsity and learning rate, batches from a data loader.

A baseline for time only; the engine's `reference` protocol computes the same in one stack.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from iis_engine.heads.sparsify import sparsify_like_authors

EPOCHS = 30
BATCH_SIZE = 1024
DECAY_PER_EPOCH = 0.99
INITIAL_DEVIATION = 0.02  # of the head's weights


class SparseClassifier(nn.Module):
    """g_cls ∘ g_s ∘ g_𝒞: projection, LayerNorm with its affine, threshold, linear head."""

    def __init__(self, concepts: Tensor, dropped: int, class_count: int) -> None:
        super().__init__()
        self.register_buffer("concepts", concepts)
        self.dropped = dropped
        self.norm = nn.LayerNorm(len(concepts))
        self.head = nn.Linear(len(concepts), class_count)
        nn.init.normal_(self.head.weight, std=INITIAL_DEVIATION)
        nn.init.zeros_(self.head.bias)

    def forward(self, X: Tensor) -> Tensor:
        """(n, d) -> (n, C)"""
        return self.head(sparsify_like_authors(self.norm(X @ self.get_buffer("concepts").T), self.dropped))


def curve_like_authors(
    train: TensorDataset, test: TensorDataset, concepts: Tensor, sparsities: Sequence[float], rates: Sequence[float], class_count: int
) -> list[float]:
    """Test accuracy at every sparsity, the maximum over epochs and learning rates as the authors choose it (METHOD §3)."""
    torch.manual_seed(0)
    dropped_counts = [int(len(concepts) * s) for s in sparsities]
    return [
        max(_train(train, test, SparseClassifier(concepts, dropped, class_count).to(concepts.device), rate) for rate in rates)
        for dropped in dropped_counts
    ]


def _train(train: TensorDataset, test: TensorDataset, model: SparseClassifier, rate: float) -> float:
    device = model.head.weight.device
    optimiser = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=DECAY_PER_EPOCH)
    batches, test_batches = DataLoader(train, BATCH_SIZE, shuffle=True), DataLoader(test, BATCH_SIZE)
    best = 0.0
    for _ in range(EPOCHS):
        for X, y in batches:
            optimiser.zero_grad()
            functional.cross_entropy(model(X.to(device)), y.to(device)).backward()
            optimiser.step()
        schedule.step()
        with torch.no_grad():
            correct = sum(int((model(X.to(device)).argmax(dim=1) == y.to(device)).sum()) for X, y in test_batches)
        best = max(best, correct / len(test))
    return best
