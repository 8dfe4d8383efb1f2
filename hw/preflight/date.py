"""The calendar: a board without a battery starts in the past, where certificates and files are of the future."""

from __future__ import annotations

from datetime import date

from hw.host import Host
from hw.preflight.check import Check

#: This file is older than any board it runs on thinks it is.
RELEASED = date(2026, 11, 1)
_SWITCH_ON = "sudo timedatectl set-ntp true, with a network that reaches a time server"


def calendar(today: date) -> list[Check]:
    """Whether the date can be right at all."""
    if today >= RELEASED:
        return [Check("date", "ok", today.isoformat())]
    found = f"{today.isoformat()}, which is before Prism's release"
    return [Check("date", "failed", found, f"{_SWITCH_ON}; or by hand: sudo date -s 'YYYY-MM-DD hh:mm'")]


def ntp(host: Host) -> list[Check]:
    """Whether the clock follows a time server."""
    answer = host.ask("timedatectl", "show", "-p", "NTPSynchronized")
    if answer.problem:
        return [Check("ntp", "skipped", f"not known: {answer.problem}")]
    if answer.text.strip() == "NTPSynchronized=yes":
        return [Check("ntp", "ok", "the clock follows a time server")]
    return [Check("ntp", "warning", "the clock follows no time server", _SWITCH_ON)]
