"""`prism doctor` as a whole: the command, and a board that has next to nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hw.host import Host
from hw.preflight import doctor as preflight
from hw.preflight.check import Check
from hw.preflight.child import Ended
from hw.preflight.doctor import Question, examine
from hw.preflight.packages import PACKAGES
from hw.preflight.peer import worker
from prism.cli.doctor import doctor
from prism.errors import InputError, RunFailed
from tests.helpers.command import child_environment

VERSIONS = {"prism": "0.1.0", "torch": "2.9.1", "timm": "1.0.31", "python": "3.10.12", "host": "nano2"}
OURS = {"prism": "0.1.0", "torch": "2.9.1", "timm": "1.0.31"}


def never(*_: object) -> dict[str, str]:
    raise AssertionError("no worker was to be greeted")


def nothing_installed(name: str, *_: str) -> str:
    raise InputError(f"the command {name!r} is not installed")


def nothing_imports(_module: str, waiting: list[str], _timeout_s: float) -> Ended:
    return Ended(tuple({"package": name, "missing": True} for name in waiting), "" if waiting else "crashed (SIGILL)")


def test_a_bare_container_is_told_about_and_never_raises(tmp_path: Path) -> None:
    checks = list(examine(Question(), never, Host(tmp_path, nothing_installed, {}), nothing_imports))
    names = [check.name for check in checks]
    assert len(set(names)) == len(names)
    assert set(PACKAGES) | {"gloo", "interface", "firewall", "ntp", "throttle", "peer"} <= set(names)
    assert not [check for check in checks if "fell over" in check.found]
    assert {check.name for check in checks if check.status == "failed"} >= {"torch", "timm"}
    assert not [check for check in checks if check.status in ("failed", "warning") and not check.remedy]


def test_a_check_that_falls_over_takes_no_other_with_it(tmp_path: Path) -> None:
    def broken(*_: str) -> str:
        raise RuntimeError("what\nnobody thought of")

    checks = {check.name: check for check in examine(Question(), never, Host(tmp_path, broken, {}), nothing_imports)}
    assert checks["ntp"].status == "failed"
    assert "RuntimeError: what nobody thought of" in checks["ntp"].found
    assert checks["date"].status == "ok"


@pytest.mark.parametrize("peer", ["nano2", "fe80::1", "192.168.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", ""])
def test_a_peer_is_an_ipv4_address_of_one_board(peer: str) -> None:
    with pytest.raises(InputError, match=r"^--peer [^\n]*$"):
        Question(peer=peer)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_is_a_tcp_port(port: int) -> None:
    with pytest.raises(InputError, match=r"^--port [^\n]*65535$"):
        Question(port=port)


@pytest.mark.parametrize("interface", ["", "../../etc", "-j"])
def test_an_interface_is_a_name(interface: str) -> None:
    with pytest.raises(InputError, match="--interface"):
        Question(interface=interface)


def test_a_worker_with_the_same_versions_is_ok_and_weights_are_left_to_the_session() -> None:
    asked: list[tuple[str, int, float]] = []

    def greet(address: str, port: int, timeout_s: float) -> Mapping[str, str]:
        asked.append((address, port, timeout_s))
        return VERSIONS

    peer, versions = worker(greet, "192.168.1.12", 29601, OURS, 7.0)
    assert asked == [("192.168.1.12", 29601, 7.0)]
    assert (peer.status, versions.status) == ("ok", "ok")
    assert "nano2" in peer.found
    assert "Weights are compared when a session starts" in versions.found


@pytest.mark.parametrize("package", ["prism", "torch", "timm"])
def test_a_worker_with_another_version_fails_and_both_are_told(package: str) -> None:
    _, versions = worker(lambda *_: VERSIONS | {package: "0.9"}, "192.168.1.12", 29600, OURS)
    assert versions.status == "failed"
    assert versions.found == f"{package} 0.9 there, {OURS[package]} here"


def test_another_python_is_no_reason_to_fail() -> None:
    assert worker(lambda *_: VERSIONS | {"python": "3.12.3"}, "192.168.1.12", 29600, OURS)[1].status == "ok"


def test_versions_that_are_not_known_here_cannot_be_compared() -> None:
    _, versions = worker(lambda *_: VERSIONS, "192.168.1.12", 29600, {**OURS, "torch": None})
    assert versions.status == "warning"
    assert "torch not known here" in versions.found


@pytest.mark.parametrize("error", [RunFailed("refused"), InputError("refused"), ConnectionResetError("refused")])
def test_a_worker_that_does_not_answer_fails_in_one_line(error: Exception) -> None:
    def greet(*_: object) -> dict[str, str]:
        raise error

    peer, versions = worker(greet, "192.168.1.12", 29600, OURS)
    assert (peer.status, peer.found, versions.status) == ("failed", "refused", "skipped")


def test_a_greeting_that_needs_what_is_not_installed_is_skipped() -> None:
    def greet(*_: object) -> dict[str, str]:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    (peer,) = worker(greet, "192.168.1.12", 29600, {})
    assert peer.status == "skipped"
    assert "No module named 'torch'" in peer.found


def invoke(*arguments: str) -> int:
    """The command's exit code."""
    code = doctor.main(list(arguments), standalone_mode=False)
    return code or 0


def told(monkeypatch: pytest.MonkeyPatch, *checks: Check) -> None:
    """Have these checks told in place of this machine's."""

    def examine(*_: object) -> Iterator[Check]:
        yield from checks

    monkeypatch.setattr(preflight, "examine", examine)


GOOD = Check("python", "ok", "3.10.12")
DOUBTFUL = Check("torch", "warning", "not installed", "pip install 'prism-edge[hw]'")
BAD = Check("gloo", "failed", "no GLOO", "another wheel")


@pytest.mark.parametrize(("last", "code"), [(DOUBTFUL, 0), (BAD, 1)])
def test_json_is_one_object_and_only_a_failed_check_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], last: Check, code: int
) -> None:
    told(monkeypatch, GOOD, last)
    assert invoke("--json") == code
    assert json.loads(capsys.readouterr().out) == {"ok": code == 0, "checks": [GOOD.as_dict(), last.as_dict()]}
    assert list(GOOD.as_dict()) == ["name", "status", "found", "remedy"]


def test_the_table_shows_remedies_as_they_are_to_be_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told(monkeypatch, GOOD, DOUBTFUL, BAD)
    assert invoke() == 1
    out = capsys.readouterr().out
    assert "-> pip install 'prism-edge[hw]'" in out
    assert "1 ok, 1 warning, 1 failed." in out


@pytest.mark.parametrize("arguments", [["--peer", "nano2"], ["--port", "0"], ["--interface", "a/b"]])
def test_bad_values_are_refused_before_anything_is_looked_at(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(InputError):
        invoke(*arguments)
    assert capsys.readouterr() == ("", "")


def test_this_machine_for_real(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from prism.cli.doctor import doctor; doctor()", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=child_environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert "Traceback" not in done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    checks = {check["name"]: check for check in result["checks"]}
    assert checks["python"]["status"] == "ok"
    assert checks["numpy"]["status"] == "ok"
    assert not [check for check in result["checks"] if "fell over" in check["found"]]
    assert result["ok"] == (done.returncode == 0) == ("failed" not in {check["status"] for check in result["checks"]})
