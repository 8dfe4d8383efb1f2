"""`prism validate --live`: measure a small corpus on this machine now, and hold the simulator to it."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from prism.cli.output import say

if TYPE_CHECKING:
    from prism.cli.fidelity import Request


def validate_live(request: Request, out: Path | None, design_path: Path | None) -> None:
    """Record what the design asks for on a testbed of this machine, then validate it as any corpus.

    Args:
        request: what to write and print; its measurements are those that are recorded now.
        out: folder that keeps the runs; a recording begun in it goes on. None keeps them nowhere.
        design_path: of another corpus than the one that comes with Prism.
    """
    from hw.profiler.design import read_design
    from hw.runtime.settings import Settings
    from prism.cli.corpus import record_corpus
    from prism.cli.fidelity import validate_corpus
    from prism.cli.sweeping import Place

    if design_path is None:
        with as_file(files("validation") / "data" / "live.toml") as path:
            design = read_design(path)
    else:
        design = read_design(design_path)
    place = Place(testbed=True, loopback=False, ranks=design.boards, meter="none")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if out is None else out
        runs = record_corpus(design, folder, place, Settings(design.sweep[0].model))
        say(f"{runs} runs measured" + ("" if out is None else f", kept in {out}"))
        validate_corpus(replace(request, measurements=folder, few=design_path is None))
