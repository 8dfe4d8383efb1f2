"""No meter: the energy of a run is unknown, which is not the same as zero."""

from __future__ import annotations

from hw.power.meter import MeterError, PowerMeter, Reading


class NoMeter(PowerMeter):
    """Stands in where nothing can be measured, so that a run needs no special case."""

    name = "none"
    scope = "energy was not measured"
    interval_s = 0.0
    measures = False

    def read(self) -> Reading:
        raise MeterError("no power meter: the energy is unknown")

    def describe(self) -> dict[str, str]:
        return {"power_meter": self.name}
