"""Single effects: directions of the link, relay, copies, jitter, energy of a board that waits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.profile import load_profile
from prism.scenario import Scenario
from sim.engine import Engine
from sim.jitter import lognormal_jitter
from sim.price import price
from sim.simulate import simulate
from tests.helpers.systems import REFERENCE_MBPS, SMALL, Cost, system, three_powers

VIT_B = shape_of("vit_base_patch16_224")
PUBLISHED = load_profile("orin_nano_published")


def published(plan: Plan, batch: int = 8, mbps: float = 400.0) -> Scenario:
    return Scenario(VIT_B, batch, mbps, plan)


def test_an_engine_does_one_thing_at_a_time() -> None:
    from simpy import Environment

    env = Environment()
    engine = Engine(env)
    ends: list[float] = []
    for seconds in (2.0, 3.0):
        engine.work(seconds).callbacks.append(lambda _: ends.append(env.now))
    env.timeout(10.0).callbacks.append(lambda _: engine.work(1.0).callbacks.append(lambda _: ends.append(env.now)))
    env.run()
    assert ends == [2.0, 5.0, 11.0]


def test_the_reverse_bandwidth_counts_towards_the_terminal_device_alone() -> None:
    scenario = Scenario(SMALL, 2, 50.0, Plan("full_tensor", 3), reverse_bandwidth_mbps=5.0)
    prices = price(scenario, scenario.schedule(), system(message=Cost(0.0, 1.0)))
    for (sender, receiver, message), airtime_s in prices.airtimes.items():
        own = 256 if message == "control" else 2 * scenario.plan.sent_tokens(10)[sender] * 8 * 4
        rate = 5.0 if receiver == 0 else 50.0
        assert airtime_s == pytest.approx(own / 1e6 * REFERENCE_MBPS / rate, rel=1e-12)


def test_relay_doubles_airtime_and_leaves_latency() -> None:
    link = system(message=Cost(0.5, 2.0)).link
    assert link.airtime_s(3e6, 50.0) == pytest.approx(3 * 2.0 * 2)
    assert replace(link, relay=True).airtime_s(3e6, 50.0) == 2 * link.airtime_s(3e6, 50.0)
    assert replace(link, relay=True).transfer.fixed_s == link.transfer.fixed_s
    assert link.goodput_mbps(3e6, 50.0) == pytest.approx(24 / 12.5)


def test_copies_cost_by_their_bytes_in_each_direction() -> None:
    plan = Plan("full_tensor", 2, shares=(1.0, 4.0))
    result = simulate(Scenario(SMALL, 1, 100.0, plan), system(copy=Cost(0.01, 100.0)))
    megabytes = [tokens * 8 * 4 / 1e6 for tokens in plan.partition(10)]
    expected = SMALL.depth * (2 * 0.01 + 100.0 * sum(megabytes))
    assert [times.staging_s for times in result.ranks] == pytest.approx([expected, expected], rel=1e-12)


def test_jitter_repeats_by_seed_and_differs_between_seeds() -> None:
    def run(seed: int) -> float:
        jitter = lognormal_jitter(np.random.default_rng(seed), 0.2)
        return simulate(published(Plan("segment_means", 2, 10)), PUBLISHED, jitter=jitter).total_s

    assert run(7) == run(7)
    assert len({run(seed) for seed in range(5)} | {simulate(published(Plan("full_tensor", 2)), PUBLISHED).total_s}) == 6


def test_jitter_has_mean_one_and_the_variation_it_was_asked_for() -> None:
    jitter = lognormal_jitter(np.random.default_rng(1), 0.3)
    drawn = np.array([jitter(2.0) for _ in range(40_000)])
    assert drawn.mean() / 2 == pytest.approx(1.0, abs=4 * 0.3 / 200)
    assert drawn.std() / drawn.mean() == pytest.approx(0.3, rel=0.03)
    assert drawn.min() > 0


@pytest.mark.parametrize("variation", [0.0, -0.1, 2.1, float("nan"), float("inf")])
def test_absurd_jitter_is_refused(variation: float) -> None:
    with pytest.raises(InputError, match=r"jitter = .* is out of range"):
        lognormal_jitter(np.random.default_rng(1), variation)


def test_the_board_that_takes_no_part_idles_and_is_counted() -> None:
    result = simulate(Scenario(SMALL, 1, 100.0, Plan()), system(Cost(1.0), power=three_powers(boards=3)))
    assert result.energy is not None
    assert result.energy.boards_j == pytest.approx((5.0 * result.total_s, 2.0 * result.total_s, 2.0 * result.total_s))
    assert result.energy.all_boards_j == pytest.approx(9.0 * result.total_s)


def test_a_board_that_is_done_early_idles_until_the_answer() -> None:
    """The worker computes no head: it idles while the terminal device does."""
    heavy_head = replace(SMALL, classes=100_000)
    profile = system(Cost(1.0), power=three_powers(boards=2))
    result = simulate(Scenario(heavy_head, 1, 100.0, Plan("full_tensor", 2)), profile)
    assert result.energy is not None
    idle_s = result.total_s - result.ranks[1].total_s
    assert idle_s > 1.0
    assert result.energy.boards_j[1] == pytest.approx(
        11.0 * result.ranks[1].compute_s + 17.0 * result.ranks[1].communication_s + 2.0 * idle_s
    )


def test_no_power_model_no_energy() -> None:
    assert simulate(Scenario(SMALL, 1, 100.0, Plan()), system()).energy is None
    only_local = replace(three_powers(2), by_mode={"local": three_powers(2).by_mode["local"]})
    assert simulate(Scenario(SMALL, 1, 100.0, Plan("full_tensor", 2)), system(power=only_local)).energy is None


def test_the_published_energies_of_the_published_modes() -> None:
    """One power a mode: joules over seconds is that power on a working board."""
    for plan in (Plan(), Plan("full_tensor", 2), Plan("segment_means", 2, 10)):
        result = simulate(published(plan), PUBLISHED)
        assert result.energy is not None
        assert PUBLISHED.power is not None
        assert result.energy.terminal_j / result.total_s == pytest.approx(
            PUBLISHED.power.by_mode[plan.mode].compute_w, rel=1e-9
        )
        assert len(result.energy.boards_j) == 2
        assert result.energy.scope == "taken as one board's; the source states neither boards nor rails"


def test_a_mode_the_profile_does_not_know_is_refused() -> None:
    profile = replace(system(), compute={"local": system().compute["local"]})
    with pytest.raises(InputError, match="'made up' has no compute model for mode 'full_tensor'; calibrate"):
        simulate(Scenario(SMALL, 1, 100.0, Plan("full_tensor", 2)), profile)


@pytest.mark.parametrize("mbps", [0.0, -1.0, float("nan"), float("inf"), 1e9])
def test_absurd_bandwidths_are_refused(mbps: float) -> None:
    with pytest.raises(InputError, match=r"bandwidth_mbps = .* is out of range"):
        Scenario(SMALL, 1, mbps, Plan())
    with pytest.raises(InputError, match=r"reverse_bandwidth_mbps = .* is out of range"):
        Scenario(SMALL, 1, 100.0, Plan(), mbps)


def test_the_record_says_what_was_asked() -> None:
    scenario = replace(published(Plan("segment_means", 2, 10)), reverse_bandwidth_mbps=300.0)
    result = simulate(scenario, PUBLISHED)
    assert result.source == "simulated"
    assert result.scenario == scenario
    assert result.runs == 1
    assert result.provenance["profile"] == "orin_nano_published"
    assert result.spans == ()


def test_the_published_answer() -> None:
    """Segment Means beat local at batch 8 and not at 4; full tensors never do."""

    def total_s(plan: Plan, batch: int) -> float:
        return simulate(published(plan, batch), PUBLISHED).total_s

    means, full = Plan("segment_means", 2, 10), Plan("full_tensor", 2)
    assert total_s(means, 4) > total_s(Plan(), 4)
    assert total_s(means, 8) < total_s(Plan(), 8)
    assert all(total_s(full, batch) > total_s(Plan(), batch) for batch in (1, 2, 4, 8, 16, 32))
