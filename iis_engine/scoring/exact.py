"""The `exact` protocol: unique optima of regularised logistic regression, their strength picked on a validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.features.canonical_order import in_canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import ExactSettings, TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.scoring.curve import worst_panels
from iis_engine.scoring.measurement import Measurement, constant_prediction


def measure_exact(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    settings: ExactSettings,
    device: torch.device,
    *,
    progress: ProgressCallback = no_progress,
) -> Measurement:
    """Measure h and g_cls ∘ g_s ∘ g_𝒞 over the nodes of the paper, few concepts, and where the curve bends.

    Parameters
    ----------
    libraries : library seeds of one kind and one M
    """
    features = in_canonical_order(features)
    y = features.y_train.to(device)
    mask = validation_rows(features.y_train, protocols.VALIDATION_SHARE, settings.seed).to(device)
    data = TrainingRows(y, mask, features.class_count)
    X_train, X_test = features.X_train.to(device), features.X_test.to(device)
    y_test = features.y_test.to(device)
    constant = constant_prediction(features.y_train, features.y_test)

    nodes = protocols.exact_nodes(len(libraries[0]))
    rounds = 1 + protocols.REFINEMENT_ROUNDS
    steps = 1 + len(libraries) * rounds
    progress(0, steps)
    scaling = Scaling.of(X_train)
    baseline_train, baseline_test = scaling(X_train), scaling(X_test)
    width = baseline_train.shape[1]
    tolerances = (protocols.BASELINE_SELECTION_TOLERANCE, protocols.BASELINE_FINAL_TOLERANCE)
    baseline = solve_nodes(Source(baseline_train, None), [width], data, settings, tolerances=tolerances)
    logits = predict(Source(baseline_test, None), width, baseline.weights)
    baseline_correct = (logits.argmax(dim=2).squeeze(1) == y_test).float().cpu()
    progress(1, steps)

    train = [Source.of(library.activations(X_train)) for library in libraries]
    test = [Source.of(library.activations(X_test)) for library in libraries]
    done: list[dict[int, _Node]] = [{} for _ in libraries]
    worst_norm, evaluations, step = baseline.gradient_norm, baseline.evaluations, 1
    for _ in range(rounds):
        for nodes_of_seed, train_source, test_source in zip(done, train, test, strict=True):
            start = _neighbours(nodes_of_seed, nodes)
            solved = solve_nodes(train_source, nodes, data, settings, start=start)
            for i, kept in enumerate(nodes):
                logits = predict(test_source, kept, solved.weights[i : i + 1])
                correct = (logits.argmax(dim=2).squeeze(1) == y_test).float().cpu()
                nodes_of_seed[kept] = _Node(solved.weights[i], float(solved.strengths[i]), correct)
            worst_norm, evaluations, step = max(worst_norm, solved.gradient_norm), evaluations + solved.evaluations, step + 1
            progress(step, steps)
        accuracy = {k: sum(float(seed[k].correct.mean()) for seed in done) / len(done) for k in done[0]}
        accuracy[0] = float(constant.mean())
        nodes = worst_panels(accuracy, float(baseline_correct.mean()), protocols.NODES_PER_ROUND, protocols.QUADRATURE_TARGET)
        if not nodes:
            break
    progress(steps, steps)
    kept_nodes = tuple(sorted(done[0], reverse=True))
    return Measurement(
        kept_nodes,
        torch.stack([torch.stack([seed[k].correct for k in kept_nodes]) for seed in done]),
        baseline_correct,
        constant,
        torch.stack([done[0][k].weights for k in kept_nodes]).cpu(),
        torch.tensor([[seed[k].strength for k in kept_nodes] for seed in done]),
        scaling.unscaled(baseline.weights[0]).cpu(),
        len(libraries[0]),
        {"largest_gradient": worst_norm, "evaluations": float(evaluations), "baseline_strength": float(baseline.strengths[0])},
    )


@dataclass(frozen=True)
class _Node:
    weights: Tensor
    strength: float
    correct: Tensor


@dataclass(frozen=True)
class Scaling:
    """Columns to zero mean and unit deviation over the training rows, so that h does not depend on the features' scale.

    Attributes
    ----------
    mean, scale : (d,) float64; the scale of a constant column is zero
    """

    mean: Tensor
    scale: Tensor

    @staticmethod
    def of(X_train: Tensor) -> Scaling:
        """The scaling of training rows (n, d)."""
        exact = X_train.double()
        mean, deviation = exact.mean(dim=0), exact.std(dim=0, correction=0)
        constant = deviation <= 1e-9 * exact.abs().amax(dim=0)
        return Scaling(mean, torch.where(constant, 0.0, 1 / torch.where(constant, 1.0, deviation)))

    def __call__(self, X: Tensor) -> Tensor:
        """Scaled rows (n, d) float32."""
        return ((X.double() - self.mean) * self.scale).float()

    def unscaled(self, head: Tensor) -> Tensor:
        """The head (d + 1, C) float64 on rows as they are that does what `head` does on scaled ones."""
        weights = self.scale.unsqueeze(1) * head[:-1].double()
        return torch.cat([weights, head[-1:].double() - self.mean.unsqueeze(0) @ weights])


def _neighbours(done: dict[int, _Node], nodes: Sequence[int]) -> Tensor | None:
    """Warm starts along s: each new node begins at the solution of the nearest node already measured."""
    if not done:
        return None
    return torch.stack([done[min(done, key=lambda k, kept=kept: (abs(k - kept), k))].weights for kept in nodes])
