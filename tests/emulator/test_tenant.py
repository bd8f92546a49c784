"""The Python API of a tenant: users, journal, clients, reset."""

from __future__ import annotations

import io
import json
import pickle
import sys
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError, MissingExtraError
from auth0_meta.testing import FakeClock

ITEM = "/api/v2/users/{id}"


def test_direct_access_takes_no_token(talk: Any) -> None:
    """users.add, reading and patching also add no journal entry."""
    tenant = LocalTenant(serve=False, rate_limit="2@0.001")
    for _ in range(5):
        user = tenant.users.add(app_metadata={"a": 1})
        user.patch(app_metadata={"b": 2}, blocked=True)
        assert tenant.users[user.user_id].app_metadata == {"a": 1, "b": 2}
    assert len(tenant.journal) == 0
    assert talk(tenant).list().headers["x-ratelimit-remaining"] == "1"


def test_users_are_a_collection_by_id(tenant: LocalTenant) -> None:
    """len, in, iteration in order of creation, [id], and KeyError for an unknown id."""
    made = [tenant.users.add(email=f"{name}@example.com", user_id=name) for name in "ab"]
    assert [user.user_id for user in tenant.users] == ["auth0|a", "auth0|b"]
    assert len(tenant.users) == 2
    assert "auth0|a" in tenant.users
    assert "auth0|c" not in tenant.users
    assert 1 not in tenant.users
    assert tenant.users["auth0|a"] == made[0]
    with pytest.raises(KeyError):
        tenant.users["auth0|c"]
    tenant.users.clear()
    assert len(tenant.users) == 0


def test_a_live_user_is_a_mapping_of_copies(tenant: LocalTenant) -> None:
    """It equals its profile and shows changes at once; editing a value that was read changes nothing that is stored."""
    user = tenant.users.add(email="ann@example.com", user_metadata={"a": {"b": 1}}, logins_count=3)
    assert dict(user)["logins_count"] == 3
    assert len(user) == len(dict(user))
    assert user == dict(user)
    user["user_metadata"]["a"]["b"] = 2
    user.user_metadata["a"]["b"] = 3
    assert user.user_metadata == {"a": {"b": 1}}
    assert user.app_metadata == {}
    assert "1" not in repr(user).replace(user.user_id, "")
    user.delete()
    for read in (lambda: user["email"], lambda: user.app_metadata, lambda: user.patch(blocked=True)):
        with pytest.raises(KeyError):
            read()


def test_any_field_of_a_profile_can_be_set(tenant: LocalTenant) -> None:
    """add stores times, logins and null metadata (absent) as they are."""
    user = tenant.users.add(email="ann@example.com", created_at="2020-01-01T00:00:00.000Z", logins_count=3)
    assert (user["created_at"], user["logins_count"]) == ("2020-01-01T00:00:00.000Z", 3)
    assert "user_metadata" not in user


def test_values_are_copied_when_added(tenant: LocalTenant) -> None:
    """Changing a dict after add or patch does not change the stored user."""
    given: dict[str, Any] = {"a": [1]}
    user = tenant.users.add(app_metadata=given)
    given["a"].append(2)
    assert user.app_metadata == {"a": [1]}
    user.patch(app_metadata=given)
    given["a"].append(3)
    assert user.app_metadata == {"a": [1, 2]}


def test_an_id_can_be_added_once(tenant: LocalTenant) -> None:
    """A second user with the same id is an InputError."""
    tenant.users.add(user_id="auth0|1")
    with pytest.raises(InputError, match="exists already"):
        tenant.users.add(user_id="1")


def test_initial_users_come_back_after_a_reset(talk: Any, clock: FakeClock) -> None:
    """reset() restores the initial users, ids, buckets and an empty journal."""
    tenant = LocalTenant(serve=False, clock=clock, rate_limit="2@0.001", users=[{"email": "ann@example.com"}])
    before = [dict(user) for user in tenant.users]
    api = talk(tenant)
    tenant.users.add()
    next(iter(tenant.users)).delete()
    assert [api.list().status_code for _ in range(3)] == [200, 200, 429]
    tenant.reset()
    assert [dict(user) for user in tenant.users] == before
    assert len(tenant.journal) == 0
    assert api.list().status_code == 200


