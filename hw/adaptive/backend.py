"""The terminal device and its workers as a backend of the adaptive loop.

A worker that fails in a pass leaves its group unusable: the batch is served locally, and the group is built anew from
the workers that take part when the policy next wants one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from hw.adaptive.live_link import LiveLink
from hw.link.throttle import Throttle
from hw.runtime.errors import PeerLost, PeerRefused
from hw.runtime.settings import Peer
from hw.runtime.terminal import Answer, Prepared, Terminal
from hw.runtime.workers import RemoteWorker
from prism.cost import CostModel
from prism.plan import Plan
from prism.policy.backend import BackendName, Order, Outcome, Probe
from prism.policy.estimate import ProbeModel
from prism.profile import LinkModel
from prism.units import BYTES_PER_MB, air_seconds

#: A control connection that gave no answer is of no use any more: longer than the simulator would wait.
LEAST_PROBE_WAIT_S = 0.5
#: Of the bytes on the wire at the testbed's bucket, what is payload (docs/testbed.md).
PAYLOAD = 0.936
#: A worker that does not take a connection within this is out of reach; how often it is tried.
KNOCK_S = 0.3
KNOCK_EVERY_S = 0.3
#: Prepared local passes that are kept; each holds its images.
KEPT_LOCAL = 8


class HwBackend:
    """Serves batches on real boards.

    Args:
        terminal: entered, with all its workers.
        link: applies the trace; None leaves the link alone.
        medium: what holds the link's rate where no board does, as given to `terminal`.
        clock: monotonic, in seconds.
    """

    name: BackendName = "hw"

    def __init__(
        self,
        terminal: Terminal,
        link: LiveLink | None,
        medium: Throttle | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.workers = len(terminal.workers)
        self._first = terminal
        self._group: Terminal | None = terminal
        self._ranks = tuple(range(1, self.workers + 1))
        self._medium = medium
        self._link = link
        self._mbps: float | None = None
        self._knocking: Knocking | None = None
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
        self._stop_knocking()
        if self._group is not None and self._group is not self._first:
            self._group.close()
        self._group = None

    def now_s(self) -> float:
        return self._clock() - self._began_s

    def wait_until(self, time_s: float) -> None:
        time.sleep(max(time_s - self.now_s(), 0.0))

    def run(self, order: Order) -> Outcome:
        """Serve one batch; if a worker fails, locally."""
        self._catch_up()
        asked_s = self.now_s()
        if order.plan.devices == 1:
            return self._serve_locally(order, asked_s)
        try:
            prepared = self._prepared(order)
            start_s = self.now_s()
            return _outcome(start_s, start_s - asked_s, prepared.run())
        except (PeerLost, PeerRefused) as error:
            self._abandon()
            return self._rescue(order, asked_s, str(error))

    def probe(self, nbytes: int, timeout_s: float) -> Probe | None:
        """A control message of so many bytes to the first worker, answered by a short one; between passes only.

        A group that was lost is built anew first, once its workers can be reached: there is no other way to ask them.
        """
        self._catch_up()
        if not self.workers or (self._knocking is not None and not self._knocking.answered):
            return None
        begin_s = self.now_s()
        try:
            worker = self._grouped(self._ranks).workers[0]
            begin_s = self.now_s()
            # The first one after a pause finds TCP's window small and the other board asleep: the better of two counts.
            wait_s = max(timeout_s, LEAST_PROBE_WAIT_S)
            seconds = min(_echo_s(worker, nbytes, wait_s, self._clock) for _ in range(2))
        except (PeerLost, PeerRefused):
            self._abandon()
            return Probe(self.now_s(), nbytes, self.now_s() - begin_s, answered=False)
        return Probe(self.now_s(), nbytes, seconds, answered=True, spent_s=self.now_s() - begin_s)

    def _catch_up(self) -> None:
        if self._link is None:
            return
        try:
            self._link.catch_up()
        except PeerLost:  # a new group is throttled when it is built
            self._abandon()

    def _prepared(self, order: Order) -> Prepared:
        terminal = self._grouped(order.ranks)
        if self._split is None or self._split[:2] != (order.plan, order.batch):
            self._split = order.plan, order.batch, terminal.prepare(order.plan, order.batch)
        return self._split[2]

    def _grouped(self, ranks: tuple[int, ...]) -> Terminal:
        """A group that holds these workers first; a new one if there is none."""
        if self._group is not None and self._ranks[: len(ranks)] == ranks:
            return self._group
        self._abandon()
        self._stop_knocking()
        peers = tuple(self._first.settings.peers[rank - 1] for rank in ranks)
        for peer in peers:
            knock(peer)
        terminal = Terminal(
            replace(self._first.settings, peers=peers), model=self._first.model, medium=self._medium, clock=self._clock
        )
        terminal.__enter__()
        self._group, self._ranks = terminal, ranks
        if self._mbps is not None:
            terminal.set_bandwidth(self._mbps)
        return terminal

    def _abandon(self) -> None:
        """Leave a group that is of no use any more."""
        if self._group is not None:
            self._group.close()
        self._group = self._split = None
        self._stop_knocking()
        self._knocking = Knocking([self._first.settings.peers[rank - 1] for rank in self._ranks])

    def _stop_knocking(self) -> None:
        if self._knocking is not None:
            self._knocking.stop()
        self._knocking = None

    def _serve_locally(self, order: Order, asked_s: float) -> Outcome:
        prepared = self._local.get(order.batch)
        if prepared is None:
            if len(self._local) >= KEPT_LOCAL:
                self._local.clear()
            # Local passes touch no worker: the first terminal device does for them, even when its group is gone.
            self._local[order.batch] = prepared = self._first.prepare(Plan(), order.batch)
        start_s = self.now_s()
        return _outcome(start_s, start_s - asked_s, prepared.run())

    def _rescue(self, order: Order, asked_s: float, why: str) -> Outcome:
        local = self._serve_locally(order, asked_s)
        # What went before counts: the user waited for it.
        return replace(local, start_s=asked_s, total_s=local.end_s - asked_s, restore_s=0.0, lost=order.ranks, why=why)


def _outcome(start_s: float, before_s: float, answer: Answer) -> Outcome:
    record = answer.record
    energy = record.energy
    return Outcome(
        start_s,
        record.total_s,
        record.terminal.communication_s if record.plan.devices > 1 else None,
        None if energy is None else energy.terminal_j,
        None if energy is None else energy.all_boards_j,
        restore_s=before_s,
    )


class Knocking:
    """Another thread that tries to reach workers, so that no batch has to wait for one that is gone.

    Attributes:
        answered: whether all of them took a connection.
    """

    def __init__(self, peers: Sequence[Peer]) -> None:
        self.answered = False
        self._peers = tuple(peers)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._knock, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join()

    def _knock(self) -> None:
        while not self._over.wait(KNOCK_EVERY_S):
            with contextlib.suppress(PeerLost):
                for peer in self._peers:
                    knock(peer)
                self.answered = True
                return


def knock(peer: Peer) -> None:
    """See whether a worker takes a connection, without waiting for a whole timeout.

    Raises:
        PeerLost: it does not.
    """
    try:
        socket.create_connection((peer.address, peer.port), timeout=KNOCK_S).close()
    except OSError as error:
        raise PeerLost(f"the worker at {peer.address}:{peer.port} is out of reach ({error})") from error


def _round_trip_s(worker: RemoteWorker, clock: Callable[[], float]) -> float:
    return 2 * worker.read_clock(clock).uncertainty_s


def _echo_s(worker: RemoteWorker, nbytes: int, timeout_s: float, clock: Callable[[], float]) -> float:
    begin = clock()
    worker._ask("ping", "probing the link", timeout_s, size=nbytes)  # noqa: SLF001  # until the runtime has a probe
    return clock() - begin


def _probe_model(round_trip_s: float) -> ProbeModel:
    """A message takes a round trip and its bytes' time on the wire."""
    reference_mbps = 100.0
    seconds_per_mb = air_seconds(BYTES_PER_MB, reference_mbps) / PAYLOAD
    transfer = CostModel("affine", "MB", round_trip_s, seconds_per_mb, 1.0, {}, (), 0.0, 1e3)
    return ProbeModel(LinkModel(transfer, reference_mbps))
