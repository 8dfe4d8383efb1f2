"""How the testbed's benchmark chooses the bandwidths that it serves at."""

from __future__ import annotations

import pytest

from tests.benchmarks.phases import choose_phases, lead
from tests.helpers.policy import LOCAL, SPLIT, a_map

TABLE = a_map(LOCAL, SPLIT)


def test_what_is_wanted_is_taken_where_it_will_do() -> None:
    """Batch 8: local takes 0.48 s, a split pass 0.32 + 16 / mbps; they meet at 100 Mbps."""
    found = choose_phases(TABLE, 8, 0.1)
    assert found == pytest.approx((400, 50, 200), rel=0.03)


def test_a_phase_moves_as_little_as_it_must() -> None:
    found = choose_phases(TABLE, 8, 0.25)
    assert found is not None
    first, second, third = found
    assert first == pytest.approx(400, rel=0.03)
    assert second == pytest.approx(50, rel=0.03)
    assert third == pytest.approx(16 / (0.48 / 1.25 - 0.32), rel=0.06)  # where local takes 25 % longer
    for mbps, splits in zip(found, (True, False, True), strict=True):
        assert lead(TABLE, 8, mbps).splits is splits
        assert lead(TABLE, 8, mbps).share > 0.245


def test_where_nothing_changes_there_are_no_phases() -> None:
    assert choose_phases(TABLE, 1, 0.1) is None
