"""The radio's power save, which holds packets back for tens to hundreds of milliseconds."""

from __future__ import annotations

from hw.host import Host
from hw.preflight.check import Check
from hw.preflight.network import Link


def power_save(host: Host, link: Link) -> list[Check]:
    """Whether a wireless interface saves power."""
    name = "power save"
    if link.name is None:
        return [Check(name, "skipped", "no interface")]
    if not any(host.path(f"/sys/class/net/{link.name}/{sign}").exists() for sign in ("wireless", "phy80211")):
        return [Check(name, "skipped", f"{link.name} is not wireless")]
    switch_off = f"sudo iw dev {link.name} set power_save off"
    answer = host.ask("iw", "dev", link.name, "get", "power_save")
    if answer.missing:
        return [Check(name, "warning", "not known: iw is not installed", f"sudo apt install iw, then {switch_off}")]
    state = answer.text.partition(":")[2].strip().lower()
    if state == "off":
        return [Check(name, "ok", f"off on {link.name}")]
    found = f"on: {link.name} may hold packets back for 50 to 300 ms (reported)" if state == "on" else "not known"
    if answer.problem:
        found = f"not known: {answer.problem}"
    return [Check(name, "warning", found, f"{switch_off} (until the next start)")]
