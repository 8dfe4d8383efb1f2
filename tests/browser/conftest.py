"""One browser and one server for all browser tests; without Chromium they are skipped by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.helpers.browser import Page


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the browser puts what is exported."""
    return tmp_path_factory.mktemp("browser") / "saved"


@pytest.fixture(scope="session")
def browser_page(saved: Path) -> Iterator[Page]:
    pytest.importorskip("selenium", reason="the browser tests need selenium; tox -e explore installs it")
    from tests.helpers.browser import Page, chromium, explorer, missing_program

    missing = missing_program()
    if missing is not None:
        pytest.skip(f"the browser tests need {missing}; on Debian: apt-get install chromium chromium-driver")
    with explorer(saved.parent) as url, chromium(saved.parent) as driver:
        yield Page(driver, url)


@pytest.fixture
def page(browser_page: Page) -> Iterator[Page]:
    """The page as it opens, on a desktop; afterwards nothing may have been complained of or asked from elsewhere."""
    browser_page.size(1280, 900)
    browser_page.theme("light")
    browser_page.open()
    yield browser_page
    asked = {url for url in browser_page.requested() if not url.startswith(("about:", "blob:", "data:", "chrome://"))}
    assert asked
    assert {url for url in asked if not url.startswith(browser_page.url)} == set()
    complaints = [entry["message"] for entry in browser_page.log("browser")]
    assert [line for line in complaints if "status of 400" not in line] == []
