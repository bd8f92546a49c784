"""Where tokens come from, when they are renewed, and how the token endpoint may respond."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_server import Reply, ScriptedServer, boom, connect, token

from auth0_meta.auth.tokens import Budget, CalledToken, Fetch, FetchedToken, GivenToken
from auth0_meta.clock import Cancelled
from auth0_meta.errors import AuthError, ConfigError, NotSentError, RateLimitError, TransportError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.testing import FakeClock


def _budget(max_wait: float | None = None, cancelled: threading.Event | None = None) -> WaitBudget:
    return WaitBudget(max_wait=max_wait, cancelled=cancelled)


def _counting(*lives: float) -> tuple[list[str], Fetch]:
    """Return the list of fetched tokens, and a function that returns t1, t2, ... with these lifetimes."""
    given: list[str] = []

    def fetch(_: Budget) -> Mapping[str, Any]:
        given.append(f"t{len(given) + 1}")
        return {"access_token": given[-1], "expires_in": lives[min(len(given), len(lives)) - 1]}

    return given, fetch


# Renewal ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("life", "margin"), [(86400, 60), (1000, 60), (600, 60), (590, 59), (100, 10), (1, 0.1)]
)
def test_a_token_is_renewed_before_it_expires(life: float, margin: float) -> None:
    """It is renewed when less than min(60 s, 10 % of its lifetime) remains, and not before."""
    clock = FakeClock()
    given, fetch = _counting(life)
    source = FetchedToken(fetch, clock=clock)
    assert source.get(_budget()) == "t1"
    clock.advance(life - margin - 0.001)
    assert source.get(_budget()) == "t1"
    clock.advance(0.002)
    assert source.get(_budget()) == "t2"
    assert given == ["t1", "t2"]


def test_a_tokens_age_counts_from_before_the_request() -> None:
    """The time that a fetch takes is part of the token's lifetime, and the wall clock does not matter."""
    clock = FakeClock()
    given, fetch = _counting(100)

    def slow(budget: Budget) -> Mapping[str, Any]:
        clock.sleep(50)
        return fetch(budget)

    source = FetchedToken(slow, clock=clock)
    source.get(_budget())
    clock.step(86_400)
    clock.advance(39.9)
    assert source.get(_budget()) == "t1"
    clock.advance(0.2)
    assert source.get(_budget()) == "t2"
    assert len(given) == 2


@pytest.mark.parametrize(
    "failure",
    [NotSentError("down"), AuthError("no", status=401), RateLimitError("later", status=429), None],
    ids=["down", "refused", "limited", "garbage"],
)
def test_a_failed_renewal_keeps_a_valid_token(failure: Exception | None) -> None:
    """While the old token is valid, a failed renewal raises nothing and is tried again after 5 s."""
    clock = FakeClock()
    tries: list[float] = []

    def fetch(_: Budget) -> Mapping[str, Any]:
        tries.append(clock.monotonic())
        if len(tries) == 1:
            return {"access_token": "old", "expires_in": 1000}
        if failure is not None:
            raise failure
        return {"access_token": "spaces in it", "expires_in": 1000}

    source = FetchedToken(fetch, clock=clock)
    source.get(_budget())
    clock.advance(941)
    assert [source.get(_budget()) for _ in range(3)] == ["old"] * 3
    clock.advance(4.9)
    assert source.get(_budget()) == "old"
    assert tries == [0, 941]
    clock.advance(0.2)
    assert source.get(_budget()) == "old"
    assert tries == pytest.approx([0, 941, 946.1])
    clock.advance(1000 - 946.1)
    with pytest.raises(type(failure) if failure is not None else AuthError):
        source.get(_budget())


def test_other_threads_keep_working_during_a_renewal() -> None:
    """They use the old token without waiting."""
    clock, started, release = FakeClock(), threading.Event(), threading.Event()
    given, fetch = _counting(1000)

    def slow(budget: Budget) -> Mapping[str, Any]:
        if given:
            started.set()
            assert release.wait(5)
        return fetch(budget)

    source = FetchedToken(slow, clock=clock)
    source.get(_budget())
    clock.advance(950)
    with ThreadPoolExecutor(1) as pool:
        renewing = pool.submit(source.get, _budget())
        assert started.wait(5)
        assert source.get(_budget()) == "t1"
        release.set()
        assert renewing.result(5) == "t2"
    assert source.get(_budget()) == "t2"


