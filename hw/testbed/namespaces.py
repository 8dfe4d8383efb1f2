"""The plumbing: rank namespaces around one bridge, and one bucket that every frame has to pass.

```
 r0: eth0 ──── port0 ┐            ┌ ingress of every port
 r1: eth0 ──── port1 ┤ air bridge │   is redirected to
 r2: eth0 ──── port2 ┘            └─► ifb: one tbf ─► back to the port, and over the bridge
```

A frame takes the air once, whoever sends it and to whom: directions and flows share one rate, as stations on one WiFi
channel in ad-hoc mode do.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hw.link.bucket import TokenBucket
from hw.link.tools import ToolFailed, run_batch, run_tool
from hw.testbed.names import NAMESPACES, namespaces_of
from hw.testbed.processes import kill

RANK_INTERFACE = "eth0"
_CLONE_NEWNET = 0x40000000  # from the kernel's linux/sched.h; `os.setns` has it from Python 3.12 on
NETWORK_BITS = 24
GSO_BYTES = 3_600
"""Largest segment that TCP hands down: two packets. More would have to be cut up by tbf, at a cost in CPU time that
lowers the rate from 800 Mbps on, and one that waits when the burst is lowered below its size would block the queue."""


def address_of(rank: int) -> str:
    """IPv4 address of a rank inside the testbed."""
    return f"10.77.0.{rank + 1}"


def create(prefix: str, ranks: int, bucket: TokenBucket, congestion_control: str) -> None:
    """Build namespaces, links and the medium. On failure what was built is left for `destroy`.

    Raises:
        InputError: `ip` or `tc` is not installed.
        ToolFailed: the kernel or the user's rights do not allow it.
    """
    air = air_of(prefix)
    everyone = range(ranks)
    run_batch("ip", lines=[f"netns add {name}" for name in (air, *(rank_of(prefix, rank) for rank in everyone))])
    run_batch("ip", "-n", air, lines=_air_links(prefix, ranks))
    run_batch("tc", "-n", air, lines=_air_queues(ranks, bucket))
    for rank in everyone:
        run_batch("ip", "-n", rank_of(prefix, rank), lines=_rank_links(rank, ranks, congestion_control))


def air_of(prefix: str) -> str:
    """Name of the namespace of the medium."""
    return f"{prefix}-air"


def rank_of(prefix: str, rank: int) -> str:
    """Name of the namespace of a rank."""
    return f"{prefix}-r{rank}"


def _mac(rank: int) -> str:
    return f"02:00:00:00:00:{rank + 1:02x}"


def _air_links(prefix: str, ranks: int) -> list[str]:
    lines = [
        "link add air type bridge stp_state 0 forward_delay 0",
        "link add ifb type ifb",
        "link set ifb up",
        "link set air addrgenmode none up",
    ]
    for rank in range(ranks):
        lines += [
            f"link add port{rank} type veth peer name {RANK_INTERFACE} address {_mac(rank)} "
            f"netns {rank_of(prefix, rank)}",
            f"link set port{rank} addrgenmode none",
            f"link set port{rank} master air up",
        ]
    return lines


def _air_queues(ranks: int, bucket: TokenBucket) -> list[str]:
    lines = [f"qdisc add dev ifb root {bucket.tc_words()}"]
    for rank in range(ranks):
        lines += [
            f"qdisc add dev port{rank} ingress",
            f"filter add dev port{rank} parent ffff: protocol all u32 match u32 0 0 "
            "action mirred egress redirect dev ifb",
        ]
    return lines


def _rank_links(rank: int, ranks: int, congestion_control: str) -> list[str]:
    """Neighbours are permanent, so that no ARP delays a message; IPv6 is off, so that nothing else takes the air."""
    return [
        "link set lo up",
        f"link set {RANK_INTERFACE} addrgenmode none",
        f"link set {RANK_INTERFACE} gso_max_size {GSO_BYTES}",
        f"address add {address_of(rank)}/{NETWORK_BITS} dev {RANK_INTERFACE}",
        *interface_up_lines(rank, ranks, congestion_control),
    ]


def interface_up_lines(rank: int, ranks: int, congestion_control: str) -> list[str]:
    """Bring a rank's interface up; what the kernel forgets when it goes down is set again.

    The route carries the congestion control: the namespace's default may only name one open to all users.
    """
    network = f"{address_of(-1)}/{NETWORK_BITS}"
    return [
        f"link set {RANK_INTERFACE} up",
        f"route replace {network} dev {RANK_INTERFACE} src {address_of(rank)} congctl {congestion_control}",
        *(
            f"neighbour replace {address_of(peer)} lladdr {_mac(peer)} dev {RANK_INTERFACE} nud permanent"
            for peer in range(ranks)
            if peer != rank
        ),
    ]


def bucket_counters(prefix: str) -> dict[str, Any]:
    """What `tc -s` says of the medium: `bytes`, `packets`, `drops`, `backlog` and so on."""
    (shown,) = json.loads(run_tool("tc", "-n", air_of(prefix), "-s", "-j", "qdisc", "show", "dev", "ifb"))
    return dict(shown)


def pids_inside(namespace: str) -> list[int]:
    """Processes whose network is this namespace."""
    try:
        wanted = (NAMESPACES / namespace).stat()
    except OSError:
        return []
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                one = (folder / "ns" / "net").stat()
            except OSError:
                continue
            if (one.st_dev, one.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.append(int(folder.name))
    return found


def destroy(prefix: str) -> list[str]:
    """Kill what runs in a testbed's namespaces and remove them; returns their names. A second call does nothing.

    Raises:
        ToolFailed: a namespace could not be removed; the others are.
    """
    names = namespaces_of(prefix)
    for name in names:
        for pid in pids_inside(name):
            if pid != os.getpid():
                kill(pid)
    failures = [failure for name in names if (failure := _delete(name)) is not None]
    if failures:
        raise failures[0]
    return names


def _delete(namespace: str) -> ToolFailed | None:
    try:
        run_tool("ip", "netns", "delete", namespace)
    except ToolFailed as failure:
        return failure if (NAMESPACES / namespace).exists() else None  # another cleaner was quicker
    return None


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread, and those it starts meanwhile, in the network namespace `name`."""
    home, there = (os.open(path, os.O_RDONLY) for path in ("/proc/thread-self/ns/net", NAMESPACES / name))
    try:
        _set_namespace(there)
        try:
            yield
        finally:
            _set_namespace(home)
    finally:
        os.close(home)
        os.close(there)


def _set_namespace(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "this thread cannot change its network namespace")
