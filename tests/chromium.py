"""A headless Chromium for tests marked `browser`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.service import Service


@contextmanager
def chromium(
    *arguments: str, downloads: Path | None = None, logs: tuple[str, ...] = ("browser",)
) -> Iterator[webdriver.Chrome]:
    """Start it, and quit it at the end; `browser.downloads` is the folder of downloads."""
    options = webdriver.ChromeOptions()
    options.binary_location = (
        shutil.which("chromium") or shutil.which("chromium-browser") or "chromium"
    )
    for argument in ("--headless=new", "--disable-gpu", "--window-size=1280,900", *arguments):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    if downloads is not None:
        options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    driver = Service(shutil.which("chromedriver") or "chromedriver")
    browser = webdriver.Chrome(options=options, service=driver)
    browser.downloads = downloads
    try:
        yield browser
    finally:
        browser.quit()
