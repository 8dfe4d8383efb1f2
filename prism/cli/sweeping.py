"""What `prism profile` measures with: boards, a power meter, and one sweep after another on them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from prism.cli.boards import LOOPBACK
from prism.cli.output import say, timed_progress

if TYPE_CHECKING:
    from hw.power.sampler import PowerSampler
    from hw.profiler.log import RunLog
    from hw.profiler.sweep import SweepResult
    from hw.profiler.visits import Visits
    from hw.runtime.settings import Settings
    from hw.runtime.terminal import Prepared, Terminal
    from prism.cli.boards import Boards
    from prism.profile import SystemProfile
    from prism.record import Energy, Measurement
    from prism.scenario import Scenario

#: Facts that may differ from run to run of one sweep.
_CHANGING = (
    "hottest_celsius",
    "governor",
    "cpu_mhz",
    "gpu_mhz",
    "load_1min",
    "link_bandwidth_mbps",
    "link_sockets",
    "staging",
    "date",
)


@dataclass(frozen=True)
class Place:
    """Where a sweep is measured.

    Attributes:
        testbed: on boards played by this machine; else on the peers that the settings name.
        loopback: a testbed on paced loopback even as root.
        ranks: boards of the testbed.
        meter: name of the power meter.
    """

    testbed: bool
    loopback: bool
    ranks: int
    meter: str

    @contextmanager
    def boards(self, settings: Settings, bandwidth_mbps: float) -> Iterator[Boards]:
        """Boards, connected, the testbed's link at `bandwidth_mbps` to begin with."""
        from prism.cli.boards import connected, on_testbed

        if not self.testbed:
            with connected(settings) as boards:
                yield boards
            return
        say(f"starting {self.ranks} boards on this machine")
        options = ("--meter", self.meter)
        with on_testbed(settings, self.ranks, bandwidth_mbps, *options, loopback=self.loopback) as boards:
            if boards.bed is not None and boards.bed.interface == "lo":
                say(LOOPBACK)
            yield boards

    @contextmanager
    def sampler(self) -> Iterator[PowerSampler]:
        """This board's power meter."""
        from hw.power.choose import open_meter
        from hw.power.sampler import PowerSampler

        with open_meter(self.meter) as choice, PowerSampler(choice.meter) as sampler:
            if not choice.meter.measures and choice.skipped:
                say("no power meter here: no energies (`prism doctor` says why)")
            yield sampler


@dataclass(frozen=True)
class Measuring:
    """How each case of a sweep is measured.

    Attributes:
        warm_up: passes of a visit that are not recorded.
        spans: passes of a visit that keep their spans, the first ones.
        replay: boards sleep what this profile says their compute takes.
    """

    warm_up: int
    spans: int = 0
    replay: SystemProfile | None = None


def sweep(boards: Boards, sampler: PowerSampler, out: Path, visits: Visits, measuring: Measuring) -> SweepResult:
    """Measure what `visits` asks for and the file `out` does not hold yet."""
    from hw.profiler.log import RunLog
    from hw.profiler.session import Session
    from hw.profiler.sweep import Sweep

    facts = _identity(boards.terminal) | sampler.meter.describe()
    if measuring.replay is not None:
        facts["compute"] = f"replayed from the profile {measuring.replay.name}"
    session = Session(visits.grid, visits, facts, measuring.warm_up)
    visitor = Visitor(boards.terminal, sampler, measuring)
    with RunLog(out, session) as log, timed_progress("passes") as progress:
        _greet(log, out)
        return Sweep(log, visitor.prepare, visitor.measure, progress).run()


def _greet(log: RunLog, out: Path) -> None:
    if log.notice:
        say(log.notice)
    if log.records:
        say(f"going on with {out}: {len(log.records)} runs are there already")


def _identity(terminal: Terminal) -> dict[str, str]:
    """The facts that must be the same for a sweep to go on: not the clocks of the moment, nor the link's rate."""
    return {name: value for name, value in terminal.facts().items() if name not in _CHANGING}


class Visitor:
    """Carries out a sweep's visits on a terminal device."""

    def __init__(self, terminal: Terminal, sampler: PowerSampler, measuring: Measuring) -> None:
        self._terminal = terminal
        self._sampler = sampler
        self._measuring = measuring
        self._prepared: Prepared | None = None
        self._energy: Energy | None = None
        self._taken = 0

    def prepare(self, case: Scenario, warm_up_passes: int) -> None:
        """Make a case ready, and run its warm-up passes, which are the block that its energy is measured over."""
        if self._terminal.bandwidth_mbps != case.bandwidth_mbps:
            self._terminal.set_bandwidth(case.bandwidth_mbps)
        self._prepared = self._terminal.prepare(case.plan, case.batch, replay=self._measuring.replay)
        self._energy = self._prepared.warm_up(warm_up_passes, self._sampler)
        self._taken = 0

    def measure(self, _case: Scenario) -> Measurement:
        """One timed pass of the case that was prepared last."""
        assert self._prepared is not None
        keeps_spans = self._taken < self._measuring.spans
        self._taken += 1
        record = self._prepared.run(energy=self._energy, spans=keeps_spans).record
        # The sweep adds what is the same for all of its runs; a line need not say it twice.
        changing = {name: value for name, value in record.provenance.items() if name in _CHANGING}
        return replace(record, provenance=changing)
