"""Drive headless Chromium with selenium; every look at a page waits for what it looks at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from auth0_meta.clock import SYSTEM_CLOCK

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
# Far more than a page needs, because a busy machine may leave the browser without a core for seconds.
_LONGEST_WAIT = 60

T = TypeVar("T")


class BrowserWindow:
    """One browser window.  Scripts draw its pages, so every look-up and every click waits for its element."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    @property
    def url(self) -> str:
        """The address that the window shows."""
        return str(self.driver.current_url)

    @property
    def focused(self) -> Any:
        """The element that has the focus."""
        return self.driver.switch_to.active_element

    @property
    def page_text(self) -> str:
        """The text of the whole page as it is now."""
        return self.text_of("body")

    def go(self, url: str) -> BrowserWindow:
        """Open an address."""
        self.driver.get(url)
        return self

    def all(self, selector: str) -> list[Any]:
        """Return the elements that match the selector now, perhaps none; for use inside `wait_for`."""
        return list(self.driver.find_elements("css selector", selector))

    def find(self, selector: str) -> Any:
        """Wait until an element matches the selector and is visible, and return it."""
        return wait_for(
            lambda: next((found for found in self.all(selector) if found.is_displayed()), None),
            lambda: f"{selector} never appeared on {self.url}: {self.page_text}",
        )

    def click(self, selector: str) -> BrowserWindow:
        """Wait until an element can be clicked, and click it once."""

        # The page's script may replace an element between the look-up and the click: look it up again.
        def clicked() -> bool:
            self.find(selector).click()
            return True

        wait_for(clicked, lambda: f"{selector} could never be clicked on {self.url}: {self.page_text}")
        return self

    def text_of(self, selector: str) -> str:
        """Return the visible text of the first element that matches now, or "" if there is none."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.driver.execute_script(script, selector))

    def shows(self, text: str, selector: str = "body") -> BrowserWindow:
        """Wait until an element shows a text."""
        wait_for(
            lambda: text in self.text_of(selector),
            lambda: f"{text!r} never appeared in {selector} on {self.url}: {self.page_text}",
        )
        return self

    def attribute(self, selector: str, name: str) -> str:
        """Wait for an element, which may be hidden like some form fields, and return one of its attributes."""
        found = wait_for(
            lambda: self.all(selector),
            lambda: f"there was never a {selector} on {self.url}: {self.page_text}",
        )
        return str(found[0].get_attribute(name))

    def answer_dialog(self, *, accept: bool) -> None:
        """Wait for a confirmation dialog, and accept or dismiss it."""
        dialog = wait_for(lambda: self.driver.switch_to.alert, lambda: "no dialog opened")
        dialog.accept() if accept else dialog.dismiss()

    def screenshot(self, name: str) -> None:
        """Save a picture in the folder that SCREENSHOTS names, if it is set."""
        folder = os.environ.get("SCREENSHOTS")
        if folder:
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def without_cookies(self) -> BrowserWindow:
        """Delete every cookie."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        return self


def wait_for(probe: Callable[[], T], message: Callable[[], str] = lambda: "it never happened") -> T:
    """Call `probe` until it returns something true, and return that; fail with `message` after a minute."""
    from selenium.common.exceptions import (
        ElementNotInteractableException,
        NoAlertPresentException,
        StaleElementReferenceException,
    )

    not_yet = (ElementNotInteractableException, NoAlertPresentException, StaleElementReferenceException)
    end = SYSTEM_CLOCK.monotonic() + _LONGEST_WAIT
    while True:
        try:
            value = probe()
        except not_yet:
            pass
        else:
            if value:
                return value
        assert SYSTEM_CLOCK.monotonic() < end, message()
        SYSTEM_CLOCK.sleep(0.05)


@contextmanager
def chromium(*more: str) -> Iterator[BrowserWindow]:
    """Start a browser, with `more` on its command line, and yield its window; skip the test if selenium or Chromium is missing."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", *more):
        options.add_argument(word)
    # As browsers come: Debian's Chromium blocks cookies in frames of other sites.
    options.add_experimental_option("prefs", {"profile.cookie_controls_mode": 0})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_window_size(1300, 950)
    try:
        yield BrowserWindow(driver)
    finally:
        driver.quit()
