"""Who takes part in a run, and how. Free of torch, so that bad input is told before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hw.runtime.control import DEFAULT_PORT

if TYPE_CHECKING:
    from prism.nn.segment_means import PrefixTokens


@dataclass(frozen=True)
class Peer:
    """Where a worker listens."""

    address: str
    port: int = DEFAULT_PORT


@dataclass(frozen=True)
class Settings:
    """How a terminal device and its workers run.

    Attributes:
        model: timm's name.
        peers: the workers, rank 1 first; none for local execution alone.
        address: the terminal device's own IPv4 address, where the workers find it.
        interface: network interface that GLOO binds to; None leaves it to GLOO_SOCKET_IFNAME.
        device: where the terminal device's model runs: ``cpu``, ``cuda``, or ``auto``, a GPU where there is one.
        pretrained: whether timm fetches the published weights.
        seed: of random weights and of the images.
        threads: compute threads of each rank; None leaves it to torch.
        timeout_s: how long a wait inside a pass, or an answer, may take.
        throttle: how each end is throttled: ``paced``, ``tc`` or ``none``.
        prefix: whether class and register tokens are averaged in.
    """

    model: str
    peers: tuple[Peer, ...] = ()
    address: str = "127.0.0.1"
    interface: str | None = None
    device: str = "auto"
    pretrained: bool = False
    seed: int = 0
    threads: int | None = None
    timeout_s: float = 5.0
    throttle: str = "none"
    prefix: PrefixTokens = "averaged"
