"""Start headless Chromium through selenium, or skip and say what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.clock import SYSTEM_CLOCK

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")


class FixedWindow:
    """Hold one browser window, spoken to in words of what is seen."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    @property
    def url(self) -> str:
        """Where the browser is."""
        return str(self.driver.current_url)

    @property
    def text(self) -> str:
        """What the page shows."""
        return str(self.driver.execute_script("return document.body ? document.body.innerText : ''"))

    def go(self, url: str) -> FixedWindow:
        """Visit an address."""
        self.driver.get(url)
        return self

    def shows(self, text: str) -> FixedWindow:
        """Wait until the page shows a text, ten seconds at most."""
        wait_for(lambda: text in self.text, f"{text!r} never came on {self.url}: {self.text}")
        return self

    def click(self, selector: str) -> FixedWindow:
        """Click the first element that fits."""
        self.driver.find_element("css selector", selector).click()
        return self

    def attribute(self, selector: str, name: str) -> str:
        """Return an attribute of the first element that fits."""
        return str(self.driver.find_element("css selector", selector).get_attribute(name))

    def shot(self, name: str) -> None:
        """Keep a picture in the folder that SCREENSHOTS names, where it names one."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def fresh(self) -> FixedWindow:
        """Forget every cookie."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        return self


def wait_for(what: Callable[[], Any], message: str) -> None:
    """Wait until something is true, ten seconds at most."""
    end = SYSTEM_CLOCK.monotonic() + 10
    while not what():
        assert SYSTEM_CLOCK.monotonic() < end, message
        SYSTEM_CLOCK.sleep(0.05)


@contextmanager
def chromium() -> Iterator[FixedWindow]:
    """Give a window, or skip."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_window_size(900, 800)
    try:
        yield FixedWindow(driver)
    finally:
        driver.quit()
