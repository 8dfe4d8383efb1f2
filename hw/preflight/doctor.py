"""All checks, in the order in which they are told."""

from __future__ import annotations

import functools
import importlib.metadata
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from ipaddress import AddressValueError, IPv4Address

from hw.host import Host
from hw.preflight.check import Check
from hw.preflight.child import RunChild, run_child
from hw.preflight.date import calendar, ntp
from hw.preflight.jetson import is_jetson
from hw.preflight.kernel import congestion_control, throttle
from hw.preflight.machine import machine, python
from hw.preflight.network import choose_link, host_name, interface_checks
from hw.preflight.packages import Package, Place, import_packages, packages
from hw.preflight.peer import COMPARED, Greet, round_trip, worker
from hw.preflight.ports import control_port, firewall
from hw.preflight.power import jtop_service, power_meter
from hw.preflight.speeds import cpu_clock, gpu_clock, power_mode, temperature
from hw.preflight.torch_parts import torch_parts
from hw.preflight.wireless import power_save
from prism.errors import InputError

_PORT_LIMIT = 65_535


@dataclass(frozen=True)
class Question:
    """What the doctor is asked.

    Attributes:
        peer: IPv4 address of the other board; None leaves its checks out.
        port: the control port, here and there.
        interface: the network interface; None has it chosen.
        require_cuda: whether torch without CUDA fails on a machine that is no Jetson.
    """

    peer: str | None = None
    port: int = 29_600
    interface: str | None = None
    require_cuda: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.port <= _PORT_LIMIT:
            raise InputError(f"--port {self.port} is no TCP port; choose one from 1 to {_PORT_LIMIT}")
        if self.interface is not None and (not self.interface or "/" in self.interface or self.interface[0] in ".-"):
            raise InputError(f"--interface {self.interface!r} is no interface's name; `ip -brief link` lists them")
        if self.peer is not None:
            _check_address(self.peer)


def _check_address(peer: str) -> None:
    try:
        address = IPv4Address(peer)
    except AddressValueError:
        raise InputError(
            f"--peer {peer!r} is no IPv4 address such as 192.168.1.12; `ip -brief address` on the other board shows it"
        ) from None
    if address.is_unspecified or address.is_multicast or address == IPv4Address("255.255.255.255"):
        raise InputError(f"--peer {peer!r} is the address of no single board; give the other board's own")


#: Checks that are looked up together, and what to call them should that fall over.
Group = tuple[str, Callable[[], list[Check]]]


def examine(question: Question, greet: Greet, host: Host | None = None, child: RunChild = run_child) -> Iterator[Check]:
    """Look everything up and tell each check as it is done. Nothing is changed, and nothing is raised.

    Args:
        question: what to look at.
        greet: asks a worker for its versions; raises `RunFailed` or `InputError`.
        host: the machine; None is this one.
        child: runs code in a process of its own.
    """
    host = host or Host()
    imported: dict[str, Package] = {}
    groups = [
        *_local(question, host, child, imported),
        *_network(question, host),
        *_peer(question, host, greet, imported),
    ]
    for name, look in groups:
        yield from _guarded(name, look)


def _guarded(name: str, look: Callable[[], list[Check]]) -> list[Check]:
    try:
        return look()
    except Exception as error:  # noqa: BLE001  one check that falls over must not take the others with it
        found = f"the check itself fell over ({type(error).__name__}: {' '.join(str(error).split())})"
        return [Check(name, "failed", found, "please report this with the whole output of prism doctor --json")]


def _local(question: Question, host: Host, child: RunChild, imported: dict[str, Package]) -> list[Group]:
    jetson = is_jetson(host)

    def software() -> list[Check]:
        imported.update(import_packages(child))
        place = Place(sys.prefix, sys.base_prefix)
        return [
            *packages(imported, place, _requirements(), jetson=jetson),
            *torch_parts(imported["torch"], jetson=jetson, require_cuda=question.require_cuda),
        ]

    return [
        ("machine", lambda: machine(host)),
        ("python", lambda: python(sys.version_info[:3], sys.executable)),
        ("packages", software),
        ("jtop service", lambda: jtop_service(host, jetson=jetson)),
        ("power meter", lambda: power_meter(child, jetson=jetson)),
        ("power mode", lambda: power_mode(host, jetson=jetson)),
        ("cpu clock", lambda: cpu_clock(host, jetson=jetson)),
        ("gpu clock", lambda: gpu_clock(host, jetson=jetson)),
        ("temperature", lambda: temperature(host)),
        ("date", lambda: calendar(datetime.now(timezone.utc).date())),
        ("ntp", lambda: ntp(host)),
    ]


def _network(question: Question, host: Host) -> list[Group]:
    link = functools.cache(lambda: choose_link(host, question.interface, question.peer))
    return [
        ("interface", lambda: interface_checks(host, link())),
        ("host name", lambda: host_name(host, link(), socket.gethostname())),
        ("power save", lambda: power_save(host, link())),
        ("firewall", lambda: firewall(host, question.peer)),
        ("control port", lambda: control_port(host, question.port)),
        ("throttle", lambda: throttle(host)),
        ("congestion control", lambda: congestion_control(host)),
    ]


def _peer(question: Question, host: Host, greet: Greet, imported: Mapping[str, Package]) -> list[Group]:
    peer, port = question.peer, question.port
    if peer is None:
        return [
            ("peer", lambda: [Check("peer", "skipped", "not asked for; --peer ADDRESS looks at the other board too")])
        ]

    def ours() -> dict[str, str | None]:
        return {name: imported[name].version if name in imported else None for name in COMPARED}

    return [("round trip", lambda: round_trip(host, peer)), ("peer", lambda: worker(greet, peer, port, ours()))]


def _requirements() -> list[str]:
    try:
        return importlib.metadata.requires("prism-edge") or []
    except importlib.metadata.PackageNotFoundError:
        return []
