"""A file (TOML) that says what a corpus consists of: sweeps, one after the other, each in a record file of its own."""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen

from hw.profiler.grid import Grid
from prism.catalogue import shape_of
from prism.errors import InputError
from prism.files import check_format, parse_data, read_text
from prism.plan import ExchangeKind, InputDistribution, Mode, Plan, WireDtype
from prism.stored import Stored

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Count = Annotated[int, Ge(1)]


@dataclass(frozen=True)
class SweepDesign(Stored):
    """One sweep of a corpus.

    Attributes:
        name: of its record file, without the ending.
        segments: L of each `segment_means` plan.
        spans: passes of each visit that keep their spans, the first ones: such a record is ten times as long as others.
    """

    name: Annotated[str, MinLen(1)]
    model: str
    batches: Annotated[tuple[Count, ...], MinLen(1)]
    bandwidth_mbps: Annotated[tuple[float, ...], MinLen(1)]
    modes: Annotated[tuple[Mode, ...], MinLen(1)]
    segments: tuple[Count, ...] = ()
    exchange: tuple[ExchangeKind, ...] = ("blocking", "preposted")
    inputs: tuple[InputDistribution, ...] = ("replicated",)
    wire_dtype: WireDtype = "float32"
    seed: int = 0
    spans: Annotated[int, Ge(0)] = 0

    def grid(self, devices: int) -> Grid:
        """The cases, for so many boards.

        Raises:
            InputError: an unknown model, or a plan that cannot be.
        """
        return Grid(shape_of(self.model), self.batches, self.bandwidth_mbps, self.plans(devices))

    def plans(self, devices: int) -> tuple[Plan, ...]:
        """`local` once; every other mode with each number of segments, kind of exchange and input."""
        found: list[Plan] = []
        for mode in self.modes:
            if mode == "local":
                found.append(Plan())
                continue
            counts = self.segments if mode == "segment_means" else (None,)
            for count, kind, distribution in itertools.product(counts, self.exchange, self.inputs):
                found.append(
                    Plan(
                        mode,
                        devices,
                        count,
                        wire_dtype=self.wire_dtype,
                        exchange=kind,
                        input_distribution=distribution,
                    )
                )
        return tuple(found)


@dataclass(frozen=True)
class CorpusDesign(Stored):
    """All sweeps of a corpus, and how each case is measured.

    Attributes:
        rounds: of visits to every case, each in a random order; 5 timed passes a visit.
        warm_up: passes of a visit that are not recorded.
        timeout_s: how long a wait inside a pass may take.
        boards: the terminal device included.
    """

    sweep: Annotated[tuple[SweepDesign, ...], MinLen(1)]
    rounds: Count = 2
    warm_up: Annotated[int, Ge(0)] = 1
    timeout_s: Annotated[float, Ge(0.1), Le(600)] = 20.0
    boards: Annotated[int, Ge(2), Le(8)] = 2
    format: Literal["prism.corpus_design/1"] = "prism.corpus_design/1"


def read_design(path: Path) -> CorpusDesign:
    """Read a design file, and refuse one with a case that cannot be before anything is measured.

    Raises:
        InputError: not TOML, an unknown key, a value of the wrong kind, a name twice, or an impossible case.
    """
    try:
        data: dict[str, Any] = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not valid TOML ({error})") from None
    check_format(data, CorpusDesign.format, str(path))
    design = parse_data(CorpusDesign, data, str(path))
    names = [sweep.name for sweep in design.sweep]
    for sweep in design.sweep:
        if names.count(sweep.name) > 1:
            raise InputError(f"{path}: two sweeps are named {sweep.name!r}; each has a file of its own")
        if Path(sweep.name).name != sweep.name:
            raise InputError(f"{path}: {sweep.name!r} cannot name a file")
        try:
            sweep.grid(design.boards)
        except InputError as error:
            raise InputError(f"{path}: sweep {sweep.name!r}: {error}") from None
    return design
