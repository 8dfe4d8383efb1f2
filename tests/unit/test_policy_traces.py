"""The policy's promises on simulated traces: little regret, never much worse than local, no flapping."""

from __future__ import annotations

from statistics import mean

import pytest

from prism.policy.adaptive import AdaptivePolicy
from prism.policy.loop import Requests, serve
from prism.policy.objective import Objective
from prism.streams.arrivals import Batching
from prism.streams.generate import KINDS, steady
from sim.streams.backend import Noise, SimBackend
from tests.helpers.policy_trial import PROFILE, SHAPE, SPAN, TABLE, Trial, trial


def check(traces: int, link_noise: float, first: int = 0) -> None:
    found: list[Trial] = []
    for kind in KINDS:
        seed = first
        of_kind: list[Trial] = []
        while len(of_kind) < traces:
            one = trial(kind, seed, link_noise)
            assert one.probed_s <= 0.05 + 0.01 * SPAN.duration_s
            of_kind += [one] if one.changes else []
            seed += 1
        found += of_kind
    assert mean(one.comparison.regret_pct for one in found) <= 3
    assert max(one.comparison.vs_local_pct for one in found) <= 2


def test_a_few_traces_of_every_kind() -> None:
    check(traces=2, link_noise=0.1, first=1000)


@pytest.mark.slow
def test_two_hundred_traces_of_every_kind() -> None:
    check(traces=40, link_noise=0.1)


@pytest.mark.parametrize("mbps", [150.0, 165.0, 175.0, 190.0])
def test_at_most_one_switch_in_100_requests_on_a_steady_link_with_noise(mbps: float) -> None:
    """Around 160 Mbps both plans take as long, so noise alone decides which looks better."""
    for seed in range(2):
        backend = SimBackend(SHAPE, PROFILE, steady(mbps), noise=Noise(0.1, seed=seed))
        served, _ = serve(AdaptivePolicy(TABLE, Objective(), 1), backend, Requests(300, None, Batching(8)))
        switched = [done.decision.switched for done in served]
        assert max(sum(switched[index : index + 100]) for index in range(200)) <= 1
