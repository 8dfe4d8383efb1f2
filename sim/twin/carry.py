"""Carry out the passes of one structure: who waits for whom, as in `sim.exchange` and `sim.network`, with arrays.

In what is covered every message finds its connection free: its receiver posts a receive when it has had the one before.
So a transfer starts when it has been both sent and expected, takes the air one latency later, and the only thing left
to work out is how flows share the air. These are the only ones that meet there:

- the control messages: equal, and all sent at once;
- the input: sent at one instant, expected at one instant, since the control messages end together;
- a blocking round: all flows start with the last rank. The next round needs every rank, so the air is free by then;
- a preposted round of two boards: one flow each way, in the first round one after the other. No flow of the next round
  starts before both have ended, since one end must have received, and computed, to send it, and the other must have
  received to post for it;
- results: the terminal device expects one after the other. Each may meet what is left of the last volley.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from prism.schedule import TERMINAL, Exchange, Receive
from sim.twin.air import Flows, Pair, Sharing, Volley
from sim.twin.board import Board
from sim.twin.outline import Structure
from sim.twin.prices import Prices
from sim.twin.scenarios import Floats


def carry_out(structure: Structure, prices: Prices) -> list[Board]:
    """Boards at the end of their passes."""
    passes = _Passes(structure, prices)
    while passes.go_on():
        pass
    return passes.boards


class _Passes:
    def __init__(self, structure: Structure, prices: Prices) -> None:
        self.boards = [Board(rank, structure, prices) for rank in range(structure.plan.devices)]
        self._prices = prices
        self._preposted = structure.plan.exchange == "preposted"
        self._sharings: dict[Flows, Sharing] = {}
        self._air: Volley | Pair | None = None  # what took the air last

    def go_on(self) -> bool:
        """Let boards take their steps until all wait, and settle what they wait for; False at the end."""
        terminal, *workers = self.boards
        step = terminal.advance()
        if isinstance(step, Receive) and self.boards[step.message.peer].advance() is None:
            self._result(step)  # before other workers go on: it may delay what they wait for
            return True
        waits = [worker.advance() for worker in workers]
        receivers = [worker for worker in workers if isinstance(worker.waits_at, Receive)]
        if receivers:
            self._from_terminal(receivers)
        elif isinstance(step, Exchange):
            self._exchange()
        return step is not None or any(wait is not None for wait in waits)

    def _from_terminal(self, receivers: Sequence[Board]) -> None:
        """Control messages, or inputs: one to each worker, all at once."""
        terminal = self.boards[TERMINAL]
        flows = []
        started_s = terminal.now_s
        for worker in receivers:
            assert isinstance(worker.waits_at, Receive)
            sent_s, key = terminal.sent[worker.rank, worker.waits_at.name]
            flows.append((worker.rank, key))
            started_s = np.maximum(sent_s, worker.now_s)  # the same for all
        self._air = air = self._volley(started_s, tuple(flows))
        for worker in receivers:
            worker.receive(started_s, air.end_of)

    def _exchange(self) -> None:
        if self._preposted:
            self._preposted_round()
            return
        started_s = self.boards[0].now_s
        for board in self.boards[1:]:
            started_s = np.maximum(started_s, board.now_s)
        self._air = air = self._volley(started_s, self._flows())
        for board in self.boards:
            board.receive(started_s, air.end_of)

    def _flows(self) -> Flows:
        """The messages of the round at which every board is."""
        flows = []
        for board in self.boards:
            assert isinstance(board.waits_at, Exchange)
            for message, number in zip(board.waits_at.sends, board.sizes, strict=True):
                flows.append((message.peer, self._prices.airtime_key(number, message.peer)))
        return tuple(flows)

    def _preposted_round(self) -> None:
        """The flow to each board starts when the other has sent it and it has posted for it.

        Where the worker gives way, it sends when it has heard the terminal device.
        """
        terminal, worker = self.boards
        airtimes = [self._prices.airtime_s(key) for _, key in sorted(self._flows())]
        started_s = [np.maximum(worker.now_s, terminal.posted_s), np.maximum(terminal.now_s, worker.posted_s)]
        if isinstance(worker.waits_at, Exchange) and worker.waits_at.after:
            started_s[TERMINAL] = np.maximum(started_s[0], started_s[1] + self._prices.latency_s + airtimes[1])
        air_s = [started + self._prices.latency_s for started in started_s]
        self._air = air = Pair(air_s, airtimes)
        for board in self.boards:
            board.receive(started_s[board.rank], air.end_of)

    def _result(self, step: Receive) -> None:
        """One worker's result, which the terminal device waits for by itself."""
        terminal, worker = self.boards[TERMINAL], self.boards[step.message.peer]
        sent_s, key = worker.sent[TERMINAL, step.name]
        started_s = np.maximum(sent_s, terminal.now_s)
        assert self._air is not None
        end_s = self._air.join(started_s + self._prices.latency_s, self._prices.airtime_s(key))
        terminal.receive(started_s, lambda _: end_s)

    def _volley(self, started_s: Floats, flows: Flows) -> Volley:
        sharing = self._sharings.get(flows)
        if sharing is None:
            self._sharings[flows] = sharing = Sharing(flows, self._prices.airtime_s)
        return Volley(started_s + self._prices.latency_s, sharing)
