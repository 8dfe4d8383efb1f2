"""One rank of a pass as a SimPy process: it takes its steps in order and keeps account of where its time went."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from simpy import Environment, Event

from prism.record import RankTimes, Span, SpanStage
from prism.schedule import Compute, Copy, Exchange, Message, Post, Receive, Step
from sim.engine import Engine
from sim.exchange import BlockingExchange, PrepostedExchange
from sim.messages import incoming, outgoing
from sim.network import Arrival, Network

Steps = Generator[Event, None, None]


class Rank:
    """A board at work on its part of the schedule.

    Attributes:
        end_s: when its last step ended.
    """

    def __init__(
        self,
        env: Environment,
        rank: int,
        steps: Sequence[Step],
        seconds: Sequence[float],
        network: Network,
        exchange: BlockingExchange | PrepostedExchange,
        spans: list[Span] | None,
    ) -> None:
        self._env = env
        self._rank = rank
        self._steps = steps
        self._seconds = seconds
        self._network = network
        self._exchange = exchange
        self._spans = spans
        self._compute_unit = Engine(env)
        self._copy_engines = {"device_to_host": Engine(env), "host_to_device": Engine(env)}
        self._compute_s = self._staging_s = self._transfer_s = self._waiting_s = 0.0
        self.end_s = 0.0

    @property
    def times(self) -> RankTimes:
        """Where the rank's time went, up to its last step."""
        return RankTimes(self._compute_s, self._staging_s, self._transfer_s, self._waiting_s)

    def run(self) -> Steps:
        """The process: every step in order. Sends and posts take no time of the rank's own."""
        for step, seconds in zip(self._steps, self._seconds, strict=True):
            if isinstance(step, Compute):
                begin = self._env.now
                yield self._compute_unit.work(seconds)
                self._compute_s += self._env.now - begin
                self._trace("compute", step.name, step.block, begin)
            elif isinstance(step, Copy):
                begin = self._env.now
                yield self._copy_engines[step.direction].work(seconds)
                self._staging_s += self._env.now - begin
                self._trace("staging", step.name, step.block, begin, step.nbytes)
            elif isinstance(step, Exchange):
                arrival = self._exchange.begin(self._rank, step)
                if seconds:  # what is computed while messages travel
                    begin = self._env.now
                    yield self._compute_unit.work(seconds)
                    self._compute_s += self._env.now - begin
                    self._trace("compute", "own_attention", step.block, begin)
                yield from self._await(arrival, "exchange", step.block, step.receives)
            elif isinstance(step, Post):
                self._exchange.post(self._rank, step)
            elif isinstance(step, Receive):
                arrival = Arrival(self._env, 1)
                self._network.expect(incoming(self._rank, step), arrival)
                yield from self._await(arrival, step.name, None, (step.message,))
            else:
                self._network.offer([key for key, _ in outgoing(self._rank, step)])
        self.end_s = self._env.now

    def _await(self, arrival: Arrival, name: str, block: int | None, messages: tuple[Message, ...]) -> Steps:
        """Wait for messages. Time before the first of them starts is waiting for the peer, the rest is transfer."""
        begin = self._env.now
        if arrival.outstanding:
            yield arrival.event
        started = min(max(arrival.started_s, begin), self._env.now)
        self._waiting_s += started - begin
        self._transfer_s += self._env.now - started
        self._trace("waiting", f"wait_{name}", block, begin, end=started)
        self._trace("transfer", name, block, started, sum(message.nbytes for message in messages))

    def _trace(
        self,
        stage: SpanStage,
        name: str,
        block: int | None,
        begin: float,
        nbytes: int = 0,
        end: float | None = None,
    ) -> None:
        if self._spans is None:
            return
        end = self._env.now if end is None else end
        if end > begin:
            self._spans.append(Span(self._rank, name, stage, block, begin, end, nbytes))
