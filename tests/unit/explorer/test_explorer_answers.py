"""The page's answers beside the simulator's own, the published findings and what the words promise."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from prism.files import to_json
from prism.memory import InfeasiblePlan, memory_use
from prism.plan import Plan
from prism.profile import SystemProfile, load_profile
from prism.record import Measurement
from prism.scenario import Scenario
from sim.explorer.answer import answer
from sim.explorer.breakdown import breakdown
from sim.explorer.crossover_map import BANDWIDTHS_MBPS, BATCHES, crossover_map
from sim.explorer.headline import Headline, headline
from sim.explorer.objectives import OBJECTIVES
from sim.explorer.pareto import dominates, pareto
from sim.explorer.question import Question, read_question
from sim.simulate import simulate

PUBLISHED = load_profile("orin_nano_published")
PUBLISHED_CASE = read_question("", {PUBLISHED.name: PUBLISHED})


def question(query: str, profile: SystemProfile = PUBLISHED) -> Question:
    return read_question(query, {profile.name: profile})


def simulated(asked: Question, plan: Plan, batch: int, bandwidth_mbps: float) -> Measurement:
    return simulate(Scenario(asked.shape, batch, bandwidth_mbps, plan), asked.profile)


def value(run: Measurement, objective: str) -> float:
    assert run.energy is not None
    every = {
        "latency": run.total_s * 1e3,
        "terminal-energy": run.energy.terminal_j,
        "all-energy": run.energy.all_boards_j,
        "energy-delay": run.energy.all_boards_j * run.total_s,
    }
    return every[objective]


def says(query: str, profile: SystemProfile = PUBLISHED) -> Headline:
    asked = question(query, profile)
    return headline(asked, breakdown(asked))


def small_memory(memory_bytes: int) -> SystemProfile:
    return replace(PUBLISHED, board=replace(PUBLISHED.board, memory_bytes=memory_bytes, reserved_bytes=0))


@pytest.mark.parametrize(
    "query", ["", "batch=1&bandwidth=200", "boards=4&cr=4.925&model=vit_small_patch16_224&batch=30"]
)
def test_bars_are_what_the_simulator_says(query: str) -> None:
    asked = question(query)
    local = simulated(asked, Plan(), asked.batch, asked.bandwidth_mbps)
    for plan, bar in zip(asked.plans(), breakdown(asked), strict=True):
        run = simulated(asked, plan, asked.batch, asked.bandwidth_mbps)
        assert run.energy is not None
        assert bar.total_ms == pytest.approx(run.total_s * 1e3, rel=1e-9)
        assert (bar.terminal_j, bar.all_boards_j) == pytest.approx((run.energy.terminal_j, run.energy.all_boards_j))
        assert bar.change_pct == pytest.approx(100 * (run.total_s / local.total_s - 1), abs=1e-9)
        assert bar.extrapolated == run.extrapolated
        assert len(bar.boards) == len(run.ranks)
        for board, times in zip(bar.boards, run.ranks, strict=True):
            parts = (board.compute_ms, board.staging_ms, board.transfer_ms, board.waiting_ms)
            wanted = (times.compute_s, times.staging_s, times.transfer_s, times.waiting_s)
            assert parts == pytest.approx([1e3 * seconds for seconds in wanted], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_map_names_the_least_of_the_simulators_values(objective: str) -> None:
    asked = question(f"objective={objective}")
    cells = crossover_map(asked)
    for row, column in itertools.product(range(0, len(BATCHES), 5), range(0, len(BANDWIDTHS_MBPS), 6)):
        index = row * len(BANDWIDTHS_MBPS) + column
        runs = [simulated(asked, plan, BATCHES[row], BANDWIDTHS_MBPS[column]) for plan in asked.plans()]
        wanted = [value(run, objective) for run in runs]
        assert [values[index] for values in cells.values] == pytest.approx(wanted, rel=1e-9)
        assert cells.best[index] == wanted.index(min(wanted))
        assert cells.split_saves_pct[index] == pytest.approx(100 * (1 - min(wanted[1:]) / wanted[0]), abs=1e-6)
        assert [flags[index] for flags in cells.extrapolated] == [bool(run.extrapolated) for run in runs]


def test_the_map_frames_what_was_measured_and_nothing_else() -> None:
    cells = crossover_map(question(""))
    assert cells.measured is not None
    assert (cells.measured.batch, cells.measured.bandwidth_mbps) == ((1, 32), (400.0, 400.0))
    assert crossover_map(question("boards=3")).measured is None
    assert crossover_map(question("model=vit_small_patch16_224")).measured is None


def test_the_published_choice_is_given() -> None:
    """arXiv 2605.25682, table 2, 400 Mbps: local wins at batch 1, 2 and 4, Segment Means at 8, 16 and 32."""
    verdicts = {batch: says(f"batch={batch}").verdict for batch in (1, 2, 4, 8, 16, 32)}
    assert verdicts == {1: "stay", 2: "stay", 4: "stay", 8: "split", 16: "split", 32: "split"}


def test_the_sentence_has_the_simulators_numbers() -> None:
    asked = question("batch=32")
    local, means = (simulated(asked, plan, 32, 400) for plan in (asked.plans()[0], asked.plans()[2]))
    found = says("batch=32")
    saved = 100 * (1 - means.total_s / local.total_s)
    assert found.sentence == (
        f"At batch 32 and 400 Mbps, split over 2 boards with L = 10: {saved:.0f} % less time than one board."
    )
    assert found.detail.startswith(f"{means.total_s * 1e3:.4g} ms a batch with L = 10, {local.total_s * 1e3:.4g} ms on")
    assert found.extrapolated == ()


def test_where_splitting_starts_to_pay_is_where_the_simulator_turns() -> None:
    asked = question("")
    plans = asked.plans()

    def pays(batch: int) -> bool:
        local, *splits = (simulated(asked, plan, batch, 400).total_s for plan in plans)
        return min(splits) < local

    first = next(batch for batch in range(1, 65) if pays(batch))
    assert says("").detail.endswith(f"splitting pays from batch {first} up.")
    assert not pays(first - 1)


def test_what_was_not_measured_is_said() -> None:
    assert says("bandwidth=300").extrapolated == ("bandwidth 300 Mbps (measured: 400)",)
    assert (
        "model vit_small_patch16_224 (measured: vit_base_patch16_224)"
        in says("model=vit_small_patch16_224").extrapolated
    )


def test_a_plan_that_does_not_fit_says_why() -> None:
    needed = [
        memory_use(Scenario(PUBLISHED_CASE.shape, 64, 400, plan).schedule(), 0) for plan in PUBLISHED_CASE.plans()
    ]
    between = (needed[0].total_bytes + max(use.total_bytes for use in needed[1:])) // 2
    asked = question("batch=64", small_memory(between))
    with pytest.raises(InfeasiblePlan) as reason:
        simulated(asked, asked.plans()[0], 64, 400)
    local, *_ = breakdown(asked)
    assert local.refusal == str(reason.value)
    assert (local.total_ms, local.boards, local.value) == (None, (), None)
    cells = crossover_map(asked)
    assert cells.values[0][-1] is None
    assert cells.split_saves_pct[-1] is None
    assert cells.best[-1] in (1, 2)
    found = headline(asked, breakdown(asked))
    assert (found.verdict, found.detail) == ("split", str(reason.value))
    assert found.sentence.endswith("one board cannot hold it.")


def test_where_nothing_fits_there_is_nothing_to_choose() -> None:
    found = answer(question("batch=64", small_memory(1_000_000)))
    assert found.headline.verdict == "neither"
    assert found.headline.sentence == "At batch 64 and 400 Mbps, no plan fits in a board's memory."
    assert set(found.map.best) == {None}
    assert found.pareto == ()


@pytest.mark.parametrize("query", ["", "batch=1", "objective=all-energy&batch=32", "boards=3&bandwidth=50"])
def test_efficient_plans_are_those_that_none_beats(query: str) -> None:
    points = pareto(question(query))
    costs = [(point.total_ms, point.energy_j or 0.0, max(1.0, point.compression_rate)) for point in points]
    for point, cost in zip(points, costs, strict=True):
        beaten = any(all(a <= b for a, b in zip(other, cost, strict=True)) and other != cost for other in costs)
        assert point.efficient is not beaten
    assert [point.plan for point in points if point.chosen] == [question(query).plans()[-1].label]


def test_deep_models_on_many_boards_get_fewer_points_with_both_ends_among_them() -> None:
    few, many = (pareto(question(f"model=vit_large_patch16_224&boards={boards}")) for boards in (8, 2))
    drawn = [[point.segments for point in points if point.segments is not None] for points in (few, many)]
    assert 4 <= len(drawn[0]) < len(drawn[1])
    assert [(segments[0], segments[-1]) for segments in drawn] == [(1, 25), (1, 99)]


def test_less_is_better_and_equal_beats_nothing() -> None:
    assert dominates((1, 2), (1, 3))
    assert not dominates((1, 2), (1, 2))
    assert not dominates((1, 4), (2, 3))


def test_a_profile_that_the_twin_leaves_to_simpy_gives_a_coarser_map() -> None:
    skewed = replace(PUBLISHED, skew=0.05)
    asked = question("", skewed)
    cells = crossover_map(asked)
    assert cells.batches == BATCHES[::3]
    run = simulated(asked, asked.plans()[2], cells.batches[1], cells.bandwidths_mbps[2])
    assert cells.values[2][len(cells.bandwidths_mbps) + 2] == pytest.approx(run.total_s * 1e3)


def test_without_power_there_are_times_and_no_energies() -> None:
    found = answer(question("", replace(PUBLISHED, power=None)))
    assert [bar.all_boards_j for bar in found.breakdown] == [None, None, None]
    assert {point.energy_j for point in found.pareto} == {None}
    assert "NaN" not in to_json(found)