def test_the_journal_can_be_filtered(api: Any) -> None:
    """Entries can be filtered by method, template or prefix, user and status; slices and clear work."""
    users = [api.tenant.users.add() for _ in range(2)]
    for user in users:
        api.patch(user.user_id, {"app_metadata": {"a": 1}})
        api.get(user.user_id, fields="email")
    api.get("auth0|gone")
    journal = api.tenant.journal
    assert journal.count() == len(journal) == len(list(journal)) == 5
    assert journal.count("patch") == 2
    assert journal.count(path=ITEM) == 5
    assert journal.count(path="/api/v2/users/auth0%7Cgone") == 1
    assert journal.count("GET", user_id=users[0].user_id, status=200) == 1
    (missing,) = journal.requests(status=404)
    assert (missing.method, missing.route, missing.user_id, missing.body) == ("GET", ITEM, "auth0|gone", None)
    assert journal[0].body == {"app_metadata": {"a": 1}}
    assert journal[1].query == "fields=email"
    assert [entry.method for entry in journal[:2]] == ["PATCH", "GET"]
    assert repr(journal) == "<Journal of 5 requests>"
    with pytest.raises(AttributeError):
        journal[0].status = 1  # type: ignore[misc]
    journal.clear()
    assert len(journal) == 0


def test_the_journal_shows_no_values(api: Any) -> None:
    """An entry's repr leaves the body out."""
    user = api.tenant.users.add()
    api.patch(user.user_id, {"app_metadata": {"a": "hush"}})
    assert "hush" not in repr(api.tenant.journal[0])


def test_the_journal_can_be_bounded(talk: Any) -> None:
    """journal_limit keeps only the newest entries."""
    api = talk(LocalTenant(serve=False, journal_limit=2))
    for page in range(4):
        api.list(page=page)
    assert [entry.query for entry in api.tenant.journal] == ["page=2", "page=3"]


@pytest.mark.parametrize("serve", [True, False])
@pytest.mark.parametrize("strict", [True, False])
def test_client_returns_a_connected_client(serve: bool, strict: bool) -> None:
    """tenant.client() writes through the real client, with and without sockets, strict or not."""
    with LocalTenant(serve=serve, strict=strict) as tenant:
        user = tenant.users.add()
        with tenant.client() as client:
            assert client.users.update(user.user_id, {"app_metadata": {"a": 1}}).app_metadata == {"a": 1}
        with tenant.client(token=tenant.token()) as client:
            assert client.users.get(user.user_id).app_metadata == {"a": 1}
        assert tenant.journal.count("POST", "/oauth/token") == 1


def test_client_waits_on_the_tenants_clock(clock: FakeClock) -> None:
    """A 429 waits on the shared fake clock, so no real time passes."""
    tenant = LocalTenant(serve=False, clock=clock, rate_limit="1@0.01")
    user = tenant.users.add()
    with tenant.client() as client:
        for _ in range(2):
            client.users.get(user.user_id)
    assert clock.time() - 1_800_000_000 >= 100
    assert tenant.journal.requests("GET")[-1].status == 200


def test_env_points_a_client_at_the_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """env has the variables that ManagementClient.from_env reads."""
    from auth0_meta.client import ManagementClient

    with LocalTenant(strict=True) as tenant:
        user = tenant.users.add()
        for name, value in tenant.env.items():
            monkeypatch.setenv(name, value)
        with ManagementClient.from_env() as client:
            assert client.users.get(user.user_id).user_id == user.user_id
        assert tenant.env["AUTH0_CLIENT_SECRET"].startswith("local-secret-")
        assert tenant.client_secret not in repr(tenant)
        assert repr(tenant) == f"<LocalTenant {tenant.url}, 1 users>"


def test_a_head_request_has_no_body_in_wsgi(tenant: LocalTenant) -> None:
    """Its headers are those of a GET, Content-Length included."""
    environ = {"PATH_INFO": "/.well-known/jwks.json", "HTTP_HOST": tenant.domain, "wsgi.input": io.BytesIO()}
    sent: dict[str, Any] = {}
    for method in ("GET", "HEAD"):
        made = tenant.wsgi({**environ, "REQUEST_METHOD": method}, lambda *about: sent.update(head=about))  # type: ignore[arg-type,func-returns-value]
        sent[method] = dict(sent["head"][1])["Content-Length"], b"".join(made)
    assert sent["HEAD"] == (sent["GET"][0], b"")
    assert sent["GET"][1]


def test_any_wsgi_client_can_use_it(tenant: LocalTenant) -> None:
    """tenant.wsgi works with another library's WSGI transport, without REQUEST_URI, and raises an error for drops."""
    httpx = pytest.importorskip("httpx", reason="httpx is not installed")
    tenant.users.add(user_id="auth0|ä", app_metadata={"a": 1})
    transport = httpx.WSGITransport(app=tenant.wsgi)
    with httpx.Client(
        transport=transport, base_url=tenant.url, headers={"Authorization": "Bearer x"}
    ) as client:
        assert client.get("/api/v2/users/auth0%7C%C3%A4").json()["app_metadata"] == {"a": 1}
        assert client.get("/api/v2/users", params={"per_page": 0}).json() == []
        assert client.delete("/api/v2/users/auth0%7C%C3%A4").status_code == 204
        tenant.fail(drop="before_commit")
        with pytest.raises(ConnectionResetError):
            client.get("/api/v2/users")


