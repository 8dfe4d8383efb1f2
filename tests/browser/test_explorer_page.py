"""The explorer's page in a real browser: what it shows, remembers, saves and refuses."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from tests.helpers.command import Cli

if TYPE_CHECKING:
    from tests.helpers.browser import Page  # which needs selenium

pytestmark = pytest.mark.slow


def exported(page: Page, saved: Path, name: str, kind: str) -> Path:
    """The file that a chart's button saves, once it is whole."""
    path = saved / f"prism-{name}.{kind}"
    path.unlink(missing_ok=True)
    page.one(f"[data-chart={name}] .export button[aria-label$='{kind.upper()}']").click()
    return whole(path)


def whole(path: Path) -> Path:
    """The file once it is there: the browser keeps its name with an empty one, writes elsewhere and renames."""
    deadline = time.monotonic() + 20
    while not (path.exists() and path.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert path.exists()
    return path


def remembered(page: Page) -> dict[str, str]:
    """The state in the address, as soon as it has one."""
    query = page.wait("return location.search.slice(1)")
    return {name: value for name, (value,) in parse_qs(query).items()}


def marker(page: Page) -> tuple[float, float]:
    x, y = page.run(
        "const c = document.querySelector('[data-marker] circle'); return [c.getAttribute('cx'), c.getAttribute('cy')]"
    )
    return float(x), float(y)


@pytest.mark.parametrize(
    ("control", "value", "charts"),
    [
        ("batch", 32, ("breakdown", "map", "pareto")),
        ("bandwidth-slider", 3, ("breakdown", "map", "pareto")),
        ("cr", 3.28, ("breakdown", "map", "pareto")),
        ("cr-slider", 90, ("breakdown", "map", "pareto")),
        ("boards", 4, ("breakdown", "map", "pareto")),
        ("model", "vit_large_patch16_224", ("breakdown", "map", "pareto")),
        ("objective", "all-energy", ("map", "pareto")),
    ],
)
def test_every_control_changes_the_picture(page: Page, control: str, value: str, charts: tuple[str, ...]) -> None:
    before = {name: page.svg(name) for name in charts}
    page.put(control, value)
    assert page.error() is None
    for name in charts:
        assert page.svg(name) != before[name], name


def test_the_answer_is_the_simulators(page: Page, cli: Cli) -> None:
    page.put("batch", 32)
    run = cli("simulate", "--segments", "10", "--batch", "32", "--bandwidth", "400", "--json").json
    saved_pct = 100 * (1 - run["total_ms"] / run["local_ms"])
    assert (
        page.sentence
        == f"At batch 32 and 400 Mbps, split over 2 boards with L = 10: {saved_pct:.0f} % less time than one board."
    )
    assert "inside what was measured" in page.one("#trust").text
    page.put("bandwidth", 300)
    assert "Extrapolated: bandwidth 300 Mbps (measured: 400)." in page.one("#trust").text


def test_the_address_holds_the_state(page: Page) -> None:
    page.put("batch", 16)
    page.put("bandwidth", 150)
    page.put("boards", 3)
    page.put("objective", "terminal-energy")
    sentence = page.sentence
    page.wait("return location.search.includes('terminal-energy')")
    state = remembered(page)
    assert state["batch"] == "16"
    assert page.run("return history.length") <= 50  # each change replaces the last
    drawn = [page.svg(name) for name in ("breakdown", "map", "pareto")]
    page.open(urlsplit(page.driver.current_url).query)
    assert page.sentence == sentence
    assert [page.svg(name) for name in ("breakdown", "map", "pareto")] == drawn
    shown = page.run("return arguments[0].map((id) => document.getElementById(id).value)", list(state))
    assert dict(zip(state, shown, strict=True)) == state


def test_a_wrong_address_is_told_in_a_line_and_mended_by_a_change(page: Page) -> None:
    page.open("batch=8&bandwidth=7&boards=2", answered=False)
    assert page.error() == "bandwidth = 7.0 is out of range; it must lie between 10 and 2000"
    assert page.run("return document.querySelectorAll('svg').length") == 0
    assert page.one("#bandwidth").get_attribute("aria-invalid") == "true"
    page.put("bandwidth", 700)
    assert page.error() is None
    assert page.sentence.startswith("At batch 8 and 700 Mbps")


def test_a_wrong_value_leaves_the_last_answer_faint(page: Page) -> None:
    before = page.svg("map")
    page.put("batch", 0)
    assert page.error() == "batch = 0 is out of range; it must lie between 1 and 64"
    assert page.svg("map") == before
    assert page.run("return document.querySelector('[data-chart=map] .drawing').matches('.stale')")
    assert not page.one("[data-chart=map] .export button").is_enabled()
    page.put("batch", 1)
    assert page.error() is None
    assert page.sentence.startswith("At batch 1 and 400 Mbps, stay on one board")


def test_a_click_on_the_map_moves_the_point(page: Page) -> None:
    before = marker(page)
    page.click("[data-cell='0']")
    page.wait("return document.querySelector('#sentence').textContent.startsWith('At batch 1 and 10 Mbps')")
    assert marker(page) != before
    assert page.run("return [batch.value, bandwidth.value]") == ["1", "10"]


def test_the_keyboard_alone_will_do(page: Page, saved: Path) -> None:
    def focused() -> str:
        return str(
            page.run("const a = document.activeElement; return a.id || a.getAttribute('aria-label') || a.tagName")
        )

    def tab_to(name: str) -> None:
        for _ in range(40):
            if focused() == name:
                return
            page.press("TAB")
        raise AssertionError(f"{name} cannot be reached; focus is on {focused()}")

    tab_to("batch")
    outline = (
        "const a = document.activeElement; return getComputedStyle(a).outlineStyle + getComputedStyle(a).outlineWidth"
    )
    assert page.run(outline) == "solid3px"
    page.press("CONTROL+a", "2")
    page.wait("return document.querySelector('#sentence').textContent.startsWith('At batch 2 ')")
    tab_to("bandwidth-slider")
    page.press("ARROW_RIGHT")
    page.wait("return document.querySelector('#sentence').textContent.includes(' and 450 Mbps')")
    tab_to("objective")
    page.press("ARROW_DOWN")
    page.wait("return document.querySelector('#sentence').textContent.includes('energy on the terminal')")
    tab_to("Map of the best plan. Arrow keys move the chosen batch and bandwidth.")
    page.press("ARROW_UP")
    page.wait("return document.querySelector('#sentence').textContent.startsWith('At batch 3 ')")
    tab_to('Save "Latency, energy, compression" as CSV')
    (saved / "prism-pareto.csv").unlink(missing_ok=True)
    page.press("ENTER")
    assert whole(saved / "prism-pareto.csv").read_text(encoding="utf-8").startswith("plan,compression_rate,")


@pytest.mark.parametrize("width", [360, 390, 768])
def test_a_narrow_screen_needs_no_scrolling_sideways(page: Page, width: int) -> None:
    page.size(width, 844, touch=True)
    page.open()
    assert page.run("return document.documentElement.scrollWidth") == width
    wide = (
        "return [...document.querySelectorAll('body *')]"
        ".filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"
    )
    assert page.run(wide) == []
    small = (
        "return [...document.querySelectorAll('select, button, input')]"
        ".filter((e) => e.getBoundingClientRect().height < 24).map((e) => e.id)"
    )
    assert page.run(small) == []


def test_csv_has_the_simulators_numbers(page: Page, saved: Path, cli: Cli) -> None:
    page.put("batch", 16)
    rows = list(csv.DictReader(io.StringIO(exported(page, saved, "breakdown", "csv").read_text(encoding="utf-8"))))
    for options, plan in (
        (("--mode", "full_tensor"), "full_tensor P=2"),
        (("--segments", "10"), "segment_means P=2 L=10"),
    ):
        run = cli("simulate", *options, "--batch", "16", "--json").json
        row = next(row for row in rows if (row["plan"], row["rank"]) == (plan, "0"))
        for name in ("compute_ms", "staging_ms", "communication_ms", "transfer_ms", "waiting_ms", "total_ms"):
            assert float(row[name]) == pytest.approx(run[name], rel=1e-9, abs=1e-9)
        assert float(row["terminal_j"]) == pytest.approx(run["energy_j"]["terminal"], rel=1e-9)
        assert float(row["all_boards_j"]) == pytest.approx(run["energy_j"]["all_boards"], rel=1e-9)
    cells = list(csv.DictReader(io.StringIO(exported(page, saved, "map", "csv").read_text(encoding="utf-8"))))
    assert len(cells) == page.run("return document.querySelectorAll('[data-cell]').length")
    cell = next(cell for cell in cells if (cell["batch"], cell["bandwidth_mbps"]) == ("16", "400"))
    run = cli("simulate", "--segments", "10", "--batch", "16", "--json").json
    assert cell["best"] == "segment_means P=2 L=10"
    assert float(cell["segment_means P=2 L=10 latency ms"]) == pytest.approx(run["total_ms"], rel=1e-9)
    assert float(cell["split_saves_pct"]) == pytest.approx(100 * (1 - run["total_ms"] / run["local_ms"]), rel=1e-6)
    assert cell["segment_means P=2 L=10 extrapolated"] == "false"


@pytest.mark.parametrize("name", ["breakdown", "map", "pareto"])
def test_png_is_the_chart_at_twice_its_size(page: Page, saved: Path, name: str) -> None:
    width = page.run("return document.querySelector(`[data-chart=${arguments[0]}] svg`).width.baseVal.value", name)
    with Image.open(exported(page, saved, name, "png")) as picture:
        assert picture.format == "PNG"
        assert picture.width == 2 * (width + 32)
        colours = picture.convert("RGB").getcolors(1 << 24)
    assert colours is not None
    shares = {colour: count / (picture.width * picture.height) for count, colour in colours}
    assert shares[255, 255, 255] > 0.1  # the paper, and not all of the picture
    assert shares.get((0, 0x72, 0xB2), 0) > 1e-4  # one board's colour, which is computing's too
    assert len(colours) > 50


def test_the_dark_theme_reaches_the_charts(page: Page) -> None:
    light = page.svg("breakdown")
    page.theme("dark")
    page.wait("return !document.querySelector('[data-chart=breakdown] svg').outerHTML.includes('#0072b2')")
    assert page.svg("breakdown") != light


def test_a_server_that_has_ended_is_told(page: Page) -> None:
    page.driver.set_network_conditions(offline=True, latency=0, throughput=0)
    try:
        page.put("batch", 9)
        assert (page.error() or "").startswith("Prism no longer answers; start `prism explore` again")
    finally:
        page.driver.delete_network_conditions()
    page.log("browser")  # the browser too says that it is offline
