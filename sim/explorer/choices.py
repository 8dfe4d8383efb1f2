"""What the page's controls offer, and where their numbers come from."""

from __future__ import annotations

from typing import Any

from prism.catalogue import CATALOGUE
from prism.profile import SystemProfile
from sim.explorer.objectives import OBJECTIVES
from sim.explorer.question import BANDWIDTH_MBPS, BATCH, BOARDS, COMPRESSION_RATE, DEFAULTS, Profiles

#: Stops of the bandwidth's slider, about a tenth apart.
_MANTISSAS = (10, 11, 12, 13, 15, 16, 18, 20, 22, 25, 27, 30, 33, 36, 40, 45, 50, 55, 60, 65, 70, 80, 90)
BANDWIDTH_STOPS_MBPS = tuple(
    float(mantissa * 10**power)
    for power in (0, 1, 2)
    for mantissa in _MANTISSAS
    if mantissa * 10**power <= BANDWIDTH_MBPS[1]
)


def choices(profiles: Profiles) -> dict[str, Any]:
    """What `/api/choices` sends. `profiles` are those on offer, the one to begin with first."""
    return {
        "models": [{"name": name, "tokens": shape.tokens} for name, shape in CATALOGUE.items()],
        "objectives": [{"name": name, "label": words.label} for name, words in OBJECTIVES.items()],
        "profiles": [_profile(name, profile) for name, profile in profiles.items()],
        "limits": {
            "batch": BATCH,
            "bandwidth": BANDWIDTH_MBPS,
            "boards": BOARDS,
            "cr": COMPRESSION_RATE,
        },
        "bandwidth_stops": BANDWIDTH_STOPS_MBPS,
        "defaults": {**DEFAULTS, "profile": next(iter(profiles))},
    }


def _profile(name: str, profile: SystemProfile) -> dict[str, Any]:
    power, origin = profile.power, profile.provenance
    return {
        "name": name,
        "description": profile.description,
        "source": origin.source,
        "measured": origin.measured,
        "machine": origin.machine,
        "assumed": list(profile.assumed),
        "energy_scope": None if power is None else power.scope,
    }
