"""The report in a real browser, opened from disk: what people see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from report_runs import TRUST, change_metrics

pytestmark = pytest.mark.browser

selenium = pytest.importorskip("selenium")
from chromium import chromium  # noqa: E402
from selenium import webdriver  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402

from pawsure.report.build import write_report  # noqa: E402

LONG = ("a label that goes on and on, as folders are sometimes named", "x" * 70, "<b>&")


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with chromium("--hide-scrollbars", logs=("browser", "performance")) as browser:
        yield browser


@pytest.fixture(scope="module", params=[("blue", "red"), LONG], ids=["two", "long"])
def page(request, make_run) -> Path:
    run = make_run(*request.param, each=24)
    change_metrics(run, trust=TRUST, audit={"sentences": ["Copies: none."], "flagged": {}})
    return write_report(run)


def look(browser: webdriver.Chrome, page: Path, width: int, *, dark: bool = False) -> None:
    """Open the page as on a screen of some width."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(page.as_uri())


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_it_fits_every_screen_and_asks_for_nothing(browser, page, width):
    look(browser, page, width)
    browser.get_log("performance")
    browser.refresh()
    assert browser.get_log("browser") == []
    asked = [entry["message"] for entry in browser.get_log("performance")]
    asked = [message for message in asked if '"Network.requestWillBeSent"' in message]
    elsewhere = [message for message in asked if '"url":"data:' not in message]
    assert len(elsewhere) == 1 and page.as_uri() in elsewhere[0]  # the page itself
    assert browser.execute_script("return document.documentElement.scrollWidth") == width
    outside = browser.execute_script(
        """const inside = (e) => e.closest('.scrolled') || e.closest('svg') || e.closest('.unseen');
        return [...document.querySelectorAll('main *')]
          .filter((e) => !inside(e) && e.getBoundingClientRect().right > innerWidth + 1)
          .map((e) => e.outerHTML.slice(0, 80));"""
    )
    assert outside == []


def test_every_picture_is_shown(browser, page):
    look(browser, page, 1280)
    widths = browser.execute_script(
        "return [...document.images].map((image) => image.complete && image.naturalWidth)"
    )
    assert widths and all(widths)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_letters_stand_out_from_what_is_behind_them(browser, page, dark):
    look(browser, page, 1280, dark=dark)
    faint = browser.execute_script(
        """
        const parse = (c) => c.match(/[\\d.]+/g).map(Number);
        const light = (c) => { const [r, g, b] = c.map((v) => { v /= 255;
          return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const behind = (e) => { for (; e; e = e.parentElement) {
          const c = parse(getComputedStyle(e).backgroundColor);
          if (c.length < 4 || c[3] > 0) return c.slice(0, 3); } return [255, 255, 255]; };
        const found = [];
        for (const e of document.querySelectorAll('body *')) {
          const style = getComputedStyle(e);
          const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
          if (!own || ['title', 'desc'].includes(e.tagName) || e.matches('.count')) continue;
          const ink = parse(e.closest('svg') ? style.fill : style.color).slice(0, 3);
          const [a, b] = [light(ink), light(behind(e))].sort((x, y) => y - x);
          if ((a + 0.05) / (b + 0.05) < 4.5) found.push(e.outerHTML.slice(0, 90));
        }
        return found;"""
    )
    assert faint == []


def test_dark_and_light_differ_and_print_is_light(browser, page):
    ground = "return getComputedStyle(document.body).backgroundColor"
    look(browser, page, 1280)
    light = browser.execute_script(ground)
    look(browser, page, 1280, dark=True)
    assert browser.execute_script(ground) != light
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert browser.execute_script(ground) == "rgb(255, 255, 255)"
    assert not browser.find_element(By.TAG_NAME, "nav").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_tables_open_and_charts_have_names_for_those_who_do_not_see(browser, page):
    look(browser, page, 1280)
    closed = browser.find_element(By.CSS_SELECTOR, "figure details")
    summary = closed.find_element(By.TAG_NAME, "summary")
    browser.execute_script("arguments[0].click()", summary)  # the page scrolls smoothly to it
    assert closed.find_element(By.TAG_NAME, "table").is_displayed()
    charts = browser.find_elements(By.CSS_SELECTOR, "svg[role=img]")
    assert len(charts) >= 6
    assert all(len(chart.accessible_name) > 5 for chart in charts)
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
