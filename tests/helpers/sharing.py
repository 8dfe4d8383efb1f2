"""Processor sharing worked out step by step, independently of the simulator's virtual clock."""

from __future__ import annotations

from collections.abc import Sequence


def sharing_ends(flows: Sequence[tuple[float, float]]) -> list[float]:
    """When flows of (arrival, airtime) end on a medium that all flows on it share equally."""
    remaining = {index: airtime for index, (_, airtime) in enumerate(flows)}
    ends = [0.0] * len(flows)
    now = 0.0
    while remaining:
        active = [index for index in remaining if flows[index][0] <= now]
        arrivals = [flows[index][0] for index in remaining if flows[index][0] > now]
        if not active:
            now = min(arrivals)
            continue
        first = min(active, key=lambda index: remaining[index])
        until_end = remaining[first] * len(active)
        if arrivals and min(arrivals) - now < until_end:
            passed, now = min(arrivals) - now, min(arrivals)
        else:
            passed, now = until_end, now + until_end
            ends[first] = now
        for index in active:
            remaining[index] -= passed / len(active)
        if ends[first] == now:
            del remaining[first]
    return ends
