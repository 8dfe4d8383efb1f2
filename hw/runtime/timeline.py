"""The steps that all ranks took, on one time axis: how each rank spent the pass, and its spans for a trace.

Times are seconds since the terminal device accepted the batch. A step that waits for messages is cut in two: waiting
until the first of them has started on its way, transfer from there on. A message starts when its sender has entered its
step, or sends it in its course, and its receiver has posted the receive (GLOO's rendezvous). The simulator draws the
line in the same place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from hw.runtime.recorder import TakenStep
from prism.record import RankTimes, Span
from prism.schedule import Compute, Copy, Exchange, Message, Post, Receive, Send, Step

Timeline = Sequence[TakenStep]
_Key = tuple[int, int, str, int | None]  # sender, receiver, what, block


def on_axis(steps: Timeline, to_ours: Callable[[float], float], accepted_s: float) -> list[TakenStep]:
    """A rank's steps on the pass's axis: `to_ours` tells its clock in the terminal device's.

    What a worker did before the batch was accepted is not part of the pass: its first step begins there.
    """

    def moved(time_s: float) -> float:
        return max(0.0, to_ours(time_s) - accepted_s)

    placed = [
        TakenStep(
            taken.step,
            moved(taken.begin_s),
            moved(taken.entered_s),
            moved(taken.end_s),
            None if taken.sent_s is None else moved(taken.sent_s),
        )
        for taken in steps
    ]
    return [replace(placed[0], begin_s=0.0), *placed[1:]] if placed else []


def spans_of(timelines: Sequence[Timeline]) -> list[list[Span]]:
    """Spans of every rank, gapless: each step, and what the runtime did to get to it, with waiting told apart."""
    sent, posted = _sent(timelines), _posted(timelines)
    return [
        [span for taken in steps for span in _spans(rank, taken, sent, posted)] for rank, steps in enumerate(timelines)
    ]


def times_of(spans: Sequence[Span]) -> RankTimes:
    """How a rank spent its pass."""
    totals = dict.fromkeys(("compute", "staging", "transfer", "waiting"), 0.0)
    for span in spans:
        totals[span.stage] += span.end_s - span.start_s
    return RankTimes(totals["compute"], totals["staging"], totals["transfer"], totals["waiting"])


def runtime_s(steps: Timeline) -> float:
    """What the rank's pass spent between its steps: neither model nor staging nor link."""
    return sum(taken.own_time_s for taken in steps)


def _spans(rank: int, taken: TakenStep, sent: dict[_Key, float], posted: dict[_Key, float]) -> Iterator[Span]:
    step = taken.step
    begin, end = taken.begin_s, taken.end_s
    if isinstance(step, Compute):
        yield Span(rank, step.name, "compute", step.block, begin, end)
    elif isinstance(step, Copy):
        yield Span(rank, step.name, "staging", step.block, begin, end, step.nbytes)
    elif isinstance(step, (Send, Post)):
        name = f"send_{step.name}" if isinstance(step, Send) else "post"
        block = step.block if isinstance(step, Post) else None
        yield Span(rank, name, "transfer", block, begin, end)
    else:
        name, block, nbytes = _arrival(step)
        keys = [(peer, rank, name, block) for peer in _senders(step)]
        started = min((max(sent.get(key, 0.0), posted.get(key, taken.entered_s)) for key in keys), default=begin)
        started = min(max(started, begin), end)
        if started > begin:
            yield Span(rank, f"wait_{name}", "waiting", block, begin, started)
        yield Span(rank, name, "transfer", block, started, end, nbytes)


def _arrival(step: Exchange | Receive) -> tuple[str, int | None, int]:
    if isinstance(step, Exchange):
        return "exchange", step.block, sum(message.nbytes for message in step.receives)
    return step.name, None, step.message.nbytes


def _senders(step: Exchange | Receive) -> list[int]:
    messages = step.receives if isinstance(step, Exchange) else (step.message,)
    return [message.peer for message in messages]


def _sent(timelines: Sequence[Timeline]) -> dict[_Key, float]:
    """When each message was offered by its sender."""
    return {
        (rank, message.peer, name, block): taken.entered_s if taken.sent_s is None else taken.sent_s
        for rank, steps in enumerate(timelines)
        for taken in steps
        for name, block, messages in _outgoing(taken.step)
        for message in messages
    }


def _outgoing(step: Step) -> Iterator[tuple[str, int | None, tuple[Message, ...]]]:
    if isinstance(step, Exchange):
        yield "exchange", step.block, step.sends
    elif isinstance(step, Send):
        yield step.name, None, (step.message,)


def _posted(timelines: Sequence[Timeline]) -> dict[_Key, float]:
    """When receives were posted that were posted ahead."""
    return {
        (message.peer, rank, "exchange", taken.step.block): taken.end_s
        for rank, steps in enumerate(timelines)
        for taken in steps
        if isinstance(taken.step, Post)
        for message in taken.step.receives
    }
