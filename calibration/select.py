"""Which form a stage's cost model takes: the one that predicts left-out batch sizes best among the rows it is given.

"Best" is the least root mean square of relative errors, the loss that the fit itself minimises. The rule sees training
rows only: where a validation holds a batch out, the rule runs inside, on what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.fit import fit_cost_model, predict
from calibration.observation import Observation
from prism.cost import FORMS, CostModel, Driver, Form
from prism.errors import InputError


@dataclass(frozen=True)
class FormScore:
    """Error of one form on batch sizes left out in turn, in percent."""

    form: Form
    rms_pct: float
    max_pct: float
    chosen: bool


@dataclass(frozen=True)
class Selection:
    """The model that was chosen and the score of every form that was tried."""

    model: CostModel
    scores: tuple[FormScore, ...]


def select_form(observations: Sequence[Observation], driver: Driver) -> Selection:
    """Fit the form with the least root mean square error on left-out groups; ties go to the simpler form.

    Raises:
        InputError: too few batch sizes to leave one out of any form.
    """
    errors = {form: _left_out_errors(observations, form, driver) for form in FORMS}
    scores = {form: float(np.sqrt(np.mean(np.square(error)))) for form, error in errors.items() if error}
    if not scores:
        raise InputError("at least three batch sizes are needed to choose and fit a cost model")
    best = min(scores, key=scores.__getitem__)
    return Selection(
        fit_cost_model(observations, best, driver),
        tuple(
            FormScore(form, 100 * score, 100 * float(np.max(np.abs(errors[form]))), form == best)
            for form, score in scores.items()
        ),
    )


def _left_out_errors(observations: Sequence[Observation], form: Form, driver: Driver) -> list[float]:
    errors = []
    for group in sorted({observation.group for observation in observations}):
        rest = [observation for observation in observations if observation.group != group]
        coefficients = 3 - len(FORMS[form])
        if len({observation.group for observation in rest}) < coefficients:
            return []
        model = fit_cost_model(rest, form, driver)
        left_out = (observation for observation in observations if observation.group == group)
        errors += [predict(model, observation) / observation.seconds - 1 for observation in left_out]
    return errors
