"""Which workers may take part: one that fails or does not help is left out for a while, longer each time."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace

from prism.units import check_range


@dataclass(frozen=True)
class BackOff:
    """How long a worker is left out: `first_s`, then `growth` times as long each time, up to `most_s`.

    Attributes:
        forgiven_after: passes in a row that went well, after which an earlier failure no longer counts.
    """

    first_s: float = 1.0
    most_s: float = 60.0
    growth: float = 1.5
    forgiven_after: int = 20

    def __post_init__(self) -> None:
        check_range("first_s", self.first_s, 1e-3, 1e6)
        check_range("most_s", self.most_s, self.first_s, 1e6)
        check_range("growth", self.growth, 1, 10)

    def seconds(self, failures: int) -> float:
        return float(min(self.first_s * self.growth ** min(failures - 1, 40), self.most_s))


@dataclass(frozen=True)
class Peer:
    """One worker.

    Attributes:
        failures: how often it failed or did not help, since it was last forgiven.
        until_s: it is left out until then.
        connected: whether it is in the group; if not, it has to be brought back before it takes part.
        good: passes that went well since the last failure.
    """

    failures: int = 0
    until_s: float = -math.inf
    connected: bool = True
    good: int = 0

    def failed(self, now_s: float, back_off: BackOff, *, lost: bool) -> Peer:
        """After it failed (`lost`), or did not help."""
        failures = self.failures + 1
        return Peer(failures, now_s + back_off.seconds(failures), self.connected and not lost, 0)

    def helped(self, back_off: BackOff) -> Peer:
        """After a pass that went well."""
        good = self.good + 1
        return replace(
            self, good=good, connected=True, failures=0 if good >= back_off.forgiven_after else self.failures
        )


Peers = tuple[Peer, ...]


def available(peers: Peers, now_s: float) -> int:
    """How many workers may take part now."""
    return sum(1 for peer in peers if now_s >= peer.until_s)


def failed(peers: Peers, ranks: Collection[int], now_s: float, back_off: BackOff, *, lost: bool) -> Peers:
    """After the workers of `ranks` (from 1) failed or did not help."""
    return tuple(
        peer.failed(now_s, back_off, lost=lost) if rank in ranks else peer for rank, peer in enumerate(peers, start=1)
    )


def helped(peers: Peers, ranks: Collection[int], back_off: BackOff) -> Peers:
    """After a pass of the workers of `ranks` (from 1) that went well."""
    return tuple(peer.helped(back_off) if rank in ranks else peer for rank, peer in enumerate(peers, start=1))
