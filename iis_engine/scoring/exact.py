"""The `exact` protocol: h and g_cls as unique optima of L2-regularised logistic regression, measured over the nodes of the curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.features.canonical_order import in_canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.average_precision import average_precision_values
from iis_engine.heads.linear_probe import LinearProbe, solve_linear_probe
from iis_engine.heads.logistic import predict
from iis_engine.heads.model_selection import TrainingRows, select_strengths, solve_at
from iis_engine.heads.sparse_blocks import Source
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.scoring.curve import worst_panels
from iis_engine.scoring.exact_parts import Round, SeedCurve, StrengthChoice
from iis_engine.scoring.measurement import Measurement, constant_prediction
from iis_engine.scoring.placement import Placement
from iis_engine.specs import Quantity
from iis_engine.threads import call_in_threads


def measure_exact(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    seed: int,
    device: torch.device,
    *,
    calibrated: bool = True,
    device_bytes: int | None = None,
    progress: ProgressCallback = no_progress,
) -> Measurement:
    """Measure h ∘ f and g_cls ∘ g_s ∘ g_𝒞 ∘ f at the nodes of the paper, at few concepts, and where the curve bends.

    The L2 strength of a node is selected on the first library and taken by the others; the bends are those of its validation accuracy.

    Parameters
    ----------
    libraries : S library seeds of one kind and one M
    seed : of the validation split
    calibrated : whether activations are centred and have the closed-form affine (second edition); LayerNorm alone otherwise (first)
    device_bytes : memory of the device for features, activations and heads; by default the free memory of a GPU, unbounded on a CPU
    """
    features = in_canonical_order(features)
    data = _training_rows(features, seed, device)
    placement = Placement.of(features, libraries, device, device_bytes)
    X_train, X_test = (placement.place(X) for X in (features.X_train, features.X_test))
    y_test = _labels_of_test(features).to(device)
    constant_correct = constant_prediction(_labels_of_train(features), _labels_of_test(features))

    rounds = 1 + protocols.REFINEMENT_ROUNDS
    done, steps = 0, 1 + (1 + len(libraries)) * rounds
    progress(done, steps)
    h = solve_linear_probe(X_train, data, in_host_memory=not placement.plan.features_on_device)
    progress(done := done + 1, steps)

    calibrations = [calibrate(library, X_train) for library in libraries] if calibrated else []
    if calibrations:
        libraries = [calibration.apply(library) for library, calibration in zip(libraries, calibrations, strict=True)]
    curves = [_SeedCurve(*(placement.source(library, X) for X in (X_train, X_test))) for library in libraries]
    choice = _StrengthChoice(curves[0].train, data)
    nodes = protocols.exact_nodes(len(libraries[0]))
    for _ in range(rounds):
        strengths = choice.select(nodes)
        progress(done := done + 1, steps)
        starts = [choice.weights(nodes), *[None] * (len(curves) - 1)]
        measurements = [
            partial(curve.measure, nodes, strengths, data, y_test, start=start) for curve, start in zip(curves, starts, strict=True)
        ]
        for _ in call_in_threads(measurements, device):
            progress(done := done + 1, steps)
        nodes = choice.refined_nodes(h.validation_accuracy)
        if not nodes:
            break
    progress(steps, steps)
    measured = _measurement(curves, choice, h, _correct(h.logits(X_test), y_test), constant_correct)
    quantity: Quantity = "mean_average_precision" if features.is_multi_label else "accuracy"
    return replace(measured, calibration=calibrations[0] if calibrations else None, quantity=quantity)


def _training_rows(features: FeatureSet, seed: int, device: torch.device) -> TrainingRows:
    validation = validation_rows(features.y_train, protocols.VALIDATION_SHARE, seed)
    return TrainingRows(_labels_of_train(features).to(device), validation.to(device), features.class_count)


def _labels_of_train(features: FeatureSet) -> Tensor:
    """(n,); of multi-label data (n, C)."""
    return features.y_train if features.labels_train is None else features.labels_train


def _labels_of_test(features: FeatureSet) -> Tensor:
    return features.y_test if features.labels_test is None else features.labels_test


def _correct(logits: Tensor, y: Tensor) -> Tensor:
    """(n,) float32 on the CPU: 1 where the class with the largest logit is the label; of multi-label data see `Measurement`."""
    if y.ndim > 1:
        return average_precision_values(logits, y)
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


class _StrengthChoice:
    """The L2 strength of every node, selected on the first library (METHOD §3), and where the curve on the validation rows bends."""

    def __init__(self, train: Source, data: TrainingRows) -> None:
        self._train = train
        self._data = data
        self._selected: dict[int, _Selected] = {}
        self.evaluations = 0

    def select(self, nodes: Sequence[int]) -> Tensor:
        """λ of each node: (K,)."""
        found = select_strengths(self._train, nodes, self._data, start=self.weights(nodes) if self._selected else None)
        self.evaluations += found.evaluations
        for place, kept in enumerate(nodes):
            self._selected[kept] = _Selected(
                weights=found.weights[place], accuracy=float(found.validation_accuracy[place]), at_end=bool(found.at_end[place])
            )
        return found.l2_strengths

    def weights(self, nodes: Sequence[int]) -> Tensor:
        """Starting weights of each node, those of the nearest selected node: (K, M + 1, C)."""
        return torch.stack([self._selected[min(self._selected, key=lambda k, kept=kept: (abs(k - kept), k))].weights for kept in nodes])

    def refined_nodes(self, baseline_accuracy: float) -> list[int]:
        """The nodes of the next round: in the panels with the largest quadrature error of ARR; none where it is small enough.

        Validation rows decide, since nodes chosen by test accuracy would follow its noise.

        Parameters
        ----------
        baseline_accuracy : of h on the validation rows
        """
        if not bool(self._data.validation.any()):
            return []
        validation = self._data.validation
        accuracy = {kept: one.accuracy for kept, one in self._selected.items()}
        # s = 1: only the best constant prediction is left
        accuracy[0] = float(constant_prediction(self._data.y[~validation], self._data.y[validation]).double().mean())
        return worst_panels(accuracy, baseline_accuracy, protocols.NODES_PER_ROUND, protocols.QUADRATURE_TARGET)

    @property
    def nodes_at_end(self) -> int:
        """Number of nodes at which the last strength of the widened grid wins."""
        return sum(one.at_end for one in self._selected.values())


@dataclass(frozen=True)
class _Selected:
    """The selected head of one node on the fitting rows.

    Attributes
    ----------
    weights : (M + 1, C)
    accuracy : on the validation rows
    at_end : whether its strength is the last of the widened grid
    """

    weights: Tensor
    accuracy: float
    at_end: bool


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

    def measure(self, nodes: Sequence[int], strengths: Tensor, data: TrainingRows, y_test: Tensor, *, start: Tensor | None) -> None:
        """Solve g_cls on g_s of the training activations at each node k (eq. 4), and apply it to the test activations."""
        solved = solve_at(self.train, nodes, strengths, data, start=self._warm_start(nodes) if start is None else start)
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


def _measurement(
    curves: Sequence[_SeedCurve], choice: _StrengthChoice, h: LinearProbe, baseline_correct: Tensor, constant_correct: Tensor
) -> Measurement:
    kept = tuple(sorted(curves[0].heads, reverse=True))
    return Measurement(
        kept=kept,
        correct=torch.stack([torch.stack([curve.heads[k].correct for k in kept]) for curve in curves]),
        baseline_correct=baseline_correct,
        constant_correct=constant_correct,
        heads=torch.stack([curves[0].heads[k].weights for k in kept]).cpu(),
        strengths=torch.tensor([[curve.heads[k].l2_strength for k in kept] for curve in curves]),
        baseline=h.head.cpu(),
        concept_count=curves[0].train.shape[1],
        solver={
            "largest_gradient": max(h.gradient_norm, *(curve.gradient_norm for curve in curves)),
            "evaluations": float(h.evaluations + choice.evaluations + sum(curve.evaluations for curve in curves)),
            "baseline_strength": h.l2_strength,
            "nodes_at_end_of_grid": float(choice.nodes_at_end),
        },
    )


def choose_strengths(
    features: FeatureSet, library: ConceptLibrary, seed: int, device: torch.device, *, calibrated: bool = True
) -> StrengthChoice:
    """The first part of `measure_exact`: h, and the nodes and strengths of all seeds, chosen on the first library.

    Parameters
    ----------
    library : of the first seed; `seed` and `calibrated` are those of `measure_exact`
    """
    features, data, placement = _prepared(features, library, seed, device)
    X_train, X_test = (placement.place(X) for X in (features.X_train, features.X_test))
    h = solve_linear_probe(X_train, data, in_host_memory=not placement.plan.features_on_device)
    calibration = calibrate(library, X_train) if calibrated else None
    choice = _StrengthChoice(placement.source(library if calibration is None else calibration.apply(library), X_train), data)
    nodes, rounds = protocols.exact_nodes(len(library)), list[Round]()
    while nodes and len(rounds) <= protocols.REFINEMENT_ROUNDS:
        rounds.append(Round(tuple(nodes), choice.select(nodes), choice.weights(nodes)))
        nodes = choice.refined_nodes(h.validation_accuracy)
    return StrengthChoice(
        rounds=tuple(rounds),
        baseline_correct=_correct(h.logits(X_test), _labels_of_test(features).to(device)),
        constant_correct=constant_prediction(_labels_of_train(features), _labels_of_test(features)),
        baseline=h.head.cpu(),
        solver={
            "largest_gradient": h.gradient_norm,
            "evaluations": float(h.evaluations + choice.evaluations),
            "baseline_strength": h.l2_strength,
            "nodes_at_end_of_grid": float(choice.nodes_at_end),
        },
        calibration=calibration,
        quantity="mean_average_precision" if features.is_multi_label else "accuracy",
    )


def measure_seed(
    features: FeatureSet, library: ConceptLibrary, choice: StrengthChoice, seed: int, device: torch.device, *, is_first: bool
) -> SeedCurve:
    """The curve of one library seed at the nodes and strengths of `choice`.

    Parameters
    ----------
    is_first : whether the strengths were chosen on this library, whose heads are kept
    """
    features, data, placement = _prepared(features, library, seed, device)
    X_train, X_test = (placement.place(X) for X in (features.X_train, features.X_test))
    library = library if choice.calibration is None else calibrate(library, X_train).apply(library)
    curve = _SeedCurve(*(placement.source(library, X) for X in (X_train, X_test)))
    y_test = _labels_of_test(features).to(device)
    for one in choice.rounds:
        curve.measure(one.nodes, one.strengths, data, y_test, start=one.weights.to(device) if is_first else None)
    heads = [curve.heads[kept] for kept in sorted(curve.heads, reverse=True)]
    return SeedCurve(
        correct=torch.stack([head.correct for head in heads]),
        heads=torch.stack([head.weights for head in heads]).cpu() if is_first else torch.empty(0),
        strengths=torch.tensor([head.l2_strength for head in heads]),
        concept_count=curve.train.shape[1],
        gradient_norm=curve.gradient_norm,
        evaluations=curve.evaluations,
    )


def _prepared(features: FeatureSet, library: ConceptLibrary, seed: int, device: torch.device) -> tuple[FeatureSet, TrainingRows, Placement]:
    features = in_canonical_order(features)
    return features, _training_rows(features, seed, device), Placement.of(features, [library], device, None)
