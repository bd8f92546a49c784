"""What a tenant remembers has a bound, what it hands out is a copy, and nothing waits for what takes long."""

from __future__ import annotations

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.api.lookup import brief
from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.rules.profile import Profile
from auth0_meta.emulator.state import journal as journals
from auth0_meta.emulator.state import tokens
from auth0_meta.emulator.state.history import History
from auth0_meta.emulator.state.journal import Journal
from auth0_meta.emulator.state.tables import Table
from auth0_meta.errors import InputError, StateError

# Memory -----------------------------------------------------------------------------------------------------


def profile(number: int, plan: str = "free") -> Profile:
    """Return a user."""
    return Profile(f"auth0|{number}", {"user_id": f"auth0|{number}"}, {"plan": plan}, 0)


@pytest.mark.parametrize("bounds", [(10, 1_000_000), (1000, 100)], ids=["number", "bytes"])
def test_a_history_forgets_the_users_written_to_longest_ago(bounds: tuple[int, int]) -> None:
    """It keeps so many writes, or so many bytes, and says so instead of comparing with less."""
    history = History(0.0, bounds)
    for number in range(20):
        before, after = profile(number), profile(number, "pro")
        history.note(0.0, f"auth0|{number}", before=before, after=after, by="test", size=10)
    kept = [number for number in range(20) if history.of(f"auth0|{number}")]
    assert kept == list(range(10, 20))
    assert history.at_mark() is None
    history.mark()
    history.note(0.0, "auth0|10", before=profile(10), after=profile(10, "pro"), by="test", size=10)
    assert history.at_mark() == {"auth0|10": profile(10)}
    assert [number for number in range(20) if history.of(f"auth0|{number}")] == [10, *range(12, 20)]


def test_a_diff_of_too_many_users_is_an_error_until_the_next_mark(tmp_path: Path) -> None:
    """It says what to do; a tenant with a file remembers less, because its users are not in memory."""
    with LocalTenant(serve=False, db=tmp_path / "x.db") as tenant:
        users = [tenant.users.add(user_id=f"auth0|{number}") for number in range(2001)]
        for user in users:
            user.patch(user_metadata={"a": 1})
        with pytest.raises(StateError, match=r"call mark\(\)"):
            tenant.diff()
        tenant.mark()
        users[0].patch(user_metadata={"a": 2})
        assert tenant.diff() == {"auth0|0": {"user_metadata.a": (1, 2)}}
        assert len(users[1].history) == 0
        assert len(users[2000].history) == 1


def test_clearing_the_users_clears_what_is_remembered_of_them() -> None:
    """History and diff start over, as with `replace`."""
    tenant = LocalTenant(serve=False)
    user = tenant.users.add(user_id="auth0|1", password="Correct horse 1").patch(user_metadata={"a": 1})
    tenant.users.clear()
    assert (len(tenant.users), user.history, tenant.diff()) == (0, [], {})
    tenant.users.add(user_id="auth0|1")
    assert not tenant._state.resources.password_matches("auth0|1", "Correct horse 1")


def entry(number: int, body: bytes = b"") -> Entry:
    """Return a request."""
    about: dict[str, Any] = {
        "headers": {},
        "route": "",
        "user_id": None,
        "outcome": "answered",
        "fault": None,
    }
    about |= {"committed": False, "tokens": None, "time": 0.0, "duration": 0.0, "response": None, "query": ""}
    return Entry(method="GET", path=f"/{number}", status=200, body=body, **about)


