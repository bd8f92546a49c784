"""The logs `auth0_meta` and `auth0_meta.migrate`: what happened can be told from the lines, and no value is in them."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.log_lines import COMMIT, REQUEST, WAIT
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, free_port, limited, token

from auth0_meta import (
    Auth0MetaError,
    AuthError,
    CommitResult,
    ConflictError,
    ManagementClient,
    MetadataBatch,
    NotFoundError,
    NotSentError,
    OutcomeUnknown,
    RateLimitError,
)
from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.migrate import apply, plan, undo
from auth0_meta.testing import FakeClock
from auth0_meta.threads.errand import Errand


class Log(logging.Handler):
    """Keep lines, as a file would have them, and the fields that a formatter for JSON would find."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self.lines: list[str] = []
        self.fields: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one record."""
        self.lines.append(self.format(record))
        self.fields.append(vars(record)["auth0_meta"])

    def at(self, level: str, name: str = "auth0_meta") -> list[str]:
        """Return the messages of one level and logger."""
        prefix = f"{level} {name} "
        return [line.removeprefix(prefix) for line in self.lines if line.startswith(prefix)]

    def matches(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        """Return the lines of one form."""
        messages = (line.split(" ", 2)[2] for line in self.lines)
        return [found for message in messages if (found := pattern.fullmatch(message))]


@pytest.fixture
def log() -> Iterator[Log]:
    """Listen to the package at DEBUG."""
    handler, logger = Log(), logging.getLogger("auth0_meta")
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(before)


# A day's work ----------------------------------------------------------------------------------------


def _work_a_day(local: Local, day: random.Random, users: list[str]) -> list[tuple[str, CommitResult]]:
    """Write for many users while things go wrong, and return what each transaction says of itself."""
    results: list[tuple[str, CommitResult]] = []
    faults: list[Callable[[], object]] = [
        lambda: local.tenant.fail(method="PATCH", status=503, times=1),
        lambda: local.tenant.fail(method="GET", status=500, times=1),
        lambda: local.tenant.fail(method="PATCH", status=429, reset=2, times=1),
        lambda: local.tenant.fail(method="PATCH", drop="before_commit", times=1),
        lambda: local.tenant.fail(method="PATCH", drop="after_commit", times=1),
    ]
    for _ in range(60):
        user = day.choice(users)
        if day.random() < 0.5:
            day.choice(faults)()
        tx = local.client.transaction(user, max_wait=60)
        try:
            with tx:
                tx.app_metadata["a"] = day.random()
                if day.random() < 0.5:
                    tx.app_metadata.set("b.c", day.random())
                if day.random() < 0.1:
                    tx.app_metadata.set("b.c.d.e", 1)  # through a number
        except Auth0MetaError:
            pass
        if tx.result.outcome != "rolled_back":  # PathError can come while staging
            results.append((user, tx.result))
        local.clock.advance(day.choice((0, 0.2, 5)))
    return results


def test_from_the_lines_of_a_day_one_can_tell_what_happened(log: Log) -> None:
    """Which user, which request, how long, how often, and why it waited: for every commit, from text alone."""
    local = Local(rate_limit="free")
    users = [f"auth0|{n}" for n in range(6)]
    for user in users:
        local.tenant.users.add(user_id=user)
    results = _work_a_day(local, random.Random(11), users)

    commits = log.matches(COMMIT)
    assert [(c["user"], c["outcome"], int(c["requests"])) for c in commits] == [
        (user, result.outcome, result.requests) for user, result in results
    ]
    assert {result.outcome for _, result in results} >= {"updated", "confirmed", "failed"}
    # Each commit's waits and requests are the lines for its user since the commit before.
    waits: list[re.Match[str]] = []
    requests: list[re.Match[str]] = []
    told = iter(results)
    for line in log.lines:
        message = line.split(" ", 2)[2]
        if wait := WAIT.fullmatch(message):
            waits.append(wait)
        elif request := REQUEST.fullmatch(message):
            requests.append(request)
        else:
            commit = COMMIT.fullmatch(message)
            assert commit is not None, line
            _, result = next(told)
            assert {found["path"] for found in (*waits, *requests)} == {f"users/{commit['user']}"}
            assert len(requests) == result.requests
            assert sum(r["method"] == "PATCH" for r in requests) == result.attempts
            assert float(commit["waited"] or 0) == pytest.approx(result.waited, abs=0.006)
            assert sum(float(w["seconds"]) for w in waits) == pytest.approx(
                result.waited, abs=0.06 * len(waits)
            )
            assert (commit["why"] or "").split(", ") == (
                list(dict.fromkeys(w["reason"] for w in waits)) or [""]
            )
            assert sum(float(r["waited"] or 0) for r in requests) == pytest.approx(
                result.waited, abs=0.006 * len(requests)
            )
            assert (commit["error"] is None) == (result.outcome != "failed")
            waits, requests = [], []
    assert next(told, None) is None
    # And all of them together are what reached the tenant.
    assert [(r["method"], r["path"]) for r in log.matches(REQUEST)] == [
        (entry.method, f"users/{entry.user_id}") for entry in local.tenant.journal.requests()
    ]
    assert {w["reason"] for w in log.matches(WAIT)} == {"rate limit", "pacing", "server error", "connection"}


def test_lines_of_many_threads_are_told_apart_by_the_user(log: Log) -> None:
    """Each line has the id of its user, so lines that lie between each other still tell each user's story."""

    def respond(seen: Seen) -> Reply:
        return token() if seen.path == "/oauth/token" else Reply()

    with (
        ScriptedServer(respond) as server,
        connect(server, client_id="c", client_secret="s", clock=FakeClock()) as client,
        MetadataBatch(client, concurrency=6, share=1.0) as batch,
    ):
        for n in range(40):
            batch.user(f"auth0|{n}").app_metadata.set("a.b", n)
    story: dict[str, list[str]] = defaultdict(list)
    for line in log.lines:
        if "oauth" not in line and "waiting" not in line:
            story[re.findall(r"auth0\|\d+", line)[0]].append(line.split()[2])
    assert story == {f"auth0|{n}": ["GET", "PATCH", "commit"] for n in range(40)}


