"""What the loop asks of a backend, simulated or real. The policy never sees one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from prism.plan import Plan
from prism.policy.estimate import ProbeModel

BackendName = Literal["sim", "hw"]


@dataclass(frozen=True)
class Order:
    """One batch to be served, as decided.

    Attributes:
        index: number of the batch, from 0.
        ranks: workers that take part, from 1; as many as the plan needs.
        give_up_s: a split pass that has not answered after so long is given up and the batch served locally.
        restore: whether workers have to be brought back before.
    """

    index: int
    plan: Plan
    batch: int
    ranks: tuple[int, ...]
    give_up_s: float
    restore: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a batch was served.

    Attributes:
        start_s: when the pass began, on the backend's clock.
        total_s: until its answer was held; a pass that was given up before is counted in.
        communication_s: of the terminal device in the pass; None for a local one.
        terminal_j, all_boards_j: energies; None where nobody measures them.
        lost: workers that did not do their part; the batch was then served locally. The order's others can be had.
        restore_s: what bringing workers back took, before the pass.
        why: one line on what went wrong, or empty.
    """

    start_s: float
    total_s: float
    communication_s: float | None = None
    terminal_j: float | None = None
    all_boards_j: float | None = None
    lost: tuple[int, ...] = ()
    restore_s: float = 0.0
    why: str = ""

    @property
    def end_s(self) -> float:
        return self.start_s + self.total_s


@dataclass(frozen=True)
class BatchEnergy:
    """Joules of a batch that became known after it was served: a meter needs longer than a batch takes.

    Attributes:
        terminal_j: of the terminal device.
        all_boards_j: of all boards, also those that took no part; None where one was not metered.
    """

    terminal_j: float
    all_boards_j: float | None


@dataclass(frozen=True)
class Probe:
    """One message to a worker and a short answer.

    Attributes:
        time_s: when it was over.
        nbytes: size of the message.
        seconds: how long that took, until given up if there was no answer.
        answered: whether there was one.
        spent_s: what the probe took altogether, where more than this message was sent; 0 where it was not.
        restore_s: what bringing workers back took before it.
    """

    time_s: float
    nbytes: int
    seconds: float
    answered: bool
    spent_s: float = 0.0
    restore_s: float = 0.0


class Backend(Protocol):
    """Runs one batch under a decision, probes the link, and decides nothing."""

    name: BackendName
    workers: int
    probe_model: ProbeModel

    def now_s(self) -> float:
        """Time since the run began: simulated, or a monotonic clock."""
        ...

    def wait_until(self, time_s: float) -> None:
        """Let time pass."""
        ...

    def run(self, order: Order) -> Outcome:
        """Serve one batch; a worker that fails is no error."""
        ...

    def probe(self, nbytes: int, timeout_s: float) -> Probe | None:
        """Send one message between batches; None if this backend cannot."""
        ...
