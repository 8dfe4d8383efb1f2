"""The loop on a backend in closed form: every request is answered, the log says why, and the sums are right."""

from __future__ import annotations

import json

import pytest

from prism.policy.adaptive import AdaptivePolicy
from prism.policy.backend import BatchEnergy
from prism.policy.log import RunFacts, decision_log, log_text
from prism.policy.loop import Requests, metered, serve
from prism.policy.objective import Objective
from prism.policy.summary import MapTruth, compare, percentile, summary
from prism.streams.arrivals import Batching
from prism.streams.bandwidth import BandwidthTrace
from tests.helpers.policy import LOCAL, SPLIT, ScriptedBackend, a_map, closed_form

BACK_TO_BACK = Requests(100, None, Batching(8))


def fresh() -> AdaptivePolicy:
    return AdaptivePolicy(a_map(), Objective(), 1)


def test_a_good_link_is_found_by_a_probe_and_used_from_the_first_batch() -> None:
    backend = ScriptedBackend(lambda _: 400.0)
    served, state = serve(fresh(), backend, BACK_TO_BACK)
    assert [order.plan for _, order in backend.orders] == [SPLIT] * 100
    assert [order.index for _, order in backend.orders] == list(range(100))
    assert len(backend.probes) == 1
    assert state.probed_s == backend.probes[0].seconds
    assert sum(done.decision.switched for done in served) == 0


def test_a_step_down_costs_one_slow_pass_and_a_step_up_a_few_local_ones() -> None:
    backend = ScriptedBackend(lambda time_s: 40.0 if 15 < time_s < 45 else 400.0)
    serve(fresh(), backend, Requests(200, None, Batching(8)))
    slow = [order.plan for time_s, order in backend.orders if 15 < time_s < 45]
    again = [order.plan for time_s, order in backend.orders if time_s >= 45]
    assert slow[:1] == [SPLIT]
    assert set(slow[1:]) == {LOCAL}
    assert again.index(SPLIT) <= 4
    assert set(again[again.index(SPLIT) :]) == {SPLIT}


def test_an_outage_loses_no_request_and_is_over_soon_after_it_is() -> None:
    backend = ScriptedBackend(lambda time_s: 0.0 if 15 < time_s < 30 else 400.0)
    served, state = serve(fresh(), backend, BACK_TO_BACK)
    assert len(served) == 100
    assert sum(bool(done.outcome.lost) for done in served) == 1
    during = [order.plan for time_s, order in backend.orders if 16 < time_s < 30]
    assert set(during) == {LOCAL}
    first_back_s = next(time_s for time_s, order in backend.orders if time_s > 30 and order.plan == SPLIT)
    assert first_back_s < 37
    assert state.probed_s < 0.05 + 0.01 * backend.time_s


def test_probes_take_at_most_one_percent() -> None:
    backend = ScriptedBackend(lambda _: 30.0)
    _, state = serve(fresh(), backend, Requests(500, None, Batching(8)))
    assert len(backend.probes) > 20
    assert sum(probe.seconds for probe in backend.probes) == pytest.approx(state.probed_s)
    assert state.probed_s <= 0.05 + 0.01 * backend.time_s


def test_samples_that_arrive_are_served_in_batches() -> None:
    arrivals = [0.5 * index for index in range(8)] + [5.0] * 20
    backend = ScriptedBackend(lambda _: 400.0)
    served, _ = serve(fresh(), backend, Requests(0, arrivals, Batching(8)))
    assert sum(done.samples for done in served) == 28
    assert [done.samples for done in served[-3:]] == [8, 8, 4]
    assert all(time_s >= arrivals[0] for time_s, _ in backend.orders)
    assert all(waited_s >= 0 for done in served for waited_s in done.waited_s)


def test_a_run_can_be_ended_by_time() -> None:
    served, _ = serve(fresh(), ScriptedBackend(lambda _: 400.0), BACK_TO_BACK, stop_s=5.0)
    assert 5 / 0.36 - 1 < len(served) < 5 / 0.36 + 1


