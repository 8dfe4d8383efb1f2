"""From measurements to a profile: the shipped one is rebuilt, and a simulated system is found again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from calibration.build import calibrate
from calibration.observation import compute_observation, link_observation, staging_observation
from calibration.published import PUBLISHED_FACTS, published_measurements, read_table
from prism.catalogue import shape_of
from prism.cost import COEFFICIENTS
from prism.errors import InputError
from prism.plan import Plan
from prism.profile import SystemProfile, load_profile
from prism.record import Measurement
from prism.scenario import Scenario
from sim.simulate import simulate
from tests.helpers.command import Cli

SHIPPED = load_profile("orin_nano_published")
VIT_B = shape_of("vit_base_patch16_224")
PLANS = (Plan(), Plan("segment_means", 2, 10), Plan("full_tensor", 2))
BATCHES = (1, 2, 4, 8, 16, 32)


def assert_same_costs(rebuilt: SystemProfile, original: SystemProfile, *, rel: float, link_rel: float) -> None:
    assert set(rebuilt.cost_models()) == set(original.cost_models())
    for stage, model in rebuilt.cost_models().items():
        for name in COEFFICIENTS:
            expected = getattr(original.cost_models()[stage], name)
            assert getattr(model, name) == pytest.approx(expected, rel=link_rel if stage == "link" else rel), (
                stage,
                name,
            )


def test_the_shipped_profile_is_rebuilt_whole() -> None:
    """Coefficients to 1e-6; everything that is not a fit exactly."""
    rebuilt = calibrate(published_measurements(), PUBLISHED_FACTS).profile
    assert_same_costs(rebuilt, SHIPPED, rel=1e-6, link_rel=1e-6)
    for stage, model in rebuilt.cost_models().items():
        shipped = SHIPPED.cost_models()[stage]
        assert (model.form, model.driver) == (shipped.form, shipped.driver)
        assert model.stderr == pytest.approx(shipped.stderr, rel=1e-4)
        assert (model.valid_from, model.valid_to) == (shipped.valid_from, shipped.valid_to)
    assert rebuilt.board == SHIPPED.board
    assert rebuilt.validity == SHIPPED.validity
    assert rebuilt.assumed == SHIPPED.assumed
    assert rebuilt.link.reference_bandwidth_mbps == 400.0
    assert rebuilt.power is not None
    assert SHIPPED.power is not None
    for mode, stage_power in rebuilt.power.by_mode.items():
        assert stage_power.compute_w == pytest.approx(SHIPPED.power.by_mode[mode].compute_w, rel=1e-6)


def test_published_measurements_are_the_tables() -> None:
    runs = published_measurements()
    table = read_table("latency")
    assert len(runs) == len(table) == 18
    for run, (_, row) in zip(runs, table.iterrows(), strict=True):
        assert (run.plan.mode, run.batch) == (row["mode"], row["batch"])
        assert run.total_s * 1e3 == pytest.approx(row["total_ms"])
        assert run.terminal.compute_s * 1e3 == pytest.approx(row["compute_ms"])
        assert run.terminal.staging_s * 1e3 == pytest.approx(row["staging_ms"])
        assert run.terminal.communication_s * 1e3 == pytest.approx(row["communication_ms"])
        assert run.terminal.total_s == pytest.approx(run.total_s, rel=0.002)
        assert (run.source, run.runs) == ("published", 20)
    assert sum(run.energy is not None for run in runs) == 12  # table 4: full_tensor, and the mode that was chosen


def simulated(
    profile: SystemProfile, plans: Sequence[Plan] = PLANS, batches: Sequence[int] = BATCHES
) -> list[Measurement]:
    return [simulate(Scenario(VIT_B, batch, 400.0, plan), profile) for plan in plans for batch in batches]


def test_a_simulated_system_is_found_again() -> None:
    """Compute and staging exactly; communication to the little that boards are out of step."""
    rebuilt = calibrate(simulated(SHIPPED), PUBLISHED_FACTS).profile
    assert_same_costs(rebuilt, SHIPPED, rel=1e-6, link_rel=0.005)


def test_a_system_twice_as_fast_is_found_to_be() -> None:
    faster = replace(
        SHIPPED,
        compute={mode: replace(m, fixed_s=m.fixed_s / 2, scale_s=m.scale_s / 2) for mode, m in SHIPPED.compute.items()},
    )
    rebuilt = calibrate(simulated(faster), PUBLISHED_FACTS).profile
    assert_same_costs(rebuilt, faster, rel=1e-6, link_rel=0.01)


def test_calibration_by_the_command_line_finds_the_profile_that_made_the_records(cli: Cli, tmp_path: Path) -> None:
    """simulate -> records -> calibrate -> a profile that simulates the same."""
    lines = []
    for mode in (["--mode", "local"], ["--mode", "full_tensor"], ["--mode", "segment_means", "--segments", "10"]):
        for batch in BATCHES:
            assert cli("simulate", *mode, "--batch", str(batch), "--record", "one.jsonl", "--json").code == 0
            lines.append((tmp_path / "one.jsonl").read_text(encoding="utf-8"))
    (tmp_path / "runs.jsonl").write_text("".join(lines), encoding="utf-8")
    done = cli("calibrate", "runs.jsonl", "--out", "mine.json", "--json")
    assert done.code == 0
    assert done.json["profile"] == "mine"
    assert done.json["largest_difference_from_shipped"] is None
    rebuilt = load_profile(str(tmp_path / "mine.json"))
    assert_same_costs(rebuilt, SHIPPED, rel=1e-6, link_rel=0.005)
    again = cli("simulate", "--segments", "10", "--batch", "8", "--profile", "mine.json", "--json")
    assert again.json["total_ms"] == pytest.approx(
        cli("simulate", "--segments", "10", "--batch", "8", "--json").json["total_ms"], rel=1e-3
    )
    assert rebuilt.provenance.source.startswith("simulated runs")


def test_calibrate_without_a_file_prints_the_shipped_coefficients(cli: Cli, tmp_path: Path) -> None:
    done = cli("calibrate", "--out", "again.json", "--json")
    assert done.code == 0
    assert done.json["largest_difference_from_shipped"] <= 1e-6
    assert set(done.json["coefficients"]) == set(SHIPPED.cost_models())
    for stage, fitted in done.json["coefficients"].items():
        for name in COEFFICIENTS:
            assert fitted[name] == pytest.approx(getattr(SHIPPED.cost_models()[stage], name), rel=1e-6)
        assert fitted["stderr"]
        assert [score["form"] for score in done.json["forms_tried"][stage]] == ["affine", "power", "offset_power"]
    link = done.json["effective_link"]
    assert link["throttle_label_mbps"] == 400.0
    assert link["goodput_30_kb_mbps"] < link["goodput_300_kb_mbps"] < link["goodput_3000_kb_mbps"]
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))["name"] == "orin_nano_published"


def test_a_coefficient_that_left_the_shipped_profile_is_a_failed_gate(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = published_measurements()
    runs[0] = replace(runs[0], ranks=(replace(runs[0].terminal, compute_s=runs[0].terminal.compute_s * 1.001),))
    monkeypatch.setattr("calibration.published.published_measurements", lambda: runs)
    done = cli("calibrate", "--json")
    assert done.code == 1
    assert done.json["largest_difference_from_shipped"] > 1e-6
    assert "differs from the shipped profile" in done.err


def test_runs_that_allow_no_fit_are_refused() -> None:
    local = simulated(SHIPPED, [Plan()])
    with pytest.raises(InputError, match="no distributed run: the link cannot be calibrated"):
        calibrate(local, PUBLISHED_FACTS)
    with pytest.raises(InputError, match=r"stage 'compute local': .*three batch sizes"):
        calibrate(simulated(SHIPPED, batches=[1, 2]), PUBLISHED_FACTS)


def test_observations_count_the_schedules_steps() -> None:
    """Segment Means at batch 8: 12 blocks, 24 copies, 12 rounds of two messages and the control message."""
    (run,) = simulated(SHIPPED, [PLANS[1]], [8])
    (term,) = compute_observation(run).terms
    assert term.fixed_count == term.weight
    assert 12 < term.weight < 12.2  # embedding and head in units of a block
    (copies,) = staging_observation(run).terms
    assert (copies.fixed_count, copies.weight, copies.x) == (24, 24, 8 * 10 * 768 * 4 / 1e6)
    latencies, control, means = link_observation(run, 400.0).terms
    assert (latencies.fixed_count, latencies.weight) == (13, 0)
    assert (control.weight, control.x) == (1, 256 / 1e6)
    assert (means.weight, means.x) == (24, 8 * 10 * 768 * 4 / 1e6)
    halved = link_observation(replace(run, bandwidth_mbps=200.0), 400.0).terms
    assert halved[2].weight == 48