# Single lines ----------------------------------------------------------------------------------------


def test_a_request_line_has_the_request_id(log: Log) -> None:
    """The id is what Auth0's support asks for; the commit has the id of its last response."""
    replies = [Reply(headers={"X-Auth0-RequestId": "r1"}), Reply(headers={"CF-Ray": "r2"})]
    with (
        ScriptedServer(*replies) as server,
        connect(server, clock=FakeClock()) as client,
        client.transaction("auth0|1") as tx,
    ):
        tx.app_metadata.set("a.b", 1)
    assert log.lines == [
        "DEBUG auth0_meta GET users/auth0|1: 200 in 0 ms, attempt 1, request id r1",
        "DEBUG auth0_meta PATCH users/auth0|1: 200 in 0 ms, attempt 1, request id r2",
        "INFO auth0_meta commit auth0|1: updated in 0 ms, 2 requests, request id r2",
    ]


@pytest.mark.parametrize(
    ("path", "values", "shown"),
    [
        ("users/auth0%7C1/roles", (), "users/auth0|1/roles"),
        ("users/{}/roles", ("auth0|1",), "users/auth0|1/roles"),
        ("users/{}", ("oauth2|siwe|eip155%3A5",), "users/oauth2|siwe|eip155%3A5"),
        ("users/a%0AINFO%20auth0_meta%20forged", (), "users/a\\u000aINFO auth0_meta forged"),
        ("clients?q=canary", (), "clients"),
    ],
)
def test_a_path_is_shown_decoded_and_on_one_line(
    log: Log, path: str, values: tuple[str, ...], shown: str
) -> None:
    """A search for a user id finds it, however the path was written; the query is left out."""
    with ScriptedServer(Reply(200, {})) as server, connect(server) as client:
        client.request("GET", path, *values)
    (line,) = log.lines
    assert line.startswith(f"DEBUG auth0_meta GET {shown}: 200 in ")


