from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import pairwise
from typing import Any

import pytest
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, free_port, limited, token

from auth0_meta import ManagementClient, Wait
from auth0_meta.clock import Cancelled
from auth0_meta.errors import (
    ApiError,
    BadRequestError,
    NotSentError,
    OutcomeUnknown,
    RateLimitError,
    ResourceConflictError,
    ServerError,
    TransportError,
)
from auth0_meta.http.budget import Deadline, Freshness, LongWait, WaitBudget
from auth0_meta.http.request import Request
from auth0_meta.testing import FakeClock

HOUR = 3600.0
BODY = {"name": "Ada"}


def _patch(client: ManagementClient) -> None:
    client.users.update("auth0|1", BODY)


# 429: on time ----------------------------------------------------------------------------------------


def test_two_429s_take_three_patches_on_time() -> None:
    """With Reset 2 s ahead, each PATCH is sent on time, even if the server's clock is wrong."""

    def run(offset: float) -> list[tuple[float, float]]:
        """Return the earliest allowed and the actual time of each resend, both by this machine's clock."""
        due: list[float] = []

        def refuse(_: Seen) -> Reply:
            reply = limited(2, offset=offset)
            due.append(int(reply.headers["X-RateLimit-Reset"]) - offset)
            return reply

        with ScriptedServer(refuse, refuse, Reply()) as server, connect(server) as client:
            _patch(client)
            assert server.methods() == ["PATCH"] * 3
            assert {s.body for s in server.seen} == {b'{"name":"Ada"}'}
            return list(zip(due, [s.at for s in server.seen[1:]], strict=True))

    with ThreadPoolExecutor(3) as pool:
        for resends in pool.map(run, [0.0, HOUR, -HOUR]):
            for earliest, sent in resends:
                assert earliest <= sent <= earliest + 1.6


@pytest.mark.parametrize("offset", [0.0, HOUR, -HOUR])
@pytest.mark.parametrize("fraction", [0.0, 0.4, 0.999])
@pytest.mark.parametrize("ahead", [1, 2, 30, 86_000])
@pytest.mark.parametrize("known", [True, False])
def test_a_request_is_sent_again_after_reset(
    ahead: int, fraction: float, offset: float, *, known: bool
) -> None:
    """It is sent after Reset by the server's clock, at most 0.5 s late if earlier responses have bounded that, else 1.6 s."""
    clock = FakeClock(start=1_800_000_000 + (0 if known else fraction))
    sent_at: list[float] = []
    resets: list[int] = []

    def note(_: Seen) -> Reply:
        sent_at.append(clock.time() + offset)
        if len(sent_at) > 1:
            return Reply()
        reply = limited(ahead, offset=offset, now=clock.time)
        resets.append(int(reply.headers["X-RateLimit-Reset"]))
        return reply

    with (
        ScriptedServer(*[Reply(clock_offset=offset)] * known, note, now=clock.time) as server,
        connect(server, clock=clock, max_wait=None) as client,
    ):
        if known:
            _patch(client)
            clock.advance(fraction)
        _patch(client)
    late = sent_at[1] - resets[0]
    assert 0 < late <= (0.5 if known else 1.6)


@pytest.mark.parametrize(
    ("headers", "least", "most"),
    [
        ({"X-RateLimit-Reset": "{now}"}, 1.0, 1.25),
        ({"X-RateLimit-Reset": "{past}"}, 1.0, 1.25),
        ({}, 0.5, 0.75),
        ({"X-RateLimit-Reset": "soon"}, 0.5, 0.75),
        ({"X-RateLimit-Reset": "-5"}, 0.5, 0.75),
        ({"X-RateLimit-Reset": ""}, 0.5, 0.75),
        ({"X-RateLimit-Reset": "{years}"}, 0.5, 0.75),
        ({"X-RateLimit-Reset": "{later}", "Retry-After": "3"}, 3.0, 3.3),
        ({"X-RateLimit-Reset": "{now}", "Retry-After": "3"}, 3.0, 3.3),
        ({"Retry-After": "0"}, 1.0, 1.25),
    ],
    ids=str,
)
def test_an_odd_reset_or_a_retry_after_decides_the_wait(
    headers: dict[str, str], least: float, most: float
) -> None:
    """If Reset is now or past, the wait is the shortest one; without a usable Reset the client backs off; Retry-After takes precedence."""
    bare = dict.fromkeys(("X-RateLimit-Limit", "X-RateLimit-Remaining"), "")
    clock = FakeClock()
    now = int(clock.time())
    words = {"now": now, "past": now - 500, "years": now + 10**8, "later": now + 60}
    given = {name: value.format(**words) for name, value in headers.items()}
    with ScriptedServer(limited(**bare, **given), Reply(), now=clock.time) as server:
        with connect(server, clock=clock) as client:
            _patch(client)
        assert server.methods() == ["PATCH"] * 2
    assert least <= sum(clock.slept) <= most


