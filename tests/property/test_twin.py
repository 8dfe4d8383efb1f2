"""The twin answers as SimPy does: every stage of every rank, energy, and what is said beside them."""

from __future__ import annotations

import itertools
import math
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sim.twin.simulate
from prism.memory import InfeasiblePlan, memory_use
from prism.plan import EXCHANGES, INPUTS, WIRE_BYTES, Plan
from prism.profile import SystemProfile
from prism.record import RankTimes
from prism.scenario import Scenario
from prism.shape import TransformerShape
from sim.simulate import simulate
from sim.twin.coverage import covers
from sim.twin.scenarios import Scenarios
from sim.twin.simulate import Times, simulate_many
from tests.helpers.strategies import bandwidths, batches, plans, scenarios, shapes, systems
from tests.helpers.systems import three_powers

RELATIVE = 1e-9
#: A stage that is a difference of clocks (waiting, transfer) cannot be nearer than the rounding of these.
ROUNDING = 1e-12

#: Everything that the twin covers: local, blocking between one to five boards, preposted between two.
covered = scenarios(exchange="blocking") | scenarios(fewest=2, most=2, exchange="preposted")


@st.composite
def powered(draw: st.DrawFn) -> SystemProfile:
    """A system with or without relay, whose power tells every stage of every mode apart."""
    profile = draw(systems())
    link = replace(profile.link, relay=draw(st.booleans()))
    return replace(profile, link=link, power=three_powers(draw(st.integers(1, 6))))


def alone(scenario: Scenario) -> Scenarios:
    reverse = scenario.reverse_bandwidth_mbps
    return Scenarios.of(
        scenario.shape, scenario.plan, scenario.batch, scenario.bandwidth_mbps, reverse_bandwidth_mbps=reverse
    )


def assert_equal(times: Times, index: int, scenario: Scenario, profile: SystemProfile) -> None:
    """The twin's answer is SimPy's."""
    try:
        expected = simulate(scenario, profile)
    except InfeasiblePlan:
        assert not times.fits[index]
        assert not times.extrapolated[index]
        assert math.isnan(times.total_s[index])
        assert math.isnan(times.all_boards_j[index])
        assert all(math.isnan(getattr(rank, stage.name)[index]) for rank in times.ranks for stage in fields(rank))
        return
    assert times.fits[index]
    assert math.isclose(times.total_s[index], expected.total_s, rel_tol=RELATIVE)
    floor = ROUNDING * max(rank.total_s for rank in expected.ranks)
    for number, rank in enumerate(expected.ranks):
        for stage in fields(RankTimes):
            found, right = getattr(times.ranks[number], stage.name)[index], getattr(rank, stage.name)
            assert math.isclose(found, right, rel_tol=RELATIVE, abs_tol=floor), (number, stage.name, found, right)
    for beyond in times.ranks[len(expected.ranks) :]:
        assert math.isnan(beyond.compute_s[index])
    assert expected.energy is not None
    assert math.isclose(times.terminal_j[index], expected.energy.terminal_j, rel_tol=RELATIVE)
    assert math.isclose(times.all_boards_j[index], expected.energy.all_boards_j, rel_tol=RELATIVE)
    assert times.extrapolated[index] == bool(expected.extrapolated)


def assert_alone_equal(scenario: Scenario, profile: SystemProfile) -> None:
    assert covers(scenario.plan) is None
    times = simulate_many(alone(scenario), profile)
    assert not times.by_simpy
    assert_equal(times, 0, scenario, profile)


@given(covered, powered())
def test_the_twin_answers_as_simpy_does(scenario: Scenario, profile: SystemProfile) -> None:
    assert_alone_equal(scenario, profile)


@pytest.mark.slow
@settings(max_examples=10_000)
@given(covered, powered())
def test_the_twin_answers_as_simpy_does_ten_thousand_times(scenario: Scenario, profile: SystemProfile) -> None:
    assert_alone_equal(scenario, profile)


#: Where messages meet on the air that do not start together: results of some workers, messages for the others.
meeting = scenarios(fewest=3, most=5, exchange="blocking").map(
    lambda case: replace(
        case,
        shape=replace(case.shape, pool="average", depth=min(case.shape.depth, 2)),
        bandwidth_mbps=min(case.bandwidth_mbps, 30.0),
        reverse_bandwidth_mbps=1000.0,
    )
)


@given(meeting, powered())
def test_results_that_meet_other_messages_on_the_air(scenario: Scenario, profile: SystemProfile) -> None:
    quick = {mode: replace(model, fixed_s=1e-3, scale_s=0.0) for mode, model in profile.compute.items()}
    assert_alone_equal(scenario, replace(profile, compute=quick))


@given(st.data(), shapes(), powered())
def test_many_scenarios_of_many_plans_are_answered_as_each_alone(
    data: st.DataObject, shape: TransformerShape, profile: SystemProfile
) -> None:
    """Whatever they share, wherever a chunk ends, whether they fit, and whether SimPy must carry some of them out."""
    several = data.draw(st.lists(plans(shape), min_size=1, max_size=3))
    several += [replace(plan, segments=1) for plan in several if plan.segments is not None]
    count = data.draw(st.integers(1, 6))

    def drawn(one: st.SearchStrategy[float]) -> list[float]:
        return data.draw(st.lists(one, min_size=count, max_size=count))

    many = Scenarios.of(
        shape,
        several,
        drawn(batches),
        drawn(bandwidths),
        plan=drawn(st.integers(0, len(several) - 1)),
        reverse_bandwidth_mbps=drawn(bandwidths) if data.draw(st.booleans()) else None,
    )
    schedule = many.scenario(0).schedule()
    needed = memory_use(schedule, data.draw(st.integers(0, len(schedule.ranks) - 1))).total_bytes
    if data.draw(st.booleans()):
        profile = replace(profile, board=replace(profile.board, memory_bytes=needed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sim.twin.simulate, "CHUNK", 2)
        times = simulate_many(many, profile)
    assert set(times.by_simpy) == {plan for plan in several if covers(plan) is not None}
    for index in range(count):
        assert_equal(times, index, many.scenario(index), profile)


def test_the_covered_share_of_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    """All options but one combination: messages between three boards and more whose receives are posted ahead."""
    found = Counter((plan.devices, plan.exchange, covers(plan) is None) for plan in options())
    gone = {key[:2] for key in found if not key[2]}
    assert gone == {(devices, "preposted") for devices in (3, 4, 5)}
    assert not {key[:2] for key in found if key[2]} & gone
    total, twin = found.total(), sum(count for key, count in found.items() if key[2])
    with capsys.disabled():
        sys.stdout.write(
            f"\nThe twin covers {twin:,} of {total:,} combinations of options for one to five boards "
            f"({twin / total:.0%}): all but preposted exchange between three boards and more.\n"
        )
    assert (twin, total) == (241, 385)


def options() -> Iterator[Plan]:
    """Every combination of a plan's options that says something, for one to five boards."""
    yield Plan()
    for devices, exchange, given_out, first, wire, segments, shares in itertools.product(
        (2, 3, 4, 5), EXCHANGES, INPUTS, (True, False), WIRE_BYTES, (None, 2), (False, True)
    ):
        yield Plan(
            "full_tensor" if segments is None else "segment_means",
            devices,
            segments,
            wire,
            exchange,
            given_out,
            first,
            tuple(range(1, devices + 1)) if shares else None,
        )
