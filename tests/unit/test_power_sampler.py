"""The sampler on a scripted meter and a clock turned by hand: no test waits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hw.power.block import BlockEnergy
from hw.power.meter import MeterError
from hw.power.none import NoMeter
from hw.power.sampler import GIVE_UP_S, KEPT_READINGS, PowerSampler
from tests.hardware_fakes.meter import CountingMeter, HandClock, ScriptedMeter


class Bench:
    """A sampler that polls every 0.125 s of hand-turned time, a number that adds up without rounding."""

    def __init__(self, watts: Callable[[float], float | None], counting: bool = False) -> None:
        self.clock = HandClock()
        meter = (CountingMeter if counting else ScriptedMeter)(self.clock, watts)
        self.sampler = PowerSampler(meter, self.clock, wait=self.run, cpu_clock=self.clock)
        self.sampler.poll()

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 8)):
            self.clock.advance(0.125)
            self.sampler.poll()


def test_a_block_of_passes_gives_energy_by_pass() -> None:
    bench = Bench(lambda _: 8.0)
    found = bench.sampler.run_block(lambda: bench.run(0.5))
    assert (found.counts, found.note) == (True, "")
    assert found.passes == 5
    assert found.per_pass_j == pytest.approx(4.0)
    assert found.mean_w == pytest.approx(8.0)
    assert found.rails_j == pytest.approx({"A": 5.0, "B": 10.0})
    assert found.scope == "a script"


def test_a_block_goes_on_until_there_are_20_samples() -> None:
    bench = Bench(lambda t: None if t * 8 % 2 else 8.0)
    found = bench.sampler.run_block(lambda: bench.run(0.5))
    assert found.samples >= 20
    assert found.duration_s == 5.0
    assert bench.sampler.missed == 20


@pytest.mark.parametrize(("seconds", "counts"), [(1.5, False), (2.0, False), (2.5, True)])
def test_a_short_block_says_that_it_is_too_short(seconds: float, counts: bool) -> None:
    bench = Bench(lambda _: 8.0)
    block = bench.sampler.begin()
    bench.run(seconds)
    block.pass_done()
    found = block.end()
    assert found.counts is counts
    assert found.energy_j == pytest.approx(8 * seconds)
    if not counts:
        assert found.note.startswith(f"too short: {seconds:.2f} s and ")
        assert found.per_pass_j is None
        assert found.mean_w is None


def test_idle_is_measured_on_its_own() -> None:
    bench = Bench(lambda t: 4.5 if t <= 103 else 9.0)
    idle = bench.sampler.measure_idle(3.0)
    busy = bench.sampler.run_block(lambda: bench.run(1.0), min_passes=5)
    assert idle.mean_w == pytest.approx(4.5)
    assert idle.passes == 0
    assert idle.per_pass_j is None
    assert busy.mean_w == pytest.approx(9.0, rel=0.02)
    assert busy.passes == 5


def test_a_counter_needs_no_power() -> None:
    bench = Bench(lambda t: 11.0 * t, counting=True)
    assert bench.sampler.measure_idle(3.0).mean_w == pytest.approx(11.0)


def test_repeated_readings_are_counted_and_passed_over() -> None:
    bench = Bench(lambda _: 8.0)
    for _ in range(3):
        bench.sampler.poll()
    assert bench.sampler.repeated == 3
    assert bench.sampler.samples == 1


@pytest.mark.parametrize("silent", [True, False], ids=["fails", "repeats itself"])
def test_a_meter_that_dies_ends_the_block_and_says_why(silent: bool) -> None:
    bench = Bench(lambda t: None if silent and t >= 101 else 8.0)

    def one_pass() -> None:
        if not silent and bench.clock() >= 101:
            bench.sampler.meter.read = lambda: frozen  # type: ignore[method-assign]
        bench.run(1.0)

    frozen = bench.sampler.meter.read()
    found = bench.sampler.run_block(one_pass)
    assert not found.counts
    assert found.energy_j is None
    assert found.note.startswith("the power meter has failed: ")
    assert found.duration_s == pytest.approx(GIVE_UP_S + 1, abs=1.5)


def test_what_sampling_takes_is_recorded() -> None:
    bench = Bench(lambda _: 8.0)

    class SlowMeter(ScriptedMeter):
        def cpu_s(self) -> float:
            return 0.05 * self.clock()

    bench.sampler.meter = SlowMeter(bench.clock, lambda _: 8.0)
    assert bench.sampler.measure_idle(3.0).overhead_cpu == pytest.approx(0.05)


def test_without_a_meter_the_energy_is_unknown_and_nothing_is_prolonged() -> None:
    with PowerSampler(NoMeter()) as sampler:
        passes: list[None] = []
        found = sampler.run_block(lambda: passes.append(None), min_passes=3)
    assert len(passes) == 3
    assert found.energy_j is None
    assert found.per_pass_j is None
    assert found.note == "energy was not measured"
    with pytest.raises(MeterError, match="unknown"):
        NoMeter().read()


def test_memory_is_bounded() -> None:
    bench = Bench(lambda _: 8.0)
    bench.run(KEPT_READINGS / 8 + 5)
    assert bench.sampler.samples == KEPT_READINGS


def test_pauses_vary_only_with_a_generator() -> None:
    clock = HandClock()
    meter = ScriptedMeter(clock, lambda _: 8.0)
    even = PowerSampler(meter, clock)
    uneven = PowerSampler(meter, clock, rng=np.random.default_rng(3))
    assert {even._pause_s() for _ in range(20)} == {0.1}
    pauses_s = [uneven._pause_s() for _ in range(200)]
    assert min(pauses_s) < 0.085
    assert max(pauses_s) > 0.115


def test_the_thread_reads_until_the_sampler_is_left() -> None:
    """On the real clock, but without waiting: the block ends when its readings are there."""
    clock = HandClock()

    class Ticking(ScriptedMeter):
        interval_s = 0.0

        def read(self):  # type: ignore[no-untyped-def]
            clock.advance(0.05)
            return super().read()

    with PowerSampler(Ticking(clock, lambda _: 6.0), clock) as sampler:
        found: BlockEnergy = sampler.run_block(lambda: None)
    assert found.counts
    assert found.mean_w == pytest.approx(6.0)
    assert sampler._thread is not None
    assert not sampler._thread.is_alive()
