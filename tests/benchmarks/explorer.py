"""How long the explorer's page takes from a change of a control to the frame that shows it, in headless Chromium.

Figures, never a verdict: `python -m tests.benchmarks.explorer`. With ``--picture`` it makes the picture of the README
instead, with ``--phone`` that of a phone.
"""

from __future__ import annotations

import argparse
import io
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from prism.catalogue import CATALOGUE
from prism.files import to_json
from prism.profile import DEFAULT_PROFILE, load_profile
from sim.explorer.answer import answer
from sim.explorer.choices import BANDWIDTH_STOPS_MBPS
from sim.explorer.objectives import OBJECTIVES
from sim.explorer.question import read_question
from tests.benchmarks.figures import print_table
from tests.benchmarks.machine import machine_facts
from tests.helpers.browser import Page, chromium, explorer

#: Values that each control is moved through.
MOVES: Mapping[str, Sequence[str | float]] = {
    "batch": tuple(range(1, 65)),
    "bandwidth": BANDWIDTH_STOPS_MBPS,
    "cr-slider": tuple(range(98)),
    "boards": tuple(range(2, 9)),
    "objective": tuple(OBJECTIVES),
    "model": tuple(CATALOGUE),
}
DESKTOP, PHONE = (1280, 900), (390, 844)


@contextmanager
def page() -> Iterator[Page]:
    """The page in a browser of its own."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with explorer(folder) as url, chromium(folder) as driver:
            yield Page(driver, url)


def redraws_ms(shown: Page, changes: int) -> dict[str, list[float]]:
    """Milliseconds from the change to the frame, of `changes` changes of every control in turn."""
    draw = random.Random(0)
    shown.size(*DESKTOP)
    shown.open()
    found: dict[str, list[float]] = {control: [] for control in MOVES}
    for _ in range(changes):
        for control, values in MOVES.items():
            shown.put(control, draw.choice(values))
            found[control].append(shown.redraw_ms)
    return found


def answers_ms(count: int) -> list[float]:
    """Milliseconds that the server computes, from a query to JSON, for settings drawn at random."""
    profiles = {DEFAULT_PROFILE: load_profile(DEFAULT_PROFILE)}
    draw, found = random.Random(1), []
    for _ in range(count):
        cr, boards = draw.uniform(1, 40), draw.randint(2, 8)
        query = f"batch={draw.randint(1, 64)}&bandwidth={draw.uniform(10, 2000):.0f}&cr={cr:.3f}&boards={boards}"
        begin = perf_counter()
        to_json(answer(read_question(query, profiles)))
        found.append(1e3 * (perf_counter() - begin))
    return found


def picture(path: Path, size: tuple[int, int], query: str, theme: str) -> None:
    """Save what the page looks like."""
    with page() as shown:
        shown.size(*size, touch=size == PHONE)
        shown.theme(theme)
        shown.open(query)
        whole = Image.open(io.BytesIO(shown.driver.get_screenshot_as_png())).convert("RGB")
    # 256 colours are enough for flat ones, and a third of the bytes.
    whole.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Measure and print, or take the picture."""
    parser = argparse.ArgumentParser(prog="tests.benchmarks.explorer", description=__doc__)
    parser.add_argument("--changes", type=int, default=20, help="changes of each control (default: 20)")
    parser.add_argument("--picture", type=Path, metavar="PNG", help="save a picture of the page and measure nothing")
    parser.add_argument("--phone", action="store_true", help="of the page on a phone")
    parser.add_argument("--theme", choices=("light", "dark"), default="light")
    parser.add_argument("--query", default="", help="state of the page in the picture")
    options = parser.parse_args()
    if options.picture is not None:
        picture(options.picture, PHONE if options.phone else DESKTOP, options.query, options.theme)
        return
    with page() as shown:
        rows = redraws_ms(shown, options.changes)
        version = shown.driver.capabilities["browserVersion"]
    rows["all controls"] = [value for values in rows.values() for value in values]
    rows["server alone, no browser"] = answers_ms(options.changes * len(MOVES))
    print_table("Machine", ("", ""), [*machine_facts(), ("browser", f"Chromium {version}, headless, no GPU")])
    print_table(
        f"Milliseconds from a change of a control to the frame that shows it, {options.changes} changes of each",
        ("", "p50", "p90", "most", "target"),
        [
            (name, *(f"{value:.1f}" for value in (*np.percentile(values, (50, 90)), max(values))), "<= 100")
            for name, values in rows.items()
        ],
    )


if __name__ == "__main__":
    main()
