"""A link's verdict, from figures recorded on a real testbed: no clock runs here."""

from __future__ import annotations

import json

import pytest

from hw.link.verdict import DIRECTIONS, FIT_BYTES, JUDGED_BYTES, Direction, Sample, judge
from prism.units import air_seconds

# Medians at 400 Mbps with real tc: direction, payload bytes, wire bytes, milliseconds.
BURST_4_KB: list[tuple[Direction, int, float, float]] = [
    ("forward", 10_000, 10_925, 0.252),
    ("forward", 12_000, 13_057, 0.294),
    ("forward", 14_000, 15_123, 0.337),
    ("forward", 30_000, 32_187, 0.668),
    ("forward", 60_000, 64_299, 1.343),
    ("forward", 300_000, 320_667, 6.470),
]
BURST_64_KB: list[tuple[Direction, int, float, float]] = [
    ("forward", 10_000, 10_859, 0.160),
    ("forward", 12_000, 12_925, 0.171),
    ("forward", 14_000, 15_057, 0.178),
    ("forward", 30_000, 31_725, 0.200),
    ("forward", 60_000, 63_375, 0.215),
    ("forward", 300_000, 319_479, 5.223),
]


def samples(recorded: list[tuple[Direction, int, float, float]]) -> list[Sample]:
    return [Sample(direction, size, wire, ms / 1e3) for direction, size, wire, ms in recorded]


def ideal(rate_mbps: float, fixed_s: float, stretch: float = 1.0) -> list[Sample]:
    """A link whose judged messages take `stretch` times what they should."""
    return [
        Sample(
            direction,
            size,
            1.05 * size,
            (air_seconds(1.05 * size, rate_mbps) + fixed_s) * (stretch if size in JUDGED_BYTES else 1.0),
        )
        for direction in DIRECTIONS
        for size in (*FIT_BYTES, *JUDGED_BYTES)
    ]


def test_a_small_burst_passes() -> None:
    verdict = judge(samples(BURST_4_KB), 400)
    assert verdict.ok
    assert verdict.worst < 0.05
    assert verdict.payload_efficiency == pytest.approx(300_000 / 320_667)


def test_a_burst_of_64_kb_is_refused_by_every_size_and_told_how_much_passes() -> None:
    verdict = judge(samples(BURST_64_KB), 400)
    assert not verdict.ok
    assert [figure.ratio < 0.9 for figure in verdict.figures] == [True, True, True]
    assert verdict.refusal is not None
    assert "3 of 3 figures" in verdict.refusal
    assert "60 KB forward took 0.21 ms instead of 1." in verdict.refusal
    assert "pass unshaped" in verdict.refusal
    assert "\n" not in verdict.refusal


@pytest.mark.parametrize("fixed_ms", [-0.3, 0.0, 0.4])
def test_the_fixed_cost_is_found_whatever_its_sign(fixed_ms: float) -> None:
    verdict = judge(ideal(100, fixed_ms / 1e3), 100)
    assert verdict.ok
    assert verdict.fixed_s == pytest.approx(dict.fromkeys(DIRECTIONS, fixed_ms / 1e3))
    assert [figure.ratio for figure in verdict.figures] == pytest.approx([1.0] * 9)


@pytest.mark.parametrize(("stretch", "ok"), [(0.94, False), (0.96, True), (1.04, True), (1.06, False)])
def test_five_percent_either_way_is_the_limit(stretch: float, ok: bool) -> None:
    assert judge(ideal(400, 1e-4, stretch), 400).ok is ok


def test_a_link_that_does_not_reach_its_rate_is_told_so() -> None:
    refusal = judge(ideal(400, 1e-4, 1.5), 400).refusal
    assert refusal is not None
    assert "does not reach the rate" in refusal


def test_one_bad_direction_is_enough() -> None:
    mixed = [one for one in ideal(400, 1e-4) if one.direction != "reverse"]
    mixed += [one for one in ideal(400, 1e-4, 0.8) if one.direction == "reverse"]
    verdict = judge(mixed, 400)
    assert {figure.direction for figure in verdict.figures if abs(figure.ratio - 1) > 0.05} == {"reverse"}
    assert not verdict.ok


def test_a_wrong_rate_is_refused() -> None:
    assert not judge(ideal(400, 1e-4), 360).ok
    assert not judge(ideal(400, 1e-4), 440).ok


def test_medians_shrug_off_a_few_slow_messages() -> None:
    noisy = [one for one in ideal(400, 1e-4) for _ in range(5)]
    noisy += [Sample(one.direction, one.payload_bytes, one.wire_bytes, 10 * one.seconds) for one in ideal(400, 1e-4)]
    assert judge(noisy, 400).ok


def test_nonsense_is_no_pass() -> None:
    broken = [Sample(one.direction, one.payload_bytes, one.wire_bytes, float("nan")) for one in ideal(400, 1e-4)]
    assert not judge(broken, 400).ok


@pytest.mark.parametrize("kept", [FIT_BYTES, JUDGED_BYTES])
def test_both_small_and_large_messages_are_needed(kept: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="message"):
        judge([one for one in ideal(400, 1e-4) if one.payload_bytes in kept], 400)


def test_every_figure_is_in_the_record() -> None:
    verdict = judge(samples(BURST_64_KB), 400, provenance={"method": "tbf"})
    record = json.loads(json.dumps(verdict.as_dict()))
    assert record["ok"] is False
    assert record["provenance"] == {"method": "tbf"}
    assert [figure["payload_bytes"] for figure in record["figures"]] == list(JUDGED_BYTES)
    assert record["figures"][0]["ratio"] == pytest.approx(verdict.figures[0].ratio)
