"""The page in a real browser: what it shows, what it does, and that values are shown as text."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.browser import BrowserWindow, chromium, wait_for
from werkzeug.serving import make_server

from auth0_meta.emulator import LocalTenant

pytestmark = pytest.mark.browser

# WebDriver's codes for keys.
ESCAPE, ENTER, ARROW_DOWN = "\ue00c", "\ue007", "\ue015"

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
def window() -> Iterator[BrowserWindow]:
    """Start one browser for all tests of this file."""
    with chromium() as started:
        yield started


class Page:
    """The page of one tenant, open in a browser window."""

    def __init__(self, window: BrowserWindow, tenant: LocalTenant) -> None:
        self.window, self.tenant = window, tenant
        window.go(tenant.page_url)
        wait_for(lambda: window.text_of("#link") == "live")
        self.lists_users(len(tenant.users))

    def lists_users(self, count: int) -> None:
        """Wait until the list shows this number of users."""
        wait_for(lambda: len(self.window.all("button.user")) == count)

    def open_user(self, user_id: str) -> None:
        """Click a user in the list."""
        self.window.click(f"button.user[data-id={json.dumps(user_id)}]")

    def has_focus(self, attribute: str, value: str) -> Any:
        """Wait until the element with this attribute has the focus, and return it."""
        wait_for(lambda: self.window.focused.get_attribute(attribute) == value)
        return self.window.focused


@pytest.fixture
def page(window: BrowserWindow) -> Iterator[Page]:
    """Open the page of a tenant; afterwards the browser must have logged no error."""
    with LocalTenant(rate_limit="10@2", users=USERS) as tenant:
        yield Page(window, tenant)
        assert window.driver.execute_script("return window.pwned") is None
        window.go("about:blank")
    complaints = [
        entry["message"] for entry in window.driver.get_log("browser") if entry["level"] == "SEVERE"
    ]
    assert [text for text in complaints if "ERR_" not in text] == []


def test_it_shows_writes_as_they_happen(page: Page) -> None:
    """A write appears in the journal, the bucket, the user's metadata and history without a reload."""
    page.open_user("auth0|1")
    page.window.shows('"theme": "light"', "#user")
    page.window.shows("absent", "#user")
    with page.tenant.client() as client:
        client.users.update("auth0|1", {"user_metadata": {"theme": "dark"}, "app_metadata": {"plan": "pro"}})
    page.window.shows('"theme": "dark"', "#user")
    page.window.shows('"plan": "pro"', "#user")
    page.window.shows('"light"', "#user .change")
    page.window.shows("/api/v2/users/auth0|1", "#entries")
    page.window.shows("of 10", ".bucket .figure")
    patch = wait_for(lambda: next((e for e in page.window.all(".entry") if "PATCH" in e.text), None))
    patch.click()
    wait_for(lambda: '"theme": "dark"' in patch.text)
    assert "written" in patch.text


def test_the_bucket_drains_and_refills(page: Page) -> None:
    """Requests drain the bucket, and time alone refills it."""
    with page.tenant.client() as client:
        for _ in range(6):
            client.users.get("auth0|1")
    wait_for(lambda: re.match(r"[0-7] of 10", page.window.text_of(".bucket .figure")))
    page.window.shows("full in", ".bucket .note")
    page.tenant.clock.advance(60)
    page.window.shows("10 of 10", ".bucket .figure")


def test_values_are_shown_as_text(page: Page) -> None:
    """Markup in names, ids, keys, values and requests is shown as text, and none of it runs."""
    hostile = str(USERS[2]["user_id"])
    page.open_user(hostile)
    page.window.shows("<script>window.pwned=1</script>", "#user")
    with page.tenant.client() as client:
        client.users.update(hostile, {"user_metadata": {"more": HOSTILE}})
    page.window.shows("onerror", "#entries")
    page.window.shows("onerror", "#user .change")
    for entry in page.window.all(".entry"):
        entry.click()
    page.window.find("#find").send_keys(HOSTILE[:8])
    page.window.shows("<script>", "#users")
    assert page.window.all("main img, main script, main iframe") == []


def test_faults_are_added_counted_and_cleared(page: Page) -> None:
    """The form adds the fault that it describes, the list shows how often it fired, and Clear removes all."""
    page.window.click("#fault button.go")
    page.window.shows("status=429", "#faults")
    page.window.shows("waiting", "#faults")
    with page.tenant.client() as client:
        page.tenant.clock.freeze()
        client.users.update("auth0|2", {"app_metadata": {"a": 1}})
    page.window.shows("fired 1 of 1", "#faults")
    page.window.shows("429", "#entries")
    page.window.click("#clear")
    wait_for(lambda: not page.window.text_of("#faults"))
    assert page.tenant.faults_unfired() == []