@pytest.mark.parametrize("headers", [{"X-RateLimit-Reset": "0"}, {}], ids=["past", "absent"])
def test_waits_grow_while_the_server_refuses(headers: dict[str, str]) -> None:
    """The shortest wait and the backoff double with each refusal in a row, so that a wrong Reset causes no hot loop."""
    clock = FakeClock()
    replies = [Reply(429, {}, headers) for _ in range(5)]
    with ScriptedServer(*replies, Reply(), now=clock.time) as server:
        with connect(server, clock=clock) as client:
            _patch(client)
        assert len(server.seen) == 6
    waits = clock.slept
    assert len(waits) == 5
    assert all(later > 1.5 * earlier for earlier, later in pairwise(waits))


def test_a_429_without_headers_is_retried() -> None:
    """Without any header, not even Date, the request is repeated after a backoff."""
    clock = FakeClock()
    bare = Reply(429, {"statusCode": 429, "error": "Too Many Requests"}, date=False)
    with ScriptedServer(bare, bare, Reply()) as server, connect(server, clock=clock) as client:
        _patch(client)
        assert len(server.seen) == 3
    assert sum(clock.slept) >= 1.5


def test_the_429_for_import_jobs_is_raised_at_once() -> None:
    """Two import jobs are active; there is no `retry_at`."""
    message = (
        "There are 2 active import users jobs, please wait until some of them are finished and try again"
    )
    clock = FakeClock()
    reply = boom(429, "Too Many Requests", message, **{"X-RateLimit-Reset": str(int(clock.time()) + 2)})
    with ScriptedServer(reply, Reply(), now=clock.time) as server, connect(server, clock=clock) as client:
        with pytest.raises(RateLimitError) as caught:
            client.request("POST", "jobs/users-imports", json={"a": 1})
        assert caught.value.retry_at is None
        assert len(server.seen) == 1
        client.request("POST", "jobs/users-exports", json={"a": 1})
    assert clock.slept == []


def test_all_threads_wait_at_one_gate() -> None:
    """After one thread's 429 the other threads wait too, instead of running into their own."""
    refused = threading.Event()

    def respond(_: Seen) -> Reply:
        if not refused.is_set():
            refused.set()
            return Reply(429, {}, {"Retry-After": "1"})
        return Reply()

    with ScriptedServer(respond) as server, connect(server) as client:
        with ThreadPoolExecutor(5) as pool:
            first = pool.submit(_patch, client)
            assert refused.wait(5)
            time.sleep(0.1)
            others = [pool.submit(_patch, client) for _ in range(4)]
            for one in [first, *others]:
                one.result(10)
        begun, *rest = [s.at for s in server.seen]
        assert len(rest) == 5
        assert min(rest) >= begun + 1.0


# 429: the budget -------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, HOUR, -HOUR])
def test_a_reset_past_the_budget_raises_at_once(offset: float) -> None:
    """If Reset is four hours ahead, max_wait=60 raises RateLimitError at once, with `retry_at` and without a wait."""
    clock = FakeClock()
    begun = clock.time()
    waits: list[Wait] = []
    reply = limited(4 * HOUR, offset=offset, now=clock.time)
    with ScriptedServer(reply, now=clock.time) as server:
        with connect(server, clock=clock, max_wait=60, on_wait=waits.append) as client:
            with pytest.raises(RateLimitError) as caught:
                _patch(client)
            with pytest.raises(RateLimitError) as again:
                _patch(client)
        assert len(server.seen) == 1
    assert clock.slept == []
    assert waits == []
    assert caught.value.error_code == "too_many_requests"
    for error in (caught.value, again.value):
        assert (error.status, error.user_id, error.waited) == (429, "auth0|1", 0.0)
        assert error.retry_at == pytest.approx(begun + 4 * HOUR, abs=1.6)
    assert "Nothing was written" in str(caught.value)
    assert "Nothing was written" in str(again.value)


