"""A board that always draws the same, here and in a worker's process."""

from __future__ import annotations

import inspect
import time

from hw.power.meter import PowerMeter, Reading


class SteadyMeter(PowerMeter):
    """So many watts, whatever happens."""

    name, scope, interval_s = "steady", "a steady load", 0.02

    def __init__(self, watts: float) -> None:
        self.watts = watts

    def read(self) -> Reading:
        return Reading(time.monotonic(), power_w=self.watts)

    def describe(self) -> dict[str, str]:
        return {"power_meter": self.name}


def steady_meter_code(watts: float) -> str:
    """What a worker runs before it starts, so that its meter ``steady`` draws so many watts."""
    return f"""
from __future__ import annotations
import hw.power.choose, time
from hw.power.meter import PowerMeter, Reading
{inspect.getsource(SteadyMeter)}
hw.power.choose.METERS["steady"] = lambda: SteadyMeter({watts!r})
"""
