"""A testbed of real namespaces: what runs on it sees, what its medium does, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hw.link.tools import ToolFailed, run_tool
from hw.testbed import Testbed, namespaces, remove_leftovers, why_no_namespaces
from hw.testbed.names import leftover_prefixes, namespaces_of
from hw.testbed.processes import identify
from prism.errors import InputError
from tests.helpers.command import child_environment

REASON = why_no_namespaces()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"{REASON}")

PATIENCE_S = 15.0
LISTEN = """
import os, socket
with socket.create_server((os.environ["PRISM_ADDRESS"], 7000)) as listening:
    print("ready", flush=True)
    while True:
        connection, _ = listening.accept()
        with connection:
            while piece := connection.recv(1 << 20):
                pass
            connection.sendall(b"got it")
"""
SEND = """
import os, socket, sys
peer = os.environ["PRISM_PEERS"].split(",")[1 - int(os.environ["PRISM_RANK"])]
with socket.create_connection((peer, 7000), timeout=float(sys.argv[2])) as connection:
    connection.sendall(bytes(int(sys.argv[1])))
    connection.shutdown(socket.SHUT_WR)
    print(connection.recv(16).decode(), connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).decode())
"""
OWNER = """
import signal, time
from hw.testbed import Testbed
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background ignores it
bed = Testbed(2, 400)
with bed:
    bed.spawn(0, ["sh", "-c", "sleep 300 & setsid sleep 300"])
    print(bed.prefix, bed._guard.pid, flush=True)
    time.sleep(300)
"""


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed(2, 400) as opened:
        yield opened
    assert namespaces_of(opened.prefix) == []


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def output(bed: Testbed, rank: int, *argv: str) -> str:
    process = bed.spawn(rank, argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = process.communicate(timeout=PATIENCE_S)
    return out


def listen(bed: Testbed, rank: int) -> subprocess.Popen[str]:
    process = bed.spawn(rank, [sys.executable, "-c", LISTEN], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
    return process


def send(bed: Testbed, rank: int, nbytes: int = 1000, timeout_s: float = PATIENCE_S) -> str:
    return output(bed, rank, sys.executable, "-c", SEND, str(nbytes), str(timeout_s)).strip().rstrip("\0")


def rate_bits(bed: Testbed) -> int:
    return 8 * int(bed.counters()["options"]["rate"])


def test_a_rank_finds_itself_and_its_peers_in_its_environment(bed: Testbed) -> None:
    found = dict(line.split("=", 1) for line in output(bed, 1, "env").splitlines() if "=" in line)
    assert found["PRISM_RANK"] == "1"
    assert found["PRISM_ADDRESS"] == bed.address(1)
    assert found["PRISM_PEERS"].split(",") == [bed.address(0), bed.address(1)]
    assert found["GLOO_SOCKET_IFNAME"] == found["PRISM_INTERFACE"] == bed.interface
    assert found["OMP_NUM_THREADS"] == "1"


def test_what_the_caller_says_of_the_environment_wins(bed: Testbed) -> None:
    process = bed.spawn(0, ["sh", "-c", "echo $OMP_NUM_THREADS"], {"OMP_NUM_THREADS": "3"}, stdout=subprocess.PIPE)
    assert process.communicate(timeout=PATIENCE_S)[0] == "3\n"


def test_a_rank_has_a_namespace_of_its_own_with_its_address_alone(bed: Testbed) -> None:
    here = str(Path("/proc/self/ns/net").readlink())
    inside = [output(bed, rank, "readlink", "/proc/self/ns/net").strip() for rank in range(2)]
    assert len({here, *inside}) == 3
    shown = json.loads(output(bed, 0, "ip", "-j", "address", "show", "dev", bed.interface))
    assert [one["local"] for one in shown[0]["addr_info"]] == [bed.address(0)]


def test_ranks_have_a_core_each_where_there_are_enough(bed: Testbed) -> None:
    code = "import os; print(*os.sched_getaffinity(0))"
    cores = [output(bed, rank, sys.executable, "-c", code).split() for rank in range(2)]
    if len(os.sched_getaffinity(0)) >= 2:
        assert [len(one) for one in cores] == [1, 1]
        assert cores[0] != cores[1]
    else:
        assert cores[0] == cores[1]


def test_more_ranks_than_cores_are_not_pinned_and_it_says_so() -> None:
    available = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(available)})
    try:
        assert Testbed(2, 400).provenance()["cores"] == "not pinned: 2 ranks on 1 cores"
    finally:
        os.sched_setaffinity(0, available)


def test_connections_use_the_congestion_control_that_is_recorded() -> None:
    with Testbed(2, 400, congestion_control="reno") as bed:
        assert bed.provenance()["congestion_control"] == "reno"
        listen(bed, 1)
        assert send(bed, 0) == "got it reno"


def test_what_either_rank_sends_passes_the_one_bucket(bed: Testbed) -> None:
    for rank in range(2):
        listen(bed, rank)
    before = bed.counters()["bytes"]
    assert send(bed, 0, 100_000) == "got it cubic"
    forward = bed.counters()["bytes"] - before
    assert send(bed, 1, 200_000) == "got it cubic"
    both = bed.counters()["bytes"] - before
    assert 100_000 * 1514 / 1448 <= forward < 1.2 * 100_000
    assert 300_000 * 1514 / 1448 <= both < 1.2 * 300_000


def test_every_rank_reaches_every_other() -> None:
    with Testbed(4, 400) as bed:
        for rank in range(4):
            code = f"""
