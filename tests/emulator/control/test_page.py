"""The page in a real browser: what it shows, what it does, and that values are shown as text."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from jose import jwt
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

    def send(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to the Management API, as a program does."""
        headers = {"Authorization": "Bearer x"}
        return requests.request(
            method, f"{self.tenant.url}/api/v2/{path}", headers=headers, timeout=5, **options
        )

    def rows(self, count: int) -> list[Any]:
        """Wait until the journal shows this number of requests, and return them."""
        wait_for(lambda: len(self.window.all(".entry")) == count, lambda: self.window.text_of("#entries"))
        return self.window.all(".entry")

    def fill(self, selector: str, text: str) -> None:
        """Replace what a field holds."""
        field = self.window.find(selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector: str, text: str) -> None:
        """Choose what a select shows as this text."""
        from selenium.webdriver.support.ui import Select

        Select(self.window.find(selector)).select_by_visible_text(text)

    def copied(self, selector: str) -> str:
        """Click a button that copies, and return what was copied."""
        self.window.driver.execute_script(CATCH_COPIES)
        self.window.click(selector)
        return str(wait_for(lambda: self.window.driver.execute_script("return window.copied")))

    def has_focus(self, attribute: str, value: str) -> Any:
        """Wait until the element with this attribute has the focus, and return it."""
        wait_for(lambda: self.window.focused.get_attribute(attribute) == value)
        return self.window.focused


# A headless browser may refuse its clipboard.
CATCH_COPIES = """
window.copied = null;
Object.defineProperty(navigator, "clipboard", {
  configurable: true, value: {writeText: async (text) => { window.copied = text; }},
});
"""


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
    # The browser reports each refused request, too.
    assert [text for text in complaints if "ERR_" not in text and "with a status of 4" not in text] == []


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
    page.window.shows("wrote", "#entries")


def test_the_bucket_drains_and_refills(page: Page) -> None:
    """Requests drain the bucket, and time alone refills it."""
    with page.tenant.client() as client:
        for _ in range(6):
            client.users.get("auth0|1")
    wait_for(lambda: re.match(r"[0-7] of 10", page.window.text_of(".bucket .figure")))
    page.window.shows("2 a second, full in", ".bucket .note")
    page.tenant.clock.advance(60)
    page.window.shows("10 of 10", ".bucket .figure")


def test_idle_buckets_are_folded_and_rates_are_plain(window: BrowserWindow) -> None:
    """A bucket that nobody used is one line in a fold: 100 a day, not 0 a second."""
    with LocalTenant(rate_limit="essentials", users=USERS) as tenant:
        page = Page(window, tenant)
        page.window.shows("7 buckets, full", "#idle")
        page.send("GET", "users")
        page.window.shows("Reading users", "#buckets")
        page.window.shows("6 more buckets, full", "#idle")
        page.window.click("#idle summary")
        page.window.shows("Password logins: 100, 100 a day", "#idle")
        page.window.shows("Password changes: 10, 1 a minute", "#idle")
        window.go("about:blank")


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


def test_faults_are_added_counted_and_removed(page: Page) -> None:
    """The form adds the fault that it describes, the list shows how often it struck, and each can be removed."""
    page.window.click("#fault button.go")
    page.window.shows("The next PATCH request gets a 429 Too Many Requests that resets in 3 s", "#faults")
    page.window.shows("struck 0 of 1", "#faults")
    with page.tenant.client() as client:
        page.tenant.clock.freeze()
        client.users.update("auth0|2", {"app_metadata": {"a": 1}})
    page.window.shows("struck 1 of 1", "#faults")
    page.window.shows("429", "#entries")
    page.window.click("#faults [aria-label='Show the requests that fault 1 struck']")
    (row,) = page.rows(1)
    assert "fault 1" in row.text
    page.window.click("#show-all")
    page.window.click("#fault button.go")
    page.window.click("#faults [aria-label='Remove fault 1']")
    wait_for(lambda: "struck 1 of 1" not in page.window.text_of("#faults"))
    page.window.click("#faults [aria-label='Remove fault 2']")
    page.window.shows("None.", "#trouble")
    assert page.tenant.faults_unfired() == []


