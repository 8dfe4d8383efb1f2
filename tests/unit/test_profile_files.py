"""Broken profile files are refused with the file's name and what is wrong; good ones come back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prism.errors import InputError
from prism.profile import load_profile, profile_json, shipped_profiles
from tests.helpers.command import changed, shipped_profile


def test_the_shipped_profile_comes_back_as_it_was(tmp_path: Path) -> None:
    assert shipped_profiles() == ("orin_nano_published",)
    profile = load_profile("orin_nano_published")
    path = tmp_path / "mine.json"
    path.write_text(profile_json(replace(profile, name="mine")), encoding="utf-8")
    assert load_profile(str(path)) == replace(profile, name="mine")


def refusal_of(path: Path) -> str:
    with pytest.raises(InputError) as refusal:
        load_profile(str(path))
    text = str(refusal.value)
    assert "\n" not in text
    assert str(path) in text
    return text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"null", "not a prism.profile file"),
        (b"[]", "not a prism.profile file"),
        (b'"prism.profile/1"', "not a prism.profile file"),
        (b"{}", "not a prism.profile file"),
        (b'{"format": 1}', "not a prism.profile file"),
        (b'{"format": "prism.profile/2"}', "format 'prism.profile/2' is not supported, this release reads"),
        (b'{"format": "prism.profile/0"}', "is not supported"),
        (b'{"format": "prism.measurement/1"}', "not a prism.profile file"),
        (b'{"format": "prism.profile/1"}', "name: Field required"),
        (b"\x89PNG\r\n\x1a\n\x00", "not a UTF-8 text file"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_profile(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    assert message in refusal_of(path)


def test_a_profile_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    text = json.dumps(shipped_profile())
    path = tmp_path / "cut.json"
    for length in range(0, len(text) - 1, 97):
        path.write_text(text[:length], encoding="utf-8")
        assert "not valid JSON" in refusal_of(path)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("compute.segment_means.scale_s", -1.0, "compute.segment_means.scale_s: "),
        ("compute.segment_means.fixed_s", -1e-9, "compute.segment_means.fixed_s: "),
        ("compute.segment_means.fixed_s", 1e308, "compute.segment_means.fixed_s: "),
        ("compute.segment_means.exponent", 1e9, "compute.segment_means.exponent: "),
        ("compute.segment_means.exponent", -1.0, "compute.segment_means.exponent: "),
        ("compute.segment_means.exponent", float("nan"), "compute.segment_means.exponent: "),
        ("compute.local.form", "cubic", "compute.local.form: "),
        ("compute.local.driver", "MB", "'compute local' is driven by MB, must be GFLOP"),
        ("compute.local.exponent", 1.1, "of form 'affine' must have exponent = 1"),  # of form affine
        ("compute.fast", {}, "compute.fast.[key]: Input should be 'local'"),
        ("staging.full_tensor.fixed_s", "0.1", "staging.full_tensor.fixed_s: "),
        ("staging.full_tensor.driver", "GFLOP", "is driven by GFLOP, must be MB"),
        ("link.transfer.scale_s", -1.0, "link.transfer.scale_s: "),
        ("link.transfer.scale_s", float("inf"), "link.transfer.scale_s: "),
        ("link.transfer.valid_from", -1.0, "link.transfer.valid_from: "),
        ("link.reference_bandwidth_mbps", 0.0, "link.reference_bandwidth_mbps: "),
        ("link.reference_bandwidth_mbps", -400.0, "link.reference_bandwidth_mbps: "),
        ("link.relay", "yes", "link.relay: "),
        ("power.idle_w", -3.0, "power.idle_w: "),
        ("power.boards", 0, "power.boards: "),
        ("power.boards", 10**8, "power.boards: "),
        ("power.by_mode.local.compute_w", -1.0, "power.by_mode.local.compute_w: "),
        ("board.memory_bytes", -5, "board.memory_bytes: "),
        ("board.memory_bytes", 1e9, "board.memory_bytes: "),
        ("board.memory_bytes", 10, "board: board 'Jetson Orin Nano 8 GB' reserves more"),  # less than is reserved
        ("validity.batch", [32, 1], "validity: batch runs backwards, from 32 to 1"),
        ("validity.batch", [1], "validity.batch"),
        ("validity.bandwidth_mbps", [400.0, 100.0], "bandwidth_mbps runs backwards"),
        ("provenance.runs", "many", "provenance.runs: "),
        ("nonsense", 1, "nonsense: "),
        ("link.nonsense", 1, "link.nonsense: "),
        ("name", None, "name: "),
    ],
)
def test_values_out_of_range_are_refused(tmp_path: Path, place: str, value: Any, said: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(changed(shipped_profile(), place, value)), encoding="utf-8")
    assert said in refusal_of(path)


def test_no_such_profile() -> None:
    with pytest.raises(InputError, match="orin_nano_published"):
        load_profile("orin_nono")


def test_an_absurdly_long_name_is_refused_as_well() -> None:
    with pytest.raises(InputError):
        load_profile("a" * 5000)


def test_every_cost_model_of_the_shipped_profile_says_how_well_it_fits() -> None:
    profile = load_profile("orin_nano_published")
    assert set(profile.provenance.rms_residual_pct) == set(profile.cost_models())
    assert profile.provenance.cases == 18
    assert profile.provenance.runs == 360
    for model in profile.cost_models().values():
        assert model.stderr
        assert all(error > 0 for error in model.stderr.values())
        assert 0 < model.valid_from < model.valid_to
    assert "2605.25682" in profile.provenance.source
    assert profile.assumed
