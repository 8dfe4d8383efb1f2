"""From numpy to JSON, which knows no NaN."""

from __future__ import annotations

import math

import numpy as np

from sim.twin.scenarios import Floats


def finite(value: float) -> float | None:
    """The number, or None for NaN and infinities."""
    return float(value) if math.isfinite(value) else None


def finite_list(values: Floats) -> list[float | None]:
    """Likewise for an array with one axis."""
    if np.isfinite(values).all():
        return values.tolist()  # type: ignore[no-any-return]
    return [finite(value) for value in values.tolist()]
