"""Fitting a cost model: parameters that made the data come back, with errors that mean what they say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.fit import fit_cost_model, predict
from calibration.observation import Observation, Term
from calibration.select import select_form
from prism.cost import FORMS, CostModel, Form
from prism.errors import InputError

BATCHES = (1, 2, 4, 8, 16, 32)
TRUTH: dict[Form, tuple[float, float, float]] = {
    "affine": (3e-3, 2e-3, 1.0),
    "power": (0.0, 5e-3, 0.7),
    "offset_power": (4e-3, 2e-3, 0.8),
}


def rows_of(coefficients: tuple[float, float, float], xs: Sequence[float], noise: Sequence[float]) -> list[Observation]:
    """Twelve steps a run, each of them x large; relative noise on their sum."""
    fixed_s, scale_s, exponent = coefficients
    return [
        Observation(12 * (fixed_s + scale_s * x**exponent) * (1 + error), (Term(12, 12, x),), group)
        for group, (x, error) in enumerate(zip(xs, noise, strict=True))
    ]


def without_noise(form: Form) -> list[Observation]:
    return rows_of(TRUTH[form], [3.0 * batch for batch in BATCHES], [0.0] * len(BATCHES))


@pytest.mark.parametrize("form", TRUTH)
def test_parameters_come_back_from_data_without_noise(form: Form) -> None:
    model = fit_cost_model(without_noise(form), form, "GFLOP")
    assert (model.fixed_s, model.scale_s, model.exponent) == pytest.approx(TRUTH[form], rel=1e-6, abs=1e-9)
    assert max(model.stderr.values()) < 1e-6
    assert (model.valid_from, model.valid_to) == (3.0, 96.0)
    assert set(model.stderr) == {"fixed_s", "scale_s", "exponent"} - set(FORMS[form])


@settings(max_examples=40)
@given(st.floats(1e-4, 1e-1), st.floats(1e-4, 1e-1), st.floats(0.4, 1.4))
def test_any_parameters_come_back(fixed_s: float, scale_s: float, exponent: float) -> None:
    model = fit_cost_model(rows_of((fixed_s, scale_s, exponent), BATCHES, [0.0] * 6), "offset_power", "MB")
    assert (model.fixed_s, model.scale_s, model.exponent) == pytest.approx((fixed_s, scale_s, exponent), rel=1e-4)


@pytest.mark.parametrize("form", ["affine", "power"])
def test_the_form_that_made_the_data_is_chosen(form: Form) -> None:
    """Among forms that all fit it exactly the simplest is, else the one that can."""
    noise = np.random.default_rng(3).normal(0.0, 1e-4, len(BATCHES))
    selection = select_form(rows_of(TRUTH[form], BATCHES, list(noise)), "GFLOP")
    assert selection.model.form == form
    assert [score.form for score in selection.scores] == ["affine", "power", "offset_power"]
    assert [score.form for score in selection.scores if score.chosen] == [form]


def test_a_curved_cost_with_an_offset_needs_the_offset_power() -> None:
    selection = select_form(without_noise("offset_power"), "GFLOP")
    assert selection.model.form == "offset_power"
    by_form = {score.form: score.rms_pct for score in selection.scores}
    assert by_form["offset_power"] < 0.1 < min(by_form["affine"], by_form["power"])


def test_steps_of_two_sizes_in_one_run_are_told_apart() -> None:
    truth = CostModel("affine", "MB", 2e-3, 5e-3, 1.0, {}, (), 0, 0)
    rows = []
    for group, batch in enumerate(BATCHES):
        terms = (Term(12, 12, 0.03 * batch), Term(3, 3, 0.6 * batch))
        rows.append(Observation(predict(truth, Observation(1.0, terms, group)), terms, group))
    model = fit_cost_model(rows, "affine", "MB")
    assert (model.fixed_s, model.scale_s) == pytest.approx((2e-3, 5e-3), rel=1e-6)
    assert (model.valid_from, model.valid_to) == (0.6, 19.2)


def test_no_coefficient_is_ever_negative() -> None:
    """A line through these rows would start below zero."""
    rows = [
        Observation(seconds, (Term(1, 1, x),), group) for group, (x, seconds) in enumerate([(1, 0.1), (2, 1), (4, 9)])
    ]
    for form in FORMS:
        model = fit_cost_model(rows, form, "MB")
        assert min(model.fixed_s, model.scale_s, model.exponent) >= 0


def test_too_few_rows_and_empty_stages_are_refused() -> None:
    with pytest.raises(InputError, match="needs 3 measurements or more, there are 2"):
        fit_cost_model(without_noise("affine")[:2], "offset_power", "MB")
    with pytest.raises(InputError, match="no measured time"):
        fit_cost_model([*without_noise("affine"), Observation(0.0, (Term(1, 1, 1.0),), 9)], "affine", "MB")
    with pytest.raises(InputError, match="three batch sizes"):
        select_form(without_noise("affine")[:2], "MB")


REPLICATIONS = 400


def pulls(form: Form, rows: int, noise: float) -> dict[str, np.ndarray]:
    """(fitted - true) / standard error of each free coefficient, over many noisy data sets."""
    rng = np.random.default_rng(20)
    xs = np.geomspace(1.0, 64.0, rows)
    truth = dict(zip(("fixed_s", "scale_s", "exponent"), TRUTH[form], strict=True))
    found: dict[str, list[float]] = {}
    for _ in range(REPLICATIONS):
        model = fit_cost_model(rows_of(TRUTH[form], list(xs), list(rng.normal(0.0, noise, rows))), form, "GFLOP")
        for name, error in model.stderr.items():
            found.setdefault(name, []).append((getattr(model, name) - truth[name]) / error)
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.slow
@pytest.mark.parametrize("form", TRUTH)
def test_pulls_have_mean_zero_and_variance_one(form: Form) -> None:
    """40 rows: the t distribution of the pulls is nearly normal, with variance n / (n - 2). Bounds of 4 deviations.

    Dividing by a measurement of relative noise s biases a scale by 2 s^2; at 0.2 % that is nothing beside its error.
    """
    rows = 40
    for name, pull in pulls(form, rows, 0.002).items():
        freedom = rows - (3 - len(FORMS[form]))
        variance = freedom / (freedom - 2)
        assert abs(pull.mean()) < 4 * np.sqrt(variance / REPLICATIONS), name
        assert abs(pull.var(ddof=1) - variance) < 4 * variance * np.sqrt(2 / REPLICATIONS), name


def test_standard_errors_are_the_textbooks_for_a_linear_fit() -> None:
    """s^2 (X'X)^-1 with s^2 = residual sum of squares / (rows - coefficients), rows divided by what was measured."""
    rows = rows_of(TRUTH["affine"], BATCHES, list(np.random.default_rng(8).normal(0.0, 0.02, len(BATCHES))))
    model = fit_cost_model(rows, "affine", "GFLOP")
    X = np.array([[12 / row.seconds, 12 * row.terms[0].x / row.seconds] for row in rows])
    coefficients, (rss,), *_ = np.linalg.lstsq(X, np.ones(len(rows)), rcond=None)
    covariance = rss / (len(rows) - 2) * np.linalg.inv(X.T @ X)
    assert [model.fixed_s, model.scale_s] == pytest.approx(list(coefficients), rel=1e-6)
    assert np.array(model.covariance) == pytest.approx(covariance, rel=1e-5)
    assert list(model.stderr.values()) == pytest.approx(list(np.sqrt(np.diag(covariance))), rel=1e-5)


def test_the_covariance_is_that_of_the_standard_errors() -> None:
    rng = np.random.default_rng(5)
    model = fit_cost_model(rows_of(TRUTH["offset_power"], BATCHES, list(rng.normal(0, 0.02, 6))), "offset_power", "MB")
    diagonal = [model.covariance[index][index] for index in range(3)]
    assert np.sqrt(diagonal) == pytest.approx(list(model.stderr.values()))
    assert np.allclose(model.covariance, np.transpose(model.covariance))
