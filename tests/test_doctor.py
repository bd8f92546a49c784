from __future__ import annotations

from typing import Any

import pytest
from jose import jwt as jose_jwt
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, free_port, token

from auth0_meta import ManagementClient
from auth0_meta.doctor import Check, _unreached
from auth0_meta.errors import NotSentError
from auth0_meta.testing import FakeClock

_HEADERS = {"X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "49", "X-RateLimit-Reset": "1"}
_USERS = Reply(200, [], _HEADERS)


def _checked(client: ManagementClient) -> dict[str, Check]:
    checks = client.check()
    assert len({c.name for c in checks}) == len(checks)
    return {c.name: c for c in checks}


def _token(**claims: Any) -> str:
    return str(jose_jwt.encode(claims, "secret", algorithm="HS256"))


def test_good_settings_pass_every_check() -> None:
    """A client with good settings passes every check, with two requests that write nothing."""
    granted = "read:users update:users delete:users"
    with ScriptedServer(token(scope=granted), _USERS) as server:
        with connect(server, client_id="c", client_secret="s") as client:
            found = _checked(client)
        assert [s.method for s in server.seen] == ["POST", "GET"]
        assert server.seen[1].path.startswith("/api/v2/users?per_page=1&fields=user_id")
    assert list(found) == ["token", "audience", "read users", "scopes", "clock", "rate limit"]
    assert {name: c.ok for name, c in found.items()} == dict.fromkeys(found, True) | {"audience": None}
    assert "1 more" in found["scopes"].detail
    assert "49 of 50" in found["rate limit"].detail
    assert "enterprise" in found["rate limit"].detail
    assert "essentials" not in found["rate limit"].detail


@pytest.mark.parametrize("strict", [False, True])
def test_a_tenant_that_accepts_any_token_is_named(strict: bool) -> None:
    """There the other checks say nothing about credentials."""
    local = pytest.importorskip("auth0_meta.emulator").LocalTenant(strict=strict)
    with local as tenant, tenant.client() as client:
        found = _checked(client)
    assert ("trust" in found) is not strict
    if not strict:
        assert found["trust"].ok is None
        assert "accepts any token" in found["trust"].detail
        assert "--strict" in found["trust"].remedy


def test_bad_credentials_end_the_checks() -> None:
    """The only result is the refused token request, with its remedy and without a credential."""
    refused = Reply(401, {"error": "access_denied", "error_description": "Unauthorized"})
    with ScriptedServer(refused) as server, connect(server, client_id="c", client_secret="hunter2") as client:
        (check,) = client.check()
    assert (check.name, check.ok) == ("token", False)
    assert "credentials" in check.remedy
    assert "hunter2" not in repr(check)


def test_an_unreachable_tenant_fails_the_domain_check() -> None:
    """It does not matter whether the token is fetched or was passed."""
    url = f"http://127.0.0.1:{free_port()}"
    with ManagementClient(url, client_id="c", client_secret="s", clock=FakeClock()) as client:
        (check,) = client.check()
    assert (check.name, check.ok) == ("domain", False)
    assert "auth0-meta emulator serve" in check.remedy
    assert check.detail.endswith(")")  # the remedy gives the advice once
    with ManagementClient(url, token="opaque", clock=FakeClock()) as client:
        found = _checked(client)
    assert found["domain"].ok is False
    assert "read users" not in found


def test_the_remedy_is_that_of_the_error() -> None:
    """What the error advises, such as naming a CA bundle, is the remedy, and is said once."""
    advice = "Name your CA bundle in X"
    found = _unreached(
        NotSentError(f"GET users was not sent: it has no certificate. {advice}", remedy=advice)
    )
    assert found.detail == "GET users was not sent: it has no certificate"
    assert found.remedy == advice
    assert _unreached(NotSentError("odd")).remedy == "Check AUTH0_DOMAIN and the network"


def test_a_failing_token_endpoint_fails_the_token_check() -> None:
    """A 5xx of the token endpoint is not mistaken for a wrong domain."""
    clock = FakeClock()
    with (
        ScriptedServer(Reply(503)) as server,
        connect(server, client_id="c", client_secret="s", clock=clock) as client,
    ):
        (check,) = client.check()
    assert (check.name, check.ok) == ("token", False)
    assert "503" in check.detail
    assert sum(clock.slept) <= 30


@pytest.mark.parametrize(
    ("reply", "remedy"),
    [
        (
            boom(403, "Forbidden", "Insufficient scope, expected any of: read:users", "insufficient_scope"),
            "Grant read:users",
        ),
        (boom(401, "Unauthorized", "Bad audience: https://x/"), "audience"),
        (boom(404, "Not Found", "x"), "later"),
    ],
)
def test_a_refused_read_names_the_remedy(reply: Reply, remedy: str) -> None:
    """An error of the first read becomes a result with its remedy, not an exception."""
    with ScriptedServer(reply) as server, connect(server) as client:
        found = _checked(client)
    assert found["read users"].ok is False
    assert remedy in found["read users"].remedy
    assert "clock" not in found


def test_a_read_without_a_response_fails_its_check() -> None:
    """If the tenant drops the connection, the read check fails after waiting at most 30 s."""
    clock = FakeClock()
    with ScriptedServer(Reply(close=True)) as server, connect(server, clock=clock) as client:
        found = _checked(client)
    assert found["read users"].ok is False
    assert "network" in found["read users"].remedy
    assert sum(clock.slept) <= 30


@pytest.mark.parametrize(
    ("scope", "ok", "shown"),
    [
        ("read:users update:users", True, "0 more"),
        ("read:users", False, "update:users"),
        ("", False, "read:users, update:users"),
        ("read:users update:users_app_metadata", True, "enough for app_metadata"),
        ("update:users_app_metadata", False, "read:users, update:users"),
        (None, None, "does not say"),
        (5, None, "does not say"),
    ],
)
def test_missing_scopes_are_named(scope: Any, ok: bool | None, shown: str) -> None:
    """Scopes come from the token endpoint's response, else from the token; missing ones are named."""
    more = {} if scope is None else {"scope": scope}
    with (
        ScriptedServer(token(**more), _USERS) as server,
        connect(server, client_id="c", client_secret="s") as client,
    ):
        check = _checked(client)["scopes"]
        assert (check.ok, shown in check.detail) == (ok, True)
    with ScriptedServer(_USERS) as server, connect(server, token=_token(**more)) as client:
        check = _checked(client)["scopes"]
        assert (check.ok, shown in check.detail) == (ok, True)


@pytest.mark.parametrize(
    ("audience", "ok"),
    [
        ("https://t.eu.auth0.com/api/v2/", True),
        (["https://t.eu.auth0.com/api/v2/", "https://t/userinfo"], True),
        ("https://api.example/", False),
        (["https://api.example/"], False),
        ([5], False),
        (5, None),
        (None, None),
    ],
)
def test_a_wrong_audience_fails_its_check(audience: Any, ok: bool | None) -> None:
    """A token for another API fails, with the audience to request; an opaque token leaves the check open."""
    given = _token() if audience is None else _token(aud=audience)
    with ScriptedServer(_USERS) as server, connect(server, token=given) as client:
        check = _checked(client)["audience"]
        assert check.ok is ok
        assert (client.audience in check.remedy) == (ok is False)


@pytest.mark.parametrize(
    ("off", "ok"),
    [(-3600, False), (-2.1, False), (-1.9, True), (0, True), (2.9, True), (4.1, False), (3600, False)],
)
def test_a_wrong_clock_fails_its_check(off: float, ok: bool) -> None:
    """The local clock may be 2 s behind or 3 s ahead of the response's Date, which is rounded down to the second."""
    clock = FakeClock(start=1_800_000_000 + off)
    with (
        ScriptedServer(_USERS, now=lambda: 1_800_000_000.0) as server,
        connect(server, clock=clock) as client,
    ):
        check = _checked(client)["clock"]
    assert check.ok is ok
    assert ok or ("ahead" in check.detail) == (off > 0)
    assert ok or f"{abs(off):.0f} s" in check.detail


@pytest.mark.parametrize("raw", [b"<html>portal</html>", b"{}", b"[7]", b"null", b""])
def test_a_response_without_users_is_a_problem(raw: bytes) -> None:
    """A captive portal answers every request with 200."""
    with ScriptedServer(Reply(200, raw=raw)) as server, connect(server) as client:
        check = _checked(client)["read users"]
    assert (check.ok, bool(check.remedy)) == (False, True)


def test_missing_headers_leave_their_checks_open() -> None:
    """Without Date and rate-limit headers those two checks stay open."""
    with ScriptedServer(Reply(200, [], date=False)) as server, connect(server) as client:
        found = _checked(client)
    assert (found["clock"].ok, found["rate limit"].ok) == (None, None)


def test_an_unknown_bucket_has_no_plan() -> None:
    """A bucket that belongs to no known plan is shown without a plan."""
    headers = {"X-RateLimit-Limit": "777", "X-RateLimit-Remaining": "5"}
    with ScriptedServer(Reply(200, [], headers)) as server, connect(server) as client:
        check = _checked(client)["rate limit"]
    assert check == Check("rate limit", True, "5 of 777 tokens left")


def test_the_remedy_for_a_token_of_another_api_names_the_right_audience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The remedy never suggests an AUTH0_AUDIENCE that belongs to another API."""
    with ScriptedServer(_USERS) as server:
        monkeypatch.setenv("AUTH0_DOMAIN", server.url)
        monkeypatch.setenv("AUTH0_AUDIENCE", "https://api.example.com")
        monkeypatch.setenv("AUTH0_API_TOKEN", _token(aud="https://api.example.com"))
        with ManagementClient.from_env() as client:
            check = _checked(client)["audience"]
    assert check.detail == "the token is for https://api.example.com"
    assert check.remedy.endswith("/api/v2/")


def test_no_check_shows_a_credential() -> None:
    """No result contains the token, the secret, or a claim other than audience and scope."""
    text = _token(aud="https://t/api/v2/", scope="read:users", sub="canary@clients")

    def respond(seen: Seen) -> Reply:
        return token(text) if seen.path == "/oauth/token" else _USERS

    with ScriptedServer(respond) as server, connect(server, client_id="c", client_secret="hunter2") as client:
        shown = repr(client.check())
    assert text not in shown
    assert "hunter2" not in shown
    assert "canary" not in shown
