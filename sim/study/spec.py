"""A study file (TOML) and the grid of points that it stands for."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prism.catalogue import CATALOGUE, shape_of
from prism.errors import InputError, unknown
from prism.files import read_text
from prism.plan import EXCHANGES, INPUTS, MODES, WIRE_BYTES, Plan, segments_for_compression_rate
from prism.profile import DEFAULT_PROFILE, Speedup
from prism.scenario import Scenario
from prism.schedule import MAX_BATCH, build_schedule
from prism.shape import TransformerShape
from prism.units import check_range, parse_bandwidth_mbps
from sim.study.estimate import MAX_POINTS, POINTS_PER_S, Engine, duration_text, estimated_s
from sim.study.values import read_values

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: Combinations of models, plans and speed-ups up to which distinct ones are counted before a study is refused.
_COUNTED = 100_000

Grid = Mapping[str, tuple[Any, ...]]

#: The grid of arXiv 2605.25682: batch and bandwidth of its profiling sweep, compression rates of its tables.
PAPER_SWEEP: Grid = {
    "model": ("vit_base_patch16_224",),
    "mode": MODES,
    "batch": (1, 2, 4, 8, 16, 32),
    "bandwidth_mbps": tuple(range(200, 1000, 100)),
    "segments": (10, 20, 30),
    "devices": (2,),
    "exchange": ("blocking",),
    "input_distribution": ("replicated",),
    "wire_dtype": ("float32",),
}
UNCHANGED: Grid = {"compute": (1.0,), "staging": (1.0,), "link_latency": (1.0,), "air": (1.0,)}


@dataclass(frozen=True)
class Point:
    """One scenario of a study and what is made faster in it."""

    scenario: Scenario
    speedup: Speedup


@dataclass(frozen=True)
class Case:
    """A model, a plan and a speed-up; a point at each batch and bandwidth of the study."""

    shape: TransformerShape
    plan: Plan
    speedup: Speedup


@dataclass(frozen=True)
class Study:
    """A what-if study.

    Attributes:
        engine: `simpy` simulates point by point and is the reference; `twin` takes arrays of points, for large sweeps.
        sweep: values by name, one of `PAPER_SWEEP`'s keys; every combination is a point.
        speedup: how many times faster parts of the profile are made; every combination likewise.
    """

    name: str = "The published grid: ViT-B/16 on two Orin Nano boards"
    profile: str = DEFAULT_PROFILE
    sweep: Grid = field(default_factory=lambda: PAPER_SWEEP)
    speedup: Grid = field(default_factory=lambda: UNCHANGED)
    max_points: int = MAX_POINTS["simpy"]
    engine: Engine = "simpy"

    def points(self) -> tuple[Point, ...]:
        """Every distinct point, in the order of the file.

        Raises:
            InputError: too many points, or a combination that cannot be, before anything runs.
        """
        self.check_size(self.size())
        return tuple(dict.fromkeys(self._points()))

    def cases(self) -> tuple[Case, ...]:
        """Every distinct case, in the order of the file. A point is a case at one of the batches and bandwidths.

        Raises:
            InputError: too many points, or a combination that cannot be, before anything runs.
        """
        cells = len(self.sweep["batch"]) * len(self.sweep["bandwidth_mbps"])
        if self.size() > self.max_points and self.size() // cells > _COUNTED:
            self.check_size(self.size())
        cases = tuple(dict.fromkeys(self._cases()))
        self.check_size(len(cases) * cells)
        for shape, plan in dict.fromkeys((case.shape, case.plan) for case in cases):
            build_schedule(shape, plan, max(self.sweep["batch"]))  # refuses a plan that the sequence does not hold
        return cases

    def check_size(self, size: int) -> None:
        """Raise `InputError`, with the time that they would take, for more points than `max_points`."""
        if size > self.max_points:
            raise InputError(
                f"study {self.name!r} has up to {size:,} points, more than max_points = {self.max_points:,} "
                f"(about {duration_text(estimated_s({self.engine: size}))} at {POINTS_PER_S[self.engine]:,} points "
                "a second); make it smaller or raise max_points"
            )

    def size(self) -> int:
        """Combinations in the grid; plans that do not depend on a value (local on segments) are counted again."""
        count = 1
        for values in (*self.sweep.values(), *self.speedup.values()):
            count *= len(values)
        return count

    def speedups(self) -> tuple[Speedup, ...]:
        """Every combination of speed-ups."""
        combinations = itertools.product(*self.speedup.values())
        return tuple(Speedup(**dict(zip(self.speedup, factors, strict=True))) for factors in combinations)

    def _points(self) -> Iterator[Point]:
        keys = [key for key in self.sweep if key not in ("segments", "compression_rate")]
        for speedup in self.speedups():
            for values in itertools.product(*(self.sweep[key] for key in keys)):
                case = dict(zip(keys, values, strict=True))
                shape = shape_of(case.pop("model"))
                batch, bandwidth_mbps = case.pop("batch"), case.pop("bandwidth_mbps")
                for plan in self._plans(case, shape.tokens):
                    scenario = Scenario(shape, batch, bandwidth_mbps, plan)
                    scenario.schedule()  # refuses a plan that the sequence does not hold, before anything runs
                    yield Point(scenario, speedup)

    def _cases(self) -> Iterator[Case]:
        keys = [key for key in self.sweep if key not in ("batch", "bandwidth_mbps", "segments", "compression_rate")]
        for speedup in self.speedups():
            for values in itertools.product(*(self.sweep[key] for key in keys)):
                case = dict(zip(keys, values, strict=True))
                shape = shape_of(case.pop("model"))
                yield from (Case(shape, plan, speedup) for plan in self._plans(case, shape.tokens))

    def _plans(self, case: dict[str, Any], tokens: int) -> Iterator[Plan]:
        if case["mode"] == "local":
            yield Plan()
        elif case["mode"] == "full_tensor":
            yield Plan(**case)
        else:
            for segments in self.sweep.get("segments", ()):
                yield Plan(**case, segments=segments)
            for rate in self.sweep.get("compression_rate", ()):
                yield Plan(**case, segments=segments_for_compression_rate(rate, tokens, case["devices"]))


def load_study(path: Path) -> Study:
    """Read a study file. Keys it leaves out take the paper's values.

    Raises:
        InputError: not TOML, an unknown key, or a value of the wrong kind; names file and key.
    """
    text = read_text(path)
    try:
        return _study(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML ({error})") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _study(data: dict[str, Any]) -> Study:
    for key in data:
        if key not in _KINDS:
            raise unknown("key", key, _KINDS)
    for key, kind in _KINDS.items():
        if key in data and (not isinstance(data[key], kind) or isinstance(data[key], bool)):
            raise InputError(f"{key} = {data[key]!r} must be a {kind.__name__}")
    engine = data.get("engine", Study.engine)
    if engine not in MAX_POINTS:
        raise unknown("engine", engine, MAX_POINTS)
    check_range("max_points", data.get("max_points", 1), 1, 1e12)
    given = {key: _sweep_values(key, value) for key, value in data.get("sweep", {}).items()}
    inherited = {
        key: values for key, values in PAPER_SWEEP.items() if key != "segments" or "compression_rate" not in given
    }
    default = Study()
    return Study(
        name=data.get("name", "What-if study"),
        profile=data.get("profile", default.profile),
        sweep=inherited | given,
        speedup=dict(UNCHANGED) | {key: _speedup_values(key, value) for key, value in data.get("speedup", {}).items()},
        max_points=data.get("max_points", MAX_POINTS[engine]),
        engine=engine,
    )


def _sweep_values(key: str, value: Any) -> tuple[Any, ...]:
    if key not in _READERS:
        raise unknown("key", key, _READERS, "sweep")
    where = f"sweep.{key}"
    read = (_READERS[key](where, item) for item in read_values(where, value))
    return tuple(dict.fromkeys(read))  # "400 Mbps" and 400 are one


def _count(where: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # from a range whose step is written as a fraction
    if not isinstance(value, int):
        raise InputError(f"{where}: {value!r} is not a whole number")
    check_range(where, value, 1, MAX_BATCH)
    return value


def _bandwidth(where: str, value: Any) -> float:
    try:
        return parse_bandwidth_mbps(value)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _name(known: Iterable[str]) -> Callable[[str, Any], str]:
    def read(where: str, value: Any) -> str:
        if value not in known:
            raise unknown(where.removeprefix("sweep.").replace("_", " "), value, known, "sweep")
        return str(value)

    return read


def _speedup_values(key: str, value: Any) -> tuple[float, ...]:
    if key not in UNCHANGED:
        raise unknown("key", key, UNCHANGED, "speedup")
    values = tuple(_number(f"speedup.{key}", item) for item in read_values(f"speedup.{key}", value))
    for item in values:
        Speedup(**{key: item})  # refuses absurd factors
    return values


def _number(where: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError(f"{where}: {value!r} is not a number")
    return float(value)


_KINDS = {"name": str, "profile": str, "engine": str, "max_points": int, "sweep": dict, "speedup": dict}
_READERS: dict[str, Callable[[str, Any], Any]] = {
    "model": _name(CATALOGUE),
    "mode": _name(MODES),
    "batch": _count,
    "bandwidth_mbps": _bandwidth,
    "segments": _count,
    "compression_rate": _number,
    "devices": _count,
    "exchange": _name(EXCHANGES),
    "input_distribution": _name(INPUTS),
    "wire_dtype": _name(WIRE_BYTES),
}
