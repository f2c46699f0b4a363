"""The `exact` protocol: unique optima of regularised logistic regression, their strength picked on a validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from iis_engine import protocols
from iis_engine.curve import worst_panels
from iis_engine.features import FeatureSet, Progress, no_progress
from iis_engine.heads import Group, Source, fit_heads, predict
from iis_engine.libraries.library import ConceptLibrary
from iis_engine.measurement import Measurement, constant_prediction
from iis_engine.order import in_canonical_order, validation_rows
from iis_engine.solver import SolverSettings

STACK_BYTES = 1 << 30  # of solver state at once; larger stacks are solved group by group in turn


@dataclass(frozen=True)
class ExactSettings:
    """What two runs may differ in: the split of the data, and where the solver starts (None: at zero)."""

    seed: int = 0
    start_seed: int | None = None


@dataclass(frozen=True)
class _Data:
    y: Tensor
    y_fit: Tensor
    y_validation: Tensor
    validation: Tensor
    class_count: int


@dataclass(frozen=True)
class _Solved:
    weights: Tensor  # (G, M + 1, C)
    strengths: Tensor  # (G,)
    gradient_norm: float
    evaluations: int


def measure_exact(
    features: FeatureSet,
    libraries: Sequence[ConceptLibrary],
    settings: ExactSettings,
    device: torch.device,
    *,
    refine: bool,
    progress: Progress = no_progress,
) -> Measurement:
    """Measure h and g_cls ∘ g_s ∘ g_𝒞 over the nodes of the paper, few concepts, and where the curve bends.

    Parameters
    ----------
    libraries : library seeds of one kind and one M
    refine : add nodes in the panels that carry most of the quadrature error
    """
    features = in_canonical_order(features)
    y = features.y_train.to(device)
    mask = validation_rows(features.y_train, protocols.VALIDATION_SHARE, settings.seed).to(device)
    data = _Data(y, y[~mask], y[mask], mask, features.class_count)
    X_train, X_test = features.X_train.to(device), features.X_test.to(device)
    y_test = features.y_test.to(device)
    constant = constant_prediction(features.y_train, features.y_test)

    nodes = protocols.exact_nodes(len(libraries[0]))
    rounds = protocols.REFINEMENT_ROUNDS if refine else 0
    steps = 1 + len(libraries) * (1 + rounds)
    progress(0, steps)
    baseline_train, baseline_test = standardised(X_train, X_test)
    width = baseline_train.shape[1]
    baseline = _solve(Source(baseline_train, None), [width], data, settings, None)
    logits = predict(Source(baseline_test, None), width, baseline.weights)
    baseline_correct = (logits.argmax(dim=2).squeeze(1) == y_test).float().cpu()
    progress(1, steps)

    train = [Source.of(library.activations(X_train)) for library in libraries]
    test = [Source.of(library.activations(X_test)) for library in libraries]
    done: list[dict[int, _Node]] = [{} for _ in libraries]
    worst_norm, evaluations, step = baseline.gradient_norm, baseline.evaluations, 1
    for _ in range(1 + rounds):
        for nodes_of_seed, train_source, test_source in zip(done, train, test, strict=True):
            start = _neighbours(nodes_of_seed, nodes)
            solved = _solve(train_source, nodes, data, settings, start)
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
        len(libraries[0]),
        {"largest_gradient": worst_norm, "evaluations": float(evaluations), "baseline_strength": float(baseline.strengths[0])},
    )


@dataclass(frozen=True)
class _Node:
    weights: Tensor
    strength: float
    correct: Tensor


def standardised(X_train: Tensor, X_test: Tensor) -> tuple[Tensor, Tensor]:
    """Columns to zero mean and unit deviation over the training rows, so that h does not depend on the features' scale."""
    exact = X_train.double()
    mean, deviation = exact.mean(dim=0), exact.std(dim=0, correction=0)
    constant = deviation <= 1e-9 * exact.abs().amax(dim=0)
    scale = torch.where(constant, 0.0, 1 / torch.where(constant, 1.0, deviation))
    return ((exact - mean) * scale).float(), ((X_test.double() - mean) * scale).float()


def _neighbours(done: dict[int, _Node], nodes: Sequence[int]) -> Tensor | None:
    """Warm starts along s: each new node begins at the solution of the nearest node already measured."""
    if not done:
        return None
    return torch.stack([done[min(done, key=lambda k, kept=kept: (abs(k - kept), k))].weights for kept in nodes])


