"""On these boards: the answers are the unsplit model's, and what every rank does is the schedule."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from hw.runtime.rank_pass import sample_images
from hw.runtime.recorder import without_flops
from prism.cli.boards import Boards
from prism.plan import Plan
from prism.schedule import build_schedule

PLANS = [
    Plan(mode, 2, segments, exchange=exchange, input_distribution=distribution)  # type: ignore[arg-type]
    for mode, segments in (("full_tensor", None), ("segment_means", 99))
    for exchange in ("blocking", "preposted")
    for distribution in ("replicated", "tokens", "image")
]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: f"{plan.label} {plan.exchange} {plan.input_distribution}")
def test_exact_plans_answer_as_the_unsplit_model(boards: Boards, plan: Plan) -> None:
    terminal = boards.terminal
    answer = terminal.prepare(plan, 2).run()
    with torch.inference_mode():
        images = sample_images(terminal.model, 2, terminal.settings.seed)
        unsplit = terminal.model(images.to(next(terminal.model.parameters()).device)).cpu()
    assert float((answer.logits - unsplit).norm() / unsplit.norm()) <= 1e-4
    expected = build_schedule(terminal.shape, plan, 2).ranks
    for rank, taken in enumerate(answer.timelines):
        assert [step.step for step in taken] == [without_flops(step) for step in expected[rank]]


def test_stages_sum_to_the_latency(boards: Boards) -> None:
    record = boards.terminal.prepare(Plan("segment_means", 2, 10, exchange="preposted"), 1).run().record
    assert record.terminal.total_s == pytest.approx(record.total_s, rel=0.01)
