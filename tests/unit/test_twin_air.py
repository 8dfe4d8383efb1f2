"""The twin's shared medium against processor sharing worked out step by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sim.twin.air import Pair, Sharing, Volley
from sim.twin.scenarios import Floats
from tests.helpers.sharing import sharing_ends

#: Quarters: sums are exact, so flows do end together, and one does start at the instant at which another ends.
airtimes = st.integers(0, 40).map(lambda quarters: quarters / 4)
#: What starts after the rest, by how much, and its airtime.
joining = st.lists(st.tuples(airtimes, airtimes), max_size=4)


def array(value: float) -> Floats:
    return np.array([value])


def sharing_of(flows: Sequence[tuple[int, float]]) -> Sharing:
    """Flows of equal airtime have the same key, as they have in a pass."""
    known = sorted({airtime for _, airtime in flows})
    keyed = tuple((receiver, (known.index(airtime), 0)) for receiver, airtime in flows)
    return Sharing(keyed, lambda key: array(known[key[0]]))


@given(st.lists(st.tuples(st.integers(0, 3), airtimes), min_size=1, max_size=8), joining, airtimes)
@example([(1, 1.0), (2, 1.0), (3, 9.0)], [(8.0, 4.0), (0.0, 4.0)], 0.0)  # the second joins where the first has ended
@example([(1, 1.0), (2, 9.0), (3, 9.0)], [(6.0, 9.0)], 0.0)  # two of one airtime are left when it joins
def test_flows_that_join_a_volley(
    flows: list[tuple[int, float]], joining: list[tuple[float, float]], air_s: float
) -> None:
    """One after the other, each some time after the one before it; an idle medium in between included."""
    volley = Volley(array(air_s), sharing_of(flows))
    found, joined, free_s = [], [], air_s
    for pause_s, airtime in joining:
        joined.append((free_s + pause_s, airtime))
        free_s = volley.join(array(free_s + pause_s), array(airtime)).item()
        found.append(free_s)
    ends = sharing_ends([(air_s, airtime) for _, airtime in flows] + joined)
    assert found == pytest.approx(ends[len(flows) :], rel=1e-12)
    for receiver in {receiver for receiver, _ in flows}:
        last = max(end for (to, _), end in zip(flows, ends, strict=False) if to == receiver)
        assert volley.end_of(receiver).item() == pytest.approx(last, rel=1e-12)


@given(st.tuples(airtimes, airtimes), st.tuples(airtimes, airtimes))
def test_a_pair_of_flows(air_s: tuple[float, float], lengths: tuple[float, float]) -> None:
    pair = Pair([array(value) for value in air_s], [array(value) for value in lengths])
    found = [pair.end_of(receiver).item() for receiver in (0, 1)]
    assert found == pytest.approx(sharing_ends(list(zip(air_s, lengths, strict=True))), rel=1e-12)


@given(st.lists(st.tuples(airtimes, airtimes, airtimes, airtimes), min_size=1, max_size=5))
def test_scenarios_do_not_disturb_each_other(cases: list[tuple[float, float, float, float]]) -> None:
    """Side by side, with different flows the shortest: each as alone."""
    first, second, pause, late = np.array(cases).T
    flows = ((1, (0, 0)), (2, (1, 0)), (2, (0, 0)))
    together = Volley(np.zeros(len(cases)), Sharing(flows, lambda key: (first, second)[key[0]]))
    ends = together.join(pause, late), together.end_of(1), together.end_of(2)
    for index, (one, other, pause_s, late_s) in enumerate(cases):
        alone = sharing_ends([(0.0, one), (0.0, other), (0.0, one), (pause_s, late_s)])
        expected = (alone[3], alone[0], max(alone[1], alone[2]))
        assert [end[index] for end in ends] == pytest.approx(expected, rel=1e-12)
