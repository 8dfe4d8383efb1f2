"""What a run came to, beside what always-local, always-distributed and an oracle would have made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy, State
from prism.policy.backend import Order, Outcome
from prism.policy.loop import Served
from prism.policy.names import plan_name
from prism.policy.objective import Objective
from prism.policy.performance_map import PerformanceMap
from prism.streams.bandwidth import BandwidthTrace

#: A fixed split plan has nobody to decide for it: GLOO's timeout ends its wait.
FIXED_GIVE_UP_S = 5.0


class Truth(Protocol):
    """Knows what any plan would have taken at any time: the backend's own model."""

    def would(self, order: Order, start_s: float) -> Outcome:
        """How a batch would be served from `start_s` on."""
        ...


class MapTruth:
    """The performance map at the bandwidth that the trace really had when the batch began: for real boards.

    Args:
        table: what plans cost there.
        trace: what the link was throttled to.
    """

    def __init__(self, table: PerformanceMap, trace: BandwidthTrace) -> None:
        self._table = table
        self._trace = trace

    def would(self, order: Order, start_s: float) -> Outcome:
        mbps = self._trace.at(start_s)
        if order.plan.devices > 1 and mbps == 0:
            local = self.would(replace(order, plan=Plan()), start_s)
            return replace(local, total_s=local.total_s + order.give_up_s, lost=order.ranks, why="outage")
        found = self._table.predict(order.plan, order.batch, mbps or 1.0)
        return Outcome(start_s, found.total_s, None, found.terminal_j, found.all_boards_j)


@dataclass(frozen=True)
class Comparison:
    """Sums over a run of what the objective minimises.

    Attributes:
        policy: what was paid, time for probes and for bringing workers back included where time is what counts.
        local: always serving locally would have paid.
        distributed: the split plan that would have done best over the whole run; None if there is none.
        distributed_plan: which one that is.
        oracle: knowing the bandwidth during each batch, and its true cost.
    """

    policy: float
    local: float
    distributed: float | None
    distributed_plan: Plan | None
    oracle: float

    @property
    def regret_pct(self) -> float:
        """How much more the policy paid than the oracle, in percent."""
        return 100 * (self.policy / self.oracle - 1)

    @property
    def vs_local_pct(self) -> float:
        """How much more the policy paid than always-local, in percent; negative where it saved."""
        return 100 * (self.policy / self.local - 1)

    @property
    def vs_distributed_pct(self) -> float | None:
        """How much more the policy paid than always-distributed, in percent."""
        return None if self.distributed is None else 100 * (self.policy / self.distributed - 1)


def compare(
    policy: AdaptivePolicy,
    served: Sequence[Served],
    state: State,
    truth: Truth,
    after_each: Callable[[], None] = lambda: None,
) -> Comparison | None:
    """What the run came to. Every alternative serves the same batches, each begun when it really was.

    None where the objective's value is not known of every batch, such as energy that nobody metered.

    Args:
        policy: that decided.
        served: what it did.
        state: its last.
        truth: says what else could have been paid.
        after_each: called after each batch.
    """
    objective = policy.objective
    timed = objective.kind == "latency"
    paid = state.probed_s + state.restored_s if timed else 0.0
    oracle = local = 0.0
    fixed = dict.fromkeys((plan for plan in policy.plans if plan.devices > 1), 0.0)
    for done in served:
        order, start_s = done.decision.order, done.outcome.start_s
        value = _value(objective, done.outcome)
        outcomes = {plan: _fixed(truth, order, plan, start_s) for plan in {policy.local, *policy.plans}}
        values = {plan: _value(objective, outcome) for plan, outcome in outcomes.items()}
        best = _best(objective, policy.plans, outcomes, values)
        if value is None or best is None or values[policy.local] is None:
            return None
        paid += value + (done.outcome.restore_s if timed else 0.0)
        oracle += best
        local += values[policy.local] or 0.0
        for plan in fixed:
            fixed[plan] += values[plan] or 0.0
        after_each()
    if not served:
        return None
    cheapest = min(fixed, key=lambda plan: fixed[plan], default=None)
    return Comparison(paid, local, None if cheapest is None else fixed[cheapest], cheapest, oracle)


