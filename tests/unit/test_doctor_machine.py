"""What the doctor finds of a machine: a Jetson or not, its kernel, clocks, temperatures, date and power meters."""

from __future__ import annotations

import gzip
import os
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hw.host import Host
from hw.link.tools import ToolFailed
from hw.preflight.child import Ended
from hw.preflight.date import RELEASED, calendar, ntp
from hw.preflight.jetson import is_jetson, l4t_release
from hw.preflight.kernel import congestion_control, throttle
from hw.preflight.machine import machine, python
from hw.preflight.power import jtop_service, power_meter
from hw.preflight.speeds import cpu_clock, gpu_clock, power_mode, temperature
from prism.errors import InputError

L4T_36 = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
L4T_35 = L4T_36.replace("R36", "R35")


def board(root: Path, answers: dict[str, Any] | None = None, files: dict[str, str] | None = None) -> Host:
    """A board with these files and answers to commands; an exception is raised, any other command not installed."""

    def run(name: str, *arguments: str) -> str:
        answer = (answers or {}).get(" ".join((name, *arguments)))
        if answer is None:
            raise InputError(f"the command {name!r} is not installed")
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    for path, text in (files or {}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Host(root, run, environment={})


@pytest.mark.parametrize(
    "files",
    [
        {"etc/nv_tegra_release": L4T_36},
        {"proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0"},
        {"proc/device-tree/model": "NVIDIA Orin Nano Developer Kit\0"},
        {"sys/devices/soc0/family": "Tegra\n"},
    ],
)
def test_each_sign_of_a_jetson_is_enough(tmp_path: Path, files: dict[str, str]) -> None:
    assert is_jetson(board(tmp_path, files=files))


@pytest.mark.parametrize("files", [{}, {"proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0"}])
def test_other_machines_are_none(tmp_path: Path, files: dict[str, str]) -> None:
    host = board(tmp_path, files=files)
    assert not is_jetson(host)
    assert machine(host)[0].status == "ok"


def test_jetpack_6_is_told_with_model_and_release(tmp_path: Path) -> None:
    model = "NVIDIA Jetson Orin Nano Developer Kit"
    host = board(tmp_path, files={"etc/nv_tegra_release": L4T_36, "proc/device-tree/model": f"{model}\0"})
    assert l4t_release(host) == (36, "36.4.3")
    (check,) = machine(host)
    assert check.status == "ok"
    assert check.found.startswith(f"{model}, L4T 36.4.3, ")


def test_jetpack_5_fails_even_under_a_newer_python(tmp_path: Path) -> None:
    (check,) = machine(board(tmp_path, files={"etc/nv_tegra_release": L4T_35}))
    assert check.status == "failed"
    assert "JetPack 6" in check.remedy


def test_python_3_8_fails_and_jetpack_5_is_named() -> None:
    assert python((3, 10, 0), "/usr/bin/python3")[0].status == "ok"
    (check,) = python((3, 8, 10), "/usr/bin/python3")
    assert check.status == "failed"
    assert "JetPack 5" in check.found


def packed(root: Path, config: str) -> None:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/config.gz").write_bytes(gzip.compress(config.encode()))


def test_qdiscs_that_are_built_in(tmp_path: Path) -> None:
    packed(tmp_path, "CONFIG_NET_SCH_TBF=y\n# CONFIG_NET_SCH_NETEM is not set\nCONFIG_IFB=m\n")
    (check,) = throttle(board(tmp_path), "6.1")
    assert check.status == "ok"
    assert check.found.startswith("tbf: yes, netem: no, ifb: yes")


def test_a_module_that_nobody_installed_is_not_there(tmp_path: Path) -> None:
    packed(tmp_path, "CONFIG_NET_SCH_TBF=m\n")
    assert throttle(board(tmp_path), "6.1")[0].status == "ok"
    host = board(tmp_path, files={"lib/modules/6.1/modules.dep": "kernel/net/sched/sch_netem.ko.xz:\n"})
    (check,) = throttle(host, "6.1")
    assert check.status == "warning"
    assert "tbf: no, netem: yes" in check.found
    assert "pacing" in check.remedy


def test_a_kernel_without_a_word_about_itself_is_skipped(tmp_path: Path) -> None:
    assert throttle(board(tmp_path), "6.1")[0].status == "skipped"
    packed(tmp_path, "")
    (tmp_path / "proc/config.gz").write_bytes(b"no gzip")
    assert throttle(board(tmp_path), "6.1")[0].status == "skipped"
    truncated = gzip.compress(b"CONFIG_NET_SCH_TBF=y\n" * 9)[:-12]
    (tmp_path / "proc/config.gz").write_bytes(truncated)
    assert throttle(board(tmp_path), "6.1")[0].status == "skipped"


@pytest.mark.parametrize(("available", "status"), [("reno cubic bbr\n", "ok"), ("reno bbr\n", "warning")])
def test_congestion_controls(tmp_path: Path, available: str, status: str) -> None:
    folder = "proc/sys/net/ipv4"
    host = board(
        tmp_path,
        files={f"{folder}/tcp_available_congestion_control": available, f"{folder}/tcp_congestion_control": "bbr\n"},
    )
    (check,) = congestion_control(host)
    assert check.status == status
    assert "the default is bbr" in check.found


def cpus(governor: str, online: str = "0-1") -> dict[str, str]:
    root = "sys/devices/system/cpu"
    return {
        f"{root}/online": online,
        f"{root}/present": "0-1",
        **{
            f"{root}/cpu{index}/cpufreq/{name}": text
            for index in (0, 1)
            for name, text in {
                "scaling_governor": governor,
                "scaling_min_freq": "729600",
                "scaling_max_freq": "1510400",
                "cpuinfo_max_freq": "1728000",
            }.items()
        },
    }


def test_cpus_alike_are_told_once(tmp_path: Path) -> None:
    (check,) = cpu_clock(board(tmp_path, files=cpus("performance")), jetson=True)
    assert (check.status, check.found) == ("ok", "2 CPUs: performance, 730 to 1510 of 1728 MHz")


def test_a_clock_that_moves_is_a_warning_on_a_jetson_alone(tmp_path: Path) -> None:
    host = board(tmp_path, files=cpus("schedutil"))
    assert "jetson_clocks" in cpu_clock(host, jetson=True)[0].remedy
    assert cpu_clock(host, jetson=False)[0].status == "ok"


def test_cpus_that_are_switched_off_are_told(tmp_path: Path) -> None:
    (check,) = cpu_clock(board(tmp_path, files=cpus("performance", online="0")), jetson=True)
    assert check.status == "warning"
    assert "online are 0 of 0-1" in check.found


@pytest.mark.parametrize(("lowest", "status"), [("306000000", "warning"), ("624750000", "ok")])
def test_the_gpus_clock_and_no_other_devices(tmp_path: Path, lowest: str, status: str) -> None:
    folder = "sys/class/devfreq"
    host = board(
        tmp_path,
        files={
            f"{folder}/15340000.vic/cur_freq": "1",
            f"{folder}/17000000.gpu/cur_freq": "306000000",
            f"{folder}/17000000.gpu/min_freq": lowest,
            f"{folder}/17000000.gpu/max_freq": "624750000",
        },
    )
    (check,) = gpu_clock(host, jetson=True)
    assert check.status == status
    assert check.found.startswith("306 MHz now")


def test_the_power_mode_by_name(tmp_path: Path) -> None:
    answers = {"nvpmodel -q": "NVPM WARN: fan mode is not set!\nNV Power Mode: MAXN_SUPER\n2\n"}
    (check,) = power_mode(board(tmp_path, answers), jetson=True)
    assert check.status == "ok"
    assert check.found.startswith("MAXN_SUPER;")
    assert power_mode(board(tmp_path), jetson=True)[0].status == "warning"
    assert power_mode(board(tmp_path), jetson=False)[0].status == "skipped"


def zone(index: int, name: str, milli_c: str, passive: str = "99000") -> dict[str, str]:
    folder = f"sys/class/thermal/thermal_zone{index}"
    return {
        f"{folder}/type": name,
        f"{folder}/temp": milli_c,
        f"{folder}/trip_point_0_type": "critical",
        f"{folder}/trip_point_0_temp": "104500",
        f"{folder}/trip_point_1_type": "passive",
        f"{folder}/trip_point_1_temp": passive,
    }


def test_temperatures_without_the_sensors_that_are_off(tmp_path: Path) -> None:
    host = board(tmp_path, files=zone(0, "cpu-thermal", "48312") | zone(1, "cv0-thermal", "-256000"))
    assert temperature(host)[0].found == "cpu-thermal 48 degrees C"


def test_a_board_about_to_be_slowed_down(tmp_path: Path) -> None:
    host = board(tmp_path, files=zone(0, "cpu-thermal", "91000") | zone(1, "gpu-thermal", "91000", passive="0"))
    (check,) = temperature(host)
    assert check.status == "warning"
    assert "cpu-thermal is slowed down from 99" in check.found
    assert "gpu-thermal is slowed" not in check.found


def test_a_clock_before_the_release_fails() -> None:
    assert calendar(RELEASED)[0].status == "ok"
    assert calendar(RELEASED - timedelta(days=1))[0].status == "failed"
    assert calendar(date(1970, 1, 1))[0].status == "failed"


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("NTPSynchronized=yes\n", "ok"),
        ("NTPSynchronized=no\n", "warning"),
        (ToolFailed("not booted with systemd"), "skipped"),
        (None, "skipped"),
    ],
)
def test_time_servers(tmp_path: Path, answer: Any, status: str) -> None:
    assert ntp(board(tmp_path, {"timedatectl show -p NTPSynchronized": answer}))[0].status == status


