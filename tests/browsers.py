"""Start a headless Chromium, if the machine has one."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

OPTIONS = (
    "--headless",
    "--window-size=1400,1000",
    "--no-sandbox",  # which root has not
    "--disable-dev-shm-usage",  # small in containers
    "--disable-gpu",
    "--no-first-run",
    # it would go looking for its maker's servers
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def opened(home: Path) -> Iterator[webdriver.Chrome]:
    """A browser that keeps its files in `home`, and logs its console and what it asks of the network.

    Skips the test where there is none.
    """
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        pytest.skip("no chromium and chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for option in (*OPTIONS, f"--user-data-dir={home / 'profile'}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options, Service(driver, env={**os.environ, "HOME": str(home)}))
    try:
        yield browser
    finally:
        browser.quit()
