"""Bandwidth traces and arrivals: what they are by hand, by name and seed, and from files that may be wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from prism.errors import InputError
from prism.streams.arrivals import Batching, arrivals_of, bursts, poisson, read_arrivals
from prism.streams.bandwidth import BandwidthTrace, read_trace, write_trace
from prism.streams.generate import KINDS, Span, trace_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "traces"


def test_a_trace_is_a_staircase() -> None:
    trace = BandwidthTrace((0.0, 10.0, 15.0), (400.0, 0.0, 50.0))
    assert [trace.at(time_s) for time_s in (-1.0, 0.0, 9.99, 10.0, 14.0, 15.0, 1e6)] == [400, 400, 400, 0, 0, 50, 50]
    assert [trace.next_change_s(time_s) for time_s in (0.0, 10.0, 15.0)] == [10, 15, math.inf]
    assert list(trace.pieces()) == [(0, 10, 400), (10, 15, 0), (15, math.inf, 50)]


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("seed", range(5))
def test_each_kind_is_repeatable_and_within_its_span(kind: str, seed: int) -> None:
    span = Span(duration_s=120, low_mbps=30, high_mbps=300, dwell_s=20)
    trace = KINDS[kind](np.random.default_rng(seed), span)
    assert trace == KINDS[kind](np.random.default_rng(seed), span)
    assert trace != KINDS[kind](np.random.default_rng(seed + 100), span)
    assert trace.time_s[-1] < 120
    around = math.exp(0.15)
    assert all(mbps == 0 or 30 / around - 1e-9 <= mbps <= 300 * around + 1e-9 for mbps in trace.bandwidth_mbps)
    assert (0 in trace.bandwidth_mbps) == (kind == "outages")


def test_outages_end() -> None:
    for seed in range(20):
        trace = KINDS["outages"](np.random.default_rng(seed), Span())
        assert trace.bandwidth_mbps[-1] > 0
        assert trace.bandwidth_mbps.count(0.0) >= 2


def test_traces_by_name(tmp_path: Path) -> None:
    assert trace_of("steady:250").bandwidth_mbps == (250,)
    phases = trace_of("phases:400,50,0:30")
    assert (phases.time_s, phases.bandwidth_mbps) == ((0, 30, 60), (400, 50, 0))
    assert trace_of("fades:3").bandwidth_mbps == KINDS["fades"](np.random.default_rng(3), Span()).bandwidth_mbps
    write_trace(tmp_path / "my.csv", phases)
    assert trace_of(str(tmp_path / "my.csv")) == BandwidthTrace(phases.time_s, phases.bandwidth_mbps, "my")


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.csv")), ids=lambda path: path.stem)
def test_the_examples_can_be_read(path: Path) -> None:
    assert len(read_trace(path).time_s) > 5


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "begins with the line 'time_s,bandwidth_mbps'"),
        ("time,mbps\n0,1\n", "begins with the line"),
        ("time_s,bandwidth_mbps\n", "holds no bandwidths"),
        ("time_s,bandwidth_mbps\n1,400\n", ":2: a trace begins at time_s = 0, not 1"),
        ("time_s,bandwidth_mbps\n0,400\n\n5,x\n", ":4: '5,x' is not a time and a bandwidth"),
        ("time_s,bandwidth_mbps\n0,400\n5,300,1\n", ":3: '5,300,1' is not"),
        ("time_s,bandwidth_mbps\n0,400\n5,300\n5,200\n", ":4: time_s = 5 does not come after"),
        ("time_s,bandwidth_mbps\n0,400\nnan,300\n", ":3: time_s = nan"),
        ("time_s,bandwidth_mbps\n0,-1\n", ":2: bandwidth_mbps = -1 must be 0"),
        ("time_s,bandwidth_mbps\n0,nan\n", ":2: bandwidth_mbps = nan must be 0"),
        ("time_s,bandwidth_mbps\n0,inf\n", ":2: bandwidth_mbps = inf must be 0"),
    ],
)
def test_trace_files_that_are_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError) as refused:
        read_trace(tmp_path / "bad.csv")
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("step:1", "unknown trace 'step'; did you mean 'steps'"),
        ("steps:", "'' is no number"),
        ("steps:-1", "seed = -1.0 is out of range"),
        ("steady:0.001", "must be 0 (an outage) or lie"),
        ("phases:400,50", "'' is no number"),
        ("phases:400,50:0", "seconds of a phase = 0.0 is out of range"),
        ("no/such.csv", "cannot be read"),
    ],
)
def test_traces_by_name_that_are_none(text: str, says: str) -> None:
    with pytest.raises(InputError) as refused:
        trace_of(text)
    assert says in str(refused.value)


def test_arrivals_have_the_rate_they_are_asked_for() -> None:
    for make in (poisson, bursts):
        draw: Callable[[np.random.Generator, float, int], tuple[float, ...]] = make
        times = draw(np.random.default_rng(1), 20.0, 20_000)
        assert len(times) == 20_000
        assert list(times) == sorted(times)
        assert 20_000 / times[-1] == pytest.approx(20, rel=0.05)


def test_bursts_come_together_and_poisson_arrivals_do_not() -> None:
    gaps = np.diff(bursts(np.random.default_rng(1), 20.0, 20_000, size=8))
    assert np.mean(gaps == 0) == pytest.approx(7 / 8, abs=0.02)
    single = np.diff(poisson(np.random.default_rng(1), 20.0, 20_000))
    assert np.std(single) / np.mean(single) == pytest.approx(1, abs=0.03)


def test_arrivals_by_name(tmp_path: Path) -> None:
    assert arrivals_of("back-to-back", 5) is None
    assert arrivals_of("poisson:10:3", 5) == poisson(np.random.default_rng(3), 10, 5)
    (tmp_path / "recorded.csv").write_text("# made up\ntime_s\n0\n0.5\n0.5\n")
    assert arrivals_of(str(tmp_path / "recorded.csv"), 99) == (0, 0.5, 0.5)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0\n1\n", "begin with the line 'time_s'"),
        ("time_s\n", "holds no arrivals"),
        ("time_s\n1\nx\n", ":3: 'x' is no time"),
        ("time_s\n1\n0.5\n", ":3: time_s = 0.5 comes before"),
        ("time_s\n-1\n", ":2: time_s = -1 comes before"),
    ],
)
def test_arrival_files_that_are_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(InputError) as refused:
        read_arrivals(tmp_path / "bad.csv")
    assert says in str(refused.value)


@pytest.mark.parametrize("text", ["poisson", "poisson:20", "poisson:x:1", "bursts:20:1.5"])
def test_arrivals_by_name_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=r"write (poisson|bursts):RATE:SEED"):
        arrivals_of(text, 5)


@pytest.mark.parametrize(
    ("batching", "free_s", "ready"),
    [
        (Batching(4, 0.0), 0.0, (1.0, 1)),  # takes the first as soon as it is there
        (Batching(4, 0.15), 0.0, (1.15, 2)),  # waits, and takes who came meanwhile
        (Batching(2, 9.0), 0.0, (1.1, 2)),  # full before the wait is over
        (Batching(4, 9.0), 0.0, (1.3, 4)),
        (Batching(8, 9.0), 0.0, (10.0, 5)),  # never full
        (Batching(4, 0.15), 5.0, (5.0, 4)),  # the boards were busy: no wait on top
        (Batching(1, 5.0), 0.0, (1.0, 1)),
    ],
)
def test_batches_form_up_to_a_limit_or_a_wait(batching: Batching, free_s: float, ready: tuple[float, int]) -> None:
    assert batching.take((1.0, 1.1, 1.2, 1.3, 2.0), 0, free_s) == pytest.approx(ready)