def test_jtops_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert jtop_service(board(tmp_path), jetson=False)[0].status == "skipped"
    assert "systemctl start jtop" in jtop_service(board(tmp_path), jetson=True)[0].remedy
    host = board(tmp_path, files={"run/jtop.sock": ""})
    assert jtop_service(host, jetson=True)[0].status == "ok"
    monkeypatch.setattr(os, "access", lambda *_: False)  # root, who may run this, has access to everything
    assert "usermod -aG jtop" in jtop_service(host, jetson=True)[0].remedy


def meters(name: str, passed_over: dict[str, str]) -> Ended:
    return Ended(({"meter": name, "scope": "VDD_IN of the board", "passed_over": passed_over},))


def test_the_meter_that_a_run_would_take_and_why_not_the_others() -> None:
    (check,) = power_meter(lambda *_: meters("ina3221", {"jtop": "not installed"}), jetson=True)
    assert (check.status, check.found) == ("ok", "ina3221: VDD_IN of the board (passed over: jtop: not installed)")


def test_a_jetson_without_any_meter_is_worth_a_warning() -> None:
    def none(*_: object) -> Ended:
        return meters("none", {"jtop": "not installed"})

    assert [power_meter(none, jetson=jetson)[0].status for jetson in (True, False)] == ["warning", "skipped"]


def test_a_meter_that_brings_its_process_down() -> None:
    (check,) = power_meter(lambda *_: Ended((), "crashed (SIGSEGV)"), jetson=True)
    assert check.status == "warning"
    assert "SIGSEGV" in check.found