@pytest.mark.parametrize(
    ("max_wait", "sent"), [(3.0, 1), (3.3, 2), (None, 2), (0, 1), (0.0, 1), ("client", 2)]
)
def test_the_budget_is_per_call(max_wait: Any, sent: int) -> None:
    """A call's `max_wait` overrides the client's; None means no limit; 0 never waits."""
    clock = FakeClock()
    with ScriptedServer(Reply(429, {}, {"Retry-After": "3"}), Reply()) as server:
        with connect(server, clock=clock, max_wait=100) as client:
            try:
                client.request("PATCH", "users/auth0%7C1", json=BODY, max_wait=max_wait)
            except RateLimitError:
                assert sent == 1
        assert len(server.seen) == sent
    assert bool(clock.slept) == (sent == 2)


def test_the_budget_counts_every_wait_of_the_call() -> None:
    """Waits add up: one that would exceed the budget does not begin, and the next call has a new budget."""
    clock = FakeClock()
    refusals = [Reply(429, {}, {"Retry-After": "3"})] * 3
    with ScriptedServer(*refusals, Reply()) as server, connect(server, clock=clock, max_wait=7) as client:
        with pytest.raises(RateLimitError) as caught:
            _patch(client)
        assert len(server.seen) == 3
        assert 6 <= sum(clock.slept) <= 6.5
        assert caught.value.waited == pytest.approx(sum(clock.slept))
        _patch(client)
        assert len(server.seen) == 4


