"""Over drawn systems and links: no request is lost, probes keep to their share, nobody beats the oracle."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy, Observation
from prism.policy.estimate import FilterSettings, observe
from prism.policy.loop import Requests, serve
from prism.policy.objective import Objective
from prism.policy.summary import compare
from prism.streams.arrivals import Batching
from prism.streams.bandwidth import BandwidthTrace
from tests.helpers.policy import FULL, LOCAL, SPLIT, ScriptedBackend, a_map

rates = st.one_of(st.just(0.0), st.floats(20.0, 1000.0))


@st.composite
def traces(draw: st.DrawFn) -> BandwidthTrace:
    pieces = draw(st.lists(st.tuples(st.floats(0.5, 30.0), rates), min_size=1, max_size=6))
    times = [0.0]
    for length_s, _ in pieces[:-1]:
        times.append(times[-1] + length_s)
    return BandwidthTrace(tuple(times), tuple(mbps for _, mbps in pieces))


@st.composite
def costs(draw: st.DrawFn) -> tuple[float, float, float]:
    return draw(st.floats(0.01, 0.2)), draw(st.floats(0.0, 0.5)), draw(st.floats(0.1, 10.0))


@given(traces(), costs(), st.integers(1, 16))
def test_every_request_is_answered_and_probes_keep_to_their_share(
    trace: BandwidthTrace, cost: tuple[float, float, float], batch: int
) -> None:
    local_s, fixed_s, mbit = cost

    def seconds(plan: Plan, batch: int, mbps: float) -> tuple[float, float]:
        if plan == LOCAL:
            return local_s * batch, 0.0
        communication_s = mbit * batch / mbps * (10 if plan == FULL else 1)
        return fixed_s + local_s * batch / 2 + communication_s, communication_s

    policy = AdaptivePolicy(a_map(seconds=seconds), Objective(), 1)
    backend = ScriptedBackend(trace.at, seconds)
    served, state = serve(policy, backend, Requests(60, None, Batching(batch)))
    assert len(served) == 60
    # One probe's answer may take longer than was expected of it.
    longest_s = max((probe.seconds for probe in backend.probes), default=0.0)
    assert state.charged_s <= 0.05 + 0.01 * backend.time_s + longest_s
    found = compare(policy, served, state, backend)
    assert found is not None
    assert found.regret_pct >= -1e-9
    assert found.oracle <= found.local * (1 + 1e-12)


@given(st.lists(st.floats(0.01, 1e5), min_size=1, max_size=50), st.floats(1e-3, 5.0))
def test_the_estimate_stays_within_what_was_seen(seen: list[float], noise: float) -> None:
    estimate = None
    for index, mbps in enumerate(seen):
        estimate = observe(estimate, mbps, noise, float(index), FilterSettings())
        assert math.log(min(seen)) - 1e-9 <= estimate.log_mbps <= math.log(max(seen)) + 1e-9
        assert 0 < estimate.uncertainty < math.inf


@given(st.integers(1, 32), st.floats(0.01, 1e5), st.floats(0.01, 1e5))
def test_the_choice_is_within_the_margin_of_the_best(batch: int, before: float, now: float) -> None:
    policy = AdaptivePolicy(a_map(LOCAL, SPLIT, FULL), Objective(), 1)
    state = policy.decide(policy.start(), Observation(0.0, batch, before))[1]
    decision, _ = policy.decide(state, Observation(0.0, batch, now))
    chosen = next(found for found in decision.candidates if found.plan == decision.order.plan)
    best_s = min(found.total_s for found in decision.candidates)
    assert best_s >= (1 - policy.tuning.margin) * chosen.total_s * (1 - 1e-12)
