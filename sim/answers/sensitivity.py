"""Which parameter decides whether splitting pays: variance shares of the gain over local execution, by SALib.

The parameters are the seconds of local compute, of compute and staging when split, of the link's latency, and the
bandwidth, each varied evenly on either side of what it is. Sobol's indices answer the question: a first-order index is
the share of the gain's variance that goes when the parameter is known, a total index what stays when all others are
known, interactions included. Morris' method only ranks, with a hundredth of the passes: it is there for plans and
profiles whose passes SimPy must carry out one by one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prism.errors import InputError, unknown
from prism.plan import Plan
from prism.profile import SystemProfile, extrapolations
from prism.scenario import Scenario
from prism.shape import TransformerShape
from prism.units import BANDWIDTH_MBPS, check_range
from sim.answers.passes import Factors, PlanLatency, local_of
from sim.answers.variance import Method, ParameterShare, share_out
from sim.twin.scenarios import Floats

#: Which parts of the profile a parameter multiplies; the bandwidth is asked for, not measured.
PARAMETERS = ("local compute", "split compute", "staging", "link latency", "bandwidth")


@dataclass(frozen=True)
class Sensitivity:
    """Parameters in the order in which they decide.

    Attributes:
        gain_pct: share of the local latency that splitting saves at the nominal values; negative where it costs.
        gain_sd_pct: standard deviation of the gain, in points, when all parameters vary.
        splits_pct: share of the variations in which splitting pays.
        passes: how many passes were simulated, local ones not counted.
        clear: whether the first parameter's interval lies wholly above the second's.
    """

    method: Method
    shares: tuple[ParameterShare, ...]
    gain_pct: float
    gain_sd_pct: float
    splits_pct: float
    passes: int
    clear: bool
    extrapolated: tuple[str, ...]
    by_simpy: str | None


def half_widths(profile: SystemProfile, plan: Plan) -> dict[str, float]:
    """Of even distributions with the standard deviation that the profile's residuals give: that times root 3.

    The link's residual stands for latency and for bandwidth alike; parameters without a residual are absent.
    """
    residuals = profile.provenance.rms_residual_pct
    stages = {
        "local compute": "compute local",
        "split compute": f"compute {plan.mode}",
        "staging": f"staging {plan.mode}",
        "link latency": "link",
        "bandwidth": "link",
    }
    return {name: residuals[stage] / 100 * np.sqrt(3) for name, stage in stages.items() if residuals.get(stage)}


def sensitivity(
    shape: TransformerShape,
    plan: Plan,
    batch: int,
    bandwidth_mbps: float,
    profile: SystemProfile,
    rng: np.random.Generator,
    *,
    widths: Mapping[str, float],
    method: Method = "sobol",
    samples: int | None = None,
) -> Sensitivity:
    """Vary all parameters together, evenly, and share out the variance of the gain among them.

    Args:
        shape: the model.
        plan: how the pass is split.
        batch: samples in the pass.
        bandwidth_mbps: throttle of the link.
        profile: what the boards and their link cost.
        rng: of the samples and of the intervals' bootstrap.
        widths: by how much each of `PARAMETERS` is varied on either side, relative; 0 or absent to hold it.
        method: `sobol` or `morris`.
        samples: base samples, or trajectories of Morris' method.

    Raises:
        InfeasiblePlan: a board's memory does not hold the pass, split or local.
        InputError: SALib is not installed, a local plan, nothing to vary, or a number out of range.
    """
    if plan.mode == "local":
        raise InputError("local execution gains nothing on itself; choose full_tensor or segment_means")
    names = [name for name in PARAMETERS if widths.get(name)]
    for name in widths:
        if name not in PARAMETERS:
            raise unknown("parameter", name, PARAMETERS)
        check_range(f"variation of {name}", widths[name], 0, 0.99)
    gain = _Gain(shape, plan, batch, bandwidth_mbps, profile)
    found = share_out(gain.pct, {name: widths[name] for name in names}, rng, method, samples)
    first, second = found.shares[:2]
    return Sensitivity(
        method,
        found.shares,
        float(gain.pct({name: np.ones(1) for name in names})[0]),
        float(found.values.std()),
        100 * float((found.values > 0).mean()),
        len(found.values),
        first.total - first.total_conf > second.total + second.total_conf,
        extrapolations(profile, Scenario(shape, batch, bandwidth_mbps, plan)),
        gain.split.by_simpy,
    )


class _Gain:
    """Per cent of the local latency that splitting saves, at factors of the parameters."""

    def __init__(
        self, shape: TransformerShape, plan: Plan, batch: int, bandwidth_mbps: float, profile: SystemProfile
    ) -> None:
        self.split = PlanLatency(shape, plan, profile)
        self._local = PlanLatency(shape, local_of(plan), profile)
        self._batch, self._mbps = batch, bandwidth_mbps
        for latency in (self.split, self._local):
            latency.check_fits(batch)

    def pct(self, at: Mapping[str, Floats]) -> Floats:
        """At arrays of the shape (points,); parameters that are not named stay as they are."""

        def factor(name: str) -> Floats | float:
            return at.get(name, 1.0)

        mbps = np.clip(self._mbps * factor("bandwidth"), *BANDWIDTH_MBPS)
        split = Factors(factor("split compute"), factor("staging"), factor("link latency"))
        split_s = self.split.seconds(self._batch, mbps, split)
        local_s = self._local.seconds(self._batch, BANDWIDTH_MBPS[1], Factors(compute=factor("local compute")))
        return 100 * (1 - split_s / local_s)
