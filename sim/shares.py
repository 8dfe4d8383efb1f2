"""Shares of the tokens for boards that differ: the whole-number partition with the lowest simulated latency.

Few partitions are all tried: two boards of up to 601 tokens are answered exactly. Of more, a search among neighbours:
from even shares, and from shares in proportion to speed, tokens go from one board to another as long as that makes the
pass faster, many at a time first and one at a time last. Its answer is a local optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations, pairwise, permutations
from math import comb

from prism.errors import InputError
from prism.memory import InfeasiblePlan, memory_use
from prism.partition import SHARES, split_by_shares, split_evenly
from prism.profile import SystemProfile
from prism.scenario import Scenario
from sim.boards import BoardMix
from sim.simulate import simulate

Partition = tuple[int, ...]

#: Up to so many partitions are all tried.
FEW = 600
_NEVER = float("inf")


def shares_of(partition: Partition) -> tuple[float, ...]:
    """Shares that give exactly this partition: every board has one token beforehand (`prism.partition`)."""
    return tuple(max(float(tokens - 1), SHARES[0]) for tokens in partition)


def best_shares(
    scenario: Scenario, profile: SystemProfile, boards: BoardMix, after_each: Callable[[], None] = lambda: None
) -> tuple[float, ...]:
    """Shares that minimise the simulated latency of the pass.

    Args:
        scenario: the case; its plan's own shares are not looked at.
        profile: what the boards and their link cost.
        boards: how the boards differ.
        after_each: called after each simulated partition.

    Raises:
        InputError: the plan cannot be, whatever the partition.
        InfeasiblePlan: no partition that was tried fits in the boards' memories.
    """
    trial = _Trial(scenario, profile, boards, after_each)
    tokens, devices = scenario.shape.tokens, scenario.plan.devices
    if comb(tokens - 1, devices - 1) <= FEW:
        best = min(_every(tokens, devices), key=lambda partition: (trial.cost(partition), partition))
    else:
        fair = split_by_shares(tokens, [boards.speed(rank) for rank in range(devices)])
        ends = [_descend(start, trial.cost) for start in dict.fromkeys((fair, split_evenly(tokens, devices)))]
        best = min(ends, key=trial.cost)
    if trial.cost(best)[0] == _NEVER:
        trial.run(best)  # says why not
    return shares_of(best)


#: Seconds of the pass, and bytes that its boards lack. The second leads a search to where boards have room.
_Cost = tuple[float, float]


class _Trial:
    """What partitions cost, each simulated once."""

    def __init__(
        self, scenario: Scenario, profile: SystemProfile, boards: BoardMix, after_each: Callable[[], None]
    ) -> None:
        self._scenario = scenario
        self._profile = profile
        self._boards = boards
        self._after_each = after_each
        self._known: dict[Partition, _Cost] = {}

    def cost(self, partition: Partition) -> _Cost:
        """Lower is better; infinite seconds where the pass cannot be."""
        if partition not in self._known:
            self._known[partition] = self._find(partition)
            self._after_each()
        return self._known[partition]

    def run(self, partition: Partition) -> _Cost:
        """Simulate it, or raise what speaks against it."""
        return simulate(self._case(partition), self._profile, boards=self._boards).total_s, 0.0

    def _find(self, partition: Partition) -> _Cost:
        try:
            return self.run(partition)
        except InfeasiblePlan:
            return _NEVER, self._lacking_bytes(partition)
        except InputError:
            return _NEVER, _NEVER

    def _case(self, partition: Partition) -> Scenario:
        return replace(self._scenario, plan=replace(self._scenario.plan, shares=shares_of(partition)))

    def _lacking_bytes(self, partition: Partition) -> float:
        schedule = self._case(partition).schedule()
        needs = (memory_use(schedule, rank).total_bytes for rank in range(len(partition)))
        return float(
            sum(max(0, need - self._boards.board(rank, self._profile).usable_bytes) for rank, need in enumerate(needs))
        )


def _every(tokens: int, devices: int) -> Iterator[Partition]:
    """Every partition with a token at least for each board."""
    for cuts in combinations(range(1, tokens), devices - 1):
        yield tuple(end - start for start, end in pairwise((0, *cuts, tokens)))


def _descend(start: Partition, cost: Callable[[Partition], _Cost]) -> Partition:
    """The end of the steepest way down."""
    best, step = start, max(1, sum(start) // 4)
    while step:
        nearest = min(_neighbours(best, step), key=lambda partition: (cost(partition), partition), default=best)
        if cost(nearest) < cost(best):
            best = nearest
        else:
            step //= 2
    return best


def _neighbours(partition: Partition, step: int) -> Iterator[Partition]:
    """Every partition in which one board gave `step` tokens to another."""
    for giver, taker in permutations(range(len(partition)), 2):
        if partition[giver] > step:
            sizes = list(partition)
            sizes[giver] -= step
            sizes[taker] += step
            yield tuple(sizes)
