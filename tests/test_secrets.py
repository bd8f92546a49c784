"""No value and no secret appears in any log, repr, error or traceback."""

from __future__ import annotations

import asyncio
import io
import logging
import pickle
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, free_port, token

from auth0_meta import ManagementClient, MetadataBatch, User
from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.actions.web import SigningKeys, verify_id_token
from auth0_meta.errors import Auth0MetaError, NotSentError
from auth0_meta.http.request import Request
from auth0_meta.http.transport import Response
from auth0_meta.jwt import sign_hs256
from auth0_meta.migrate import plan
from auth0_meta.testing import FakeClock
from auth0_meta.transactions.options import TransactionOptions

# One canary for each place that could leak.
SECRET = "canary-client-secret"
TOKEN = "canary-access-token"
GIVEN = "canary-given-token"
STORED = "canary-stored-value"
WRITTEN = "canary-written-value"
CARD = "4111 1111 1111 1111"
PROFILE = {
    "user_id": "auth0|1",
    "app_metadata": {"plan": STORED},
    "user_metadata": {"theme": {"deep": [STORED]}},
}
ECHO = f"Payload validation error: '{WRITTEN}' is not allowed on property plan"


class Watch:
    """Collect everything that a person or a log collector might see."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def saw(self, *things: object) -> None:
        """Keep the repr and the text of each."""
        for one in things:
            self.texts += [repr(one), str(one)]

    def fails(self, call: Callable[[], object]) -> None:
        """Run a call that must raise one of our errors, and keep everything that the error shows."""
        try:
            call()
        except Auth0MetaError as error:
            self.saw(error, vars(error), error.args, *_chain(error))
            self.saw(traceback.format_exception(error))
            again = pickle.loads(pickle.dumps(error))  # noqa: S301
            self.saw(again, vars(again))
            for one in _chain(error):
                self.saw(vars(one))
        else:
            pytest.fail("the call should have failed")


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


@contextmanager
def _watching(caplog: pytest.LogCaptureFixture) -> Iterator[Watch]:
    """Watch a block with all loggers at DEBUG, then look for the canaries in what was seen."""
    watch = Watch()
    loggers = [
        logging.getLogger(name) for name in ("auth0_meta", "urllib3", "urllib3.connectionpool", "requests")
    ]
    before = [one.level for one in loggers]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            for one in loggers:
                one.setLevel(logging.DEBUG)
            with caplog.at_level(logging.DEBUG):
                yield watch
        finally:
            for one, level in zip(loggers, before, strict=True):
                one.setLevel(level)
    for record in caplog.records:
        watch.saw(record.getMessage(), record.args, record.exc_text)
    watch.saw(*[w.message for w in warned])
    assert watch.texts
    assert any(record.name.startswith("urllib3") for record in caplog.records)
    text = "\n".join(watch.texts)
    for canary in ("canary", CARD, "BEGIN PRIVATE"):
        assert canary not in text, text[max(0, text.index(canary) - 300) : text.index(canary) + 60]


def _show(watch: Watch, client: ManagementClient) -> None:
    """Show every part of a client that can be reached."""
    channel = client._channel
    watch.saw(client, client.users, client.jobs, channel, channel.tokens, channel.transport)
    watch.saw(channel.bucket("other"), channel.budget(), channel.budget(user_id="auth0|1"))


def test_a_run_without_errors_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Token requests, reads, transactions with waits and lost responses, searches and checks leak nothing."""
    faults = [Reply(429, {}, {"Retry-After": "1"}), Reply(503), Reply(close=True)]

    def respond(seen: Seen) -> Reply:
        if seen.path == "/oauth/token":
            return token(TOKEN, scope="read:users update:users", expires_in=50)
        if seen.method == "PATCH" and faults:
            return faults.pop(0)
        if seen.path.startswith(("/api/v2/users?", "/api/v2/users-by-email")):
            return Reply(200, [PROFILE])
        return Reply(200, PROFILE)

    with _watching(caplog) as watch, ScriptedServer(respond) as server:
        clock = FakeClock()
        with connect(
            server, client_id="c", client_secret=SECRET, clock=clock, on_wait=watch.saw, on_request=watch.saw
        ) as client:
            _show(watch, client)
            _show(watch, client.with_options(headers={"X-Correlation-ID": f"canary-{WRITTEN}"}))
            watch.saw(
                client.users.get("auth0|1"),
                client.users.update("auth0|1", {"app_metadata": {"plan": WRITTEN}}),
            )
            with client.transaction("auth0|1") as tx:
                tx.user_metadata["theme"] = WRITTEN
                tx.user_metadata["card"] = CARD
                tx.user_metadata["api_key"] = WRITTEN
                tx.app_metadata.merge({"plan": {"deep": WRITTEN}})
                watch.saw(tx, tx.pending, tx.user_metadata, tx.app_metadata)
                watch.saw(tx.app_metadata.get("plan") is not None)
            watch.saw(tx, tx.result, tx.pending)
            watch.saw(client.users.page(), list(client.users.search()), client.users.by_email("a@b"))
            watch.saw(client.users.create({"connection": "c", "password": WRITTEN}), client.check())
            clock.advance(100)
            client.users.get("auth0|1")
            _show(watch, client)
        assert any(WRITTEN.encode() in s.body for s in server.seen)
        assert any(TOKEN in s.headers.get("Authorization", "") for s in server.seen)


