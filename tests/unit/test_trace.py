"""Spans as a Chrome trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

from prism.catalogue import shape_of
from prism.plan import Plan
from prism.profile import SystemProfile, load_profile
from prism.record import Measurement
from prism.scenario import Scenario
from prism.trace import chrome_trace, write_trace
from sim.simulate import simulate
from tests.helpers.strategies import scenarios, systems

THREADS = {"compute": 0, "staging": 1, "transfer": 2, "waiting": 3}


def traced(devices: int = 3) -> Measurement:
    plan = Plan("segment_means", devices, 10)
    scenario = Scenario(shape_of("vit_base_patch16_224"), 8, 400.0, plan)
    return simulate(scenario, load_profile("orin_nano_published"), trace=True)


def test_processes_and_threads_are_named() -> None:
    events = chrome_trace(traced().spans, label="simulated")["traceEvents"]
    processes = {event["pid"]: event["args"]["name"] for event in events if event["name"] == "process_name"}
    assert processes == {
        0: "simulated: rank 0 (terminal device)",
        1: "simulated: rank 1",
        2: "simulated: rank 2",
    }
    threads = {
        (event["pid"], event["tid"]): event["args"]["name"] for event in events if event["name"] == "thread_name"
    }
    assert threads == {(rank, tid): stage for rank in range(3) for stage, tid in THREADS.items()}


@given(scenarios(), systems())
def test_every_span_is_one_complete_event_and_stages_add_up_to_the_record(
    scenario: Scenario, profile: SystemProfile
) -> None:
    result = simulate(scenario, profile, trace=True)
    trace = chrome_trace(result.spans, label="x")
    assert set(trace) == {"traceEvents", "displayTimeUnit"}
    assert trace["displayTimeUnit"] == "ms"
    complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    assert {event["ph"] for event in trace["traceEvents"]} <= {"X", "M"}
    assert len(complete) == len(result.spans)
    for event, span in zip(complete, result.spans, strict=True):
        assert event["dur"] > 0
        assert event["ts"] == pytest.approx(span.start_s * 1e6)
        assert event["ts"] + event["dur"] == pytest.approx(span.end_s * 1e6)
        assert (event["pid"], event["tid"], event["cat"]) == (span.rank, THREADS[span.stage], span.stage)
        assert event["args"]["bytes"] == span.nbytes
    for rank, times in enumerate(result.ranks):
        for stage, seconds in (("compute", times.compute_s), ("staging", times.staging_s)):
            spent = sum(event["dur"] for event in complete if (event["pid"], event["cat"]) == (rank, stage))
            assert spent == pytest.approx(seconds * 1e6, rel=1e-9, abs=1e-3)


def test_names_carry_the_block_and_communication_its_bytes() -> None:
    events = chrome_trace(traced(2).spans, label="x")["traceEvents"]
    names = {event["name"] for event in events if event["ph"] == "X" and event["pid"] == 0}
    assert {"embed", "head", "block 0", "block 11", "exchange 0", "stage_exchange 11", "wait_exchange 0"} <= names
    (exchange,) = (event for event in events if event["pid"] == 0 and event["name"] == "exchange 3")
    assert exchange["args"]["bytes"] == 8 * 10 * 768 * 4


def test_the_file_is_the_trace_as_json(tmp_path: Path) -> None:
    spans = traced(2).spans
    write_trace(tmp_path / "deep" / "pass.json", spans, label="x")
    kept = json.loads((tmp_path / "deep" / "pass.json").read_text(encoding="utf-8"))
    assert kept == json.loads(json.dumps(chrome_trace(spans, label="x")))