def test_a_request_that_was_not_sent_is_a_line_of_its_own(log: Log) -> None:
    """Nobody listens at the port: each try is logged, and each wait."""
    client = ManagementClient(f"http://127.0.0.1:{free_port()}", token="t", clock=FakeClock())
    with pytest.raises(NotSentError):
        client.users.get("auth0|1")
    assert [r["status"] for r in log.matches(REQUEST)] == ["not sent"] * 3
    assert [r["attempt"] for r in log.matches(REQUEST)] == ["1", "2", "3"]
    assert [w["reason"] for w in log.matches(WAIT)] == ["connection"] * 2


def test_a_token_request_names_the_user_who_needs_it(log: Log) -> None:
    """A login that took long because of the token endpoint can be told from its user's lines."""
    clock = FakeClock()
    with (
        ScriptedServer(Reply(503), token(), Reply(), now=clock.time) as server,
        connect(server, client_id="c", client_secret="s", clock=clock) as client,
        client.transaction("auth0|1") as tx,
    ):
        tx.app_metadata["a"] = 1
    assert [(r["path"], r["user"], r["status"]) for r in log.matches(REQUEST)] == [
        ("oauth/token", "auth0|1", "503"),
        ("oauth/token", "auth0|1", "200"),
        ("users/auth0|1", None, "200"),
    ]
    (wait,) = log.matches(WAIT)
    assert (wait["path"], wait["user"], wait["bucket"]) == ("oauth/token", "auth0|1", "token")
    (commit,) = log.matches(COMMIT)
    assert commit["requests"] == "1"
    assert "server error" in commit["why"]


# Commits ---------------------------------------------------------------------------------------------


def test_every_way_to_commit_logs_one_line(log: Log) -> None:
    """Transactions, asyncio, batches, logins, one-line changes and functions that run again."""
    local = Local({"a": 0}, {"n": 0})
    other = "auth0|other"
    local.tenant.users.add(user_id=other)

    async def in_asyncio() -> None:
        async with local.client.atransaction(UID) as tx:
            tx.app_metadata["n"] = 2

    with local.tx() as tx:
        tx.app_metadata["n"] = 1
    asyncio.run(in_asyncio())
    local.client.users.set_metadata(UID, app={"n": 3})
    local.client.run_transaction(UID, lambda tx: tx.app_metadata.__setitem__("n", 4))
    with MetadataBatch(local.client, concurrency=1) as batch:
        batch.user(UID).app_metadata["n"] = 5
        batch.user(other).app_metadata["n"] = 5

    def act(event: Any, api: Any) -> None:
        api.user.set_app_metadata("n", 6)

    event = Event.from_dict({"user": {"user_id": UID, "app_metadata": {}, "user_metadata": {}}})
    PostLoginTrigger(local.client, [act]).run(event)
    assert [(c["user"], c["outcome"], c["requests"]) for c in log.matches(COMMIT)] == [
        (UID, "updated", "1"), (UID, "updated", "1"), (UID, "updated", "1"), (UID, "updated", "1"),
        (UID, "updated", "1"), (other, "updated", "1"), (UID, "updated", "1"),
    ]  # fmt: skip
    assert len(log.at("INFO")) == 7


def test_what_is_no_commit_logs_none(log: Log) -> None:
    """A block that ends with an exception, a part that joins and a rollback commit nothing of their own."""
    local = Local()
    with pytest.raises(LookupError), local.tx() as tx:
        tx.app_metadata["a"] = 1
        raise LookupError
    with local.tx() as tx, local.tx() as joined, tx.nested() as inner:
        joined.app_metadata["a"] = 1
        inner.app_metadata["b"] = 1
    tx = local.tx()
    tx.app_metadata["c"] = 1
    tx.rollback()
    assert [c["outcome"] for c in log.matches(COMMIT)] == ["updated"]


