"""The estimate of the link: noise is smoothed, changes are followed, hiccups are not."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator

from prism.policy.estimate import FilterSettings, LinkEstimate, ProbeModel, observe
from prism.policy.exchanges import Exchanges
from prism.policy.probing import Probing
from tests.helpers.policy import LINK, LOCAL, SPLIT, a_map, closed_form

SETTINGS = FilterSettings()


def after(*rates: float, noise: float = 0.1, start: LinkEstimate | None = None) -> LinkEstimate:
    estimate = start
    for index, mbps in enumerate(rates):
        estimate = observe(estimate, mbps, noise, 0.5 * index, SETTINGS)
    assert estimate is not None
    return estimate


def test_the_first_observation_is_taken_as_it_is() -> None:
    assert after(240.0).mbps == pytest.approx(240)
    assert after(240.0).uncertainty == pytest.approx(0.1)


def test_noise_of_ten_percent_is_smoothed_to_four() -> None:
    rng = np.random.default_rng(1)
    estimate, errors = after(300.0), []
    for index in range(2000):
        seen = 300.0 * math.exp(0.1 * rng.standard_normal())
        estimate = observe(estimate, seen, 0.1, 0.5 * index, SETTINGS)
        errors.append(estimate.log_mbps - math.log(300))
    assert statistics.pstdev(errors[50:]) < 0.04
    assert abs(statistics.mean(errors)) < 0.01


def test_one_hiccup_is_set_aside_and_two_alike_are_believed() -> None:
    steady = after(*[400.0] * 20)
    once = observe(steady, 50.0, 0.1, 10.0, SETTINGS)
    assert once.mbps == pytest.approx(400)
    assert once.suspect == pytest.approx(math.log(50))
    recovered = observe(once, 395.0, 0.1, 10.5, SETTINGS)
    assert recovered.suspect is None
    assert recovered.mbps == pytest.approx(400, rel=0.02)
    twice = observe(once, 52.0, 0.1, 10.5, SETTINGS)
    assert twice.mbps == pytest.approx(math.sqrt(50 * 52))
    assert twice.suspect is None


def test_two_hiccups_that_differ_are_not_a_change() -> None:
    unsure = after(*[400.0] * 20, 50.0, 3000.0)
    assert unsure.mbps == pytest.approx(400)
    assert unsure.suspect == pytest.approx(math.log(3000))


def test_a_ramp_is_followed() -> None:
    rates = [400.0 * 0.985**index for index in range(150)]
    assert after(*rates).mbps == pytest.approx(rates[-1], rel=0.2)


def test_a_link_that_is_noisier_than_expected_is_believed_less() -> None:
    rng = np.random.default_rng(2)
    noisy = after(*(300.0 * math.exp(0.25 * rng.standard_normal()) for _ in range(100)))
    assert 0.15 < noisy.noise <= 0.35
    assert noisy.uncertainty > 1.3 * after(*[300.0] * 100).uncertainty


def test_an_estimate_ages() -> None:
    old = observe(after(*[400.0] * 50), 400.0, 1e9, 5000.0, SETTINGS)
    assert old.uncertainty > 5 * after(*[400.0] * 50).uncertainty


@pytest.mark.parametrize("mbps", [20.0, 133.0, 400.0, 900.0])
@pytest.mark.parametrize("nbytes", [16_384, 262_144])
def test_a_probe_is_read_back(mbps: float, nbytes: int) -> None:
    model = ProbeModel(LINK)
    assert model.mbps(nbytes, model.seconds(nbytes, mbps)) == pytest.approx(mbps)


def test_a_probe_that_its_latency_hides_says_so() -> None:
    model = ProbeModel(LINK)
    small, large = (model.noise(nbytes, model.seconds(nbytes, 400), 0.1) for nbytes in (4096, 262_144))
    assert small > 1
    assert large == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("batch", [1, 3, 8, 11])
@pytest.mark.parametrize("mbps", [30.0, 77.0, 400.0, 650.0])
def test_exchanges_are_read_back(batch: int, mbps: float) -> None:
    _, communication_s = closed_form(SPLIT, batch, mbps)
    found = Exchanges(a_map()).bandwidth_mbps(SPLIT, batch, communication_s)
    assert found is not None
    assert found[0] == pytest.approx(mbps, rel=1e-6)
    assert found[1] == pytest.approx(1, rel=0.02)


def test_exchanges_slower_than_any_measured_go_on_straight() -> None:
    _, communication_s = closed_form(SPLIT, 8, 5.0)
    found = Exchanges(a_map()).bandwidth_mbps(SPLIT, 8, communication_s)
    assert found is not None
    assert found[0] == pytest.approx(5.0)


def test_exchanges_that_hardly_depend_on_bandwidth_count_little() -> None:
    table = a_map(LOCAL, SPLIT, seconds=lambda plan, _, mbps: (1.0, 0.0 if plan == LOCAL else 0.4 + 1 / mbps))
    found = Exchanges(table).bandwidth_mbps(SPLIT, 8, 0.4 + 1 / 300)
    assert found is not None
    assert found[0] == pytest.approx(300, rel=0.05)
    assert found[1] > 9


def test_a_map_of_one_bandwidth_has_time_go_with_its_inverse() -> None:
    exchanges = Exchanges(a_map(bandwidths=(400.0,)))
    _, communication_s = closed_form(SPLIT, 8, 100.0)
    found = exchanges.bandwidth_mbps(SPLIT, 8, communication_s)
    assert found is not None
    assert found[0] == pytest.approx(100)
    assert exchanges.beyond_s(SPLIT, 8, 100.0) == pytest.approx(communication_s * 3 / 4)
    assert exchanges.beyond_s(SPLIT, 8, 400.0) == 0
    assert Exchanges(a_map()).beyond_s(SPLIT, 8, 100.0) == 0


def test_local_passes_say_nothing_of_the_link() -> None:
    assert Exchanges(a_map()).bandwidth_mbps(LOCAL, 8, 0.1) is None


def test_a_curve_that_bends_is_read_back() -> None:
    table = a_map(LOCAL, SPLIT, seconds=lambda plan, _, mbps: (9.0, 0.0 if plan == LOCAL else mbps**-0.7))
    x = [1 / mbps for mbps in (800.0, 400.0, 200.0, 100.0, 50.0, 25.0)]
    curve = PchipInterpolator(x, [at**0.7 for at in x])
    found = Exchanges(table).bandwidth_mbps(SPLIT, 8, float(curve(1 / 140)))
    assert found is not None
    assert found[0] == pytest.approx(140)


def test_probes_keep_to_their_share_of_the_time() -> None:
    probing, model = Probing(share=0.005, allowance_s=0.01), ProbeModel(LINK)
    link = after(*[200.0] * 10)
    spent = 0.0
    for tick in range(1, 2001):
        now_s = tick / 10
        due = probing.due(link, 0.0, spent, now_s, model, doubtful=False)
        if due is not None:
            spent += model.seconds(due[0], 200.0)
        assert spent <= 0.01 + 0.005 * now_s
    assert spent > 0.9 * (0.01 + 0.005 * 200)


def test_a_doubt_may_cost_twice_as_much() -> None:
    probing, model, link = Probing(allowance_s=0.0), ProbeModel(LINK), after(*[200.0] * 10)
    assert probing.due(link, 0.0, 0.6, 100.0, model, doubtful=False) is None
    assert probing.due(link, 0.0, 0.6, 100.0, model, doubtful=True) is not None
