"""Confidence intervals of a mean and of quantiles from independent samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, t

from sim.twin.scenarios import Floats

#: What the intervals cover, in the long run.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimated:
    """A figure and its 95 % confidence interval; an end is None where the samples are too few to give one."""

    value: float
    low: float | None
    high: float | None

    @property
    def half_width(self) -> float:
        """Half of the interval, relative to the figure; infinity where an end is missing."""
        if self.low is None or self.high is None or not self.value:
            return math.inf
        return (self.high - self.low) / 2 / abs(self.value)


def mean_of(samples: Floats) -> Estimated:
    """The mean, with Student's interval: exact for normal samples, good for the mean of many others."""
    count = len(samples)
    mean = float(np.mean(samples))
    if count < 2:
        return Estimated(mean, None, None)
    half = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * float(np.std(samples, ddof=1)) / math.sqrt(count)
    return Estimated(mean, mean - half, mean + half)


def quantile_of(samples: Floats, share: float) -> Estimated:
    """A quantile, with an interval between two of the samples, in order: right for any distribution.

    The number of samples below the quantile is binomial, so that its ranks' tails bound the quantile's: David and
    Nagaraja, Order Statistics, 3rd edition, section 7.1.
    """
    count = len(samples)
    ranked = np.sort(samples)
    tail = (1 - CONFIDENCE) / 2
    low = int(binom.ppf(tail, count, share))  # P(fewer than `low` samples lie below) <= tail
    high = int(binom.ppf(1 - tail, count, share)) + 1
    return Estimated(
        float(ranked[min(math.ceil(share * count), count) - 1]),
        float(ranked[low - 1]) if low >= 1 else None,
        float(ranked[high - 1]) if high <= count else None,
    )


def share_of(hits: int, count: int) -> Estimated:
    """A share, with Clopper and Pearson's interval."""
    interval = binomial_interval(hits, count)
    return Estimated(hits / count, *interval)


def binomial_interval(hits: int, count: int) -> tuple[float, float]:
    """Clopper and Pearson's interval of a share of which `hits` of `count` were seen."""
    from scipy.stats import binomtest

    found = binomtest(hits, count).proportion_ci(CONFIDENCE, method="exact")
    return float(found.low), float(found.high)
