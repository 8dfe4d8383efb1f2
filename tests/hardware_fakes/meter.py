"""A meter that follows a script on a clock that the test turns by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hw.power.meter import MeterError, PowerMeter, Reading


class HandClock:
    """Monotonic seconds that move only when told to."""

    def __init__(self, now_s: float = 100.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s

    def advance(self, seconds: float) -> None:
        self.now_s += seconds


class ScriptedMeter(PowerMeter):
    """Watts as a function of time; None stands for a reading that fails."""

    name = "scripted"
    scope = "a script"
    interval_s = 0.1

    def __init__(self, clock: HandClock, watts: Callable[[float], float | None]) -> None:
        self.clock = clock
        self.watts = watts

    def read(self) -> Reading:
        now_s = self.clock()
        power_w = self.watts(now_s)
        if power_w is None:
            raise MeterError("the script has no reading here")
        return Reading(now_s, power_w=power_w, rails_w={"A": power_w / 4, "B": power_w / 2})

    def describe(self) -> dict[str, str]:
        return {"power_meter": self.name}


class CountingMeter(ScriptedMeter):
    """A counter of joules as a function of time."""

    def read(self) -> Reading:
        energy_j = self.watts(self.clock())
        assert energy_j is not None
        return Reading(self.clock(), energy_j=energy_j)


def readings(times_s: Iterable[float], watts: Callable[[float], float]) -> list[Reading]:
    return [Reading(time_s, power_w=watts(time_s)) for time_s in times_s]