def test_a_fault_may_have_every_setting(page: Page) -> None:
    """By path, user, order and chance, with a response of its own; what is refused is said in place."""
    page.choose("#fault [name=what]", "an error status")
    page.window.click("#fault summary")
    settings = {
        "status": "503",
        "path": "/api/v2/users/{id}",
        "user_id": "auth0|1",
        "nth": "2",
        "probability": "100",
    }
    settings |= {"body": '{"a": 1}', "headers": "Retry-After: 3\nDate:"}
    for name, text in settings.items():
        page.fill(f"#fault [name={name}]", text)
    page.window.find("#fault [name=times]").clear()
    page.fill("#fault [data-also] [name=delay]", "0.5")
    page.fill("#fault [data-also] [name=truncate]", "5")
    page.window.click("#fault [name=commit]")
    page.window.click("#fault [name=expire_token]")
    page.window.click("#fault button.go")
    page.window.shows("Every PATCH request from the 2nd on to /api/v2/users/{id} for auth0|1", "#faults")
    (fault,) = page.tenant.faults_unfired()
    assert (fault.status, fault.body, fault.headers) == (503, {"a": 1}, {"retry-after": "3", "date": None})
    assert (fault.nth, fault.times, fault.commit, fault.probability) == (2, None, True, 1)
    assert (fault.delay, fault.truncate, fault.expire_token, fault.slow) == (0.5, 5, True, None)
    page.fill("#fault [name=path]", "users")
    page.window.click("#fault button.go")
    page.window.shows("path must be", "#notice")


# The journal --------------------------------------------------------------------------------------------


def test_a_row_opens_to_request_and_response(page: Page) -> None:
    """With headers, bodies, time and reason; secrets are masked, and the request can be copied in two ways."""
    page.send("PATCH", "users/auth0%7C1", json={"user_metadata": 5, "password": "s3cret"})
    (row,) = page.rows(1)
    assert "Payload validation error" in row.text
    assert re.search(r"\d ms", row.text)
    row.find_element("css selector", "summary").click()
    page.window.shows('"statusCode": 400', ".full")
    page.window.shows('"password": "<masked>"', ".full")
    for fold in page.window.all(".full .fold > summary"):
        fold.click()
    page.window.shows("authorization", ".full")
    page.window.shows("application/json; charset=utf-8", ".full")
    page.window.shows("wrote nothing", ".full")
    curl = page.copied(".full .actions button:nth-child(1)")
    assert curl.startswith("curl -X PATCH ")
    assert "Bearer $TOKEN" in curl
    line = page.copied(".full .actions button:nth-child(2)")
    eval(line, {"tenant": page.tenant})  # noqa: S307  # our own text
    page.window.shows("Copied: an assertion", "#said")
    assert "s3cret" not in page.window.driver.page_source


def test_the_rule_that_struck_is_named(page: Page) -> None:
    """A row says what decided it, without being opened."""
    token = page.tenant.token(scopes=["read:users"])
    url = f"{page.tenant.url}/api/v2/users/auth0%7C1"
    requests.delete(url, headers={"Authorization": f"Bearer {token}"}, timeout=5)
    page.window.shows("scope missing: delete:users", "#entries")
    for _ in range(12):
        page.send("GET", "users")
    page.window.shows("rate limit", "#entries")


def test_the_journal_is_filtered_and_cleared(page: Page) -> None:
    """By method, path, user, status and writes; Show all drops the filters, and Clear the rows."""
    page.tenant.clock.freeze()
    page.send("GET", "users")
    page.send("GET", "users/auth0%7C9")
    page.send("PATCH", "users/auth0%7C1", json={"user_metadata": {"a": 1}})
    page.send("PATCH", "users/auth0%7C2", json={"user_metadata": {"a": 1}})
    page.rows(4)
    page.window.click("#filters [name=writes]")
    page.rows(2)
    page.fill("#filters [name=user]", "auth0|2")
    page.rows(1)
    page.window.shows("1 request of 4", "#showing")
    page.window.click("#show-all")
    page.rows(4)
    page.choose("#filters [name=method]", "GET")
    page.rows(2)
    page.choose("#filters [name=status]", "400 to 499")
    page.rows(1)
    page.window.click("#show-all")
    page.fill("#filters [name=path]", "/api/v2/users/{id}")
    page.rows(3)
    page.send("GET", "roles")
    page.window.shows("3 requests of 5", "#showing")
    page.window.click("#clear-journal")
    page.rows(0)
    page.window.shows("No requests yet", "#journal")
    assert len(page.tenant.journal) == 0


