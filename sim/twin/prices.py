"""What the steps of a structure cost in many scenarios: `sim.price`'s rules on arrays, each distinct size once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from prism.profile import SystemProfile
from prism.schedule import Compute, Copy
from sim.price import copy_s, rate_to, second_per_flop
from sim.twin.outline import Structure
from sim.twin.scenarios import Floats

#: What messages of the same airtime have in common: the size, by its number, and the direction.
AirtimeKey = tuple[int, int]


class Prices:
    """Prices in the scenarios of one structure. Arrays have the shape (scenarios,), or (1,) where all are equal.

    Attributes:
        count: scenarios.
        latency_s: what passes before any message takes the air.
    """

    def __init__(
        self,
        structure: Structure,
        profile: SystemProfile,
        plan: NDArray[np.intp],
        batch: NDArray[np.int64],
        bandwidth_mbps: Floats,
        reverse_bandwidth_mbps: Floats | None,
    ) -> None:
        self.count = len(batch)
        self.latency_s = profile.link.latency_s(structure.plan.exchange, 0.0)
        self._structure = structure
        self._profile = profile
        self._mode = structure.plan.mode
        self._plan = plan
        self._batch = batch.astype(np.float64)
        self._rates = [bandwidth_mbps] if reverse_bandwidth_mbps is None else [bandwidth_mbps, reverse_bandwidth_mbps]
        self._sizes: dict[int, Floats] = {}
        self._flop_s: dict[int, Floats] = {}
        self._computes: dict[tuple[int, int], Floats] = {}
        self._copies: dict[int, Floats] = {}
        self._airtimes: dict[AirtimeKey, Floats] = {}

    def seconds(self, rank: int) -> list[Floats]:
        """Duration of each compute and copy step of `rank`, by position; 0 for other steps."""
        steps, sizes = self._structure.steps[rank], self._structure.sizes[rank]
        pairs = zip(steps, sizes, strict=True)
        block = next(numbers[0] for step, numbers in pairs if isinstance(step, Compute) and step.name == "block")
        seconds = []
        for step, numbers in zip(steps, sizes, strict=True):
            if isinstance(step, Compute):
                seconds.append(self._compute_s(numbers[0], block))
            elif isinstance(step, Copy):
                seconds.append(self._copy_s(numbers[0]))
            else:
                seconds.append(np.zeros(1))
        return seconds

    def airtime_key(self, number: int, receiver: int) -> AirtimeKey:
        """What the airtime of a message of the `number`-th size to `receiver` depends on."""
        return number, int(rate_to(receiver, 0, len(self._rates) - 1))

    def airtime_s(self, key: AirtimeKey) -> Floats:
        """Seconds that a message occupies the medium alone."""
        airtime = self._airtimes.get(key)
        if airtime is None:
            number, direction = key
            airtime = self._profile.link.airtime_s(self._size(number), self._rates[direction])
            self._airtimes[key] = airtime
        return airtime

    def _compute_s(self, number: int, block: int) -> Floats:
        seconds = self._computes.get((number, block))
        if seconds is None:
            flop_s = self._flop_s.get(block)
            if flop_s is None:
                model = self._profile.compute_model(self._mode)
                self._flop_s[block] = flop_s = second_per_flop(model, self._size(block))
            self._computes[number, block] = seconds = self._size(number) * flop_s
        return seconds

    def _copy_s(self, number: int) -> Floats:
        seconds = self._copies.get(number)
        if seconds is None:
            self._copies[number] = seconds = copy_s(self._profile.staging_model(self._mode), self._size(number))
        return seconds

    def _size(self, number: int) -> Floats:
        size = self._sizes.get(number)
        if size is None:
            self._sizes[number] = size = along(self._structure.lines[number], self._plan, self._batch)
        return size


def along(line: tuple[Floats, Floats], plan: NDArray[np.intp], batch: Floats) -> Floats:
    """A size in every scenario, from its value at batch 0 and what a sample adds."""
    start, growth = line
    if len(start) > 1:
        start, growth = start[plan], growth[plan]
    if not growth.any():
        return start
    return growth * batch + start if start.any() else growth * batch