def test_the_clock_can_be_frozen_and_advanced(page: Page) -> None:
    """Freeze stops the tenant's time, the step buttons advance it, and Resume lets it run."""
    page.window.click("#freeze")
    wait_for(lambda: page.tenant.clock.frozen)
    page.window.shows("Resume", "#freeze")
    held = page.tenant.now()
    page.window.click("[data-advance='3600']")
    wait_for(lambda: page.tenant.now() == held + 3600)
    page.window.click("#freeze")
    wait_for(lambda: not page.tenant.clock.frozen)


def test_a_reset_asks_first(page: Page) -> None:
    """If the dialog is dismissed, nothing happens; if it is accepted, the initial users come back."""
    page.tenant.users.add()
    page.window.click("#reset")
    page.window.answer_dialog(accept=False)
    assert len(page.tenant.users) == 4
    page.window.click("#reset")
    page.window.answer_dialog(accept=True)
    wait_for(lambda: len(page.tenant.users) == 3)
    page.lists_users(3)


def test_it_can_be_used_with_the_keyboard_alone(page: Page) -> None:
    """`/` moves to the search box, arrows move through the list, Enter opens, Escape clears; the focus is visible."""
    page.window.find("body").send_keys("/")
    search = page.has_focus("id", "find")
    search.send_keys("bob")
    page.lists_users(1)
    search.send_keys(ESCAPE)
    page.lists_users(3)
    search.send_keys(ARROW_DOWN)
    page.has_focus("data-id", "auth0|1").send_keys(ARROW_DOWN)
    chosen = page.has_focus("data-id", "auth0|2")
    assert chosen.value_of_css_property("outline-style") != "none"
    chosen.send_keys(ENTER)
    page.window.shows("Bob", "#user")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_legible_in_both_color_schemes_and_on_a_phone(page: Page, scheme: str) -> None:
    """Text has a contrast of at least 4.5, and nothing is wider than a phone's screen."""
    driver = page.window.driver
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.tenant.fail(status=500)
    for path in ("users", "users/auth0%7C9", "users"):
        requests.get(f"{page.tenant.url}/api/v2/{path}", headers={"Authorization": "Bearer x"}, timeout=5)
    page.tenant.users["auth0|1"].patch(user_metadata={"theme": "dark"})
    page.open_user("auth0|1")
    page.window.shows("light", "#user .change")
    page.window.shows("404", "#entries")
    assert driver.execute_script(CONTRAST) == []
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# Every element with text of its own whose contrast to its background is too low.
CONTRAST = """
const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (node) => {
  for (; node; node = node.parentElement) {
    const color = rgba(getComputedStyle(node).backgroundColor);
    if (color.length < 4 || color[3] > .9) return color;
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


def test_another_page_cannot_reach_the_tenant(window: BrowserWindow) -> None:
    """From a foreign origin the browser can neither read nor change anything."""
    with LocalTenant(users=USERS) as tenant, LocalTenant() as other:
        window.go(other.page_url)
        script = """
        const [url, token, done] = arguments;
        const tries = [
          fetch(url + "/_emulator/state", {headers: {"X-Emulator-Token": token}}),
          fetch(url + "/_emulator/reset", {method: "POST", mode: "no-cors", body: "{}"}),
          fetch(url + "/"),
        ];
        Promise.allSettled(tries).then((all) => done(all.map((one) => one.status === "fulfilled" && one.value.ok)));
        """
        # The other tenant's content security policy would block these already, so use a page without one.
        window.go("data:text/html,<title>foreign</title>")
        assert window.driver.execute_async_script(script, tenant.url, tenant.control_token) == [False] * 3
        assert len(tenant.users) == 3


def test_without_a_token_it_says_what_is_missing(window: BrowserWindow) -> None:
    """If the page has no token, it asks for the address that was printed, which works."""
    tenant = LocalTenant(host="0.0.0.0", serve=False, users=USERS)  # noqa: S104  # never bound
    server = make_server("127.0.0.1", 0, tenant.wsgi, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/"
        window.go(url)
        window.shows("needs the token", "#notice")
        window.go("about:blank")
        window.go(f"{url}#{tenant.control_token}")
        wait_for(lambda: window.text_of("#link") == "live")
    finally:
        window.go("about:blank")
        tenant.stop()
        server.shutdown()
        thread.join()
        server.server_close()