def test_nothing_is_lost_while_the_list_stands_still(page: Page) -> None:
    """Without the tick at "live" the rows stay; with it again, everything that came meanwhile is there."""
    page.tenant.clock.freeze()
    page.send("GET", "users")
    page.rows(1)
    page.window.click("#follow")
    for _ in range(9):
        page.tenant.clock.advance(1)
        page.send("GET", "users")
    page.window.shows("9 new", "#showing")
    page.rows(1)
    page.window.click("#follow")
    page.rows(10)


def test_many_requests_are_shown_in_parts(window: BrowserWindow) -> None:
    """The newest hundred first; a click shows older ones."""
    with LocalTenant() as tenant:
        with requests.Session() as session:
            for number in range(130):
                session.get(
                    f"{tenant.url}/api/v2/users/{number}", headers={"Authorization": "Bearer x"}, timeout=5
                )
        page = Page(window, tenant)
        page.rows(100)
        window.click("#older")
        page.rows(130)
        window.go("about:blank")


def test_what_is_not_served_is_gathered(page: Page) -> None:
    """Each route once, with a count; a click shows its requests."""
    page.send("GET", "users")
    for _ in range(3):
        page.send("GET", "branding")
    page.window.shows("Not served: GET /api/v2/branding, 3 times", "#unserved")
    page.window.click("#unserved summary")
    page.window.click("#unserved li button")
    page.rows(3)


# Users --------------------------------------------------------------------------------------------------


def test_metadata_can_be_edited(page: Page) -> None:
    """It is checked while it is typed, and sent as a PATCH of the keys that differ; a refusal is said in place."""
    page.tenant.users["auth0|1"].patch(user_metadata={"keep": {"a": 1}, "gone": 1})
    page.open_user("auth0|1")
    page.window.click("[aria-label='Edit user_metadata']")
    page.fill("#user textarea", "{")
    page.window.shows("Not valid JSON", "#user .error")
    page.fill("#user textarea", "[]")
    page.window.shows("must be an object", "#user .error")
    page.fill("#user textarea", '{"theme": "dark", "keep": {"a": 1}}')
    page.window.click("#user .editor .go")
    page.window.shows('"theme": "dark"', "#user .bag pre")
    assert page.tenant.users["auth0|1"].user_metadata == {"theme": "dark", "keep": {"a": 1}}
    patch = page.tenant.journal.requests("PATCH")[-1]
    assert patch.body == {"user_metadata": {"theme": "dark", "gone": None}}
    page.tenant.fail(method="PATCH", status=403, body={"message": "no writes today"})
    page.window.click("[aria-label='Edit app_metadata']")
    page.fill("#user textarea", '{"plan": "pro"}')
    page.window.click("#user .editor .go")
    page.window.shows("no writes today", "#user .error")
    page.tenant.users["auth0|1"].patch(app_metadata={"plan": "free"})
    page.window.click("#user .editor .go")
    page.window.shows('"plan": "pro"', "#user .metadata")


def test_an_edit_outlives_writes_of_others(page: Page) -> None:
    """What somebody types is not redrawn, and saving it leaves the other's key alone."""
    page.open_user("auth0|1")
    page.window.click("[aria-label='Edit user_metadata']")
    page.fill("#user textarea", '{"theme": "dark"}')
    page.send("PATCH", "users/auth0%7C1", json={"user_metadata": {"other": 1}})
    page.window.shows("PATCH", "#entries")
    assert page.window.find("#user textarea").get_attribute("value") == '{"theme": "dark"}'
    page.window.click("#user .editor .go")
    page.window.shows('"other": 1', "#user .metadata")
    assert page.tenant.users["auth0|1"].user_metadata == {"theme": "dark", "other": 1}


