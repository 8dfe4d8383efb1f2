"""Least squares of a cost model to observations of a stage, with standard errors.

Errors are relative: a stage of 20 ms counts as much as one of 2 s, as it does in a mean absolute percentage error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from calibration.observation import Observation
from prism.cost import COEFFICIENTS, FORMS, CostModel, Driver, Form
from prism.errors import InputError

Array = NDArray[np.float64]

_EXPONENTS = (0.3, 1.5)
_STARTS = np.linspace(*_EXPONENTS, 25)


class _Design:
    """Observations as arrays: one row an observation, one column a term, padded with terms of no weight."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        width = max(len(observation.terms) for observation in observations)
        self.seconds: Array = np.array([observation.seconds for observation in observations])
        self.fixed: Array = np.array([sum(t.fixed_count for t in observation.terms) for observation in observations])
        self.weight: Array = np.zeros((len(observations), width))
        self.x: Array = np.ones((len(observations), width))
        for row, observation in enumerate(observations):
            for column, term in enumerate(observation.terms):
                self.weight[row, column] = term.weight
                self.x[row, column] = term.x

    def variable(self, exponent: float) -> Array:
        """Factor of `scale_s` in each row."""
        return np.asarray((self.weight * self.x**exponent).sum(axis=1))

    def relative_error(self, fixed_s: float, scale_s: float, exponent: float) -> Array:
        return np.asarray((self.fixed * fixed_s + self.variable(exponent) * scale_s) / self.seconds - 1)


def predict(model: CostModel, observation: Observation) -> float:
    """Seconds of the stage that the model gives for the observation's steps."""
    return sum(
        term.fixed_count * model.fixed_s + term.weight * model.variable_seconds(term.x) for term in observation.terms
    )


def fit_cost_model(observations: Sequence[Observation], form: Form, driver: Driver) -> CostModel:
    """Fit the free coefficients of `form`, none of them negative.

    Raises:
        InputError: fewer observations than free coefficients, or a stage that took no time.
    """
    held = FORMS[form]
    free = [name for name in COEFFICIENTS if name not in held]
    if len(observations) < len(free):
        raise InputError(f"form {form!r} needs {len(free)} measurements or more, there are {len(observations)}")
    if any(observation.seconds <= 0 for observation in observations):
        raise InputError("a stage with no measured time cannot be fitted; leave such runs out")
    design = _Design(observations)

    def residuals(values: Array) -> Array:
        return design.relative_error(**(held | dict(zip(free, map(float, values), strict=True))))

    start = _start(design, held)
    lower = [_EXPONENTS[0] if name == "exponent" else 0.0 for name in free]
    upper = [_EXPONENTS[1] if name == "exponent" else np.inf for name in free]
    initial = np.clip([start[name] for name in free], np.nextafter(lower, np.inf), np.nextafter(upper, -np.inf))
    tight: dict[str, Any] = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "max_nfev": 2000}
    result = least_squares(residuals, initial, bounds=(lower, upper), x_scale="jac", **tight)
    coefficients = held | dict(zip(free, map(float, result.x), strict=True))
    covariance = _covariance(np.asarray(result.jac), result.fun)
    # The steps that a run is about are its largest; a control message in passing says nothing of a size's cost.
    measured = [max(term.x for term in observation.terms if term.weight > 0) for observation in observations]
    return CostModel(
        form=form,
        driver=driver,
        fixed_s=coefficients["fixed_s"],
        scale_s=coefficients["scale_s"],
        exponent=coefficients["exponent"],
        stderr={name: float(np.sqrt(covariance[index, index])) for index, name in enumerate(free)},
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        valid_from=min(measured),
        valid_to=max(measured),
    )


def _start(design: _Design, held: dict[str, float]) -> dict[str, float]:
    """The best of a grid over the exponent; with it given, the rest is linear and has one answer."""
    best: tuple[float, dict[str, float]] | None = None
    for exponent in [held["exponent"]] if "exponent" in held else _STARTS:
        columns = np.stack([design.fixed, design.variable(exponent)], axis=1) / design.seconds[:, None]
        if "fixed_s" in held:
            columns[:, 0] = 0.0
        (fixed_s, scale_s), distance = nnls(columns, np.ones(len(columns)))
        if best is None or distance < best[0]:
            best = distance, {"fixed_s": float(fixed_s), "scale_s": float(scale_s), "exponent": float(exponent)}
    assert best is not None
    return best[1]


def _covariance(jacobian: Array, residuals: Array) -> Array:
    """Of the coefficients; the residual variance is estimated from the fit, 0 where no degree of freedom is left."""
    rows, columns = jacobian.shape
    variance = float(residuals @ residuals) / (rows - columns) if rows > columns else 0.0
    return np.asarray(np.linalg.pinv(jacobian.T @ jacobian, hermitian=True) * variance)
