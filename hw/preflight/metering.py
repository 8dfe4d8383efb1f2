"""Runs in a child process: open the power meter that `auto` would take, tell which it is, close it again."""

from __future__ import annotations

from hw.power.choose import open_meter
from hw.preflight.child import tell


def main(_arguments: list[str]) -> None:
    """Tell the meter's name and scope, and why those tried before it were passed over."""
    with open_meter("auto") as choice:
        tell({"meter": choice.meter.name, "scope": choice.meter.scope, "passed_over": choice.skipped})
