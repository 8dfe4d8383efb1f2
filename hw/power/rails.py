"""Supply rails of a Jetson: which of them is the total, and what that total covers. Shared by jtop and INA3221."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: Rails that carry the whole input, the widest first. Where one is there, the others are parts of it.
INPUT_RAILS = ("VIN", "POM_5V_IN", "VDD_IN")


def input_rail(names: Iterable[str]) -> str | None:
    """The rail that is the total, or None where there is none and the rails must be added up."""
    present = set(names)
    return next((name for name in INPUT_RAILS if name in present), None)


def total_power_w(rails_w: Mapping[str, float]) -> float:
    """Watts of the board: its input rail, or the sum of all rails where it has no such rail."""
    total = input_rail(rails_w)
    return rails_w[total] if total is not None else sum(rails_w.values())


def rail_scope(names: Iterable[str]) -> str:
    """What the total of these rails covers, in words."""
    rails = sorted(names)
    total = input_rail(rails)
    if total is None:
        return f"sum of the rails {', '.join(rails)}; the board has no input rail, so what they leave out is unknown"
    scope = f"{total} of the board"
    if total == "VDD_IN":
        scope += " (the module's input; probably without the M.2 WiFi card, fan and carrier board)"
    return scope
