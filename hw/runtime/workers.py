"""The workers as the terminal device sees them: their control channels, clocks and throttles, asked one by one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any

from hw.power.block import BlockEnergy
from hw.runtime.clock import ClockReading, read_clock
from hw.runtime.control import connect
from hw.runtime.errors import PeerLost, PeerRefused
from hw.runtime.group import Meeting
from hw.runtime.identity import differences, versions
from hw.runtime.recorder import TakenStep, decode
from hw.runtime.settings import Peer
from prism.files import parse_json
from prism.schedule import CONTROL_BYTES

#: Loading a model, or building a group, is no part of a pass and may take long on a board.
PATIENCE_S = 300.0


class RemoteWorker:
    """One worker, greeted.

    Args:
        rank: its rank.
        peer: where it listens.
        timeout_s: how long it may take to answer.

    Raises:
        PeerLost: not reachable, or no answer in time.
        PeerRefused: other versions.
    """

    def __init__(self, rank: int, peer: Peer, timeout_s: float) -> None:
        self.rank = rank
        self.address = peer.address
        self.name = f"worker {rank} ({peer.address})"
        self._timeout_s = timeout_s
        self._channel = connect(peer.address, peer.port, self.name, timeout_s)
        try:
            self.versions: dict[str, str] = self._ask("hello", "greeting it")["versions"]
            wrong = differences(versions(), self.versions)
            if wrong:
                raise PeerRefused(f"{self.name} runs {', '.join(wrong)}; install the same on every board")
        except BaseException:
            self._channel.close()
            raise

    def load(self, request: dict[str, Any], digest: str) -> None:
        """Have it load the model.

        Raises:
            PeerRefused: its weights are not ours.
        """
        theirs = self._ask("model", "loading the model", PATIENCE_S, request=request)["digest"]
        if theirs != digest:
            raise PeerRefused(
                f"{self.name} has other weights for {request['name']} ({theirs[:8]} instead of {digest[:8]}); copy the "
                "same checkpoint there and name it with `prism worker --checkpoint`"
            )

    def invite(self, meeting: Meeting, names: Sequence[str], threads: int | None) -> None:
        """Send it to the group's meeting place. `joined` has the answer."""
        self._channel.send(
            "group", address=meeting.address, port=meeting.port, rank=self.rank, names=list(names), threads=threads
        )

    def joined(self) -> None:
        """Wait until it has joined the group."""
        self._channel.expect("group_done", PATIENCE_S, "joining the group")

    def throttle(self, method: str, bandwidth_mbps: float) -> dict[str, str]:
        """Throttle its end; returns what it did."""
        answer = self._ask("throttle", "throttling", method=method, bandwidth_mbps=bandwidth_mbps)
        return dict(answer["provenance"])

    def conditions(self) -> dict[str, str]:
        """Its machine, clocks and temperatures."""
        return dict(self._ask("conditions", "asking for its clocks", PATIENCE_S)["facts"])

    def prepare(self, **what: Any) -> None:
        """Have it build its share of the model and its buffers."""
        self._ask("prepare", "preparing a pass", PATIENCE_S, **what)

    def start(self) -> None:
        """Tell it to begin the pass: the control message of the schedule."""
        self._channel.send("start", size=CONTROL_BYTES)

    def finished(self) -> list[TakenStep]:
        """Wait for the end of its pass; returns its steps, on its own clock."""
        return decode(self._channel.expect("start_done", self._timeout_s, "finishing a pass")["steps"])

    def read_clock(self, clock: Callable[[], float]) -> ClockReading:
        """Its clock in terms of ours."""
        return read_clock(lambda: float(self._ask("ping", "reading its clock")["clock_s"]), clock)

    def probe(self, nbytes: int, timeout_s: float) -> None:
        """Send a message of `nbytes` on the control channel and wait for its short answer; between passes only.

        Raises:
            PeerLost: no answer within `timeout_s` seconds, or it is gone. The channel is of no use afterwards.
        """
        self._ask("ping", "probing the link", timeout_s, size=nbytes)

    def energy_begin(self) -> None:
        """Begin a block of passes whose energy it measures."""
        self._ask("energy_begin", "measuring energy")

    def energy_end(self, passes: int) -> BlockEnergy:
        """End the block."""
        answer = self._ask("energy_end", "measuring energy", PATIENCE_S, passes=passes)
        return parse_json(BlockEnergy, answer["block"], f"energy from {self.name}")

    def last_words(self, deadline_s: float) -> str | None:
        """After a failure, what this worker says of it, or that its process is gone; None if it says nothing.

        Args:
            deadline_s: how long to listen, on `time.monotonic`.
        """
        try:
            while True:
                message = self._channel.receive(max(0.01, deadline_s - time.monotonic()), "carrying out a pass")
                if message["kind"] == "failed":
                    return f"{self.name} reports: {message['reason']}"
        except PeerLost as error:
            return None if isinstance(error.__cause__, TimeoutError) else str(error)

    def dismiss(self) -> None:
        """Say goodbye, if it is still there to hear it."""
        with contextlib.suppress(PeerLost):  # it is gone, which is all that goodbye is for
            self._channel.send("bye")
        self._channel.close()

    def _ask(self, kind: str, doing: str, timeout_s: float | None = None, **fields: Any) -> dict[str, Any]:
        self._channel.send(kind, **fields)
        return self._channel.expect(f"{kind}_done", timeout_s or self._timeout_s, doing)
