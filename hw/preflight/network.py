"""The interface that a run would use: which it is, whether it is up, its address, and what GLOO would take."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from hw.host import Host
from hw.preflight.check import Check, Status

#: Any address beyond the local network; nothing is sent there, the kernel is asked for its route alone.
_FAR_AWAY = "1.1.1.1"
_INSTALL_IP = "install ip: apt install iproute2"
#: A name server that does not answer keeps a look-up waiting for longer than anybody wants to.
RESOLVE_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Link:
    """The interface that was chosen, and why; no name, and `why` says what is in the way."""

    name: str | None
    why: str


def choose_link(host: Host, interface: str | None, peer: str | None) -> Link:
    """The interface that was asked for, else the one that leads to the peer, else the one of the default route."""
    if interface is not None:
        return Link(interface, "asked for")
    target, why = (peer, f"leads to {peer}") if peer is not None else (_FAR_AWAY, "has the default route")
    answer = host.ask("ip", "-j", "route", "get", target)
    routes = _objects(answer.text)
    if routes and routes[0].get("dev"):
        gateway = routes[0].get("gateway")
        over = f" over the gateway {gateway}" if gateway and peer is not None else ""
        return Link(str(routes[0]["dev"]), why + over)
    if answer.problem and "unreachable" not in answer.problem:
        name = _default_from_proc(host)
        return Link(name, "has the default route" if name else f"not known: {answer.problem}")
    if peer is not None:
        return Link(None, f"nothing leads to {peer}")
    return _only_one(host)


def _only_one(host: Host) -> Link:
    """Two boards on a network of their own have no default route."""
    names = [
        str(each["ifname"])
        for each in _objects(host.ask("ip", "-j", "addr").text)
        if "LOOPBACK" not in each.get("flags", []) and _ipv4(each)
    ]
    if len(names) == 1:
        return Link(names[0], "the only one with an IPv4 address")
    return Link(None, f"no default route, and several to choose from: {', '.join(names)}" if names else "no network")


def _default_from_proc(host: Host) -> str | None:
    for line in (host.read("/proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 1 and fields[1] == "00000000":
            return fields[0]
    return None


def interface_checks(host: Host, link: Link) -> list[Check]:
    """Whether the interface exists and is up, and its IPv4 address."""
    answer = host.ask("ip", "-j", "addr")
    if link.name is None:
        bad: Status = "warning" if answer.problem else "failed"
        remedy = "connect the network, or name one with --interface"
        return [
            Check("interface", bad, f"none chosen: {link.why}", remedy),
            Check("address", "skipped", "no interface"),
        ]
    if answer.problem:
        return _without_ip(host, link.name, f"{link.name} ({link.why})", answer.problem)
    every = {str(each.get("ifname")): each for each in _objects(answer.text)}
    if link.name not in every:
        return [_no_such(link.name, every), Check("address", "skipped", "no interface")]
    this = every[link.name]
    # A virtual interface knows no carrier: its state is UNKNOWN while it is up.
    up = "UP" in this.get("flags", []) and this.get("operstate") in ("UP", "UNKNOWN")
    addresses = _ipv4(this)
    found = f"{link.name} ({link.why}), {'up' if up else 'down'}, MTU {this.get('mtu', 'unknown')}"
    return [
        Check("interface", "ok", found)
        if up
        else Check("interface", "failed", found, f"sudo ip link set {link.name} up, or join the wireless network"),
        Check("address", "ok", ", ".join(addresses))
        if addresses
        else Check(
            "address",
            "failed",
            f"{link.name} has no IPv4 address",
            f"see whether DHCP runs, or give it one: sudo ip addr add 192.168.50.1/24 dev {link.name}",
        ),
    ]


def _without_ip(host: Host, name: str, shown: str, problem: str) -> list[Check]:
    unknown = Check("address", "warning", f"not known: {problem}", _INSTALL_IP)
    state = host.read(f"/sys/class/net/{name}/operstate")
    if state is None:
        names = [path.rpartition("/")[2] for path in host.glob("/sys/class/net/*")]
        return [_no_such(name, names), unknown]
    if state in ("up", "unknown"):
        return [Check("interface", "ok", f"{shown}, {state}"), unknown]
    return [Check("interface", "failed", f"{shown}, {state}", f"sudo ip link set {name} up"), unknown]


def _no_such(name: str, names: Any) -> Check:
    return Check("interface", "failed", f"there is no interface {name}", f"choose from: {', '.join(names) or 'none'}")


def host_name(host: Host, link: Link, name: str, resolve: Callable[[str], str] = socket.gethostbyname) -> list[Check]:
    """The trap: GLOO binds to what the host's own name resolves to, on Ubuntu 127.0.1.1, where no peer reaches it."""
    wanted = link.name or "the interface"
    set_to = host.environment.get("GLOO_SOCKET_IFNAME")
    if set_to and link.name is not None and set_to != link.name:
        return [
            Check(
                "host name",
                "warning",
                f"GLOO_SOCKET_IFNAME is {set_to}, but {link.name} {link.why}",
                f"export GLOO_SOCKET_IFNAME={wanted}, or prism doctor --interface {set_to} if that is the one meant",
            )
        ]
    if set_to:
        return [Check("host name", "ok", f"GLOO_SOCKET_IFNAME is {set_to}, so GLOO does not ask for the host's name")]
    remedy = f"give --interface {wanted} to prism worker and to the command that uses it, or export GLOO_SOCKET_IFNAME"
    address = _resolve_in_time(name, resolve)
    if address is None:
        return [
            Check("host name", "warning", f"{name} does not resolve, and GLOO binds to what it resolves to", remedy)
        ]
    if ip_address(address).is_loopback:
        return [
            Check("host name", "warning", f"{name} is {address}: GLOO binds there, where no peer reaches it", remedy)
        ]
    own = [each.partition("/")[0] for each in _addresses(host, link.name)]
    if own and address not in own:
        found = f"{name} is {address}: GLOO binds there, but {link.name} has {', '.join(own)}"
        return [Check("host name", "warning", found, remedy)]
    return [Check("host name", "ok", f"{name} is {address}")]


def _resolve_in_time(name: str, resolve: Callable[[str], str]) -> str | None:
    found: list[str] = []

    def look_up() -> None:
        try:
            found.append(resolve(name))
        except (OSError, UnicodeError):  # not known, or longer than a label may be
            return

    # A look-up cannot be interrupted; as a daemon its thread does not hold the process back at the end.
    thread = threading.Thread(target=look_up, name="resolve", daemon=True)
    thread.start()
    thread.join(RESOLVE_TIMEOUT_S)
    return found[0] if found else None


def _addresses(host: Host, name: str | None) -> list[str]:
    every = _objects(host.ask("ip", "-j", "addr").text)
    return [address for each in every if each.get("ifname") == name for address in _ipv4(each)]


def _ipv4(interface: dict[str, Any]) -> list[str]:
    return [
        f"{each['local']}/{each['prefixlen']}"
        for each in interface.get("addr_info", [])
        if each.get("family") == "inet" and "local" in each and "prefixlen" in each
    ]


def _objects(text: str) -> list[dict[str, Any]]:
    """What `ip -j` printed; nothing for what is not JSON, as from an ip older than 2017 or busybox's."""
    try:
        value = json.loads(text)
    except ValueError:
        return []
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
