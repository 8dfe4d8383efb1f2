"""Intervals hold the true figure about as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, lognorm, ttest_1samp

from sim.answers.confidence import mean_of, quantile_of, share_of

RUNS, SAMPLES, SIGMA = 1000, 96, 0.5
#: 95 % of 1000 runs, and the luck that one seed in a thousand has.
LEAST, MOST = (float(binom.ppf(share, RUNS, 0.95)) / RUNS for share in (5e-4, 1 - 5e-4))


@pytest.mark.parametrize("share", [None, 0.5, 0.9])
def test_coverage_on_a_lognormal(share: float | None) -> None:
    true = math.exp(SIGMA**2 / 2) if share is None else float(lognorm.ppf(share, SIGMA))
    rng = np.random.default_rng(20)
    held = 0
    for samples in rng.lognormal(0.0, SIGMA, (RUNS, SAMPLES)):
        found = mean_of(samples) if share is None else quantile_of(samples, share)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= true <= found.high
    # Order statistics come in steps: the interval of a quantile holds it a little more often than it must.
    assert LEAST - (0.015 if share is None else 0) <= held / RUNS <= (MOST if share is None else 0.985)


def test_the_means_interval_is_students() -> None:
    samples = np.random.default_rng(1).lognormal(0.0, SIGMA, 40)
    expected = ttest_1samp(samples, 0.0).confidence_interval(0.95)
    found = mean_of(samples)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_too_few_samples_for_a_tail_leave_its_interval_open() -> None:
    found = quantile_of(np.arange(64.0), 0.99)
    assert (found.value, found.high) == (63.0, None)
    assert found.low is not None
    assert math.isinf(found.half_width)
    assert math.isinf(mean_of(np.ones(1)).half_width)


@pytest.mark.parametrize(("count", "share"), [(64, 0.5), (96, 0.9), (500, 0.99), (1000, 0.1)])
def test_ranks_of_a_quantile_leave_out_no_more_than_they_may(count: int, share: float) -> None:
    """From the binomial law itself: the samples are their own ranks."""
    found = quantile_of(np.arange(1.0, count + 1), share)
    assert found.low is not None
    assert found.high is not None
    # The quantile lies below the sample of rank r if fewer than r samples lie below the quantile.
    assert binom.cdf(found.low - 1, count, share) <= 0.025
    assert binom.sf(found.high - 1, count, share) <= 0.025
    assert binom.cdf(found.low, count, share) > 0.025
    assert binom.sf(found.high - 2, count, share) > 0.025


def test_a_mean_of_equal_samples_is_known_and_a_share_of_none_is_not_certain() -> None:
    assert mean_of(np.full(64, 2.0)).half_width == 0
    none = share_of(0, 100)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 100))  # Clopper and Pearson, in closed form at no hits
