"""Boards for a command: two or more real ones, or a testbed's, with a terminal device in this process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

from prism.errors import InputError, RunFailed

if TYPE_CHECKING:
    from hw.runtime.settings import Peer, Settings
    from hw.runtime.terminal import Terminal
    from hw.testbed import Bed


#: What has to be said of a testbed without namespaces.
LOOPBACK = (
    "loopback testbed: there is no shared medium, each direction has the rate for itself, and the first 64 KB after an "
    "idle time pass unpaced"
)


@dataclass(frozen=True)
class Boards:
    """A terminal device that is connected, and the testbed under it where there is one."""

    terminal: Terminal
    bed: Bed | None = None


def parse_peers(text: str | None) -> tuple[Peer, ...]:
    """Workers from ``ADDRESS[:PORT],...``, rank 1 first.

    Raises:
        InputError: no IPv4 address, or a port that is no number.
    """
    from ipaddress import AddressValueError, IPv4Address

    from hw.runtime.control import DEFAULT_PORT
    from hw.runtime.settings import Peer

    peers = []
    for part in text.split(",") if text else ():
        address, _, port = part.strip().partition(":")
        try:
            peers.append(Peer(str(IPv4Address(address)), int(port) if port else DEFAULT_PORT))
        except (AddressValueError, ValueError):
            raise InputError(f"peer {part!r} is not an IPv4 address with or without a port, such as 10.0.0.2") from None
    return tuple(peers)


@contextmanager
def connected(settings: Settings) -> Iterator[Boards]:
    """Real boards: `prism worker` runs on each of `settings.peers`.

    Raises:
        InputError: see `hw.runtime.terminal.Terminal`, as for the other two.
        PeerLost: a worker cannot be reached.
        PeerRefused: a worker has other versions or weights.
    """
    from hw.link.interfaces import require_interface
    from hw.runtime.terminal import Terminal

    if settings.interface is not None:
        require_interface(settings.interface)
    with Terminal(settings) as terminal:
        yield Boards(terminal)


@contextmanager
def on_testbed(
    settings: Settings, ranks: int, bandwidth_mbps: float, *worker_options: str, loopback: bool = False
) -> Iterator[Boards]:
    """Boards played on this machine; this process is rank 0 while the block runs.

    Args:
        settings: model and limits; peers, addresses, threads, device and throttle are the testbed's.
        ranks: boards, the terminal device included.
        bandwidth_mbps: rate of the medium to begin with.
        worker_options: more options of `prism worker`.
        loopback: no namespaces even where there could be: paced loopback, as without root.

    Raises:
        RunFailed: a worker did not start.
    """
    from hw.runtime.settings import Peer
    from hw.runtime.terminal import Terminal
    from hw.testbed import LoopbackTestbed, open_testbed

    with ExitStack() as stack:
        bed = LoopbackTestbed(ranks, bandwidth_mbps) if loopback else open_testbed(ranks, bandwidth_mbps)
        stack.enter_context(bed)
        started = [_start_worker(bed, rank, settings, worker_options, stack) for rank in range(1, ranks)]
        peers = tuple(Peer(bed.address(rank), _port(*worker)) for rank, worker in enumerate(started, start=1))
        paced = isinstance(bed, LoopbackTestbed)
        settings = replace(
            settings,
            peers=peers,
            address=bed.address(0),
            interface=bed.interface,
            threads=1,
            device="cpu",
            throttle="paced" if paced else "none",
        )
        stack.enter_context(bed.entered(0))
        terminal = stack.enter_context(Terminal(settings, medium=None if paced else bed))
        yield Boards(terminal, bed)


def _start_worker(
    bed: Bed, rank: int, settings: Settings, options: tuple[str, ...], stack: ExitStack
) -> tuple[int, subprocess.Popen[str], IO[str]]:
    log = stack.enter_context(tempfile.TemporaryFile("w+"))  # noqa: SIM115
    command = [sys.executable, "-m", "prism.cli.main", "worker", "--json", "--port", "0", "--interface", bed.interface]
    command += ["--address", bed.address(rank), "--timeout", f"{settings.timeout_s:g}", "--device", "cpu", *options]
    process = bed.spawn(rank, command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    return rank, process, log


def _port(rank: int, process: subprocess.Popen[str], log: IO[str]) -> int:
    """The port at which a worker listens, once it does: importing torch takes its time."""
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline()
    if not line:
        log.seek(0)
        said = log.read().strip().splitlines()
        raise RunFailed(f"worker {rank} of the testbed did not start: {said[-1] if said else 'it said nothing'}")
    return int(json.loads(line)["port"])
