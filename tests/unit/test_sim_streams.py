"""The simulator on a link that changes within a pass, and as a backend of the loop."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from simpy import Environment

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy
from prism.policy.backend import Order
from prism.policy.loop import Requests, serve
from prism.policy.objective import Objective
from prism.policy.summary import compare
from prism.profile import load_profile
from prism.scenario import Scenario
from prism.streams.arrivals import Batching
from prism.streams.bandwidth import BandwidthTrace
from prism.streams.generate import steady
from sim.simulate import simulate
from sim.streams.air import Air, ChangingMedium
from sim.streams.backend import Noise, SimBackend
from sim.streams.carry import Carried, carry
from sim.streams.make_map import simulated_map
from tests.helpers.systems import REFERENCE_MBPS, SMALL, Cost, system, three_powers

SHAPE = shape_of("vit_base_patch16_224")
PROFILE = load_profile("orin_nano_published")
LOCAL, SPLIT = Plan(), Plan("segment_means", 2, 10)
#: Each message of `SMALL` takes a second of air at 100 Mbps, and nothing else takes any time to speak of.
AIR_ONLY = system(Cost(1e-9), message=Cost(0.0, 1.0, 0.0), power=three_powers(2))
PAIR = Plan("full_tensor", 2)


def carried(trace: BandwidthTrace, start_s: float = 0.0, give_up_s: float = math.inf) -> Carried:
    """A pass of one control message and three rounds of two messages: 7 s of air at 100 Mbps."""
    air = Air(trace, REFERENCE_MBPS)
    return carry(Scenario(SMALL, 1, REFERENCE_MBPS, PAIR), AIR_ONLY, air, start_s, give_up_s=give_up_s)


def test_air_that_is_given_is_reached_again() -> None:
    air = Air(BandwidthTrace((0.0, 2.0, 5.0, 9.0), (100.0, 50.0, 0.0, 200.0)), 100.0)
    assert [air.given_s(time_s) for time_s in (0, 1, 2, 4, 5, 7, 9, 10)] == [0, 1, 2, 3, 3.5, 3.5, 3.5, 5.5]
    assert [air.reached_s(given_s) for given_s in (1, 2, 3, 3.6, 5.5)] == pytest.approx([1, 2, 4, 9.05, 10])
    assert Air(BandwidthTrace((0.0, 1.0), (100.0, 0.0)), 100.0).reached_s(2.0) is None


@pytest.mark.parametrize(
    ("trace", "start_s", "total_s"),
    [
        (steady(100), 0.0, 7.0),
        (steady(200), 0.0, 3.5),
        (BandwidthTrace((0.0, 3.0), (100.0, 50.0)), 0.0, 3 + 4 * 2),  # slower from the middle of a message on
        (BandwidthTrace((0.0, 3.0), (100.0, 50.0)), 2.0, 1 + 6 * 2),
        (BandwidthTrace((0.0, 3.0), (100.0, 400.0)), 0.0, 3 + 4 / 4),
        (BandwidthTrace((0.0, 2.5, 12.5), (100.0, 0.0, 100.0)), 0.0, 17.0),  # an outage is waited out
        (BandwidthTrace((0.0, 1.0, 1.5, 2.0), (100.0, 400.0, 20.0, 100.0)), 0.0, 2 + (7 - 1 - 2 - 0.1)),
    ],
)
def test_the_link_changes_within_a_pass(trace: BandwidthTrace, start_s: float, total_s: float) -> None:
    found = carried(trace, start_s)
    assert found.answered
    assert found.total_s == pytest.approx(total_s, rel=1e-6)
    assert found.communication_s == pytest.approx(total_s, rel=1e-6)


def test_a_steady_air_is_the_simulators_own_to_twelve_digits() -> None:
    for plan in (LOCAL, SPLIT, Plan("full_tensor", 3, exchange="preposted", input_distribution="tokens")):
        expected = simulate(Scenario(SHAPE, 4, 150.0, plan), PROFILE)
        scenario = Scenario(SHAPE, 4, PROFILE.link.reference_bandwidth_mbps, plan)
        found = carry(scenario, PROFILE, Air(steady(150.0), PROFILE.link.reference_bandwidth_mbps), 37.0)
        assert found.total_s == pytest.approx(expected.total_s, rel=1e-12)
        assert expected.energy is not None
        assert found.terminal_j == pytest.approx(expected.energy.terminal_j, rel=1e-11)


def test_a_flow_that_found_the_medium_idle_keeps_its_weight_on_a_changing_air() -> None:
    """As on the steady one: where shares differ, the first flow of a round is there alone for a while."""
    plan = Plan("full_tensor", 3, exchange="preposted", shares=(0.2, 0.3, 0.5))
    totals = []
    for weight in (1.0, 4.0):
        profile = replace(PROFILE, link=replace(PROFILE.link, first_flow_weight=weight))
        expected = simulate(Scenario(SHAPE, 4, 150.0, plan), profile)
        scenario = Scenario(SHAPE, 4, PROFILE.link.reference_bandwidth_mbps, plan)
        found = carry(scenario, profile, Air(steady(150.0), PROFILE.link.reference_bandwidth_mbps), 37.0)
        assert found.total_s == pytest.approx(expected.total_s, rel=1e-12)
        totals.append(found.total_s)
    assert totals[0] != pytest.approx(totals[1], rel=1e-6)  # or the weight would have changed nothing


def test_the_flow_that_was_first_gets_the_larger_share_of_a_slow_air() -> None:
    """At half the reference: 0.5 s alone serve a quarter of the first; what is left of both takes 2 s at 3 : 1."""
    env = Environment()
    ends: dict[str, float] = {}
    medium = ChangingMedium(env, Air(steady(50.0), 100.0), 0.0, first_weight=3.0)
    medium.start([(1.0, lambda: ends.update(first=env.now))])
    env.run(until=0.5)
    medium.start([(0.25, lambda: ends.update(second=env.now))])
    env.run()
    assert ends == {"first": pytest.approx(2.5), "second": pytest.approx(2.5)}


def test_a_pass_is_given_up_in_time() -> None:
    found = carried(BandwidthTrace((0.0, 2.5), (100.0, 0.0)), give_up_s=10.0)
    assert (found.answered, found.total_s) == (False, 10.0)
    assert found.terminal_j == pytest.approx(10.0 * 17.0, rel=1e-6)  # communication in mode full_tensor
    assert carried(steady(100), give_up_s=7.1).answered
    assert not carried(steady(100), give_up_s=6.9).answered
    with pytest.raises(InputError, match="gone for good"):
        carried(BandwidthTrace((0.0, 2.5), (100.0, 0.0)))


def test_a_batch_that_was_given_up_is_served_locally() -> None:
    backend = SimBackend(SHAPE, PROFILE, BandwidthTrace((0.0, 0.1), (400.0, 0.0)))
    outcome = backend.run(Order(0, SPLIT, 8, (1,), 0.7))
    local_s = simulate(Scenario(SHAPE, 8, 1.0, LOCAL), PROFILE).total_s
    assert outcome.lost == (1,)
    assert outcome.total_s == pytest.approx(0.7 + local_s)
    assert backend.now_s() == outcome.total_s
    back = backend.run(Order(1, LOCAL, 8, (), 0.0, restore=True))
    assert back.restore_s == 0.3
    assert back.total_s == pytest.approx(local_s)


def test_what_would_be_is_what_is_whichever_way_it_is_worked_out() -> None:
    """Most passes are taken from a cache; one that is carried out on the changing air must not differ."""
    trace = BandwidthTrace((0.0, 5.0), (400.0, 60.0))
    backend = SimBackend(SHAPE, PROFILE, trace)
    order = Order(0, SPLIT, 8, (1,), 9.0)
    across = backend.would(order, 4.9).total_s
    assert backend.would(order, 1.0).total_s < across < backend.would(order, 6.0).total_s
    jittered = SimBackend(SHAPE, PROFILE, trace, noise=Noise(steps=1e-9))
    for start_s in (1.0, 4.9, 6.0):
        assert jittered.would(order, start_s).total_s == pytest.approx(backend.would(order, start_s).total_s, rel=1e-6)
    assert backend.now_s() == 0


def test_a_probe_takes_its_time_and_is_read_back() -> None:
    backend = SimBackend(SHAPE, PROFILE, steady(130.0))
    probe = backend.probe(65_536, 1.0)
    assert probe.answered
    assert backend.now_s() == probe.seconds
    assert backend.probe_model.mbps(65_536, probe.seconds) == pytest.approx(130)
    late = backend.probe(65_536, 1e-3)
    assert (late.answered, late.seconds) == (False, 1e-3)
    assert not SimBackend(SHAPE, PROFILE, steady(0.0)).probe(65_536, 0.5).answered


def test_a_probe_tells_the_rate_where_a_bucket_lets_small_messages_through_at_once() -> None:
    free = replace(PROFILE, link=replace(PROFILE.link, air_fixed_s=-0.1))
    backend = SimBackend(SHAPE, free, steady(130.0))
    probe = backend.probe(16_384, 1.0)
    assert backend.probe_model.mbps(16_384, probe.seconds) == pytest.approx(130)


def test_noise_is_the_same_for_every_plan_and_of_the_size_asked_for() -> None:
    noise = Noise(link=0.1, seed=3)
    factors = [noise.factor(index) for index in range(4000)]
    mean = sum(factors) / len(factors)
    spread = math.sqrt(sum((factor - mean) ** 2 for factor in factors) / len(factors))
    assert mean == pytest.approx(1, abs=0.01)
    assert spread == pytest.approx(0.1, rel=0.05)
    assert noise.factor(7) == noise.factor(7) != noise.factor(7, probe=1)
    assert Noise(link=0.1, seed=4).factor(7) != noise.factor(7)


def test_two_runs_are_the_same_to_the_bit() -> None:
    table = simulated_map(PROFILE, SHAPE, (LOCAL, SPLIT), (8,), (50.0, 100.0, 200.0, 400.0))
    runs = []
    for _ in range(2):
        policy = AdaptivePolicy(table, Objective(), 1)
        trace = BandwidthTrace((0.0, 6.0, 12.0), (400.0, 40.0, 300.0))
        backend = SimBackend(SHAPE, PROFILE, trace, noise=Noise(0.1, 0.05, 7))
        runs.append(serve(policy, backend, Requests(40, None, Batching(8))))
    assert runs[0] == runs[1]
    assert len(runs[0][0]) == 40


def test_a_simulated_map_says_what_the_simulator_says_and_skips_what_does_not_fit() -> None:
    table = simulated_map(PROFILE, SHAPE, (LOCAL, SPLIT), (1, 8), (100.0, 400.0))
    assert table.source == "simulated"
    assert table.predict(SPLIT, 8, 100.0).total_s == simulate(Scenario(SHAPE, 8, 100.0, SPLIT), PROFILE).total_s
    small = replace(PROFILE, board=replace(PROFILE.board, memory_bytes=2_400_000_000))
    assert simulated_map(small, SHAPE, (LOCAL,), (1, 512), (100.0,)).batches == (1,)
    none = replace(PROFILE, board=replace(PROFILE.board, memory_bytes=2_000_000_001))
    with pytest.raises(InputError, match="no board of profile"):
        simulated_map(none, SHAPE, (LOCAL,), (1,), (100.0,))


def test_a_board_that_throttles_is_noticed_where_the_map_does_not_know() -> None:
    """The map is of boards twice as fast at split passes as they are now: splitting no longer pays, and is given up."""
    table = simulated_map(PROFILE, SHAPE, (LOCAL, SPLIT), (8,), (50.0, 100.0, 200.0, 400.0))
    compute = {mode: replace(cost, scale_s=cost.scale_s * 2) for mode, cost in PROFILE.compute.items()}
    throttled = replace(PROFILE, compute={**compute, "local": PROFILE.compute["local"]})
    policy = AdaptivePolicy(table, Objective(), 1)
    backend = SimBackend(SHAPE, throttled, steady(400.0))
    served, state = serve(policy, backend, Requests(300, None, Batching(8)))
    found = compare(policy, served, state, backend)
    assert found is not None
    assert found.vs_local_pct < 3
    plans = [done.decision.order.plan for done in served]
    assert plans[0] == SPLIT
    assert plans[-100:].count(LOCAL) > 90