@pytest.mark.parametrize("limit", [None, 1000])
def test_a_journal_has_a_bound_in_bytes_too(monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
    """With a limit and without; the newest entry is always there, and `since` counts those that went."""
    monkeypatch.setattr(journals, "_MOST_BYTES", 1000)
    monkeypatch.setattr(journals, "_MOST_BYTES_UNLIMITED", 1000)
    journal = Journal(limit=limit)
    for number in range(50):
        journal.add(entry(number, b"x" * 97))
    assert 5 <= len(journal) <= 10
    assert (journal[-1].path, journal[len(journal) - 1].path) == ("/49", "/49")
    with pytest.raises(IndexError):
        _ = journal[50]
    total, newest = journal.since(48)
    assert (total, [one.path for one in newest]) == (50, ["/48", "/49"])
    journal.add(entry(50, b"x" * 5000))
    assert [one.path for one in journal] == ["/50"]


def test_tokens_are_remembered_in_bounds_and_recognized_beyond(
    monkeypatch: pytest.MonkeyPatch, talk: Any, clock: Any
) -> None:
    """One issued long ago still has its scopes, expires, and can be made to expire; assertions of long ago are forgotten."""
    monkeypatch.setattr(tokens, "_MOST", 5)
    monkeypatch.setattr(tokens, "_MOST_USED", 5)
    tenant = LocalTenant(serve=False, clock=clock, users=[{"user_id": "auth0|1"}])
    narrow, short = tenant.token(scopes=["read:users"]), tenant.token(expires_in=10)
    revoked = tenant.token()
    tenant.revoke(revoked)
    for _ in range(20):
        tenant.token()
    access = tenant._state.access
    api = talk(tenant, token=narrow)
    assert (api.get("auth0|1").status_code, api.delete("auth0|1").status_code) == (200, 403)
    assert talk(tenant, token=revoked).list().status_code == 401
    assert talk(tenant, token=short).list().status_code == 200
    clock.advance(11)
    assert talk(tenant, token=short).list().status_code == 401
    late = tenant.token()
    tenant.expire_tokens()
    for _ in range(20):
        new = tenant.token()
    assert [talk(tenant, token=token).list().status_code for token in (narrow, late, new)] == [401, 401, 200]
    tenant.reset()
    assert talk(tenant, token=late).list().status_code == 200
    for number in range(50):
        talk(tenant, token=f"other-{number}").list()
        assert access.first_use("client", f"jti-{number}")
    assert not access.first_use("client", "jti-49")
    assert max(map(len, (access._grants, access._seen, access._used))) <= 5


# Copies -----------------------------------------------------------------------------------------------------


def test_nothing_that_is_handed_out_changes_the_tenant(api: Any) -> None:
    """Bodies and responses in the journal, history, a fault's body, and what a trigger gets."""
    tenant = api.tenant
    user = tenant.users.add(user_id="auth0|1")
    api.patch("auth0|1", {"user_metadata": {"a": {"b": 1}}})
    tenant.journal[-1].body["user_metadata"]["a"]["b"] = 2
    tenant.journal[-1].response.body["user_metadata"]["a"]["b"] = 2
    user.history[-1].after["user_metadata"]["a"]["b"] = 2
    user["user_metadata"]["a"]["b"] = 2
    sign_up = {"connection": "Username-Password-Authentication", "client_id": "x", "email": "eve@example.com"}
    sign_up |= {"password": "Correct horse 1", "user_metadata": {"a": "1"}}  # type: ignore[dict-item]
    assert api("POST", "/dbconnections/signup", json=sign_up).status_code == 200
    tenant.journal[-1].body["user_metadata"]["a"] = "2"
    assert [one.user_metadata for one in tenant.users] == [{"a": {"b": 1}}, {"a": "1"}]
    tenant._state.add_log("depnote", "auth0|1", details={"a": 1})
    tenant.logs[-1]["details"]["a"] = 2
    assert tenant.logs[-1]["details"] == {"a": 1}
    body = {"error": ["first"]}
    tenant.fail(status=500, body=body)
    body["error"].append("second")
    assert api.list().json() == {"error": ["first"]}


# Values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {1, 2}, b"x", object()], ids=type)
def test_a_test_can_store_only_what_a_response_can_show(value: Any) -> None:
    """Neither in a new user nor in a change, and nothing is stored."""
    tenant = LocalTenant(serve=False)
    user = tenant.users.add()
    for store in (tenant.users.add, user.patch):
        with pytest.raises(InputError, match="JSON can't represent"):
            store(app_metadata={"a": [value]})
    with pytest.raises(InputError, match="JSON can't represent"):
        tenant.users.replace([{"app_metadata": value}])
    assert [one.app_metadata for one in tenant.users] == [{}]


def test_a_deep_value_is_refused_by_name() -> None:
    """As a request with it is; the page could not show the user."""
    deep: Any = 1
    for _ in range(500):
        deep = [deep]
    tenant = LocalTenant(serve=False)
    with pytest.raises(InputError, match="200 levels"):
        tenant.users.add(app_metadata={"a": deep})
    assert len(tenant.users) == 0


def test_a_number_that_json_lacks_hides_nothing_else_on_the_page(api: Any) -> None:
    """Whatever puts it into a profile or a log, the control routes show a text in its place."""
    tenant = api.tenant
    tenant.users.add(user_id="auth0|1")
    stored = tenant._state.users.get("auth0|1")
    assert stored is not None
    stored.root["user_metadata"] = {"n": float("inf")}
    control = {"X-Emulator-Token": tenant.control_token}
    shown = api("GET", "/_emulator/user", params={"id": "auth0|1"}, headers=control)
    assert (shown.status_code, shown.json()["profile"]["user_metadata"]) == (200, {"n": "Infinity"})
    body = b'{"user_metadata":{"n":1e999}}'
    assert api("PATCH", "/api/v2/users/auth0%7C1", data=body).status_code == 400
    assert api("GET", "/_emulator/journal", headers=control).status_code == 200


# Jobs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pace", ["immediate", "0 polls", "1 second", "manual"])
def test_a_job_that_runs_stops_nobody_else(talk: Any, pace: str, clock: Any) -> None:
    """Other requests, and polls of the job itself, are answered while it runs; it runs once, and `finish` waits for it."""
    tenant = LocalTenant(serve=False, jobs=pace, clock=clock, users=[{"user_id": "auth0|1"}])
    begun, go_on, runs = threading.Event(), threading.Event(), list[int]()
    every = tenant._state.users.all

    def slow() -> Any:
        runs.append(1)
        begun.set()
        assert go_on.wait(60)
        return every()

    tenant._state.users.all = slow  # type: ignore[method-assign]
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(talk(tenant), "POST", "/api/v2/jobs/users-exports", json={"format": "json"})
        if pace != "immediate":
            job = first.result(60).json()["id"]
            clock.advance(2)
            if pace == "manual":
                first = pool.submit(tenant.jobs.finish, job)
            else:
                first = pool.submit(talk(tenant), "GET", f"/api/v2/jobs/{job}")
        assert begun.wait(60)
        (running,) = tenant.jobs
        api = talk(tenant)
        assert api.get("auth0|1").status_code == 200
        assert api("GET", f"/api/v2/jobs/{running.id}").json()["status"] == "pending"
        waiting = pool.submit(tenant.jobs.finish)
        go_on.set()
        first.result(60)
        waiting.result(60)
    assert (runs, running.status) == ([1], "completed")
    location = api("GET", f"/api/v2/jobs/{running.id}").json()["location"]
    with requests.Session() as session:
        session.mount("http://", tenant.adapter())
        assert json.loads(gzip.decompress(session.get(location).content))["user_id"] == "auth0|1"


# Lists -----------------------------------------------------------------------------------------------------------


def test_a_page_of_members_reads_the_users_of_that_page(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    ids = [api.tenant.users.add(user_id=f"auth0|{number}").user_id for number in range(300)]
    role = api("POST", "/api/v2/roles", json={"name": "admin"}).json()["id"]
    for start in range(0, 300, 50):
        assert (
            api("POST", f"/api/v2/roles/{role}/users", json={"users": ids[start : start + 50]}).status_code
            == 200
        )
    read, store = list[str](), api.tenant._state.users
    get = store.get
    monkeypatch.setattr(store, "get", lambda user_id: (read.append(user_id), get(user_id))[1])
    page = api(
        "GET", f"/api/v2/roles/{role}/users", params={"page": 2, "per_page": 10, "include_totals": "true"}
    )
    assert page.json()["total"] == 300
    assert [user["user_id"] for user in page.json()["users"]] == ids[20:30] == read
    assert len(brief(api.tenant._state, ids)) == 300


def test_a_name_is_found_without_looking_at_every_document(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Creating thousands of roles or connections takes no longer for each of them; renaming and deleting frees a name."""

    def post(**body: Any) -> Any:
        return api("POST", "/api/v2/roles", json=body)

    first, second = (post(name=name).json()["id"] for name in ("first", "second"))
    monkeypatch.setattr(Table, "values", lambda self: pytest.fail("it looked at every document"))
    monkeypatch.setattr(Table, "__iter__", lambda self: pytest.fail("it looked at every document"))
    assert [post(name=name).status_code for name in ("first", "third")] == [409, 200]
    one = f"/api/v2/roles/{first}"
    assert api("PATCH", one, json={"name": "second"}).status_code == 409
    assert api("PATCH", one, json={"name": "other", "description": "x"}).status_code == 200
    assert post(name="first").status_code == 200
    assert api("DELETE", f"/api/v2/roles/{second}").status_code == 200
    assert api("PATCH", one, json={"name": "second"}).status_code == 200
    assert api.create(email="ann@example.com", password="Correct horse 1").status_code == 201


# Threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("db", [False, True], ids=["memory", "file"])
def test_readers_and_writers_in_threads_lose_nothing(tmp_path: Path, talk: Any, db: bool) -> None:
    """No request fails, each write is there at the end, and whatever is listed meanwhile can be listed."""
    with LocalTenant(serve=False, db=tmp_path / "x.db" if db else None) as tenant:
        first = talk(tenant)
        organization = first("POST", "/api/v2/organizations", json={"name": "acme"}).json()["id"]
        user = tenant.users.add(user_id="auth0|1").user_id
        enabled = f"/api/v2/organizations/{organization}/enabled_connections"
        methods = f"/api/v2/users/{user}/authentication-methods"
        done = threading.Event()

        def write(worker: int) -> list[int]:
            api, statuses = talk(tenant), list[int]()
            for number in range(12):
                name = f"{worker}-{number}"
                role = api("POST", "/api/v2/roles", json={"name": name})
                made = api("POST", "/api/v2/connections", json={"name": name, "strategy": "auth0"})
                statuses += [role.status_code, made.status_code]
                for path, body in (
                    (f"/api/v2/users/{user}/roles", {"roles": [role.json()["id"]]}),
                    (enabled, {"connection_id": made.json()["id"]}),
                    (methods, {"type": "email", "email": f"{name}@example.com"}),
                ):
                    statuses.append(api("POST", path, json=body).status_code)
                statuses.append(api.patch(user, {"user_metadata": {name: number}}).status_code)
                if number % 3 == 0:
                    statuses.append(api("DELETE", f"/api/v2/connections/{made.json()['id']}").status_code)
            return statuses

        def read() -> list[int]:
            api, statuses = talk(tenant), list[int]()
            control = {"X-Emulator-Token": tenant.control_token}
            while not done.is_set():
                paths = (
                    "/api/v2/roles",
                    "/api/v2/connections",
                    enabled,
                    methods,
                    f"/api/v2/users/{user}/roles",
                )
                statuses += [api("GET", path).status_code for path in (*paths, "/api/v2/logs")]
                statuses.append(api("GET", "/_emulator/snapshot", headers=control).status_code)
                _ = [dict(one) for one in tenant.users], list(tenant.journal), tenant.logs, tenant.diff()
            return statuses

        with ThreadPoolExecutor(6) as pool:
            readers = [pool.submit(read) for _ in range(2)]
            written = [pool.submit(write, worker) for worker in range(4)]
            wrong = [status for one in written for status in one.result(200) if status >= 300]
            done.set()
            wrong += [status for one in readers for status in one.result(200) if status >= 300]
        assert wrong == []
        assert len(tenant.users[user].user_metadata) == 48
        assert len(tenant._state.resources.links.of("user_roles", user)) == 48
        assert len(tenant._state.resources.methods[user]) == 48
        assert len(tenant._state.resources.organization_connections[organization]) == 32
