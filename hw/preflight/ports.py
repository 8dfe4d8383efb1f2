"""What may stand between boards: a firewall, or somebody else on the control port."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Callable

from hw.host import Host
from hw.preflight.check import Check

_PORTS = "/proc/sys/net/ipv4/ip_local_port_range"
_CHAIN = re.compile(r"chain (?P<name>\S+) \{\s*type \w+ hook input [^;]*;(?P<rest>.*?)\n\s*\}", re.DOTALL)


def firewall(host: Host, peer: str | None) -> list[Check]:
    """Whether something filters what comes in. Only root may read the rules themselves."""
    ports = local_ports(host)
    among = f" ({ports[0]} to {ports[1]} here)" if ports else ""
    needed = f"GLOO listens on random TCP ports on every board{among}, so all must be open between boards"
    filters = [*_ufw(host), *_firewalld(host)]
    unknown = []
    asked: tuple[tuple[str, tuple[str, ...], Callable[[str], list[str]]], ...] = (
        ("nft", ("list", "ruleset"), nft_filters),
        ("iptables", ("-S", "INPUT"), iptables_filters),
    )
    for name, arguments, read in asked:
        answer = host.ask(name, *arguments)
        filters += read(answer.text)
        if answer.problem:
            unknown.append(_why_unknown(name, answer.problem, missing=answer.missing))
    if filters:
        remedy = f"let the other boards in: sudo ufw allow from {peer or 'ADDRESS'}, or the like of your firewall"
        return [Check("firewall", "warning", f"{'; '.join(filters)}. {needed}", remedy)]
    if len(unknown) == len(asked):
        remedy = "ask as root: sudo $(command -v prism) doctor" if any("root" in reason for reason in unknown) else ""
        return [Check("firewall", "skipped", f"not known: {'; '.join(unknown)}. {needed}", remedy)]
    left_out = f" ({'; '.join(unknown)})" if unknown else ""
    return [Check("firewall", "ok", f"nothing filters what comes in{left_out}. {needed}")]


def _why_unknown(name: str, problem: str, *, missing: bool) -> str:
    if missing:
        return problem
    denied = any(word in problem.lower() for word in ("root", "permitted", "denied"))
    return f"{name} needs root" if denied else problem


def _ufw(host: Host) -> list[str]:
    settings = host.read("/etc/ufw/ufw.conf") or ""
    return ["ufw is enabled"] if re.search(r"^ENABLED=yes", settings, re.MULTILINE | re.IGNORECASE) else []


def _firewalld(host: Host) -> list[str]:
    answer = host.ask("systemctl", "is-active", "firewalld")
    return ["firewalld is active"] if answer.text.strip() == "active" else []


def nft_filters(ruleset: str) -> list[str]:
    """The chains of a `nft list ruleset` at the input hook that may refuse something."""
    found = []
    for chain in _CHAIN.finditer(ruleset):
        policy = re.search(r"policy (\w+)", chain["rest"])
        rules = [line for line in chain["rest"].split("\n")[1:] if line.strip() and "policy" not in line]
        if rules or (policy and policy[1] != "accept"):
            found.append(
                f"nftables, chain {chain['name']}: policy {policy[1] if policy else 'accept'}, {_count(rules)}"
            )
    return found


def iptables_filters(listed: str) -> list[str]:
    """What an `iptables -S INPUT` has that may refuse something."""
    policy = re.search(r"^-P INPUT (\w+)", listed, re.MULTILINE)
    rules = re.findall(r"^-A INPUT .*", listed, re.MULTILINE)
    if rules or (policy and policy[1] != "ACCEPT"):
        return [f"iptables, chain INPUT: policy {policy[1].lower() if policy else 'unknown'}, {_count(rules)}"]
    return []


def _count(rules: list[str]) -> str:
    return f"{len(rules)} rule{'' if len(rules) == 1 else 's'}"


def local_ports(host: Host) -> tuple[int, int] | None:
    """The range that the kernel takes ports from for who asks for any."""
    numbers = (host.read(_PORTS) or "").split()
    return (int(numbers[0]), int(numbers[1])) if len(numbers) == 2 and all(map(str.isdigit, numbers)) else None


def control_port(host: Host, port: int) -> list[Check]:
    """Whether a worker could listen on the control port here."""
    name = "control port"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As a server does: a connection that has only just ended is not in the way.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("0.0.0.0", port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return [
                Check(
                    name,
                    "warning",
                    f"{port} is in use, perhaps by a worker that runs here already",
                    f"see who: sudo ss -ltnp 'sport = :{port}'; stop it or choose another --port",
                )
            ]
        return [Check(name, "failed", f"{port} cannot be listened on ({error.strerror})", "choose a --port above 1023")]
    ports = local_ports(host)
    if ports and ports[0] <= port <= ports[1]:
        return [
            Check(
                name,
                "warning",
                f"{port} is free, but lies among the ports {ports[0]} to {ports[1]} that the kernel hands out",
                f"choose a --port below {ports[0]}, or another may have taken it when a worker is started",
            )
        ]
    return [Check(name, "ok", f"{port} is free here")]
