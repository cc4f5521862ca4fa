"""The report as a reader sees it: in a browser, from the disk, without a network."""

from __future__ import annotations

import base64
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest
from click.testing import Result
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

_log = logging.getLogger(__name__)

_PHONE = 390
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
_COLUMN = """
return [...document.querySelectorAll("table.sortable")[arguments[0]].tBodies[0].rows]
  .map(row => row.cells[arguments[1]].textContent.trim());
"""
_IMAGES = """
for (const image of document.images) image.loading = "eager";
return [...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src);
"""


def _find(name: str) -> str:
    path = shutil.which(name)
    if path:
        return path
    if os.environ.get("CI"):
        pytest.fail(f"{name} is missing: apt-get install chromium chromium-driver")
    return pytest.skip(f"{name} is missing: install Chromium and its driver")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = _find("chromium")
    profile = tmp_path_factory.mktemp("profile")
    for argument in (*_ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = Service(_find("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def report(bkgpipe: Callable[..., Result], finished: Path) -> Path:
    result = bkgpipe("report", "--models", "2")
    assert result.exit_code == 0, result.output
    (index,) = (finished / "out").glob("report-*/index.html")
    return index.parent.resolve()


@pytest.fixture
def seen(browser: webdriver.Chrome, report: Path) -> Iterator[webdriver.Chrome]:
    browser.get((report / "index.html").as_uri())
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _prefer(browser, "light")


def _prefer(browser: webdriver.Chrome, scheme: str) -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


def _addresses(browser: webdriver.Chrome) -> set[str]:
    links = browser.find_elements(By.TAG_NAME, "a")
    return {str(link.get_attribute("href")) for link in links}


def test_all_pages_load_without_complaint_and_links_and_images_are_alive(
    seen: webdriver.Chrome, report: Path
) -> None:
    pages = sorted(report.glob("*.html"))
    reached: set[str] = set()
    for page in pages:
        started = time.perf_counter()
        seen.get(page.as_uri())
        _log.info("%s: %.2f s", page.name, time.perf_counter() - started)
        assert seen.get_log("browser") == [], page.name
        assert seen.execute_script(_IMAGES) == [], page.name
        for address in _addresses(seen):
            place = urlparse(address)
            assert place.scheme == "file"
            assert Path(unquote(place.path)).is_file(), address
            if place.fragment:
                assert seen.find_elements(By.ID, place.fragment), address
            reached.add(Path(place.path).name)
    # each page can be reached from another one
    assert {page.name for page in pages} <= reached
    assert len(pages) >= 4


def test_a_click_sorts_and_another_one_turns_it_round(
    seen: webdriver.Chrome, report: Path
) -> None:
    seen.get((report / "runs-1.html").as_uri())
    heads = seen.find_elements(By.CSS_SELECTOR, "thead th")
    column = [head.text for head in heads].index("zenith [deg]")
    for order in ("ascending", "descending"):
        heads[column].find_element(By.TAG_NAME, "button").click()
        values = [float(text) for text in seen.execute_script(_COLUMN, 0, column)]
        assert values == sorted(values, reverse=order == "descending")
        assert len(set(values)) > 2
        assert heads[column].get_attribute("aria-sort") == order


def test_numbers_are_sorted_as_numbers_and_unknown_ones_last(
    seen: webdriver.Chrome, report: Path
) -> None:
    seen.get((report / "runs-1.html").as_uri())
    heads = seen.find_elements(By.CSS_SELECTOR, "thead th")
    column = [head.text for head in heads].index("events kept")
    for _ in range(2):
        heads[column].find_element(By.TAG_NAME, "button").click()
        texts = seen.execute_script(_COLUMN, 0, column)
        # run 1003 was refused
        assert texts[-1] == "-"
        values = [int(text.replace(",", "")) for text in texts[:-1]]
        assert values in (sorted(values), sorted(values, reverse=True))


def test_nothing_is_wider_than_a_phone(seen: webdriver.Chrome, report: Path) -> None:
    metrics = {"width": _PHONE, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    seen.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for page in sorted(report.glob("*.html")):
        seen.get(page.as_uri())
        width = seen.execute_script("return document.documentElement.scrollWidth")
        assert width <= _PHONE, page.name


def test_the_dark_is_respected(seen: webdriver.Chrome) -> None:
    script = "return getComputedStyle(document.body).backgroundColor"
    _prefer(seen, "light")
    assert seen.execute_script(script) == "rgb(255, 255, 255)"
    _prefer(seen, "dark")
    assert seen.execute_script(script) == "rgb(20, 24, 28)"


def test_it_can_be_printed(seen: webdriver.Chrome) -> None:
    printed = seen.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    content = base64.b64decode(printed["data"])
    assert content.startswith(b"%PDF")
    assert len(content) > 10_000
    # what was folded away is on paper
    folded = seen.find_elements(By.CSS_SELECTOR, "details:not([open])")
    assert not folded
