"""The decision log: one JSON line a batch, with all that the decision was made from and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from prism.policy.adaptive import Candidate, Decision, Observation
from prism.policy.backend import Outcome
from prism.policy.names import plan_name

FORMAT = "prism.decision/1"
Sink = Callable[[str], None]


def log_line(seen: Observation, decision: Decision, outcome: Outcome, samples: int) -> str:
    """One line, without its line feed. Times are in seconds, energies in joules.

    Args:
        seen: what was decided on.
        decision: what was decided.
        outcome: what came of it.
        samples: that had arrived and were in the batch.
    """
    order = decision.order
    return json.dumps(
        {
            "format": FORMAT,
            "index": order.index,
            "observation": {"time_s": seen.now_s, "batch": seen.batch, "samples": samples},
            "estimate": {"bandwidth_mbps": decision.bandwidth_mbps, "uncertainty": decision.uncertainty},
            "candidates": [_candidate(found) for found in decision.candidates],
            "choice": {
                "plan": plan_name(order.plan),
                "reason": decision.reason,
                "switched": decision.switched,
                "give_up_s": order.give_up_s if order.plan.devices > 1 else None,
            },
            "outcome": {
                "start_s": outcome.start_s,
                "total_s": outcome.total_s,
                "communication_s": outcome.communication_s,
                "terminal_j": outcome.terminal_j,
                "all_boards_j": outcome.all_boards_j,
                "lost_workers": list(outcome.lost),
                "restore_s": outcome.restore_s,
                "why": outcome.why,
            },
        },
        allow_nan=False,
    )


def _candidate(found: Candidate) -> dict[str, Any]:
    return {
        "plan": plan_name(found.plan),
        "total_s": found.total_s,
        "terminal_j": found.terminal_j,
        "all_boards_j": found.all_boards_j,
        "value": found.value,
    }
