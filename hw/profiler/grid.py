"""The cases of a sweep: every plan at every batch size and bandwidth, and the coarse selection that brackets them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.files import to_json
from prism.plan import Plan
from prism.scenario import Scenario
from prism.shape import TransformerShape

#: The profiling sweep of arXiv 2605.25682: batch sizes, bandwidths, and the segments of its compression rates.
PAPER_BATCHES = (1, 2, 4, 8, 16, 32)
PAPER_BANDWIDTHS_MBPS = (200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0)
PAPER_SEGMENTS = (30, 20, 10)
#: Its passes: 6 batch sizes x 3 compression rates x 8 bandwidths x 20 repeats.
PAPER_PASSES = 2880


@dataclass(frozen=True)
class Grid:
    """Batch sizes x bandwidths x plans of one model.

    `local` is measured once a batch size: it does not use the network. Its passes are as many as any other case's.

    Attributes:
        reverse_bandwidth_mbps: the rate towards the terminal device where one end alone is throttled; None if equal.
    """

    shape: TransformerShape
    batches: tuple[int, ...]
    bandwidths_mbps: tuple[float, ...]
    plans: tuple[Plan, ...]
    reverse_bandwidth_mbps: float | None = None

    def __post_init__(self) -> None:
        for name in ("batches", "bandwidths_mbps", "plans"):
            values = getattr(self, name)
            if not values:
                raise InputError(f"a sweep needs at least one of {name}")
            if len(set(values)) != len(values):
                raise InputError(f"a sweep measures each of its {name} once: {_listed(values)} names one twice")
        for name in ("batches", "bandwidths_mbps"):
            object.__setattr__(self, name, tuple(sorted(getattr(self, name))))
        for case in self.cases:
            case.schedule()  # refuses what cannot be, before hours are spent on the rest

    def case(self, plan: Plan, batch: int, bandwidth_mbps: float) -> Scenario:
        """The case that a plan is measured in; the same one for `local` whatever the bandwidth."""
        if plan.mode == "local":
            return Scenario(self.shape, batch, self.bandwidths_mbps[-1], plan)
        return Scenario(self.shape, batch, bandwidth_mbps, plan, self.reverse_bandwidth_mbps)

    @cached_property
    def cases(self) -> tuple[Scenario, ...]:
        """Every case once, in the order of the grid."""
        return tuple(dict.fromkeys(self._visits(self.bandwidths_mbps)))

    @cached_property
    def survey(self) -> tuple[Scenario, ...]:
        """The visits of a survey: every plan and batch size at the lowest, the highest and a middle bandwidth.

        The middle one is nearest to their geometric mean. `local`, which all bandwidths are compared with, is visited
        as often as another plan is at all of them: one pass that is held up must not spoil all decisions of a batch.
        """
        low, high = self.bandwidths_mbps[0], self.bandwidths_mbps[-1]
        middle = min(self.bandwidths_mbps, key=lambda mbps: max(mbps * mbps / (low * high), low * high / mbps / mbps))
        return self._visits(tuple(sorted({low, middle, high})))

    def _visits(self, bandwidths_mbps: tuple[float, ...]) -> tuple[Scenario, ...]:
        return tuple(self.case(plan, b, mbps) for b in self.batches for plan in self.plans for mbps in bandwidths_mbps)

    @cached_property
    def digest(self) -> str:
        """Short for all of it: two sweeps measure the same cases if and only if theirs are equal."""
        return hashlib.sha256(to_json(self).encode()).hexdigest()[:12]


def paper_grid(model: str = "vit_base_patch16_224", devices: int = 2) -> Grid:
    """The grid of the paper, with `local` and `full_tensor` beside its three compression rates.

    Raises:
        InputError: an unknown model, or one whose partitions are shorter than 30 segments.
    """
    split = (Plan("segment_means", devices, segments) for segments in PAPER_SEGMENTS)
    plans = (Plan(), Plan("full_tensor", devices), *split)
    return Grid(shape_of(model), PAPER_BATCHES, PAPER_BANDWIDTHS_MBPS, plans)


def _listed(values: tuple[object, ...]) -> str:
    return ", ".join(value.label if isinstance(value, Plan) else str(value) for value in values)