def test_a_commit_without_requests_says_so(log: Log) -> None:
    """Nothing was staged, or nothing that differs from `base=`."""
    local = Local()
    with local.tx():
        pass
    with local.tx(base={"user_id": UID, "app_metadata": {"a": 1}}) as tx:
        tx.app_metadata["a"] = 1
    assert log.lines == [f"INFO auth0_meta commit {UID}: unchanged in 0 ms, 0 requests"] * 2


@pytest.mark.parametrize(
    ("replies", "error", "line"),
    [
        (
            [boom(404, "Not Found", "The user canary does not exist.", "inexistent_user")],
            NotFoundError,
            "INFO auth0_meta commit auth0|1: failed (NotFoundError) in 0 ms, 1 request",
        ),
        (
            [limited(3600)],
            RateLimitError,
            "INFO auth0_meta commit auth0|1: failed (RateLimitError) in 0 ms, 1 request",
        ),
        (
            [Reply(close=True), boom(403, "Forbidden", "canary", "insufficient_scope")],
            OutcomeUnknown,
            "WARNING auth0_meta commit auth0|1: unknown (OutcomeUnknown) in ",
        ),
    ],
    ids=["refused", "limited", "unknown"],
)
def test_a_failure_is_logged_once_with_its_class(
    log: Log, replies: list[Reply], error: type[Exception], line: str
) -> None:
    """The outcome and the class of the error, not its message; a warning only if somebody has to look."""
    clock = FakeClock()
    replies = [limited(3600, now=clock.time)] if error is RateLimitError else replies
    with (
        ScriptedServer(*replies, now=clock.time) as server,
        connect(server, clock=clock, max_wait=60) as client,
    ):
        tx = client.transaction("auth0|1")
        tx.app_metadata["a"] = 1
        with pytest.raises(error):
            tx.commit()
    (said,) = [text for text in log.lines if "commit" in text]
    assert said.startswith(line)
    assert "canary" not in "".join(log.lines)


def test_an_error_around_a_commit_is_not_its_error(log: Log) -> None:
    """A commit inside an `except` block succeeds, and does not show what is being handled there."""
    local = Local()
    try:
        raise LookupError
    except LookupError:
        with local.tx() as tx:
            tx.app_metadata["a"] = 1
    assert [(c["outcome"], c["error"]) for c in log.matches(COMMIT)] == [("updated", None)]


def test_each_run_of_a_function_is_a_commit(log: Log) -> None:
    """The first one met a conflict, the second one did not."""
    local = Local(app_metadata={"n": 1})
    local.second_writer("GET", nth=2, app_metadata={"n": 7})

    def add(tx: Any) -> None:
        tx.app_metadata["n"] = tx.app_metadata["n"] + 1

    local.client.run_transaction(UID, add)
    assert [(c["outcome"], c["error"]) for c in log.matches(COMMIT)] == [
        ("failed", ConflictError.__name__), ("updated", None),
    ]  # fmt: skip


def test_a_lock_that_took_long_is_a_reason(log: Log) -> None:
    """What `lock=` took is part of what was waited."""
    local = Local()

    class Slow:
        def __enter__(self) -> None:
            local.clock.advance(3)

        def __exit__(self, *_: object) -> None: ...

    with local.tx(lock=Slow()) as tx:
        tx.app_metadata["a"] = 1
    (commit,) = log.matches(COMMIT)
    assert (commit["waited"], commit["why"], commit["ms"]) == ("3.00", "lock", "3000")


