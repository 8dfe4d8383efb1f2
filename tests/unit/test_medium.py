"""The shared medium against closed forms and against processor sharing worked out step by step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Environment

from sim.medium import Medium
from tests.helpers.sharing import sharing_ends

airtimes = st.floats(1e-6, 100.0)


def ends_of(flows: Sequence[tuple[float, float]], first_weight: float = 1.0) -> list[float]:
    """When flows of (arrival, airtime) end."""
    env = Environment()
    medium = Medium(env, first_weight)
    ends = [-1.0] * len(flows)

    def start(index: int, airtime: float) -> None:
        def end() -> None:
            assert ends[index] == -1.0, "a flow ends once"
            ends[index] = env.now

        medium.start([(airtime, end)])

    for index, (arrival, airtime) in enumerate(flows):
        env.timeout(arrival).callbacks.append(partial(lambda index, airtime, _: start(index, airtime), index, airtime))
    env.run()
    return ends


def test_alone_a_flow_takes_its_airtime() -> None:
    assert ends_of([(2.0, 3.0)]) == [5.0]


def test_equal_flows_end_together_and_not_one_after_the_other() -> None:
    assert ends_of([(0.0, 3.0)] * 4) == [12.0] * 4


def test_a_short_flow_overtakes_a_long_one() -> None:
    """1 and 10 s of air from 0: they share until 2 s, then 9 s are left."""
    assert ends_of([(0.0, 10.0), (0.0, 1.0)]) == [11.0, 2.0]


def test_a_late_flow_slows_the_one_that_was_there() -> None:
    """4 s from 0; 1 s from 2: both get half from 2 on, the late one ends at 4, the early one's last second at 5."""
    assert ends_of([(0.0, 4.0), (2.0, 1.0)]) == [5.0, 4.0]


def test_the_first_flow_keeps_the_larger_share() -> None:
    """4 s from 0, 2 s from 1, weights 3 and 1: 3 s of the first are left, at three quarters they take until 5.

    The second has had 1 s by then; its other second is alone until 6. With equal shares they would end at 6 and 5.
    """
    assert ends_of([(0.0, 4.0), (1.0, 2.0)], first_weight=3.0) == [5.0, 6.0]
    assert ends_of([(0.0, 4.0), (1.0, 2.0)]) == [6.0, 5.0]


def test_flows_that_start_together_share_alike_whatever_the_weight() -> None:
    assert ends_of([(0.0, 3.0)] * 4, first_weight=3.0) == pytest.approx([12.0] * 4)


def test_idle_time_between_flows_is_not_made_up_for() -> None:
    assert ends_of([(0.0, 1.0), (10.0, 2.0), (20.0, 3.0)]) == [1.0, 12.0, 23.0]


def test_flows_of_no_airtime_end_at_once() -> None:
    assert ends_of([(1.0, 0.0), (1.0, 2.0), (2.0, 0.0)]) == [1.0, 3.0, 2.0]


def test_flows_that_end_together_end_in_the_order_in_which_they_started() -> None:
    env = Environment()
    medium = Medium(env)
    order: list[str] = []
    medium.start([(1.0, lambda: order.append("first")), (1.0, lambda: order.append("second"))])
    medium.start([(1.0, lambda: order.append("third"))])
    env.run()
    assert order == ["first", "second", "third"]
    assert env.now == 3.0


@given(st.lists(airtimes, min_size=1, max_size=8))
def test_no_air_is_lost_and_the_last_flow_ends_when_all_work_is_done(flows: list[float]) -> None:
    ends = ends_of([(0.0, airtime) for airtime in flows])
    assert max(ends) == pytest.approx(sum(flows), rel=1e-12)


@given(st.lists(airtimes, min_size=2, max_size=8))
def test_flows_that_start_together_end_by_airtime_at_the_known_times(flows: list[float]) -> None:
    """The k-th shortest ends at the sum of min(own airtime, each other's airtime)."""
    ends = ends_of([(0.0, airtime) for airtime in flows])
    for airtime, end in zip(flows, ends, strict=True):
        assert end == pytest.approx(sum(min(airtime, other) for other in flows), rel=1e-9)
    by_airtime = [end for _, end in sorted(zip(flows, ends, strict=True))]
    assert all(early <= late for early, late in itertools.pairwise(by_airtime))


@given(st.lists(st.tuples(st.floats(0.0, 50.0), airtimes), min_size=1, max_size=8))
def test_ends_equal_processor_sharing_worked_out_step_by_step(flows: list[tuple[float, float]]) -> None:
    assert ends_of(flows) == pytest.approx(sharing_ends(flows), rel=1e-9, abs=1e-9)


@given(st.lists(st.tuples(st.floats(0.0, 50.0), airtimes), min_size=1, max_size=8), airtimes)
def test_another_flow_never_lets_one_end_earlier(flows: list[tuple[float, float]], more: float) -> None:
    alone = ends_of(flows)
    crowded = ends_of([*flows, (0.0, more)])
    assert all(late >= early * (1 - 1e-12) for early, late in zip(alone, crowded, strict=False))
