"""The terminal device and its workers as a backend of the adaptive loop.

A worker that fails in a pass leaves its group unusable: the batch is served locally, the workers of the group are
called until they answer, and a group is built anew from those that did when the policy next wants one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from hw.adaptive.calling import GREET_S, Calling
from hw.adaptive.hang_up import HangUp
from hw.adaptive.live_link import LiveLink
from hw.adaptive.metering import RunMeter
from hw.link.throttle import Throttle
from hw.runtime.errors import PeerLost, PeerRefused
from hw.runtime.handshake import greet
from hw.runtime.terminal import Answer, Prepared, Terminal
from hw.runtime.workers import RemoteWorker
from prism.cost import CostModel
from prism.plan import Plan
from prism.policy.backend import BackendName, BatchEnergy, Order, Outcome, Probe
from prism.policy.estimate import ProbeModel
from prism.profile import LinkModel
from prism.units import BYTES_PER_MB, air_seconds

#: A control connection that gave no answer is of no use any more: longer than the simulator would wait.
LEAST_PROBE_WAIT_S = 0.5
#: What boards do between batches, preparing buffers or closing an energy, takes a fraction of this (assumed).
BETWEEN_S = 10.0
#: Of the bytes on the wire at the testbed's bucket, what is payload (docs/testbed.md).
PAYLOAD = 0.936
#: Prepared local passes that are kept; each holds its images.
KEPT_LOCAL = 8


class HwBackend:
    """Serves batches on real boards.

    Args:
        terminal: entered, with all its workers.
        link: applies the trace; None leaves the link alone.
        medium: what holds the link's rate where no board does, as given to `terminal`.
        meter: meters the run; None leaves its energies unknown.
        clock: monotonic, in seconds.
    """

    name: BackendName = "hw"

    def __init__(
        self,
        terminal: Terminal,
        link: LiveLink | None,
        medium: Throttle | None = None,
        meter: RunMeter | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.workers = len(terminal.workers)
        self._first = terminal
        self._peers = dict(enumerate(terminal.settings.peers, start=1))
        self._group: Terminal | None = terminal
        self._ranks = tuple(self._peers)
        self._medium = medium
        self._meter = meter
        self._link = link
        self._mbps: float | None = None
        self._calls: dict[int, Calling] = {}
        self._clock = clock
        self._began_s = clock()
        self._local: dict[int, Prepared] = {}
        self._split: tuple[Plan, int, Prepared] | None = None
        self.probe_model = _probe_model(
            min((_round_trip_s(worker, clock) for worker in terminal.workers), default=1e-3)
        )

    def begin(self, link: LiveLink | None) -> None:
        """Start the run's time, and let the link follow."""
        self._began_s = self._clock()
        self._link = link

    def set_bandwidth(self, bandwidth_mbps: float) -> None:
        """Throttle both ends of the link, between passes, where no medium holds its rate."""
        self._mbps = bandwidth_mbps
        if self._group is not None:
            self._group.set_bandwidth(bandwidth_mbps)

    def close(self) -> None:
        """Leave the group that was built anew, if one was."""
        self._stop_calling(tuple(self._calls))
        if self._group is not None and self._group is not self._first:
            self._group.close()
        self._group = None

    def now_s(self) -> float:
        return self._clock() - self._began_s

    def wait_until(self, time_s: float) -> None:
        time.sleep(max(time_s - self.now_s(), 0.0))

    def run(self, order: Order) -> Outcome:
        """Serve one batch; if a worker fails or the pass is to be given up, locally."""
        self._catch_up()
        asked_s = self.now_s()
        if order.plan.devices == 1:
            return self._serve_locally(order, asked_s)
        away = self._away(order.ranks)
        if away:  # known without asking again: the group of the others, if there is one, goes on
            return self._rescue(order, asked_s, f"{self._named(away)} did not come back yet", away)
        try:
            return self._serve_split(order, asked_s)
        except (PeerLost, PeerRefused) as error:
            return self._rescue(order, asked_s, str(error))

    def probe(self, nbytes: int, timeout_s: float) -> Probe | None:
        """A control message of so many bytes to a worker, answered by a short one; between passes only.

        A group that was lost is built anew first, from the workers that can be reached: there is no other way to ask
        them.
        """
        self._catch_up()
        ranks = self._ranks if self._group is not None else self._within_reach()
        if not ranks:
            return None
        asked_s = begin_s = self.now_s()
        try:
            worker = self._grouped(ranks).workers[0]
            begin_s = self.now_s()
            # The first one after a pause finds TCP's window small and the other board asleep: the better of two counts.
            wait_s = max(timeout_s, LEAST_PROBE_WAIT_S)
            with HangUp(2 * wait_s, [worker.address]):  # a large message may already fail to leave
                seconds = min(_echo_s(worker, nbytes, wait_s, self._clock) for _ in range(2))
        except (PeerLost, PeerRefused):
            self._abandon(ranks)
            now_s = self.now_s()
            return Probe(now_s, nbytes, now_s - begin_s, answered=False, restore_s=begin_s - asked_s)
        now_s = self.now_s()
        return Probe(now_s, nbytes, seconds, answered=True, spent_s=now_s - begin_s, restore_s=begin_s - asked_s)

    def energies(self) -> Mapping[int, BatchEnergy]:
        """Joules of the batches so far, by number, where they are known. It closes the block of batches under way."""
        if self._meter is None:
            return {}
        with suppress(PeerLost), HangUp(BETWEEN_S, self._addresses()):
            self._meter.end()
        return self._meter.energies()

    # ------------------------------------------------------------------------------------------------------- serving

    def _serve_split(self, order: Order, asked_s: float) -> Outcome:
        terminal = self._grouped(order.ranks)
        prepared = self._prepared(order, terminal)
        self._meter_as((order.plan, order.batch, order.ranks))
        start_s = self.now_s()
        with HangUp(order.give_up_s, self._addresses()) as limit:
            try:
                answer = prepared.run(give_up_s=order.give_up_s)
            except PeerLost as error:
                if limit.came or self.now_s() - start_s >= order.give_up_s:
                    raise PeerLost(f"no answer within {order.give_up_s:.3g} s") from error
                raise
        outcome = _outcome(start_s, start_s - asked_s, answer)
        if limit.came:  # answered in the very last moment: the answer counts, the group does not
            self._abandon(order.ranks)
            return replace(outcome, lost=order.ranks, why=f"hung up after {order.give_up_s:.3g} s, just answered")
        self._metered(order)
        return outcome

    def _serve_locally(self, order: Order, asked_s: float) -> Outcome:
        prepared = self._local.get(order.batch)
        if prepared is None:
            if len(self._local) >= KEPT_LOCAL:
                self._local.clear()
            # Local passes touch no worker: the first terminal device does for them, even when its group is gone.
            self._local[order.batch] = prepared = self._first.prepare(Plan(), order.batch)
        if order.plan.devices == 1:
            self._meter_locally(order)
        start_s = self.now_s()
        outcome = _outcome(start_s, start_s - asked_s, prepared.run())
        if order.plan.devices == 1:
            self._metered(order)
        return outcome

    def _rescue(self, order: Order, asked_s: float, why: str, away: tuple[int, ...] = ()) -> Outcome:
        if not away:
            self._abandon(order.ranks)
        elif self._meter is not None:
            self._meter.cut_short()
        local = self._serve_locally(order, asked_s)
        # Who has answered the call by now was not at fault. If all have, it was the link, and the group as a whole.
        lost = away or self._away(order.ranks) or order.ranks
        # What went before counts: the user waited for it.
        return replace(local, start_s=asked_s, total_s=local.end_s - asked_s, restore_s=0.0, lost=lost, why=why)

    def _prepared(self, order: Order, terminal: Terminal) -> Prepared:
        if self._split is None or self._split[:2] != (order.plan, order.batch):
            with HangUp(BETWEEN_S, self._addresses()):
                self._split = order.plan, order.batch, terminal.prepare(order.plan, order.batch)
        return self._split[2]

    # ------------------------------------------------------------------------------------------------------ metering

    def _meter_locally(self, order: Order) -> None:
        try:
            self._meter_as((order.plan, order.batch))
        except PeerLost:
            self._abandon(self._ranks)

    def _meter_as(self, key: tuple[object, ...]) -> None:
        if self._meter is None or self._meter.under_way(key):
            return
        with HangUp(BETWEEN_S, self._addresses()):
            self._meter.begin(key, () if self._group is None else self._group.workers)

    def _metered(self, order: Order) -> None:
        if self._meter is not None:
            self._meter.served(order.index)

    # ----------------------------------------------------------------------------------------------------- the group

    def _catch_up(self) -> None:
        if self._link is None:
            return
        try:
            self._link.catch_up()
        except PeerLost:  # a new group is throttled when it is built
            self._abandon(self._ranks)

    def _grouped(self, ranks: tuple[int, ...]) -> Terminal:
        """A group that holds these workers first; a new one if there is none.

        Raises:
            PeerLost, PeerRefused: one of them is gone again.
        """
        if self._group is not None and self._ranks[: len(ranks)] == ranks:
            return self._group
        self._leave()
        self._stop_calling(ranks)
        peers = tuple(self._peers[rank] for rank in ranks)
        for peer in peers:
            greet(peer.address, peer.port, GREET_S)
        terminal = Terminal(
            replace(self._first.settings, peers=peers), model=self._first.model, medium=self._medium, clock=self._clock
        )
        terminal.__enter__()
        self._group, self._ranks = terminal, ranks
        if self._mbps is not None:
            terminal.set_bandwidth(self._mbps)
        return terminal

    def _leave(self) -> None:
        if self._meter is not None:
            self._meter.cut_short()
        if self._group is not None:
            self._group.close()
        self._group = self._split = None

    def _abandon(self, ranks: Iterable[int]) -> None:
        """Leave a group that is of no use any more, and call its workers and these."""
        wanted = {*ranks, *(self._ranks if self._group is not None else ())}
        self._leave()
        for rank in wanted - set(self._calls):
            self._calls[rank] = Calling(self._peers[rank])

    def _stop_calling(self, ranks: Iterable[int]) -> None:
        for rank in ranks:
            call = self._calls.pop(rank, None)
            if call is not None:
                call.stop()

    def _away(self, ranks: Iterable[int]) -> tuple[int, ...]:
        """Those of these workers that were lost and have not answered since."""
        return tuple(rank for rank in ranks if rank in self._calls and not self._calls[rank].answered)

    def _within_reach(self) -> tuple[int, ...]:
        away = self._away(self._peers)
        return tuple(rank for rank in self._peers if rank not in away)

    def _addresses(self) -> list[str]:
        return [self._peers[rank].address for rank in self._ranks] if self._group is not None else []

    def _named(self, ranks: Iterable[int]) -> str:
        return " and ".join(f"worker {rank} ({self._peers[rank].address})" for rank in ranks)


def _outcome(start_s: float, before_s: float, answer: Answer) -> Outcome:
    record = answer.record
    return Outcome(
        start_s,
        record.total_s,
        record.terminal.communication_s if record.plan.devices > 1 else None,
        restore_s=before_s,
    )


def _round_trip_s(worker: RemoteWorker, clock: Callable[[], float]) -> float:
    return 2 * worker.read_clock(clock).uncertainty_s


def _echo_s(worker: RemoteWorker, nbytes: int, timeout_s: float, clock: Callable[[], float]) -> float:
    begin = clock()
    worker.probe(nbytes, timeout_s)
    return clock() - begin


def _probe_model(round_trip_s: float) -> ProbeModel:
    """A message takes a round trip and its bytes' time on the wire."""
    reference_mbps = 100.0
    seconds_per_mb = air_seconds(BYTES_PER_MB, reference_mbps) / PAYLOAD
    transfer = CostModel("affine", "MB", round_trip_s, seconds_per_mb, 1.0, {}, (), 0.0, 1e3)
    return ProbeModel(LinkModel(transfer, reference_mbps))
