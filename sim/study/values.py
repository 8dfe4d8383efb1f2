"""The three ways to write the values of a swept parameter: one value, a list, or a range table."""

from __future__ import annotations

import math
from typing import Any

from prism.errors import InputError, unknown

_RANGE_KEYS = ("from", "to", "step")
MAX_VALUES = 1_000_000


def read_values(where: str, value: Any) -> tuple[Any, ...]:
    """``8``, ``[1, 8]`` or ``{from = 200, to = 900, step = 100}`` (both ends included) as a tuple of distinct values.

    Raises:
        InputError: empty, an unknown range key, or a range that runs backwards.
    """
    if isinstance(value, dict):
        values: tuple[Any, ...] = _range(where, value)
    elif isinstance(value, list):
        values = tuple(value)
    else:
        values = (value,)
    if not values:
        raise InputError(f"{where} has no values; give at least one")
    for item in values:
        if isinstance(item, (list, dict, bool)):
            raise InputError(f"{where}: {item!r} is not a number or a name")
    return tuple(dict.fromkeys(values))


def _range(where: str, table: dict[str, Any]) -> tuple[float, ...]:
    for key in table:
        if key not in _RANGE_KEYS:
            raise unknown("range key", key, _RANGE_KEYS, where)
    missing = [key for key in _RANGE_KEYS if key not in table]
    if missing:
        raise InputError(f"{where}: a range needs from, to and step; {missing[0]!r} is missing")
    for key, number in table.items():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise InputError(f"{where}: {key} = {number!r} is not a number")
    start, stop, step = (table[key] for key in _RANGE_KEYS)
    if not all(map(math.isfinite, (start, stop, step))):
        raise InputError(f"{where}: a range needs finite numbers, not from {start} to {stop} in steps of {step}")
    if not step > 0 or not start <= stop:
        raise InputError(
            f"{where}: the range from {start} to {stop} in steps of {step} is empty; step must be positive"
        )
    count = (stop - start) / step + 1e-9
    if count >= MAX_VALUES:
        raise InputError(f"{where}: the range holds {count:,.0f} values; at most {MAX_VALUES:,} are allowed")
    return tuple(start + index * step for index in range(int(count) + 1))