def _fixed(truth: Truth, order: Order, plan: Plan, start_s: float) -> Outcome:
    ranks = tuple(range(1, plan.devices))
    return truth.would(Order(order.index, plan, order.batch, ranks, FIXED_GIVE_UP_S), start_s)


def _value(objective: Objective, outcome: Outcome) -> float | None:
    return objective.value(outcome.total_s, outcome.terminal_j, outcome.all_boards_j)


def _best(
    objective: Objective, plans: Sequence[Plan], outcomes: dict[Plan, Outcome], values: dict[Plan, float | None]
) -> float | None:
    """The oracle's: the best of the plans that keep the deadline, or what the fastest pays where none does."""
    deadline_s = objective.deadline_s
    if deadline_s is not None:
        keeping = [plan for plan in plans if outcomes[plan].total_s <= deadline_s]
        plans = keeping or [min(plans, key=lambda plan: outcomes[plan].total_s)]
    known = [value for plan in plans if (value := values[plan]) is not None]
    return min(known, default=None)


def summary(
    policy: AdaptivePolicy, served: Sequence[Served], state: State, comparison: Comparison | None
) -> dict[str, Any]:
    """The run as one JSON object. Times are in milliseconds, energies in joules."""
    latencies = sorted(_sample_latencies(served))
    decisions = Counter(plan_name(done.decision.order.plan) for done in served)
    deadline_s = policy.objective.deadline_s
    elapsed_s = (served[-1].outcome.end_s - state.began_s) if served else 0.0
    return {
        "requests": len(served),
        "samples": sum(done.samples for done in served),
        "lost": 0,  # a batch that its workers failed is served locally: none is ever without an answer
        "served_locally_after_failure": sum(bool(done.outcome.lost) for done in served),
        "regret_pct": None if comparison is None else comparison.regret_pct,
        "vs_local_pct": None if comparison is None else comparison.vs_local_pct,
        "vs_distributed_pct": None if comparison is None else comparison.vs_distributed_pct,
        "always_distributed": None
        if comparison is None or comparison.distributed_plan is None
        else plan_name(comparison.distributed_plan),
        "switches": sum(done.decision.switched for done in served),
        "decisions": dict(decisions.most_common()),
        "latency_ms": None
        if not latencies
        else {"mean": 1e3 * sum(latencies) / len(latencies)}
        | {f"p{percent}": 1e3 * percentile(latencies, percent) for percent in (50, 90, 99)},
        "service_s": sum(done.outcome.total_s for done in served),
        "terminal_j": _total([done.outcome.terminal_j for done in served]),
        "all_boards_j": _total([done.outcome.all_boards_j for done in served]),
        "energy_by_plan": _energy_by_plan(served),
        "deadline_missed": None if deadline_s is None else sum(done.outcome.total_s > deadline_s for done in served),
        "probes_pct": 100 * state.probed_s / elapsed_s if elapsed_s > 0 else 0.0,
        "restore_s": state.restored_s + sum(done.outcome.restore_s for done in served),
        "elapsed_s": elapsed_s,
    }


def _energy_by_plan(served: Sequence[Served]) -> dict[str, Any]:
    """Mean joules of a batch by plan, over the batches whose energy is known: how many, and how many there are."""
    by_plan: dict[str, list[Outcome]] = {}
    for done in served:
        if not done.outcome.lost:  # part of such a batch was spent on another plan
            by_plan.setdefault(plan_name(done.decision.order.plan), []).append(done.outcome)
    return {
        name: {
            "batches": len(outcomes),
            "metered": sum(outcome.terminal_j is not None for outcome in outcomes),
            "terminal_j": _mean([outcome.terminal_j for outcome in outcomes]),
            "all_boards_j": _mean([outcome.all_boards_j for outcome in outcomes]),
        }
        for name, outcomes in by_plan.items()
        if any(outcome.terminal_j is not None for outcome in outcomes)
    }


def _sample_latencies(served: Sequence[Served]) -> list[float]:
    """Of every sample, from its arrival to its answer."""
    return [waited_s + done.outcome.restore_s + done.outcome.total_s for done in served for waited_s in done.waited_s]


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all do not exceed (nearest rank). `ordered` must rise."""
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


def _mean(values: Sequence[float | None]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _total(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
