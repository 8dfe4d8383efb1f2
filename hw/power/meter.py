"""What every power meter offers. A meter reads; integrating over time is the sampler's part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from prism.errors import InputError

if TYPE_CHECKING:
    from typing_extensions import Self

#: A monotonic clock, in seconds.
Clock = Callable[[], float]


class MeterUnavailable(InputError):
    """This meter cannot be used on this machine. The message says why and what to do."""


class MeterError(RuntimeError):
    """A meter that had been working gave no reading. The next one may succeed."""


@dataclass(frozen=True)
class Reading:
    """One reading of a meter. A meter gives either power or a running energy, always the same of the two.

    Attributes:
        time_s: when it was taken, on the monotonic clock.
        power_w: watts of everything the meter's scope names.
        energy_j: joules since the meter was opened, for meters that count energy themselves.
        rails_w: watts of single supply rails, by the board's names; they may overlap with each other and the total.
    """

    time_s: float
    power_w: float | None = None
    energy_j: float | None = None
    rails_w: dict[str, float] = field(default_factory=dict)


class PowerMeter(Protocol):
    """An open meter. Opening is the constructor's part: it raises `MeterUnavailable` where the meter cannot be used.

    Attributes:
        name: the adapter, as `open_meter` takes it.
        scope: in words, which part of the machine the figures cover, and what they leave out.
        interval_s: pause between two reads; 0 where `read` itself waits for the next sample.
        measures: False for the one meter that measures nothing.
    """

    name: str
    scope: str
    interval_s: float
    measures: bool = True

    def read(self) -> Reading:
        """The present reading.

        Raises:
            MeterError: there is none now; a later call may succeed.
        """
        ...

    def describe(self) -> dict[str, str]:
        """Name, source and settings that bear on power, for the provenance of a run."""
        ...

    def cpu_s(self) -> float:
        """CPU seconds that threads of the meter's own have taken in this process; 0 where it has none."""
        return 0.0

    def close(self) -> None:
        """Let go of the device; nothing to do for most meters."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
