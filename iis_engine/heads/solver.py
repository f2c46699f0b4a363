"""Preconditioned L-BFGS for many independent convex problems stacked in one tensor.

Each problem has its own step length, line search and stopping point: one evaluation advances every unfinished problem,
whether it accepts its step or shortens it, and finished problems leave the stack (two-loop recursion: Nocedal and Wright,
Numerical Optimization, algorithm 7.4; acceptance near machine precision: Hager and Zhang 2005, approximate Wolfe condition).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

ARMIJO = 1e-4
SHRINK = 0.4
SMALLEST_STEP = 1e-5
MEMORY = 6  # correction pairs kept
MAX_EVALUATIONS = 600  # joint evaluations after which unfinished problems stop as they stand
REFRESH_AT = (8, 30, 90)  # iterations at which the curvature is computed anew
COMPACT_BELOW = 0.8  # the stack is compacted once less than this share of it is unfinished
WATCH_EVERY = 8  # iterations after which `Watch` sees the unfinished problems


class Objective(Protocol):
    """Values, gradients and a curvature for a subset of the problems."""

    def value_and_gradient(self, weights: Tensor, active: Tensor) -> tuple[Tensor, Tensor]:
        """(p,) float64 and (p, c, m) for the problems numbered `active` (p,) at `weights` (p, c, m)."""
        ...

    def curvature(self, weights: Tensor, active: Tensor) -> Tensor:
        """(p, m, m) approximate inverse Hessian, shared by the c rows."""
        ...


class Watch(Protocol):
    """Observes the problems while they are solved, and stops those that are not needed."""

    def __call__(self, solved: Tensor, points: Tensor, ahead: Tensor, norms: Tensor) -> Tensor:
        """Mask (P,) of the problems to stop as they stand.

        Parameters
        ----------
        solved : (P,) bool, the problems that have converged
        points : (P, c, m), of every problem
        ahead : (P, c, m), the points after the next full step: estimates of the optima, which near them are as good as Newton's
        norms : (P,) largest absolute entries of the gradients
        """
        ...


@dataclass(frozen=True)
class Solution:
    """Where each problem stopped.

    Attributes
    ----------
    point : (P, c, m)
    value : (P,) float64, of the objective
    gradient_norm : (P,) largest absolute entry of the gradient
    evaluations : joint evaluations spent
    """

    point: Tensor
    value: Tensor
    gradient_norm: Tensor
    evaluations: int


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.vecdot(a.flatten(1), b.flatten(1))


def _spread(values: Tensor) -> Tensor:
    return values[:, None, None]


class _Stack:
    """The unfinished problems, stored contiguously."""

    def __init__(self, objective: Objective, point: Tensor) -> None:
        self.objective = objective
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

        A pair with 1 / (s·y) = 0, as of a rejected step, has no effect.
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
        """One joint evaluation: every problem tries its step, and accepts or shortens it."""
        moved = _spread(self.step) * self.direction
        trial = self.point + moved
        value, gradient = self.objective.value_and_gradient(trial, self.active)
        slope = _dot(self.gradient, self.direction).double()
        end_slope = _dot(gradient, self.direction).double()
        step = self.step.double()
        enough = value <= self.value + ARMIJO * step * slope
        noise = 1e-6 * self.value.abs() + 1e-12
        flat = (value <= self.value + noise) & (end_slope <= (2 * ARMIJO - 1) * slope)
        accepted = (enough | flat) & value.isfinite()
        change = gradient - self.gradient
        if not bool(value.isfinite().all()):
            change = torch.where(_spread(value.isfinite()), change, 0.0)
        sy = _dot(moved, change)
        usable = accepted & (sy > 1e-10 * (_dot(moved, moved) * _dot(change, change)).sqrt())
        self.pairs = [*self.pairs, (moved, change, torch.where(usable, 1 / sy, 0.0))][-MEMORY:]
        curved = _dot(change, torch.bmm(change, self.inverse))
        self.scale = torch.where(usable & (curved > 0), (sy / curved).clamp(1e-3, 1e4), self.scale)
        if bool(accepted.all()):
            self.point, self.value, self.gradient = trial, value, gradient
            self.step = torch.ones_like(self.step)
            self.direction = self._descent()
            return
        kept = _spread(accepted)
        self.point = torch.where(kept, trial, self.point)
        self.value = torch.where(accepted, value, self.value)
        self.gradient = torch.where(kept, gradient, self.gradient)
        self.step = torch.where(accepted, 1.0, self.step * SHRINK)
        self.direction = torch.where(kept, self._descent(), self.direction)

    def refresh(self) -> None:
        self.inverse = self.objective.curvature(self.point, self.active)
        self.scale = torch.ones_like(self.scale)
        self.step = torch.ones_like(self.step)
        self.direction = self._descent()

    def keep(self, chosen: Tensor) -> None:
        """Drop all problems but the chosen ones."""
        for name in ("active", "point", "value", "gradient", "inverse", "scale", "step", "direction"):
            setattr(self, name, getattr(self, name)[chosen])
        self.pairs = [(s[chosen], y[chosen], rho[chosen]) for s, y, rho in self.pairs]


def minimise(
    objective: Objective,
    start: Tensor,
    tolerance: float,
    watch: Watch | None = None,
) -> Solution:
    """Minimise every problem of the stack.

    A problem also stops where its line search can no longer descend in float32; its gradient norm is then above `tolerance`.

    Parameters
    ----------
    start : (P, c, m)
    tolerance : largest absolute gradient entry at which a problem is solved
    watch : called after a problem stops, and every few iterations
    """
    stack = _Stack(objective, start)
    point, value = start.clone(), stack.value.clone()
    norm = torch.full_like(stack.scale, torch.inf)
    finished = torch.zeros(len(start), dtype=torch.bool, device=start.device)
    solved = finished.clone()

    def stop(which: Tensor, norms: Tensor) -> None:
        """Record the points of some problems of the stack as final; they stay in the stack until its next compaction."""
        rows = stack.active[which]
        point[rows], value[rows], norm[rows] = stack.point[which], stack.value[which], norms[which]
        finished[rows] = True

    evaluations, iteration = 1, 0
    while True:
        norms = stack.gradient.abs().amax(dim=(1, 2))
        converged = norms <= tolerance
        stopping = (converged | (stack.step < SMALLEST_STEP)) & ~finished[stack.active]
        has_stopped = bool(stopping.any())
        if has_stopped:
            stop(stopping, norms)
            solved[stack.active[stopping & converged]] = True
        if watch is not None and (has_stopped or iteration % WATCH_EVERY == 0):
            point[stack.active] = torch.where(_spread(finished[stack.active]), point[stack.active], stack.point)
            ahead = point.clone()
            ahead[stack.active] += torch.where(_spread(finished[stack.active]), 0.0, stack.direction)
            norm[stack.active] = torch.where(finished[stack.active], norm[stack.active], norms)
            stop(watch(solved, point, ahead, norm)[stack.active] & ~finished[stack.active], norms)
        left = ~finished[stack.active]
        if not bool(left.any()):
            return Solution(point, value, norm, evaluations)
        if evaluations >= MAX_EVALUATIONS:
            stop(left, norms)
            return Solution(point, value, norm, evaluations)
        if float(left.float().mean()) < COMPACT_BELOW:
            stack.keep(left)
        if iteration in REFRESH_AT:
            stack.refresh()
        stack.advance()
        evaluations += 1
        iteration += 1
