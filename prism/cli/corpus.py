"""`prism profile --design`: every sweep of a corpus, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from prism.cli.output import say
from prism.cli.sweeping import Measuring, Place, sweep
from prism.errors import InputError

if TYPE_CHECKING:
    from hw.profiler.design import CorpusDesign, SweepDesign
    from hw.runtime.settings import Settings
    from prism.profile import SystemProfile


def record_corpus(
    design: CorpusDesign, out: Path, place: Place, settings: Settings, replay: SystemProfile | None = None
) -> int:
    """Measure every sweep of `design` into a record file of its own in the folder `out`; returns how many runs it has.

    What is there already is not measured again. Sweeps of one model that follow each other share their boards.

    Raises:
        InputError: boards that are more or fewer than the design's; or see `hw.profiler`.
    """
    from hw.profiler.visits import FullSweep

    devices = place.ranks if place.testbed else 1 + len(settings.peers)
    if devices != design.boards:
        raise InputError(f"the design is of {design.boards} boards and there are {devices}")
    runs = 0
    with place.sampler() as sampler:
        for model, sweeps in _by_model(design):
            first_mbps = max(sweeps[0].bandwidth_mbps)
            of_model = replace(settings, model=model, timeout_s=design.timeout_s)
            with place.boards(of_model, first_mbps) as boards:
                for each in sweeps:
                    say(f"sweep {each.name}")
                    visits = FullSweep(each.grid(devices), each.seed, design.rounds)
                    measuring = Measuring(design.warm_up, each.spans, replay)
                    runs += len(sweep(boards, sampler, out / f"{each.name}.jsonl", visits, measuring).records)
    return runs


def _by_model(design: CorpusDesign) -> Iterator[tuple[str, list[SweepDesign]]]:
    for model, sweeps in groupby(design.sweep, key=lambda each: each.model):
        yield model, list(sweeps)
