"""`on_request`: one `RequestInfo` for each request on the wire, and what an exception in the callback does."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, free_port, limited, token

from auth0_meta import (
    ManagementClient,
    MetadataBatch,
    NotFoundError,
    NotSentError,
    OutcomeUnknown,
    RequestInfo,
    ServerError,
    Wait,
)
from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.migrate import apply, plan, status
from auth0_meta.testing import FakeClock


class Boom(Exception):
    """What a callback raises."""


def short(infos: list[RequestInfo]) -> list[tuple[str, str, int | None, int]]:
    """Return what identifies each request."""
    return [(info.method, info.route, info.status, info.attempt) for info in infos]


# What it is called with ------------------------------------------------------------------------------


def test_a_request_is_described_whole() -> None:
    """Every field, for a PATCH that a 429 and a 503 have held up."""
    clock = FakeClock()
    infos: list[RequestInfo] = []
    replies = [
        Reply(429, {}, {"Retry-After": "3", "X-Auth0-RequestId": "r1"}),
        Reply(503, {}, {"CF-Ray": "r2"}),
        Reply(200, headers={"x-auth0-requestid": "r3"}),
    ]
    with (
        ScriptedServer(*replies, now=clock.time) as server,
        connect(server, clock=clock, on_request=infos.append) as client,
    ):
        client.users.update("auth0|1", {"name": "canary"})
    first, second, third = infos
    assert short(infos) == [("PATCH", "users/{id}", status, n) for n, status in enumerate((429, 503, 200), 1)]
    assert [info.request_id for info in infos] == ["r1", "r2", "r3"]
    assert {(info.bucket, info.user_id) for info in infos} == {("users write", "auth0|1")}
    assert first.waited == 0
    assert second.waited >= 3
    assert second.waited + third.waited == pytest.approx(sum(clock.slept))
    assert all(info.duration >= 0 for info in infos)
    assert "canary" not in repr(infos)


def test_token_requests_are_reported_with_the_user_who_needs_one() -> None:
    """They go to another API, and are requests like any other; they are in nobody's bucket but their own."""
    infos: list[RequestInfo] = []
    with (
        ScriptedServer(token(), Reply()) as server,
        connect(server, client_id="c", client_secret="s", on_request=infos.append) as client,
    ):
        client.users.get("auth0|1")
    assert short(infos) == [("POST", "oauth/token", 200, 1), ("GET", "users/{id}", 200, 1)]
    assert [(info.bucket, info.user_id) for info in infos] == [
        ("token", "auth0|1"),
        ("users read", "auth0|1"),
    ]


def test_waits_for_a_token_are_counted_once() -> None:
    """What the token request waited is in its own `RequestInfo`, so the sum over all is what was waited."""
    clock = FakeClock()
    infos: list[RequestInfo] = []
    replies = [Reply(503), token(), Reply()]
    with (
        ScriptedServer(*replies, now=clock.time) as server,
        connect(server, client_id="c", client_secret="s", clock=clock, on_request=infos.append) as client,
    ):
        client.users.get("auth0|1")
    assert [info.status for info in infos] == [503, 200, 200]
    assert sum(info.waited for info in infos) == pytest.approx(sum(clock.slept))


def test_a_lost_response_has_no_status() -> None:
    """The request was on the wire, so it is reported, before the wait that follows."""
    clock = FakeClock()
    told: list[object] = []
    with (
        ScriptedServer(Reply(close=True), Reply(), now=clock.time) as server,
        connect(server, clock=clock, on_request=told.append, on_wait=told.append) as client,
    ):
        client.users.get("auth0|1")
    lost, wait, again = told
    assert isinstance(lost, RequestInfo)
    assert isinstance(wait, Wait)
    assert isinstance(again, RequestInfo)
    assert (lost.status, lost.request_id, lost.attempt) == (None, None, 1)
    assert (again.status, again.attempt) == (200, 2)
    assert again.waited == pytest.approx(wait.seconds)


def test_what_was_not_sent_is_not_reported() -> None:
    """Nobody listens at the port, so there is no request on any wire."""
    infos: list[RequestInfo] = []
    client = ManagementClient(
        f"http://127.0.0.1:{free_port()}", token="t", clock=FakeClock(), on_request=infos.append
    )
    with pytest.raises(NotSentError):
        client.users.get("auth0|1")
    assert infos == []