def test_one_fetch_serves_all_threads() -> None:
    """Threads that need a token at the same time share one fetch."""
    given, fetch = _counting(1000)
    together = threading.Barrier(8)

    def slow(budget: Budget) -> Mapping[str, Any]:
        time.sleep(0.1)
        return fetch(budget)

    source = FetchedToken(slow, clock=FakeClock())

    def ask(_: int) -> str:
        together.wait(5)
        return source.get(_budget())

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {"t1"}
    assert given == ["t1"]


def test_a_short_budget_does_not_wait_for_a_long_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread with a short wait budget makes its own fetch if another's takes longer."""
    monkeypatch.setattr("auth0_meta.auth.tokens.COURTESY", 0.05)
    started, release = threading.Event(), threading.Event()

    def fetch(budget: WaitBudget) -> Mapping[str, Any]:
        if budget.max_wait is None:
            started.set()
            assert release.wait(5)
        return {"access_token": f"for-{budget.max_wait}", "expires_in": 1000}

    source = FetchedToken(fetch, clock=FakeClock())
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(source.get, _budget())
        assert started.wait(5)
        assert source.get(_budget(0.0)) == "for-0.0"
        release.set()
        assert patient.result(5) == "for-None"


def _fetching() -> tuple[Fetch, threading.Event, threading.Event]:
    """Return a fetch that takes until it is released, and the events of its start and its release."""
    started, release = threading.Event(), threading.Event()

    def fetch(_: Budget) -> Mapping[str, Any]:
        started.set()
        assert release.wait(10)
        return {"access_token": "t", "expires_in": 1000}

    return fetch, started, release


@pytest.mark.parametrize("before", [True, False], ids=["cancelled before", "cancelled while it waits"])
def test_waiting_for_another_threads_fetch_can_be_cancelled(before: bool) -> None:
    """However long the fetch takes, a cancelled caller returns almost at once."""
    fetch, started, release = _fetching()
    source, event = FetchedToken(fetch, clock=FakeClock()), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        fetching = pool.submit(source.get, _budget())
        assert started.wait(5)
        if before:
            event.set()
        waiting = pool.submit(source.get, _budget(900.0, event))
        if not before:
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            event.set()
        with pytest.raises(Cancelled):
            waiting.result(1)
        release.set()
        assert fetching.result(5) == "t"
    assert source.get(_budget(900.0, event)) == "t", "a thread waited although there was a token"


def test_waiting_for_another_threads_fetch_ends_soon_after_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a stop, an operation that must finish its write has half a minute, including waits for a token."""
    monkeypatch.setattr("auth0_meta.auth.tokens.COURTESY", 0.0)
    started, release, event = threading.Event(), threading.Event(), threading.Event()
    clock = FakeClock()

    def fetch(budget: WaitBudget) -> Mapping[str, Any]:
        if not started.is_set():
            started.set()
            assert release.wait(10)
        return {"access_token": f"for-{budget.user_id}", "expires_in": 1000}

    source = FetchedToken(fetch, clock=clock)  # type: ignore[arg-type]  # every budget here is a WaitBudget
    budget = WaitBudget(max_wait=None, user_id="auth0|1", cancelled=event, clock=clock)
    budget.see_through()
    with ThreadPoolExecutor(2) as pool:
        fetching = pool.submit(source.get, WaitBudget(max_wait=None))
        assert started.wait(5)
        waiting = pool.submit(source.get, budget)
        event.set()
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        clock.advance(31)
        assert waiting.result(2) == "for-auth0|1"
        release.set()
        fetching.result(5)


def test_a_fetch_may_need_a_token_itself() -> None:
    """`on_wait` may send a request while its own thread fetches: that request makes its own fetch."""
    depth = 0

    def fetch(_: Budget) -> Mapping[str, Any]:
        nonlocal depth
        depth += 1
        name = f"t{depth}"
        if depth == 1:
            assert source.get(_budget()) == "t2"
        return {"access_token": name, "expires_in": 1000}

    source = FetchedToken(fetch, clock=FakeClock())
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(source.get, _budget()).result(5) == "t1"


def test_an_endless_budget_does_not_overflow() -> None:
    """A budget that is longer than a lock can wait counts as no limit."""
    _, fetch = _counting(10)
    assert FetchedToken(fetch, clock=FakeClock()).get(_budget(float("inf"))) == "t1"


# Replacement -----------------------------------------------------------------------------------------


def test_a_refused_token_is_replaced_once() -> None:
    """A refused token is forgotten; refusing it again leaves its successor alone."""
    given, fetch = _counting(1000)
    source = FetchedToken(fetch, clock=FakeClock())
    assert source.replace("none yet", _budget())
    first = source.get(_budget())
    assert source.replace(first, _budget())
    assert source.get(_budget()) == "t2"
    assert source.replace(first, _budget())
    assert source.get(_budget()) == "t2"
    assert given == ["t1", "t2"]


def test_a_renewal_that_fails_does_not_bring_back_a_refused_token() -> None:
    """A token that is refused during its renewal stays forgotten if the renewal fails."""
    clock = FakeClock()
    source: FetchedToken

    def fetch(_: Budget) -> Mapping[str, Any]:
        if clock.monotonic() == 950:
            source.replace("t", _budget())
            raise NotSentError("down")
        return {"access_token": "t" if not clock.monotonic() else "new", "expires_in": 1000}

    source = FetchedToken(fetch, clock=clock)
    source.get(_budget())
    clock.advance(950)
    assert source.get(_budget()) == "t"
    clock.advance(0.1)
    assert source.get(_budget()) == "new"


def test_fresh_locks_keep_the_token() -> None:
    """After a fork the token is still there, and a lock that another thread held is free."""
    _, fetch = _counting(1000)
    inside, release = threading.Event(), threading.Event()

    def slow(budget: Budget) -> Mapping[str, Any]:
        if not inside.is_set():
            inside.set()
            assert release.wait(5)
        return fetch(budget)

    source = FetchedToken(slow, clock=FakeClock())
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(source.get, _budget())
        assert inside.wait(5)
        source._renew_locks()
        assert source.get(_budget()) == "t1"
        release.set()
        held.result(5)
    for other in (GivenToken("t"), CalledToken(lambda: "t")):
        other._renew_locks()
        assert other.get(_budget()) == "t"


# Given tokens ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["", " ", "a b", "a\nb", "a\tb", "\u00e9", "a\x00b", None, b"abc", 5, ["a"]])
def test_a_token_must_fit_into_a_header(bad: Any) -> None:
    """A token that can't be sent in a header is refused before anything is sent, and is not shown."""
    with pytest.raises(ConfigError) as caught:
        GivenToken(bad)
    with pytest.raises(ConfigError):
        CalledToken(lambda: bad).get(_budget())
    assert not isinstance(bad, str) or len(bad) < 3 or bad not in str(caught.value)


