"""Energies of a run: blocks of batches that were served alike, on scripted meters and a clock turned by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hw.adaptive.metering import RunMeter
from hw.power.block import BlockEnergy
from hw.power.none import NoMeter
from hw.power.sampler import Block, PowerSampler
from hw.runtime.errors import PeerLost
from prism.policy.backend import BatchEnergy
from tests.hardware_fakes.meter import HandClock, ScriptedMeter

TICK_S = 0.0625


@dataclass
class Board:
    """A worker with a sampler of its own; `gone` once it answers no more."""

    sampler: PowerSampler
    gone: bool = False
    block: Block | None = None

    def energy_begin(self) -> None:
        self.block = self.sampler.begin()

    def energy_end(self, passes: int) -> BlockEnergy:
        if self.gone:
            raise PeerLost("worker 1 is gone")
        assert self.block is not None
        self.block.passes = passes
        return self.block.end()


class Bench:
    """A terminal device and a worker on one hand-turned clock; a batch takes half a second."""

    def __init__(self, terminal_w: Callable[[float], float] = lambda _: 6.0, worker_w: float = 4.0) -> None:
        self.clock = HandClock()
        self.ours, theirs = (
            PowerSampler(ScriptedMeter(self.clock, watts), self.clock, cpu_clock=self.clock)
            for watts in (terminal_w, lambda _: worker_w)
        )
        self.worker = Board(theirs)
        self.meter = RunMeter(self.ours, 2, self.clock)
        self.batches = 0
        self.poll()

    def poll(self) -> None:
        self.ours.poll()
        self.worker.sampler.poll()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.clock.advance(TICK_S)
            self.poll()

    def serve(self, key: str, batches: int, *, alone: bool = False) -> None:
        for _ in range(batches):
            if not self.meter.under_way(key):
                self.meter.begin(key, () if alone else (self.worker,))
            self.pass_time(0.5)
            self.meter.served(self.batches)
            self.batches += 1


def about(found: BatchEnergy) -> tuple[float, float | None]:
    """Joules of the terminal device and of all boards, to a thousandth."""
    return round(found.terminal_j, 3), None if found.all_boards_j is None else round(found.all_boards_j, 3)


def test_a_batch_gets_its_share_of_the_block_on_every_board() -> None:
    bench = Bench()
    bench.serve("split", 6)
    bench.meter.end()
    assert [about(found) for found in bench.meter.energies().values()] == [(3.0, 5.0)] * 6


def test_each_plan_has_its_own_block_and_pauses_count() -> None:
    bench = Bench(lambda time_s: 6.0 if time_s <= 103 else 12.0)
    bench.serve("split", 6)
    bench.serve("local", 4)
    bench.pass_time(1.0)  # nothing to serve for a second
    bench.serve("local", 2)
    bench.meter.end()
    found = bench.meter.energies()
    assert found[0].terminal_j == pytest.approx(3.0)
    assert found[6] == found[11]
    assert found[6].terminal_j == pytest.approx(12 * 4.0 / 6, rel=0.02)  # the step lies between two samples


def test_a_short_block_has_no_energy() -> None:
    bench = Bench()
    bench.serve("split", 3)
    bench.serve("local", 6)
    bench.meter.end()
    assert sorted(bench.meter.energies()) == list(range(3, 9))


def test_a_block_that_a_lost_group_ends_counts_up_to_its_last_good_batch_and_for_the_terminal_device_alone() -> None:
    bench = Bench(lambda time_s: 6.0 if time_s <= 103 else 60.0)
    bench.serve("split", 6)
    bench.pass_time(2.0)  # the pass that is given up
    bench.meter.cut_short()
    found = bench.meter.energies()
    assert found[5].terminal_j == pytest.approx(3.0, rel=0.02)
    assert found[5].all_boards_j is None


def test_a_worker_that_does_not_answer_costs_its_own_energy_alone() -> None:
    bench = Bench()
    bench.serve("split", 6)
    bench.worker.gone = True
    with pytest.raises(PeerLost):
        bench.meter.begin("local", ())
    assert about(bench.meter.energies()[0]) == (3.0, None)
    bench.serve("local", 6, alone=True)
    bench.meter.end()
    assert about(bench.meter.energies()[6]) == (3.0, None)


def test_without_a_meter_nothing_is_done_and_nothing_known() -> None:
    bench = Bench()
    meter = RunMeter(PowerSampler(NoMeter()), 2, bench.clock)
    assert meter.under_way("split")
    meter.served(0)
    meter.end()
    assert meter.energies() == {}
