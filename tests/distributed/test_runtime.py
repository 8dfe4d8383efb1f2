"""A pass over real GLOO between real processes: its answer and its record are the schedule's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("torch")

import torch

from hw.runtime.recorder import without_flops
from hw.runtime.settings import Settings
from hw.runtime.terminal import Answer, Terminal
from prism.cli.boards import on_testbed
from prism.errors import InputError
from prism.plan import Plan
from prism.schedule import build_schedule

pytestmark = [pytest.mark.torch, pytest.mark.slow]

MODELS = ("test_vit", "test_vit2")  # class token; average pooling, where workers send results
RANKS = 4


@pytest.fixture(scope="module", params=MODELS)
def terminal(request: pytest.FixtureRequest) -> Iterator[Terminal]:
    with on_testbed(Settings(request.param, timeout_s=30), RANKS, 800, "--meter", "none") as boards:
        boards.terminal.set_bandwidth(800)
        yield boards.terminal


def plans(devices: int) -> list[Plan]:
    return [
        Plan(
            mode,  # type: ignore[arg-type]
            devices,
            segments,
            exchange=exchange,
            input_distribution=distribution,
            first_exchange=first,
        )
        for mode, segments in (("full_tensor", None), ("segment_means", 5))
        for exchange in ("blocking", "preposted")
        for distribution in ("replicated", "image", "tokens")
        for first in (True, False)
    ]


def unsplit(terminal: Terminal, answer: Answer, batch: int) -> torch.Tensor:
    from hw.runtime.rank_pass import sample_images

    with torch.inference_mode():
        logits: torch.Tensor = terminal.model(sample_images(terminal.model, batch, terminal.settings.seed))
    assert logits.shape == answer.logits.shape
    return logits


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_what_every_rank_did_is_the_schedule(terminal: Terminal, devices: int) -> None:
    for plan in plans(devices):
        prepared = terminal.prepare(plan, 2)
        for _ in range(2):  # the second pass finds buffers in use and receives posted before
            answer = prepared.run()
            expected = build_schedule(terminal.shape, plan, 2).ranks
            for rank, taken in enumerate(answer.timelines):
                assert [step.step for step in taken] == [without_flops(step) for step in expected[rank]], (plan, rank)


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_whole_tensors_and_as_many_means_as_tokens_answer_as_the_unsplit_model(
    terminal: Terminal, devices: int
) -> None:
    largest = max(Plan("full_tensor", devices).partition(terminal.shape.tokens))
    for plan in plans(devices):
        exact = Plan(
            plan.mode,
            devices,
            None if plan.segments is None else largest,
            exchange=plan.exchange,
            input_distribution=plan.input_distribution,
            first_exchange=plan.first_exchange,
        )
        answer = terminal.prepare(exact, 2).run()
        assert distance(answer.logits, unsplit(terminal, answer, 2)) <= 1e-4, exact


def test_unequal_shares_and_half_precision_on_the_wire(terminal: Terminal) -> None:
    shares = Plan("full_tensor", 3, shares=(3, 1, 2))
    answer = terminal.prepare(shares, 1).run()
    assert distance(answer.logits, unsplit(terminal, answer, 1)) <= 1e-4
    halves = Plan("full_tensor", 2, wire_dtype="float16", exchange="preposted")
    answer = terminal.prepare(halves, 1).run()
    exact = unsplit(terminal, answer, 1)
    assert 1e-7 < distance(answer.logits, exact) <= 1e-2
    expected = build_schedule(terminal.shape, halves, 1)
    assert [step.step for step in answer.timelines[1]] == list(map(without_flops, expected.ranks[1]))


def test_local_asks_nothing_of_the_workers(terminal: Terminal) -> None:
    answer = terminal.prepare(Plan("local"), 3).run()
    assert distance(answer.logits, unsplit(terminal, answer, 3)) <= 1e-5
    assert len(answer.record.ranks) == 1
    assert answer.record.terminal.communication_s == 0


@pytest.mark.parametrize("exchange", ["blocking", "preposted"])
def test_stages_partition_what_the_user_waits_for(terminal: Terminal, exchange: str) -> None:
    plan = Plan("segment_means", 3, 5, exchange=exchange)  # type: ignore[arg-type]
    prepared = terminal.prepare(plan, 2)
    for _ in range(5):
        answer = prepared.run(spans=True)
        record, steps = answer.record, answer.timelines[0]
        assert record.terminal.total_s == pytest.approx(record.total_s, rel=1e-9)
        assert record.total_s == steps[-1].end_s
        assert [step.begin_s for step in steps[1:]] == [step.end_s for step in steps[:-1]]
        assert record.runtime_s is not None
        assert 0 < record.runtime_s < record.total_s
        for rank in range(3):
            spans = [span for span in record.spans if span.rank == rank]
            assert spans[0].start_s == 0
            ends = [span.end_s for span in spans[:-1]]
            assert [span.start_s for span in spans[1:]] == pytest.approx(ends, abs=1e-9)
            total = sum(span.end_s - span.start_s for span in spans)
            assert record.ranks[rank].total_s == pytest.approx(total)


def test_no_message_ends_before_it_was_sent(terminal: Terminal) -> None:
    prepared = terminal.prepare(Plan("full_tensor", 2), 2)
    for _ in range(5):
        answer = prepared.run(spans=True)
        slack_s = answer.record.clock_uncertainty_s
        assert slack_s is not None
        sent = {
            (rank, step.step.block): step.entered_s
            for rank, steps in enumerate(answer.timelines)
            for step in steps
            if type(step.step).__name__ == "Exchange" and hasattr(step.step, "block")
        }
        for span in answer.record.spans:
            if span.name == "exchange":
                assert span.end_s >= sent[1 - span.rank, span.block] - slack_s


def test_more_boards_than_there_are_is_refused(terminal: Terminal) -> None:
    with pytest.raises(InputError, match="needs 5 boards and there are 4"):
        terminal.prepare(Plan("full_tensor", 5), 1)


def test_the_comparator_answers_the_same(terminal: Terminal) -> None:
    plan = Plan("full_tensor", RANKS)
    if terminal.shape.pool != "token":
        with pytest.raises(InputError, match="class token only"):
            terminal.prepare(plan, 1, carrier="all_gather")
        return
    ours = terminal.prepare(plan, 1).run()
    theirs = terminal.prepare(plan, 1, carrier="all_gather").run()
    assert torch.equal(ours.logits, theirs.logits)