def test_a_user_can_be_blocked_and_deleted(page: Page) -> None:
    """Both are requests to the Management API; a deletion asks first."""
    page.open_user("auth0|2")
    page.window.click("#user .actions button:nth-child(1)")
    page.window.shows("blocked", "#user .who")
    assert page.tenant.users["auth0|2"]["blocked"] is True
    page.window.shows("Unblock", "#user .actions").click("#user .actions button:nth-child(1)")
    wait_for(lambda: page.tenant.users["auth0|2"]["blocked"] is False)
    page.window.shows("Block", "#user .actions").click("#user .actions .danger")
    page.window.answer_dialog(accept=False)
    assert "auth0|2" in page.tenant.users
    page.window.click("#user .actions .danger")
    page.window.answer_dialog(accept=True)
    page.lists_users(2)
    page.tenant.journal.assert_called("DELETE", "/api/v2/users/{id}", user_id="auth0|2", times=1)
    page.open_user("auth0|1")
    page.window.shows("Ada", "#user")
    page.send("DELETE", "users/auth0%7C1")
    page.window.shows("The user does not exist.", "#user")


def test_a_token_for_a_user_can_be_copied(page: Page) -> None:
    """With the audience and scope that the form asks for."""
    page.open_user("auth0|1")
    page.window.shows("Copy an access token", "#user").click("#user > details summary")
    page.fill("#user .token [name=audience]", "https://api.example.com")
    page.fill("#user .token [name=scope]", "openid read:x")
    claims = jwt.get_unverified_claims(page.copied("#user .token .go"))
    assert (claims["sub"], claims["scope"]) == ("auth0|1", "openid read:x")


def test_adding_a_user_asks_for_email_and_connection(page: Page) -> None:
    """It is a request to the Management API, so that its refusal is shown in the dialog."""
    page.window.click("#add")
    page.fill("#add-user [name=email]", "new@example.com")
    page.fill("#add-user [name=password]", "x")
    page.window.click("#add-user .go")
    page.window.shows("weak", "#add-user-error")
    page.fill("#add-user [name=password]", "Correct-horse-9")
    page.window.click("#add-user .go")
    page.window.shows("new@example.com", "#user")
    page.lists_users(4)
    assert (
        page.tenant.journal.requests("POST", "/api/v2/users")[-1].body["connection"]
        == "Username-Password-Authentication"
    )


def test_roles_organizations_and_log_of_a_user_are_shown(page: Page) -> None:
    """By name, as they are at the time."""
    role = page.send("POST", "roles", json={"name": "editor"}).json()
    page.send("POST", "users/auth0%7C1/roles", json={"roles": [role["id"]]})
    organization = page.send("POST", "organizations", json={"name": "acme"}).json()
    page.send("POST", f"organizations/{organization['id']}/members", json={"members": ["auth0|1"]})
    page.open_user("auth0|1")
    page.window.shows("Roles: editor", "#user").shows("Organizations: acme", "#user")


# What is registered, and how to connect ------------------------------------------------------------------


def test_what_is_registered_is_listed_and_clients_are_added(page: Page) -> None:
    """A new client is created by the Management API; its id and secret are shown."""
    page.window.shows("Clients (", "#kinds").shows("Connections (1)", "#kinds")
    page.window.click("#registered > details > summary")
    page.fill("#add-client [name=name]", "My app")
    page.fill("#add-client [name=callbacks]", "http://localhost:3000/callback")
    page.window.click("#add-client .go")
    page.window.shows("AUTH0_CLIENT_ID=", "#new-client").shows("AUTH0_CLIENT_SECRET=", "#new-client")
    page.window.shows("Clients (2)", "#kinds").click("#kinds summary").shows("My app", "#kinds")
    sent = page.tenant.journal.requests("POST", "/api/v2/clients")[-1].body
    assert sent == {"name": "My app", "callbacks": ["http://localhost:3000/callback"]}


