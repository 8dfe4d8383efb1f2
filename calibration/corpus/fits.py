"""The fit of each stage to a corpus: which amounts its price list has, and what they cost.

What is not linear (the size of the cache, where a message's price bends, how much of the air the first flow keeps) is
chosen from a short list by the error that is left, and only where it makes the error clearly smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np

from calibration.corpus.amounts import LINK, STAGING
from calibration.corpus.cases import Case
from calibration.corpus.overlap import AirPrice, OverlapFit, fit_overlap, passes_of
from calibration.corpus.regress import Array, LinearFit, fit_linear
from calibration.corpus.rows import Rows, busy_s, compute_rows, link_rows, staging_rows
from prism.errors import InputError
from prism.work import KINDS

T = TypeVar("T")

#: MB of a step's tokens that may fit in a cache; None: no limit is seen.
CACHES_MB: tuple[float | None, ...] = (None, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: Sizes of messages at which a further MB may change its price: one and ten windows of TCP's first flight, and more.
KNOTS_MB = (0.015, 0.06, 0.15, 0.4)
MOST_KNOTS = 2
#: Rows that must lie on each side of such a size: fewer tell noise.
ROWS_A_SIDE = 8
#: A form with more freedom must leave less than this share of the error of the simpler one.
CLEARLY_LESS = 0.97


@dataclass(frozen=True, eq=False)
class LinkFit:
    """The link's prices, and what of them is not linear.

    Attributes:
        fit: prices of `LINK` and of a further MB from each knot on.
        knots_mb: where there are any.
        preposted: what holds where receives are posted ahead; None where no such case of two boards was measured.
    """

    fit: LinearFit
    knots_mb: tuple[float, ...]
    preposted: OverlapFit | None

    @property
    def air(self) -> AirPrice:
        """What messages take of the air."""
        return air_price(self.fit, self.knots_mb)


def fit_compute(cases: Sequence[Case]) -> tuple[LinearFit, float | None]:
    """Prices of compute's amounts, and the MB of tokens that the cache holds.

    Raises:
        InputError: too few cases.
    """
    candidates = []
    with _stage("compute"):
        for cache_mb in CACHES_MB:
            rows = compute_rows(cases, cache_mb)
            spilled = rows.amounts[:, KINDS.index("spilled_mb")]
            if cache_mb is not None and not _both_sides(spilled[:, None], len(rows.seconds)):
                continue
            fit = fit_linear(rows.amounts, rows.seconds, KINDS, rows_a_case=len(rows.case) / len(cases))
            candidates.append((cache_mb, fit))
    cache_mb, fit = _clearly_best(candidates)
    return fit, cache_mb


def fit_staging(cases: Sequence[Case]) -> LinearFit | None:
    """Prices of a copy and of a copied MB; None where no case copies."""
    rows = staging_rows(cases)
    if not len(rows.seconds):
        return None
    with _stage("staging"):
        return fit_linear(rows.amounts, rows.seconds, STAGING, rows_a_case=len(rows.case) / len(set(rows.case)))


def fit_link(cases: Sequence[Case], reference_mbps: float) -> LinkFit:
    """Prices of the link.

    Blocking cases tell the prices; preposted ones then tell their own latency and how flows share the air. Where only
    one kind was measured it tells what it can.

    Raises:
        InputError: no distributed case, or too few of them.
    """
    blocking = [case for case in cases if case.key.plan.exchange == "blocking" and case.key.plan.devices > 1]
    preposted = [case for case in cases if case.key.plan.exchange == "preposted" and case.key.plan.devices == 2]
    if not blocking and not preposted:
        raise InputError("no distributed case: the link cannot be calibrated; measure full_tensor or segment_means too")
    told_by = blocking or preposted
    knots, fit = _segmented(told_by, reference_mbps)
    return LinkFit(fit, knots, _fit_preposted(preposted, reference_mbps, knots, fit) if preposted else None)


def _segmented(cases: Sequence[Case], reference_mbps: float) -> tuple[tuple[float, ...], LinearFit]:
    """One price a MB, or one for each segment of sizes."""
    candidates = []
    for knots in (found for count in range(MOST_KNOTS + 1) for found in combinations(KNOTS_MB, count)):
        rows = link_rows(cases, reference_mbps, knots)
        if _told(rows, len(knots)):
            bends = tuple(f"bend_{index}" for index in range(len(knots)))
            free = ("air_fixed", *bends)
            with _stage("link"):
                fit = fit_linear(rows.amounts, rows.seconds, (*LINK, *bends), scales=rows.scales, free=free)
            candidates.append((knots, fit))
    return _clearly_best(candidates)


def _told(rows: Rows, bends: int) -> bool:
    """Whether enough rows lie on both sides of every knot: the last amounts are what lies beyond them."""
    if not bends:
        return True
    return _both_sides(rows.amounts[:, -bends:], len(rows.seconds))


def _both_sides(amounts: Array, rows: int) -> bool:
    beyond = (amounts > 0).sum(axis=0)
    return bool((beyond >= ROWS_A_SIDE).all() and (beyond <= rows - ROWS_A_SIDE).all())


def _fit_preposted(
    cases: Sequence[Case], reference_mbps: float, knots: tuple[float, ...], fit: LinearFit
) -> OverlapFit:
    passes = passes_of([case.scenario for case in cases], reference_mbps)
    rows = link_rows(cases, reference_mbps, knots)
    busy = np.array([busy_s(case) for case in cases])
    totals = np.array([case.total_s for case in cases])
    return fit_overlap(passes, busy, totals, rows.scales, air_price(fit, knots))


def air_price(fit: LinearFit, knots: tuple[float, ...]) -> AirPrice:
    """What messages take of the air, by the link's prices."""
    bends = tuple((knot, fit.price(f"bend_{index}")) for index, knot in enumerate(knots))
    return AirPrice(fit.price("air_fixed"), fit.price("air_mb"), bends)


def _clearly_best(candidates: Sequence[tuple[T, LinearFit]]) -> tuple[T, LinearFit]:
    """The first of the candidates that none of the others clearly beats; they are listed from simple to free."""
    best = candidates[0]
    for candidate in candidates[1:]:
        if candidate[1].scatter < best[1].scatter * CLEARLY_LESS:
            best = candidate
    return best


@contextmanager
def _stage(name: str) -> Iterator[None]:
    """Says in which stage a fit failed."""
    try:
        yield
    except InputError as error:
        raise InputError(f"stage {name!r}: {error}") from None