def test_a_missing_worker_thread_is_a_reason(log: Log) -> None:
    """An asyncio commit says for how long no thread was free, and one that got none in time is logged as failed."""
    local = Local({"n": 1}, pool_size=1)
    begun, free = threading.Event(), threading.Event()

    def occupy() -> bool:
        begun.set()
        return free.wait(60)

    async def work() -> None:
        busy = asyncio.create_task(local.client._channel.carrier.carry(Errand(occupy)))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        with pytest.raises(RateLimitError):
            async with local.client.atransaction(UID, max_wait=0) as tx:
                tx.user_metadata["n"] = 2
        patient = local.client.atransaction(UID)
        patient.user_metadata["n"] = 3
        commit = asyncio.create_task(patient.commit())
        await asyncio.sleep(0.05)
        local.clock.advance(40)
        free.set()
        await commit
        await busy

    asyncio.run(work())
    failed, done = log.matches(COMMIT)
    assert (failed["outcome"], failed["error"], failed["requests"]) == ("failed", "RateLimitError", "0")
    assert (done["outcome"], done["waited"], done["why"]) == ("updated", "40.00", "no free thread")
    local.client.close()


# Levels and fields -----------------------------------------------------------------------------------


def test_at_info_there_is_one_line_for_each_commit(log: Log) -> None:
    """INFO has the commits and the waits that were forced, and nothing else."""
    logging.getLogger("auth0_meta").setLevel(logging.INFO)
    local = Local(rate_limit="free")
    local.tenant.fail(method="PATCH", status=503, times=1)
    for n in range(5):
        with local.tx() as tx:
            tx.app_metadata["n"] = n
    assert [line.split()[0] for line in log.lines] == ["WARNING", *["INFO"] * 5]


def test_nothing_is_printed_by_default(capfd: pytest.CaptureFixture[str]) -> None:
    """A program that sets up no logging hears nothing, not even warnings on stderr."""
    local = Local()
    local.tenant.fail(method="PATCH", status=503, times=1)
    with local.tx() as tx:
        tx.app_metadata["n"] = 1
    assert capfd.readouterr() == ("", "")


def test_the_fields_of_a_line_are_json(log: Log) -> None:
    """A formatter for JSON finds them in one attribute, with the numbers as numbers."""
    local = Local()
    local.tenant.fail(method="PATCH", status=503, times=1)
    with local.tx() as tx:
        tx.app_metadata["n"] = 1
    fields = json.loads(json.dumps(log.fields))
    assert [one["event"] for one in fields] == ["request", "wait", "request", "request", "commit"]
    assert fields[0]["route"] == "users/{id}"
    assert fields[0]["status"] == 503
    assert fields[1]["reason"] == "server error"
    assert {**fields[-1], "duration": 0, "waited": 0} == {
        "event": "commit", "user_id": UID, "outcome": "updated", "error": None, "duration": 0, "requests": 3,
        "attempts": 2, "waited": 0, "reasons": ["server error"], "request_id": None,
    }  # fmt: skip
    assert fields[-1]["waited"] == pytest.approx(tx.result.waited)


def test_without_a_listener_nothing_is_formatted(monkeypatch: pytest.MonkeyPatch) -> None:
    """At WARNING, the default, a commit makes no line at all."""
    made: list[str] = []
    monkeypatch.setattr(logging.Logger, "makeRecord", lambda *args, **more: made.append(args[4]))
    monkeypatch.setattr("auth0_meta.telemetry.log._fields", None)
    local = Local()
    with local.tx() as tx:
        tx.app_metadata["n"] = 1
    assert made == []
    assert tx.result.outcome == "updated"


# Migrations ------------------------------------------------------------------------------------------


def _job(tmp_path: Path, local: Local, users: list[str]) -> Path:
    """Plan one change for each user."""
    changes, job = tmp_path / "changes.csv", tmp_path / "job.db"
    changes.write_text("user_id,app_metadata.plan\n" + "".join(f"{user},canary\n" for user in users))
    plan(changes, to=job, client=local.client)
    return job


