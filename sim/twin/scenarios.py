"""Scenarios as arrays: one shape, a few plans, and a batch and a bandwidth for each scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from prism.errors import InputError
from prism.plan import Plan
from prism.scenario import Scenario
from prism.schedule import MAX_BATCH
from prism.shape import TransformerShape
from prism.units import BANDWIDTH_MBPS, check_range

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scenarios:
    """Passes of one model. Scenario i runs plan `plans[plan[i]]`; all arrays have the shape (scenarios,).

    Attributes:
        plan: index into `plans`, intp.
        batch: samples in a pass, int64.
        bandwidth_mbps: as in `prism.scenario.Scenario`, float64.
        reverse_bandwidth_mbps: likewise, of every scenario; None if equal to `bandwidth_mbps` in all of them.
    """

    shape: TransformerShape
    plans: tuple[Plan, ...]
    plan: NDArray[np.intp]
    batch: NDArray[np.int64]
    bandwidth_mbps: Floats
    reverse_bandwidth_mbps: Floats | None = None

    @classmethod
    def of(
        cls,
        shape: TransformerShape,
        plans: Plan | Sequence[Plan],
        batch: ArrayLike,
        bandwidth_mbps: ArrayLike,
        *,
        plan: ArrayLike = 0,
        reverse_bandwidth_mbps: ArrayLike | None = None,
    ) -> Scenarios:
        """Scenarios from numbers and arrays that broadcast to one axis.

        Raises:
            InputError: a batch, bandwidth or plan index out of its range, or a batch that is no whole number.
        """
        given = [plan, batch, bandwidth_mbps, *([] if reverse_bandwidth_mbps is None else [reverse_bandwidth_mbps])]
        index, batches, *bandwidths = np.broadcast_arrays(*map(np.atleast_1d, given))
        if index.ndim != 1:
            raise InputError(f"scenarios lie along one axis, not along {index.ndim}; flatten the arrays first")
        plans = (plans,) if isinstance(plans, Plan) else tuple(plans)
        _check("plan", index, 0, len(plans) - 1)
        _check("batch", batches, 1, MAX_BATCH)
        if not np.array_equal(batches, np.rint(batches)):
            raise InputError("batch: not every one is a whole number of samples")
        for name, values in zip(("bandwidth_mbps", "reverse_bandwidth_mbps"), bandwidths, strict=False):
            _check(name, values, *BANDWIDTH_MBPS)
        rates = [np.asarray(values, np.float64) for values in bandwidths]
        return cls(shape, plans, np.asarray(index, np.intp), np.asarray(batches, np.int64), *rates)

    @classmethod
    def grid(
        cls, shape: TransformerShape, plans: Sequence[Plan], batch: ArrayLike, bandwidth_mbps: ArrayLike
    ) -> Scenarios:
        """Every combination: plans outermost, bandwidths innermost."""
        axes = np.meshgrid(np.arange(len(plans)), np.atleast_1d(batch), np.atleast_1d(bandwidth_mbps), indexing="ij")
        plan, batches, bandwidths = (axis.ravel() for axis in axes)
        return cls.of(shape, plans, batches, bandwidths, plan=plan)

    def __len__(self) -> int:
        return len(self.plan)

    def scenario(self, index: int) -> Scenario:
        """One of them, as SimPy takes it."""
        reverse = self.reverse_bandwidth_mbps
        return Scenario(
            self.shape,
            int(self.batch[index]),
            float(self.bandwidth_mbps[index]),
            self.plans[self.plan[index]],
            None if reverse is None else float(reverse[index]),
        )


def _check(name: str, values: NDArray[Any], low: float, high: float) -> None:
    """Raise `InputError` for the first value that is out of range, NaN among them."""
    inside = (low <= values) & (values <= high)
    if not inside.all():
        check_range(name, values[~inside][0].item(), low, high)
