"""Power: jtop's service, and the meter that a run would take."""

from __future__ import annotations

import os

from hw.host import Host
from hw.preflight.check import Check
from hw.preflight.child import RunChild

_SOCKET = "/run/jtop.sock"
#: A service that does not answer is given up after 5 s by its adapter, and NVML may take seconds to load.
METER_TIMEOUT_S = 40.0


def jtop_service(host: Host, *, jetson: bool) -> list[Check]:
    """Whether jtop's service has its socket there and lets this user in, by looking alone."""
    name = "jtop service"
    if not jetson:
        return [Check(name, "skipped", "no Jetson")]
    socket = host.path(_SOCKET)
    if not socket.exists():
        return [
            Check(
                name,
                "warning",
                f"not active: there is no {_SOCKET}",
                "sudo systemctl start jtop (the first time: sudo jtop --install-service)",
            )
        ]
    if not os.access(socket, os.R_OK | os.W_OK):
        return [
            Check(
                name,
                "warning",
                f"{_SOCKET} is there, but this user may not use it",
                "sudo usermod -aG jtop $USER, then log out and in again",
            )
        ]
    return [Check(name, "ok", f"{_SOCKET} is there and this user may use it")]


def power_meter(run: RunChild, *, jetson: bool, timeout_s: float = METER_TIMEOUT_S) -> list[Check]:
    """Which meter `auto` takes and why not one before it; opened in a child and closed again."""
    ended = run("hw.preflight.metering", [], timeout_s)
    if not ended.told:
        return [
            Check(
                "power meter",
                "warning",
                f"trying the power meters {ended.reason or 'gave no answer'}",
                "name one yourself (see docs/energy.md), or go without: none",
            )
        ]
    facts = ended.told[0]
    reasons = "; ".join(f"{name}: {reason}" for name, reason in facts["passed_over"].items())
    if facts["meter"] != "none":
        found = f"{facts['meter']}: {facts['scope']}" + (f" (passed over: {reasons})" if reasons else "")
        return [Check("power meter", "ok", found)]
    found = f"none works here, so no energy will be measured ({reasons})"
    if jetson:
        return [Check("power meter", "warning", found, "start jtop's service, or read docs/energy.md on ina3221")]
    return [Check("power meter", "skipped", found)]
