"""What the self-test sends, and when it makes more repeats, on links played by a formula."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hw.link.selftest import IDLE_S, PATIENCE, PLAN, self_test
from hw.link.wire import acknowledgement_bytes, frame_bytes, payload_efficiency
from prism.units import air_seconds

REPEATS = 3


class PlayedLink:
    """A half-duplex link at 400 Mbps behind a token bucket, which counts what passes."""

    def __init__(self, burst_bytes: float = 0.0, noise: Callable[[int], float] | None = None) -> None:
        self.burst_bytes = burst_bytes
        self.noise = noise
        self.passed = 0.0
        self.sent: list[tuple[int, int]] = []

    def send(self, to_server: int, to_client: int, idle_s: float) -> float:
        assert idle_s == IDLE_S == 0.05
        self.sent.append((to_server, to_client))
        wire = float(sum(frame_bytes(size) + acknowledgement_bytes(size) for size in (to_server, to_client)))
        self.passed += wire
        shaped = air_seconds(max(0.0, wire - self.burst_bytes), 400)
        return (1e-4 + shaped) * (self.noise(len(self.sent)) if self.noise else 1.0)


def test_sizes_and_directions_alternate_after_idle_time() -> None:
    link = PlayedLink()
    ticks: list[None] = []
    verdict = self_test(link, 400, half_duplex=True, repeats=REPEATS, progress=lambda: ticks.append(None))
    assert verdict.ok
    assert len(link.sent) == len(ticks) == REPEATS * len(PLAN)
    assert link.sent[: len(PLAN)] == link.sent[len(PLAN) : 2 * len(PLAN)]
    assert {(30_000, 0), (0, 30_000), (30_000, 30_000), (300_000, 300_000)} <= set(link.sent)


def test_counted_and_reckoned_bytes_agree_on_this_link() -> None:
    counted, reckoned = PlayedLink(), PlayedLink()
    with_counter = self_test(counted, 400, half_duplex=True, wire_counter=lambda: counted.passed, repeats=REPEATS)
    without = self_test(reckoned, 400, half_duplex=True, repeats=REPEATS)
    assert with_counter.wire_bytes_counted
    assert not without.wire_bytes_counted
    assert [one.wire_bytes for one in with_counter.figures] == pytest.approx(
        [one.wire_bytes for one in without.figures]
    )


@pytest.mark.parametrize(("burst", "ok"), [(4_000, True), (16_000, False), (65_536, False)])
def test_a_burst_is_refused_once_it_bends_the_line(burst: float, ok: bool) -> None:
    assert self_test(PlayedLink(burst), 400, half_duplex=True, repeats=REPEATS).ok is ok


def test_a_clear_refusal_comes_at_once() -> None:
    link = PlayedLink(65_536)
    self_test(link, 400, half_duplex=True, repeats=REPEATS)
    assert len(link.sent) == REPEATS * len(PLAN)


def test_a_refusal_that_noise_may_explain_waits_for_more_repeats() -> None:
    first = REPEATS * len(PLAN)
    link = PlayedLink(noise=lambda sent: 1.1 if sent <= first and sent % len(PLAN) > 9 else 1.0)
    assert self_test(link, 400, half_duplex=True, repeats=REPEATS).ok
    assert len(link.sent) == PATIENCE * first


def test_a_full_duplex_link_is_not_asked_to_share() -> None:
    assert not self_test(PlayedLink(), 400, half_duplex=False, repeats=REPEATS).ok


def test_headers_of_full_frames() -> None:
    assert payload_efficiency() == pytest.approx(1448 / 1514)
    assert frame_bytes(1448) == 1514
    assert frame_bytes(1449) == 1449 + 2 * 66
    assert acknowledgement_bytes(2 * 1448) == 66
