"""What the page asks: a model, a batch, a link and a plan's parameters, read from a query string."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from prism.catalogue import CATALOGUE
from prism.errors import InputError, unknown
from prism.partition import partition_tokens
from prism.plan import MODES, Plan
from prism.profile import SystemProfile
from prism.shape import TransformerShape
from prism.units import check_range, parse_bandwidth_mbps
from sim.explorer.objectives import OBJECTIVES

#: What the page's controls and its map reach, both ends included.
BATCH = (1, 64)
BANDWIDTH_MBPS = (10.0, 2000.0)
BOARDS = (2, 8)
#: The smallest rate is a little below 1 where the largest partition holds a token more than the others.
COMPRESSION_RATE = (0.9, 1000.0)

PARAMETERS = ("model", "batch", "bandwidth", "cr", "boards", "objective", "profile")

#: The paper's own case, as far as there is one: its model, its link, and L = 10 (CR 9.85).
DEFAULTS: Mapping[str, str] = {
    "model": "vit_base_patch16_224",
    "batch": "8",
    "bandwidth": "400",
    "cr": "9.85",
    "boards": "2",
    "objective": "latency",
}

Profiles = Mapping[str, SystemProfile]


@dataclass(frozen=True)
class Question:
    """One setting of the controls.

    Attributes:
        segments: segments per partition L, the whole number whose CR = N / (L P) lies nearest to the one asked for.
        boards: P of the split plans.
        objective: a key of `sim.explorer.objectives.OBJECTIVES`.
    """

    shape: TransformerShape
    profile: SystemProfile
    batch: int
    bandwidth_mbps: float
    segments: int
    boards: int
    objective: str

    @property
    def compression_rate(self) -> float:
        """CR = N / (L P) of the whole number of segments."""
        return self.shape.tokens / (self.segments * self.boards)

    def plans(self) -> tuple[Plan, ...]:
        """One plan a mode that the profile knows, `local` first."""
        every = (Plan(), Plan("full_tensor", self.boards), Plan("segment_means", self.boards, self.segments))
        return tuple(plan for plan in every if plan.mode in modes_of(self.profile))


def modes_of(profile: SystemProfile) -> tuple[str, ...]:
    """The modes that a profile has costs for: those that are split need a cost of staging too."""
    return tuple(
        mode
        for mode in MODES
        if (mode in profile.compute or mode in profile.work) and (mode == "local" or mode in profile.staging)
    )


def require_comparable(profile: SystemProfile) -> None:
    """Refuse a profile that leaves nothing to compare.

    Raises:
        InputError: it has no costs for `local`, or none for any split.
    """
    known = modes_of(profile)
    if "local" not in known or len(known) < 2:
        raise InputError(
            f"profile {profile.name!r} knows {', '.join(known) or 'no mode'}: to tell whether splitting is worth it "
            "takes 'local' and a split; calibrate it from such runs"
        )


def read_question(query: str, profiles: Profiles) -> Question:
    """The question of a URL's query string; what it leaves out takes its value from `DEFAULTS`.

    Args:
        query: percent-encoded, without the question mark.
        profiles: the profiles that may be asked for, the one to begin with first.

    Raises:
        InputError: an unknown or repeated parameter, or a value that is none or out of range.
    """
    given = {"profile": next(iter(profiles)), **DEFAULTS, **_parameters(query)}
    if given["profile"] not in profiles:
        raise unknown("profile", given["profile"], profiles)
    if given["objective"] not in OBJECTIVES:
        raise unknown("objective", given["objective"], OBJECTIVES)
    if given["model"] not in CATALOGUE:
        raise unknown("model", given["model"], CATALOGUE)
    shape, profile = CATALOGUE[given["model"]], profiles[given["profile"]]
    boards = _whole("boards", given["boards"], *BOARDS)
    bandwidth_mbps = parse_bandwidth_mbps(given["bandwidth"])
    check_range("bandwidth", bandwidth_mbps, *BANDWIDTH_MBPS)
    if profile.power is None and given["objective"] != "latency":
        raise InputError(f"profile {given['profile']!r} knows no power; choose the objective latency")
    return Question(
        shape=shape,
        profile=profile,
        batch=_whole("batch", given["batch"], *BATCH),
        bandwidth_mbps=bandwidth_mbps,
        segments=nearest_segments(_rate(given["cr"]), shape.tokens, boards),
        boards=boards,
        objective=given["objective"],
    )


def nearest_segments(compression_rate: float, tokens: int, boards: int) -> int:
    """The whole number of segments L, from 1 to the largest partition, with N / (L P) nearest to the rate."""
    return min(max(round(tokens / (compression_rate * boards)), 1), largest_partition(tokens, boards))


def largest_partition(tokens: int, boards: int) -> int:
    """Tokens on the board that has the most: the largest L there can be."""
    return max(partition_tokens(tokens, boards))


def _parameters(query: str) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=4 * len(PARAMETERS), errors="replace")
    except ValueError:
        raise InputError(f"too many parameters; there are {len(PARAMETERS)}: {', '.join(PARAMETERS)}") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in PARAMETERS:
            raise unknown("parameter", name, PARAMETERS)
        if name in given:
            raise InputError(f"{name} is given twice, as {given[name]!r} and as {value!r}; give it once")
        given[name] = value
    return given


def _whole(name: str, text: str, low: int, high: int) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise InputError(f"{name} {text!r} is not a whole number; it must lie between {low} and {high}")
    check_range(name, int(text), low, high)
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        raise InputError(f"cr {text!r} is not a number; write a compression rate N / (L P), for example 9.85") from None
    check_range("cr", rate, *COMPRESSION_RATE)
    return rate
