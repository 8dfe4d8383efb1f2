"""Variance shares: those of a linear model are known, and the simulator's follow from what a pass consists of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from prism.catalogue import shape_of
from prism.errors import InputError
from prism.plan import Plan
from prism.profile import load_profile
from sim.answers.sensitivity import PARAMETERS, half_widths, sensitivity
from sim.answers.variance import Method, share_out
from tests.helpers import affine
from tests.helpers.affine import PLAN, SHAPE, affine_system

PUBLISHED = load_profile("orin_nano_published")
VIT_B = shape_of("vit_base_patch16_224")
WEIGHTS = {"a": 4.0, "b": 2.0, "c": 1.0}
WIDTHS = {"a": 0.1, "b": 0.4, "c": 0.2}


def linear(at: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return sum((weight * at[name] for name, weight in WEIGHTS.items()), start=np.zeros(1))


def test_sobol_gives_a_linear_models_variance_shares() -> None:
    """An even distribution of half-width w has variance w^2 / 3; a sum's variance is that of its terms."""
    pytest.importorskip("SALib")
    found = share_out(linear, WIDTHS, np.random.default_rng(1))
    variances = {name: (WEIGHTS[name] * WIDTHS[name]) ** 2 / 3 for name in WEIGHTS}
    whole = sum(variances.values())
    assert [share.name for share in found.shares] == ["b", "a", "c"]
    for share in found.shares:
        assert share.first == pytest.approx(variances[share.name] / whole, abs=0.01)
        assert share.total == pytest.approx(variances[share.name] / whole, abs=0.01)
        assert share.first_conf is not None
        assert 0 < share.first_conf < 0.1
    assert found.values.var() == pytest.approx(whole, rel=0.02)


def test_morris_gives_a_linear_models_slopes() -> None:
    """An elementary effect of a linear model is its weight times the whole width."""
    pytest.importorskip("SALib")
    found = share_out(linear, WIDTHS, np.random.default_rng(1), "morris")
    assert {share.name: share.total for share in found.shares} == pytest.approx(
        {name: 2 * WEIGHTS[name] * WIDTHS[name] for name in WEIGHTS}
    )
    assert all(share.first is None for share in found.shares)


@pytest.mark.parametrize("method", ["sobol", "morris"])
def test_the_same_seed_gives_the_same_shares(method: Method) -> None:
    pytest.importorskip("SALib")

    def shares(seed: int) -> object:
        return share_out(linear, WIDTHS, np.random.default_rng(seed), method, 64).shares

    assert shares(7) == shares(7)
    assert method == "morris" or shares(7) != shares(8)


def test_the_link_decides_where_the_link_is_all_there_is() -> None:
    """At 0.05 Mbps nearly all of a split pass is airtime, and the closed form says so."""
    pytest.importorskip("SALib")
    widths = dict.fromkeys(PARAMETERS, 0.2)
    answer = sensitivity(SHAPE, PLAN, 3, 0.05, affine_system(), np.random.default_rng(0), widths=widths, samples=256)
    assert affine.air_s(3) * 2000 > 40 * affine.compute_s(3)
    assert answer.gain_pct == pytest.approx(100 * (1 - affine.split_s(3, 0.05) / affine.local_s(3)), rel=1e-9)
    by_name = {share.name: share for share in answer.shares}
    assert by_name["staging"].total == 0  # copies are free here
    assert by_name["link latency"].total < 0.01
    assert {share.name for share in answer.shares[:2]} == {"bandwidth", "local compute"}
    assert answer.passes == 256 * (len(PARAMETERS) + 2)
    assert answer.splits_pct == 0


def test_the_published_profiles_residuals_are_what_varies() -> None:
    widths = half_widths(PUBLISHED, Plan("segment_means", 2, 10))
    assert widths["bandwidth"] == widths["link latency"] == pytest.approx(0.0684 * 3**0.5, rel=1e-3)
    assert widths["local compute"] == pytest.approx(0.0104 * 3**0.5, rel=1e-2)
    assert half_widths(affine_system(), PLAN) == {}


def test_what_cannot_be_shared_out_is_refused() -> None:
    pytest.importorskip("SALib")
    rng = np.random.default_rng(0)
    widths = dict.fromkeys(PARAMETERS, 0.2)
    for wrong, message in (
        ({"bandwidth": 0.2}, "fewer than two"),
        ({"clock": 0.2, "bandwidth": 0.1}, "unknown parameter 'clock'"),
        ({"bandwidth": 1.2, "staging": 0.1}, "out of range"),
    ):
        with pytest.raises(InputError, match=message):
            sensitivity(SHAPE, PLAN, 3, 100.0, affine_system(), rng, widths=wrong)
    with pytest.raises(InputError, match="power of two"):
        sensitivity(SHAPE, PLAN, 3, 100.0, affine_system(), rng, widths=widths, samples=100)
    with pytest.raises(InputError, match="gains nothing"):
        sensitivity(VIT_B, Plan(), 3, 100.0, PUBLISHED, rng, widths=widths)
    with pytest.raises(InputError, match="depends on none"):
        share_out(lambda at: np.ones_like(at["a"]), WIDTHS, rng)