@pytest.mark.parametrize(
    "reply",
    [
        boom(400, "Bad Request", ECHO, "invalid_body"),
        boom(401, "Unauthorized", f"Invalid token {WRITTEN}"),
        boom(403, "Forbidden", f"Insufficient scope {WRITTEN}", "insufficient_scope"),
        boom(404, "Not Found", "The user does not exist.", "inexistent_user"),
        boom(409, "Conflict", ECHO, "auth0_idp_error"),
        Reply(429, {}, {"Retry-After": "3600"}),
        Reply(500, raw=f"<html>{WRITTEN} {GIVEN}".encode()),
        Reply(200, raw=f"<html>{WRITTEN} {GIVEN}".encode()),
        Reply(302, headers={"Location": "/x"}),
        Reply(close=True),
        Reply(200, PROFILE, missing=5),
    ],
    ids=lambda reply: f"{reply.status}{'x' * reply.close}{'-' * reply.missing}",
)
def test_failures_show_nothing(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    """Neither an error nor its chain, attributes or traceback contains a value of the request, or the token."""
    body = {"app_metadata": {"plan": WRITTEN}, "user_metadata": {"x": [WRITTEN, {"y": WRITTEN}]}}

    def respond(seen: Seen) -> Reply:
        return Reply(200, {"user_id": "auth0|1"}) if seen.method == "GET" else reply

    with (
        _watching(caplog) as watch,
        ScriptedServer(respond) as server,
        connect(server, token=GIVEN, clock=FakeClock(), max_wait=5) as client,
    ):
        watch.fails(lambda: client.users.update("auth0|1", body))
        watch.fails(lambda: client.users.create(body))
        watch.fails(lambda: client.request("POST", "x", json=body))

        def commit() -> None:
            with client.transaction("auth0|1") as tx:
                tx.app_metadata.increment("count")
                tx.app_metadata["plan"] = WRITTEN

        watch.fails(commit)
        watch.saw(client.check())
        _show(watch, client)


def _held(error: BaseException) -> list[str]:
    """Return the local variables with a canary in the frames of an error and its chain, but for those of this file."""
    found = []
    for one in _chain(error):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_globals["__name__"] != __name__:
                shown = {name: f"{value!r}{value}" for name, value in frame.f_locals.items()}
                code = frame.f_code
                found += [f"{code.co_qualname}: {name}" for name, text in shown.items() if "canary" in text]
    return found


async def _async(client: ManagementClient) -> None:
    async with client.atransaction("auth0|1") as tx:
        tx.app_metadata.set("deep.plan", WRITTEN)


def _append(client: ManagementClient) -> None:
    with client.transaction("auth0|1") as tx:
        tx.app_metadata.append("theme.deep", WRITTEN)


def _batch(client: ManagementClient) -> None:
    with MetadataBatch(client, concurrency=1, on_error="continue") as batch:
        batch.user("auth0|1").app_metadata.set("deep.plan", WRITTEN)
    error = batch.results.failures[0].error
    assert error is not None
    raise error


def _login(client: ManagementClient) -> None:
    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("plan", WRITTEN)

    error = PostLoginTrigger(client, [action]).run(Event.from_dict({"user": PROFILE})).error
    assert error is not None
    raise error


def _plan(client: ManagementClient) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan(lambda user, tx: None, to=f"{folder}/job.db", client=client, users=f"search:plan:{WRITTEN}")


def _verify(client: ManagementClient) -> None:
    verify_id_token(
        sign_hs256({"a": 1}, secret=SECRET) + TOKEN, keys=SigningKeys(client), audience="app", nonce=WRITTEN
    )


BODY = {"app_metadata": {"plan": WRITTEN}}
CALLS: dict[str, Callable[[ManagementClient], object]] = {
    "update": lambda client: client.users.update("auth0|1", BODY),
    "create": lambda client: client.users.create(BODY),
    "request": lambda client: client.request("POST", "x", json=BODY),
    "search": lambda client: list(client.users.search(q=WRITTEN)),
    "find": lambda client: client.users.find(f"{WRITTEN}@example.com"),
    "set_metadata": lambda client: client.users.set_metadata("auth0|1", app={"deep.plan": WRITTEN}),
    "request of a path": lambda client: client.request("PATCH", "users/{}", "auth0|1", json=BODY),
    "by_email": lambda client: client.users.by_email(f"{WRITTEN}@example.com"),
    "import": lambda client: client.jobs.import_users([BODY], connection_id="con_0000000000000001"),
    "run_transaction": lambda client: client.run_transaction(
        "auth0|1", lambda tx: tx.app_metadata.set("deep.plan", WRITTEN)
    ),
    "asyncio": lambda client: asyncio.run(_async(client)),
    "append": _append,
    "batch": _batch,
    "login": _login,
    "staged": lambda client: client.transaction("auth0|1").user_metadata.set("a", [WRITTEN, float("nan")]),
    "assigned": lambda client: client.transaction("auth0|1").user_metadata.update(a={WRITTEN: b""}),
    "base": lambda client: client.transaction("auth0|2", base=PROFILE),
    "constructor": lambda _: ManagementClient("not a host", client_id="c", client_secret=SECRET),
    "private key": lambda _: ManagementClient("tenant.invalid", client_id="c", private_key=SECRET),
    "signature": lambda _: sign_hs256({"a": b""}, secret=SECRET),
    "plan": _plan,
    "id token": _verify,
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    "reply",
    [boom(400, "Bad Request", ECHO), Reply(500), Reply(close=True), Reply(200, raw=b"<html>")],
    ids=["400", "500", "dropped", "html"],
)
def test_no_frame_of_this_package_holds_a_value_after_an_error(name: str, reply: Reply) -> None:
    """Error trackers record the local variables of each frame of a traceback."""

    def respond(seen: Seen) -> Reply:
        profile = PROFILE | {"app_metadata": {"deep": {"plan": STORED}, "theme": {"deep": STORED}}}
        read = seen.method == "GET" and seen.path.startswith("/api/v2/users/")
        return Reply(200, profile) if read else reply

    with (
        ScriptedServer(respond) as server,
        connect(server, token=f"{GIVEN}.x.y", clock=FakeClock(), max_wait=1) as client,
        pytest.raises(Auth0MetaError) as caught,
    ):
        CALLS[name](client)
    assert _held(caught.value) == []


def _refusing(status: int) -> Callable[[Seen], Reply]:
    """Return a response that repeats the secret or the assertion."""

    def respond(seen: Seen) -> Reply:
        proof = seen.form.get("client_secret") or seen.form["client_assertion"]
        return Reply(status, {"error": "access_denied", "error_description": f"Unauthorized {proof}"})

    return respond


def _pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return key.private_bytes(*formats).decode()


@pytest.mark.parametrize("way", [{"client_secret": SECRET}, {"private_key": _pem()}], ids=["secret", "key"])
@pytest.mark.parametrize(
    "reply",
    [
        _refusing(401),
        _refusing(403),
        _refusing(503),
        Reply(500, raw=SECRET.encode()),
        Reply(200, raw=SECRET.encode()),
        Reply(200, {"access_token": f"{TOKEN} with space", "expires_in": 5}),
        Reply(200, {"access_token": TOKEN}),
        Reply(close=True),
    ],
    ids=["401", "403", "503", "500", "200", "spaces", "no life", "dropped"],
)
def test_failing_token_requests_show_nothing(
    reply: Reply | Callable[[Seen], Reply], way: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """A failed token request shows neither the secret, nor the assertion, nor a token."""
    with (
        _watching(caplog) as watch,
        ScriptedServer(reply) as server,
        connect(server, client_id="c", clock=FakeClock(), max_wait=5, **way) as client,
    ):
        watch.fails(lambda: client.users.get("auth0|1"))
        watch.saw(client.check())
        _show(watch, client)
    shown = "\n".join(watch.texts)
    proofs = [s.form.get("client_assertion", SECRET) for s in server.seen]
    assert proofs
    assert not any(proof in shown for proof in proofs)


def test_an_unreachable_server_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A request that was never sent shows neither its body nor its token."""
    with _watching(caplog) as watch:
        for settings in ({"token": GIVEN}, {"client_id": "c", "client_secret": SECRET}):
            client = ManagementClient(f"http://127.0.0.1:{free_port()}", clock=FakeClock(), **settings)
            with client:
                watch.fails(lambda: client.users.update("auth0|1", {"app_metadata": {"plan": WRITTEN}}))  # noqa: B023


def test_refused_input_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The error for input that is refused does not repeat it."""
    with _watching(caplog) as watch, ScriptedServer() as server, connect(server, token=GIVEN) as client:
        client.users.get("auth0|1")
        for call in (
            lambda: ManagementClient("tenant.invalid", token=f"{GIVEN} with space"),
            lambda: ManagementClient("tenant.invalid", token=GIVEN, client_secret=SECRET),
            lambda: ManagementClient("tenant.invalid", client_id="c", private_key=SECRET),
            lambda: ManagementClient(f"https://user:{SECRET}@tenant.invalid", token=GIVEN),
            lambda: client.users.update("auth0|1", {"a": WRITTEN, "b": {WRITTEN}}),
            lambda: client.users.create({"a": WRITTEN, "b": float("nan")}),
            lambda: client.request("POST", "x", json={"a": WRITTEN, "b": b"x"}),
            lambda: client.transaction("auth0|1").user_metadata.set("a", {"b.c": WRITTEN}),
            lambda: client.transaction("auth0|1").user_metadata.set("a", [WRITTEN, float("nan")]),
            lambda: client.transaction("auth0|1").app_metadata.set("email", WRITTEN),
        ):
            watch.fails(call)
        assert len(server.seen) == 1


def test_a_user_shows_no_value() -> None:
    """A user's repr shows its keys and their sizes only."""
    shown = repr(User.from_dict(PROFILE))
    assert "canary" not in shown
    assert "plan 21 B" in shown


def _asking(client: ManagementClient, link: dict[str, str]) -> list[Callable[[], object]]:
    """Return calls with a canary in a query or a link."""
    link["location"] = f"{client._channel.transport.base}/x.gz?Signature={SECRET}"
    return [
        lambda: list(client.users.search(q=f'app_metadata.plan:"{WRITTEN}"')),
        lambda: client.users.by_email(f"{WRITTEN}@example.com"),
        lambda: client.request("GET", "users", params={"q": WRITTEN}),
        lambda: client.jobs.download("job_1", io.BytesIO()),
    ]


def test_values_passed_between_packages_show_nothing() -> None:
    """Requests, responses and a transaction's settings are named tuples, whose usual repr would show everything."""
    target = f"/api/v2/users/x?q={WRITTEN}"
    request = Request(
        "PATCH", target, group="users write", repeat=False, body=WRITTEN.encode(), sent={"plan": WRITTEN}
    )
    assert repr(request) == "<Request PATCH /api/v2/users/x>"
    assert repr(Response(200, {"x": STORED}, b"{}")) == "<Response 200: 2 B>"
    assert "canary" not in repr(TransactionOptions(base={"app_metadata": {"plan": STORED}}))


def test_queries_and_links_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No log, not even that of urllib3, contains a search query or a link's signature."""
    link: dict[str, str] = {}

    def respond(seen: Seen) -> Reply:
        if "/jobs/" in seen.path:
            return Reply(200, {"id": "job_1", "type": "users_export", "status": "completed", **link})
        return Reply(200, [])

    with (
        _watching(caplog) as watch,
        ScriptedServer(respond) as server,
        connect(server, token=GIVEN) as client,
    ):
        for call in _asking(client, link):
            watch.saw(call())
        assert sum(WRITTEN in s.path for s in server.seen) == 3
        assert SECRET in server.seen[-1].path
        assert any("/x.gz" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("reply", [Reply(close=True), Reply(raw=b"x", missing=5)], ids=["closed", "cut"])
def test_a_lost_query_or_link_shows_nothing(reply: Reply, caplog: pytest.LogCaptureFixture) -> None:
    """The error for a lost response, with all that it chains, contains no query and no link."""
    link: dict[str, str] = {}

    def respond(seen: Seen) -> Reply:
        if "/jobs/" in seen.path:
            return Reply(200, {"id": "job_1", "type": "users_export", "status": "completed", **link})
        return reply

    with (
        _watching(caplog) as watch,
        ScriptedServer(respond) as server,
        connect(server, token=GIVEN, clock=FakeClock(), max_wait=0) as client,
    ):
        for call in _asking(client, link):
            watch.fails(call)


def test_the_error_for_an_unreachable_server_shows_no_query_or_link(caplog: pytest.LogCaptureFixture) -> None:
    """It still gives the system's reason."""
    with _watching(caplog) as watch, ScriptedServer() as server, connect(server, token=GIVEN) as up:
        up.users.get("auth0|1")
        with ManagementClient(f"http://127.0.0.1:{free_port()}", token=GIVEN, max_wait=0) as client:
            for call in _asking(client, {})[:3]:
                watch.fails(call)
            with pytest.raises(NotSentError, match="NewConnectionError: Connection refused"):
                client.users.get("auth0|1")
            link = {"location": f"{client._channel.transport.base}/x.gz?Signature={SECRET}"}
            server.replies = [Reply(200, {"id": "job_1", "type": "t", "status": "completed", **link})]
            clocked = connect(server, token=GIVEN, clock=FakeClock())
            watch.fails(lambda: clocked.jobs.download("job_1", io.BytesIO()))


def test_values_that_a_response_repeats_are_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    """A token, an import's rows, and values in an error's title and code are removed."""
    body = {"app_metadata": {"plan": f"{WRITTEN}-7"}}
    echo = {
        "statusCode": 400,
        "error": f"Bad {WRITTEN}-7",
        "message": f"{WRITTEN}-7 of {GIVEN}",
        "errorCode": f"invalid_{WRITTEN}-7",
    }
    with (
        _watching(caplog) as watch,
        ScriptedServer(Reply(400, echo)) as server,
        connect(server, token=GIVEN) as client,
    ):
        watch.fails(lambda: client.users.update("auth0|1", body))
        rows = [{"email": f"{WRITTEN}-7"}]
        watch.fails(lambda: client.jobs.import_users(rows, connection_id="con_" + "a" * 16))


def test_other_log_records_are_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    """Only the records of our own requests lose their query in urllib3's log."""
    with ScriptedServer() as server, caplog.at_level(logging.DEBUG, "urllib3.connectionpool"):
        requests.get(f"{server.url}/theirs?q=1", timeout=5)
    assert any("/theirs?q=1" in record.getMessage() for record in caplog.records)
