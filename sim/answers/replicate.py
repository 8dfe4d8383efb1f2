"""One random pass: jitter of every step and message, and a link that fades, all from one seed and one number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from prism import __version__
from prism.errors import InputError, unknown
from prism.plan import Plan
from prism.profile import SystemProfile, profile_json
from prism.scenario import Scenario
from prism.stored import Stored
from prism.streams.bandwidth import BandwidthTrace
from prism.streams.generate import KINDS, Span
from sim.answers.passes import local_of
from sim.jitter import Jitter, lognormal_jitter
from sim.simulate import simulate
from sim.streams.air import Air
from sim.streams.carry import carry


@dataclass(frozen=True)
class Fading(Stored):
    """A link whose bandwidth changes, made up by `prism.streams.generate`.

    Attributes:
        kind: one of its kinds.
        low_mbps, high_mbps: a poor and a good link.
        dwell_s: how long it stays as it is, on average.
        duration_s: of each trace. A pass begins at any time of its own trace, evenly.
    """

    kind: str
    low_mbps: float
    high_mbps: float
    dwell_s: float = 40.0
    duration_s: float = 240.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown("fading", self.kind, KINDS)
        Span(self.duration_s, self.low_mbps, self.high_mbps, self.dwell_s)  # says what is out of range

    def trace(self, rng: np.random.Generator) -> BandwidthTrace:
        """One trace of it."""
        return KINDS[self.kind](rng, Span(self.duration_s, self.low_mbps, self.high_mbps, self.dwell_s))


@dataclass(frozen=True)
class Randomness(Stored):
    """What varies from pass to pass.

    Attributes:
        jitter: coefficient of variation of every step and message; 0 for none.
        fading: of the link; None where it keeps its bandwidth.
        seed: of everything. Replication i draws from child i of it (`SeedSequence.spawn`) and from nothing else.
    """

    jitter: Annotated[float, Ge(0), Le(2)]
    fading: Fading | None
    seed: Annotated[int, Ge(0)]

    def __post_init__(self) -> None:
        if not self.jitter and self.fading is None:
            raise InputError("nothing varies, so every pass is the same; give --jitter, --fading or both")


@dataclass(frozen=True)
class Spread(Stored):
    """A random experiment: what is asked for, on which system, and what varies.

    Attributes:
        profile: name of the profile; `profile_sha256` says which one of that name.
        prism: version of the simulator.
    """

    model: str
    plan: Plan
    batch: int
    bandwidth_mbps: float
    randomness: Randomness
    profile: str
    profile_sha256: str
    prism: str = __version__
    format: Literal["prism.replications/1"] = "prism.replications/1"


@dataclass(frozen=True)
class Replication(Stored):
    """How one random pass went: seconds of the split one, and of a local one with jitter of its own."""

    index: Annotated[int, Ge(0)]
    total_s: Annotated[float, Gt(0)]
    local_s: Annotated[float, Gt(0)]


def spread_of(scenario: Scenario, profile: SystemProfile, randomness: Randomness) -> Spread:
    """What the experiment is, as it is written down with its results."""
    digest = hashlib.sha256(profile_json(profile).encode()).hexdigest()
    return Spread(
        scenario.shape.name, scenario.plan, scenario.batch, scenario.bandwidth_mbps, randomness, profile.name, digest
    )


@dataclass(frozen=True)
class Replicate:
    """What a worker needs to carry out any replication: `Replicate(...)(index)`."""

    scenario: Scenario
    profile: SystemProfile
    randomness: Randomness

    def __call__(self, index: int) -> Replication:
        """Replication number `index`, the same whoever carries it out and whatever was carried out before."""
        root = np.random.SeedSequence(
            self.randomness.seed, spawn_key=(index,)
        )  # what .spawn() gives, without the others
        link, steps, local_steps = (np.random.default_rng(seed) for seed in root.spawn(3))
        scenario = self.scenario
        local = Scenario(scenario.shape, scenario.batch, scenario.bandwidth_mbps, local_of(scenario.plan))
        local_s = simulate(local, self.profile, jitter=self._jitter(local_steps)).total_s
        return Replication(index, self._split_s(link, self._jitter(steps)), local_s)

    def _split_s(self, link: np.random.Generator, jitter: Jitter | None) -> float:
        fading = self.randomness.fading
        if fading is None:
            return simulate(self.scenario, self.profile, jitter=jitter).total_s
        trace = fading.trace(link)
        start_s = float(link.uniform(0, fading.duration_s))
        reference_mbps = self.profile.link.reference_bandwidth_mbps
        scenario = Scenario(self.scenario.shape, self.scenario.batch, reference_mbps, self.scenario.plan)
        return carry(scenario, self.profile, Air(trace, reference_mbps), start_s, jitter=jitter).total_s

    def _jitter(self, rng: np.random.Generator) -> Jitter | None:
        return lognormal_jitter(rng, self.randomness.jitter) if self.randomness.jitter else None


def steady_s(scenario: Scenario, profile: SystemProfile) -> tuple[float, float]:
    """Seconds of the split and of the local pass when nothing varies."""
    local = Scenario(scenario.shape, scenario.batch, scenario.bandwidth_mbps, local_of(scenario.plan))
    return simulate(scenario, profile).total_s, simulate(local, profile).total_s
