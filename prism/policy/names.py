"""What plans are called where labels alone would not tell them apart."""

from __future__ import annotations

from prism.plan import Plan


def plan_name(plan: Plan) -> str:
    """The plan's label, with the options that differ from the usual."""
    options = [
        plan.wire_dtype if plan.wire_dtype != "float32" else "",
        plan.exchange if plan.exchange != "blocking" else "",
        f"input={plan.input_distribution}" if plan.input_distribution != "replicated" else "",
        "" if plan.first_exchange else "no-first-exchange",
        "" if plan.shares is None else f"shares={','.join(f'{share:g}' for share in plan.shares)}",
    ]
    return " ".join([plan.label, *filter(None, options)])