def test_a_request_that_is_refused_is_reported() -> None:
    """A 404 is a response."""
    infos: list[RequestInfo] = []
    with (
        ScriptedServer(boom(404, "Not Found", "The user does not exist.", "inexistent_user")) as server,
        connect(server, on_request=infos.append) as client,
        pytest.raises(NotFoundError),
    ):
        client.users.get("auth0|1")
    assert short(infos) == [("GET", "users/{id}", 404, 1)]


def test_the_patch_after_a_read_back_is_the_second_attempt() -> None:
    """`attempt` counts the PATCHes of a transaction, as `CommitResult.attempts` does."""
    infos: list[RequestInfo] = []
    local = Local({"a": 1}, on_request=infos.append)
    local.tenant.fail(method="PATCH", drop="before_commit", times=1)
    with local.tx() as tx:
        tx.user_metadata["a"] = 2
    assert tx.result.attempts == 2
    assert short(infos) == [
        ("PATCH", "users/{id}", None, 1),
        ("GET", "users/{id}", 200, 1),
        ("PATCH", "users/{id}", 200, 2),
    ]


def test_one_report_for_each_request_of_many_threads() -> None:
    """Exactly as many as the server has seen, each in the thread that sent it, and none with another's user."""
    infos: list[tuple[RequestInfo, int]] = []

    def respond(seen: Seen) -> Reply:
        return token() if seen.path == "/oauth/token" else Reply(503 if seen.connection == 1 else 200)

    with (
        ScriptedServer(respond) as server,
        connect(
            server,
            client_id="c",
            client_secret="s",
            clock=FakeClock(),
            on_request=lambda info: infos.append((info, threading.get_ident())),
            failure_wait=1000,
        ) as client,
        ThreadPoolExecutor(6) as pool,
    ):
        for done in [pool.submit(client.users.update, f"u{n}", {"name": "x"}) for n in range(60)]:
            try:
                done.result(60)
            except ServerError:  # a thread that always gets the first connection
                continue
        seen = [(one.method, one.path) for one in server.seen]
    assert len(infos) == len(seen)
    paths = [f"/api/v2/users/{info.user_id}" for info, _ in infos if info.route == "users/{id}"]
    assert sorted(paths) == sorted(path for _, path in seen if path != "/oauth/token")


def test_it_sees_the_context_variables_of_its_task() -> None:
    """So a request id of the web request that is served can go with a metric or a log line."""
    serving: contextvars.ContextVar[str] = contextvars.ContextVar("serving", default="nobody")
    seen: list[tuple[str | None, str]] = []
    local = Local(on_request=lambda info: seen.append((info.user_id, serving.get())))
    for n in range(5):
        local.tenant.users.add(user_id=f"auth0|{n}")

    async def serve(n: int) -> None:
        serving.set(f"web-{n}")
        async with local.client.atransaction(f"auth0|{n}") as tx:
            tx.user_metadata["a"] = n

    async def work() -> None:
        await asyncio.gather(*(serve(n) for n in range(5)))

    asyncio.run(work())
    assert sorted(seen) == [(f"auth0|{n}", f"web-{n}") for n in range(5)]


# Requests of the callback ------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"client_id": "c", "client_secret": "s"}], ids=["given", "fetched"])
def test_it_may_send_requests_with_its_own_client(settings: dict[str, Any]) -> None:
    """It is not called for those, or each of its calls would lead to another one."""
    infos: list[RequestInfo] = []

    def ask(info: RequestInfo) -> None:
        infos.append(info)
        client.with_options(max_wait=1).users.get("auth0|2")

    with (
        ScriptedServer(lambda seen: token() if seen.path == "/oauth/token" else Reply()) as server,
        connect(server, on_request=ask, **settings) as client,
    ):
        client.users.get("auth0|1")
    assert [info.user_id for info in infos if info.route == "users/{id}"] == ["auth0|1"]
    assert len(server.seen) <= 6


def test_requests_from_on_wait_are_reported() -> None:
    """They are on the wire."""
    infos: list[RequestInfo] = []
    with (
        ScriptedServer(Reply(503), Reply()) as server,
        connect(
            server,
            clock=FakeClock(),
            on_request=infos.append,
            on_wait=lambda wait: client.users.get("auth0|2"),
        ) as client,
    ):
        client.users.get("auth0|1")
    assert [info.user_id for info in infos] == ["auth0|1", "auth0|2", "auth0|1"]