def test_an_async_token_function_is_refused(recwarn: pytest.WarningsRecorder) -> None:
    """Nothing would await what it returns."""

    async def function() -> str:
        return "t"

    class Later:
        def __await__(self) -> Iterator[str]:
            yield "t"

    for wrong in (function, Later):
        with pytest.raises(ConfigError, match="is async"):
            CalledToken(wrong).get(_budget())  # type: ignore[arg-type]
    gc.collect()
    assert not recwarn.list


def test_a_token_function_that_uses_its_own_client_is_refused() -> None:
    """That client needs a token for what the function sends; the error says so at once, and the next call works."""
    with ScriptedServer(Reply(200, {"user_id": "x"})) as server:
        ask = True

        def function() -> str:
            return str(client.users.get("x").user_id) if ask else "a.b.c"

        with connect(server, token=function) as client:
            for _ in range(2):
                with pytest.raises(ConfigError, match="another client"):
                    client.users.get("x")
            assert not server.seen
            ask = False
            assert client.users.get("x").user_id == "x"


def test_a_token_passed_as_a_string_is_not_replaced() -> None:
    """There is nothing to replace it with."""
    source = GivenToken("abc")
    assert source.get(_budget()) == "abc"
    assert not source.replace("abc", _budget())


@pytest.mark.parametrize(("gives", "other"), [(["a", "a"], False), (["a", "b"], True)])
def test_a_function_is_called_again(gives: list[str], other: bool) -> None:
    """After a refusal the function has a new token only if it returns another one."""
    left = iter(gives)
    source = CalledToken(lambda: next(left))
    assert source.replace(source.get(_budget()), _budget()) is other


# Responses of the token endpoint ---------------------------------------------------------------------

_GARBAGE = [
    {},
    {"access_token": "t"},
    {"expires_in": 60},
    {"access_token": "", "expires_in": 60},
    {"access_token": None, "expires_in": 60},
    {"access_token": 5, "expires_in": 60},
    {"access_token": "a b", "expires_in": 60},
    {"access_token": "\u00e9", "expires_in": 60},
    {"access_token": "t", "expires_in": "60"},
    {"access_token": "t", "expires_in": None},
    {"access_token": "t", "expires_in": True},
    {"access_token": "t", "expires_in": 0},
    {"access_token": "t", "expires_in": -5},
    {"access_token": "t", "expires_in": float("nan")},
    {"access_token": "t", "expires_in": float("inf")},
]


