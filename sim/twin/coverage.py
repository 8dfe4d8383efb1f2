"""What the twin carries out itself, and by which name the rest goes to SimPy."""

from __future__ import annotations

from prism.plan import Plan


def covers(plan: Plan, *, jitter: bool = False, trace: bool = False) -> str | None:
    """None where the twin answers as SimPy does, otherwise why SimPy must.

    Covered is every pass in which the order of messages on the air does not depend on the scenario's numbers: `local`,
    blocking exchange between any number of boards, and preposted exchange between two; with every input distribution,
    wire type, share of tokens, kind of pooling, bandwidth towards the terminal device, relay, latency and cost model.

    Args:
        plan: how the pass is carried out.
        jitter: whether durations are to vary by `sim.jitter`.
        trace: whether spans are asked for.
    """
    if jitter:
        return "jitter: every scenario draws its own durations, one after the other"
    if trace:
        return "trace: the twin keeps the times of a rank's stages and no spans"
    if plan.exchange == "preposted" and plan.devices > 2:
        return f"preposted exchange between {plan.devices} boards: the order of flows depends on the scenario's numbers"
    return None