def _solve(source: Source, nodes: Sequence[int], data: _Data, settings: ExactSettings, start: Tensor | None) -> _Solved:
    """Choose each node's strength on the validation rows, then solve it on all training rows."""
    state_bytes = 4 * len(protocols.STRENGTHS) * (source.activations.shape[1] + 1) * (source.activations.shape[1] + 26 * data.class_count)
    at_once = max(1, STACK_BYTES // state_bytes)
    parts = [
        _solve_stack(source, nodes[i : i + at_once], data, settings, None if start is None else start[i : i + at_once])
        for i in range(0, len(nodes), at_once)
    ]
    return _Solved(
        torch.cat([part.weights for part in parts]),
        torch.cat([part.strengths for part in parts]),
        max(part.gradient_norm for part in parts),
        sum(part.evaluations for part in parts),
    )


def _solve_stack(source: Source, nodes: Sequence[int], data: _Data, settings: ExactSettings, start: Tensor | None) -> _Solved:
    strengths = protocols.STRENGTHS
    groups = [Group(0, kept, strengths) for kept in nodes]
    fit = _rows(source, ~data.validation)
    path = StrengthPath(_rows(source, data.validation), groups, data.y_validation)
    shape = (len(groups) * len(strengths), source.activations.shape[1] + 1, data.class_count)
    begin = torch.zeros(shape, device=data.y.device) if start is None else start.repeat_interleave(len(strengths), dim=0)
    if settings.start_seed is not None:
        generator = torch.Generator().manual_seed(settings.start_seed)
        begin = begin + 0.1 * torch.randn(shape, generator=generator).to(begin.device)
    tried = fit_heads(
        [fit], groups, data.y_fit, data.class_count, SolverSettings(tolerance=protocols.SELECTION_TOLERANCE), start=begin, drop=path.drop
    )
    best = path.chosen(tried.weights)
    chosen = [Group(0, kept, (strengths[j],)) for kept, j in zip(nodes, best, strict=True)]
    rows = torch.tensor([i * len(strengths) + j for i, j in enumerate(best)], device=data.y.device)
    final = fit_heads(
        [source], chosen, data.y, data.class_count, SolverSettings(tolerance=protocols.FINAL_TOLERANCE), start=tried.weights[rows]
    )
    return _Solved(
        final.weights,
        torch.tensor([strengths[j] for j in best]),
        float(final.gradient_norm.max()),
        tried.evaluations + final.evaluations,
    )


def _rows(source: Source, mask: Tensor) -> Source:
    return Source(source.activations[mask], None if source.ranks is None else source.ranks[mask])


class StrengthPath:
    """Choice of λ per group by validation log-loss, going from the strongest to the weakest until the loss first rises.

    The loss is smooth where accuracy is a staircase, so the choice does not hang on the solver's last digits; strengths
    beyond the first rise, the slowest to solve, are dropped unfinished.
    """

    def __init__(self, validation: Source, groups: Sequence[Group], y: Tensor) -> None:
        self.validation = validation
        self.groups = groups
        self.y = y
        self.length = len(groups[0].strengths)
        self.loss = torch.full((len(groups), self.length), torch.nan)

    def _measure(self, ready: Tensor, weights: Tensor) -> None:
        new = ready.cpu().view(len(self.groups), self.length) & self.loss.isnan()
        for g in new.any(dim=1).nonzero().flatten().tolist():
            places = new[g].nonzero().flatten()
            rows = (g * self.length + places).to(weights.device)
            logits = predict(self.validation, self.groups[g].kept, weights[rows])
            labels = self.y.unsqueeze(1).expand(-1, len(places))
            losses = torch.nn.functional.cross_entropy(logits.permute(0, 2, 1), labels, reduction="none")
            self.loss[g, places] = losses.double().mean(dim=0).float().cpu()

    def _rises(self) -> Tensor:
        """Where the next weaker strength does not gain: (G, L - 1); an unmeasured neighbour decides nothing."""
        return self.loss[:, 1:] > self.loss[:, :-1] * (1 - protocols.SMALLEST_GAIN)

    def drop(self, solved: Tensor, weights: Tensor) -> Tensor:
        """The problems that can no longer win: weaker than a strength at which the loss has risen."""
        self._measure(solved, weights)
        rises = self._rises()
        beyond = torch.zeros_like(self.loss, dtype=torch.bool)
        beyond[:, 1:] = rises.cumsum(dim=1) > 0
        return beyond.flatten().to(solved.device)

    def chosen(self, weights: Tensor) -> list[int]:
        """The place of the first local minimum from the strong end, per group.

        A strength that ran out of evaluations before it ended is judged where it stands.
        """
        rises = self._rises()
        undecided = self.loss.isnan() & ~torch.nn.functional.pad(rises.cumsum(dim=1) > 0, (1, 0))
        self._measure(undecided.flatten(), weights)
        best: list[int] = []
        for rises_of_group in self._rises().tolist():
            best.append(rises_of_group.index(True) if True in rises_of_group else self.length - 1)
        return best
