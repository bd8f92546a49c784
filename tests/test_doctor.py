from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jose import jwt as jose_jwt
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, free_port, token

from auth0_meta import ManagementClient
from auth0_meta.doctor import Check, _clock, _unreached
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


@pytest.mark.parametrize("token", [None, "a-control-token-of-my-own"])
def test_a_tenant_with_a_token_of_its_own_tests_tokens(token: str | None) -> None:
    """It accepts that one, and so nothing is said of any."""
    local = pytest.importorskip("auth0_meta.emulator").LocalTenant(token=token, strict=token is None)
    with local as tenant, tenant.client() as client:
        assert "trust" not in _checked(client)


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
    assert ok or ("60 min" if abs(off) == 3600 else f"{abs(off):.0f} s") in check.detail


@pytest.mark.parametrize(
    ("off", "took", "ok"),
    [(13.0, 10.0, True), (13.1, 10.0, False), (-2.0, 10.0, True), (-2.1, 10.0, False), (3.1, 0.0, False)],
)
def test_a_slow_response_is_no_wrong_clock(off: float, took: float, ok: bool) -> None:
    """Its Date may be as old as it is slow."""
    check = _clock(1_000.0 + off, 1_000.0, took, "")
    assert check.ok is ok


class _Stepping(FakeClock):
    """A clock that is set while a request is under way."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self._step = step

    def served(self, _: Seen) -> Reply:
        """Respond after a second."""
        self.advance(1.0)
        self.step(self._step)
        return _USERS


class _Still(FakeClock):
    """A clock that shows one time for ever."""

    def time(self) -> float:
        """Return that time."""
        return 1_800_000_000.0


@pytest.mark.parametrize(
    ("step", "detail"),
    [
        (0.9, None),
        (-0.9, None),
        (1.1, "was set forward by 1 s during these checks"),
        (-60.0, "was set back by 60 s during these checks"),
        (3600.0, "was set forward by 3600 s during these checks"),
    ],
)
def test_a_clock_that_is_set_meanwhile_fails_its_check(step: float, detail: str | None) -> None:
    """It is compared with the monotonic clock, which is never set."""
    clock = _Stepping(step)
    with ScriptedServer(clock.served, now=clock.time) as server, connect(server, clock=clock) as client:
        check = _checked(client)["clock"]
    assert check.ok is (detail is None)
    assert detail is None or (check.detail == detail and "NTP" in check.remedy)


def test_a_clock_that_stands_still_fails_its_check() -> None:
    """However quick the tenant is: a moment is waited for."""
    clock = _Still()
    with ScriptedServer(_USERS, now=clock.time) as server, connect(server, clock=clock) as client:
        check = _checked(client)["clock"]
    assert (check.ok, check.detail) == (False, "stands still")
    assert check.remedy
    assert 0 < sum(clock.slept) <= 0.05


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    ("move", "ok", "shown"),
    [
        (lambda clock: clock.advance(0.5), True, "agrees"),
        (lambda clock: clock.advance(60), None, "was moved: it is 60 s ahead of this machine's"),
        (lambda clock: clock.advance(100_000), None, "was moved: it is 100000 s ahead of this machine's"),
        (
            lambda clock: clock.freeze(at=clock.time() - 500),
            None,
            "stands still, 500 s behind this machine's",
        ),
        (lambda clock: clock.freeze(at=1_000_000), None, "stands still, "),
        (lambda clock: clock.freeze(), True, "agrees"),
    ],
)
def test_a_local_tenants_clock_that_was_moved_is_no_failure(
    move: Callable[[Any], None], ok: bool | None, shown: str, strict: bool
) -> None:
    """Its page and tests move it; setting this machine's clock would be the wrong advice."""
    local = pytest.importorskip("auth0_meta.emulator").LocalTenant(strict=strict)
    with local as tenant:
        move(tenant.clock)
        variables = tenant.env
        with ManagementClient(
            variables["AUTH0_DOMAIN"],
            client_id=variables["AUTH0_CLIENT_ID"],
            client_secret=variables["AUTH0_CLIENT_SECRET"],
        ) as client:
            check = _checked(client)["clock"]
            assert (check.ok, shown in check.detail) == (ok, True)
            assert "NTP" not in check.remedy
            assert ok or "Resetting" in check.remedy
        tenant.reset()
        with tenant.client() as client:
            assert _checked(client)["clock"].ok


def test_a_local_tenant_that_simulates_a_wrong_clock_has_one() -> None:
    """`clock_offset` is there to be found, and a client with the tenant's own clock agrees with it."""
    local = pytest.importorskip("auth0_meta.emulator").LocalTenant(clock_offset=-60)
    with local as tenant, tenant.client() as client:
        check = _checked(client)["clock"]
        assert (check.ok, "ahead of the tenant's clock" in check.detail) == (False, True)


# The times of a token ---------------------------------------------------------------------------------

NOW = 1_800_000_000


