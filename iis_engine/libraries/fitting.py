"""Fit of directions whose projections imitate given activations, as the text library needs (eq. 2).

The similarity is cos-cubed: the cosine of two centred columns whose entries are cubed first, so that the rows with
the strongest activations decide (Oikarinen et al., "Label-free Concept Bottleneck Models", ICLR 2023, section 3; eq. 2 of the paper).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

RIDGES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Ridge strengths of the closed-form start, in units of the mean variance of the columns of X."""
FURTHER_RIDGES = (10.0,)
"""Factors of the best ridge strength: the ascent also starts there, since where it stops depends on the damping of its start."""
STEPS_MAX = 40
PATIENCE = 3
"""Steps without a gain on the held-out rows after which a concept stops."""
SMALLEST_GAIN = 1e-4
MEMORY = 6
STEP_LENGTHS = (1.0, 0.5, 0.25, 0.1, 0.03)
SUFFICIENT = 1e-4  # Armijo's constant
ENTRIES_AT_ONCE = 2**24
"""Rows x concepts in memory at once."""
ROWS_AT_ONCE = 2**14


@dataclass(frozen=True)
class Imitation:
    """Fitted directions.

    Attributes
    ----------
    vectors : (M, d) float64, W_c
    similarity : (M,) float64, cos-cubed similarity on the held-out rows
    """

    vectors: Tensor
    similarity: Tensor


def cos_cubed(q: Tensor, p: Tensor) -> Tensor:
    """Cosine of the centred, cubed columns of q and p, (n, M) each: (M,) in [-1, 1]; 0 where a column is constant."""
    a, b = _cubed(q), _cubed(p)
    return (a * b).sum(dim=0)


def imitate(X: Tensor, rows: Tensor, columns: Tensor, held_out: Tensor) -> Imitation:
    """Fit bias-free directions W_c whose projections X·W_cᵀ have the highest cos-cubed similarity with P = rows · columnsᵀ (eq. 2).

    Ridge regression gives a start for each of several strengths in closed form, from one eigendecomposition; L-BFGS continues from the
    best of them, many concepts at once, in coordinates in which that ridge problem is a sphere. Along a direction the projections
    are linear, so that a step length costs no product with X. The held-out rows select strength and stopping point of each concept.

    Parameters
    ----------
    X : (n, d) float32 representation
    rows, columns : (n, e) and (M, e) float32; for a text library the image and text embeddings. P is never whole in memory
    held_out : (n,) bool, rows for selection, which are not fitted

    Returns
    -------
    Imitation
        Directions of any length: the scales of X and P have no effect.
    """
    rotated = _rotate(X, held_out)
    parts = [_imitate_block(rotated, P, P_evaluated) for P, P_evaluated in _blocks(rows, columns, held_out)]
    vectors = torch.cat([part.vectors for part in parts], dim=1)
    return Imitation((rotated.basis @ vectors).T, torch.cat([part.similarity for part in parts]))


def ridge_similarity(X: Tensor, rows: Tensor, columns: Tensor, held_out: Tensor) -> Tensor:
    """Similarity (M,) float64 on the held-out rows of the best ridge solutions, from which `imitate` starts: a fast screening.

    Parameters are those of `imitate`.
    """
    rotated = _rotate(X, held_out)
    reached: list[Tensor] = []
    for P, P_evaluated in _blocks(rows, columns, held_out):
        similarities, _ = _best_ridge(rotated, _moments(rotated, P), _cubed(P_evaluated))
        reached.append(similarities)
    return torch.cat(reached)


