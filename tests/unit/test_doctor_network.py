"""Network checks of the doctor, on a board whose files and commands are made up."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from hw.host import Host
from hw.link.tools import ToolFailed
from hw.preflight import network
from hw.preflight.check import Check
from hw.preflight.network import Link, choose_link, host_name, interface_checks
from hw.preflight.peer import round_trip
from hw.preflight.ports import control_port, firewall, iptables_filters, nft_filters
from hw.preflight.wireless import power_save
from prism.errors import InputError

LO = {
    "ifname": "lo",
    "flags": ["LOOPBACK", "UP"],
    "operstate": "UNKNOWN",
    "addr_info": [{"family": "inet", "local": "127.0.0.1", "prefixlen": 8}],
}
WLAN = {
    "ifname": "wlan0",
    "flags": ["BROADCAST", "UP", "LOWER_UP"],
    "operstate": "UP",
    "mtu": 1500,
    "addr_info": [
        {"family": "inet6", "local": "fe80::1", "prefixlen": 64},
        {"family": "inet", "local": "192.168.1.11", "prefixlen": 24},
    ],
}
ETH_DOWN = {"ifname": "eth0", "flags": ["BROADCAST", "UP"], "operstate": "DOWN", "mtu": 1500, "addr_info": []}
UNREACHABLE = ToolFailed("`ip` failed: RTNETLINK answers: Network is unreachable")
WLAN0 = Link("wlan0", "asked for")


def board(root: Path, answers: dict[str, Any] | None = None, files: dict[str, str] | None = None) -> Host:
    """A board with these answers to commands, any other being not installed. Values are printed, raised, or JSON."""

    def run(name: str, *arguments: str) -> str:
        answer = (answers or {}).get(" ".join((name, *arguments)))
        if answer is None:
            raise InputError(f"the command {name!r} is not installed")
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, str) else json.dumps(answer)

    for path, text in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Host(root, run, environment={})


def route(device: str, gateway: str | None = None) -> list[dict[str, str]]:
    return [{"dst": "x", "dev": device} | ({"gateway": gateway} if gateway else {})]


def statuses(checks: list[Check]) -> list[str]:
    return [check.status for check in checks]


def test_the_interface_asked_for_is_taken_without_a_look(tmp_path: Path) -> None:
    assert choose_link(board(tmp_path), "eth7", "192.168.1.12").name == "eth7"


def test_the_interface_that_leads_to_the_peer_goes_before_the_default_route(tmp_path: Path) -> None:
    host = board(
        tmp_path,
        {"ip -j route get 192.168.1.12": route("wlan0"), "ip -j route get 1.1.1.1": route("eth0", "10.0.0.1")},
    )
    assert choose_link(host, None, "192.168.1.12") == Link("wlan0", "leads to 192.168.1.12")
    assert choose_link(host, None, None) == Link("eth0", "has the default route")


def test_a_gateway_on_the_way_to_the_peer_is_named(tmp_path: Path) -> None:
    host = board(tmp_path, {"ip -j route get 10.9.9.9": route("wlan0", "192.168.1.1")})
    assert choose_link(host, None, "10.9.9.9").why == "leads to 10.9.9.9 over the gateway 192.168.1.1"


def test_without_a_default_route_the_only_network_is_taken(tmp_path: Path) -> None:
    answers = {"ip -j route get 1.1.1.1": UNREACHABLE, "ip -j addr": [LO, ETH_DOWN, WLAN]}
    assert choose_link(board(tmp_path, answers), None, None).name == "wlan0"


def test_of_two_networks_without_a_default_route_none_is_guessed(tmp_path: Path) -> None:
    other = {**WLAN, "ifname": "eth1"}
    answers = {"ip -j route get 1.1.1.1": UNREACHABLE, "ip -j addr": [LO, WLAN, other]}
    host = board(tmp_path, answers)
    link = choose_link(host, None, None)
    assert link.name is None
    interface, address = interface_checks(host, link)
    assert (interface.status, address.status) == ("failed", "skipped")
    assert "wlan0, eth1" in interface.found
    assert "--interface" in interface.remedy


def test_a_peer_that_no_route_leads_to_fails_though_there_is_a_network(tmp_path: Path) -> None:
    answers = {"ip -j route get 10.9.9.9": UNREACHABLE, "ip -j addr": [LO, WLAN]}
    host = board(tmp_path, answers)
    assert statuses(interface_checks(host, choose_link(host, None, "10.9.9.9")))[0] == "failed"


def test_an_interface_that_is_up_is_told_with_its_ipv4_address_alone(tmp_path: Path) -> None:
    interface, address = interface_checks(board(tmp_path, {"ip -j addr": [LO, WLAN]}), WLAN0)
    assert interface == Check("interface", "ok", "wlan0 (asked for), up, MTU 1500")
    assert address == Check("address", "ok", "192.168.1.11/24")


def test_an_interface_without_carrier_or_address_fails(tmp_path: Path) -> None:
    checks = interface_checks(board(tmp_path, {"ip -j addr": [LO, ETH_DOWN]}), Link("eth0", "asked for"))
    assert statuses(checks) == ["failed", "failed"]
    assert "sudo ip link set eth0 up" in checks[0].remedy


def test_an_interface_that_is_not_there_fails_and_the_others_are_named(tmp_path: Path) -> None:
    interface, _ = interface_checks(board(tmp_path, {"ip -j addr": [LO, WLAN]}), Link("wlan1", "asked for"))
    assert interface.status == "failed"
    assert interface.remedy == "choose from: lo, wlan0"


@pytest.mark.parametrize("answers", [{}, {"ip -j addr": "Usage: ip", "ip -j route get 1.1.1.1": ToolFailed("no -j")}])
def test_without_ip_the_kernels_own_files_do(tmp_path: Path, answers: dict[str, Any]) -> None:
    host = board(
        tmp_path,
        answers and {**answers, "ip -j addr": ToolFailed("unrecognized option: j")},
        files={
            "proc/net/route": "Iface Destination Gateway\nwlan0 0001A8C0 0\neth0 00000000 0101A8C0\n",
            "sys/class/net/eth0/operstate": "up\n",
        },
    )
    link = choose_link(host, None, None)
    assert link.name == "eth0"
    interface, address = interface_checks(host, link)
    assert (interface.status, address.status) == ("ok", "warning")
    assert "iproute2" in address.remedy


def test_without_ip_an_interface_that_is_not_there_still_fails(tmp_path: Path) -> None:
    host = board(tmp_path, files={"sys/class/net/eth0/operstate": "up\n"})
    assert interface_checks(host, WLAN0)[0].remedy == "choose from: eth0"


@pytest.mark.parametrize("address", ["127.0.1.1", "127.0.0.1"])
def test_a_host_name_on_loopback_is_the_trap(tmp_path: Path, address: str) -> None:
    (check,) = host_name(board(tmp_path), WLAN0, "nano1", lambda _: address)
    assert check.status == "warning"
    assert address in check.found
    assert "--interface wlan0" in check.remedy
    assert "GLOO_SOCKET_IFNAME" in check.remedy


def test_a_host_name_at_another_interfaces_address_is_told(tmp_path: Path) -> None:
    host = board(tmp_path, {"ip -j addr": [LO, WLAN]})
    assert host_name(host, WLAN0, "nano1", lambda _: "10.1.1.1")[0].status == "warning"
    assert host_name(host, WLAN0, "nano1", lambda _: "192.168.1.11")[0].status == "ok"


def test_gloos_variable_is_the_way_out_of_the_trap_unless_it_names_another_interface(tmp_path: Path) -> None:
    def trap(_: str) -> str:
        return "127.0.1.1"

    host = board(tmp_path)
    right = Host(host.root, host.run, {"GLOO_SOCKET_IFNAME": "wlan0"})
    wrong = Host(host.root, host.run, {"GLOO_SOCKET_IFNAME": "docker0"})
    assert host_name(right, WLAN0, "nano1", trap)[0].status == "ok"
    assert host_name(wrong, WLAN0, "nano1", trap)[0].status == "warning"


def test_a_name_that_does_not_resolve_is_a_warning(tmp_path: Path) -> None:
    def unknown(_: str) -> str:
        raise socket.gaierror(-2, "Name or service not known")

    assert "does not resolve" in host_name(board(tmp_path), WLAN0, "nano1", unknown)[0].found


def test_a_name_server_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    answered = Event()
    monkeypatch.setattr(network, "RESOLVE_TIMEOUT_S", 0.05)

    def silent(_: str) -> str:
        answered.wait(30)
        return "192.168.1.11"

    try:
        assert host_name(board(tmp_path), WLAN0, "nano1", silent)[0].status == "warning"
    finally:
        answered.set()


@pytest.mark.parametrize(
    ("answer", "status"), [("Power save: on\n", "warning"), ("Power save: off\n", "ok"), (ToolFailed("no"), "warning")]
)
def test_power_save_of_a_radio(tmp_path: Path, answer: Any, status: str) -> None:
    host = board(tmp_path, {"iw dev wlan0 get power_save": answer}, files={"sys/class/net/wlan0/phy80211/name": "phy0"})
    (check,) = power_save(host, WLAN0)
    assert check.status == status
    assert ("iw dev wlan0 set power_save off" in check.remedy) == (status == "warning")


def test_a_radio_without_iw_is_a_warning_and_a_cable_is_skipped(tmp_path: Path) -> None:
    host = board(tmp_path, files={"sys/class/net/wlan0/wireless/x": "", "sys/class/net/eth0/operstate": "up"})
    assert "apt install iw" in power_save(host, WLAN0)[0].remedy
    assert power_save(host, Link("eth0", "asked for"))[0].status == "skipped"


OPEN_NFT = """table ip filter {
\tchain INPUT {
\t\ttype filter hook input priority filter; policy accept;
\t}
\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t\tcounter packets 0 bytes 0 jump DOCKER-USER
\t}
}
"""
CLOSED_NFT = """table inet filter {
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\ttcp dport { 22, 80 } accept
\t}
}
"""
CLOSED_IPTABLES = "-P INPUT ACCEPT\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -j REJECT\n"


def test_only_chains_at_the_input_hook_count() -> None:
    assert nft_filters(OPEN_NFT) == []
    assert nft_filters(OPEN_NFT + CLOSED_NFT) == ["nftables, chain input: policy drop, 2 rules"]


def test_rules_of_iptables() -> None:
    assert iptables_filters("-P INPUT ACCEPT\n") == []
    assert iptables_filters("-P INPUT DROP\n") == ["iptables, chain INPUT: policy drop, 0 rules"]
    assert iptables_filters(CLOSED_IPTABLES) == ["iptables, chain INPUT: policy accept, 2 rules"]


def test_an_open_machine_is_ok_and_gloos_ports_are_told(tmp_path: Path) -> None:
    host = board(
        tmp_path,
        {"nft list ruleset": OPEN_NFT, "iptables -S INPUT": "-P INPUT ACCEPT\n"},
        files={"proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n"},
    )
    (check,) = firewall(host, None)
    assert check.status == "ok"
    assert "32768 to 60999" in check.found


def test_a_firewall_is_a_warning_with_the_peer_to_let_in(tmp_path: Path) -> None:
    (check,) = firewall(board(tmp_path, {"nft list ruleset": CLOSED_NFT}), "192.168.1.12")
    assert check.status == "warning"
    assert "ufw allow from 192.168.1.12" in check.remedy


def test_without_root_the_rules_are_not_known_but_ufw_is(tmp_path: Path) -> None:
    answers = {
        "nft list ruleset": ToolFailed("`nft` failed: Operation not permitted (you must be root)"),
        "iptables -S INPUT": ToolFailed("`iptables` failed: Permission denied (you must be root)"),
    }
    (check,) = firewall(board(tmp_path, answers), None)
    assert check.status == "skipped"
    assert "nft needs root; iptables needs root" in check.found
    assert "sudo" in check.remedy
    (check,) = firewall(board(tmp_path, answers, files={"etc/ufw/ufw.conf": "# ufw\nENABLED=yes\n"}), None)
    assert check.status == "warning"
    assert "ufw is enabled" in check.found


def test_ufw_switched_off_and_firewalld_running(tmp_path: Path) -> None:
    off = {"etc/ufw/ufw.conf": "ENABLED=no\n"}
    assert firewall(board(tmp_path, files=off), None)[0].status == "skipped"
    running = board(tmp_path, {"systemctl is-active firewalld": "active\n"}, files=off)
    assert "firewalld is active" in firewall(running, None)[0].found


def test_the_control_port_is_free_or_taken_for_real(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (check,) = control_port(board(tmp_path), port)
        assert check.status == "warning"
        assert f"{port} is in use" in check.found
    assert control_port(board(tmp_path), port)[0].status == "ok"


def test_a_control_port_among_those_the_kernel_hands_out(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    host = board(tmp_path, files={"proc/sys/net/ipv4/ip_local_port_range": f"{port} {port}\n"})
    assert control_port(host, port)[0].status == "warning"


PING = "--- 192.168.1.12 ping statistics ---\nrtt min/avg/max/mdev = 1.2/{mean}/{most}/0.4 ms\n"


@pytest.mark.parametrize(("most", "status"), [("4.5", "ok"), ("212.0", "warning")])
def test_round_trips_show_a_radio_that_sleeps(tmp_path: Path, most: str, status: str) -> None:
    command = "ping -n -c 5 -i 0.2 -W 2 192.168.1.12"
    (check,) = round_trip(board(tmp_path, {command: PING.format(mean="3.0", most=most)}), "192.168.1.12")
    assert check.status == status
    assert f"1.2 to {most} ms" in check.found


def test_no_answer_to_ping_and_no_ping(tmp_path: Path) -> None:
    silent = board(tmp_path, {"ping -n -c 5 -i 0.2 -W 2 192.168.1.12": ToolFailed("100% packet loss")})
    assert round_trip(silent, "192.168.1.12")[0].status == "warning"
    assert round_trip(board(tmp_path), "192.168.1.12")[0].status == "skipped"
