"""How long it takes to ask a performance map of the paper's grid for the fastest plan."""

from __future__ import annotations

import timeit
from datetime import datetime, timezone

from hw.profiler.grid import paper_grid
from prism.policy.build_map import build_map
from prism.profile import load_profile
from sim.simulate import simulate
from tests.benchmarks.figures import Figure


def lookup_figures(rounds: int) -> list[Figure]:
    """Microseconds of a lookup over five plans, at a measured place and between four."""
    profile = load_profile("orin_nano_published")
    table = build_map([simulate(case, profile) for case in paper_grid().cases], {}, datetime.now(timezone.utc))
    return [
        Figure(name, [seconds / 1000 * 1e6 for seconds in timeit.repeat(ask, number=1000, repeat=rounds)], target)
        for name, ask, target in (
            ("fastest of 5 plans, batch 8 at 400 Mbps", lambda: table.fastest(8, 400.0), ""),
            ("fastest of 5 plans, batch 12 at 450 Mbps", lambda: table.fastest(12, 450.0), "<= 100"),
        )
    ]