@pytest.mark.parametrize("local", [0, -5000, 5000])
@pytest.mark.parametrize(
    ("claims", "ok", "shown", "remedy"),
    [
        ({"exp": NOW - 100}, False, ", ended 100 s ago", "Get a new one"),
        ({"exp": NOW - 200_000}, False, ", ended 2 days ago", "Get a new one"),
        ({"exp": NOW}, False, ", ended 0 s ago", "Get a new one"),
        ({"exp": NOW + 3}, True, ", ends in ", "Get a new one"),
        ({"exp": NOW + 590}, True, ", ends in 9 min", "Get a new one"),
        ({"exp": NOW + 3700}, True, ", ends in 61 min", ""),
        ({"exp": NOW + 86_400.5}, True, ", ends in 2", ""),
        ({"nbf": NOW + 1}, True, " characters", ""),
        ({"nbf": NOW + 100}, False, ", not valid for another 100 s (nbf)", "Get a new one"),
        ({"iat": NOW + 1}, True, " characters", ""),
        ({"iat": NOW + 100, "exp": NOW + 9000}, None, ", issued 100 s in the future (iat)", "clock"),
        ({"iat": NOW - 100, "nbf": NOW - 100, "exp": NOW + 9000}, True, ", ends in 2 h", ""),
        ({}, True, " characters", ""),
        ({"exp": "soon"}, True, " characters", ""),
        ({"exp": True}, True, " characters", ""),
        ({"exp": 1e300}, True, " characters", ""),
        ({"exp": None, "iat": [1]}, True, " characters", ""),
    ],
)
def test_the_times_of_a_given_token_are_judged_by_the_tenants_clock(
    local: float, claims: dict[str, Any], ok: bool | None, shown: str, remedy: str
) -> None:
    """However wrong the local clock is."""
    clock = FakeClock(start=NOW + local)
    given = _token(**claims)
    with (
        ScriptedServer(_USERS, now=lambda: float(NOW)) as server,
        connect(server, token=given, clock=clock) as client,
    ):
        check = _checked(client)["token"]
    assert check.ok is ok
    assert f"given, {len(given)} characters" in check.detail
    assert shown in check.detail
    assert remedy in check.remedy
    assert bool(remedy) == bool(check.remedy)


def test_a_refusal_shows_the_tenants_clock_too() -> None:
    """A strict tenant refuses the token that has ended; how long ago is known from its Date."""
    refused = boom(401, "Unauthorized", "Expired token received for JSON Web Token validation")
    with (
        ScriptedServer(refused, now=lambda: float(NOW)) as server,
        connect(server, token=_token(exp=NOW - 100), clock=FakeClock(start=NOW - 9000)) as client,
    ):
        found = _checked(client)
    assert (found["token"].ok, found["read users"].ok) == (False, False)
    assert "ended 100 s ago" in found["token"].detail


def test_without_a_response_the_local_clock_judges() -> None:
    """It is all that there is."""
    url = f"http://127.0.0.1:{free_port()}"
    with ManagementClient(url, token=_token(exp=NOW - 100), clock=FakeClock(start=NOW)) as client:
        found = _checked(client)
    assert "ended 1" in found["token"].detail
    assert (found["token"].ok, found["domain"].ok) == (False, False)


def test_each_source_of_tokens_has_its_remedy() -> None:
    """A function has to return another one; a fetched token that has ended is a matter of clocks."""
    ended = _token(exp=NOW - 100)

    def respond(seen: Seen) -> Reply:
        return token(ended) if seen.path == "/oauth/token" else _USERS

    for settings, how, remedy in (
        ({"token": lambda: ended}, "from the function", "function"),
        ({"client_id": "c", "client_secret": "s"}, "fetched", "clocks"),
        ({"token": ended}, "given", "client_id"),
    ):
        with (
            ScriptedServer(respond, now=lambda: float(NOW)) as server,
            connect(server, clock=FakeClock(start=NOW), **settings) as client,
        ):
            check = _checked(client)["token"]
        assert check.ok is False
        assert check.detail.startswith(how)
        assert remedy in check.remedy


def test_a_token_that_somebody_renews_may_end_soon() -> None:
    """Nobody has to do anything about it."""
    soon = _token(exp=NOW + 60)
    with (
        ScriptedServer(_USERS, now=lambda: float(NOW)) as server,
        connect(server, token=lambda: soon, clock=FakeClock(start=NOW)) as client,
    ):
        check = _checked(client)["token"]
    assert (check.ok, check.remedy) == (True, "")
    assert "ends in " in check.detail


@pytest.mark.parametrize("strict", [False, True])
def test_an_expired_token_fails_at_any_local_tenant(strict: bool) -> None:
    """Even at one that accepts every token, where CI would be green with it; its time is that of the moved clock."""
    local = pytest.importorskip("auth0_meta.emulator").LocalTenant(strict=strict)
    with local as tenant:
        foreign = _token(aud=f"{tenant.url}/api/v2/", exp=int(tenant.clock.time()) + 1000)
        own = tenant.token(expires_in=1000)
        tenant.clock.advance(3000)
        with ManagementClient(tenant.url, token=own if strict else foreign) as client:
            found = _checked(client)
    assert found["token"].ok is False
    assert "ended 33 min ago" in found["token"].detail
    assert found["read users"].ok is not strict


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
