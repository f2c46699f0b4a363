"""Paired values as another draw of test images would measure them, for the same models."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SMALLEST_VARIANCE = 1e-9  # of standardised values, so that a perfectly linear relation has a covariance that can be inverted


def redrawn(
    x: Array, y: Array, x_deviation: Array | None, y_deviation: Array | None, count: int, rows_at_once: int, seed: int
) -> Iterator[tuple[Array, Array]]:
    """Draw x and y as another measurement of the same models would find them, in blocks of up to `rows_at_once` draws.

    Measured values are true values plus errors, so they spread more than true values, and adding another error to them spreads them
    twice: their correlation is then too low. True values are therefore drawn first, given what was measured, and one error is added.

    Parameters
    ----------
    x, y : (n,), neither constant
    x_deviation, y_deviation : (n,) standard deviation of the errors; None for exact values, which stay as they are
    count : draws in all

    Yields
    ------
    x, y : (rows, n)

    Notes
    -----
    Normal model: true pairs have mean m and covariance T, errors have S_i, diagonal. The covariance T + mean S of measured pairs is drawn
    from its posterior, an inverse Wishart distribution with n - 1 degrees of freedom, m from N(mean, (T + mean S) / n), and true pairs from
    N(m + K (v_i - m), K S_i) with K = T (T + S_i)^-1 (Gelman et al., Bayesian Data Analysis, sections 3.6 and 5.5).
    """
    generator = np.random.default_rng(seed)
    sides = [_standardised(x, x_deviation), _standardised(y, y_deviation)]
    values, errors = (np.stack(both, axis=-1) for both in zip(*sides, strict=True))  # (n, 2) each; errors are variances
    measured = _measured_covariances(values, count, generator)
    true = _nearest_psd(measured - np.diag(errors.mean(axis=0)))
    shift = np.einsum("rij,rj->ri", np.linalg.cholesky(measured / len(values)), generator.standard_normal((count, 2)))
    means = values.mean(axis=0) + shift
    for start in range(0, count, rows_at_once):
        block = slice(start, start + rows_at_once)
        draws = generator.standard_normal((len(means[block]), len(values), 2))
        drawn_x, drawn_y = _another_measurement(values, errors, true[block, None], means[block, None], draws)
        yield np.where(errors[:, 0] > 0, drawn_x, values[:, 0]), np.where(errors[:, 1] > 0, drawn_y, values[:, 1])


def _standardised(values: Array, deviation: Array | None) -> tuple[Array, Array]:
    """Values (n,) and variances (n,) of their errors, in units of the values' standard deviation."""
    scale = values.std(ddof=1)
    return values / scale, np.zeros_like(values) if deviation is None else (deviation / scale) ** 2


def _measured_covariances(values: Array, count: int, generator: np.random.Generator) -> Array:
    """(count, 2, 2): covariances of measured pairs from their posterior, by Bartlett's decomposition of the Wishart distribution."""
    freedom = len(values) - 1
    covariance = np.cov(values.T) + _SMALLEST_VARIANCE * np.eye(2)
    factor = np.zeros((count, 2, 2))
    factor[:, 0, 0] = np.sqrt(generator.chisquare(freedom, count))
    factor[:, 1, 1] = np.sqrt(generator.chisquare(freedom - 1, count))
    factor[:, 1, 0] = generator.standard_normal(count)
    root = np.linalg.cholesky(np.linalg.inv(freedom * covariance)) @ factor
    return np.linalg.inv(root @ root.swapaxes(1, 2)) + _SMALLEST_VARIANCE * np.eye(2)


def _nearest_psd(matrices: Array) -> Array:
    """The nearest positive semidefinite matrices: negative eigenvalues become zero."""
    eigenvalues, vectors = np.linalg.eigh(matrices)
    return np.einsum("rij,rj,rkj->rik", vectors, eigenvalues.clip(min=0), vectors)


def _another_measurement(values: Array, errors: Array, true: Array, means: Array, draws: Array) -> tuple[Array, Array]:
    """N(m + K (v - m), K S + S) of each draw and model, from standard normal `draws` (rows, n, 2).

    Parameters
    ----------
    values, errors : (n, 2)
    true : (rows, 1, 2, 2), T
    means : (rows, 1, 2), m
    """
    xx, xy, yy = true[..., 0, 0], true[..., 0, 1], true[..., 1, 1]
    error_x, error_y = errors.T
    of_x, of_y = xx + error_x + _SMALLEST_VARIANCE, yy + error_y + _SMALLEST_VARIANCE
    determinant = of_x * of_y - xy**2
    k_xx, k_xy = (xx * of_y - xy**2) / determinant, xy * (of_x - xx) / determinant
    k_yx, k_yy = xy * (of_y - yy) / determinant, (yy * of_x - xy**2) / determinant
    from_x, from_y = values[:, 0] - means[..., 0], values[:, 1] - means[..., 1]
    root_x = np.sqrt((1 + k_xx) * error_x)
    shared = np.divide(k_xy * error_y, root_x, out=np.zeros_like(root_x), where=root_x > 0)
    root_y = np.sqrt(np.clip((1 + k_yy) * error_y - shared**2, 0, None))
    return (
        means[..., 0] + k_xx * from_x + k_xy * from_y + root_x * draws[..., 0],
        means[..., 1] + k_yx * from_x + k_yy * from_y + shared * draws[..., 0] + root_y * draws[..., 1],
    )
