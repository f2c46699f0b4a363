"""The `reference` protocol: the authors' procedure with all its choices, for comparison with the paper's numbers.

Learned LayerNorm affine before the threshold, Adam with a decaying rate, best epoch and best rate on the *test* set. Its
numbers are therefore optimistic; use `exact` for anything else (METHOD §3). Source: the paper's section 4 and the released
code (ssfgunner/IIS).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from iis_engine import protocols
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.sparsify import sparsify_like_authors
from iis_engine.libraries.end2end import MOST_ELEMENTS, Assignment, small_normal, train_assignment
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.libraries.unit_elements import unit_elements
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.scoring.measurement import Measurement, constant_prediction


class _BestEpoch:
    """Correctness (P, n) of each problem at its best epoch so far, by accuracy on the test images."""

    def __init__(self, correct: Tensor) -> None:
        self.correct = correct

    def update(self, correct: Tensor) -> None:
        better = correct.mean(dim=1) > self.correct.mean(dim=1)
        self.correct[better] = correct[better]


def measure_reference(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    kind: str,
    seed: int,
    device: torch.device,
    progress: ProgressCallback = no_progress,
) -> Measurement:
    """Train h and every g_cls as the authors do, at the paper's nodes and at few concepts.

    An End2End library is trained anew at every node, as theirs is, and so has the paper's nodes alone; `libraries` then
    gives only M.

    Parameters
    ----------
    libraries : library seeds of one kind and one M
    kind : of the library, or random for the control
    seed : of the first library's training; further libraries count up
    """
    X_train, X_test = features.X_train.to(device), features.X_test.to(device)
    features.require_single_label("The reference protocol")
    y_train, y_test = features.y_train.to(device), features.y_test.to(device)
    concept_count = len(libraries[0])
    kept = protocols.paper_nodes(concept_count) if kind == "end2end" else protocols.reference_nodes(concept_count)
    dropped = [concept_count - k - 1 for k in kept]
    rates = protocols.END2END_LEARNING_RATES if kind == "end2end" else protocols.LEARNING_RATES
    steps = 1 + len(libraries) * (len(kept) * len(rates) if kind == "end2end" else len(rates))
    step = 0

    def advance() -> None:
        nonlocal step
        step += 1
        progress(step, steps)

    h, h_places = _best_over_rates(
        [_train_heads(X_train, y_train, X_test, y_test, features.class_count, None, rate, seed) for rate in protocols.LEARNING_RATES]
    )
    advance()
    correct: list[Tensor] = []
    learning_rates: list[Tensor] = []
    for number, library in enumerate(libraries):
        runs: list[_BestEpoch]
        if kind == "end2end":
            runs = [_train_end2end(features, concept_count, dropped, rate, seed + number, device, advance) for rate in rates]
        else:
            train, test = (_normalised(X, library) for X in (X_train, X_test))
            runs = []
            for rate in rates:
                runs.append(_train_heads(train, y_train, test, y_test, features.class_count, dropped, rate, seed + number))
                advance()
        best, places = _best_over_rates(runs)
        correct.append(best.correct.cpu())
        learning_rates.append(torch.tensor([rates[i] for i in places]))
    return Measurement(
        kept=tuple(kept),
        correct=torch.stack(correct),
        baseline_correct=h.correct[0].cpu(),
        constant_correct=constant_prediction(features.y_train, features.y_test),
        heads=torch.empty(0),
        strengths=torch.stack(learning_rates),
        baseline=torch.empty(0, dtype=torch.float64),
        concept_count=concept_count,
        solver={"baseline_strength": protocols.LEARNING_RATES[h_places[0]]},
    )


def _best_over_rates(runs: Sequence[_BestEpoch]) -> tuple[_BestEpoch, list[int]]:
    """Each problem's best learning rate by accuracy on the test images, and its place among the rates."""
    accuracies = torch.stack([run.correct.mean(dim=1) for run in runs])
    places = accuracies.argmax(dim=0).tolist()
    correct = torch.stack([runs[place].correct[p] for p, place in enumerate(places)])
    return _BestEpoch(correct), places


def _normalised(X: Tensor, library: ConceptLibrary) -> Tensor:
    """f(x)·cᵀ with LayerNorm over the concepts, text concepts standardised, (n, M); the learned affine follows in training."""
    if library.deviations is not None:
        return library.activations(X)
    return functional.layer_norm(X @ library.vectors.to(X.device).T, (len(library),))


def _train_heads(
    train: Tensor,
    y_train: Tensor,
    test: Tensor,
    y_test: Tensor,
    class_count: int,
    dropped: Sequence[int] | None,
    rate: float,
    seed: int,
) -> _BestEpoch:
    """Train one head per node on thresholded activations with Adam, or h alone where `dropped` is None."""
    device, width = train.device, train.shape[1]
    nodes = 1 if dropped is None else len(dropped)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.stack([small_normal((class_count, width), generator).T for _ in range(nodes)]).to(device).requires_grad_()
    bias = torch.zeros(nodes, 1, class_count, device=device, requires_grad=True)
    gain = torch.ones(nodes, 1, width, device=device, requires_grad=dropped is not None)
    shift = torch.zeros(nodes, 1, width, device=device, requires_grad=dropped is not None)

    def logits_of(X: Tensor) -> Tensor:
        if dropped is None:
            return torch.baddbmm(bias, X.unsqueeze(0), weights)
        activations = gain * X + shift
        sparse = torch.stack([sparsify_like_authors(a, d) for a, d in zip(activations, dropped, strict=True)])
        return torch.baddbmm(bias, sparse, weights)

    optimiser = torch.optim.Adam([p for p in (weights, bias, gain, shift) if p.requires_grad], lr=rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimiser, gamma=protocols.DECAY_PER_EPOCH)
    best = _BestEpoch(torch.zeros(nodes, len(test), device=device))
    for _ in range(protocols.EPOCHS):
        for rows in torch.randperm(len(train), generator=generator).split(protocols.BATCH):
            logits = logits_of(train[rows])
            labels = y_train[rows].expand(nodes, -1)
            # Summed over the nodes, so that each node has the gradient of its own mean loss.
            loss = functional.cross_entropy(logits.permute(0, 2, 1), labels, reduction="sum") / len(rows)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()
        with torch.no_grad():
            best.update((logits_of(test).argmax(dim=2) == y_test).float())
    return best


def _train_end2end(
    features: FeatureSet,
    concept_count: int,
    dropped: Sequence[int],
    rate: float,
    seed: int,
    device: torch.device,
    advance: Callable[[], None],
) -> _BestEpoch:
    """Train the assignment at every node; noise stays on at test time, and correctness is the mean over five draws."""
    units = unit_elements(features)[0][:MOST_ELEMENTS].float().to(device)
    X, y = features.X_train.to(device), features.y_train.to(device)
    X_test, y_test = features.X_test.to(device), features.y_test.to(device)
    best = _BestEpoch(torch.zeros(len(dropped), len(X_test), device=device))
    for node, drop in enumerate(dropped):
        model = Assignment(units, concept_count, features.class_count, drop, torch.Generator().manual_seed(seed))

        def evaluate(done: int, total: int, model: Assignment = model, node: int = node) -> None:
            with torch.no_grad():
                draws = [
                    (model(X_test, concepts).argmax(dim=1) == y_test).float() for concepts in model.drawn_concepts(protocols.NOISE_DRAWS)
                ]
                correct = torch.stack(draws).mean(dim=0)
                if float(correct.mean()) > float(best.correct[node].mean()):
                    best.correct[node] = correct

        train_assignment(model, X, y, rate, evaluate)
        advance()
    return best