def test_a_gate_that_stays_closed_is_a_rate_limit_error() -> None:
    """If the gate stays closed past the budget of a caller who waits there, RateLimitError gives the whole wait."""
    arrived, waiting = threading.Event(), threading.Event()

    def slow(_: Seen) -> Reply:
        arrived.set()
        assert waiting.wait(20)
        return Reply(429, {}, {"Retry-After": "40"})

    fast = Reply(429, {}, {"Retry-After": "10"})
    with (
        ScriptedServer(Reply(), slow, fast) as server,
        connect(server, on_wait=lambda _: waiting.set()) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        _patch(client)
        other = pool.submit(client.request, "PATCH", "users/x", json=BODY, max_wait=0)
        assert arrived.wait(20)
        with pytest.raises(RateLimitError) as caught:
            client.request("PATCH", "users/x", json=BODY, max_wait=20)
        with pytest.raises(RateLimitError):
            other.result(20)
        assert 0 < caught.value.waited < 20
        assert caught.value.retry_at is not None
        assert len(server.seen) == 3


# Reports ---------------------------------------------------------------------------------------------


def test_every_wait_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """`on_wait` is called once before each wait, with its details, and each wait is logged once."""
    clock = FakeClock()
    waits: list[tuple[Wait, float, int]] = []
    replies = [Reply(429, {}, {"Retry-After": "3"}), Reply(503), Reply(close=True), Reply()]
    with (
        ScriptedServer(*replies, now=clock.time) as server,
        connect(
            server, clock=clock, on_wait=lambda w: waits.append((w, clock.time(), len(server.seen)))
        ) as client,
        caplog.at_level(logging.DEBUG, logger="auth0_meta"),
    ):
        _patch(client)
    assert [w.reason for w, _, _ in waits] == ["rate limit", "server error", "connection"]
    assert [w.attempt for w, _, _ in waits] == [1, 2, 3]
    assert [seen for _, _, seen in waits] == [1, 2, 3]
    assert [w.seconds for w, _, _ in waits] == pytest.approx(clock.slept)
    for wait, at, _ in waits:
        assert wait.retry_at == pytest.approx(at + wait.seconds)
        assert (wait.bucket, wait.method, wait.user_id) == ("users write", "PATCH", "auth0|1")
    logged = [r for r in caplog.records if r.name == "auth0_meta"]
    assert sum(r.levelno == logging.WARNING for r in logged) == 3
    assert not any("Ada" in r.getMessage() or "given-token" in r.getMessage() for r in logged)


@pytest.mark.parametrize("reply", [Reply(429, {}, {"Retry-After": "1"}), Reply(503)], ids=["gate", "backoff"])
def test_a_report_that_fails_ends_the_call(reply: Reply) -> None:
    """An error that `on_wait` raises reaches the caller; nothing more is sent, and the client still works."""

    def fail(_: Wait) -> None:
        raise KeyboardInterrupt

    with ScriptedServer(reply, Reply()) as server, connect(server, on_wait=fail, clock=FakeClock()) as client:
        with pytest.raises(KeyboardInterrupt):
            _patch(client)
        assert len(server.seen) == 1
        client.request("GET", "clients")


# 5xx and lost connections ----------------------------------------------------------------------------

FAULTS = [
    Reply(500),
    Reply(502, raw=b"<html>bad gateway</html>"),
    Reply(503),
    Reply(599),
    Reply(close=True),
    Reply(missing=9),
]
CALLS: list[tuple[str, Callable[[ManagementClient], object]]] = [
    ("GET", lambda c: c.users.get("auth0|1")),
    ("PATCH", _patch),
    ("DELETE", lambda c: c.users.delete("auth0|1")),
    ("PUT", lambda c: c.request("PUT", "emails/provider", json={"a": 1})),
    ("POST", lambda c: c.request("POST", "users", json={"a": 1}, repeat=True)),
]


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize(("method", "call"), CALLS, ids=[method for method, _ in CALLS])
def test_requests_that_are_safe_to_repeat_are_repeated(
    fault: Reply, method: str, call: Callable[[Any], object]
) -> None:
    """After a 5xx or a lost response a read, an update or a delete is sent again, with growing waits."""
    clock = FakeClock()
    with ScriptedServer(fault, fault, fault, Reply()) as server, connect(server, clock=clock) as client:
        call(client)
        assert server.methods() == [method] * 4
    assert [0.5 <= s <= 0.625 for s in clock.slept[:1]] == [True]
    assert all(later > earlier for earlier, later in pairwise(clock.slept))


@pytest.mark.parametrize("fault", FAULTS, ids=str)
@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.users.create({"connection": "x"}),
        lambda c: c.request("POST", "jobs/users-exports", json={"a": 1}),
        lambda c: c.request("PATCH", "clients/x", json={"a": 1}),
    ],
)
def test_a_create_is_not_repeated(fault: Reply, call: Callable[[Any], object]) -> None:
    """If its outcome is unknown, it is sent only once, and the error says that it may have been applied."""
    clock = FakeClock()
    with ScriptedServer(fault, Reply()) as server, connect(server, clock=clock) as client:
        kind = ServerError if fault.status >= 500 else OutcomeUnknown
        doubt = "may have been applied" if kind is ServerError else "may or may not have been applied"
        with pytest.raises(kind, match=doubt):
            call(client)
        assert len(server.seen) == 1
    assert clock.slept == []


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (408, ApiError),
        (409, ResourceConflictError),
        (413, ApiError),
        (302, ApiError),
        (418, ApiError),
    ],
)
def test_a_refused_request_is_not_repeated(status: int, kind: type[ApiError]) -> None:
    """After a 4xx or 3xx a request is not sent again, whatever its method."""
    clock = FakeClock()
    with ScriptedServer(Reply(status), Reply()) as server, connect(server, clock=clock) as client:
        with pytest.raises(kind):
            _patch(client)
        assert len(server.seen) == 1
    assert clock.slept == []


@pytest.mark.parametrize("max_wait", [0, 3.0, 40.0])
@pytest.mark.parametrize(("fault", "kind"), [(Reply(503), ServerError), (Reply(close=True), OutcomeUnknown)])
def test_the_budget_ends_the_repeats(fault: Reply, kind: type[Exception], max_wait: float) -> None:
    """If the next wait would exceed the budget, the last failure is raised; no wait is longer than 30 s."""
    clock = FakeClock()
    with ScriptedServer(fault) as server, connect(server, clock=clock, max_wait=max_wait) as client:
        with pytest.raises(kind) as caught:
            _patch(client)
        assert getattr(caught.value, "user_id", None) == "auth0|1"
        assert len(server.seen) == len(clock.slept) + 1
    assert sum(clock.slept) <= max_wait
    assert all(s <= 30 for s in clock.slept)


def test_a_host_that_was_never_reached_fails_after_three_tries() -> None:
    """Before a host's first response a refused connection is tried three times, not for a quarter of an hour."""
    clock = FakeClock()
    with ManagementClient(f"http://127.0.0.1:{free_port()}", token="t", clock=clock) as client:
        for _ in range(2):
            clock.slept.clear()
            with pytest.raises(NotSentError) as caught:
                _patch(client)
            assert caught.value.user_id == "auth0|1"
            assert len(clock.slept) == 2


