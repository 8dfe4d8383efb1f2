"""Seeded variation of the durations of steps. Without it the simulator is deterministic."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from prism.errors import InputError


class Jitter(Protocol):
    """Turns the modelled duration of a step into the one that is spent."""

    def __call__(self, seconds: float) -> float: ...


def lognormal_jitter(rng: np.random.Generator, variation: float) -> Jitter:
    """Multiply each duration by a lognormal factor of mean 1 and coefficient of variation `variation`.

    Draws are taken from `rng` in the order in which the simulator starts steps.

    Raises:
        InputError: a variation that is not between 0 and 2.
    """
    if not 0 < variation <= 2:
        raise InputError(f"jitter = {variation!r} is out of range; it must lie between 0 and 2")
    variance = math.log1p(variation**2)
    mean, sigma = -variance / 2, math.sqrt(variance)
    return lambda seconds: seconds * float(rng.lognormal(mean, sigma))
