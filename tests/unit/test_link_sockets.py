"""Sockets of this process, found through /proc and paced: real ones, on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from hw.link.pacing import PacedSockets
from hw.link.sockets import congestion_control, pace, pacing_rate, segment_bytes, set_congestion_control, tcp_sockets
from hw.link.throttle import NoThrottle, Throttle
from prism.errors import InputError

PEER = "127.7.7.7"  # an address of loopback that nothing else in this process is connected to


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection to PEER: the end that connected, and the one that accepted."""
    with socket.create_server((PEER, 0)) as listening, socket.create_connection(listening.getsockname()) as near:
        far, _ = listening.accept()
        with far:
            yield near, far


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_only_connections_to_the_peer_are_found(pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    with tcp_sockets([PEER]) as found:
        assert [one.getsockname() for one in found] == [near.getsockname()]
        assert found[0].fileno() != near.fileno()
    with tcp_sockets(["192.0.2.1"]) as found:
        assert found == []
    with tcp_sockets() as found:
        names = [one.getsockname() for one in found]
    assert near.getsockname() in names
    assert (PEER, near.getpeername()[1]) in names


def test_sockets_of_other_kinds_are_left_out(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.connect((PEER, 9))
        with tcp_sockets([PEER]) as found:
            assert [one.getsockname() for one in found] == [pair[0].getsockname()]


def test_ipv4_over_an_ipv6_socket_is_known_by_its_ipv4_address() -> None:
    with socket.create_server((PEER, 0)) as listening, socket.socket(socket.AF_INET6) as near:
        near.connect((f"::ffff:{PEER}", listening.getsockname()[1]))
        with tcp_sockets([PEER]) as found:
            assert len(found) == 1


def test_duplicates_are_closed_and_the_connection_lives_on(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    before = open_files()
    for _ in range(3):
        with tcp_sockets([PEER]):
            pass
    assert open_files() == before
    near.sendall(b"still here")
    assert far.recv(16) == b"still here"


def test_an_option_set_on_a_duplicate_holds_for_the_original(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    assert pacing_rate(near) is None
    with tcp_sockets([PEER]) as (duplicate,):
        pace(duplicate, 12_500_000)
    assert pacing_rate(near) == 12_500_000
    assert pacing_rate(far) is None
    pace(near, None)
    assert pacing_rate(near) is None


def test_rates_above_32_bits_are_kept(pair: tuple[socket.socket, socket.socket]) -> None:
    pace(pair[0], 5e9)
    assert pacing_rate(pair[0]) == 5_000_000_000


def test_congestion_control_is_set_per_connection(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    before = congestion_control(far)
    set_congestion_control(near, "reno")
    assert congestion_control(near) == "reno"
    assert congestion_control(far) == before


def test_an_unknown_congestion_control_is_refused_with_those_there_are(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    with pytest.raises(InputError, match=r"nosuch is not in this kernel; available: .*reno"):
        set_congestion_control(pair[0], "nosuch")


def test_the_first_congestion_control_that_can_be_had_is_taken(pair: tuple[socket.socket, socket.socket]) -> None:
    set_congestion_control(pair[0], "nosuch", "reno", "neither")
    assert congestion_control(pair[0]) == "reno"


def test_paced_sockets_pace_frames_and_say_what_they_did(pair: tuple[socket.socket, socket.socket]) -> None:
    near, _ = pair
    throttle: Throttle = PacedSockets([PEER], congestion_control="reno")
    throttle.set_bandwidth(400)
    payload = segment_bytes(near)
    assert pacing_rate(near) == round(400e6 / 8 * payload / (payload + 66))
    told = throttle.provenance()
    assert told["method"].startswith("paced sockets")
    assert (told["bandwidth_mbps"], told["sockets"], told["congestion_control"]) == ("400", "1", "reno")
    assert told["duplex"].startswith("full")
    assert told["kernel"]
    throttle.close()
    assert pacing_rate(near) is None
    assert throttle.provenance()["bandwidth_mbps"] == "unthrottled"


def test_pacing_nobody_is_refused() -> None:
    with pytest.raises(InputError, match=r"no TCP connection to 127\.7\.7\.8 to pace"):
        PacedSockets(["127.7.7.8"]).set_bandwidth(400)


def test_no_throttle_says_the_same_things() -> None:
    throttle: Throttle = NoThrottle()
    throttle.set_bandwidth(400)
    throttle.close()
    assert {"method", "bandwidth_mbps", "congestion_control", "duplex", "kernel"} <= throttle.provenance().keys()
