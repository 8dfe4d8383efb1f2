"""The policy on one made-up trace of the simulator's link, beside what else could have been done."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prism.catalogue import shape_of
from prism.plan import Plan
from prism.policy.adaptive import AdaptivePolicy
from prism.policy.loop import Requests, serve
from prism.policy.objective import Objective
from prism.policy.summary import Comparison, compare
from prism.profile import load_profile
from prism.streams.arrivals import Batching
from prism.streams.generate import KINDS, Span
from sim.streams.backend import Noise, SimBackend
from sim.streams.make_map import simulated_map

SHAPE = shape_of("vit_base_patch16_224")
PROFILE = load_profile("orin_nano_published")
TABLE = simulated_map(PROFILE, SHAPE, (Plan(), Plan("segment_means", 2, 10)), (8,))
SPAN = Span()


@dataclass(frozen=True)
class Trial:
    """What a trace cost by each way of deciding, and what the policy spent on it."""

    comparison: Comparison
    switches: int
    batches: int
    probed_s: float

    @property
    def changes(self) -> bool:
        """Whether the best plan changes within the trace: otherwise there is nothing to decide."""
        fixed = [self.comparison.local, self.comparison.distributed]
        return self.comparison.oracle < 0.9999 * min(total for total in fixed if total is not None)


def trial(kind: str, seed: int, link_noise: float) -> Trial:
    """Serve requests back to back for the length of a trace, batches of 8."""
    trace = KINDS[kind](np.random.default_rng(seed), SPAN)
    backend = SimBackend(SHAPE, PROFILE, trace, noise=Noise(link_noise, seed=seed))
    policy = AdaptivePolicy(TABLE, Objective(), 1)
    served, state = serve(policy, backend, Requests(10_000, None, Batching(8)), stop_s=SPAN.duration_s)
    found = compare(policy, served, state, backend)
    assert found is not None
    return Trial(found, sum(one.decision.switched for one in served), len(served), state.probed_s)
