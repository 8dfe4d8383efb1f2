"""The timeline of one rank's pass: every step of the schedule as it was really taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from prism.schedule import Compute, Copy, Exchange, Message, Post, Receive, Send, Step


@dataclass(frozen=True)
class TakenStep:
    """A step and its times on the rank's own clock, in seconds.

    Attributes:
        begin_s: when the step before it ended: steps partition the timeline.
        entered_s: when its own work began; what lies between is the runtime's own time.
        sent_s: when the rank sent what the step sends, where that was not at once.
    """

    step: Step
    begin_s: float
    entered_s: float
    end_s: float
    sent_s: float | None = None

    @property
    def own_time_s(self) -> float:
        """What the runtime spent to get from the step before to this one."""
        return self.entered_s - self.begin_s


class Recorder:
    """Takes down the steps of a pass. `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._last_s = 0.0
        self._sent_s: float | None = None
        self.steps: list[TakenStep] = []

    def start(self) -> float:
        """Begin a pass now; returns the time."""
        self.steps = []
        self._last_s = self._clock()
        return self._last_s

    def finish(self) -> float:
        """End the pass now; returns the time. What came after the last step belongs to it."""
        end = self._clock()
        self.steps[-1] = replace(self.steps[-1], end_s=end)
        return end

    @contextmanager
    def take(self, step: Step) -> Iterator[None]:
        """Take down `step` around the work that it is."""
        self._sent_s = None
        entered = self._clock()
        yield
        end = self._clock()
        self.steps.append(TakenStep(step, self._last_s, entered, end, self._sent_s))
        self._last_s = end

    def sends_now(self) -> None:
        """The step that is being taken sends only now."""
        self._sent_s = self._clock()


def without_flops(step: Step) -> Step:
    """The step as a rank can observe it: it knows what it computed, not how many FLOPs that was."""
    return replace(step, flops=0) if isinstance(step, Compute) else step


def encode(steps: Sequence[TakenStep]) -> list[list[Any]]:
    """Steps for the control channel, as JSON values."""
    return [
        [type(taken.step).__name__, asdict(taken.step), taken.begin_s, taken.entered_s, taken.end_s, taken.sent_s]
        for taken in steps
    ]


def decode(rows: Sequence[Sequence[Any]]) -> list[TakenStep]:
    """Steps from the control channel."""
    return [TakenStep(_step(kind, fields), *times) for kind, fields, *times in rows]


def _step(kind: str, fields: dict[str, Any]) -> Step:
    return _STEPS[kind](**{name: _field(value) for name, value in fields.items()})


def _field(value: Any) -> Any:
    if isinstance(value, dict):
        return Message(**value)
    return tuple(map(_field, value)) if isinstance(value, list) else value


_STEPS: dict[str, Callable[..., Step]] = {
    kind.__name__: kind for kind in (Compute, Copy, Exchange, Post, Receive, Send)
}