class _Flaky(FakeClock):
    """A clock that starts a server during the client's wait number `after`."""

    def __init__(self, revive: Callable[[], object], after: int) -> None:
        super().__init__()
        self._revive = revive
        self._after = after

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if len(self.slept) == self._after:
            self._revive()


def test_a_host_that_was_reached_is_retried_within_the_budget() -> None:
    """Once a host has responded, refused connections are retried until it is back; so is a create, which was not sent."""
    port = free_port()
    threads: list[threading.Thread] = []

    def serve_once(*bodies: bytes) -> None:
        listener = socket.create_server(("127.0.0.1", port))

        def run() -> None:
            with listener:
                for body in bodies:
                    connection, _ = listener.accept()
                    with connection:
                        connection.recv(65536)
                        connection.sendall(
                            b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\nConnection: close\r\n\r\n" + body
                        )

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        threads.append(thread)

    profile = b'{"user_id":"auth0|1"}'
    serve_once(profile)
    clock = _Flaky(lambda: serve_once(profile), after=5)
    with ManagementClient(f"http://127.0.0.1:{port}", token="t", clock=clock) as client:
        client.users.get("auth0|1")
        threads[0].join(5)
        assert client.users.create({"connection": "x"}).raw == {"user_id": "auth0|1"}
        assert len(clock.slept) == 5
        threads[1].join(5)
        with pytest.raises(NotSentError):
            client.request("GET", "clients", max_wait=3.0)


# Unusable responses ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [b"<html>portal</html>", b"", b"null", b"[]", b'"x"', b"[" * 100_000, b"\xff"],
    ids=lambda raw: repr(raw[:12]),
)
def test_a_2xx_without_a_profile_counts_as_lost(raw: bytes) -> None:
    """A write's outcome is unknown, a read fails, and neither is repeated."""
    with ScriptedServer(Reply(raw=raw)) as server, connect(server, clock=FakeClock()) as client:
        with pytest.raises(OutcomeUnknown):
            _patch(client)
        with pytest.raises(OutcomeUnknown):
            client.users.create({"connection": "x"})
        with pytest.raises(TransportError) as caught:
            client.users.get("auth0|1")
        assert not isinstance(caught.value, OutcomeUnknown)
        assert server.methods() == ["PATCH", "POST", "GET"]


# For transactions ------------------------------------------------------------------------------------


def _request(**settings: Any) -> Request:
    return Request(
        "PATCH", "/api/v2/users/x", **{"group": "users write", "body": b"{}", "repeat": False, **settings}
    )


def _soon(clock: FakeClock) -> Deadline:
    return Freshness(1.0).until(clock.monotonic())


def test_a_wait_past_the_deadline_is_announced() -> None:
    """If the wait for a 429 would pass the deadline, LongWait is raised first; `wait_out` then waits."""
    clock = FakeClock()
    waits: list[Wait] = []
    with (
        ScriptedServer(Reply(429, {}, {"Retry-After": "5"}), Reply(), now=clock.time) as server,
        connect(server, clock=clock, on_wait=waits.append) as client,
    ):
        budget = client._channel.budget()
        with pytest.raises(LongWait) as caught:
            client._channel.send(_request(), budget, deadline=_soon(clock))
        assert clock.slept == []
        assert (caught.value.reason, len(server.seen)) == ("rate limit", 1)
        client._channel.wait_out(caught.value, budget, "users write")
        assert 5 <= budget.waited <= 5.3
        assert [w.reason for w in waits] == ["rate limit"]
        assert client._channel.send(_request(), budget, deadline=_soon(clock)).status == 200
        assert (budget.requests, budget.attempts, budget.refusals) == (2, 2, 1)
    assert len(clock.slept) == 1