def _blocks(rows: Tensor, columns: Tensor, held_out: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Columns of P on the fitted and on the held-out rows, a block at a time."""
    rows_fitted, rows_evaluated = rows[~held_out], rows[held_out]
    for some in columns.split(max(1, ENTRIES_AT_ONCE // len(rows))):
        yield rows_fitted @ some.T, rows_evaluated @ some.T


def _rotate(X: Tensor, held_out: Tensor) -> _Rotated:
    mean = X[~held_out].mean(dim=0, dtype=torch.float64).float()
    fitted, evaluated = X[~held_out] - mean, X[held_out] - mean
    scale = fitted.square().mean(dtype=torch.float64).sqrt().clamp_min(torch.finfo(torch.float32).tiny).float()
    fitted, evaluated = fitted.div_(scale), evaluated.div_(scale)
    spectrum, basis = torch.linalg.eigh(_covariance(fitted))
    return _Rotated(fitted @ basis.float(), evaluated @ basis.float(), spectrum.clamp_min(0).float(), basis)


def _covariance(centred: Tensor) -> Tensor:
    """(d, d) float64."""
    total = torch.zeros(centred.shape[1], centred.shape[1], dtype=torch.float64, device=centred.device)
    for part in centred.split(ROWS_AT_ONCE):
        total += part.double().T @ part.double()
    return total / len(centred)


@dataclass(frozen=True)
class _Rotated:
    """Centred rows in the eigenbasis of their covariance.

    Attributes
    ----------
    fitted : (n, d)
    evaluated : (h, d), the held-out rows
    spectrum : (d,) eigenvalues
    basis : (d, d) float64, eigenvectors as columns
    """

    fitted: Tensor
    evaluated: Tensor
    spectrum: Tensor
    basis: Tensor

    def damped(self, ridge: Tensor) -> Tensor:
        """S + λ: (d, 1) or (d, M) for strengths (M,)."""
        return self.spectrum.unsqueeze(1) + ridge * self.spectrum.mean()


def _imitate_block(X: _Rotated, P: Tensor, P_evaluated: Tensor) -> Imitation:
    """`imitate` for a block of concepts; vectors are returned as columns (d, M) in the eigenbasis."""
    goal, goal_evaluated = _cubed(P).float(), _cubed(P_evaluated)
    moments = _moments(X, P)
    _, ridge = _best_ridge(X, moments, goal_evaluated)
    found = _ascend(X, goal, goal_evaluated, moments, ridge)
    for factor in FURTHER_RIDGES:
        other = _ascend(X, goal, goal_evaluated, moments, factor * ridge)
        better = other.similarity > found.similarity
        found = Imitation(torch.where(better, other.vectors, found.vectors), torch.where(better, other.similarity, found.similarity))
    return found


def _moments(X: _Rotated, P: Tensor) -> Tensor:
    """Covariances (d, M) of the rows with the standardised columns of P."""
    return X.fitted.T @ _standardised(P).float() / len(X.fitted)


def _best_ridge(X: _Rotated, moments: Tensor, goal_evaluated: Tensor) -> tuple[Tensor, Tensor]:
    """Per concept the highest similarity on the held-out rows of a ridge solution (M,), and its strength (M,)."""
    ridges = torch.tensor(RIDGES, device=moments.device)
    similarities = [_similarity(X.evaluated @ (moments / X.damped(ridge)), goal_evaluated) for ridge in ridges]
    best = torch.stack(similarities).max(dim=0)
    return best.values, ridges[best.indices]


def _ascend(X: _Rotated, goal: Tensor, goal_evaluated: Tensor, moments: Tensor, ridge: Tensor) -> Imitation:
    """L-BFGS from the ridge solutions; keeps each concept's iterate with the highest similarity on the held-out rows."""
    scaling = X.damped(ridge).rsqrt()  # w = scaling * v
    v = scaling * moments
    start = scaling * v
    q, q_evaluated = X.fitted @ start, X.evaluated @ start
    best, best_similarity = start.clone(), _similarity(q_evaluated, goal_evaluated)
    waited = torch.zeros(v.shape[1], dtype=torch.int64, device=v.device)
    running = torch.arange(v.shape[1], device=v.device)
    value, slope = _value_and_slope(q, goal)
    gradient = scaling * (X.fitted.T @ slope)
    memory = _Memory()
    for _ in range(STEPS_MAX):
        direction = memory.direction(gradient)
        downhill = (direction * gradient).sum(dim=0)
        direction = torch.where(downhill < 0, direction, -gradient)
        downhill = torch.where(downhill < 0, downhill, -gradient.square().sum(dim=0))
        weights_step = scaling * direction
        q_step, evaluated_step = X.fitted @ weights_step, X.evaluated @ weights_step
        length = _step_length(q, q_step, goal, value, downhill)
        v, q, q_evaluated = v + length * direction, q + length * q_step, q_evaluated + length * evaluated_step
        value, slope = _value_and_slope(q, goal)
        fresh = scaling * (X.fitted.T @ slope)
        memory.add(length * direction, fresh - gradient)
        gradient = fresh
        similarity = _similarity(q_evaluated, goal_evaluated)
        better = similarity > best_similarity[running] + SMALLEST_GAIN
        best[:, running[better]] = (scaling * v)[:, better]
        best_similarity[running[better]] = similarity[better]
        waited = torch.where(better, 0, waited + 1)
        going = (waited < PATIENCE) & (length > 0)
        if not bool(going.any()):
            break
        if bool((~going).any()):
            running, waited, value = running[going], waited[going], value[going]
            v, q, q_evaluated, gradient, scaling = (part[:, going] for part in (v, q, q_evaluated, gradient, scaling))
            goal, goal_evaluated = goal[:, going], goal_evaluated[:, going]
            memory.keep(going)
    return Imitation(best.double(), best_similarity)


class _Memory:
    """Curvature pairs of L-BFGS (Liu and Nocedal 1989), one column per concept."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, step: Tensor, change: Tensor) -> None:
        product = (step * change).sum(dim=0)
        # The objective is not convex: a pair without positive curvature gets no weight.
        usable = product > 1e-10 * step.norm(dim=0) * change.norm(dim=0)
        self.pairs.append((step, change, torch.where(usable, 1 / torch.where(usable, product, 1.0), 0.0)))
        self.pairs = self.pairs[-MEMORY:]

    def keep(self, going: Tensor) -> None:
        self.pairs = [(step[:, going], change[:, going], rate[going]) for step, change, rate in self.pairs]

    def direction(self, gradient: Tensor) -> Tensor:
        """Minus the inverse Hessian's estimate times the gradient, by the two-loop recursion."""
        if not self.pairs:
            # The similarity changes by about one over a distance of one start length.
            return -gradient / gradient.norm(dim=0).clamp_min(1e-12)
        left, shares = gradient.clone(), list[Tensor]()
        for step, change, rate in reversed(self.pairs):
            share = rate * (step * left).sum(dim=0)
            left -= share * change
            shares.append(share)
        step, change, rate = self.pairs[-1]
        curvature = torch.where(rate > 0, 1 / (rate * change.square().sum(dim=0)).clamp_min(1e-30), 1.0)
        left *= curvature
        for (step, change, rate), share in zip(self.pairs, reversed(shares), strict=True):
            left += step * (share - rate * (change * left).sum(dim=0))
        return -left


def _step_length(q: Tensor, q_step: Tensor, goal: Tensor, value: Tensor, downhill: Tensor) -> Tensor:
    """Per concept the longest of a few step lengths with sufficient descent; 0 without any."""
    chosen = torch.zeros_like(value)
    open_ = torch.arange(len(value), device=value.device)
    for length in STEP_LENGTHS:
        reached = -_similarity(q[:, open_] + length * q_step[:, open_], goal[:, open_]).to(value.dtype)
        enough = reached <= value[open_] + SUFFICIENT * length * downhill[open_]
        chosen[open_[enough]] = length
        open_ = open_[~enough]
        if len(open_) == 0:
            break
    return chosen


def _value_and_slope(q: Tensor, goal: Tensor) -> tuple[Tensor, Tensor]:
    """Minus the similarity (M,) and its gradient by q (n, M); `goal` has centred, cubed columns of length one."""
    c = q - q.mean(dim=0)
    size = c.square().mean(dim=0).sqrt().clamp_min(1e-20)
    c = c / size
    cubed = c.pow(3)
    length = cubed.norm(dim=0).clamp_min(1e-20)
    cubed /= length
    similarity = (cubed * goal).sum(dim=0)
    slope = c.square_().mul_(3).mul_(cubed.mul_(similarity).sub_(goal)).div_(length * size)
    return -similarity, slope - slope.mean(dim=0)


def _similarity(q: Tensor, goal: Tensor) -> Tensor:
    return (_cubed(q) * goal).sum(dim=0, dtype=torch.float64)


def _cubed(q: Tensor) -> Tensor:
    """Centred, cubed columns of length one; a constant column becomes zeros."""
    cubed = _standardised(q).pow(3)
    return cubed / cubed.norm(dim=0).clamp_min(1e-20)


def _standardised(q: Tensor) -> Tensor:
    centred = q - q.mean(dim=0)
    spread = centred.square().mean(dim=0).sqrt()
    noise = 1e-6 * q.abs().amax(dim=0) + torch.finfo(q.dtype).tiny
    return torch.where(spread > noise, centred / spread.clamp_min(1e-30), torch.zeros_like(centred))
