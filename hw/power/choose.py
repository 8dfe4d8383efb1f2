"""Which meter this machine has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING

from hw.power.ina3221 import Ina3221Meter
from hw.power.jtop import JtopMeter
from hw.power.meter import MeterUnavailable, PowerMeter
from hw.power.none import NoMeter
from hw.power.nvml import NvmlMeter
from hw.power.rapl import RaplMeter
from prism.errors import unknown

if TYPE_CHECKING:
    from typing_extensions import Self

OpenMeter = Callable[[], PowerMeter]

#: In the order in which `auto` tries them: the whole board first, then single parts of it.
METERS: dict[str, OpenMeter] = {
    "jtop": JtopMeter,
    "ina3221": Ina3221Meter,
    "rapl": RaplMeter,
    "nvml": NvmlMeter,
    "none": NoMeter,
}


@dataclass(frozen=True)
class MeterChoice:
    """An open meter, and why those tried before it were not usable, by name. Close it, or use it in a `with`."""

    meter: PowerMeter
    skipped: dict[str, str] = field(default_factory=dict)

    def describe(self) -> dict[str, str]:
        """The meter's provenance and the reasons against the others."""
        reasons = {f"power_meter_not_{name}": reason for name, reason in self.skipped.items()}
        return self.meter.describe() | reasons

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.meter.close()


def open_meter(name: str = "auto", meters: Mapping[str, OpenMeter] = METERS) -> MeterChoice:
    """Open a meter by name, or with ``auto`` the first one of `meters` that works here.

    Args:
        name: ``auto`` or a key of `meters`.
        meters: how each meter is opened, in the order to try.

    Raises:
        InputError: an unknown name.
        MeterUnavailable: the meter that was asked for, or each of them, cannot be used here.
    """
    if name != "auto":
        if name not in meters:
            raise unknown("power meter", name, ["auto", *meters])
        return MeterChoice(meters[name]())
    skipped: dict[str, str] = {}
    for each, opened in meters.items():
        tried = _try(opened)
        if not isinstance(tried, str):
            return MeterChoice(tried, skipped)
        skipped[each] = tried
    raise MeterUnavailable("no power meter: " + "; ".join(f"{each}: {reason}" for each, reason in skipped.items()))


def _try(opened: OpenMeter) -> PowerMeter | str:
    try:
        return opened()
    except MeterUnavailable as error:
        return str(error)
