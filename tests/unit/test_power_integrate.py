"""Energy of an interval against integrals that are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.power.integrate import integrate
from hw.power.meter import Reading
from tests.hardware_fakes.meter import readings


def test_constant_power_is_exact_and_certain() -> None:
    found = integrate(readings(np.arange(0, 10, 0.1), lambda _: 7.0), 1.234, 5.678)
    assert found is not None
    assert found.energy_j == pytest.approx(7 * (5.678 - 1.234), rel=1e-12)
    assert found.uncertainty_j == pytest.approx(0, abs=1e-9)
    assert found.samples == 44


def test_a_ramp_is_exact_at_irregular_times() -> None:
    times_s = np.cumsum(np.random.default_rng(1).uniform(0.01, 0.4, 60))
    found = integrate(readings(times_s, lambda t: 2 * t), 1.0, 5.0)
    assert found is not None
    assert found.energy_j == pytest.approx(24.0, rel=1e-12)


@given(
    cut=st.floats(0.2, 8.5),
    level=st.floats(0.1, 50),
    swing=st.floats(0, 40),
)
def test_parts_add_up_to_the_whole(cut: float, level: float, swing: float) -> None:
    taken = readings(np.arange(0, 9, 0.1), lambda t: level + swing * math.sin(t) ** 2)
    whole, before, after = (integrate(taken, *edges) for edges in ((0.1, 8.7), (0.1, cut), (cut, 8.7)))
    assert whole is not None
    assert before is not None
    assert after is not None
    assert before.energy_j + after.energy_j == pytest.approx(whole.energy_j, rel=1e-9)


def test_rails_are_integrated_one_by_one() -> None:
    taken = [Reading(t, power_w=9.0, rails_w={"A": 1.0, "B": t}) for t in range(5)]
    found = integrate(taken, 1.0, 3.0)
    assert found is not None
    assert found.rails_j == pytest.approx({"A": 2.0, "B": 4.0})


def test_a_rail_that_is_missing_once_is_left_out() -> None:
    taken = [Reading(t, power_w=9.0, rails_w={"A": 1.0} if t == 2 else {"A": 1.0, "B": 1.0}) for t in range(5)]
    found = integrate(taken, 1.0, 3.0)
    assert found is not None
    assert set(found.rails_j) == {"A"}


@pytest.mark.parametrize(("start_s", "end_s"), [(-1.0, 3.0), (3.0, 10.0), (4.0, 4.0), (5.0, 4.0)])
def test_an_interval_that_readings_do_not_enclose_has_no_energy(start_s: float, end_s: float) -> None:
    assert integrate(readings(range(9), lambda _: 5.0), start_s, end_s) is None


def test_no_readings_no_energy() -> None:
    assert integrate([], 0.0, 1.0) is None


def test_a_gap_is_reported_and_makes_the_energy_less_certain() -> None:
    def watts(t: float) -> float:
        return 6 + math.sin(40 * t)

    times_s = np.arange(0, 10, 0.1)
    full = integrate(readings(times_s, watts), 1, 9)
    holed = integrate(readings([t for t in times_s if not 3 < t < 5], watts), 1, 9)
    assert full is not None
    assert holed is not None
    assert holed.longest_gap_s == pytest.approx(2.0)
    assert holed.uncertainty_j > 2 * full.uncertainty_j


@pytest.mark.parametrize(
    ("passes_a_second", "least", "most"), [(97.3, 0.7, 1.3), (3.7, 0.3, 1.0)], ids=["unseen passes", "seen passes"]
)
def test_the_stated_uncertainty_is_the_scatter_of_repeated_measurements(
    passes_a_second: float, least: float, most: float
) -> None:
    """A load that steps within each pass, sampled at random phases; for slow passes the statement is cautious."""
    rng = np.random.default_rng(5)

    def watts(t: float) -> float:
        return 9.0 if 1 <= t < 5 and (t * passes_a_second) % 1 < 0.6 else 4.0

    exact_j = np.mean([watts(t) for t in np.arange(1, 5, 1e-4)]) * 4
    pulls = []
    for _ in range(400):
        times_s = np.cumsum(rng.uniform(0.08, 0.12, 70)) - rng.uniform(0, 0.1)
        found = integrate(readings(times_s, watts), 1, 5)
        assert found is not None
        pulls.append((found.energy_j - exact_j) / found.uncertainty_j)
    assert least < np.std(pulls) < most


def test_a_counter_is_interpolated_at_the_edges() -> None:
    taken = [Reading(t, energy_j=10.0 * t) for t in np.arange(0, 5, 0.5)]
    found = integrate(taken, 1.2, 3.4)
    assert found is not None
    assert found.energy_j == pytest.approx(22.0)
    assert found.uncertainty_j == pytest.approx(5 * math.sqrt(2 / 12))
    assert found.samples == 4