def test_another_clients_requests_are_reported_to_that_client() -> None:
    """Only the client's own requests are left out."""
    infos: list[RequestInfo] = []
    with (
        ScriptedServer() as server,
        connect(server, on_request=infos.append) as other,
        connect(server, on_request=lambda info: other.users.get("auth0|2")) as client,
    ):
        client.users.get("auth0|1")
    assert [info.user_id for info in infos] == ["auth0|2"]


# An exception ----------------------------------------------------------------------------------------


def fails(
    on: Callable[[RequestInfo], bool], error: type[BaseException] = Boom
) -> Callable[[RequestInfo], None]:
    """Return a callback that raises on some requests."""

    def call(info: RequestInfo) -> None:
        if on(info):
            raise error

    return call


def patched(info: RequestInfo) -> bool:
    """Whether it was a PATCH."""
    return info.method == "PATCH"


@pytest.mark.parametrize("error", [Boom, KeyboardInterrupt])
def test_after_an_applied_patch_the_result_says_so(error: type[BaseException]) -> None:
    """The exception reaches the caller, and the transaction knows that Auth0 has confirmed the PATCH."""
    local = Local(on_request=fails(patched, error))
    with pytest.raises(error) as caught, local.tx() as tx:
        tx.user_metadata["a"] = 1
    assert (tx.result.outcome, tx.result.attempts) == ("updated", 1)
    assert tx.result.user is not None
    assert tx.result.user.user_metadata == {"a": 1} == local.user_metadata
    assert caught.value.__notes__ == [f"on_request raised this after PATCH users/{UID} had succeeded"]
    local.client.users.get(UID)


def test_after_an_applied_patch_asyncio_knows_too() -> None:
    """The same in a worker thread."""
    local = Local(on_request=fails(patched))

    async def work() -> str:
        tx = local.client.atransaction(UID)
        with pytest.raises(Boom):
            async with tx:
                tx.user_metadata["a"] = 1
        return tx.result.outcome

    assert asyncio.run(work()) == "updated"


def test_in_a_batch_the_user_counts_as_updated_and_the_batch_ends() -> None:
    """As with `on_wait`: the exception ends the batch and reaches the caller; nobody is sent twice."""
    local = Local(on_request=fails(patched))
    with pytest.raises(Boom), MetadataBatch(local.client, concurrency=1) as batch:
        batch.user(UID).app_metadata["n"] = 1
    assert batch.results.counts["updated"] == 1
    assert batch.results.failures == []
    assert len(local.bodies) == 1


def test_at_a_login_the_commit_is_in_the_outcome() -> None:
    """`run` raises nothing for it; the login has failed, and its commit tells that the PATCH was applied."""
    local = Local(on_request=fails(patched))

    def act(event: Any, api: Any) -> None:
        api.user.set_app_metadata("n", 1)

    event = Event.from_dict({"user": {"user_id": UID, "app_metadata": {}, "user_metadata": {}}})
    outcome = PostLoginTrigger(local.client, [act]).run(event)
    assert isinstance(outcome.error, Boom)
    assert not outcome.allowed
    assert outcome.commit is not None
    assert outcome.commit.outcome == "updated"


def test_in_a_migration_the_run_ends_and_the_next_one_sends_nothing_twice(tmp_path: Path) -> None:
    """The job file has the user as in doubt; resumed, the run reads the user, finds the change, and goes on."""
    local = Local(app_metadata={"plan": "free"})
    users = [UID, *(f"auth0|{n}" for n in range(5))]
    for user in users[1:]:
        local.tenant.users.add(user_id=user, app_metadata={"plan": "free"})
    changes, job = tmp_path / "changes.csv", tmp_path / "job.db"
    changes.write_text("user_id,app_metadata.plan\n" + "".join(f"{user},pro\n" for user in users))
    plan(changes, to=job, client=local.client)
    with pytest.raises(Boom):
        apply(job, local.client.with_options(on_request=fails(patched)), concurrency=2)
    assert len(local.tenant.journal.requests("PATCH")) >= 1
    assert apply(job, local.client).remain == 0
    assert sorted(entry.user_id for entry in local.tenant.journal.requests("PATCH")) == sorted(users)
    assert status(job).counts == {"done": len(users)}