@pytest.mark.parametrize("response", _GARBAGE, ids=repr)
def test_a_garbage_response_is_a_typed_error(response: dict[str, Any]) -> None:
    """A response without a usable token and lifetime raises AuthError, and nothing of it is kept."""
    source = FetchedToken(lambda _: response, clock=FakeClock())
    with pytest.raises(AuthError):
        source.get(_budget())


@given(
    st.dictionaries(
        st.sampled_from(["access_token", "expires_in", "scope"]),
        st.none() | st.text() | st.floats() | st.integers() | st.lists(st.text()),
    )
)
def test_any_response_is_a_token_or_an_auth_error(response: dict[str, Any]) -> None:
    """Any JSON object results in a token that fits into a header, or in AuthError."""
    source = FetchedToken(lambda _: response, clock=FakeClock())
    try:
        got = source.get(_budget())
    except AuthError:
        return
    assert GivenToken(got).get(_budget()) == response["access_token"]
    assert source.scope is None or source.scope == response["scope"]


@pytest.mark.parametrize("raw", [b"<html>portal</html>", b"", b"[]", b"null"])
def test_without_a_token_response_nothing_else_is_sent(raw: bytes) -> None:
    """If the token endpoint sends something else, the request that needs the token is not sent."""
    with (
        ScriptedServer(Reply(raw=raw)) as server,
        connect(server, client_id="c", client_secret="s") as client,
    ):
        with pytest.raises(NotSentError) as caught:
            client.users.update("auth0|1", {"name": "x"})
        assert server.paths() == ["/oauth/token"]
        assert caught.value.user_id == "auth0|1"
        assert isinstance(caught.value.__cause__, TransportError)
        assert "applied" not in f"{caught.value} {caught.value.__cause__}"  # a token request changes nothing


# On the wire -----------------------------------------------------------------------------------------


def test_client_credentials_travel_as_a_form() -> None:
    """The secret is exchanged once, in a form; the token is then sent as Bearer."""
    with ScriptedServer(token(scope="read:users"), Reply()) as server:
        with connect(
            server, client_id="c&d", client_secret="s=/%", audience="https://canonical/api/v2/"
        ) as client:
            client.users.get("auth0|1")
            client.users.get("auth0|1")
        first, *rest = server.seen
        assert (first.method, first.path) == ("POST", "/oauth/token")
        assert first.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert "Authorization" not in first.headers
        assert first.form == {
            "grant_type": "client_credentials",
            "client_id": "c&d",
            "client_secret": "s=/%",
            "audience": "https://canonical/api/v2/",
        }
        assert [s.headers["Authorization"] for s in rest] == ["Bearer fetched-token"] * 2


def test_the_audience_defaults_to_the_domain() -> None:
    """Without `audience` the token is for the domain's own Management API, with https and the final slash."""
    with (
        ScriptedServer(token(), Reply()) as server,
        connect(server, client_id="c", client_secret="s") as client,
    ):
        client.users.get("auth0|1")
        assert (
            server.seen[0].form["audience"] == f"https://127.0.0.1:{server.port}/api/v2/" == client.audience
        )


@pytest.mark.parametrize("status", [500, 503])
def test_a_failing_token_endpoint_is_tried_again(status: int) -> None:
    """After a 5xx or a dropped connection the token request is repeated."""
    with ScriptedServer(Reply(status), Reply(close=True), token(), Reply()) as server:
        clock = FakeClock()
        with connect(server, client_id="c", client_secret="s", clock=clock) as client:
            client.users.get("auth0|1")
        assert server.paths() == ["/oauth/token"] * 3 + ["/api/v2/users/auth0%7C1"]
        assert len(clock.slept) == 2


def test_waits_for_a_token_count_against_the_operations_budget() -> None:
    """A token endpoint that stays down uses up the wait budget of the call that needs the token; the call is not sent."""
    clock = FakeClock()
    with ScriptedServer(Reply(503)) as server:
        client = connect(server, client_id="c", client_secret="s", clock=clock, max_wait=2.0)
        with client, pytest.raises(NotSentError) as caught:
            client.users.update("auth0|1", {"name": "x"})
        assert set(server.paths()) == {"/oauth/token"}
        assert sum(clock.slept) <= 2.0
        assert "503" in str(caught.value)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(401, {"error": "access_denied", "error_description": "Unauthorized"}), "access_denied"),
        (
            Reply(
                403,
                {
                    "error": "access_denied",
                    "error_description": 'Client is not authorized to access "https://x/api/v2/". You need to create'
                    ' a "client-grant" associated to this API.',
                },
            ),
            "access_denied",
        ),
        (
            Reply(
                400,
                {
                    "error": "unauthorized_client",
                    "error_description": "Grant type 'client_credentials' not allowed for the client.",
                },
            ),
            "unauthorized_client",
        ),
        (Reply(404, raw=b"<html>no such tenant"), None),
        (boom(403, "Forbidden", "no", "insufficient_scope"), "insufficient_scope"),
    ],
)
def test_a_refused_token_request_is_an_auth_error(reply: Reply, code: str | None) -> None:
    """Any 4xx of the token endpoint raises AuthError with Auth0's code, after one request."""
    with ScriptedServer(reply) as server, connect(server, client_id="c", client_secret="hunter2") as client:
        with pytest.raises(AuthError) as caught:
            client.users.get("auth0|1")
        assert (caught.value.status, caught.value.error_code) == (reply.status, code)
        assert len(server.seen) == 1
        assert "hunter2" not in str(caught.value)


