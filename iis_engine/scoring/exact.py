"""The `exact` protocol: h and g_cls as unique optima of L2-regularised logistic regression, measured over the nodes of the curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.features.canonical_order import in_canonical_order, validation_rows
from iis_engine.features.feature_set import FeatureSet
from iis_engine.heads.linear_probe import LinearProbe, solve_linear_probe
from iis_engine.heads.model_selection import TrainingRows
from iis_engine.libraries.calibration import calibrate
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.progress import ProgressCallback, no_progress
from iis_engine.scoring.curve_solver import CurveSolver, correct_values
from iis_engine.scoring.exact_parts import Round, SeedCurve, StrengthChoice
from iis_engine.scoring.measurement import Measurement, constant_prediction
from iis_engine.scoring.placement import Placement
from iis_engine.scoring.strength_selection import StrengthSelection
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
    curves = [CurveSolver(*(placement.source(library, X) for X in (X_train, X_test))) for library in libraries]
    choice = StrengthSelection(curves[0].train, data)
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
    measured = _measurement(curves, choice, h, correct_values(h.logits(X_test), y_test), constant_correct)
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


def _measurement(
    curves: Sequence[CurveSolver], choice: StrengthSelection, h: LinearProbe, baseline_correct: Tensor, constant_correct: Tensor
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
    features, data, placement = _prepared(features, [library], seed, device)
    X_train, X_test = (placement.place(X) for X in (features.X_train, features.X_test))
    h = solve_linear_probe(X_train, data, in_host_memory=not placement.plan.features_on_device)
    calibration = calibrate(library, X_train) if calibrated else None
    choice = StrengthSelection(placement.source(library if calibration is None else calibration.apply(library), X_train), data)
    nodes, rounds = protocols.exact_nodes(len(library)), list[Round]()
    while nodes and len(rounds) <= protocols.REFINEMENT_ROUNDS:
        rounds.append(Round(tuple(nodes), choice.select(nodes), choice.weights(nodes)))
        nodes = choice.refined_nodes(h.validation_accuracy)
    return StrengthChoice(
        rounds=tuple(rounds),
        baseline_correct=correct_values(h.logits(X_test), _labels_of_test(features).to(device)),
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


def measure_seeds(
    features: FeatureSet, libraries: Mapping[int, ConceptLibrary], choice: StrengthChoice, seed: int, device: torch.device
) -> list[SeedCurve]:
    """The curves of some library seeds at the nodes and strengths of `choice`, solved as in `measure_exact`: side by side, one thread each.

    Parameters
    ----------
    libraries : by number of the seed; the heads of number 0, on which the strengths were chosen, are kept
    """
    features, data, placement = _prepared(features, list(libraries.values()), seed, device)
    X_train, X_test = (placement.place(X) for X in (features.X_train, features.X_test))
    scored = [library if choice.calibration is None else calibrate(library, X_train).apply(library) for library in libraries.values()]
    solvers = [CurveSolver(*(placement.source(library, X) for X in (X_train, X_test))) for library in scored]
    y_test = _labels_of_test(features).to(device)

    def measured(number: int, curve: CurveSolver) -> SeedCurve:
        for one in choice.rounds:
            curve.measure(one.nodes, one.strengths, data, y_test, start=one.weights.to(device) if number == 0 else None)
        heads = [curve.heads[kept] for kept in sorted(curve.heads, reverse=True)]
        return SeedCurve(
            correct=torch.stack([head.correct for head in heads]),
            heads=torch.stack([head.weights for head in heads]).cpu() if number == 0 else torch.empty(0),
            strengths=torch.tensor([head.l2_strength for head in heads]),
            concept_count=curve.train.shape[1],
            gradient_norm=curve.gradient_norm,
            evaluations=curve.evaluations,
        )

    return list(call_in_threads([partial(measured, number, curve) for number, curve in zip(libraries, solvers, strict=True)], device))


def _prepared(
    features: FeatureSet, libraries: Sequence[ConceptLibrary], seed: int, device: torch.device
) -> tuple[FeatureSet, TrainingRows, Placement]:
    features = in_canonical_order(features)
    return features, _training_rows(features, seed, device), Placement.of(features, libraries, device, None)
