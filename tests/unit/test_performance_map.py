"""The performance map: closed forms between its points, words outside of them, and refusals of other systems."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.policy.build_map import build_map
from prism.policy.performance_map import PerformanceMap, map_json, read_map, write_map
from prism.policy.regret import regret
from prism.profile import load_profile
from prism.record import Energy, Measurement, RankTimes
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.command import changed, run_python

MODEL = "vit_base_patch16_224"
LOCAL, SPLIT, FULL = Plan(), Plan("segment_means", 2, 10), Plan("full_tensor", 2)
MACHINE = {"board": "Orin Nano", "power mode": "15W"}
NOON = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
BATCHES, BANDWIDTHS = (1, 2, 4, 8, 16, 32), tuple(float(mbps) for mbps in range(200, 1000, 100))


def run(plan: Plan, batch: int, mbps: float, total_s: float, **more: Any) -> Measurement:
    return Measurement("measured", MODEL, batch, mbps, plan, total_s, (RankTimes(total_s, 0, 0, 0),), **more)


def closed_form(batch: int, mbps: float) -> float:
    return 0.1 + 0.02 * batch + 4.0 * batch / mbps


def a_map(batches: tuple[int, ...] = (1, 8), bandwidths: tuple[float, ...] = (200.0, 400.0, 800.0)) -> PerformanceMap:
    split = [run(SPLIT, batch, mbps, closed_form(batch, mbps)) for batch in batches for mbps in bandwidths]
    return build_map([*split, *(run(LOCAL, batch, 1.0, 0.05 * batch) for batch in batches)], MACHINE, NOON)


@pytest.mark.parametrize("batch", [1, 2, 5, 8])
@pytest.mark.parametrize("mbps", [200.0, 237.0, 400.0, 555.5, 800.0])
def test_between_points_it_is_exact_for_affine_in_batch_and_one_over_bandwidth(batch: int, mbps: float) -> None:
    got = a_map().predict(SPLIT, batch, mbps)
    assert got.total_s == pytest.approx(closed_form(batch, mbps), rel=1e-12)
    assert got.extrapolated == ()


def test_slower_than_measured_goes_on_and_faster_than_measured_does_not_and_both_say_so() -> None:
    table = a_map()
    slow, fast = table.predict(SPLIT, 8, 100.0), table.predict(SPLIT, 8, 1600.0)
    assert slow.total_s == pytest.approx(closed_form(8, 100.0))
    assert slow.extrapolated == ("bandwidth 100 Mbps (measured: 200 to 800)",)
    assert fast.total_s == closed_form(8, 800.0)
    assert fast.extrapolated == ("bandwidth 1600 Mbps (measured: 200 to 800)",)


def test_batches_outside_go_on_straight_and_say_so() -> None:
    got = a_map((2, 8)).predict(SPLIT, 32, 400.0)
    assert got.total_s == pytest.approx(closed_form(32, 400.0))
    assert got.extrapolated == ("batch 32 (measured: 2 to 8)",)
    assert a_map((2, 8)).predict(SPLIT, 1, 400.0).total_s == pytest.approx(closed_form(1, 400.0))


def test_a_batch_outside_takes_no_less_than_a_smaller_and_no_more_than_as_many_single_ones() -> None:
    falling = build_map([run(LOCAL, 4, 1.0, 1.0), run(LOCAL, 8, 1.0, 0.9)], MACHINE, NOON)
    assert falling.predict(LOCAL, 16, 1.0).total_s == 0.9
    steep = build_map([run(LOCAL, 4, 1.0, 0.1), run(LOCAL, 8, 1.0, 1.0)], MACHINE, NOON)
    assert steep.predict(LOCAL, 2, 1.0).total_s == 0.05
    single = build_map([run(LOCAL, 4, 1.0, 1.0)], MACHINE, NOON)
    assert [single.predict(LOCAL, batch, 1.0).total_s for batch in (2, 8)] == [1.0, 2.0]


def test_local_holds_at_every_bandwidth() -> None:
    table = a_map()
    assert {table.predict(LOCAL, 8, mbps).total_s for mbps in (0.01, 200.0, 9999.0)} == {0.4}
    assert table.predict(LOCAL, 8, 0.01).extrapolated == ()


def test_noise_that_rises_with_bandwidth_is_levelled_by_the_runs_behind_it() -> None:
    noisy = [run(SPLIT, 1, 200.0, 1.0), run(SPLIT, 1, 400.0, 1.3), run(SPLIT, 1, 400.0, 1.3), run(SPLIT, 1, 800.0, 0.5)]
    table = build_map(noisy, MACHINE, NOON)
    assert table.curves[0].total_s == (1.0, 1.3, 0.5)  # stored as it was measured
    assert [table.predict(SPLIT, 1, mbps).total_s for mbps in (200.0, 300.0, 400.0)] == pytest.approx([1.2] * 3)


def test_medians_spreads_stages_and_energies() -> None:
    runs = [
        run(LOCAL, 1, 1.0, total, energy=None if total == 9.0 else Energy((total, 1.0), "VDD_IN"))
        for total in (1.0, 1.2, 9.0)
    ]
    table = build_map(runs, MACHINE, NOON)
    curve = table.curves[0]
    assert (curve.total_s, curve.runs) == ((1.2,), (3,))
    assert curve.spread_s == pytest.approx((0.2,))
    assert (curve.compute_s, curve.staging_s, curve.communication_s) == ((1.2,), (0.0,), (0.0,))
    got = table.predict(LOCAL, 1, 1.0)
    assert (got.terminal_j, got.all_boards_j) == pytest.approx((1.1, 2.1))
    assert table.energy_scope == "VDD_IN"
    assert a_map().predict(SPLIT, 1, 200.0).spread_s is None  # one run has no spread, not a spread of 0
    assert a_map().predict(SPLIT, 1, 200.0).terminal_j is None


def test_simulated_maps_keep_where_the_profile_was_left() -> None:
    table = paper_map()
    inside, outside = table.predict(SPLIT, 8, 400.0), table.predict(SPLIT, 8, 450.0)
    assert inside.extrapolated == ()
    assert outside.extrapolated == ("bandwidth 500 Mbps (measured: 400)",)


def paper_map() -> PerformanceMap:
    profile = load_profile("orin_nano_published")
    plans = (LOCAL, FULL, *(Plan("segment_means", 2, segments) for segments in (10, 20, 30)))
    cases = [(plan, b, mbps) for plan in plans for b in BATCHES for mbps in BANDWIDTHS]
    return build_map([simulate(Scenario(shape_of(MODEL), b, w, p), profile) for p, b, w in cases], MACHINE, NOON)


def test_the_papers_grid_is_small_in_a_file(tmp_path: Path) -> None:
    write_map(tmp_path / "map.json", paper_map())
    assert (tmp_path / "map.json").stat().st_size < 100_000
    table = read_map(tmp_path / "map.json")
    assert table == paper_map()
    assert (table.batches, table.bandwidths_mbps) == (BATCHES, BANDWIDTHS)
    assert table.fastest(32, 400.0) == SPLIT
    assert table.fastest(1, 400.0) == LOCAL
    assert table.fastest(32, 400.0, [LOCAL, FULL]) == LOCAL


def test_a_board_reads_a_map_without_numpy(tmp_path: Path) -> None:
    write_map(tmp_path / "map.json", a_map())
    code = (
        "import sys; from pathlib import Path; from prism.policy.performance_map import read_map\n"
        "read_map(Path('map.json')).fastest(3, 300.0)\n"
        "print(sorted({'numpy', 'scipy', 'pandas', 'matplotlib', 'torch', 'simpy'} & set(sys.modules)))"
    )
    done = run_python(code, cwd=tmp_path)
    assert (done.out, done.err) == ("[]\n", "")


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("format", "prism.performance_map/2", "not supported"),
        ("created", "yesterday", "created = 'yesterday' is no ISO 8601 time"),
        ("created", "2026-05-01T12:00:00", "with an offset"),
        ("curves", [], "curves"),
        ("curves.2.total_s", [0.0, 1.0, 1.0], "curves.2.total_s.0"),
        ("curves.2.runs", [1], "runs has 1 entries, total_s 3"),
        ("curves.2.extrapolated", [], "extrapolated has 0 entries"),
        ("curves.2.bandwidth_mbps", [200.0, 800.0, 400.0], "bandwidths must rise"),
        ("curves.2.bandwidth_mbps", [200.0], "bandwidth_mbps has 1 entries"),
        ("curves.0.bandwidth_mbps", [200.0], "local execution has one entry"),
        ("curves.3.batch", 1, "two curves for segment_means P=2 L=10 at batch 1"),
        ("nonsense", 1, "nonsense"),
    ],
)
def test_a_broken_map_is_refused_by_file_and_key(tmp_path: Path, place: str, value: Any, message: str) -> None:
    data = json.loads(map_json(a_map()))
    (tmp_path / "map.json").write_text(json.dumps(changed(data, place, value)), encoding="utf-8")
    with pytest.raises(InputError) as refusal:
        read_map(tmp_path / "map.json")
    assert str(refusal.value).startswith(f"{tmp_path / 'map.json'}: ")
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("model", "machine", "later", "message"),
    [
        ("vit_small_patch16_224", MACHINE, timedelta(), "of model 'vit_base_patch16_224', not 'vit_small_patch16_224'"),
        (MODEL, MACHINE | {"power mode": "7W"}, timedelta(), "of power mode '15W', here it is '7W'"),
        (MODEL, {"board": "Orin Nano"}, timedelta(), "of power mode '15W', here it is unknown"),
        (MODEL, MACHINE, timedelta(days=31), "31.0 days old, at most 30 are allowed"),
        (MODEL, MACHINE, timedelta(hours=-1), "after now"),
    ],
)
def test_another_system_is_refused(model: str, machine: dict[str, str], later: timedelta, message: str) -> None:
    with pytest.raises(InputError, match=message):
        a_map().require_usable(model, machine, NOON + later, timedelta(days=30))


def test_its_own_system_is_not_refused() -> None:
    a_map().require_usable(MODEL, MACHINE | {"colour": "green"}, NOON + timedelta(days=29), timedelta(days=30))
    a_map().require_usable(MODEL, MACHINE, NOON + timedelta(days=9999))
    a_map().require_usable(MODEL, MACHINE, datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))), timedelta(0))


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ([], "at least one run"),
        ([run(LOCAL, 1, 1.0, 1.0), replace(run(LOCAL, 1, 1.0, 1.0), source="simulated")], "several sources"),
        ([run(LOCAL, 1, 1.0, 1.0), replace(run(LOCAL, 1, 1.0, 1.0), model="vit_small_patch16_224")], "several models"),
        ([run(LOCAL, 1, 1.0, 1.0, energy=Energy((1.0,), scope)) for scope in ("a", "b")], "several energy scopes"),
        ([run(SPLIT, 1, 9.0, 1.0, reverse_bandwidth_mbps=mbps) for mbps in (None, 9.0)], "several reverse"),
    ],
)
def test_runs_that_do_not_belong_together_make_no_map(runs: list[Measurement], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_map(runs, MACHINE, NOON)


def test_a_plan_or_a_place_that_it_cannot_know_is_refused() -> None:
    with pytest.raises(InputError, match="does not hold plan full_tensor P=2, only local, segment_means P=2 L=10"):
        a_map().predict(FULL, 1, 200.0)
    with pytest.raises(InputError, match="batch = 0 is out of range"):
        a_map().predict(LOCAL, 0, 200.0)
    with pytest.raises(InputError, match="bandwidth_mbps = 0"):
        a_map().predict(LOCAL, 1, 0.0)


def test_regret_is_what_the_wrong_plan_costs_in_percent_of_the_right_one() -> None:
    truth = build_map([run(LOCAL, 1, 1.0, 1.0), run(SPLIT, 1, 9.0, 1.1)], MACHINE, NOON)
    wrong = build_map([run(LOCAL, 1, 1.0, 1.2), run(SPLIT, 1, 9.0, 1.1)], MACHINE, NOON)
    got = regret(wrong, truth, [(1, 9.0), (1, 5.0)])
    assert (got.mean_pct, got.worst_pct) == pytest.approx((10.0, 10.0))
    assert regret(truth, truth, [(1, 9.0)]).worst_pct == 0.0
    with pytest.raises(InputError, match="at least one decision"):
        regret(truth, truth, [])
