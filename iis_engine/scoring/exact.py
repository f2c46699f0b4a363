"""The `exact` protocol: h and g_cls as unique optima of L2-regularised logistic regression, measured over the nodes of the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.features.canonical_order import in_canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.linear_probe import LinearProbe, solve_linear_probe
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, solve_nodes
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.scoring.curve import worst_panels
from iis_engine.scoring.measurement import Measurement, constant_prediction


def measure_exact(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    seed: int,
    device: torch.device,
    *,
    progress: ProgressCallback = no_progress,
) -> Measurement:
    """Measure h ∘ f and g_cls ∘ g_s ∘ g_𝒞 ∘ f at the nodes of the paper, at few concepts, and where the curve bends.

    Parameters
    ----------
    libraries : S library seeds of one kind and one M
    seed : of the validation split
    """
    features = in_canonical_order(features)
    data = _training_rows(features, seed, device)
    X_train, X_test, y_test = (part.to(device) for part in (features.X_train, features.X_test, features.y_test))
    constant_correct = constant_prediction(features.y_train, features.y_test)

    rounds = 1 + protocols.REFINEMENT_ROUNDS
    done, steps = 0, 1 + len(libraries) * rounds
    progress(done, steps)
    h = solve_linear_probe(X_train, data)
    baseline_correct = _correct(h.logits(X_test), y_test)
    progress(done := done + 1, steps)

    curves = [_SeedCurve.of(library, X_train, X_test) for library in libraries]
    nodes = protocols.exact_nodes(len(libraries[0]))
    for _ in range(rounds):
        for curve in curves:
            curve.measure(nodes, data, y_test)
            progress(done := done + 1, steps)
        nodes = _refined_nodes(curves, baseline_correct, constant_correct)
        if not nodes:
            break
    progress(steps, steps)
    return _measurement(curves, h, baseline_correct, constant_correct)


def _training_rows(features: FeatureSet, seed: int, device: torch.device) -> TrainingRows:
    validation = validation_rows(features.y_train, protocols.VALIDATION_SHARE, seed)
    return TrainingRows(features.y_train.to(device), validation.to(device), features.class_count)


def _correct(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) float32 on the CPU: 1 where the class with the largest logit is the label."""
    return (logits.argmax(dim=1) == y).float().cpu()


@dataclass(frozen=True)
class _SparseHead:
    """g_cls at one node.

    Attributes
    ----------
    weights : (M + 1, C)
    l2_strength : λ
    correct : (n_test,) float32
    """

    weights: Tensor
    l2_strength: float
    correct: Tensor


class _SeedCurve:
    """The nodes of one library seed, measured round by round.

    Attributes
    ----------
    train, test : activations g_𝒞 ∘ f (eq. 3) of the training and test rows
    heads : g_cls by the number k of kept concepts
    """

    def __init__(self, train: Source, test: Source) -> None:
        self.train = train
        self.test = test
        self.heads: dict[int, _SparseHead] = {}
        self.gradient_norm = 0.0
        self.evaluations = 0

    @staticmethod
    def of(library: ConceptLibrary, X_train: Tensor, X_test: Tensor) -> _SeedCurve:
        return _SeedCurve(*(Source.of(library.activations(X)) for X in (X_train, X_test)))

    def measure(self, nodes: Sequence[int], data: TrainingRows, y_test: Tensor) -> None:
        """Solve g_cls on g_s of the training activations at each node k (eq. 4), and apply it to the test activations."""
        solved = solve_nodes(self.train, nodes, data, start=self._warm_start(nodes))
        for place, kept in enumerate(nodes):
            logits = predict(self.test, kept, solved.weights[place : place + 1]).squeeze(1)
            self.heads[kept] = _SparseHead(
                weights=solved.weights[place], l2_strength=float(solved.l2_strengths[place]), correct=_correct(logits, y_test)
            )
        self.gradient_norm = max(self.gradient_norm, solved.gradient_norm)
        self.evaluations += solved.evaluations

    def _warm_start(self, nodes: Sequence[int]) -> Tensor | None:
        """Each new node starts at the weights of the nearest measured node: (K, M + 1, C)."""
        if not self.heads:
            return None
        return torch.stack([self.heads[min(self.heads, key=lambda k, kept=kept: (abs(k - kept), k))].weights for kept in nodes])


def _refined_nodes(curves: Sequence[_SeedCurve], baseline_correct: Tensor, constant_correct: Tensor) -> list[int]:
    """The nodes of the next round: in the panels with the largest quadrature error of ARR; none where it is small enough."""
    accuracy = {k: sum(float(curve.heads[k].correct.mean()) for curve in curves) / len(curves) for k in curves[0].heads}
    accuracy[0] = float(constant_correct.mean())  # s = 1: only the best constant prediction is left
    return worst_panels(accuracy, float(baseline_correct.mean()), protocols.NODES_PER_ROUND, protocols.QUADRATURE_TARGET)


def _measurement(curves: Sequence[_SeedCurve], h: LinearProbe, baseline_correct: Tensor, constant_correct: Tensor) -> Measurement:
    kept = tuple(sorted(curves[0].heads, reverse=True))
    return Measurement(
        kept=kept,
        correct=torch.stack([torch.stack([curve.heads[k].correct for k in kept]) for curve in curves]),
        baseline_correct=baseline_correct,
        constant_correct=constant_correct,
        heads=torch.stack([curves[0].heads[k].weights for k in kept]).cpu(),
        strengths=torch.tensor([[curve.heads[k].l2_strength for k in kept] for curve in curves]),
        baseline=h.head.cpu(),
        concept_count=curves[0].train.activations.shape[1],
        solver={
            "largest_gradient": max(h.gradient_norm, *(curve.gradient_norm for curve in curves)),
            "evaluations": float(h.evaluations + sum(curve.evaluations for curve in curves)),
            "baseline_strength": h.l2_strength,
        },
    )
