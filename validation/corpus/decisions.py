"""Whether the simulator would have chosen the plan that was measured to be fastest.

A decision is made at a model, a batch size and a bandwidth, with everything given that a user does not choose there:
how receives are posted, how the input is handed out, the wire type and the number of boards. Its candidates are `local`
and every distributed plan (`full_tensor` and each L) that was measured with those.

A decision is *clear* where the best and the second best differ by more than the noise: by more than the root of the sum
of squares of the two cases' repeat spreads, as standard deviations of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prism.plan import Plan
from validation.corpus.errors import ALL
from validation.corpus.predict import Prediction
from validation.corpus.splits import place

#: What a decision has in common.
Setting = tuple[str, int, str, Plan]


@dataclass(frozen=True)
class Decision:
    """Held-out predictions of the candidates, the fastest measured one first."""

    setting: Setting
    candidates: tuple[Prediction, ...]

    @property
    def model(self) -> str:
        return self.setting[0]

    @property
    def batch(self) -> int:
        return self.setting[1]

    @property
    def bandwidth_mbps(self) -> float:
        return self.distributed[0].case.key.bandwidth_mbps

    @property
    def distributed(self) -> tuple[Prediction, ...]:
        return tuple(pair for pair in self.candidates if pair.case.key.plan.mode != "local")

    @property
    def local(self) -> Prediction:
        return next(pair for pair in self.candidates if pair.case.key.plan.mode == "local")

    @property
    def best(self) -> Prediction:
        """The fastest by measurement."""
        return self.candidates[0]

    @property
    def chosen(self) -> Prediction:
        """The fastest by simulation."""
        return min(self.candidates, key=lambda pair: pair.simulated.total_s)

    @property
    def won_by(self) -> str:
        """``local`` or ``distributed``."""
        return "local" if self.best.case.key.plan.mode == "local" else "distributed"

    @property
    def agrees(self) -> bool:
        return self.chosen is self.best

    @property
    def regret_pct(self) -> float:
        """What the choice takes longer than the best, by measurement."""
        return 100 * (self.chosen.case.total_s / self.best.case.total_s - 1)

    @property
    def clear(self) -> bool:
        """Whether best and second best differ by more than the noise."""
        first, second = self.candidates[0].case, self.candidates[1].case
        noise_s = float(np.hypot(first.sigma() * first.total_s, second.sigma() * second.total_s))
        return second.total_s - first.total_s > noise_s

    @property
    def label(self) -> str:
        """Names the decision."""
        plan = self.setting[3]
        return f"{self.model} b{self.batch} {self.setting[2]} Mbps {plan.exchange} {plan.input_distribution}"


def decisions(predictions: Iterable[Prediction]) -> tuple[Decision, ...]:
    """Every decision between `local` and a distributed plan that the predictions allow, in a fixed order."""
    local: dict[tuple[str, int], Prediction] = {}
    groups: dict[Setting, list[Prediction]] = {}
    for pair in predictions:
        key = pair.case.key
        if key.plan.mode == "local":
            local[key.model, key.batch] = pair
        else:
            model, batch, bandwidth = place(key)
            common = replace(key.plan, mode="full_tensor", segments=None)
            groups.setdefault((model, batch, bandwidth, common), []).append(pair)
    found = []
    for setting, distributed in groups.items():
        alone = local.get(setting[:2])
        if alone is not None:
            found.append(Decision(setting, tuple(sorted([alone, *distributed], key=lambda pair: pair.case.total_s))))
    return tuple(sorted(found, key=lambda each: (each.model, each.batch, each.bandwidth_mbps, repr(each.setting[3]))))


@dataclass(frozen=True)
class DecisionSummary:
    """Of decisions: how many, how many clear, how often the choice was right there, and what the choices cost.

    `agreement_pct` is None where no decision is clear.
    """

    decisions: int
    clear: int
    agreement_pct: float | None
    mean_regret_pct: float
    worst_regret_pct: float
    won_by_local_pct: float


def summarise(found: Sequence[Decision]) -> DecisionSummary | None:
    """None without a decision."""
    if not found:
        return None
    clear = [each for each in found if each.clear]
    regrets = [each.regret_pct for each in found]
    return DecisionSummary(
        len(found),
        len(clear),
        100 * float(np.mean([each.agrees for each in clear])) if clear else None,
        float(np.mean(regrets)),
        max(regrets),
        100 * float(np.mean([each.won_by == "local" for each in found])),
    )


def by_winner(found: Sequence[Decision]) -> dict[str, DecisionSummary]:
    """Decisions by the mode that won them, and `ALL`."""
    groups: dict[str, list[Decision]] = {ALL: list(found)}
    for each in found:
        groups.setdefault(each.best.case.key.plan.mode, []).append(each)
    return {mode: summary for mode, of_mode in groups.items() if (summary := summarise(of_mode)) is not None}