def test_a_raw_uri_may_be_absolute_and_latin(tenant: LocalTenant) -> None:
    """RAW_URI is used if the server provides it, and bytes as Latin-1 in PATH_INFO are decoded."""
    tenant.users.add(user_id="auth0|ä")
    seen: list[str] = []

    def ask(**environ: str) -> str:
        base = {"REQUEST_METHOD": "GET", "HTTP_HOST": "localhost", "HTTP_AUTHORIZATION": "Bearer x"}
        base["wsgi.input"] = io.BytesIO()
        list(tenant.wsgi({**base, **environ}, lambda status, headers, exc_info=None: seen.append(status)))  # type: ignore[arg-type,func-returns-value,return-value]
        return seen[-1]

    assert ask(RAW_URI="http://localhost/api/v2/users/auth0%7C%C3%A4?fields=email") == "200 OK"
    assert (
        ask(PATH_INFO="/api/v2/users/auth0|ä".encode().decode("latin-1"), QUERY_STRING="fields=email")
        == "200 OK"
    )
    assert {entry.query for entry in tenant.journal} == {"fields=email"}


def test_the_adapter_sends_whatever_requests_can_send(tenant: LocalTenant) -> None:
    """Bytes, files, generators and no body at all work; responses can be streamed."""
    user = tenant.users.add()
    url = f"{tenant.url}/api/v2/users/{user.user_id}"
    adapter = tenant.adapter()
    headers = {"Authorization": "Bearer x", "X-Bytes": b"y"}
    with requests.Session() as session:
        session.mount(tenant.url, adapter)
        body = b'{"app_metadata":{"n":1}}'
        for data in (body, body.decode(), iter([body[:5], body[5:]])):
            assert session.patch(url, data=data, headers=headers).status_code == 200
        response = session.get(url, headers=headers, stream=True)
        assert json.loads(b"".join(response.iter_content(10))) == dict(user)
        assert session.get(f"{tenant.url}/nowhere", headers=headers).status_code == 404
    assert user.app_metadata == {"n": 1}


def test_the_adapter_sends_a_file_object(tenant: LocalTenant, tmp_path: Any) -> None:
    """A file object goes through the adapter."""
    user = tenant.users.add()
    (tmp_path / "body.json").write_text('{"blocked":true}')
    with requests.Session() as session, (tmp_path / "body.json").open("rb") as file:
        session.mount(tenant.url, tenant.adapter())
        url = f"{tenant.url}/api/v2/users/{user.user_id}"
        assert session.patch(url, data=file, headers={"Authorization": "Bearer x"}).status_code == 200
    assert user["blocked"] is True


def test_the_error_for_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without werkzeug the import says what to install."""
    missing = "werkzeug"
    for name in list(sys.modules):
        if name.split(".")[0] == missing or name.startswith("auth0_meta.emulator"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=r'needs \w+.*pip install "auth0-meta\[emulator\]"'):
        import auth0_meta.emulator  # noqa: F401


def test_the_error_for_another_missing_module_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """If another package is broken, its own error is raised."""
    for name in list(sys.modules):
        if name.startswith("auth0_meta.emulator"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "attrs", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        import auth0_meta.emulator  # noqa: F401
    assert not isinstance(caught.value, MissingExtraError)


def test_journal_entries_are_values(api: Any) -> None:
    """They can be compared and pickled."""
    api.list()
    (entry,) = api.tenant.journal
    assert pickle.loads(pickle.dumps(entry)) == entry  # noqa: S301  # our own bytes


def test_secrets_can_not_be_computed_from_public_names() -> None:
    """The names in key ids and cookies reveal neither the secret nor the key that signs links."""
    one, other = LocalTenant(serve=False, seed=7), LocalTenant(serve=False, seed=7)
    kid = one._state.access.keys.jwks()["keys"][0]["kid"]
    name = kid.split("-")[1]
    assert name == one._state.name
    assert name not in one.client_secret
    assert len(one.client_secret) >= len("local-secret-") + 43
    assert one.client_secret != other.client_secret
    assert one._state.secret != other._state.secret
    assert len(one._state.secret) == 32
