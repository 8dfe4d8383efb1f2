"""Two runs side by side: what agrees, what is noise, and which runs cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from prism.errors import InputError
from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy
from prism.policy.agreement import agreement, agreement_summary
from prism.policy.log import CandidateRow, LogLine, RunFacts, decision_log, log_text, read_log
from prism.policy.loop import Requests, serve
from prism.policy.objective import Objective
from prism.streams.arrivals import Batching
from prism.streams.bandwidth import BandwidthTrace
from tests.helpers.policy import LOCAL, SPLIT, ScriptedBackend, Seconds, a_map, closed_form

TRACE = BandwidthTrace((0.0, 18.0, 46.0), (400.0, 40.0, 200.0), "three phases")
REQUESTS = Requests(150, None, Batching(8))


def logged(seconds: Seconds = closed_form, trace: BandwidthTrace = TRACE, backend: str = "sim") -> list[LogLine]:
    """A run whose boards take what `seconds` says, decided by the map of the closed form."""
    policy = AdaptivePolicy(a_map(LOCAL, SPLIT), Objective(), 1)
    served, _ = serve(policy, ScriptedBackend(trace.at, seconds), REQUESTS)
    facts = RunFacts(backend, policy.table.model, "latency", REQUESTS.label, trace.name, trace.digest)
    return decision_log(served, facts, trace)


def slower(plan: Plan, batch: int, mbps: float) -> tuple[float, float]:
    """Boards that take 4 % longer than the map says."""
    total_s, communication_s = closed_form(plan, batch, mbps)
    return total_s * 1.04, communication_s * 1.04


def line(
    plan: str, time_s: float, costs: dict[str, float], *, batch: int = 8, spread_s: float | None = None
) -> LogLine:
    """A decision of a handwritten log, on a steady link."""
    first = logged_first()
    return replace(
        first,
        observation=replace(first.observation, time_s=time_s, batch=batch),
        link=replace(first.link, since_s=0.0),
        candidates=tuple(CandidateRow(name, cost, None, None, cost, spread_s) for name, cost in costs.items()),
        choice=replace(first.choice, plan=plan),
    )


def logged_first() -> LogLine:
    return _FIRST


_FIRST = logged()[0]


def test_a_run_agrees_with_itself() -> None:
    lines = logged()
    found = agreement(lines, lines)
    assert (found.agree, found.inside_noise, found.disagree, found.unpaired) == (150, 0, 0, 0)
    assert found.agreement_pct == 100
    assert found.latency_ratio == 1
    assert [phase.bandwidth_mbps for phase in found.phases] == [400, 40, 200]
    assert sum(phase.batches[0] for phase in found.phases) == 150
    assert all(phase.latency_ratio == 1 for phase in found.phases)


def test_slower_boards_decide_alike_though_every_request_comes_at_another_time() -> None:
    """Request for request the phases are up to six batches apart, and a third of one would be missed."""
    found = agreement(logged(slower, backend="hw"), logged())
    assert found.backends == ("hw", "sim")
    assert found.agreement_pct is not None
    assert found.agreement_pct > 97
    assert found.latency_ratio == pytest.approx(1.04, abs=0.01)
    assert [phase.latency_ratio for phase in found.phases][1] == pytest.approx(1.04, abs=0.03)


def test_a_system_that_decides_otherwise_is_told() -> None:
    """Splitting never pays on these boards, and after five passes their worker is left out again and again."""

    def useless(plan: Plan, batch: int, mbps: float) -> tuple[float, float]:
        total_s, communication_s = closed_form(plan, batch, mbps)
        return total_s + (0.4 if plan == SPLIT else 0.0), communication_s

    found = agreement(logged(useless), logged())
    first, second, _ = found.phases
    assert first.agreement_pct is not None
    assert first.agreement_pct < 60
    assert second.agreement_pct is not None
    assert second.agreement_pct > 80
    assert agreement_summary(found)["phases"][0]["disagree"] == first.disagree > 5


@pytest.mark.parametrize(
    ("other_s", "spread_s", "noise", "verdict"),
    [
        (1.02, None, 0.03, "inside_noise"),
        (1.04, None, 0.03, "disagree"),
        (1.04, None, 0.05, "inside_noise"),
        (1.04, 0.02, 0.03, "inside_noise"),  # 1.48 sqrt(0.02^2 + 0.02^2) = 4.2 %
        (1.04, 0.01, 0.03, "disagree"),
    ],
)
def test_noise_is_what_is_given_or_what_the_map_repeats_to(
    other_s: float, spread_s: float | None, noise: float, verdict: str
) -> None:
    costs = {"local": 1.0, "split": other_s}
    mine, theirs = line("local", 1.0, costs, spread_s=spread_s), line("split", 1.0, costs, spread_s=spread_s)
    found = agreement([mine], [theirs], noise)
    assert {"inside_noise": found.inside_noise, "disagree": found.disagree}[verdict] == 1
    assert found.agreement_pct == (0 if verdict == "disagree" else None)


def test_either_run_may_be_the_one_that_weighed_both() -> None:
    unknown, knowing = line("local", 1.0, {"local": 1.0}), line("split", 1.0, {"local": 1.01, "split": 1.0})
    assert agreement([unknown], [knowing]).inside_noise == 1
    assert agreement([knowing], [unknown]).inside_noise == 1
    assert agreement([unknown], [line("split", 1.0, {"split": 1.0})]).disagree == 1


def test_the_counterpart_is_the_nearest_in_time_of_the_same_size() -> None:
    costs = {"local": 1.0, "split": 2.0}
    theirs = [line("local", 0.0, costs), line("split", 1.0, costs), line("local", 2.0, costs, batch=4)]
    found = agreement([line("split", 0.6, costs), line("local", 0.4, costs), line("split", 9.0, costs)], theirs)
    assert (found.agree, found.unpaired) == (3, 0)
    assert agreement([line("local", 0.0, costs, batch=2)], theirs).unpaired == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"model": "vit_small_patch16_224"}, "differ in model"),
        ({"objective": "deadline 400 ms"}, "differ in objective"),
        ({"requests": "10 batches of 8, back to back"}, "differ in requests: '150 batches of 8, back to back' here"),
        ({"trace": "fades:7"}, "differ in trace: 'three phases' here, 'fades:7' in the log"),
        ({"trace_digest": "0"}, "different traces of the name 'three phases'"),
    ],
)
def test_runs_of_another_task_are_refused(change: dict[str, str], says: str) -> None:
    other = replace(_FIRST, run=replace(_FIRST.run, **change))
    with pytest.raises(InputError, match=says):
        agreement([_FIRST], [other])


def test_a_log_reads_back(tmp_path: Path) -> None:
    lines = logged()
    (tmp_path / "log.jsonl").write_text(log_text(lines))
    assert read_log(tmp_path / "log.jsonl") == lines


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ([], "holds no decisions"),
        (['{"format":"prism.decision/1"}'], r"log.jsonl:1: format 'prism.decision/1' is not supported"),
        (["GOOD", "{"], r"log.jsonl:2: not valid JSON"),
        (["GOOD", "OTHER"], r"log.jsonl:2: a line of another run"),
    ],
)
def test_a_log_that_is_none_is_refused_with_file_and_line(tmp_path: Path, broken: Sequence[str], says: str) -> None:
    other = replace(_FIRST, run=replace(_FIRST.run, backend="hw"))
    texts = {"GOOD": log_text([_FIRST]).strip(), "OTHER": log_text([other]).strip()}
    path = tmp_path / "log.jsonl"
    path.write_text("".join(texts.get(text, text) + "\n" for text in broken))
    with pytest.raises(InputError, match=says):
        read_log(path)