import os, socket
for peer in os.environ["PRISM_PEERS"].split(","):
    if peer != "{bed.address(rank)}":
        try:
            socket.create_connection((peer, 7000), timeout={PATIENCE_S})
        except ConnectionRefusedError:
            print("refused", end=" ")
"""
            assert output(bed, rank, sys.executable, "-c", code).split() == ["refused"] * 3


def test_the_rate_changes_under_traffic(bed: Testbed) -> None:
    listen(bed, 1)
    assert rate_bits(bed) == 400_000_000
    answer: list[str] = []
    sending = threading.Thread(target=lambda: answer.append(send(bed, 0, 20_000_000)))
    sending.start()
    for rate in (20, 2000, 150):
        time.sleep(0.05)
        bed.set_bandwidth(rate)
        assert bed.bandwidth_mbps == rate
        assert rate_bits(bed) == rate * 1_000_000
        assert bed.provenance()["bandwidth_mbps"] == f"{rate}"
    bed.set_bandwidth(2000)
    sending.join(PATIENCE_S)
    assert answer == ["got it cubic"]


@pytest.mark.parametrize("rate", [19.9, 2000.1, float("nan"), -1])
def test_a_rate_out_of_range_changes_nothing(bed: Testbed, rate: float) -> None:
    with pytest.raises(InputError, match="bandwidth_mbps"):
        bed.set_bandwidth(rate)
    assert rate_bits(bed) == 400_000_000


def test_a_silent_cut_is_not_told_to_anyone(bed: Testbed) -> None:
    listen(bed, 1)
    bed.cut(1)
    bed.cut(1)
    assert "TimeoutError" in send(bed, 0, timeout_s=0.2)
    bed.restore(1)
    bed.restore(1)
    assert send(bed, 0) == "got it cubic"


def test_an_interface_that_goes_down_is_noticed_by_its_own_rank(bed: Testbed) -> None:
    listen(bed, 1)
    bed.cut(0, interface=True)
    assert "Network is unreachable" in send(bed, 0)
    bed.restore(0)
    assert send(bed, 0) == "got it cubic"


def test_two_testbeds_do_not_meet(bed: Testbed) -> None:
    with Testbed(2, 100) as other:
        assert other.prefix != bed.prefix
        assert other.address(0) == bed.address(0)
        listen(other, 1)
        assert "refused" in send(bed, 0)
        assert send(other, 0) == "got it cubic"
        assert rate_bits(bed) == 400_000_000
    assert len(namespaces_of(bed.prefix)) == 3


def test_an_exception_takes_everything_down() -> None:
    with pytest.raises(KeyError), Testbed(3, 400) as bed:  # noqa: PT012
        child = bed.spawn(0, ["sh", "-c", "setsid sleep 300 & sleep 300"])
        daemon = identify(child.pid)
        raise KeyError
    assert namespaces_of(bed.prefix) == []
    assert daemon is not None
    assert not daemon.alive
    assert child.returncode is not None


def test_a_process_that_will_not_stop_is_killed() -> None:
    with Testbed(1, 400) as bed:
        child = bed.spawn(0, ["sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done"], stdout=subprocess.PIPE)
        assert child.stdout is not None
        with child.stdout:
            child.stdout.readline()
        bed.stop(grace_s=0.1)
        assert child.returncode == -9


def test_a_frozen_process_is_killed() -> None:
    with Testbed(1, 400) as bed:
        child = bed.spawn(0, ["sh", "-c", "kill -STOP $$"])
        bed.stop(grace_s=0.1)
        assert child.returncode is not None


def test_a_forked_child_takes_nothing_down(bed: Testbed) -> None:
    child = subprocess.run(
        [sys.executable, "-c", f"from hw.testbed.names import *; print(*namespaces_of({bed.prefix!r}))"],
        capture_output=True,
        text=True,
        check=True,
        env=child_environment(),
    )
    assert len(child.stdout.split()) == 3
    pid = os.fork()
    if pid == 0:
        bed.close()
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(namespaces_of(bed.prefix)) == 3


def test_a_build_that_fails_half_way_leaves_nothing() -> None:
    bed = Testbed(2, 400, congestion_control="nosuch")
    with pytest.raises(ToolFailed, match="congctl nosuch"), bed:
        pass
    assert namespaces_of(bed.prefix) == []


def test_a_testbed_that_is_not_open_runs_nothing() -> None:
    with pytest.raises(InputError, match="not open"):
        Testbed(1, 400).spawn(0, ["true"])


def test_a_rank_that_there_is_not_is_named(bed: Testbed) -> None:
    for use in (bed.address, bed.cut, bed.restore, lambda rank: bed.spawn(rank, ["true"])):
        with pytest.raises(InputError, match="no rank 2: this testbed has ranks 0 to 1"):
            use(2)


@pytest.mark.parametrize("ranks", [0, 17])
def test_a_testbed_of_no_or_too_many_ranks_is_refused(ranks: int) -> None:
    with pytest.raises(InputError, match="1 to 16 ranks"):
        Testbed(ranks, 400)


class Owner:
    """A process that holds a testbed, to be killed."""

    def __init__(self, tmp_path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=child_environment(), cwd=tmp_path
        )
        assert self.process.stdout is not None
        with self.process.stdout:
            self.prefix, guard = self.process.stdout.readline().split()
        self.guard = identify(int(guard))
        assert self.guard is not None
        sleepers = namespaces.rank_of(self.prefix, 0)
        assert eventually(lambda: len(namespaces.pids_inside(sleepers)) == 3)
        self.inside = [identify(pid) for pid in namespaces.pids_inside(sleepers)]

    def all_gone(self) -> bool:
        return namespaces_of(self.prefix) == [] and not any(one is not None and one.alive for one in self.inside)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[Owner]:
    opened = Owner(tmp_path)
    yield opened
    opened.process.kill()
    opened.process.wait(PATIENCE_S)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_killed_owner_leaves_nothing(owner: Owner, how: str) -> None:
    owner.process.send_signal(signal.Signals[how])
    owner.process.wait(PATIENCE_S)
    assert eventually(owner.all_gone)


def test_what_owner_and_guard_leave_when_both_are_killed_goes_at_the_next_start(owner: Owner) -> None:
    assert owner.guard is not None
    os.kill(owner.guard.pid, 9)
    assert eventually(lambda: owner.guard is not None and not owner.guard.alive)
    owner.process.kill()
    owner.process.wait(PATIENCE_S)
    with Testbed(1, 400):  # or that of another test run beside this one, even before
        assert owner.all_gone()


def test_a_live_owners_testbed_is_no_leftover(bed: Testbed) -> None:
    assert bed.prefix not in leftover_prefixes()
    remove_leftovers()
    assert len(namespaces_of(bed.prefix)) == 3


def test_a_namespace_of_someone_else_is_left_alone() -> None:
    name = f"notprism-{os.getpid()}-air"
    run_tool("ip", "netns", "add", name)
    try:
        remove_leftovers()
        assert Path(f"/run/netns/{name}").exists()
    finally:
        run_tool("ip", "netns", "delete", name)
