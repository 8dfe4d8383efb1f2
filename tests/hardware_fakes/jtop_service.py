"""jetson-stats' real service on a fake board.

The service is not told that it is being tested: it runs in a mount namespace of its own in which /sys, /run and
/etc/group are the fake board's, and finds a fake `nvpmodel` on its PATH. Only the folder of its settings is moved.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.hardware_fakes.board import ORIN_NANO, FakeMonitor, put

_RUN = """
import logging, sys
logging.basicConfig(level=logging.INFO)
sys.base_prefix = sys.argv[1]
from jtop.service import JtopServer
JtopServer(force=True).loop_for_ever()
"""
_ENTER = """
set -e
mount --bind "$BOARD/sys" /sys
mount --bind "$BOARD/run" /run
mount --bind "$BOARD/group" /etc/group
exec "$@"
"""
_NVPMODEL = """#!/bin/sh
case "$1" in
-q) printf 'NV Power Mode: 15W\\n0\\n' ;;
-p) printf 'PM_CONFIG: DEFAULT=15W(0)\\nPOWER_MODEL: ID=0 NAME=15W\\nPOWER_MODEL: ID=1 NAME=7W\\n' ;;
esac
"""


def why_not() -> str | None:
    """Why the service cannot run on a fake board here; None where it can."""
    if os.geteuid() != 0:
        return "the service runs as root only"
    try:
        tried = subprocess.run(
            ["unshare", "--mount", "mount", "--bind", "/tmp", "/sys"], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return "no unshare"
    return f"no mount namespaces here: {tried.stderr.strip()}" if tried.returncode else None


@dataclass
class FakeBoard:
    """A board in a folder, and its service while that runs; leaving its `with` ends the service."""

    root: Path
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def monitor(self) -> FakeMonitor:
        return FakeMonitor(self.root / "sys/bus/i2c/devices/1-0040")

    @property
    def socket(self) -> Path:
        """Where clients outside of the namespace reach the service."""
        return self.root / "run/jtop.sock"

    @property
    def log(self) -> str:
        path = self.root / "service.log"
        return path.read_text() if path.exists() else ""

    def build(self, sensors: bool = True) -> None:
        for cpu in re.findall(r"^cpu\d+", Path("/proc/stat").read_text(), re.MULTILINE):
            put(self.root / "sys/devices/system/cpu" / cpu / "online", 1)
        put(self.root / "sys/devices/virtual/dmi/id/board_name", "fake")
        put(self.root / "sys/devices/virtual/thermal/thermal_zone0/type", "cpu-thermal")
        put(self.root / "sys/devices/virtual/thermal/thermal_zone0/temp", 48250)
        put(self.root / "sys/class/power_supply/.keep", "")
        put(self.root / "sys/bus/i2c/devices/.keep", "")
        (self.root / "run").mkdir()
        put(self.root / "group", Path("/etc/group").read_text() + "jtop:x:64999:")
        put(self.root / "bin/nvpmodel", _NVPMODEL)
        (self.root / "bin/nvpmodel").chmod(0o755)
        if sensors:
            self.monitor.install(ORIN_NANO)

    def __enter__(self) -> FakeBoard:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the service; it is ready when its socket is there."""
        environment = os.environ | {"BOARD": str(self.root), "PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        command = ["unshare", "--mount", "sh", "-c", _ENTER, "sh", sys.executable, "-c", _RUN, str(self.root)]
        with (self.root / "service.log").open("wb") as log:
            self.process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )

    def stop(self) -> None:
        """End the service and whatever it started."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=10)
        self.kill()

    def kill(self) -> None:
        """Take the service away at once, as a crash does."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None
