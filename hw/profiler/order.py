"""The order of a round: random, and the same again for the same seed, so that a resumed sweep goes on unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from prism.scenario import Scenario


@lru_cache(maxsize=64)
def permutation(seed: int, round_: int, size: int) -> tuple[int, ...]:
    """A random order of `size` things for one round; each round has its own."""
    return tuple(int(index) for index in np.random.default_rng([seed, round_]).permutation(size))


def case_of_visit(cases: Sequence[Scenario], seed: int, number: int) -> Scenario:
    """Which case the visit of this number goes to, where rounds follow each other and each visits every case once."""
    round_, position = divmod(number, len(cases))
    return cases[permutation(seed, round_, len(cases))[position]]