def test_a_migration_logs_its_runs_at_info_and_its_users_as_details(log: Log, tmp_path: Path) -> None:
    """Two lines for a run of any size; one for each user only at DEBUG."""
    local = Local(app_metadata={"plan": "free"})
    users = [UID, *(f"auth0|{n}" for n in range(3))]
    for user in users[1:]:
        local.tenant.users.add(user_id=user)
    job = _job(tmp_path, local, [*users, "auth0|gone"])
    apply(job, local.client)
    undo(job, local.client)
    runs = [re.sub(r"in [\d.]+ s", "in 0 s", line) for line in log.at("INFO", "auth0_meta.migrate")]
    assert runs == [
        f"plan of {job} begins",
        f"plan of {job} ended in 0 s: 4 changing, 1 invalid, 5 requests",
        f"apply of {job} begins",
        f"apply of {job} ended in 0 s: 4 done, 8 requests",
        f"undo of {job} begins",
        f"undo of {job} ended in 0 s: 4 undone, 8 requests",
    ]
    details = log.at("DEBUG", "auth0_meta.migrate")
    assert sorted(line.split(" in ")[0] for line in details) == sorted(
        [f"apply {user}: done" for user in users] + [f"undo {user}: undone" for user in users]
    )
    assert log.at("INFO") == []
    assert "canary" not in "".join(log.lines)


def test_a_user_who_fails_is_a_warning(log: Log, tmp_path: Path) -> None:
    """With the class of the error; the others go on."""
    local = Local(app_metadata={"plan": "free"})
    local.tenant.users.add(user_id="auth0|2")
    job = _job(tmp_path, local, [UID, "auth0|2"])
    local.tenant.fail(method="PATCH", user_id=UID, status=400, times=1)
    apply(job, local.client)
    (line,) = log.at("WARNING", "auth0_meta.migrate")
    assert re.fullmatch(rf"apply {re.escape(UID)}: failed \(BadRequestError\) in \d+ ms, 2 requests", line)


def test_a_run_that_stops_says_why(log: Log, tmp_path: Path) -> None:
    """The class of what stopped it."""
    local = Local(app_metadata={"plan": "free"})
    job = _job(tmp_path, local, [UID])
    local.tenant.fail(status=401, times=100)
    with pytest.raises(AuthError):
        apply(job, local.client)
    assert log.at("WARNING", "auth0_meta.migrate") == [f"apply of {job} stopped (AuthError)"]


# Secrets ---------------------------------------------------------------------------------------------


def test_no_line_and_no_field_holds_a_value(log: Log, tmp_path: Path) -> None:
    """Searches, addresses, headers, bodies, tokens, what the tenant stores, and errors that echo any of it."""

    def respond(seen: Seen) -> Reply:
        if seen.path == "/oauth/token":
            return token("canary-token")
        if "fail" in seen.path:
            return boom(
                400, "Bad Request", "canary is not allowed", "canary-code", **{"X-Canary": "canary-header"}
            )
        profile = {"user_id": "auth0|1", "email": "canary@example.com", "app_metadata": {"canary": "canary"}}
        return Reply(200, [profile] if "?" in seen.path else profile, {"Set-Cookie": "canary-cookie"})

    with (
        ScriptedServer(respond) as server,
        connect(server, client_id="c", client_secret="canary-secret", clock=FakeClock()) as client,
    ):
        view = client.with_options(headers={"X-Correlation-ID": "canary-17"})
        view.users.by_email("canary@example.com")
        list(view.users.search(q='email:"canary@example.com"', limit=1))
        view.request("GET", "users", params={"q": "canary"}, headers={"Cookie": "canary"})
        view.request("POST", "users/auth0%7C1/roles?canary=canary", json={"canary": "canary"})
        view.users.update("auth0|1", {"name": "canary"})
        with view.transaction("auth0|1") as tx:
            tx.user_metadata["canary"] = "canary"
            tx.app_metadata.set("deep.canary", "canary")
        for call in (
            lambda: view.request("GET", "users/fail", params={"q": "canary"}),
            lambda: view.users.set_metadata("fail", app={"canary": "canary"}),
        ):
            with pytest.raises(Auth0MetaError):
                call()
    assert len(log.lines) == 12
    assert "canary" not in "\n".join((*log.lines, *map(repr, log.fields)))
