"""The adaptive policy: observation in, decision out, state explicit. It has no clock, no randomness and does no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.policy.backend import Order, Outcome, Probe
from prism.policy.corrections import Corrections
from prism.policy.estimate import FilterSettings, LinkEstimate, ProbeModel, observe
from prism.policy.exchanges import Exchanges
from prism.policy.lookup import PlanCurves
from prism.policy.names import plan_name
from prism.policy.objective import Objective, candidates_of
from prism.policy.peers import BackOff, Peer, Peers, available, failed, helped
from prism.policy.performance_map import PerformanceMap
from prism.policy.probing import Probing
from prism.schedule import MAX_BATCH
from prism.units import BANDWIDTH_MBPS, check_range


@dataclass(frozen=True)
class Tuning:
    """Everything that the policy's behaviour depends on besides map and objective.

    Attributes:
        margin: another plan must be better by this share before it replaces the one in use.
        unhelpful: so many split passes in a row that take longer than local ones have their workers left out.
        link: how bandwidths are weighed.
        probing: how much air probes may take.
        back_off: how long a worker is left out.
    """

    margin: float = 0.03
    unhelpful: int = 5
    link: FilterSettings = field(default_factory=FilterSettings)
    probing: Probing = field(default_factory=Probing)
    back_off: BackOff = field(default_factory=BackOff)

    def __post_init__(self) -> None:
        check_range("margin", self.margin, 0, 1)
        check_range("unhelpful", self.unhelpful, 1, 1_000_000)


@dataclass(frozen=True)
class Observation:
    """What there is to decide on.

    Attributes:
        now_s: the backend's time.
        batch: samples to be served together.
        bandwidth_mbps: the link's, where something else knows it; None to go by the policy's own estimate.
    """

    now_s: float
    batch: int
    bandwidth_mbps: float | None = None


@dataclass(frozen=True)
class State:
    """All that the policy remembers.

    Attributes:
        link: the bandwidth as believed; None if nothing is known of it.
        corrections: of the map's predictions.
        peers: the workers, rank 1 first.
        incumbents: the plan in use, by batch size. Never changed in place.
        streak: split passes in a row that took longer than a local one is expected to.
        splitting: whether the last batch was split.
        began_s: when the run began.
        probed_s: time that probes have taken since.
        charged_s: what of it counts against their budget: no answer is no airtime, so the wait for it counts in part.
        probe_at_s: when the last probe was over.
        restored_s: what bringing workers back took in order to probe; no part of the probes' budget.
    """

    link: LinkEstimate | None
    corrections: Corrections
    peers: Peers
    incumbents: Mapping[int, Plan]
    streak: int
    splitting: bool
    began_s: float
    probed_s: float
    charged_s: float
    probe_at_s: float
    restored_s: float = 0.0


class Candidate(NamedTuple):
    """A plan and what it is expected to cost, corrections included.

    Attributes:
        value: what the objective minimises; None where the plan does not keep the deadline.
        spread_s: median absolute deviation of single passes, by the map; None where it cannot tell.
    """

    plan: Plan
    total_s: float
    terminal_j: float | None
    all_boards_j: float | None
    value: float | None
    spread_s: float | None = None


@dataclass(frozen=True)
class Decision:
    """What to do with a batch, and why.

    Attributes:
        order: for the backend; its index is 0 until the loop numbers it.
        bandwidth_mbps: what was believed; None if nothing was.
        uncertainty: relative standard deviation of it.
        candidates: all that were weighed, with their predictions.
        switched: whether another plan than before was taken for this batch size.
        reason: ``best``, ``kept`` (within the margin of the best), ``only`` or ``link unknown``.
    """

    order: Order
    bandwidth_mbps: float | None
    uncertainty: float | None
    candidates: tuple[Candidate, ...]
    switched: bool
    reason: str


class AdaptivePolicy:
    """Chooses among the plans of a performance map.

    An object of this class holds only what does not change; caches apart, every method is a function of its arguments.

    Args:
        table: what plans cost.
        objective: what is minimised, under which limits.
        workers: how many there are besides the terminal device.
        tuning: how it behaves.

    Raises:
        InputError: the map holds no local runs, nothing that the objective could choose from, or no workers' plans fit.
    """

    def __init__(self, table: PerformanceMap, objective: Objective, workers: int, tuning: Tuning | None = None) -> None:
        self.table = table
        self.objective = objective
        self.workers = workers
        self.tuning = tuning or Tuning()
        plans = candidates_of(table, objective, shape_of(table.model).tokens)
        self.plans = tuple(plan for plan in plans if plan.devices <= workers + 1)
        if not self.plans:
            raise InputError(
                f"every plan of the performance map needs more than {workers + 1} boards; give more, or profile these"
            )
        self.local = next(plan for plan in table.plans if plan.mode == "local")
        self._exchanges = Exchanges(table)
        # A decision has 100 us. Names stand for plans, since a string keeps its hash.
        curves = {plan: [curve for curve in table.curves if curve.plan == plan] for plan in self.plans}
        self._known = [(plan, plan_name(plan), PlanCurves(curves[plan])) for plan in self.plans]

    def start(self, now_s: float = 0.0) -> State:
        """The state before anything is known."""
        return State(None, Corrections(), (Peer(),) * self.workers, {}, 0, False, now_s, 0.0, 0.0, now_s)

    # ------------------------------------------------------------------------------------------------ deciding

    def decide(self, state: State, seen: Observation) -> tuple[Decision, State]:
        """Choose a plan for a batch.

        Raises:
            InputError: a batch or bandwidth out of any range.
        """
        link = state.link
        mbps = seen.bandwidth_mbps or (None if link is None else link.mbps)
        candidates = self._candidates(state, seen, mbps)
        plan, reason = self._choose(candidates, state.incumbents.get(seen.batch), mbps)
        before = state.incumbents.get(seen.batch)
        order = self._order(state, seen, plan, candidates)
        decision = Decision(
            order,
            mbps,
            None if link is None or seen.bandwidth_mbps is not None else link.uncertainty,
            candidates,
            before is not None and before != plan,
            reason,
        )
        if before == plan and state.splitting == (plan.devices > 1):
            return decision, state
        return decision, replace(state, incumbents={**state.incumbents, seen.batch: plan}, splitting=plan.devices > 1)

    def _candidates(self, state: State, seen: Observation, mbps: float | None) -> tuple[Candidate, ...]:
        boards = 1 + available(state.peers, seen.now_s)
        check_range("batch", seen.batch, 1, MAX_BATCH)
        if mbps is not None:
            check_range("bandwidth_mbps", mbps, *BANDWIDTH_MBPS)
        objective, corrections = self.objective, state.corrections
        beyond_s = self._exchanges.beyond_s if self._exchanges.single else None
        deadline_s = objective.deadline_s
        incumbent = state.incumbents.get(seen.batch)
        found = []
        for plan, name, curves in self._known:
            if plan.devices > boards or (mbps is None and plan.devices > 1):
                continue
            guess = curves.predict(seen.batch, mbps or 1.0)
            factor = corrections.factor(name, seen.now_s)
            if beyond_s is not None:
                factor *= 1 + beyond_s(plan, seen.batch, mbps or 1.0) / guess.total_s
            total_s = guess.total_s * factor
            terminal_j = None if guess.terminal_j is None else guess.terminal_j * factor
            all_j = None if guess.all_boards_j is None else guess.all_boards_j * factor
            value = objective.value(total_s, terminal_j, all_j)
            if deadline_s is not None:
                slack = self.tuning.margin if plan == incumbent else 0.0
                value = value if total_s <= deadline_s * (1 + slack) else None
            found.append(Candidate(plan, total_s, terminal_j, all_j, value, guess.spread_s))
        return tuple(found)

    def _choose(
        self, candidates: tuple[Candidate, ...], incumbent: Plan | None, mbps: float | None
    ) -> tuple[Plan, str]:
        if not candidates:  # workers are missing, or the link is unknown, and local is not among the choices
            return self.local, "only"
        if any(found.value is not None for found in candidates):
            worth = [(found.plan, found.value) for found in candidates if found.value is not None]
        else:  # none keeps the deadline: the fastest comes closest
            worth = [(found.plan, found.total_s) for found in candidates]
        plan, value = min(worth, key=lambda pair: pair[1])
        if len(candidates) == 1:
            return plan, "only" if mbps is not None else "link unknown"
        kept = next((mine for held, mine in worth if held == incumbent), None)
        if incumbent is not None and incumbent != plan and kept is not None and value > (1 - self.tuning.margin) * kept:
            return incumbent, "kept"
        return plan, "best"

    def _order(self, state: State, seen: Observation, plan: Plan, candidates: tuple[Candidate, ...]) -> Order:
        """Who takes part, and when to give up: half as late again as the pass, or serving it locally, should take.

        Waiting for as long as the other way takes is the safe rule where nothing is known (ski rental, Karlin et al.
        1988). Here noise is known to be far smaller, so a pass that is half as late is on a link that has changed.
        """
        if plan.devices == 1:
            return Order(0, plan, seen.batch, (), 0.0)
        ready = [rank for rank, peer in enumerate(state.peers, start=1) if seen.now_s >= peer.until_s]
        # Those that are in the group first: bringing another one back takes time.
        ready.sort(key=lambda rank: not state.peers[rank - 1].connected)
        ranks = tuple(sorted(ready[: plan.devices - 1]))
        chosen_s = next(found.total_s for found in candidates if found.plan is plan)
        local_s = next((found.total_s for found in candidates if found.plan.devices == 1), None)
        if local_s is None:
            local_s = self._predicted_s(state, self.local, seen.batch, 1.0, seen.now_s)
        restore = not all(state.peers[rank - 1].connected for rank in ranks)
        return Order(0, plan, seen.batch, ranks, chosen_s + max(chosen_s, local_s) / 2, restore)

    def _predicted_s(self, state: State, plan: Plan, batch: int, mbps: float, now_s: float) -> float:
        return self._mapped_s(plan, batch, mbps) * state.corrections.factor(plan_name(plan), now_s)

    def _mapped_s(self, plan: Plan, batch: int, mbps: float) -> float:
        return self.table.predict(plan, batch, mbps).total_s + self._exchanges.beyond_s(plan, batch, mbps)

    # ------------------------------------------------------------------------------------------------ learning

    def learn(self, state: State, order: Order, outcome: Outcome) -> State:
        """What a batch taught."""
        now_s = outcome.end_s
        if outcome.lost:
            peers = failed(state.peers, outcome.lost, now_s, self.tuning.back_off, lost=True)
            # If none of them answered, the link is unknown until a probe comes through.
            link = None if set(outcome.lost) >= set(order.ranks) else state.link
            return replace(state, link=link, peers=peers, streak=0)
        if order.plan.devices == 1:
            return replace(state, corrections=self._learned(state, order, outcome, 1.0))
        seen = self._exchanges.bandwidth_mbps(order.plan, order.batch, outcome.communication_s or 0.0)
        link = state.link
        if seen is not None:
            mbps, times = seen
            link = observe(link, mbps, self.tuning.link.noise * times, now_s, self.tuning.link)
        passed_mbps = seen[0] if seen is not None else (1.0 if link is None else link.mbps)
        corrections = self._learned(state, order, outcome, passed_mbps)
        state = replace(state, link=link, corrections=corrections)
        return self._judged(state, order, outcome)

    def _learned(self, state: State, order: Order, outcome: Outcome, mbps: float) -> Corrections:
        predicted_s = self._mapped_s(order.plan, order.batch, mbps)
        return state.corrections.learned(plan_name(order.plan), outcome.total_s, predicted_s, outcome.end_s)

    def _judged(self, state: State, order: Order, outcome: Outcome) -> State:
        """Whether the workers of a split pass were a help, where time is what counts."""
        tuning, now_s = self.tuning, outcome.end_s
        if self.objective.kind != "latency":
            return replace(state, peers=helped(state.peers, order.ranks, tuning.back_off))
        local_s = self._predicted_s(state, self.local, order.batch, 1.0, now_s)
        streak = state.streak + 1 if outcome.total_s > local_s * (1 + tuning.margin) else 0
        if streak < tuning.unhelpful:
            return replace(state, peers=helped(state.peers, order.ranks, tuning.back_off), streak=streak)
        peers = failed(state.peers, order.ranks, now_s, tuning.back_off, lost=False)
        return replace(state, peers=peers, streak=0)

    # ------------------------------------------------------------------------------------------------- probing

    def probe(self, state: State, now_s: float, model: ProbeModel) -> tuple[int, float] | None:
        """The probe that is due now, as bytes and seconds to wait for its answer; None if none is.

        Probes are sent while batches are served locally, and in any mode when the last observation is in doubt.
        """
        link = state.link
        doubtful = link is None or link.suspect is not None
        if not available(state.peers, now_s) or (state.splitting and not doubtful):
            return None
        if not self._could_split(state, now_s):
            return None
        return self.tuning.probing.due(link, state.began_s, state.charged_s, now_s, model, doubtful=doubtful)

    def _could_split(self, state: State, now_s: float) -> bool:
        """Whether any bandwidth would have the largest batch so far split; if none would, there is nothing to learn."""
        if not any(plan.devices > 1 for plan in self.plans):
            return False
        if not state.incumbents:
            return True
        batch = max(state.incumbents)
        mbps = max(self.table.bandwidths_mbps)
        seen = Observation(now_s, batch, mbps)
        plan, _ = self._choose(self._candidates(state, seen, mbps), None, mbps)
        return plan.devices > 1

    def learn_probe(self, state: State, probe: Probe, model: ProbeModel) -> State:
        """What a probe taught."""
        spent_s = max(probe.seconds, probe.spent_s)
        charged_s = state.charged_s + self.tuning.probing.charge_s(spent_s, answered=probe.answered)
        state = replace(
            state,
            probed_s=state.probed_s + spent_s,
            charged_s=charged_s,
            probe_at_s=probe.time_s,
            restored_s=state.restored_s + probe.restore_s,
        )
        if not probe.answered:
            ranks = range(1, self.workers + 1)
            peers = failed(state.peers, ranks, probe.time_s, self.tuning.back_off, lost=False)
            return replace(state, link=None, peers=peers)
        mbps = model.mbps(probe.nbytes, probe.seconds)
        noise = model.noise(probe.nbytes, probe.seconds, self.tuning.link.noise)
        link = observe(state.link, mbps, noise, probe.time_s, self.tuning.link)
        return replace(state, link=link)
