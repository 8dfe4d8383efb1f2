"""A trace on a real link: what is set when, and what a link cannot do."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import pytest

from hw.adaptive.live_link import LiveLink
from prism.errors import InputError
from prism.streams.bandwidth import BandwidthTrace

TRACE = BandwidthTrace((0.0, 1.0, 2.0, 3.0), (400.0, 0.0, 50.0, 400.0))


@dataclass
class Link:
    """Keeps what was done to it."""

    done: list[str] = field(default_factory=list)

    def set_rate(self, mbps: float) -> None:
        self.done.append(f"{mbps:g}")

    def cut(self, off: bool) -> None:
        self.done.append("cut" if off else "restored")


def live(
    trace: BandwidthTrace, link: Link, now_s: list[float], *, concurrent: bool = False, cut: bool = True
) -> LiveLink:
    return LiveLink(
        trace,
        link.set_rate,
        link.cut if cut else None,
        lambda: now_s[0],
        concurrent=concurrent,
        rates_mbps=(20.0, 2000.0),
    )


def test_the_link_follows_when_asked_to_catch_up() -> None:
    link, now_s = Link(), [0.0]
    with live(TRACE, link, now_s) as following:
        for time_s in (0.5, 1.5, 1.7, 2.5, 3.5, 9.0):
            now_s[0] = time_s
            following.catch_up()
    assert link.done == ["400", "cut", "restored", "50", "400"]


def test_a_link_that_was_cut_at_the_end_is_restored() -> None:
    link, now_s = Link(), [0.0]
    with live(TRACE, link, now_s) as following:
        now_s[0] = 1.5
        following.catch_up()
    assert link.done == ["400", "cut", "restored"]


def test_another_thread_follows_by_the_clock() -> None:
    link, began = Link(), time.perf_counter()
    trace = BandwidthTrace((0.0, 0.05, 0.1), (400.0, 50.0, 200.0))
    following = LiveLink(
        trace,
        link.set_rate,
        None,
        lambda: time.perf_counter() - began,
        concurrent=True,
        rates_mbps=(20.0, 2000.0),
    )
    with following:
        deadline = time.perf_counter() + 20
        while len(link.done) < 3 and time.perf_counter() < deadline:
            time.sleep(0.01)
    assert link.done == ["400", "50", "200"]


def test_what_fails_in_the_other_thread_is_told_at_the_next_batch() -> None:
    began = time.perf_counter()

    def breaks(mbps: float) -> None:
        if mbps == 50:
            raise InputError("no such link")

    trace = BandwidthTrace((0.0, 0.02), (400.0, 50.0))
    following = LiveLink(
        trace, breaks, None, lambda: time.perf_counter() - began, concurrent=True, rates_mbps=(20.0, 2000.0)
    )

    def serve_for_a_while() -> None:
        deadline = time.perf_counter() + 20
        while time.perf_counter() < deadline:
            following.catch_up()
            time.sleep(0.01)

    with following, pytest.raises(InputError, match="no such link"):
        serve_for_a_while()


def test_what_a_link_cannot_do_is_refused_before_anything_is_done() -> None:
    link = Link()
    with pytest.raises(InputError, match="has an outage at 1 s, and this link cannot be cut"):
        live(TRACE, link, [0.0], cut=False)
    with pytest.raises(InputError, match="5 Mbps at 1 s; this link takes 20 to 2000"):
        live(BandwidthTrace((0.0, 1.0), (400.0, 5.0)), link, [0.0])
    assert link.done == []
