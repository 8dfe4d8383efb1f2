"""Where a budget goes: closed forms of the expected regret, and what 200 passes cost on synthetic systems."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import pytest

from hw.profiler.budget import beliefs, expected_excess, expected_regret, next_case
from hw.profiler.grid import PAPER_PASSES, Grid, paper_grid
from hw.profiler.noise import PRIOR, Known, known, relative_spreads
from hw.profiler.order import case_of_visit
from hw.profiler.visits import BudgetedSweep
from prism.catalogue import shape_of
from prism.plan import Plan
from prism.policy.build_map import build_map
from prism.policy.performance_map import PerformanceMap
from prism.policy.regret import Regret, regret
from prism.record import Measurement, RankTimes
from prism.scenario import Scenario

LOCAL, SPLIT, FULL = Plan(), Plan("segment_means", 2, 10), Plan("full_tensor", 2)
NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
GRID = Grid(shape_of("vit_base_patch16_224"), (1,), (200.0, 400.0, 800.0), (LOCAL, SPLIT))
Times = dict[Scenario, list[float]]


def test_expected_excess_is_the_normal_laws() -> None:
    assert expected_excess(0.0, 2.0) == pytest.approx(2.0 / math.sqrt(2 * math.pi))
    assert expected_excess(1.0, 0.0) == 0.0
    draws = np.random.default_rng(1).normal(0.7, 1.3, 400_000)
    assert expected_excess(0.7, 1.3) == pytest.approx(float(np.maximum(-draws, 0).mean()), rel=0.01)


def test_expected_regret_is_relative_to_the_best_and_none_without_a_choice() -> None:
    assert expected_regret([(2.0, 0.3)]) == 0.0
    assert expected_regret([(2.0, 0.3), (2.0, 0.4)]) == pytest.approx(0.5 / math.sqrt(2 * math.pi) / 2.0)
    assert expected_regret([(2.0, 0.01), (3.0, 0.01)]) < 1e-12


def test_between_measured_bandwidths_the_curve_itself_is_uncertain() -> None:
    got = beliefs(GRID, {200.0: Known(2.0, 0.1, 2), 800.0: Known(1.0, 0.2, 2)})
    u = (1 / 400 - 1 / 800) / (1 / 200 - 1 / 800)
    shape = 1.0 * u * (1 - u)
    assert got[1] == pytest.approx((1 + u, math.sqrt((0.2 * (1 - u)) ** 2 + (0.1 * u) ** 2 + shape**2)))
    assert (got[0], got[2]) == ((2.0, 0.1), (1.0, 0.2))


def test_spread_is_of_differences_and_one_pass_that_was_held_up_makes_its_own_case_uncertain_alone() -> None:
    cases = paper_grid().cases
    rng = np.random.default_rng(3)
    runs = {case: [1.0 * math.exp(x) for x in rng.normal(0, 0.02, 2)] for case in cases if case.plan == SPLIT}
    held_up = next(iter(runs))
    runs[held_up] = [1.0, 2.0]
    spread, of_plan = relative_spreads(runs)
    assert of_plan[SPLIT] == pytest.approx(0.02, rel=0.4)
    assert spread[held_up] > 10 * of_plan[SPLIT]
    assert relative_spreads({cases[0]: [1.0]})[0] == {cases[0]: pytest.approx(PRIOR)}
    assert known([1.0, 1.1, 9.0], 0.1).time_s == 1.1
    assert known([1.0] * 9, 0.1).error_s < known([1.0] * 3, 0.1).error_s < known([1.0], 0.1).error_s


def test_the_next_visit_goes_to_the_near_decision() -> None:
    """Local takes 1 s; the split is far slower at 200, far faster at 800, and level with it at 400."""
    local, low, middle, high = (GRID.case(LOCAL, 1, 1.0), *(GRID.case(SPLIT, 1, w) for w in GRID.bandwidths_mbps))
    sure = [1.0, 1.01, 0.99, 1.0] * 5
    runs: Times = {local: sure, low: [5.0, 5.1], middle: [1.0, 1.02], high: [0.2, 0.21]}
    assert next_case(GRID, runs, 2) == middle
    del runs[middle]
    runs[low], runs[high] = [1.8, 1.83], [0.6, 0.61]
    assert next_case(GRID, runs, 2) == middle  # never measured, and the crossover lies there
    runs = {local: [1.0], low: [1.0] * 20, middle: [1.0] * 20, high: [1.0] * 20}
    assert next_case(GRID, runs, 2) == local
    assert next_case(GRID, {}, 2) is None


def test_clear_decisions_leave_the_rest_to_what_is_known_worst() -> None:
    local, low, middle, high = (GRID.case(LOCAL, 1, 1.0), *(GRID.case(SPLIT, 1, w) for w in GRID.bandwidths_mbps))
    runs: Times = {local: [1.0] * 9, low: [50.0] * 9, middle: [40.0], high: [30.0] * 9}
    assert next_case(GRID, runs, 2) == middle


def test_plans_that_the_policy_may_be_left_with_count_as_decisions_of_their_own() -> None:
    grid = Grid(GRID.shape, (1,), (400.0,), (LOCAL, SPLIT, FULL))
    local, split, full = (grid.case(plan, 1, 400.0) for plan in grid.plans)
    runs: Times = {local: [1.0] * 20, split: [0.3] * 20, full: [1.0, 1.01]}
    assert next_case(grid, runs, 1, ((LOCAL, FULL),)) == full


@dataclass(frozen=True)
class System:
    """A closed-form machine: fixed costs, compute by share, staging by bytes, a link that may saturate, and noise.

    `held_up` of the passes take 1.3 to 2.5 times as long; `drift` is the amplitude of a slow wave over the session.
    """

    split_fixed_s: float = 0.11
    split_share: float = 0.5
    staging_s_per_mb: float = 0.0024
    saturates_mbps: float = math.inf
    noise: float = 0.05
    held_up: float = 0.0
    drift: float = 0.0

    def total_s(self, case: Scenario) -> float:
        if case.plan.mode == "local":
            return 0.022 + 0.058 * case.batch
        segments = case.plan.segments
        megabytes = 12 * case.plan.sent_tokens(case.shape.tokens)[0] * 768 * 4 * case.batch / 1e6
        compute = 0.116 * (self.split_share + 0.0008 * (99 if segments is None else segments)) * case.batch / 2
        air = 2 * megabytes * 8 / min(case.bandwidth_mbps, self.saturates_mbps)
        return self.split_fixed_s + 2 * compute * 0.5 + self.staging_s_per_mb * megabytes + air

    def passes(self, seed: int) -> Callable[[Scenario], float]:
        rng, count = np.random.default_rng([seed, 99]), iter(range(10**9))

        def one(case: Scenario) -> float:
            wave = 1 + self.drift * math.sin(next(count) / 60)
            held = rng.uniform(1.3, 2.5) if rng.random() < self.held_up else 1.0
            return self.total_s(case) * math.exp(rng.normal(0, self.noise)) * wave * held

        return one


SYSTEMS = {
    "Amdahl": System(),
    "near everywhere": System(split_fixed_s=0.022, split_share=0.75),
    "link saturates": System(saturates_mbps=450, split_share=0.7, noise=0.08, held_up=0.03),
    "fast staging, drift": System(split_fixed_s=0.05, staging_s_per_mb=0.0002, drift=0.1),
    "noisy, held up, drift": System(noise=0.12, held_up=0.05, drift=0.05),
}


def map_of(times: Times) -> PerformanceMap:
    runs = [
        Measurement("measured", c.shape.name, c.batch, c.bandwidth_mbps, c.plan, t, (RankTimes(t, 0, 0, 0),))
        for c, own in times.items()
        for t in own
    ]
    return build_map(runs, {}, NOON)


def budgeted(grid: Grid, one: Callable[[Scenario], float], passes: int, seed: int) -> Times:
    """What `Sweep` does, without files."""
    visits = BudgetedSweep(grid, seed, passes)
    times: Times = {}
    number = 0
    while (visit := visits.visit(number, times)) is not None:
        times.setdefault(visit.case, []).extend([one(visit.case) for _ in range(visit.passes)])
        number += 1
    assert sum(map(len, times.values())) == passes
    return times


def decisions(grid: Grid) -> list[tuple[int, float]]:
    """Those of the grid, and those between its bandwidths."""
    mbps = [*grid.bandwidths_mbps, *(low + 50 for low in grid.bandwidths_mbps[:-1])]
    return [(batch, at) for batch in grid.batches for at in mbps]


def costs(system: System, seed: int, passes: int = 200) -> tuple[Regret, Regret, Regret]:
    """Regret of the budget's map against the full sweep's, and of both against the truth."""
    grid = paper_grid()
    truth = map_of({case: [system.total_s(case)] for case in grid.cases})
    one = system.passes(seed)
    full: Times = {}
    for number in range(PAPER_PASSES):
        case = case_of_visit(grid.cases, seed, number)
        full.setdefault(case, []).append(one(case))
    small, large = map_of(budgeted(grid, system.passes(seed + 1000), passes, seed)), map_of(full)
    where = decisions(grid)
    return regret(small, large, where), regret(small, truth, where), regret(large, truth, where)


@pytest.mark.parametrize("name", SYSTEMS)
def test_200_passes_cost_at_most_a_point_against_the_full_sweep(name: str) -> None:
    against_full, against_truth, _ = costs(SYSTEMS[name], seed=1)
    assert against_full.mean_pct <= 1.0
    assert against_truth.mean_pct <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", SYSTEMS)
def test_over_many_seeds_200_passes_cost_little(name: str) -> None:
    """A point on average; with each seed too, but where 12 % noise and passes that are held up come together."""
    means = [costs(SYSTEMS[name], seed)[0].mean_pct for seed in range(8)]
    assert sum(means) / len(means) <= 1.0
    assert max(means) <= 1.0 or name == "noisy, held up, drift"


def test_the_same_runs_give_the_same_continuation() -> None:
    grid = paper_grid()
    system = SYSTEMS["Amdahl"]
    assert budgeted(grid, system.passes(1), 110, 5) == budgeted(grid, system.passes(1), 110, 5)


def test_near_decisions_get_the_passes_and_beat_spending_them_evenly() -> None:
    system, grid = SYSTEMS["noisy, held up, drift"], paper_grid()
    truth = map_of({case: [system.total_s(case)] for case in grid.cases})
    near, even = [], []
    for seed in (1, 2):
        near.append(regret(map_of(budgeted(grid, system.passes(seed), 200, seed)), truth, decisions(grid)).mean_pct)
        one = system.passes(seed)
        times: Times = {}
        for number in range(200):
            case = case_of_visit(grid.cases, seed, number)
            times.setdefault(case, []).append(one(case))
        even.append(regret(map_of(times), truth, decisions(grid)).mean_pct)
    assert sum(near) < sum(even) / 2
