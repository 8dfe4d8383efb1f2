"""Samples a meter in the background while passes run, and integrates over what lies between two marks."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from hw.power.block import MIN_BLOCK_S, MIN_BLOCK_SAMPLES, BlockEnergy, judge
from hw.power.integrate import IntervalEnergy, integrate
from hw.power.meter import Clock, MeterError, PowerMeter, Reading

if TYPE_CHECKING:
    import numpy as np
    from typing_extensions import Self

#: Readings that are kept: two hours at the fastest jtop samples, one at the other meters' pace.
KEPT_READINGS = 72_000
#: How long a meter may fail in a row before the sampler gives it up.
GIVE_UP_S = 10.0
#: How long a block's result waits for the reading that closes it.
CLOSING_S = 5.0


class PowerSampler:
    """Reads one meter on a thread of its own. Use it in a `with`; the meter stays open when it stops."""

    def __init__(
        self,
        meter: PowerMeter,
        clock: Clock = time.monotonic,
        wait: Callable[[float], None] = time.sleep,
        cpu_clock: Clock = time.thread_time,
        rng: np.random.Generator | None = None,
    ) -> None:
        """Make a sampler that has not begun.

        Args:
            meter: an open meter.
            clock: the monotonic clock that the meter stamps its readings with, in seconds.
            wait: waits a number of seconds; for idle times.
            cpu_clock: CPU seconds of the calling thread.
            rng: varies the pause between reads by up to a fifth, so that they cannot fall in step with the passes.
        """
        self.meter = meter
        self._clock = clock
        self._wait = wait
        self._cpu_clock = cpu_clock
        self._rng = rng
        self._readings: deque[Reading] = deque(maxlen=KEPT_READINGS)
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._good_s = clock()
        self._cpu_s = 0.0
        self.repeated = 0
        self.missed = 0
        self.failure: str | None = None

    def __enter__(self) -> Self:
        if self.meter.measures:
            self.poll()
            self._thread = threading.Thread(target=self._run, name=f"power-{self.meter.name}", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=CLOSING_S)

    def _run(self) -> None:
        while not self._stop.is_set() and self.failure is None:
            self.poll()
            self._stop.wait(self._pause_s())

    def _pause_s(self) -> float:
        spread = 1.0 if self._rng is None else float(self._rng.uniform(0.8, 1.2))
        return self.meter.interval_s * spread

    def poll(self) -> None:
        """Take one reading. A missing or repeated one is counted and passed over; 10 s of nothing new is a failure."""
        cpu_s = self._cpu_clock()
        try:
            reading = self.meter.read()
        except MeterError as error:
            with self._changed:
                self.missed += 1
                self._give_up_if_late(str(error))
            return
        with self._changed:
            if self._readings and reading.time_s <= self._readings[-1].time_s:
                self.repeated += 1
                self._give_up_if_late("it repeats the same reading")
            else:
                self._readings.append(reading)
                self._good_s = self._clock()
            self._cpu_s += self._cpu_clock() - cpu_s
            self._changed.notify_all()

    def _give_up_if_late(self, reason: str) -> None:
        if self._clock() - self._good_s > GIVE_UP_S:
            self.failure = f"the power meter has failed: {reason}"
            self._changed.notify_all()

    @property
    def samples(self) -> int:
        """Readings held."""
        return len(self._readings)

    def overhead_s(self) -> float:
        """CPU seconds that sampling has taken in this process, the meter's own threads included."""
        return self._cpu_s + self.meter.cpu_s()

    def begin(self) -> Block:
        """Mark the beginning of a block here and now."""
        return Block(self, self._clock)

    def run_block(self, one_pass: Callable[[], object], min_passes: int = 1) -> BlockEnergy:
        """Repeat a pass until the block is long enough, and return its energy."""
        block = self.begin()
        while block.passes < min_passes or not block.long_enough():
            one_pass()
            block.pass_done()
        return block.end()

    def measure_idle(self, seconds: float) -> BlockEnergy:
        """Energy of `seconds` in which nothing runs but the sampler. The caller sees to that."""
        block = self.begin()
        self._wait(seconds)
        return block.end()

    def count_since(self, start_s: float) -> int:
        """Readings that were taken at `start_s` or later."""
        with self._changed:
            count = 0
            for reading in reversed(self._readings):
                if reading.time_s < start_s:
                    break
                count += 1
            return count

    def energy_between(self, start_s: float, end_s: float) -> IntervalEnergy | None:
        """Energy of an interval of the clock, after waiting for the reading that closes it; None if none comes."""
        with self._changed:
            if self._thread is not None and self._thread.is_alive():
                self._changed.wait_for(lambda: self.failure is not None or self._closes(end_s), CLOSING_S)
            readings = list(self._readings)
        return integrate(readings, start_s, end_s)

    def _closes(self, end_s: float) -> bool:
        return bool(self._readings) and self._readings[-1].time_s >= end_s


class Block:
    """A stretch of passes under way."""

    def __init__(self, sampler: PowerSampler, clock: Clock) -> None:
        self._sampler = sampler
        self._clock = clock
        self._overhead_s = sampler.overhead_s()
        self.passes = 0
        self.start_s = clock()

    def pass_done(self) -> None:
        """Count one pass."""
        self.passes += 1

    def long_enough(self) -> bool:
        """Whether the block may end: 2 s and 20 samples, or a meter that will give none."""
        if not self._sampler.meter.measures or self._sampler.failure is not None:
            return True
        enough_s = self._clock() - self.start_s >= MIN_BLOCK_S
        return enough_s and self._sampler.count_since(self.start_s) >= MIN_BLOCK_SAMPLES

    def end(self) -> BlockEnergy:
        """Mark the end here and now, and work the energy out, which takes up to one sample more."""
        end_s = self._clock()
        duration_s = end_s - self.start_s
        meter = self._sampler.meter
        if not meter.measures:
            return BlockEnergy(meter.scope, self.passes, duration_s, note=meter.scope)
        overhead_s = max(self._sampler.overhead_s() - self._overhead_s, 0.0)
        found = self._sampler.energy_between(self.start_s, end_s)
        why_none = self._sampler.failure or "no readings before and after the block"
        share = overhead_s / duration_s if duration_s > 0 else 0.0
        return judge(meter.scope, self.passes, duration_s, found, share, why_none)
