"""What recorded runs say of the system they were taken on."""

from __future__ import annotations

from collections.abc import Sequence

from calibration.build import ProfileFacts
from prism.profile import Board
from prism.record import Measurement
from prism.units import check_range


def recorded_facts(runs: Sequence[Measurement], name: str, memory_gb: float) -> ProfileFacts:
    """Facts for a profile fitted to `runs`, from their provenance; what they do not say is listed as assumed."""
    check_range("memory of a board in GB", memory_gb, 0.1, 10_000)

    def said(key: str) -> str:
        """What the runs' provenance has under a name, of their own or among the facts of a sweep's machine."""
        found = {run.provenance.get(key) or run.provenance.get(f"machine.{key}") for run in runs}
        return ", ".join(sorted(value for value in found if value)) or "not recorded"

    sources = "/".join(sorted({run.source for run in runs}))
    machine = said("machine")
    days = sorted({run.provenance["date"][:10] for run in runs if "date" in run.provenance})
    return ProfileFacts(
        name=name,
        description=f"Fitted to {len(runs)} {sources} runs",
        board=Board(machine, int(memory_gb * 1e9), 0),
        boards=max(run.plan.devices for run in runs),
        idle_w=0.0,
        source=f"{sources} runs; link: {said('link_method')}, {said('link_congestion_control')}",
        licence="own measurements",
        measured=" to ".join(dict.fromkeys((days[0], days[-1]))) if days else "not recorded",
        machine=machine,
        software=", ".join(f"{name} {said(name)}" for name in ("prism", "python", "torch", "timm", "kernel")),
        assumed=(
            f"a board has {memory_gb:g} GB, all of it free",
            "idle power is not known and counted as 0 W",
        ),
    )
