"""The testbed without root: the same calls, and no more promised than it can keep."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hw.testbed import LoopbackTestbed, Testbed, open_testbed, why_no_namespaces
from hw.testbed.processes import identify
from prism.errors import InputError
from tests.helpers.command import child_environment

PATIENCE_S = 15.0
OWNER = """
import subprocess, time
from hw.testbed import LoopbackTestbed
with LoopbackTestbed(2, 400) as bed:
    child = bed.spawn(1, ["sh", "-c", "sleep 300 & echo $!; wait"], stdout=subprocess.PIPE)
    print(child.pid, child.stdout.readline(), flush=True)
    time.sleep(300)
"""


def test_ranks_have_addresses_of_their_own_and_the_rate_in_their_environment() -> None:
    with LoopbackTestbed(2, 150) as bed:
        process = bed.spawn(1, ["sh", "-c", "echo $PRISM_ADDRESS $PRISM_BANDWIDTH_MBPS"], stdout=subprocess.PIPE)
        assert process.communicate(timeout=PATIENCE_S)[0].split() == ["127.0.0.2", "150"]
        bed.set_bandwidth(300)
        assert bed.variables(0)["PRISM_BANDWIDTH_MBPS"] == "300"


def test_it_says_what_it_is() -> None:
    told = LoopbackTestbed(2, 400).provenance()
    assert told["method"].startswith("loopback, sockets paced")
    assert told["duplex"].startswith("full")


def test_there_is_no_link_to_cut() -> None:
    with pytest.raises(InputError, match="no link to cut; as root"):
        LoopbackTestbed(2, 400).cut(0)
    with pytest.raises(InputError, match="no interface to take down; as root"):
        LoopbackTestbed(2, 400).cut(0, interface=True)


def test_without_root_it_is_what_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert why_no_namespaces() == "network namespaces need root"
    assert isinstance(open_testbed(2, 400), LoopbackTestbed)
    with pytest.raises(InputError, match="network namespaces need root; run as root, or use a loopback testbed"):
        Testbed(2, 400)


def test_processes_end_with_the_testbed() -> None:
    with LoopbackTestbed(2, 400) as bed:
        child = bed.spawn(0, ["sleep", "300"])
    assert child.returncode == -signal.SIGTERM


def test_processes_end_with_a_killed_owner(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, env=child_environment(), cwd=tmp_path
    )
    assert owner.stdout is not None
    with owner.stdout:
        children = [identify(int(pid)) for pid in owner.stdout.readline().split()]
    assert len(children) == 2
    owner.kill()
    owner.wait(PATIENCE_S)
    deadline = time.monotonic() + PATIENCE_S
    while any(child is not None and child.alive for child in children):
        assert time.monotonic() < deadline, "orphans"
        time.sleep(0.02)
