"""A preconditioned L-BFGS for many independent convex problems stacked in one tensor. It knows nothing of heads or concepts.

Each problem has its own step length, line search and end: one evaluation moves every unfinished problem, whether it
accepts its step or shortens it, and finished problems leave the stack (two-loop recursion: Nocedal and Wright, Numerical
Optimization, algorithm 7.4; acceptance near machine precision: Hager and Zhang 2005, approximate Wolfe condition).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

ARMIJO = 1e-4
SHRINK = 0.4
SMALLEST_STEP = 1e-5
COMPACT_BELOW = 0.8  # copy the survivors together once fewer than this share are unfinished


class Objective(Protocol):
    """What the solver needs: values, gradients and a curvature for a chosen subset of problems."""

    def value_and_gradient(self, weights: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """(p,) float64 and (p, c, m) for the problems numbered `active` (p,) at `weights` (p, c, m)."""
        ...

    def curvature(self, weights: Tensor, active: Tensor) -> Tensor:
        """(p, m, m) approximate inverse Hessian, shared by the c rows."""
        ...


@dataclass(frozen=True)
class SolverSettings:
    """When to stop, and how much to remember.

    Attributes
    ----------
    tolerance : a problem ends when no entry of its gradient exceeds this in magnitude
    max_evaluations : joint evaluations after which the rest is left as it stands
    memory : correction pairs kept
    refresh_at : iterations at which the curvature is measured anew
    """

    tolerance: float = 1e-5
    max_evaluations: int = 600
    memory: int = 6
    refresh_at: tuple[int, ...] = (0, 8, 30, 90)


@dataclass(frozen=True)
class End:
    point: Tensor  # (P, c, m)
    value: Tensor  # (P,) float64
    gradient_norm: Tensor  # (P,) largest absolute entry
    evaluations: int


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


def _spread(values: Tensor) -> Tensor:
    return values[:, None, None]


class _Stack:
    """The unfinished problems, compact."""

    def __init__(self, objective: Objective, point: Tensor, memory: int) -> None:
        self.objective = objective
        self.memory = memory
        self.active = torch.arange(len(point), device=point.device)
        self.point = point.clone(memory_format=torch.contiguous_format)
        self.value, self.gradient = objective.value_and_gradient(self.point, self.active)
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self.inverse = objective.curvature(self.point, self.active)
        self.scale = torch.ones(len(point), device=point.device)
        self.step = torch.ones(len(point), device=point.device)
        self.direction = self._descent()

    def _descent(self) -> Tensor:
        """-H·g by the two-loop recursion; a direction that does not descend is replaced by the preconditioned gradient.

        A pair whose 1 / (s·y) is zero, one of a refused step, changes nothing.
        """
        q = self.gradient.neg()
        alphas: list[Tensor] = []
        for s, y, rho in reversed(self.pairs):
            alpha = rho * _dot(s, q)
            q.addcmul_(_spread(alpha), y, value=-1)
            alphas.append(alpha)
        q = torch.bmm(q, self.inverse).mul_(_spread(self.scale))
        for (s, y, rho), alpha in zip(self.pairs, reversed(alphas), strict=True):
            q.addcmul_(_spread(alpha.sub_(rho * _dot(y, q))), s)
        uphill = _dot(q, self.gradient) >= 0
        if bool(uphill.any()):
            q = torch.where(_spread(uphill), -torch.bmm(self.gradient, self.inverse), q)
        return q

    def advance(self) -> None:
        """One joint evaluation: every problem tries its step, and takes it or shortens it."""
        moved = _spread(self.step) * self.direction
        trial = self.point + moved
        value, gradient = self.objective.value_and_gradient(trial, self.active)
        slope = _dot(self.gradient, self.direction).double()
        end_slope = _dot(gradient, self.direction).double()
        step = self.step.double()
        enough = value <= self.value + ARMIJO * step * slope
        noise = 1e-6 * self.value.abs() + 1e-12
        flat = (value <= self.value + noise) & (end_slope <= (2 * ARMIJO - 1) * slope)
        taken = (enough | flat) & value.isfinite()
        change = gradient - self.gradient
        if not bool(value.isfinite().all()):
            change = torch.where(_spread(value.isfinite()), change, 0.0)
        sy = _dot(moved, change)
        usable = taken & (sy > 1e-10 * (_dot(moved, moved) * _dot(change, change)).sqrt())
        self.pairs = [*self.pairs, (moved, change, torch.where(usable, 1 / sy, 0.0))][-self.memory :]
        curved = _dot(change, torch.bmm(change, self.inverse))
        self.scale = torch.where(usable & (curved > 0), (sy / curved).clamp(1e-3, 1e4), self.scale)
        if bool(taken.all()):
            self.point, self.value, self.gradient = trial, value, gradient
            self.step = torch.ones_like(self.step)
            self.direction = self._descent()
            return
        kept = _spread(taken)
        self.point = torch.where(kept, trial, self.point)
        self.value = torch.where(taken, value, self.value)
        self.gradient = torch.where(kept, gradient, self.gradient)
        self.step = torch.where(taken, 1.0, self.step * SHRINK)
        self.direction = torch.where(kept, self._descent(), self.direction)

    def refresh(self) -> None:
        self.inverse = self.objective.curvature(self.point, self.active)
        self.scale = torch.ones_like(self.scale)
        self.step = torch.ones_like(self.step)
        self.direction = self._descent()

    def keep(self, chosen: Tensor) -> None:
        """Forget all problems but the chosen ones."""
        for name in ("active", "point", "value", "gradient", "inverse", "scale", "step", "direction"):
            setattr(self, name, getattr(self, name)[chosen])
        self.pairs = [(s[chosen], y[chosen], rho[chosen]) for s, y, rho in self.pairs]


def minimise(
    objective: Objective,
    start: Tensor,
    settings: SolverSettings,
    drop: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> End:
    """Minimise every problem of the stack from `start` (P, c, m).

    `drop(solved, points)` is asked after each problem that ends; a problem it marks is left where it stands.
    A problem whose line search can no longer descend in float32 ends too: its gradient norm says how far it came.
    """
    stack = _Stack(objective, start, settings.memory)
    point, value = start.clone(), stack.value.clone()
    norm = torch.full_like(stack.scale, torch.inf)
    finished = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    solved = finished.clone()

    def end(which: Tensor, norms: Tensor) -> None:
        """Note where problems of the stack stand as their end; what has ended may ride along until the next compaction."""
        rows = stack.active[which]
        point[rows], value[rows], norm[rows] = stack.point[which], stack.value[which], norms[which]
        finished[rows] = True

    evaluations, iteration = 1, 0
    while True:
        norms = stack.gradient.abs().amax(dim=(1, 2))
        here = norms <= settings.tolerance
        ending = (here | (stack.step < SMALLEST_STEP)) & ~finished[stack.active]
        if bool(ending.any()):
            end(ending, norms)
            solved[stack.active[ending & here]] = True
            if drop is not None:
                unwanted = drop(solved, point)[stack.active] & ~finished[stack.active]
                end(unwanted, norms)
        left = ~finished[stack.active]
        if not bool(left.any()):
            return End(point, value, norm, evaluations)
        if evaluations >= settings.max_evaluations:
            end(left, norms)
            return End(point, value, norm, evaluations)
        if float(left.float().mean()) < COMPACT_BELOW:
            stack.keep(left)
        if iteration in settings.refresh_at[1:]:
            stack.refresh()
        stack.advance()
        evaluations += 1
        iteration += 1
