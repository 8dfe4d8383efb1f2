"""A way to split a pass: what every board does and holds, written in the steps of `prism.schedule`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from prism.memory import MemoryUse
from prism.plan import Mode
from prism.schedule import TERMINAL, Compute, Copy, Exchange, Message, Post, Receive, Send, Step

FLOAT_BYTES = 4


@dataclass(frozen=True)
class Task:
    """A step, and for a compute step the FLOPs of the block of its board that its rate is taken from."""

    step: Step
    block_flops: int = 0


Tasks = tuple[Task, ...]


@dataclass(frozen=True)
class Split:
    """One way to split a pass.

    Attributes:
        name: of the way.
        ranks: what each board does, terminal device first.
        memory: what each board holds.
        costs: the mode of the profile whose cost models price compute: `local` where boards compute undisturbed for
            long, a distributed mode where they exchange in every block.
        staging: the mode whose model prices copies.
        rounds: whether all boards meet at every exchange, as Prism's blocking exchange has them do; otherwise a message
            waits for its own receiver alone.
        source: who described it.
        exact: whether the answer is the unsplit model's.
        gives_up: what it costs besides time.
    """

    name: str
    ranks: tuple[Tasks, ...]
    memory: tuple[MemoryUse, ...]
    costs: Mode
    staging: Mode
    rounds: bool
    source: str
    exact: bool
    gives_up: str

    def sent_bytes(self, rank: int) -> int:
        """Bytes that the rank puts on the air in one pass."""
        return sent_bytes(task.step for task in self.ranks[rank])


def sent_bytes(steps: Iterable[Step]) -> int:
    """Bytes of everything that is sent in these steps; messages that start a pass are not counted."""
    total = 0
    for step in steps:
        if isinstance(step, Exchange):
            total += sum(message.nbytes for message in step.sends)
        elif isinstance(step, Send) and step.name != "control":
            total += step.message.nbytes
    return total


def computed(name: Literal["embed", "block", "head"], block: int | None, flops: int, block_flops: int) -> Task:
    """A compute step at the rate of a block of `block_flops`."""
    return Task(Compute(name, block, flops), block_flops)


def hand_over(number: int, sends: tuple[Message, ...], receives: tuple[Message, ...]) -> Iterator[Task]:
    """Send and wait for messages of the exchange `number`; the receives are posted now."""
    yield Task(Post(number, receives))
    yield Task(Exchange(number, sends, receives))


def distributed_input(rank: int, devices: int, nbytes: int) -> Iterator[Task]:
    """The terminal device sends its input of `nbytes` to every other board; nothing where it is 0."""
    if not nbytes:
        return
    if rank == TERMINAL:
        for worker in range(1, devices):
            yield Task(Send("input", Message(worker, nbytes)))
    else:
        yield Task(Receive("input", Message(TERMINAL, nbytes)))
        yield Task(Copy("stage_input", None, "host_to_device", nbytes))
