"""Look at the page in a real browser: what it shows, what it does, and that values stay text."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from cheroot.wsgi import Server as WSGIServer

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator import LocalTenant

pytestmark = pytest.mark.browser

selenium = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
HOSTILE = "<script>window.pwned=1</script><img src=x onerror='window.pwned=1'>"
USERS = [
    {"user_id": "auth0|1", "email": "ada@example.com", "name": "Ada", "user_metadata": {"theme": "light"}},
    {"user_id": "auth0|2", "email": "bob@example.com", "name": "Bob"},
    {
        "user_id": f"auth0|{HOSTILE.replace(' ', '-')}",
        "email": "eve@example.com",
        "name": HOSTILE,
        "user_metadata": {HOSTILE: HOSTILE},
        "app_metadata": {"html": HOSTILE},
    },
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Start a headless Chromium, once."""
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("chromium and chromedriver are not installed")
    from selenium.webdriver.chrome.service import Service

    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = selenium.Chrome(options=options, service=Service(DRIVER))
    driver.set_window_size(1300, 950)
    try:
        yield driver
    finally:
        driver.quit()


def wait_for(what: Callable[[], Any]) -> Any:
    """Wait until something is true, ten seconds at most."""
    end = SYSTEM_CLOCK.monotonic() + 10
    while not (value := what()):
        assert SYSTEM_CLOCK.monotonic() < end, "it never came"
        SYSTEM_CLOCK.sleep(0.05)
    return value