def test_after_a_refused_patch_nothing_more_is_sent() -> None:
    """A 429 would be waited out; the exception ends that, and nothing was written."""
    with (
        ScriptedServer(limited(2), Reply()) as server,
        connect(server, clock=FakeClock(), on_request=fails(patched)) as client,
    ):
        tx = client.transaction("auth0|1")
        tx.user_metadata["a"] = 1
        with pytest.raises(Boom):
            tx.commit()
        assert tx.result.outcome == "failed"
        assert len(server.seen) == 1


@pytest.mark.parametrize("reply", [Reply(close=True), Reply(503)], ids=["lost", "503"])
def test_after_a_patch_whose_outcome_is_open_the_error_says_so(reply: Reply) -> None:
    """`OutcomeUnknown`, raised from the exception: it must not read as if nothing had been written."""
    with (
        ScriptedServer(reply, Reply()) as server,
        connect(server, clock=FakeClock(), on_request=fails(patched)) as client,
    ):
        tx = client.transaction("auth0|1")
        tx.user_metadata["a"] = 1
        with pytest.raises(OutcomeUnknown) as caught:
            tx.commit()
        assert isinstance(caught.value.__cause__, Boom)
        assert tx.result.outcome == "unknown"
        assert len(server.seen) == 1


def test_after_a_read_it_ends_the_operation() -> None:
    """A transaction whose read was reported badly has sent no PATCH."""
    local = Local({"a": 1}, on_request=fails(lambda info: info.method == "GET"))
    with pytest.raises(Boom), local.tx() as tx:
        tx.user_metadata.set("deep.er", 1)
    assert tx.result.outcome == "failed"
    assert local.sent == ["GET"]


def test_a_token_that_was_fetched_is_kept() -> None:
    """The exception ends the operation before its request is sent; the next one needs no new token."""
    calls: list[RequestInfo] = []

    def once(info: RequestInfo) -> None:
        calls.append(info)
        if len(calls) == 1:
            raise Boom

    with (
        ScriptedServer(token(), Reply()) as server,
        connect(server, client_id="c", client_secret="s", on_request=once) as client,
    ):
        with pytest.raises(Boom):
            client.users.get("auth0|1")
        assert server.paths() == ["/oauth/token"]
        client.users.get("auth0|1")
        assert server.paths() == ["/oauth/token", "/api/v2/users/auth0%7C1"]


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.users.update("auth0|1", {"name": "Ada"}),
        lambda client: client.users.delete("auth0|1"),
        lambda client: client.request("POST", "users/auth0%7C1/roles", json={"roles": []}),
    ],
    ids=["update", "delete", "request"],
)
def test_after_a_write_of_one_call_a_note_says_that_it_succeeded(call: Callable[[Any], object]) -> None:
    """The call has no result to look at, so the exception itself tells."""

    def respond(seen: Seen) -> Reply:
        return Reply(204) if seen.method == "DELETE" else Reply()

    with (
        ScriptedServer(respond) as server,
        connect(server, on_request=fails(lambda info: True)) as client,
        pytest.raises(Boom) as caught,
    ):
        call(client)
        assert "had succeeded" in caught.value.__notes__[0]
        assert len(server.seen) == 1


def test_an_interrupt_during_a_request_comes_first() -> None:
    """A request that Ctrl-C ends was on the wire, so it is reported; what the callback raises then is dropped."""
    infos: list[RequestInfo] = []

    def fail(info: RequestInfo) -> None:
        infos.append(info)
        raise Boom

    with ScriptedServer() as server, connect(server, on_request=fail) as client:

        def interrupted(*args: Any, **settings: Any) -> Any:
            raise KeyboardInterrupt

        client._channel.transport.send = interrupted  # type: ignore[method-assign]
        with pytest.raises(KeyboardInterrupt):
            client.users.get("auth0|1")
    assert [info.status for info in infos] == [None]


def test_without_a_callback_nothing_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that nobody listens to pays for no report."""
    monkeypatch.setattr("auth0_meta.http.reports.RequestInfo", None)
    with ScriptedServer() as server, connect(server) as client:
        client.users.get("auth0|1")
        view = client.with_options(on_request=print).with_options(on_request=None)
        view.users.get("auth0|1")
        assert len(server.seen) == 2
