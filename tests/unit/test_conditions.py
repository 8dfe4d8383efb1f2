"""What is kept of a machine with every run, from a made-up Jetson and from a machine that tells nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.conditions import machine, state
from hw.host import Host
from prism.errors import InputError

BOARD = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/loadavg": "0.52 0.40 0.30 1/200 99\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "729600\n",
    "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": "1510400\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "624750000\n",
    "sys/class/thermal/thermal_zone0/temp": "51250\n",
    "sys/class/thermal/thermal_zone1/temp": "-256000\n",
}


def nvpmodel(*words: str) -> str:
    assert words == ("nvpmodel", "-q")
    return "NV Power Mode: 15W\n0\n"


def nothing(*_: str) -> str:
    raise InputError("not installed")


@pytest.fixture
def board(tmp_path: Path) -> Host:
    for name, text in BOARD.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return Host(root=tmp_path, run=nvpmodel)


def test_a_board_tells_its_name_mode_clocks_and_temperature(board: Host) -> None:
    facts = machine(board)
    assert facts["machine"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert facts["power_mode"] == "15W"
    assert state(board) == {
        "governor": "performance schedutil",
        "cpu_mhz": "729 to 1510",
        "gpu_mhz": "624",
        "hottest_celsius": "51.2",
        "load_1min": "0.52",
    }


def test_what_a_machine_does_not_tell_is_left_out(tmp_path: Path) -> None:
    silent = Host(root=tmp_path, run=nothing)
    assert state(silent) == {}
    assert set(machine(silent)) == {"host", "machine", "kernel"}
