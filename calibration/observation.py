"""What a run says about one stage: its seconds, as a sum over the steps that the schedule lists.

A pass's stage time is written as ``sum_j fixed_count_j * fixed_s + weight_j * scale_s * x_j ** exponent``, so that the
coefficients of one step can be fitted to the total of many. Communication is that of an idle link: every flow of a
round shares the medium, so a round takes one latency and the airtime of all its messages (exact where ranks arrive
together and send alike; the simulator does without this).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from prism.record import Measurement
from prism.schedule import TERMINAL, Compute, Copy, Exchange, Receive, Schedule, Send
from prism.units import BYTES_PER_MB, FLOPS_PER_GFLOP


@dataclass(frozen=True)
class Term:
    """`fixed_count` fixed costs and `weight` variable costs of steps of size `x`."""

    fixed_count: float
    weight: float
    x: float


@dataclass(frozen=True)
class Observation:
    """One stage of one run. `group` is what cross-validation leaves out together (the batch size)."""

    seconds: float
    terms: tuple[Term, ...]
    group: int


def compute_observation(run: Measurement) -> Observation:
    """Compute time of the terminal device; x is the GFLOPs of one block over the batch."""
    schedule = run.scenario.schedule()
    block = next(step.flops for step in schedule.ranks[TERMINAL] if isinstance(step, Compute) and step.name == "block")
    blocks = schedule.flops(TERMINAL) / block
    return Observation(run.terminal.compute_s, (Term(blocks, blocks, block / FLOPS_PER_GFLOP),), run.batch)


def staging_observation(run: Measurement) -> Observation:
    """Staging time of the terminal device; x is the MB of one copy."""
    copies = Counter(step.nbytes for step in run.scenario.schedule().ranks[TERMINAL] if isinstance(step, Copy))
    terms = tuple(Term(count, count, nbytes / BYTES_PER_MB) for nbytes, count in sorted(copies.items()))
    return Observation(run.terminal.staging_s, terms, run.batch)


def link_observation(run: Measurement, reference_bandwidth_mbps: float) -> Observation:
    """Communication time of the terminal device; x is the MB of one message."""
    slowdown = reference_bandwidth_mbps / run.bandwidth_mbps
    messages, latencies = _messages(run.scenario.schedule())
    terms = tuple(Term(0, count * slowdown, nbytes / BYTES_PER_MB) for nbytes, count in sorted(messages.items()))
    return Observation(run.terminal.communication_s, (Term(latencies, 0, 1.0), *terms), run.batch)


def _messages(schedule: Schedule) -> tuple[Counter[int], int]:
    """Messages of a pass by size, and how many latencies follow each other on the terminal device's timeline."""
    messages: Counter[int] = Counter()
    for steps in schedule.ranks:
        for step in steps:
            if isinstance(step, Exchange):
                messages.update(message.nbytes for message in step.sends)
            elif isinstance(step, Send):
                messages[step.message.nbytes] += 1
    terminal = schedule.ranks[TERMINAL]
    rounds = sum(isinstance(step, (Exchange, Receive)) for step in terminal)
    distribution = {step.name for step in terminal if isinstance(step, Send)}
    return messages, rounds + len(distribution)
