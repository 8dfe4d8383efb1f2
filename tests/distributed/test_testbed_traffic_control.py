"""tc on a real interface, inside a namespace of its own: what is put on it, and what is left of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from hw.testbed import Testbed, why_no_namespaces
from tests.helpers.command import child_environment

REASON = why_no_namespaces()
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"{REASON}")

HEAD = """
import json, subprocess
from hw.link.throttle import TrafficControl
from prism.errors import InputError
def root():
    shown = json.loads(subprocess.run(["tc", "-j", "qdisc", "show", "dev", "eth0"], capture_output=True).stdout)
    return next(one for one in shown if one.get("root"))
def say(*values):
    print(json.dumps(values))
"""


@pytest.fixture
def bed() -> Iterator[Testbed]:
    with Testbed(1, 400) as opened:
        yield opened


def inside(bed: Testbed, code: str) -> Any:
    process = bed.spawn(
        0,
        [sys.executable, "-c", HEAD + code],
        child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    return json.loads(out)


def test_a_bucket_is_put_on_changed_and_taken_off(bed: Testbed) -> None:
    before, first, second, told, after, untold = inside(
        bed,
        """
before = root()
throttle = TrafficControl("eth0")
throttle.set_bandwidth(100)
first = root()
throttle.set_bandwidth(200)
second, told = root(), throttle.provenance()
throttle.close()
throttle.close()
say(before, first, second, told, root(), throttle.provenance())
""",
    )
    assert first["kind"] == second["kind"] == "tbf"
    assert first["options"]["rate"] == 100e6 / 8
    assert second["options"]["rate"] == 200e6 / 8
    assert first["options"]["burst"] == pytest.approx(4000, rel=0.05)
    assert told["method"] == "tc tbf on eth0"
    assert told["bandwidth_mbps"] == "200"
    assert after == before
    assert untold["bandwidth_mbps"] == "unthrottled"


def test_what_a_killed_prism_left_is_replaced(bed: Testbed) -> None:
    kind, rate = inside(
        bed,
        """
TrafficControl("eth0").set_bandwidth(100)
throttle = TrafficControl("eth0")
throttle.set_bandwidth(300)
say(root()["kind"], root()["options"]["rate"])
""",
    )
    assert (kind, rate) == ("tbf", 300e6 / 8)


def test_a_qdisc_of_someone_else_is_not_lost(bed: Testbed) -> None:
    message, kept = inside(
        bed,
        """
subprocess.run("tc qdisc add dev eth0 root handle 7: htb".split(), check=True)
try:
    TrafficControl("eth0")
except InputError as error:
    say(str(error), root()["handle"])
""",
    )
    assert "has a qdisc of its own (htb 7:)" in message
    assert "tc qdisc delete dev eth0 root" in message
    assert kept == "7:"


def test_an_interface_that_is_not_there_is_named(bed: Testbed) -> None:
    (message,) = inside(
        bed,
        """
try:
    TrafficControl("wlan7")
except InputError as error:
    say(str(error))
""",
    )
    assert "no network interface 'wlan7'" in message


def test_a_delay_is_kept_or_refused_whole(bed: Testbed) -> None:
    message, kind, handle = inside(
        bed,
        """
throttle = TrafficControl("eth0", delay_ms=2)
try:
    throttle.set_bandwidth(100)
    say("", root()["kind"], root()["handle"])
except InputError as error:
    say(str(error), root()["kind"], root()["handle"])
""",
    )
    if message:  # this kernel has no netem
        assert "sch_netem" in message
        assert (kind, handle) == ("noqueue", "0:")
    else:
        assert (kind, handle) == ("tbf", "5052:")
