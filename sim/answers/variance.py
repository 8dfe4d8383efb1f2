"""The variance of a model's answer, shared out among its parameters, by SALib."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, get_args

import numpy as np

from prism.errors import InputError, unknown
from prism.units import check_range
from sim.twin.scenarios import Floats

Method = Literal["sobol", "morris"]
METHODS: tuple[Method, ...] = get_args(Method)

#: Base samples of Sobol's method: a power of two, as Sobol's sequence needs. It asks for this times the parameters and
#: 2 more values.
SOBOL_SAMPLES = 2048
#: Trajectories of Morris' method, each of one value more than there are parameters.
MORRIS_TRAJECTORIES = 20
CONFIDENCE = 0.95
_RESAMPLES = 200

#: Points of the parameters, by name, each of the shape (points,), to the values there.
Model = Callable[[Mapping[str, Floats]], Floats]


@dataclass(frozen=True)
class ParameterShare:
    """How much a parameter decides.

    Attributes:
        half_width: by how much it was varied on either side, relative.
        first: Sobol's first-order index; None by Morris' method.
        first_conf: half-width of its 95 % interval, by bootstrap.
        total: Sobol's total index; by Morris' method the mean absolute elementary effect, in the unit of the values.
        total_conf: half-width of its 95 % interval, by bootstrap.
    """

    name: str
    half_width: float
    first: float | None
    first_conf: float | None
    total: float
    total_conf: float


@dataclass(frozen=True, eq=False)
class Shares:
    """Parameters in the order in which they decide, and the values that were looked at."""

    shares: tuple[ParameterShare, ...]
    values: Floats


def share_out(
    model: Model,
    widths: Mapping[str, float],
    rng: np.random.Generator,
    method: Method = "sobol",
    samples: int | None = None,
) -> Shares:
    """Vary all parameters together, each evenly between 1 less and 1 more its half-width.

    Args:
        model: called once, with all points.
        widths: half-widths by the name of the parameter, at least two.
        rng: of the samples and of the bootstrap.
        method: `sobol` (Saltelli's estimators, Computer Physics Communications 181, 2010) or `morris` (Technometrics
            33, 1991, with Campolongo's absolute effects).
        samples: base samples or trajectories; None for the default.

    Raises:
        InputError: SALib is not installed, fewer than two parameters, or a number out of range.
    """
    if method not in METHODS:
        raise unknown("method", method, METHODS)
    if len(widths) < 2:
        raise InputError(
            "fewer than two parameters vary, so there is nothing to compare; give more of them a variation"
        )
    problem = {
        "num_vars": len(widths),
        "names": list(widths),
        "bounds": [[1 - width, 1 + width] for width in widths.values()],
    }
    found = (_sobol if method == "sobol" else _morris)(problem, model, rng, samples)
    rows = zip(widths.items(), *found.columns, strict=True)
    shares = [ParameterShare(name, float(width), *column) for (name, width), *column in rows]
    return Shares(tuple(sorted(shares, key=lambda share: -share.total)), found.values)


@dataclass(frozen=True, eq=False)
class _Found:
    """First-order indices, their half-widths, totals, theirs: a list each, along the parameters."""

    columns: tuple[list[Any], list[Any], list[float], list[float]]
    values: Floats


def _sobol(problem: dict[str, Any], model: Model, rng: np.random.Generator, samples: int | None) -> _Found:
    count = SOBOL_SAMPLES if samples is None else samples
    if not 16 <= count <= 2**20 or count & (count - 1):
        raise InputError(
            f"samples = {count}: Sobol's sequence needs a power of two from 16 to {2**20}; use 1024 or 2048"
        )
    points = _salib("sample.sobol").sample(problem, count, calc_second_order=False, seed=_seed(rng))
    values = _values(model, problem, points)
    found = _salib("analyze.sobol").analyze(
        problem, values, calc_second_order=False, num_resamples=_RESAMPLES, conf_level=CONFIDENCE, seed=_seed(rng)
    )
    first, first_conf, total, total_conf = (list(map(float, found[key])) for key in ("S1", "S1_conf", "ST", "ST_conf"))
    return _Found((first, first_conf, total, total_conf), values)


def _morris(problem: dict[str, Any], model: Model, rng: np.random.Generator, samples: int | None) -> _Found:
    count = MORRIS_TRAJECTORIES if samples is None else samples
    check_range("trajectories", count, 4, 100_000)
    points = _salib("sample.morris").sample(problem, count, seed=_seed(rng))
    values = _values(model, problem, points)
    found = _salib("analyze.morris").analyze(
        problem, points, values, num_resamples=_RESAMPLES, conf_level=CONFIDENCE, seed=_seed(rng)
    )
    total, total_conf = (list(map(float, found[key])) for key in ("mu_star", "mu_star_conf"))
    none = [None] * len(total)
    return _Found((none, none, total, total_conf), values)


def _values(model: Model, problem: dict[str, Any], points: Floats) -> Floats:
    values = model({name: points[:, column] for column, name in enumerate(problem["names"])})
    if not values.std() > 0:
        raise InputError("the answer depends on none of the parameters that vary; there is nothing to share out")
    return values


def _seed(rng: np.random.Generator) -> int:
    """A seed for SALib, which takes 0 for none."""
    return int(rng.integers(1, 2**31))


def _salib(module: str) -> Any:
    try:
        return import_module(f"SALib.{module}")
    except ModuleNotFoundError as missing:
        raise InputError(
            f"sensitivity needs {missing.name}, which is not installed; pip install 'prism-edge[answers]'"
        ) from None
