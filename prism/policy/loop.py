"""The loop that serves requests: probe, decide, run, learn. The same for the simulator and for real boards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from prism.policy.adaptive import AdaptivePolicy, Decision, Observation, State
from prism.policy.backend import Backend, BatchEnergy, Outcome
from prism.streams.arrivals import Batching

#: A doubt is settled by one more observation; more probes in a row only if they keep disagreeing.
PROBES_IN_A_ROW = 3


@dataclass(frozen=True)
class Served:
    """A batch that was served.

    Attributes:
        seen: what was decided on.
        samples: in the batch.
        waited_s: of each sample, from its arrival to the start of the pass or of what had to be done before it.
    """

    seen: Observation
    decision: Decision
    outcome: Outcome
    samples: int
    waited_s: tuple[float, ...]


@dataclass(frozen=True)
class Requests:
    """What is to be served.

    Attributes:
        batches: how many batches to serve back to back, `batching.limit` samples each; where `arrivals` is None.
        arrivals: when each sample arrives, in order.
        batching: how samples become batches.
    """

    batches: int
    arrivals: Sequence[float] | None = None
    batching: Batching = field(default_factory=Batching)

    @property
    def label(self) -> str:
        """In words; the same for the same requests alone."""
        limit = self.batching.limit
        if self.arrivals is None:
            return f"{self.batches} batches of {limit}, back to back"
        digest = hashlib.sha256(repr(tuple(self.arrivals)).encode()).hexdigest()[:12]
        wait_ms = 1e3 * self.batching.wait_s
        return f"{len(self.arrivals)} arrivals ({digest}) in batches of up to {limit}, waiting up to {wait_ms:g} ms"

    def take(self, backend: Backend) -> Iterator[tuple[int, tuple[float, ...]]]:
        """Samples of each batch and their arrivals, waiting for them on the backend's clock."""
        if self.arrivals is None:
            for _ in range(self.batches):
                now_s = backend.now_s()
                yield self.batching.limit, (now_s,) * self.batching.limit
            return
        first = 0
        while first < len(self.arrivals):
            ready_s, count = self.batching.take(self.arrivals, first, backend.now_s())
            backend.wait_until(ready_s)
            yield count, tuple(self.arrivals[first : first + count])
            first += count


def serve(
    policy: AdaptivePolicy,
    backend: Backend,
    requests: Requests,
    *,
    after_each: Callable[[Served], None] = lambda _: None,
    stop_s: float | None = None,
) -> tuple[list[Served], State]:
    """Serve all requests.

    Args:
        policy: decides.
        backend: carries out.
        requests: what is to be served.
        after_each: called after each batch.
        stop_s: serve no batch that would begin later.

    Returns:
        what was served, in order, and the policy's last state.
    """
    state = policy.start(backend.now_s())
    state = probe(policy, backend, state)
    served: list[Served] = []
    for samples, arrived in requests.take(backend):
        now_s = backend.now_s()
        if stop_s is not None and now_s >= stop_s:
            break
        seen = Observation(now_s, samples)
        decision, state = policy.decide(state, seen)
        decision = replace(decision, order=replace(decision.order, index=len(served)))
        outcome = backend.run(decision.order)
        state = policy.learn(state, decision.order, outcome)
        done = Served(seen, decision, outcome, samples, tuple(now_s - time_s for time_s in arrived))
        served.append(done)
        after_each(done)
        state = probe(policy, backend, state)
    return served, state


def metered(served: Sequence[Served], energies: Mapping[int, BatchEnergy]) -> list[Served]:
    """What was served, with energies that became known afterwards.

    Args:
        served: batches in order.
        energies: by number of the batch; of some, all or none.
    """
    return [_metered(done, energies.get(done.decision.order.index)) for done in served]


def _metered(done: Served, energy: BatchEnergy | None) -> Served:
    if energy is None:
        return done
    outcome = replace(done.outcome, terminal_j=energy.terminal_j, all_boards_j=energy.all_boards_j)
    return replace(done, outcome=outcome)


def probe(policy: AdaptivePolicy, backend: Backend, state: State) -> State:
    """Send the probes that are due."""
    for _ in range(PROBES_IN_A_ROW):
        due = policy.probe(state, backend.now_s(), backend.probe_model)
        sent = None if due is None else backend.probe(*due)
        if sent is None:
            break
        state = policy.learn_probe(state, sent, backend.probe_model)
        if state.link is None or state.link.suspect is None:
            break
    return state