def test_a_token_quota_is_a_rate_limit() -> None:
    """After a 429 of the token endpoint the client waits for as long as its Retry-After says."""
    body = {"error": "too_many_requests", "error_description": "Client quota exceeded"}
    with ScriptedServer(Reply(429, body, {"Retry-After": "7"}), token(), Reply()) as server:
        clock = FakeClock()
        with connect(server, client_id="c", client_secret="s", clock=clock) as client:
            client.users.get("auth0|1")
        assert sum(clock.slept) == pytest.approx(7.15, abs=0.11)


def test_a_401_brings_one_new_token_and_one_retry() -> None:
    """After a 401 for a fetched token, exactly one new token is fetched, and the request is sent once more."""
    refused = boom(401, "Unauthorized", "Expired token received for JSON Web Token validation")
    with ScriptedServer(token("t1"), refused, token("t2"), Reply()) as server:
        with connect(server, client_id="c", client_secret="s") as client:
            client.users.update("auth0|1", {"name": "x"})
        sent = [s.headers.get("Authorization") for s in server.seen]
        assert sent == [None, "Bearer t1", None, "Bearer t2"]


def test_a_second_401_is_raised() -> None:
    """If the new token is refused as well, the call fails."""
    refused = boom(401, "Unauthorized", "Bad audience: https://x/")
    with ScriptedServer(token("t1"), refused, token("t2"), refused) as server:
        with connect(server, client_id="c", client_secret="s") as client, pytest.raises(AuthError) as caught:
            client.users.get("auth0|1")
        assert len(server.seen) == 4
        assert "canonical" in str(caught.value)


def test_a_401_for_a_token_passed_as_a_string_is_raised() -> None:
    """It raises AuthError at once."""
    with ScriptedServer(boom(401, "Unauthorized", "Invalid token")) as server, connect(server) as client:
        with pytest.raises(AuthError):
            client.users.get("auth0|1")
        assert len(server.seen) == 1


@pytest.mark.parametrize(("gives", "requests"), [(["a", "a"], 1), (["a", "b", "b"], 2)])
def test_a_token_function_decides_whether_a_401_is_retried(gives: list[str], requests: int) -> None:
    """A 401 is retried once, if the function returns another token."""
    left = iter(gives)
    with ScriptedServer(boom(401, "Unauthorized", "Invalid token")) as server:
        with connect(server, token=lambda: next(left)) as client, pytest.raises(AuthError):
            client.users.get("auth0|1")
        assert len(server.seen) == requests


def test_a_token_that_expires_during_a_wait_is_renewed_before_the_retry() -> None:
    """After a wait that is longer than the token's life, the request is sent with a new token."""
    with ScriptedServer(
        token("t1", expires_in=100), Reply(429, {}, {"Retry-After": "200"}), token("t2"), Reply()
    ) as server:
        with connect(server, client_id="c", client_secret="s", clock=FakeClock()) as client:
            client.users.get("auth0|1")
        assert [s.headers.get("Authorization") for s in server.seen] == [None, "Bearer t1", None, "Bearer t2"]


def test_a_renewal_that_fails_after_a_wait_is_raised() -> None:
    """If there is no token after a wait, the request is not sent; the next call works."""
    down = Reply(401, {"error": "access_denied", "error_description": "Unauthorized"})
    with ScriptedServer(
        token("t1", expires_in=100), Reply(429, {}, {"Retry-After": "200"}), down, token("t2"), Reply()
    ) as server:
        with connect(server, client_id="c", client_secret="s", clock=FakeClock()) as client:
            with pytest.raises(AuthError):
                client.users.get("auth0|1")
            client.users.get("auth0|1")
        assert server.seen[-1].headers["Authorization"] == "Bearer t2"
