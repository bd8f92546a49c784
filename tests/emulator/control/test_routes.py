"""The control routes: who may call them, what they return, and their stream of events."""

from __future__ import annotations

import gc
import json
import logging
import re
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from jose import jwt

from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError
from auth0_meta.testing import FakeClock

ROOT = "/_emulator/"


class ControlApi:
    """Send control requests to a tenant, in process."""

    def __init__(self, tenant: LocalTenant) -> None:
        self.tenant = tenant
        self.session = requests.Session()
        self.session.mount("http://", tenant.adapter())

    def __call__(self, method: str, name: str, **options: Any) -> requests.Response:
        """Send one request, by default with the token."""
        headers = {"X-Emulator-Token": self.tenant.control_token, **options.pop("headers", {})}
        return self.session.request(method, self.tenant.url + ROOT + name, headers=headers, **options)


@pytest.fixture
def control(tenant: LocalTenant) -> ControlApi:
    """Return a caller of the control routes of the test's tenant."""
    return ControlApi(tenant)


# The guard -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-Emulator-Token": ""}, 403),
        ({"X-Emulator-Token": "wrong"}, 403),
        ({"X-Emulator-Token": "gr\u00fcn"}, 403),
        ({"Host": "evil.example:80"}, 421),
        ({"Host": "tenant.auth0.com"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://localhost:1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
@pytest.mark.parametrize(("method", "name"), [("GET", "state"), ("POST", "reset"), ("GET", "users")])
def test_only_the_tenants_own_page_and_programs_have_access(
    control: ControlApi, headers: dict[str, str], status: int, method: str, name: str
) -> None:
    """A foreign host, origin or site, or a missing or wrong token is refused, and nothing happens."""
    control.tenant.users.add()
    response = control(method, name, headers={k: v.encode() for k, v in headers.items()})
    assert response.status_code == status
    assert len(control.tenant.users) == (0 if status == 200 and name == "reset" else 1)
    assert "Access-Control-Allow-Origin" not in response.headers


def test_health_needs_no_token(control: ControlApi) -> None:
    """It tells that the tenant is up and nothing else; a foreign host is refused as everywhere."""
    url = f"{control.tenant.url}{ROOT}health"
    response = control.session.get(url)
    assert (response.status_code, response.json()) == (200, {"status": "up"})
    assert control.session.head(url).status_code == 200
    assert control.session.post(url).status_code == 403
    assert control.session.get(url, headers={"Host": "evil.example:80"}).status_code == 421
    assert control("POST", "health").status_code == 404


def test_each_run_has_its_own_token() -> None:
    """Two tenants have different tokens, too long to guess."""
    tokens = {LocalTenant(serve=False).control_token for _ in range(2)}
    assert len(tokens) == 2
    assert min(map(len, tokens)) >= 43


def test_control_requests_leave_the_tenant_alone(control: ControlApi) -> None:
    """They take no token from a bucket, trigger no fault and are not in the journal."""
    tenant = LocalTenant(serve=False, rate_limit="2@1", clock=FakeClock())
    fault = tenant.fail(status=500)
    for _ in range(5):
        assert ControlApi(tenant)("GET", "state").status_code == 200
    assert (fault.fired, len(tenant.journal)) == (0, 0)
    assert ControlApi(tenant)("GET", "state").json()["buckets"][0]["tokens"] == 2


def test_responses_cannot_be_framed_sniffed_or_cached(control: ControlApi) -> None:
    """The page and its data have the headers that keep other pages away from them."""
    page = control.session.get(control.tenant.url + "/")
    policy = page.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    for response in (page, control("GET", "state"), control("GET", "nowhere")):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert response.headers["Cache-Control"] == "no-store"


def test_the_page_has_no_script_or_style_of_its_own(control: ControlApi) -> None:
    """The page has no inline script, style or handler, which the policy would block; all its files are served."""
    page = control.session.get(control.tenant.url + "/").text
    assert "<style" not in page
    assert "style=" not in page
    assert re.search(r"\son\w+=", page) is None
    assert page.count("<script") == page.count('<script type="module" src="/_emulator/page.js"')
    for name, kind in (("page.css", "text/css"), ("icon.svg", "image/svg+xml")):
        response = control.session.get(control.tenant.url + ROOT + name)
        assert response.status_code == 200
        assert response.headers["Content-Type"].startswith(kind)
    scripts, seen = ["page"], set()
    while scripts:
        name = scripts.pop()
        response = control.session.get(f"{control.tenant.url}{ROOT}{name}.js")
        assert (response.status_code, name) == (200, name)
        assert response.headers["Content-Type"].startswith("text/javascript")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "eval(", "document.write", ".style."):
            assert word not in response.text
        seen.add(name)
        scripts += {*re.findall(r'from "\./(\w+)\.js"', response.text)} - seen
    assert len(seen) > 5


def test_only_a_page_for_this_machine_holds_the_token(control: ControlApi) -> None:
    """On loopback the page contains the token; if other machines can fetch the page, only the printed address has it."""
    assert control.tenant.control_token in control.session.get(control.tenant.url + "/").text
    assert control.tenant.page_url == control.tenant.url + "/"
    wide = LocalTenant(serve=False, host="0.0.0.0")  # noqa: S104  # never bound
    session = requests.Session()
    session.mount("http://", wide.adapter())
    assert wide.control_token not in session.get(wide.url + "/").text
    assert wide.page_url == f"{wide.url}/#{wide.control_token}"


def test_a_head_has_no_body() -> None:
    """HEAD returns the headers of GET without the body, and the connection stays usable."""
    with LocalTenant() as tenant, requests.Session() as session:
        for _ in range(2):
            head = session.head(tenant.page_url, timeout=5)
            assert (head.status_code, head.content) == (200, b"")
        assert int(head.headers["Content-Length"]) == len(session.get(tenant.page_url, timeout=5).content)


def test_the_page_is_only_read(control: ControlApi) -> None:
    """Any other method on the page is a control request without a route, and needs the token first."""
    assert control.session.post(control.tenant.url + "/").status_code == 403
    headers = {"X-Emulator-Token": control.tenant.control_token}
    assert control.session.post(control.tenant.url + "/", headers=headers).status_code == 404


@pytest.mark.parametrize(
    ("method", "name", "options", "status"),
    [
        ("GET", "nowhere", {}, 404),
        ("GET", "reset", {}, 405),
        ("POST", "faults", {"data": "{}"}, 415),
        ("POST", "faults", {"data": "{", "headers": {"Content-Type": "application/json"}}, 400),
        ("POST", "faults", {"json": []}, 400),
        ("POST", "faults", {"json": {}}, 400),
        ("POST", "faults", {"json": {"status": 500, "when": "x"}}, 400),
        ("POST", "faults", {"json": {"status": "500"}}, 400),
        ("POST", "faults", {"json": {"status": 500, "method": 5}}, 400),
        ("POST", "clock", {"json": {"do": "stop"}}, 400),
        ("POST", "clock", {"json": {"do": "advance"}}, 400),
        ("POST", "clock", {"json": {"do": "advance", "seconds": True}}, 400),
        ("POST", "clock", {"json": {"do": "advance", "seconds": -1}}, 400),
        ("POST", "users", {"json": {"email": 5}}, 400),
        ("POST", "users", {"json": {"identities": 5}}, 400),
        ("PUT", "snapshot", {"json": {"users": [1]}}, 400),
        ("GET", "user?id=auth0|9", {}, 404),
        ("GET", "users?count=201", {}, 400),
        ("GET", "users?start=-1", {}, 400),
        ("GET", "journal?since=x", {}, 400),
        ("GET", "request", {}, 404),
        ("GET", "request?number=1", {}, 404),
        ("DELETE", "faults?number=1", {}, 404),
        ("DELETE", "faults?number=x", {}, 400),
        ("POST", "token", {"json": {"subject": 5}}, 400),
        ("POST", "token", {"json": {"claims": "x"}}, 400),
        ("POST", "faults", {"json": {"status": 500, "headers": {"X-A": 5}}}, 400),
        ("POST", "faults", {"json": {"status": 500, "headers": ["X-A"]}}, 400),
        ("POST", "faults", {"json": {"status": 500, "number": 5}}, 400),
    ],
)
def test_bad_requests_are_refused(
    control: ControlApi, method: str, name: str, options: dict[str, Any], status: int
) -> None:
    """The message says what is wrong, and nothing changes."""
    control.tenant.users.add(user_id="auth0|1")
    response = control(method, name, **options)
    assert response.status_code == status
    assert response.json()["message"]
    assert len(control.tenant.users) == 1
    assert control.tenant.faults_unfired() == []


def test_a_bug_in_a_control_route_is_a_500(
    control: ControlApi, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    """The error is logged."""
    monkeypatch.setattr(control.tenant.clock, "reset", lambda: 1 / 0)
    with caplog.at_level(logging.ERROR, "auth0_meta.emulator"):
        assert control("POST", "reset").status_code == 500
    assert caplog.records


# What the routes do ----------------------------------------------------------------------------------


def test_state_shows_users_requests_buckets_faults_and_time() -> None:
    """A bucket names the groups that share it."""
    clock = FakeClock(start=1_000.0)
    tenant = LocalTenant(serve=False, rate_limit="essentials", clock=clock, users=[{}, {}])
    control = ControlApi(tenant)
    tenant.fail(method="PATCH", status=429, reset=3)
    headers = {"Authorization": "Bearer x"}
    control.session.get(f"{tenant.url}/api/v2/users", headers=headers)
    state = control("GET", "state").json()
    assert (state["users"], state["requests"], state["now"], state["frozen"]) == (2, 1, 1_000.0, False)
    assert [bucket["groups"] for bucket in state["buckets"]] == [
        ["read_users"],
        ["write_users"],
        ["other"],
        ["token"],
        ["password"],
        ["signup"],
        ["change_password"],
    ]
    assert (state["buckets"][0]["burst"], state["buckets"][0]["tokens"]) == (40, 39.0)
    (fault,) = state["faults"]
    assert fault == {
        "number": 1,
        "plan": "fail(method='PATCH', status=429, reset=3)",
        "words": "The next PATCH request gets a 429 Too Many Requests that resets in 3 s",
        "fired": 0,
        "seen": 0,
        "times": 1,
    }
    clock.advance(0.06)
    assert control("GET", "state").json()["buckets"][0]["tokens"] == pytest.approx(39.5)
    shared = ControlApi(LocalTenant(serve=False, rate_limit="free"))("GET", "state").json()["buckets"]
    assert shared[0]["groups"] == ["read_users", "write_users", "other"]


def test_reading_a_window_does_not_change_it() -> None:
    """Reading the bucket takes no token; the bucket is full once a new window has begun."""
    clock = FakeClock(start=1_000.0)
    tenant = LocalTenant(serve=False, rate_limit="4@1", window=True, clock=clock)
    control = ControlApi(tenant)
    control.session.get(f"{tenant.url}/api/v2/users", headers={"Authorization": "Bearer x"})
    for _ in range(2):
        assert control("GET", "state").json()["buckets"][0]["tokens"] == 3
    clock.advance(4)
    assert control("GET", "state").json()["buckets"][0]["tokens"] == 4


def test_users_are_listed_found_and_added(control: ControlApi) -> None:
    """Pages are in order of creation; a search covers id, email, name and username, and ignores case."""
    for number in range(7):
        control.tenant.users.add(
            user_id=f"auth0|{number}", email=f"u{number}@example.com", name=f"Name {number}"
        )
    page = control("GET", "users", params={"count": 3}).json()
    assert (page["total"], page["more"]) == (7, True)
    assert [user["user_id"] for user in page["users"]] == ["auth0|0", "auth0|1", "auth0|2"]
    last = control("GET", "users", params={"count": 3, "start": 6}).json()
    assert ([user["user_id"] for user in last["users"]], last["more"]) == (["auth0|6"], False)
    found = control("GET", "users", params={"find": " NAME ", "count": 2, "start": 1}).json()
    assert ([user["user_id"] for user in found["users"]], found["more"]) == (["auth0|1", "auth0|2"], True)
    assert control("GET", "users", params={"find": "u4@"}).json()["users"][0]["user_id"] == "auth0|4"
    assert control("GET", "users", params={"find": "nobody"}).json()["users"] == []
    made = control("POST", "users", json={"user_metadata": {"a": 1}}).json()["user_id"]
    assert control.tenant.users[made].user_metadata == {"a": 1}
    assert control("POST", "users", json={"user_id": made}).status_code == 400


def test_a_user_is_shown_with_its_history(control: ControlApi) -> None:
    """The route returns the profile and each write by path, newest first; a side that is absent is left out."""
    user = control.tenant.users.add(user_id="auth0|1", user_metadata={"a": 1, "b": None})
    user.patch(user_metadata={"a": 2})
    user.patch(user_metadata={"a": None, "c": "<b>"})
    shown = control("GET", "user", params={"id": "auth0|1"}).json()
    assert shown["profile"] == dict(user)
    assert [change["changed"] for change in shown["history"]][:2] == [
        [
            {"path": "user_metadata.a", "before": 2},
            {"path": "user_metadata.c", "after": "<b>"},
        ],
        [{"path": "user_metadata.a", "before": 1, "after": 2}],
    ]


def test_the_journal_can_be_read_from_any_number(control: ControlApi) -> None:
    """Requests count from 1; a bounded journal drops entries, and the numbers of the others stay correct."""
    tenant = LocalTenant(serve=False, journal_limit=3)
    control = ControlApi(tenant)
    for number in range(5):
        control.session.get(
            f"{tenant.url}/api/v2/users/auth0%7C{number}", headers={"Authorization": "Bearer x"}
        )
    whole = control("GET", "journal").json()
    assert (whole["total"], [entry["number"] for entry in whole["entries"]]) == (5, [3, 4, 5])
    assert [entry["user_id"] for entry in whole["entries"]] == ["auth0|2", "auth0|3", "auth0|4"]
    assert [entry["number"] for entry in control("GET", "journal?since=4").json()["entries"]] == [5]
    assert control("GET", "journal?since=5").json()["entries"] == []
    assert control("GET", "journal?since=99").json()["entries"] == []


def test_faults_are_added_listed_and_cleared(control: ControlApi) -> None:
    """A fault added through the route strikes like one added in code; DELETE clears all."""
    plan = {"method": "GET", "status": 503, "times": 2}
    added = control("POST", "faults", json=plan).json()
    assert (added["plan"], added["fired"]) == ("fail(method='GET', times=2, status=503)", 0)
    response = control.session.get(
        f"{control.tenant.url}/api/v2/users", headers={"Authorization": "Bearer x"}
    )
    assert response.status_code == 503
    assert [fault["fired"] for fault in control("GET", "faults").json()] == [1]
    assert control("GET", "request?number=1").json()["fault"] == added["number"]
    other = control("POST", "faults", json={"status": 500, "body": [1], "headers": {"X-A": "1"}}).json()
    assert control("DELETE", f"faults?number={added['number']}").json() == {}
    assert [fault["number"] for fault in control("GET", "faults").json()] == [other["number"]]
    assert control("DELETE", "faults").json() == {}
    assert control("GET", "faults").json() == []


def test_the_clock_freezes_advances_and_resumes(control: ControlApi) -> None:
    """Freeze, advance and resume act on the tenant's own clock."""
    start = control.tenant.now()
    assert control("POST", "clock", json={"do": "freeze"}).json() == {"now": start, "frozen": True}
    assert control("POST", "clock", json={"do": "advance", "seconds": 60.5}).json()["now"] == start + 60.5
    assert control.tenant.clock.frozen
    assert control("POST", "clock", json={"do": "resume"}).json() == {"now": start + 60.5, "frozen": False}


def test_a_snapshot_and_a_reset_restore_users() -> None:
    """PUT of a snapshot restores every user; a reset restores the initial users."""
    tenant = LocalTenant(serve=False, users=[{"user_id": "auth0|1", "app_metadata": {"n": 1}}])
    control = ControlApi(tenant)
    snapshot = control("GET", "snapshot").json()
    before = dict(tenant.users["auth0|1"])
    tenant.users["auth0|1"].patch(app_metadata={"n": 2})
    tenant.users.add()
    assert control("PUT", "snapshot", json=snapshot).json() == {"users": 1}
    assert [dict(user) for user in tenant.users] == [before]
    tenant.users.clear()
    assert control("POST", "reset").json() == {}
    assert [user.user_id for user in tenant.users] == ["auth0|1"]


def test_one_request_is_shown_in_full(control: ControlApi) -> None:
    """With what it sent, what it got, and how to repeat and to assert it; secrets are masked."""
    control.tenant.users.add(user_id="auth0|1")
    token = control.tenant.token()
    url = f"{control.tenant.url}/api/v2/users/auth0%7C1?include_totals=false"
    body = {"user_metadata": {"it's": "x"}, "password": "S3cret-Horse"}
    control.session.patch(url, json=body, headers={"Authorization": f"Bearer {token}"})
    shown = control("GET", "request", params={"number": 1})
    assert token not in shown.text
    assert "S3cret-Horse" not in shown.text
    entry = shown.json()
    assert (entry["number"], entry["headers"]["authorization"]) == (1, "<masked>")
    assert entry["response"]["status"] == entry["status"]
    assert entry["response"]["headers"]["content-type"] == "application/json; charset=utf-8"
    assert (entry["response"]["body"]["user_id"], entry["reason"]) == ("auth0|1", "")
    words = shlex.split(entry["curl"].replace("\\\n", ""))
    assert words[:4] == ["curl", "-X", "PATCH", url]
    assert "Authorization: Bearer $TOKEN" in words
    assert json.loads(words[words.index("-d") + 1]) == {**body, "password": "<masked>"}
    eval(entry["assert_called"], {"tenant": control.tenant})  # noqa: S307  # our own text


def test_rows_are_bounded(control: ControlApi) -> None:
    """A path and a query of 60 KB are cut in a row, where there may be a thousand, and are whole in full."""
    path = "/api/v2/nowhere/" + "x" * 30_000
    control.session.get(f"{control.tenant.url}{path}?q={path}", headers={"Authorization": "Bearer x"})
    (row,) = control("GET", "journal").json()["entries"]
    assert (len(row["path"]), len(row["query"])) == (2000, 2000)
    assert len(control("GET", "state").text) < 10_000
    assert path in control("GET", "request?number=1").json()["curl"]


def test_a_form_is_repeated_as_a_form(control: ControlApi) -> None:
    """Each field is quoted for the shell."""
    control.session.post(f"{control.tenant.url}/oauth/token", data={"client_id": "a b", "client_secret": "x"})
    curl = control("GET", "request?number=1").json()["curl"]
    words = shlex.split(curl.replace("\\\n", ""))
    assert words[:3] == ["curl", "-X", "POST"]
    assert words[-4:] == ["--data-urlencode", "client_id=a b", "--data-urlencode", "client_secret=<masked>"]


def test_the_rule_that_struck_is_named(control: ControlApi) -> None:
    """A missing scope, the rate limit, a fault and any other refusal have their own words."""
    tenant = LocalTenant(serve=False, rate_limit="5@1", clock=FakeClock())
    control = ControlApi(tenant)

    def reason(method: str, path: str, **options: Any) -> str:
        options["headers"] = {"Authorization": f"Bearer {options.pop('token', 'x')}"}
        control.session.request(method, f"{tenant.url}/api/v2/{path}", **options)
        return str(control("GET", "journal").json()["entries"][-1]["reason"])

    assert reason("GET", "users") == ""
    assert reason("POST", "roles", json={"name": "r"}, token=tenant.token(scopes=["read:users"])) == (
        "scope missing: create:roles"
    )
    assert reason("POST", "roles", json={}).startswith(
        "Payload validation error: 'Missing required property: name'"
    )
    tenant.fail(status=500)
    assert reason("GET", "users") == "fault 1"
    for _ in range(5):
        last = reason("GET", "users")
    assert last == "rate limit"
    tenant.fail(when=lambda *_: 1 / 0, status=500)
    assert reason("GET", "users") == "a second writer or predicate raised"
    tenant._state.raised.clear()


def test_the_journal_is_cleared_and_numbers_go_on(control: ControlApi) -> None:
    """A page that has seen ten requests is told of the eleventh."""
    for _ in range(2):
        control.session.get(f"{control.tenant.url}/api/v2/users", headers={"Authorization": "Bearer x"})
    assert control("DELETE", "journal").json() == {}
    state = control("GET", "state").json()
    assert (len(control.tenant.journal), state["requests"], state["total"]) == (0, 0, 2)
    control.session.get(f"{control.tenant.url}/api/v2/users", headers={"Authorization": "Bearer x"})
    assert [entry["number"] for entry in control("GET", "journal?since=2").json()["entries"]] == [3]


def test_a_token_can_be_had_for_anybody(control: ControlApi) -> None:
    """Without arguments for the Management API with all scopes; else for the subject, audience and scope given."""
    control.tenant.users.add(user_id="auth0|1")
    token = control("POST", "token", json={}).json()["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert control.session.get(f"{control.tenant.url}/api/v2/users", headers=headers).status_code == 200
    wanted = {"subject": "auth0|1", "audience": "https://api.example.com", "scope": "read:x write:x"}
    claims = jwt.get_unverified_claims(control("POST", "token", json=wanted).json()["token"])
    assert (claims["sub"], claims["scope"]) == ("auth0|1", "read:x write:x")
    assert "https://api.example.com" in claims["aud"]


def test_a_user_is_shown_with_roles_organizations_and_logs(control: ControlApi) -> None:
    """By name, and the log events newest first."""
    tenant = control.tenant
    tenant.users.add(user_id="auth0|1")
    headers = {"Authorization": "Bearer x"}

    def made(path: str, body: Any) -> Any:
        return control.session.post(f"{tenant.url}/api/v2/{path}", json=body, headers=headers)

    role = made("roles", {"name": "editor"}).json()
    organization = made("organizations", {"name": "acme"}).json()
    made("users/auth0%7C1/roles", {"roles": [role["id"]]})
    made(f"organizations/{organization['id']}/members", {"members": ["auth0|1"]})
    tenant._state.add_log("s", "auth0|1")
    shown = control("GET", "user", params={"id": "auth0|1"}).json()
    assert (shown["roles"], shown["organizations"]) == (["editor"], ["acme"])
    assert "s" in [entry["type"] for entry in shown["logs"]]


def test_what_is_registered_is_listed_without_secrets(control: ControlApi) -> None:
    """Clients, connections, APIs, grants, roles and organizations, in the form that the API gives them."""
    headers = {"Authorization": "Bearer x"}
    client = {"name": "My app", "client_secret": "s3cret" * 8}
    url = f"{control.tenant.url}/api/v2/clients"
    assert control.session.post(url, json=client, headers=headers).status_code == 201
    shown = control("GET", "registered")
    assert "s3crets3cret" not in shown.text
    assert {"clients", "connections", "resource-servers", "client-grants", "roles", "organizations"} == {
        *shown.json()
    }
    assert "My app" in [one.get("name") for one in shown.json()["clients"]["documents"]]
    assert "Username-Password-Authentication" in [
        one["name"] for one in shown.json()["connections"]["documents"]
    ]


def test_it_says_how_each_tool_connects(control: ControlApi) -> None:
    """The scripts are those of `auth0-meta emulator env`."""
    shown = control("GET", "connect").json()
    assert {"python", "node", "curl"} <= {*shown}
    assert f"export AUTH0_CLIENT_ID={control.tenant.client_id}" in shown["python"].splitlines()


# The stream ------------------------------------------------------------------------------------------


def events(lines: Iterator[bytes], count: int) -> list[tuple[str, Any]]:
    """Read this number of events from a stream."""
    found, name = [], ""
    for line in lines:
        text = line.decode()
        if text.startswith("event: "):
            name = text[7:]
        elif text.startswith("data: "):
            found.append((name, json.loads(text[6:])))
            if len(found) == count:
                break
    return found


def open_stream(tenant: LocalTenant, since: int = 0) -> requests.Response:
    """Open the stream of a served tenant."""
    headers = {"X-Emulator-Token": tenant.control_token}
    return requests.get(f"{tenant.url}{ROOT}events?since={since}", headers=headers, stream=True, timeout=10)


def test_events_report_state_and_requests() -> None:
    """First come the state and the journal, then each request as it arrives, with values as JSON."""
    with LocalTenant(rate_limit="10@1") as tenant:
        user = tenant.users.add(user_id="auth0|1")
        with tenant.client() as client, open_stream(tenant) as stream:
            assert stream.headers["Content-Type"].startswith("text/event-stream")
            assert "Content-Length" not in stream.headers
            lines = stream.iter_lines(chunk_size=1)
            ((name, state),) = events(lines, 1)
            assert (name, state["users"], state["requests"]) == ("state", 1, 0)
            client.users.update(user.user_id, {"user_metadata": {"a": "line\nbreak\n\ndata: x"}})
            seen: list[Any] = []
            while not any(entry["method"] == "PATCH" for entry in seen):
                ((name, value),) = events(lines, 1)
                seen += value if name == "requests" else []
            entry = seen[-1]
            assert not entry.keys() & {"headers", "body", "response"}
            assert (entry["status"], entry["committed"], entry["tokens"]) == (200, True, 9)
            assert entry["user_id"] == "auth0|1"
            assert entry["duration"] >= 0
        with open_stream(tenant, since=len(tenant.journal)) as stream:
            assert [name for name, _ in events(stream.iter_lines(chunk_size=1), 1)] == ["state"]


def test_a_quiet_stream_sends_comments() -> None:
    """If nothing happens, a comment is sent now and then, so that the tenant notices when a page is gone."""
    with LocalTenant() as tenant, open_stream(tenant) as stream:
        lines = stream.iter_lines(chunk_size=1)
        events(lines, 1)
        assert next(line for line in lines if line) == b": still here"


def test_stopping_ends_every_stream_and_streams_are_counted() -> None:
    """Four streams may be open and a fifth is refused; closing one makes room; stop() does not wait for them."""
    with LocalTenant() as tenant:
        streams = [open_stream(tenant) for _ in range(4)]
        lines = [stream.iter_lines(chunk_size=1) for stream in streams]
        for line in lines:
            events(line, 1)
        assert open_stream(tenant).status_code == 503
        streams.pop().close()
        lines.pop()
        for _ in range(100):
            tenant.users.add()  # a change makes the tenant write, and so notice
            with open_stream(tenant) as again:
                if again.status_code == 200:
                    break
            SYSTEM_CLOCK.sleep(0.05)
        assert again.status_code == 200
        begun = SYSTEM_CLOCK.monotonic()
        tenant.stop()
        for line in lines:
            list(line)  # until it ends, which an open stream does not
        assert SYSTEM_CLOCK.monotonic() - begun < 4
        for stream in streams:
            stream.close()


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("clock", {"do": "advance", "seconds": 1e300}),
        ("clock", {"do": "advance", "seconds": 253_402_300_800}),
        ("faults", {"status": 500, "path": 5}),
        ("faults", {"status": 500, "path": "users"}),
        ("faults", {"status": 500, "method": 5}),
        ("faults", {"status": 500, "user_id": ["a"]}),
        ("faults", {"status": 429, "reset": [1]}),
        ("faults", {"status": 429, "reset": True}),
        ("faults", {"status": 429, "reset": "1\r\nX-Y: z"}),
        ("faults", {"status": 429.5}),
        ("faults", {"status": True}),
        ("faults", {"delay": "1"}),
        ("faults", {"delay": 1e300}),
        ("faults", {"slow": True}),
        ("faults", {"status": 500, "probability": "1"}),
    ],
)
def test_values_that_would_break_later_requests_are_refused(
    control: ControlApi, route: str, body: Any
) -> None:
    """An unusable value is a 400, and the tenant works as before."""
    assert control("POST", route, json=body).status_code == 400
    assert control("GET", "faults").json() == []
    response = control.session.get(
        f"{control.tenant.url}/api/v2/users", headers={"Authorization": "Bearer x"}
    )
    assert response.status_code == 200


def test_faults_added_in_code_are_checked_too(control: ControlApi) -> None:
    """A body that JSON can't represent and a header of two lines could not be sent."""
    wrong: list[dict[str, Any]] = [{"body": float("nan")}, {"body": {1, 2}}, {"headers": {"X-A": "1\n2"}}]
    for words in wrong:
        with pytest.raises(InputError):
            control.tenant.fail(status=500, **words)
    assert control.tenant.faults_unfired() == []


def test_streams_that_open_at_once_are_counted(control: ControlApi) -> None:
    """Of many requests at the same moment, four get a stream; a stream that is dropped unread makes room."""
    feed = control.tenant._control._streams
    with ThreadPoolExecutor(20) as pool:
        streams = [stream for stream in pool.map(feed.open, [0] * 20) if stream is not None]
    assert len(streams) == 4
    assert feed.open(0) is None
    next(streams[0])
    streams.clear()
    gc.collect()
    again = [feed.open(0) for _ in range(4)]
    assert None not in again


def test_a_long_reason_says_that_it_goes_on(control: ControlApi) -> None:
    """A row has room for a few sentences; the whole message is in the response of the entry."""
    user = control.tenant.users.add()
    url = f"{control.tenant.url}/api/v2/users/{user.user_id.replace('|', '%7C')}"
    control.session.patch(url, json={"x" * 400: 1}, headers={"Authorization": "Bearer any"})
    entry = control("GET", "journal").json()["entries"][-1]
    assert (entry["status"], len(entry["reason"])) == (400, 300)
    assert entry["reason"].endswith("\N{HORIZONTAL ELLIPSIS}")
