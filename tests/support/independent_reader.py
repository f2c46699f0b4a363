"""A second implementation of the score from the method's description alone: NumPy, SciPy and scikit-learn, nothing of the engine.

It takes arrays (features, concept vectors, the L2 strengths that were selected) and recomputes activations, sparsification, heads,
ARR (eq. 6) and IIS (eq. 7). Rows keep the order in which they are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

Array = NDArray[np.float64]

FEW = (5, 10, 15, 20, 25, 30)
GRADIENT_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Rows:
    """Features and labels of both splits."""

    X_train: NDArray[Any]
    y_train: NDArray[np.int64]
    X_test: NDArray[Any]
    y_test: NDArray[np.int64]


@dataclass(frozen=True)
class Reading:
    """What the reader found.

    Attributes
    ----------
    correct : (n,) per node k and library seed
    margin : (n,) least difference of the largest logit to the next, per node k and library seed
    baseline : (n,) of h
    constant : (n,) of always predicting the most frequent training class
    concept_count : M
    """

    correct: Mapping[int, list[NDArray[np.bool_]]]
    margin: Mapping[int, list[Array]]
    baseline: NDArray[np.bool_]
    constant: NDArray[np.bool_]
    concept_count: int

    def accuracy(self, kept: int) -> float:
        """Acc(g_cls ∘ g_s ∘ g_𝒞 ∘ f, D), the mean over seeds; nothing is kept at k = 0 but the constant prediction."""
        return float(np.mean(self.constant if kept == 0 else self.correct[kept]))

    def retention(self, kept: int) -> float:
        """ARR (eq. 6)."""
        return self.accuracy(kept) / float(np.mean(self.baseline))

    def iis(self) -> float:
        """Integral of ARR over s = 1 - k/M (eq. 7): the trapezoid of the nodes plus the half step that whole k leave out."""
        kept = [*sorted(self.correct, reverse=True), 0]
        area = sum(
            (self.retention(more) + self.retention(fewer)) / 2 * (more - fewer) / self.concept_count for more, fewer in pairwise(kept)
        )
        return area + (self.retention(self.concept_count) - self.retention(0)) / (2 * self.concept_count)

    def few(self) -> float:
        """Mean accuracy at 5 to 30 kept activations."""
        return float(np.mean([self.accuracy(k) for k in FEW if k in self.correct]))


def read(
    rows: Rows,
    libraries: Sequence[NDArray[Any]],
    strengths: Mapping[int, float],
    baseline_strength: float,
    *,
    blocks: Sequence[int],
    text: Sequence[bool],
    calibrated: bool = True,
) -> Reading:
    """Recompute a score.

    Parameters
    ----------
    libraries : (M, d) unit concept vectors of each library seed
    strengths : λ by the number k of kept concepts
    baseline_strength : λ of h
    blocks, text : size of each part of the library, and whether its concepts are fitted to phrases
    calibrated : whether activations are centred and have an affine of each concept (second edition)
    """
    correct: dict[int, list[NDArray[np.bool_]]] = {k: [] for k in strengths}
    margin: dict[int, list[Array]] = {k: [] for k in strengths}
    for vectors in libraries:
        train, test = activations(rows, vectors, blocks, text, calibrated=calibrated)
        for kept, strength in strengths.items():
            logits = _logits(keep_largest(train, kept), rows.y_train, keep_largest(test, kept), strength)
            ordered = np.sort(logits, axis=1)
            correct[kept].append(logits.argmax(axis=1) == rows.y_test)
            margin[kept].append(ordered[:, -1] - ordered[:, -2])
    train, test = _standardised(rows.X_train.astype(np.float64), rows.X_test.astype(np.float64))
    baseline = _logits(train, rows.y_train, test, baseline_strength).argmax(axis=1) == rows.y_test
    constant = rows.y_test == np.bincount(rows.y_train).argmax()
    return Reading(correct, margin, baseline, constant, len(libraries[0]))


def activations(rows: Rows, vectors: NDArray[Any], blocks: Sequence[int], text: Sequence[bool], *, calibrated: bool) -> tuple[Array, Array]:
    """g_𝒞 ∘ f of training and test rows: centring, LayerNorm over the concepts of a part, and an affine of each concept.

    Text concepts have no LayerNorm; they are standardised by their training mean and deviation in both editions.
    """
    X_train, X_test = rows.X_train.astype(np.float64), rows.X_test.astype(np.float64)
    centre = X_train.mean(axis=0) if calibrated else np.zeros(X_train.shape[1])
    raw = [(X - centre) @ vectors.astype(np.float64).T for X in (X_train, X_test)]
    parts: list[tuple[Array, Array]] = []
    for columns, is_text in zip(np.split(np.arange(len(vectors)), np.cumsum(blocks)[:-1]), text, strict=True):
        train, test = (each[:, columns] if is_text else _layer_norm(each[:, columns]) for each in raw)
        parts.append(_standardised(train, test) if calibrated or is_text else (train, test))
    joined = [np.concatenate(each, axis=1) for each in zip(*parts, strict=True)]
    return joined[0], joined[1]


def keep_largest(values: Array, kept: int) -> Array:
    """The k largest magnitudes of each row as they are, zero elsewhere; of equal ones the first."""
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :kept]
    out = np.zeros_like(values)
    np.put_along_axis(out, order, np.take_along_axis(values, order, axis=1), axis=1)
    return out


def _layer_norm(values: Array) -> Array:
    centred = values - values.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True))


def _standardised(train: Array, test: Array) -> tuple[Array, Array]:
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    divisor = np.where(deviation > 1e-9 * np.abs(train).max(axis=0), deviation, np.inf)
    return (train - mean) / divisor, (test - mean) / divisor


def _logits(train: Array, y: NDArray[np.int64], test: Array, strength: float) -> Array:
    """Logits (n, C) at the minimum of mean cross-entropy + λ/2 ‖W‖², the bias free: scikit-learn's, refined to `GRADIENT_TOLERANCE`."""
    n, class_count = len(y), int(y.max()) + 1
    inverse = (2 if class_count == 2 else 1) / (n * strength)  # of two classes scikit-learn fits the difference of the weights
    fitted = LogisticRegression(C=inverse, tol=1e-8, max_iter=20_000).fit(train, y)
    weights, bias = fitted.coef_, fitted.intercept_
    if class_count == 2:
        weights, bias = np.concatenate([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    chosen = np.eye(class_count)[y]

    def loss_and_gradient(flat: Array) -> tuple[float, Array]:
        W, b = flat[:-class_count].reshape(class_count, -1), flat[-class_count:]
        log_probabilities = log_softmax(train @ W.T + b, axis=1)
        residual = (np.exp(log_probabilities) - chosen) / n
        gradient = np.concatenate([(residual.T @ train + strength * W).ravel(), residual.sum(axis=0)])
        return float(-(log_probabilities * chosen).sum() / n + strength / 2 * (W**2).sum()), gradient

    start = np.concatenate([weights.ravel(), bias - bias.mean()])
    options = {"maxiter": 20_000, "maxfun": 40_000, "gtol": GRADIENT_TOLERANCE, "ftol": 0.0, "maxcor": 50}
    found: Any = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    remaining = float(np.abs(loss_and_gradient(found.x)[1]).max())
    if remaining > 10 * GRADIENT_TOLERANCE:
        raise RuntimeError(f"The head of strength {strength:g} has a gradient of {remaining:.1e} left.")
    return test @ found.x[:-class_count].reshape(class_count, -1).T + found.x[-class_count:]