class Page:
    """Speak of the page in its own words."""

    def __init__(self, driver: Any, tenant: LocalTenant) -> None:
        self.driver, self.tenant = driver, tenant
        driver.get(tenant.page_url)
        wait_for(lambda: self.text("#link") == "live")
        wait_for(lambda: len(self.all("button.user")) == len(tenant.users))

    def all(self, selector: str) -> list[Any]:
        """Return every element that fits."""
        return list(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def one(self, selector: str) -> Any:
        """Return the first element that fits."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        """Return the text that is shown there."""
        return str(
            self.driver.execute_script("return document.querySelector(arguments[0]).innerText", selector)
        )

    def shows(self, selector: str, text: str) -> None:
        """Wait until a text is shown there."""
        wait_for(lambda: text in self.text(selector))


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    """Open the page of a tenant; afterwards the browser must have had nothing to complain about."""
    with LocalTenant(rate_limit="10@2", users=USERS) as tenant:
        opened = Page(browser, tenant)
        yield opened
        assert browser.execute_script("return window.pwned") is None
        browser.get("about:blank")
    complaints = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert [text for text in complaints if "ERR_" not in text] == []


def test_it_shows_what_happens_as_it_happens(page: Page) -> None:
    """A write shows in the journal, the bucket, the user's bags and history, without a reload."""
    page.all("button.user")[0].click()
    page.shows("#user", '"theme": "light"')
    page.shows("#user", "absent")
    with page.tenant.client() as client:
        client.users.update("auth0|1", {"user_metadata": {"theme": "dark"}, "app_metadata": {"plan": "pro"}})
    page.shows("#user", '"theme": "dark"')
    page.shows("#user", '"plan": "pro"')
    page.shows("#user .change", '"light"')
    page.shows("#entries", "/api/v2/users/auth0|1")
    page.shows(".bucket .figure", "of 10")
    patch = next(entry for entry in page.all(".entry") if "PATCH" in entry.text)
    patch.click()
    wait_for(lambda: '"theme": "dark"' in patch.text)
    assert "written" in patch.text


def test_the_bucket_drains_and_refills(page: Page) -> None:
    """Calls take it down, time alone brings it back."""
    with page.tenant.client() as client:
        for _ in range(6):
            client.users.get("auth0|1")
    wait_for(lambda: int(page.text(".bucket .figure").split()[0]) < 8)
    page.shows(".bucket .note", "full in")
    page.tenant.clock.advance(60)
    page.shows(".bucket .figure", "10 of 10")


def test_values_are_text_and_nothing_else(page: Page) -> None:
    """Markup in names, ids, keys, values and requests is shown letter by letter; nothing of it runs."""
    hostile = USERS[2]["user_id"]
    page.all("button.user")[2].click()
    page.shows("#user", "<script>window.pwned=1</script>")
    with page.tenant.client() as client:
        client.users.update(str(hostile), {"user_metadata": {"more": HOSTILE}})
    page.shows("#entries", "onerror")
    page.shows("#user .change", "onerror")
    for entry in page.all(".entry"):
        entry.click()
    page.one("#find").send_keys(HOSTILE[:8])
    page.shows("#users", "<script>")
    assert page.all("main img, main script, main iframe") == []


def test_faults_are_planned_and_counted(page: Page) -> None:
    """The form plans what it says, the list tells when it fired, and all can be forgotten."""
    page.one("#fault button.go").click()
    page.shows("#faults", "status=429")
    page.shows("#faults", "waiting")
    with page.tenant.client() as client:
        page.tenant.clock.freeze()
        client.users.update("auth0|2", {"app_metadata": {"a": 1}})
    page.shows("#faults", "fired 1 of 1")
    page.shows("#entries", "429")
    page.one("#forget").click()
    wait_for(lambda: not page.text("#faults"))
    assert page.tenant.faults_unfired() == []


def test_the_clock_can_be_held_and_moved(page: Page) -> None:
    """Freeze holds the tenant's time, the steps move it, Resume lets it run."""
    page.one("#freeze").click()
    wait_for(lambda: page.tenant.clock.frozen)
    page.shows("#freeze", "Resume")
    held = page.tenant.now()
    page.one("[data-advance='3600']").click()
    wait_for(lambda: page.tenant.now() == held + 3600)
    page.one("#freeze").click()
    wait_for(lambda: not page.tenant.clock.frozen)


def test_starting_over_asks_first(page: Page) -> None:
    """Dismissed, nothing happens; accepted, the users it was started with come back."""
    page.tenant.users.add()
    page.one("#reset").click()
    page.driver.switch_to.alert.dismiss()
    assert len(page.tenant.users) == 4
    page.one("#reset").click()
    page.driver.switch_to.alert.accept()
    wait_for(lambda: len(page.tenant.users) == 3)
    wait_for(lambda: len(page.all("button.user")) == 3)


def test_the_keyboard_is_enough(page: Page) -> None:
    """`/` goes to the search, arrows walk the list, Enter opens, Escape clears; focus can be seen."""
    page.one("body").send_keys("/")
    focus = page.driver.switch_to.active_element
    assert focus.get_attribute("id") == "find"
    focus.send_keys("bob")
    wait_for(lambda: len(page.all("button.user")) == 1)
    focus.send_keys(Keys.ESCAPE)
    wait_for(lambda: len(page.all("button.user")) == 3)
    focus.send_keys(Keys.ARROW_DOWN)
    page.driver.switch_to.active_element.send_keys(Keys.ARROW_DOWN)
    chosen = page.driver.switch_to.active_element
    assert chosen.get_attribute("data-id") == "auth0|2"
    assert chosen.value_of_css_property("outline-style") != "none"
    chosen.send_keys(Keys.ENTER)
    page.shows("#user", "Bob")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_legible_in_light_and_dark_and_narrow(page: Page, scheme: str) -> None:
    """Text keeps a contrast of 4.5 in both schemes, and nothing is wider than a phone."""
    driver = page.driver
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.tenant.fail(status=500)
    for path in ("users", "users/auth0%7C9", "users"):
        requests.get(f"{page.tenant.url}/api/v2/{path}", headers={"Authorization": "Bearer x"}, timeout=5)
    page.tenant.users["auth0|1"].patch(user_metadata={"theme": "dark"})
    page.all("button.user")[0].click()
    page.shows("#user .change", "light")
    page.shows("#entries", "404")
    assert driver.execute_script(CONTRAST) == []
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# Every element with text of its own whose colour stands out too little from what lies behind it.
CONTRAST = """
const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const colour = rgba(getComputedStyle(node).backgroundColor);
    if (colour.length < 4 || colour[3] > .9) return colour;
  }
  return [255, 255, 255];
};
return [...document.querySelectorAll("header *, main *")].filter((node) =>
  node.checkVisibility() && [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())
).filter((node) => {
  const [a, b] = [light(rgba(getComputedStyle(node).color)), light(behind(node))].sort((x, y) => y - x);
  return (a + .05) / (b + .05) < 4.5;
}).map((node) => `${node.tagName}.${node.className}: ${node.textContent.slice(0, 30)}`);
"""


def test_another_page_can_not_reach_the_tenant(browser: Any) -> None:
    """From a foreign origin the browser can neither read nor move anything, frame the page, nor run its script."""
    with LocalTenant(users=USERS) as tenant, LocalTenant() as other:
        browser.get(other.page_url)
        script = """
        const [url, token, done] = arguments;
        const tries = [
          fetch(url + "/_emulator/state", {headers: {"X-Emulator-Token": token}}),
          fetch(url + "/_emulator/reset", {method: "POST", mode: "no-cors", body: "{}"}),
          fetch(url + "/"),
        ];
        Promise.allSettled(tries).then((all) => done(all.map((one) => one.status === "fulfilled" && one.value.ok)));
        """
        # The other tenant's own policy would stop these already: look from a page without one.
        browser.get("data:text/html,<title>foreign</title>")
        assert browser.execute_async_script(script, tenant.url, tenant.control_token) == [False, False, False]
        assert len(tenant.users) == 3


def test_without_a_token_it_says_what_is_missing(browser: Any) -> None:
    """Where the page carries no token, it asks for the printed address, with which it works."""
    tenant = LocalTenant(host="0.0.0.0", serve=False, users=USERS)  # noqa: S104  # never bound
    server = WSGIServer(("127.0.0.1", 0), tenant.wsgi)
    server.prepare()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.bind_addr[1]}/"
        browser.get(url)
        wait_for(lambda: "needs the token" in browser.find_element(By.ID, "notice").text)
        browser.get("about:blank")
        browser.get(f"{url}#{tenant.control_token}")
        wait_for(lambda: browser.find_element(By.ID, "link").text == "live")
    finally:
        browser.get("about:blank")
        tenant.stop()
        server.stop()
        thread.join()
