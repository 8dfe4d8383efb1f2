"""The two backends of `prism run`, made ready: a simulated system, or boards with a link that follows a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prism.cli.output import say

if TYPE_CHECKING:
    from hw.adaptive.backend import HwBackend
    from hw.power.sampler import PowerSampler
    from hw.runtime.terminal import Terminal
    from prism.cli.boards import Boards
    from prism.policy.adaptive import AdaptivePolicy
    from prism.policy.backend import Backend, BatchEnergy
    from prism.policy.performance_map import PerformanceMap
    from prism.policy.summary import Truth
    from prism.streams.bandwidth import BandwidthTrace

PolicyFor = Callable[[int], "AdaptivePolicy"]


@dataclass(frozen=True)
class Ready:
    """A backend, the policy that drives it, and who knows what else could have been paid.

    Attributes:
        oracle: `truth` in words.
        energies: joules of batches that are known only once the run is over.
    """

    backend: Backend
    policy: AdaptivePolicy
    truth: Truth
    oracle: str
    energies: Callable[[], Mapping[int, BatchEnergy]] = field(default=dict)


@dataclass(frozen=True)
class Simulation:
    """What the simulator is asked for: relative noise of the link and of every step, and the seed of both."""

    profile: str
    link_noise: float
    step_noise: float
    seed: int


@dataclass(frozen=True)
class Hardware:
    """Which boards, as asked for."""

    testbed: bool
    peers: str | None
    address: str
    interface: str | None
    throttle: str
    timeout_s: float
    meter: str


def simulated(table: PerformanceMap, trace: BandwidthTrace, asked: Simulation, policy_for: PolicyFor) -> Ready:
    """The simulator, ready to serve.

    Args:
        table: the policy's map.
        trace: the link's bandwidth.
        asked: what is simulated.
        policy_for: makes the policy for so many workers.

    Raises:
        InputError: no such profile or model, or noise out of range.
    """
    from prism.catalogue import shape_of
    from prism.profile import load_profile
    from sim.streams.backend import Noise, SimBackend, workers_of

    noise = Noise(asked.link_noise, asked.step_noise, asked.seed)
    profile = load_profile(asked.profile)
    backend = SimBackend(shape_of(table.model), profile, trace, workers=workers_of(table.plans), noise=noise)
    return Ready(backend, policy_for(backend.workers), backend, "the simulator, knowing the trace")


@contextmanager
def on_boards(table: PerformanceMap, trace: BandwidthTrace, asked: Hardware, policy_for: PolicyFor) -> Iterator[Ready]:
    """Boards, ready to serve, while the block runs; their link follows the trace from its beginning on.

    Args:
        table: the policy's map, which must have been measured on these boards if it was measured.
        trace: the link's bandwidth.
        asked: which boards.
        policy_for: makes the policy for so many workers.

    Raises:
        InputError: no boards or two kinds of them, another system's map, a link that cannot do what the trace says, or
            a meter that cannot be used.
        PeerLost, PeerRefused: a worker cannot be reached or is another's.
    """
    from importlib.util import find_spec

    from hw.power.choose import open_meter
    from hw.power.sampler import PowerSampler
    from hw.runtime.settings import Settings
    from prism.cli.boards import connected, on_testbed, parse_peers
    from prism.errors import InputError
    from prism.policy.summary import MapTruth
    from sim.streams.backend import workers_of

    peers = parse_peers(asked.peers)
    if asked.testbed == bool(peers):
        raise InputError("say where to run: --testbed for this machine, or --peers ADDRESS for real boards")
    missing = next((name for name in ("torch", "timm") if find_spec(name) is None), None)
    if missing is not None:
        raise InputError(f"--backend hw needs {missing}, which is not installed; pip install 'prism-edge[hw]'")
    settings = Settings(
        table.model,
        peers=peers,
        address=asked.address,
        interface=asked.interface,
        timeout_s=asked.timeout_s,
        throttle=asked.throttle,
    )
    first_mbps = next((mbps for mbps in trace.bandwidth_mbps if mbps), 400.0)
    with ExitStack() as stack:
        choice = stack.enter_context(open_meter(asked.meter))
        sampler = stack.enter_context(PowerSampler(choice.meter))
        boards = stack.enter_context(
            on_testbed(settings, workers_of(table.plans) + 1, first_mbps, "--meter", asked.meter)
            if asked.testbed
            else connected(settings)
        )
        require_these_boards(table, boards.terminal)
        policy = policy_for(len(boards.terminal.workers))
        backend = stack.enter_context(live_backend(boards, trace, sampler))
        truth = MapTruth(table, trace)
        yield Ready(backend, policy, truth, "the performance map at the trace's bandwidth", backend.energies)


@contextmanager
def live_backend(boards: Boards, trace: BandwidthTrace, sampler: PowerSampler | None = None) -> Iterator[HwBackend]:
    """Boards as a backend whose time begins with the block, while their link follows the trace.

    Args:
        boards: connected.
        trace: the link's bandwidth.
        sampler: of this board's meter, which has the run metered; None leaves energies unknown.

    Raises:
        InputError: the link cannot do what the trace says.
    """
    from hw.adaptive.backend import HwBackend
    from hw.adaptive.live_link import LiveLink
    from hw.adaptive.metering import RunMeter
    from prism.errors import InputError
    from prism.units import BANDWIDTH_MBPS

    bed, terminal = boards.bed, boards.terminal
    # A testbed of namespaces holds the rate itself; on loopback the ranks pace their sockets.
    medium = bed if terminal.settings.throttle == "none" else None
    changes = trace.bandwidth_mbps != (trace.bandwidth_mbps[0],)
    if changes and medium is None and terminal.settings.throttle == "none":
        raise InputError("a trace that changes needs --testbed, or --throttle paced or tc")

    def cut(off: bool) -> None:
        assert medium is not None
        for rank in range(1, medium.ranks):
            (medium.cut if off else medium.restore)(rank)

    meter = None if sampler is None else RunMeter(sampler, terminal.devices)
    backend = HwBackend(terminal, None, medium, meter)
    try:
        link = LiveLink(
            trace,
            backend.set_bandwidth if medium is None else medium.set_bandwidth,
            None if medium is None else cut,
            backend.now_s,
            concurrent=medium is not None,
            rates_mbps=BANDWIDTH_MBPS if bed is None else bed.rate_range_mbps,
        )
        backend.begin(link)
        with link:
            yield backend
    finally:
        backend.close()


#: Ends of the names of facts that go with the rate of the moment, or with a worker's meter.
_MOVING = ("link_burst_bytes", "link_limit_bytes", "power_meter")


def require_these_boards(table: PerformanceMap, terminal: Terminal) -> None:
    """Refuse a map that was measured on other boards; say so where it was not measured.

    Raises:
        InputError: names the first fact that differs.
    """
    from datetime import datetime, timezone

    if table.source != "measured":
        say(f"the performance map is {table.source}, not measured on these boards: what it predicts has to be learned")
        return
    moving = {name: value for name, value in table.machine.items() if _may_differ(name)}
    table.require_usable(table.model, terminal.facts() | moving, datetime.now(timezone.utc))


def _may_differ(name: str) -> bool:
    """Whether a fact need not agree between a map and a run, which need not meter what the sweep did."""
    return name.endswith(_MOVING) or (name.startswith("power_") and name != "power_mode")
