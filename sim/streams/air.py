"""A medium whose rate follows a bandwidth trace, also while flows are on it."""

from __future__ import annotations

from bisect import bisect_right

from simpy import Environment

from prism.streams.bandwidth import BandwidthTrace
from sim.medium import Medium


class Air:
    """What the air gives over time: the trace's bandwidth as multiples of a reference, summed up.

    Args:
        trace: the bandwidth.
        reference_mbps: at which airtimes are priced: a second at this bandwidth gives a second of airtime.
    """

    def __init__(self, trace: BandwidthTrace, reference_mbps: float) -> None:
        self.trace = trace
        self.reference_mbps = reference_mbps
        self._given = [0.0]
        for begin_s, end_s, mbps in list(trace.pieces())[:-1]:
            self._given.append(self._given[-1] + (end_s - begin_s) * mbps / reference_mbps)

    def given_s(self, time_s: float) -> float:
        """Airtime that the air gave from 0 until a time."""
        index = max(bisect_right(self.trace.time_s, time_s) - 1, 0)
        rate = self.trace.bandwidth_mbps[index] / self.reference_mbps
        return self._given[index] + (time_s - self.trace.time_s[index]) * rate

    def reached_s(self, given_s: float) -> float | None:
        """When it will have given so much; None if it never will."""
        index = max(bisect_right(self._given, given_s) - 1, 0)
        rate = self.trace.bandwidth_mbps[index] / self.reference_mbps
        missing_s = given_s - self._given[index]
        if missing_s <= 0:
            return self.trace.time_s[index]
        return self.trace.time_s[index] + missing_s / rate if rate > 0 else None


class ChangingMedium(Medium):
    """Processor sharing of an air that changes.

    Args:
        env: of the pass; its time 0 is `start_s` of the trace.
        air: what there is to share.
        start_s: when the pass starts.
        factor: the air gives so many times what the trace says: noise of one pass.
        first_weight: of flows that found the medium idle.
    """

    def __init__(
        self, env: Environment, air: Air, start_s: float, factor: float = 1.0, first_weight: float = 1.0
    ) -> None:
        super().__init__(env, first_weight)
        self._air = air
        self._start_s = start_s
        self._factor = factor

    def _service_s(self, since_s: float, until_s: float) -> float:
        given = self._air.given_s
        return (given(self._start_s + until_s) - given(self._start_s + since_s)) * self._factor

    def _wait_s(self, service_s: float) -> float | None:
        now_s = self._start_s + self._env.now
        end_s = self._air.reached_s(self._air.given_s(now_s) + service_s / self._factor)
        return None if end_s is None else max(end_s - now_s, 0.0)