def test_the_log_says_what_was_seen_weighed_chosen_and_got() -> None:
    trace = BandwidthTrace((0.0, 0.5), (400.0, 390.0), "two pieces")
    requests = Requests(3, None, Batching(8))
    served, _ = serve(fresh(), ScriptedBackend(lambda _: 400.0), requests)
    facts = RunFacts("sim", "vit", "latency", requests.label, trace.name, trace.digest)
    lines = [json.loads(text) for text in log_text(decision_log(served, facts, trace)).splitlines()]
    first = lines[0]
    assert len(lines) == 3
    assert first["format"] == "prism.decision/2"
    assert first["run"]["requests"] == "3 batches of 8, back to back"
    assert [line["link"] for line in (first, lines[2])] == [
        {"bandwidth_mbps": 400.0, "since_s": 0.0},
        {"bandwidth_mbps": 390.0, "since_s": 0.5},
    ]
    assert first["observation"]["batch"] == 8
    assert first["estimate"]["bandwidth_mbps"] == pytest.approx(400)
    assert {found["plan"]: pytest.approx(found["total_s"]) for found in first["candidates"]} == {
        "local": 0.48,
        "segment_means P=2 L=10": 0.36,
        "full_tensor P=2": 0.72,
    }
    assert first["choice"]["plan"] == "segment_means P=2 L=10"
    assert first["outcome"]["total_s"] == pytest.approx(0.36)


def test_sums_against_local_distributed_and_the_oracle() -> None:
    """Two batches by hand: one split at 400 Mbps, one split when it should have been local."""
    trace = BandwidthTrace((0.0, 0.3), (400.0, 32.0))
    backend = ScriptedBackend(trace.at)
    policy = fresh()
    served, state = serve(policy, backend, Requests(2, None, Batching(8)))
    assert [done.decision.order.plan for done in served] == [SPLIT, SPLIT]
    found = compare(policy, served, state, backend)
    assert found is not None
    split_s = closed_form(SPLIT, 8, 32.0)[0]
    assert found.oracle == pytest.approx(0.36 + 0.48)
    assert found.local == pytest.approx(0.96)
    assert found.distributed == pytest.approx(0.36 + split_s)
    assert found.policy == pytest.approx(0.36 + split_s + state.probed_s)
    assert found.regret_pct == pytest.approx(100 * (found.policy / 0.84 - 1))
    by_map = compare(policy, served, state, MapTruth(policy.table, trace))
    assert by_map is not None
    assert by_map.oracle == pytest.approx(found.oracle)
    result = summary(policy, served, state, found)
    assert result["requests"] == 2
    assert result["samples"] == 16
    assert result["lost"] == 0
    assert result["decisions"] == {"segment_means P=2 L=10": 2}
    assert result["latency_ms"]["p50"] == pytest.approx(360)


def test_energies_that_nobody_metered_are_not_compared() -> None:
    policy = AdaptivePolicy(a_map(watts=lambda _: 5.0), Objective("all-energy"), 1)
    backend = ScriptedBackend(lambda _: 400.0)
    served, state = serve(policy, backend, Requests(2, None, Batching(8)))
    assert compare(policy, served, state, backend) is None
    assert summary(policy, served, state, None)["regret_pct"] is None


def test_energies_that_became_known_afterwards_are_counted_by_plan() -> None:
    policy = fresh()
    served, state = serve(policy, ScriptedBackend(lambda _: 400.0), Requests(4, None, Batching(8)))
    known = metered(served, {0: BatchEnergy(2.0, 3.0), 2: BatchEnergy(4.0, None)})
    assert [done.outcome.terminal_j for done in known] == [2.0, None, 4.0, None]
    found = summary(policy, known, state, None)
    assert found["terminal_j"] is None  # of two batches it is unknown
    assert found["energy_by_plan"] == {
        "segment_means P=2 L=10": {"batches": 4, "metered": 2, "terminal_j": 3.0, "all_boards_j": 3.0}
    }


def test_percentiles_are_of_the_nearest_rank() -> None:
    values = [float(value) for value in range(1, 11)]
    assert [percentile(values, percent) for percent in (50, 90, 99, 100)] == [5, 9, 10, 10]
    assert percentile([3.0], 50) == 3.0