def test_it_says_how_to_connect_and_whom_the_tenant_trusts(page: Page) -> None:
    """The lines for each tool can be copied; a tenant that takes any token says so at the top."""
    page.window.shows("accepts any token", "header")
    page.window.shows("AUTH0_CLIENT_SECRET", "#recipe")
    page.choose("#tool", "curl")
    page.window.shows("curl -H", "#recipe")
    assert "AUTH0_API_TOKEN" in page.copied("#copy-recipe")


def test_a_strict_tenant_says_so(window: BrowserWindow) -> None:
    """Nothing warns there."""
    with LocalTenant(strict=True, users=USERS) as tenant:
        page = Page(window, tenant)
        page.window.shows("This tenant is strict", "#connect")
        assert not page.window.find("header").find_element("css selector", "#trust").is_displayed()
        page.open_user("auth0|1")
        page.window.click("#user .actions button:nth-child(1)")
        page.window.shows("blocked", "#user .who")
        window.go("about:blank")


# The page as a whole -------------------------------------------------------------------------------------


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


def test_after_a_reset_the_page_shows_the_tenant_as_it_is(page: Page) -> None:
    """Rows, faults and changed users are gone, even if there are as many users as before."""
    page.tenant.fail(status=500, method="DELETE")
    page.send("PATCH", "users/auth0%7C1", json={"name": "Somebody"})
    page.open_user("auth0|1")
    page.window.shows("Somebody", "#user").shows("DELETE request", "#faults")
    page.window.click("#reset")
    page.window.answer_dialog(accept=True)
    page.window.shows("No requests yet", "#journal").shows("None.", "#trouble").shows(
        "Choose a user", "#user"
    )
    page.window.shows("Ada", "#users")


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
    page.send("GET", "users")
    page.rows(1)
    page.window.find("body").send_keys("j")
    assert page.window.focused.tag_name == "summary"
    page.window.focused.send_keys(ENTER)
    page.window.shows("Response", ".full")
    page.window.find("body").send_keys("f")
    page.has_focus("name", "path").send_keys("nowhere")
    page.rows(0)
    page.window.focused.send_keys(ESCAPE)
    page.rows(1)
    page.window.find("body").send_keys("?")
    page.window.shows("find users", "#keys").click("#single-keys")
    page.window.find("#keys").send_keys(ESCAPE)
    page.window.find("body").send_keys("f")
    assert page.window.focused.get_attribute("name") != "path"
    page.window.driver.execute_script("localStorage.clear()")


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
    page.window.click(".entry summary")
    page.window.shows("Response", ".full")
    page.tenant.fail(status=500, path="/api/v2/users/{id}", nth=30, headers={"x-long": "x" * 90})
    page.window.shows("x-long", "#faults")
    for fold in page.window.all("details:not([open]) > summary"):
        if fold.is_displayed():
            driver.execute_script("arguments[0].click()", fold)
    assert driver.execute_script(CONTRAST) == []
    page.window.screenshot(f"page-{scheme}")
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 360
    page.window.screenshot(f"page-{scheme}-phone")
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


@pytest.mark.own_environment("node")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_program_finds_no_barrier(page: Page, scheme: str) -> None:
    """axe-core, which knows the rules of WCAG 2.2, has nothing to say about the page with everything open."""
    driver = page.window.driver
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    page.tenant.fail(status=500, path="/api/v2/users/{id}")
    for path in ("users", "users/auth0%7C9", "branding", "users/auth0%7C1"):
        page.send("GET", path)
    page.send("PATCH", "users/auth0%7C1", json={"user_metadata": {"a": 1}})
    page.rows(5)
    page.open_user("auth0|1")
    page.window.shows("History", "#user")
    for fold in page.window.all("summary"):
        driver.execute_script("arguments[0].click()", fold)
    page.window.shows("Response", ".full")
    page.window.click("[aria-label='Edit user_metadata']")
    driver.execute_script(
        (Path(os.environ["AUTH0_META_LIVE_NODE_MODULES"]) / "axe-core" / "axe.min.js").read_text("utf-8")
    )
    for dialog in ("", "#add", "#show-keys"):
        if dialog:
            page.window.click(dialog)
        found = driver.execute_async_script("axe.run().then((found) => arguments[0](found.violations))")
        assert [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]] == []
        driver.execute_script("document.querySelector('dialog[open]')?.close()")


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
