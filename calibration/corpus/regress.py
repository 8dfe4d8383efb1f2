"""Robust least squares of seconds that are linear in amounts, none with a negative price, on scaled errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from prism.errors import InputError

Array = NDArray[np.float64]

#: A median absolute deviation times this is the standard deviation of a normal law.
MAD_TO_SIGMA = 1.4826
#: Standard deviations beyond which a row counts less, and how often that is settled anew.
FAR = 2.5
REWEIGHTED = 4


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Prices of amounts, and how well they are known.

    The covariance is s^2 (Z'WZ)^-1 with Z = amounts / scales over the prices above zero, W the weights of the rows, and
    s^2 the weighted sum of squared residuals over rows less prices, times the rows that a case has: rows of one case
    err together.

    Attributes:
        names: of the amounts.
        prices: seconds of a unit of each.
        covariance: of the prices; zero for those held at zero.
        residuals: fitted less measured, over the scale; one a row.
        scatter: standard deviation s of a row from the fit in scales: what endless data would leave.
        degrees: of freedom that s rests on.
    """

    names: tuple[str, ...]
    prices: Array
    covariance: Array
    residuals: Array
    scatter: float
    degrees: float

    def price(self, name: str) -> float:
        """Seconds of a unit; 0 where the fit has no such amount."""
        return float(self.prices[self.names.index(name)]) if name in self.names else 0.0

    def stderr(self, name: str) -> float:
        """Standard error of a price; 0 where it was held at 0."""
        index = self.names.index(name)
        return float(np.sqrt(self.covariance[index, index]))

    def variance(self, amounts: Array) -> Array:
        """Variance of the seconds of `amounts`, of shape (..., names), that comes from the prices alone."""
        return np.asarray(np.einsum("...i,ij,...j->...", amounts, self.covariance, amounts))

    @property
    def rms(self) -> float:
        """Root mean square of the residuals."""
        return float(np.sqrt((self.residuals**2).mean()))


def fit_linear(
    amounts: Array,
    seconds: Array,
    names: Sequence[str],
    *,
    scales: Array | None = None,
    rows_a_case: float = 1.0,
    free: Sequence[str] = (),
) -> LinearFit:
    """Prices that minimise the sum of squared errors over their scales; far-off rows count less (`huber_weights`).

    Args:
        amounts: shape (rows, names).
        seconds: shape (rows,).
        names: of the columns.
        scales: of the errors, in seconds; `seconds` themselves by default, which makes errors relative.
        rows_a_case: rows that are not independent of each other.
        free: names whose price may be negative.

    Raises:
        InputError: fewer rows than amounts that occur, or a row without a scale.
    """
    scales = seconds if scales is None else scales
    if (scales <= 0).any():
        raise InputError("a stage with no measured time cannot be fitted; leave such runs out")
    scaled, wanted = amounts / scales[:, None], seconds / scales
    occurs = (scaled != 0).any(axis=0)
    if len(seconds) < int(occurs.sum()):
        raise InputError(f"{len(seconds)} measurements cannot tell {int(occurs.sum())} costs; measure more cases")
    lengths = np.where(occurs, np.sqrt((scaled**2).sum(axis=0)), 1.0)
    signed = np.array([name in free for name in names])
    weights = np.ones(len(seconds))
    prices = np.zeros(len(names))
    for _ in range(REWEIGHTED + 1):
        prices = _solve(scaled / lengths, wanted, np.sqrt(weights), signed) / lengths
        weights = huber_weights(scaled @ prices - wanted)
    residuals = scaled @ prices - wanted
    used = occurs & (signed | (prices > 0))
    degrees = max(len(seconds) / rows_a_case - int(used.sum()), 1.0)
    variance = float(weights @ residuals**2) / rows_a_case / degrees
    covariance = np.zeros((len(names), len(names)))
    # Scaled to equal lengths first: amounts differ by many orders of magnitude.
    inner = (scaled[:, used] / lengths[used]) * np.sqrt(weights)[:, None]
    inverse = np.linalg.pinv(inner.T @ inner, hermitian=True) / np.outer(lengths[used], lengths[used])
    covariance[np.ix_(used, used)] = inverse * variance * rows_a_case
    return LinearFit(tuple(names), prices, covariance, residuals, float(np.sqrt(variance)), degrees)


def huber_weights(residuals: Array) -> Array:
    """1 within `FAR` standard deviations, beyond in inverse proportion to the residual (Huber 1964).

    The standard deviation is that of a normal law with the same median absolute residual: what held up some cases, such
    as other work on the machine, neither widens it nor draws the fit.
    """
    sigma = MAD_TO_SIGMA * float(np.median(np.abs(residuals)))
    if sigma == 0:
        return np.ones(len(residuals))
    return np.asarray(np.minimum(1.0, FAR * sigma / np.maximum(np.abs(residuals), 1e-300)))


def _solve(design: Array, wanted: Array, root_weights: Array, signed: NDArray[np.bool_]) -> Array:
    """Least squares with no negative price; one that may be negative is the difference of two that may not."""
    weighted = design * root_weights[:, None]
    both = np.concatenate([weighted, -weighted[:, signed]], axis=1)
    found, _ = nnls(both, wanted * root_weights, maxiter=1000 * both.shape[1])
    prices = np.asarray(found[: design.shape[1]].copy())
    prices[signed] -= found[design.shape[1] :]
    return prices
