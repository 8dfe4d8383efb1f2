"""Objectives and limits: each takes what it says, and what nothing satisfies is refused in one line."""

from __future__ import annotations

from typing import Any

import pytest

from prism.errors import InputError
from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy, Observation
from prism.policy.objective import Objective
from tests.helpers.policy import FULL, LOCAL, SPLIT, a_map

#: Watts such that, for batch 8 at 400 Mbps, each objective has another favourite.
WATTS = {LOCAL: 4.0, SPLIT: 7.0, FULL: 1.0}


def choice(objective: Objective, batch: int = 8, mbps: float = 400.0, **options: Any) -> Plan:
    policy = AdaptivePolicy(a_map(watts=lambda plan: WATTS[plan], **options), objective, 1)
    decision, _ = policy.decide(policy.start(), Observation(0.0, batch, mbps))
    return decision.order.plan


def test_latency_takes_the_fastest() -> None:
    assert choice(Objective()) == SPLIT  # 0.36 s against 0.48 and 0.72
    assert choice(Objective(), mbps=50.0) == LOCAL


def test_energies_take_the_thriftiest() -> None:
    assert choice(Objective("terminal-energy")) == FULL  # 0.72 J against 1.92 and 2.52
    assert choice(Objective("all-energy"), mbps=50.0) == LOCAL  # 2.88 J against 5.28 and 6.72
    assert choice(Objective("energy-delay")) == FULL  # 1.08 * 0.72 = 0.78 against 2.88 * 0.48 = 1.38


def test_a_deadline_takes_the_thriftiest_that_keeps_it() -> None:
    assert choice(Objective("deadline", 0.8)) == FULL
    assert choice(Objective("deadline", 0.5)) == LOCAL
    assert choice(Objective("deadline", 0.4)) == SPLIT


def test_a_deadline_that_nothing_keeps_now_takes_the_fastest() -> None:
    assert choice(Objective("deadline", 0.3)) == SPLIT
    assert choice(Objective("deadline", 0.3), mbps=50.0) == LOCAL


def test_a_limit_on_compression_leaves_plans_out() -> None:
    finer = Plan("segment_means", 2, 30)
    table = a_map(LOCAL, SPLIT, finer, seconds=lambda plan, *_: ({LOCAL: 3.0, SPLIT: 1.0}.get(plan, 2.0), 0.1))
    for limit, best in ((None, SPLIT), (9.9, SPLIT), (9.8, finer), (3.3, finer), (3.2, LOCAL)):
        policy = AdaptivePolicy(table, Objective(max_compression=limit), 1)
        assert policy.decide(policy.start(), Observation(0.0, 8, 400.0))[0].order.plan == best


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        (lambda: Objective("speed"), "unknown objective 'speed'"),  # type: ignore[arg-type]
        (lambda: Objective("deadline"), "deadline go together"),
        (lambda: Objective(deadline_s=1.0), "deadline go together"),
        (lambda: Objective("deadline", -1.0), "deadline_s = -1.0 is out of range"),
        (lambda: Objective(max_compression=0.5), "max_compression = 0.5 is out of range"),
    ],
)
def test_objectives_that_make_no_sense(objective: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        objective()


def test_what_nothing_satisfies() -> None:
    with pytest.raises(InputError, match=r"no plan .* ever keeps a deadline of 10 ms; the fastest takes 60 ms"):
        choice(Objective("deadline", 0.01))
    with pytest.raises(InputError, match="needs energies and the performance map has none"):
        AdaptivePolicy(a_map(), Objective("all-energy"), 1)
    with pytest.raises(InputError, match="no runs of mode 'local'"):
        AdaptivePolicy(a_map(SPLIT), Objective(), 1)


def test_plans_of_more_boards_than_there_are_are_left_out() -> None:
    three = Plan("segment_means", 3, 10)
    table = a_map(LOCAL, SPLIT, three, seconds=lambda plan, *_: (4.0 - plan.devices, 0.1))
    assert AdaptivePolicy(table, Objective(), 1).plans == (LOCAL, SPLIT)
    assert AdaptivePolicy(table, Objective(), 0).plans == (LOCAL,)
