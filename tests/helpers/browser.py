"""A real headless Chromium with the explorer's page in it, and the command that serves the page."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import ActionChains, Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.helpers.command import PRISM, child_environment

#: Quiet: Chromium asks nobody for updates. Deaf: no name is resolved, so that what is not on this machine cannot load.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)
WAIT_S = 20.0
#: Whether the page shows the answer to what its controls say, or why there is none.
SETTLED = "return ['drawn', 'refused'].includes(document.documentElement.dataset.state)"


def missing_program() -> str | None:
    """The first program that a browser test needs and this machine lacks."""
    return next((name for name in ("chromium", "chromedriver") if shutil.which(name) is None), None)


@contextmanager
def chromium(folder: Path) -> Iterator[Chrome]:
    """A browser with a fresh profile in `folder`; it saves downloads in ``folder/saved``."""
    options = ChromeOptions()
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.binary_location = str(shutil.which("chromium"))
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "saved")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With the driver's path given selenium looks for none and fetches none.
    driver = Chrome(options, ChromeService(str(shutil.which("chromedriver"))))
    try:
        yield driver
    finally:
        driver.quit()


@contextmanager
def explorer(folder: Path, *arguments: str) -> Iterator[str]:
    """`prism explore` in a process of its own; yields the page's address."""
    command = [*PRISM, "explore", "--no-open", "--json", *arguments]
    with subprocess.Popen(command, cwd=folder, env=child_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.send_signal(signal.SIGTERM)


class Page:
    """The explorer's page, asked and used as a person does."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver, self.url = driver, url

    def open(self, query: str = "", *, answered: bool = True) -> None:
        """Load the page afresh; until it is drawn, or until it says why not."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.url}{'?' if query else ''}{query}")
        self.wait(SETTLED)
        assert not answered or self.error() is None, self.error()

    def size(self, width: int, height: int, scale: float = 1, *, touch: bool = False) -> None:
        """A screen of this many CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": touch}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def theme(self, name: str) -> None:
        """`light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: Any) -> Any:
        """What the script returns, as soon as that is true."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            if found := self.run(script, *arguments):
                return found
            time.sleep(0.01)
        raise AssertionError(f"not within {WAIT_S:g} s: {script}")

    def one(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def put(self, control: str, value: str | float) -> None:
        """Give a control a value at once, and wait for what comes of it."""
        self.run(
            "const [id, value] = arguments; const control = document.getElementById(id); control.value = value;"
            "control.dispatchEvent(new Event('input', {bubbles: true}))",
            control,
            str(value),
        )
        self.wait(SETTLED)

    def press(self, *keys: str) -> None:
        """Press keys one after the other: a character, a name such as ``TAB``, or ``CONTROL+a``."""
        actions = ActionChains(self.driver)
        for key in keys:
            held, _, last = key.rpartition("+")
            last = getattr(Keys, last, last)
            if held:
                modifier = getattr(Keys, held)
                actions.key_down(modifier).send_keys(last).key_up(modifier)
            else:
                actions.send_keys(last)
        actions.perform()

    def click(self, selector: str) -> None:
        """Move the mouse there and click."""
        ActionChains(self.driver).move_to_element(self.one(selector)).click().perform()

    def error(self) -> str | None:
        """The line that says why there is no answer."""
        line: str | None = self.run(
            "const e = document.querySelector('#error'); return e.hidden ? null : e.textContent"
        )
        return line

    @property
    def sentence(self) -> str:
        return self.one("#sentence").text

    @property
    def redraw_ms(self) -> float:
        """From the last change to the frame that showed it."""
        return float(self.run("return performance.getEntriesByName('redraw').at(-1).duration"))

    def svg(self, name: str) -> str:
        """The source of a chart."""
        return str(self.run("return document.querySelector(`[data-chart=${arguments[0]}] svg`).outerHTML", name))

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What the browser has noted since it was last asked: its `browser` or `performance` log."""
        driver: Any = self.driver  # selenium leaves this call without types
        return list(driver.get_log(kind))

    def requested(self) -> set[str]:
        """Every address that this page's network has asked for since this was last asked."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        sent = [event["params"] for event in events if event["method"] == "Network.requestWillBeSent"]
        return {str(params["request"]["url"]) for params in sent}