@pytest.mark.parametrize(
    ("fault", "reason"), [(Reply(503), "server error"), (Reply(close=True), "connection")]
)
def test_a_backoff_past_the_deadline_is_announced(fault: Reply, reason: str) -> None:
    """Backoffs count against the deadline too; one that would pass it is left to the caller."""
    clock = FakeClock()
    waits: list[Wait] = []
    with (
        ScriptedServer(fault, fault, fault, Reply()) as server,
        connect(server, clock=clock, on_wait=waits.append) as client,
    ):
        budget = client._channel.budget()
        with pytest.raises(LongWait) as caught:
            client._channel.send(_request(repeat=True), budget, deadline=_soon(clock))
        assert (caught.value.reason, len(server.seen), len(clock.slept)) == (reason, 2, 1)
        client._channel.wait_out(caught.value, budget, "users write")
        assert budget.waited == pytest.approx(sum(clock.slept))
        assert [w.reason for w in waits] == [reason] * 2


@pytest.mark.parametrize(("status", "requests"), [(500, 2), (501, 1), (502, 2), (400, 1)])
def test_what_will_not_change_is_not_repeated(status: int, requests: int) -> None:
    """A 501 is one of these, although it is the server's error."""
    with ScriptedServer(Reply(status), Reply()) as server, connect(server, clock=FakeClock()) as client:
        with nullcontext() if requests == 2 else pytest.raises(ApiError):
            client._channel.send(_request(repeat=True), client._channel.budget())
        assert len(server.seen) == requests


def test_a_backoff_has_the_deadline_of_a_closed_gate() -> None:
    """A write may wait longer for pacing, but reading again does not bring a failure back."""
    clock = FakeClock()
    with ScriptedServer(Reply(503), Reply()) as server, connect(server, clock=clock) as client:
        soon, late = clock.monotonic() + 0.01, clock.monotonic() + 100
        with pytest.raises(LongWait, match="server error"):
            client._channel.send(
                _request(repeat=True), client._channel.budget(), deadline=Deadline(soon, late)
            )
        assert (len(server.seen), clock.slept) == (1, [])


def test_a_write_that_rests_on_a_read_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may wait for as long as the read is fresh, which depends on what it waits for."""
    clock = FakeClock()
    with ScriptedServer() as server, connect(server, clock=clock) as client:
        asked: list[tuple[Any, ...]] = []
        acquire = client._channel.throttle.acquire

        def watched(group: str, **settings: Any) -> Any:
            asked.append((settings["urgent"], settings["most"], settings["most_closed"]))
            return acquire(group, **settings)

        monkeypatch.setattr(client._channel.throttle, "acquire", watched)
        deadline = Deadline(clock.monotonic() + 1, clock.monotonic() + 5)
        for until, max_wait in ((None, None), (deadline, None), (deadline, 3)):
            client._channel.send(_request(), client._channel.budget(None, max_wait), deadline=until)
    assert asked == [(False, None, None), (True, 5, 1), (True, 3, 1)]


def _stopped(client: ManagementClient, *, sees_through: bool) -> WaitBudget:
    """Return the budget of bulk work that is stopped as soon as it waits."""
    event = threading.Event()
    budget = client._channel.budget(None, None, share=0.5, cancelled=event)
    if sees_through:
        budget.see_through()
    budget.on_wait = lambda _: event.set()
    return budget


def _slow_down(seconds: int) -> Reply:
    return boom(429, "Too Many Requests", "slow down", **{"Retry-After": str(seconds)})


def test_what_has_left_is_followed_for_half_a_minute_after_a_stop() -> None:
    """A wait for the rate limit goes on, if it is short enough; nothing else waits any longer."""
    clock = FakeClock()
    replies = [_slow_down(20), Reply(), _slow_down(60), Reply()]
    with ScriptedServer(*replies) as server, connect(server, clock=clock) as client:
        client._channel.send(_request(), _stopped(client, sees_through=True))
        assert (len(server.seen), clock.monotonic() >= 20) == (2, True)
        with pytest.raises(RateLimitError, match="the stop"):
            client._channel.send(_request(), _stopped(client, sees_through=True))
        clock.advance(90)
        client._channel.send(_request(), client._channel.budget())
    with ScriptedServer(_slow_down(20), Reply()) as server, connect(server, clock=clock) as client:
        with pytest.raises(Cancelled):
            client._channel.send(_request(), _stopped(client, sees_through=False))
        assert len(server.seen) == 1


def test_a_wait_between_two_reads_ends_with_a_stop() -> None:
    """What has left is then looked at once more, at once; anything else ends there."""
    clock = FakeClock()
    with ScriptedServer(_slow_down(20)) as server, connect(server, clock=clock) as client:
        with pytest.raises(RateLimitError):
            client._channel.send(_request(), client._channel.budget(None, 0))
        wait = LongWait("rate limit", 20.0)
        client._channel.wait_out(wait, _stopped(client, sees_through=True), "users write")
        assert clock.monotonic() < 20
        with pytest.raises(Cancelled):
            client._channel.wait_out(wait, _stopped(client, sees_through=False), "users write")


def test_a_budget_shorter_than_the_wait_wins_over_the_deadline() -> None:
    """A wait that exceeds the budget raises RateLimitError, not LongWait, in `send` and in `wait_out`."""
    clock = FakeClock()
    with (
        ScriptedServer(Reply(429, {}, {"Retry-After": "5"}), Reply()) as server,
        connect(server, clock=clock, max_wait=3) as client,
    ):
        with pytest.raises(RateLimitError):
            client._channel.send(_request(), client._channel.budget(), deadline=_soon(clock))
        with pytest.raises(RateLimitError):
            client._channel.send(_request(), client._channel.budget(), deadline=_soon(clock))
        with pytest.raises(RateLimitError):
            client._channel.wait_out(LongWait("rate limit", 5.0), client._channel.budget(), "users write")
        assert len(server.seen) == 1
    assert clock.slept == []


def test_a_long_wait_for_a_token_is_announced_after_it() -> None:
    """If getting a token took too long, LongWait is raised before the write is sent, so that the caller can read again."""
    clock = FakeClock()
    with (
        ScriptedServer(Reply(429, {}, {"Retry-After": "5"}), token(), Reply()) as server,
        connect(server, client_id="c", client_secret="s", clock=clock) as client,
    ):
        budget = client._channel.budget()
        with pytest.raises(LongWait) as caught:
            client._channel.send(_request(), budget, deadline=_soon(clock))
        waited = budget.waited
        client._channel.wait_out(caught.value, budget, "users write")
        assert budget.waited == waited >= 5
        assert server.paths() == ["/oauth/token"] * 2
        assert client._channel.send(_request(), budget, deadline=_soon(clock)).status == 200


def test_a_token_that_is_renewed_after_a_wait_may_be_late() -> None:
    """A token that expired during a wait is renewed before the write; if that takes too long, LongWait is raised."""
    clock = FakeClock()

    def slow(seen: Seen) -> Reply:
        clock.advance(3)
        return token("t2")

    with (
        ScriptedServer(
            token("t1", expires_in=100), Reply(), Reply(429, {}, {"Retry-After": "95"}), slow, Reply()
        ) as server,
        connect(server, client_id="c", client_secret="s", clock=clock) as client,
    ):
        budget = client._channel.budget()
        client._channel.send(_request(), budget, deadline=_soon(clock))
        with pytest.raises(LongWait) as caught:
            client._channel.send(
                _request(), budget, deadline=Deadline(clock.monotonic() + 97, clock.monotonic() + 97)
            )
        assert caught.value.reason == "token"
        assert len(server.seen) == 4
        assert client._channel.send(_request(), budget, deadline=_soon(clock)).status == 200


def test_an_interrupted_request_leaves_the_client_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interruption while a request is under way reaches the caller, and the next call works."""
    with ScriptedServer(Reply()) as server, connect(server) as client:
        plain = socket.socket.sendall

        def interrupted(*args: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(socket.socket, "sendall", interrupted)
        with pytest.raises(KeyboardInterrupt):
            _patch(client)
        monkeypatch.setattr(socket.socket, "sendall", plain)
        _patch(client)
        assert len(server.seen) == 1


# on_wait ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Reply(429, {}, {"Retry-After": "2"}), "rate limit"),
        (Reply(503), "server error"),
        (Reply(close=True), "connection"),
    ],
    ids=["429", "503", "lost"],
)
def test_on_wait_may_send_requests_with_its_own_client(fault: Reply, reason: str) -> None:
    """A request from inside `on_wait` succeeds, even if it has to wait too; `on_wait` is not called for that wait."""
    reasons: list[str] = []

    def ask(wait: Wait) -> None:
        reasons.append(wait.reason)
        client.users.get("auth0|2")

    with ScriptedServer(fault, fault, Reply()) as server:
        with connect(server, clock=FakeClock(), on_wait=ask) as client:
            client.users.get("auth0|1")
        paths = [path.rpartition("C")[2] for path in server.paths()]
    assert reasons == [reason]
    assert paths == ["1", "2", "2", "1"]
