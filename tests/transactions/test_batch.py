"""Batches: what is sent for whom, in which order, how many at a time, and what callbacks and results report."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from support.local_tenant import UID, Local
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, limited

from auth0_meta import (
    Auth0MetaError,
    AuthError,
    BadRequestError,
    BatchError,
    ConfigError,
    InputError,
    ManagementClient,
    MetadataBatch,
    MetadataWarning,
    NotFoundError,
    NotSentError,
    OutcomeUnknown,
    PathError,
    RateLimitError,
    ScopeError,
    ServerError,
    StateError,
)
from auth0_meta.emulator import LocalTenant
from auth0_meta.models import BatchResult, Progress
from auth0_meta.testing import FakeClock
from auth0_meta.transactions import batch as batch_module

WORKER = "auth0-meta-batch"


def workers() -> int:
    """Count the live worker threads of batches."""
    return sum(thread.name == WORKER for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Check that the threads of a batch have ended with it."""
    before = workers()
    yield
    assert workers() <= before


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Return a tenant without a socket or limits, with users auth0|0 to auth0|39."""
    users = [{"user_id": f"auth0|{n}", "app_metadata": {"n": n, "deep": {"kept": n}}} for n in range(40)]
    with LocalTenant(serve=False, users=users) as local:
        yield local


@pytest.fixture
def client(tenant: LocalTenant) -> ManagementClient:
    """Return a client of that tenant."""
    return tenant.client(token="any.given.token")


def ids(count: int = 40) -> list[str]:
    """Return the ids of the first users."""
    return [f"auth0|{n}" for n in range(count)]


def patched(tenant: LocalTenant) -> list[str]:
    """Return the ids of the users whom the tenant received a PATCH for, in order."""
    return [str(entry.user_id) for entry in tenant.journal.requests("PATCH")]


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until another thread makes the condition true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def profile(seen: Seen) -> Reply:
    """Return a response with the profile of the requested user."""
    return Reply(200, {"user_id": unquote(seen.path.rpartition("/")[2])})


# ---- what is sent


def test_one_patch_for_each_user(tenant: LocalTenant, client: ManagementClient) -> None:
    """Every user is written once, with everything staged for them, and the counts agree."""
    with MetadataBatch(client) as batch:
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "pro"
            batch.user(user_id).user_metadata["theme"] = "dark"
            batch.user(user_id).app_metadata.set("deep.more", 1)
    assert sorted(patched(tenant)) == sorted(ids())
    assert batch.results.counts == {"updated": 40, "confirmed": 0, "unchanged": 0, "failed": 0, "not_sent": 0}
    assert (batch.results.done, batch.results.requests, batch.results.waited) == (40, 80, 0.0)
    assert repr(batch.results) == "<BatchResults 40 updated>"
    for n, user_id in enumerate(ids()):
        assert tenant.users[user_id].app_metadata == {"n": n, "deep": {"kept": n, "more": 1}, "plan": "pro"}
        assert tenant.users[user_id].user_metadata == {"theme": "dark"}


def test_nothing_is_sent_before_the_window_is_full(tenant: LocalTenant, client: ManagementClient) -> None:
    """The `window` users staged last are held back, however often they recur; older ones are sent meanwhile."""
    with MetadataBatch(client, window=3) as batch:
        for round_ in range(5):
            for user_id in ids(3):
                batch.user(user_id).app_metadata.set(f"round{round_}", True)
        assert patched(tenant) == []
        batch.user("auth0|0")  # staged again: now the others are older
        batch.user("auth0|3").app_metadata["plan"] = "pro"
        until(lambda: patched(tenant) == ["auth0|1"])
        batch.user("auth0|1").app_metadata["again"] = True
        until(lambda: patched(tenant) == ["auth0|1", "auth0|2"])
    assert Counter(patched(tenant)) == Counter({"auth0|0": 1, "auth0|1": 2, "auth0|2": 1, "auth0|3": 1})
    assert tenant.users["auth0|1"].app_metadata["again"] is True
    assert batch.results.counts["updated"] == 5


def test_two_patches_for_one_user_keep_their_order() -> None:
    """A later PATCH for a user waits until the earlier one has ended, while other users are sent."""
    free, slow = threading.Event(), threading.Event()

    def respond(seen: Seen) -> Reply:
        if seen.json["app_metadata"].get("step") == 1:
            slow.set()
            assert free.wait(60)
        return profile(seen)

    with ScriptedServer(respond) as server:
        with MetadataBatch(connect(server), window=1, concurrency=3) as batch:
            for step in (1, 2, 3):
                batch.user("auth0|slow").app_metadata["step"] = step
                batch.user(f"auth0|x{step}").app_metadata["step"] = 0
                batch.user(f"auth0|y{step}").app_metadata["step"] = 0
                until(lambda step=step: len(server.seen) >= 2 * step)  # type: ignore[misc]
            assert slow.is_set()
            free.set()
        steps = [seen.json["app_metadata"]["step"] for seen in server.seen if "slow" in seen.path]
    assert steps == [1, 2, 3]
    assert batch.results.counts["updated"] == 9


def test_an_untouched_user_costs_nothing(tenant: LocalTenant, client: ManagementClient) -> None:
    """A user is unchanged if nothing was staged for them, or nothing that differs from the given base."""
    with MetadataBatch(client) as batch:
        batch.user("auth0|1")
        batch.user("auth0|2", base=dict(tenant.users["auth0|2"])).app_metadata["n"] = 2
    assert len(tenant.journal) == 0
    assert batch.results.counts["unchanged"] == 2


def test_a_base_saves_the_read(tenant: LocalTenant, client: ManagementClient) -> None:
    """With base= a nested change costs one request; the first base that is given counts."""
    with MetadataBatch(client) as batch:
        batch.user("auth0|1", base=dict(tenant.users["auth0|1"])).app_metadata.set("deep.more", 1)
        batch.user("auth0|1", base={"app_metadata": {}}).app_metadata.increment("n")
    assert batch.results.requests == 1
    assert tenant.users["auth0|1"].app_metadata == {"n": 2, "deep": {"kept": 1, "more": 1}}


def test_reads_in_the_block_see_the_user(tenant: LocalTenant, client: ManagementClient) -> None:
    """A read costs a request at once, and what was read is compared when the change is sent."""
    with pytest.raises(BatchError) as caught, MetadataBatch(client) as batch:
        for user_id in ids(3):
            tx = batch.user(user_id)
            tx.app_metadata["twice"] = 2 * tx.app_metadata["n"]
        tenant.users["auth0|1"].patch(app_metadata={"n": 100})
    assert tenant.users["auth0|2"].app_metadata["twice"] == 4
    assert caught.value.results is batch.results
    assert [(r.user_id, type(r.error).__name__) for r in batch.results.failures] == [
        ("auth0|1", "ConflictError")
    ]


def test_many_threads_may_stage(tenant: LocalTenant, client: ManagementClient) -> None:
    """Several threads stage for the same users on one batch: nothing is lost, and nobody is sent twice."""
    start = threading.Barrier(4)

    def stage(number: int) -> None:
        start.wait(60)
        for user_id in ids():
            batch.user(user_id).app_metadata[f"by{number}"] = True

    with MetadataBatch(client) as batch:
        threads = [threading.Thread(target=stage, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    for n, user_id in enumerate(ids()):
        others = {f"by{number}": True for number in range(4)}
        assert tenant.users[user_id].app_metadata == {"n": n, "deep": {"kept": n}} | others
    assert len(patched(tenant)) == 40


# ---- in bounded memory


def test_staging_waits_for_the_workers() -> None:
    """While the tenant is slow, staging blocks a little past the window, and continues as users are sent."""
    free = threading.Event()

    def respond(seen: Seen) -> Reply:
        assert free.wait(60)
        return profile(seen)

    staged = 0

    def stage() -> None:
        nonlocal staged
        with MetadataBatch(connect(server), window=10, concurrency=2) as batch:
            for n in range(1000):
                batch.user(f"auth0|{n}").app_metadata["plan"] = "pro"
                staged += 1

    with ScriptedServer(respond) as server:
        thread = threading.Thread(target=stage)
        thread.start()
        until(lambda: staged > 200)
        time.sleep(0.2)
        held = staged
        assert held < 300
        free.set()
        thread.join(30)
        assert not thread.is_alive()
        assert staged == len(server.seen) == 1000


@pytest.mark.slow
def test_later_patches_for_a_slow_user_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Staging also blocks if everything waits for one user's earlier PATCH."""
    monkeypatch.setattr(
        "auth0_meta.transactions.batch._AHEAD", 100
    )  # a smaller limit, so that the test ends soon
    free = threading.Event()

    def respond(seen: Seen) -> Reply:
        if "%7Ca" in seen.path:
            assert free.wait(120)
        return profile(seen)

    rounds = 0

    def stage() -> None:
        nonlocal rounds
        with MetadataBatch(connect(server, timeout=(3, 120)), window=1, concurrency=2) as batch:
            for n in range(3000):
                batch.user("auth0|a").app_metadata["n"] = n
                batch.user(f"auth0|{n}").app_metadata["n"] = n
                until(lambda n=n: batch.results.done >= n - 1)  # type: ignore[misc]
                rounds += 1

    with ScriptedServer(respond) as server:
        thread = threading.Thread(target=stage, daemon=True)
        thread.start()
        until(lambda: rounds > 20, 60)
        before = 0
        while rounds > before:
            before = rounds
            time.sleep(0.5)
        assert rounds < 3000
        free.set()
        thread.join(60)
        assert not thread.is_alive()
        numbers = [seen.json["app_metadata"]["n"] for seen in server.seen if "%7Ca" in seen.path]
        assert numbers == sorted(numbers)
        assert len(numbers) > 20


@pytest.mark.slow
def test_memory_is_bounded_by_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch over a generator of many users needs the memory of a few thousand, failures included."""
    client = ManagementClient("http://127.0.0.1:1", token="any.given.token")
    from auth0_meta.http.transport import Response

    count = 0

    def send(method: str, path: str, *, headers: Any, **_: Any) -> Response:
        nonlocal count
        count += 1
        if count % 10 == 0:
            return Response(400, {}, b'{"statusCode":400,"error":"Bad Request","message":"no"}')
        return Response(200, {}, json.dumps({"user_id": unquote(path.rpartition("/")[2])}).encode())

    monkeypatch.setattr(client._channel.transport, "send", send)
    users = 20_000
    tracemalloc.start()
    try:
        with MetadataBatch(client, on_error="collect", keep=1000) as batch:
            for n in range(users):
                if n == 5000:
                    gc.collect()
                    tracemalloc.reset_peak()
                    early = tracemalloc.get_traced_memory()[0]
                batch.user(f"auth0|{n:024}").app_metadata["plan"] = "pro"
        growth = tracemalloc.get_traced_memory()[1] - early
    finally:
        tracemalloc.stop()
    assert batch.results.counts == {
        **{"updated": users - users // 10, "failed": users // 10},
        **{"confirmed": 0, "unchanged": 0, "not_sent": 0},
    }
    assert len(batch.results.failures) == 1000
    assert growth < 8_000_000


def test_a_kept_failure_keeps_no_frames(tenant: LocalTenant, client: ManagementClient) -> None:
    """Thousands of failures may be kept, so they and their causes release the frames that they were raised in."""
    tenant.fail(method="PATCH", status=400)
    with MetadataBatch(client, on_error="collect") as batch:
        batch.user("auth0|0").app_metadata["plan"] = "pro"
        batch.user("auth0|1").app_metadata.set("n.x", 1)
    links: list[BaseException] = []
    for result in batch.results.failures:
        link: BaseException | None = result.error
        while link is not None:
            links.append(link)
            link = link.__cause__ or link.__context__
    assert {type(link) for link in links} > {BadRequestError, PathError}
    assert [link.__traceback__ for link in links] == [None] * len(links)


# ---- how many at a time


def crowd(server_delay: float, users: int, *, fast: int = 0, **settings: Any) -> tuple[int, ScriptedServer]:
    """Run a batch against a server whose responses, after the first `fast`, are delayed; return the peak of concurrent requests."""
    lock, now, most, seen_so_far = threading.Lock(), 0, 0, 0

    def respond(seen: Seen) -> Reply:
        nonlocal now, most, seen_so_far
        with lock:
            now += 1
            most = max(most, now)
            seen_so_far += 1
            at_once = seen_so_far <= fast
        time.sleep(0.0 if at_once else server_delay)
        with lock:
            now -= 1
        return profile(seen)

    with ScriptedServer(respond) as server, MetadataBatch(connect(server), window=1, **settings) as batch:
        for n in range(users):
            batch.user(f"auth0|{n}").app_metadata["plan"] = "pro"
    return most, server


def test_concurrency_grows_while_the_tenant_takes_more() -> None:
    """A tenant that is slow but refuses nothing gets more and more requests at once."""
    most, _ = crowd(0.03, 150)
    assert 6 <= most <= 64


def test_concurrency_grows_after_a_few_fast_responses() -> None:
    """A few immediate responses do not make the others look slow."""
    most, _ = crowd(0.05, 150, fast=3)
    assert 6 <= most <= 64


def test_a_given_concurrency_stays() -> None:
    """If `concurrency` is a number, it stays the same from start to end."""
    most, _ = crowd(0.01, 60, concurrency=5)
    assert most == 5


def test_concurrency_stops_growing_when_the_rate_is_the_limit() -> None:
    """If the rate is known, a few requests at a time are enough: more would only wait in line."""
    with (
        LocalTenant(rate_limit="20@40", latency=0.02) as tenant,
        tenant.client(rate_limit="20@40", token="any.given.token") as client,
    ):
        for n in range(60):
            tenant.users.add(user_id=f"auth0|{n}")
        most = 0
        with MetadataBatch(client, share=1.0, window=1) as batch:
            for n in range(60):
                batch.user(f"auth0|{n}").app_metadata["plan"] = "pro"
                most = max(most, workers())
    assert batch.results.counts["updated"] == 60
    assert most <= 8
    assert tenant.journal.count("PATCH", status=429) == 0


def test_a_batch_makes_do_with_the_threads_it_gets(
    tenant: LocalTenant, client: ManagementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread is enough; without any, leaving the block sends the users itself, and staging too many users raises."""
    start, started = threading.Thread.start, 0

    def scarce(thread: threading.Thread) -> None:
        nonlocal started
        if thread.name == WORKER:
            started += 1
            if started > allowed:
                raise RuntimeError
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", scarce)
    allowed = 1
    with MetadataBatch(client, window=1, concurrency=3) as batch:
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert batch.results.counts["updated"] == 40
    allowed = 0
    with MetadataBatch(client, window=1) as batch:
        batch.user("auth0|1").app_metadata["plan"] = "free"
    assert batch.results.counts["updated"] == 1
    with pytest.raises(RuntimeError), MetadataBatch(client, window=1) as batch:
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "new"
    assert batch.results.not_sent == ids()[:2]
    with pytest.raises(LookupError), MetadataBatch(client, window=1) as batch:
        batch.user("auth0|1").app_metadata["plan"] = "new"
        raise LookupError
    assert batch.results.not_sent == ["auth0|1"]


# ---- how much of the rate limit


def test_a_share_keeps_a_floor() -> None:
    """At share 0.5 half of the bucket stays for others, and another client can use it while the batch waits."""
    local = Local(rate_limit="10@0.001")
    for n in range(9):
        local.tenant.users.add(user_id=f"auth0|{n}")
    batch = MetadataBatch(local.client, share=0.5, max_wait=1.0, on_error="collect", concurrency=1)
    with batch:
        for user_id in ids(9):
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert batch.results.counts["updated"] == 5
    assert {type(result.error) for result in batch.results.failures} == {RateLimitError}
    assert local.tenant.journal.count("PATCH") == 5
    for _ in range(5):
        local.client.users.get(UID)
    assert local.tenant.journal.count(status=429) == 0


def test_a_share_of_one_takes_everything() -> None:
    """The bucket is emptied, and no request is refused."""
    local = Local(rate_limit="10@10")
    for user_id in ids():
        local.tenant.users.add(user_id=user_id)
    with MetadataBatch(local.client, share=1.0, concurrency=1) as batch:
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert local.tenant.journal.count(status=429) == 0
    assert local.clock.monotonic() <= 3.0 * 1.02
    assert batch.results.waited > 0


def test_max_wait_is_per_user() -> None:
    """If the wait after a 429 exceeds max_wait, that user fails with `retry_at`; without max_wait the batch waits."""
    for max_wait, outcome in ((1.0, "failed"), (None, "updated")):
        local = Local()
        local.tenant.fail(method="PATCH", status=429, reset=30)
        with MetadataBatch(local.client, max_wait=max_wait, on_error="collect", concurrency=1) as batch:
            batch.user(UID).app_metadata["plan"] = "pro"
        assert batch.results.counts[outcome] == 1
        assert [type(result.error) for result in batch.results.failures] == [RateLimitError][
            : max_wait is not None
        ]


# ---- results and progress


def test_on_result_gets_every_user_once_and_one_at_a_time(
    tenant: LocalTenant, client: ManagementClient
) -> None:
    """`on_result` gets each user's outcome, one at a time; failures carry their error and cost."""
    results: list[BatchResult] = []
    busy = threading.Lock()

    def listen(result: BatchResult) -> None:
        assert busy.acquire(blocking=False)
        time.sleep(0.001)
        results.append(result)
        busy.release()

    with MetadataBatch(client, window=5, on_result=listen, on_error="collect", concurrency=8) as batch:
        for user_id in [*ids(20), "auth0|none"]:
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert sorted(r.user_id for r in results) == sorted([*ids(20), "auth0|none"])
    assert [r for r in results if r.outcome != "updated"] == batch.results.failures
    (failure,) = batch.results.failures
    assert (failure.user_id, failure.requests, type(failure.error)) == ("auth0|none", 1, NotFoundError)
    assert batch.results.done == 21


def test_progress_reports_how_far_the_batch_is() -> None:
    """`on_progress` is called now and then and at the end, with numbers that only grow."""
    local = Local(rate_limit="5@10")
    for user_id in ids():
        local.tenant.users.add(user_id=user_id)
    reports: list[Progress] = []
    with MetadataBatch(
        local.client, on_progress=reports.append, share=1.0, concurrency=1, on_error="collect"
    ) as batch:
        for user_id in [*ids(), "auth0|none"]:
            batch.user(user_id).app_metadata["plan"] = "pro"
    last = reports[-1]
    assert (last.staged, last.done, last.failed) == (41, 41, 1)
    assert last.per_second == pytest.approx(41 / last.seconds)
    assert 5 <= len(reports) <= 25
    assert [p.done for p in reports] == sorted(p.done for p in reports)
    assert batch.results.done == 41


def test_an_empty_batch_reports_its_progress_once() -> None:
    """It starts no thread."""
    reports: list[Progress] = []
    with MetadataBatch(Local().client, on_progress=reports.append) as batch:
        pass
    assert reports == [Progress(staged=0, done=0, failed=0, seconds=0.0, per_second=0.0)]
    assert repr(batch.results) == "<BatchResults nothing>"


@pytest.mark.parametrize("name", ["on_result", "on_progress"])
@pytest.mark.parametrize("error", [KeyError("mine"), SystemExit(3)])
def test_an_error_in_a_callback_reaches_the_caller(
    name: str, error: BaseException, tenant: LocalTenant, client: ManagementClient
) -> None:
    """It stops the batch, which raises it; the users who were not sent are named."""

    def fail(_: object) -> None:
        raise error

    if name == "on_progress" and isinstance(error, SystemExit):
        tenant.fail(method="PATCH", delay=0.25)
    settings: dict[str, Any] = {name: fail}
    with (
        pytest.raises(type(error)) as caught,
        MetadataBatch(client, window=3, concurrency=1, **settings) as batch,
    ):
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert caught.value is error
    sent = patched(tenant)
    assert batch.results.counts["updated"] == len(sent)
    assert not set(sent) & set(batch.results.not_sent)
    if name == "on_result":
        assert len(sent) == 1
        with pytest.raises(StateError):
            batch.user("auth0|1")


def test_a_broken_batch_takes_no_more_users(tenant: LocalTenant, client: ManagementClient) -> None:
    """Once a callback has failed, staging raises the callback's error, even if it was waiting."""

    def fail(_: object) -> None:
        raise KeyError

    with pytest.raises(KeyError), MetadataBatch(client, window=1, on_result=fail) as batch:
        batch.user("auth0|1").app_metadata["plan"] = "pro"
        batch.user("auth0|2").app_metadata["plan"] = "pro"
        until(lambda: batch.results.done)
        for _ in range(500):
            time.sleep(0.002)
            with pytest.raises(KeyError):
                batch.user("auth0|3")
            break
    assert batch.results.not_sent == ["auth0|2"]


def test_the_error_of_the_block_comes_first(tenant: LocalTenant, client: ManagementClient) -> None:
    """If the block and a callback both fail, the block's error is raised, with the other as its context."""

    def fail(_: object) -> None:
        raise KeyError

    with pytest.raises(LookupError) as caught, MetadataBatch(client, on_result=fail) as batch:
        batch.user("auth0|1").app_metadata["plan"] = "pro"
        raise LookupError
    assert isinstance(caught.value.__context__, KeyError)
    with pytest.raises(LookupError) as caught, MetadataBatch(client, on_result=fail) as batch:
        try:
            raise OSError
        except OSError as error:
            raise LookupError from error
    assert isinstance(caught.value.__context__, OSError)


def test_a_read_that_a_broken_batch_ends_says_why() -> None:
    """If a callback fails while the block waits for a read, the block gets the callback's error."""
    local = Local(rate_limit="1@0.001")
    reading = threading.Event()

    def fail(_: object) -> None:
        assert reading.wait(60)
        raise KeyError

    def wait(_: object) -> None:
        reading.set()

    client = local.tenant.client(token="any.given.token", on_wait=wait)
    local.tenant.users.add(user_id="auth0|2")
    with pytest.raises(KeyError), MetadataBatch(client, window=1, on_result=fail, share=1.0) as batch:
        batch.user("auth0|2").app_metadata["plan"] = "pro"
        tx = batch.user(UID)
        until(lambda: local.tenant.journal.count("PATCH"))
        local.tenant.fail(method="GET", status=429, reset=3600)
        tx.app_metadata.get("plan")


def test_staging_from_a_callback_is_refused(tenant: LocalTenant, client: ManagementClient) -> None:
    """A callback that stages could wait for itself, so staging there raises an error."""
    with (
        pytest.raises(StateError, match="not in its callbacks"),
        MetadataBatch(client, on_result=lambda result: batch.user(result.user_id)) as batch,
    ):
        batch.user("auth0|1").app_metadata["plan"] = "pro"


# ---- failures


def test_failures_are_raised_on_leaving(tenant: LocalTenant, client: ManagementClient) -> None:
    """One failed user does not stop the others; leaving the block raises, with counts and the first failure."""
    tenant.fail(method="PATCH", user_id="auth0|3", status=400)
    with pytest.raises(BatchError, match=r"1 of 40 users failed; the first is auth0\|3") as caught:  # noqa: SIM117
        with MetadataBatch(client) as batch:
            for user_id in ids():
                batch.user(user_id).app_metadata["plan"] = "pro"
    assert caught.value.results is batch.results
    assert batch.results.counts["updated"] == 39
    assert batch.results.counts["failed"] == 1


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (boom(401, "Unauthorized", "Invalid token"), AuthError),
        (
            boom(403, "Forbidden", "Insufficient scope, expected any of: update:users", "insufficient_scope"),
            ScopeError,
        ),
    ],
)
def test_an_error_that_affects_every_user_ends_the_batch(reply: Reply, error: type[Auth0MetaError]) -> None:
    """A refused credential or a missing scope stops the batch at once, whatever `on_error` is; the rest is not sent."""
    with ScriptedServer(reply) as server:
        with pytest.raises(error), MetadataBatch(connect(server), window=5, on_error="collect") as batch:
            for n in range(2000):
                batch.user(f"auth0|{n}").app_metadata["plan"] = "pro"
        assert len(server.seen) == batch.results.counts["failed"] <= 10
        assert batch.results.counts["not_sent"] == batch.results.counts["not_sent"]
        assert batch.results.counts["updated"] == 0


def test_an_unreachable_tenant_ends_the_batch() -> None:
    """If nothing listens, the failures of the first users end the batch for all."""
    client = ManagementClient("http://127.0.0.1:1", token="any.given.token", timeout=1)
    with pytest.raises(NotSentError), MetadataBatch(client, on_error="collect", max_wait=0) as batch:
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert batch.results.counts["failed"] <= 2
    assert batch.results.counts["failed"] + batch.results.counts["not_sent"] == 40


def test_a_system_exit_while_sending_ends_the_batch(tenant: LocalTenant) -> None:
    """A SystemExit that `on_wait` raises is not one user's failure: it reaches the caller."""

    def leave(_: object) -> None:
        raise SystemExit(3)

    tenant.fail(method="PATCH", status=429, reset=1)
    client = tenant.client(token="any.given.token", on_wait=leave)
    with pytest.raises(SystemExit), MetadataBatch(client, concurrency=1) as batch:
        batch.user("auth0|1").app_metadata["plan"] = "pro"
        batch.user("auth0|2").app_metadata["plan"] = "pro"
    assert batch.results.counts["failed"] == 1
    assert batch.results.not_sent == ["auth0|2"]


def test_an_error_in_on_wait_ends_the_batch(tenant: LocalTenant) -> None:
    """A bug in the client's callback is not a user's failure either, even if it shows while a user is sent."""

    def fail(_: object) -> None:
        raise ZeroDivisionError

    tenant.fail(method="PATCH", status=429, reset=1)
    client = tenant.client(token="any.given.token", on_wait=fail)
    with pytest.raises(ZeroDivisionError), MetadataBatch(client, on_error="collect", concurrency=1) as batch:
        for user_id in ids(5):
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert batch.results.counts["failed"] == 1
    assert batch.results.not_sent == ids(5)[1:]


def test_a_warning_raised_as_an_error_fails_one_user(tenant: LocalTenant, client: ManagementClient) -> None:
    """If warnings are errors, the user whom the warning is about fails, and the others are sent."""
    big = {"app_metadata": {"x": "y" * 11_000}}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with MetadataBatch(client, on_error="collect") as batch:
            batch.user("auth0|1", base=big).app_metadata["plan"] = "pro"
            batch.user("auth0|2").app_metadata["plan"] = "pro"
    assert batch.results.counts["updated"] == batch.results.counts["failed"] == 1


def test_the_repr_shows_state_and_counts(client: ManagementClient) -> None:
    """The repr has the state and counts, and nothing that is staged."""
    batch = MetadataBatch(client)
    assert repr(batch) == "<MetadataBatch not entered: 0 staged, <BatchResults nothing>>"
    with batch:
        batch.user("auth0|1").app_metadata["plan"] = "hidden"
        assert repr(batch) == "<MetadataBatch open: 1 staged, <BatchResults nothing>>"
    assert repr(batch) == "<MetadataBatch left: 1 staged, <BatchResults 1 updated>>"


def test_lost_responses_are_read_back(tenant: LocalTenant, client: ManagementClient) -> None:
    """If the response to a PATCH is lost, the user is read back, and counted as confirmed or sent again."""
    tenant.fail(method="PATCH", user_id="auth0|1", drop="after_commit")
    tenant.fail(method="PATCH", user_id="auth0|2", drop="before_commit")
    with MetadataBatch(client) as batch:
        for user_id in ids(3):
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert batch.results.counts == {"updated": 2, "confirmed": 1, "unchanged": 0, "failed": 0, "not_sent": 0}
    assert all(tenant.users[u].app_metadata["plan"] == "pro" for u in ids(3))


def test_an_oversize_profile_affects_only_its_user(tenant: LocalTenant, client: ManagementClient) -> None:
    """By default `oversize=` warns; as "error" it fails that user."""
    big = {"app_metadata": {"x": "y" * 11_000}}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with MetadataBatch(client) as batch:
            batch.user("auth0|1", base=big).app_metadata["plan"] = "pro"
    assert [w.category for w in caught] == [MetadataWarning]
    with MetadataBatch(client, oversize="error", on_error="collect") as batch:
        batch.user("auth0|1", base=big).app_metadata["plan"] = "pro"
        batch.user("auth0|2").app_metadata["plan"] = "pro"
    assert batch.results.counts["updated"] == batch.results.counts["failed"] == 1


# ---- leaving early


def test_an_exception_stops_sending(tenant: LocalTenant, client: ManagementClient) -> None:
    """Requests under way are finished and counted; all other users are not sent, and reported as such."""
    results: list[BatchResult] = []
    arrived = threading.Event()

    def slow(_: object) -> None:
        arrived.set()
        time.sleep(0.2)

    tenant.before("PATCH", "auth0|0", slow)
    with (
        pytest.raises(LookupError),
        MetadataBatch(client, window=5, on_result=results.append, concurrency=1) as batch,
    ):
        for user_id in ids(20):
            batch.user(user_id).app_metadata["plan"] = "pro"
        assert arrived.wait(60)
        raise LookupError
    assert patched(tenant) == ["auth0|0"]
    assert batch.results.counts["updated"] == 1
    assert batch.results.not_sent == ids(20)[1:]
    assert [result.user_id for result in results] == ids(20)
    assert batch.results.done == 1


def test_an_exception_ends_waits_at_once() -> None:
    """A worker that waits after a 429 gives up, and its user is not sent."""
    with ScriptedServer(limited(3600)) as server:
        waiting = threading.Event()
        client = connect(server, on_wait=lambda _: waiting.set())
        start = time.monotonic()
        with pytest.raises(LookupError), MetadataBatch(client, window=1, concurrency=2) as batch:
            batch.user("auth0|1").app_metadata["plan"] = "pro"
            batch.user("auth0|2").app_metadata["plan"] = "pro"
            assert waiting.wait(60)
            raise LookupError
        assert time.monotonic() - start < 5
        assert sorted(batch.results.not_sent) == ["auth0|1", "auth0|2"]
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("then", "reason"),
    [
        ([Reply(close=True)], "connection"),
        ([limited(3600)], "rate limit"),
        ([Reply(200, {"user_id": "auth0|1"}), limited(3600)], "rate limit"),
    ],
    ids=["lost", "read", "sent again"],
)
def test_a_lost_response_does_not_hold_up_leaving(
    then: list[Reply], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the batch stops, the time to read back a PATCH in doubt is limited; then its user fails with OutcomeUnknown."""
    monkeypatch.setattr("auth0_meta.http.budget._AFTER_A_STOP", 1.0)
    waiting = threading.Event()
    with ScriptedServer(Reply(close=True), *then) as server:
        client = connect(server, on_wait=lambda wait: waiting.set() if wait.reason == reason else None)
        start = time.monotonic()
        with pytest.raises(LookupError), MetadataBatch(client, window=1, concurrency=1) as batch:
            batch.user("auth0|1").app_metadata["plan"] = "pro"
            batch.user("auth0|2").app_metadata["plan"] = "pro"
            assert waiting.wait(10)
            raise LookupError
        assert time.monotonic() - start < 30
        assert isinstance(batch.results.failures[0].error, OutcomeUnknown)
        assert batch.results.not_sent == ["auth0|2"]


@pytest.mark.parametrize(
    "replies",
    [[Reply(200, {"user_id": "auth0|1"}), limited(3600)], [Reply(503)]],
    ids=["between read and write", "server error"],
)
def test_an_exception_ends_every_wait_before_the_patch(replies: list[Reply]) -> None:
    """Before a user's PATCH has been sent, any wait for that user ends at once."""
    with ScriptedServer(*replies) as server:
        waiting = threading.Event()
        client = connect(server, on_wait=lambda wait: waiting.set() if wait.reason != "pacing" else None)
        start = time.monotonic()
        with pytest.raises(LookupError), MetadataBatch(client, window=1, concurrency=1) as batch:
            batch.user("auth0|1").app_metadata.set("a.b", 1)
            batch.user("auth0|2").app_metadata.set("a.b", 1)
            assert waiting.wait(10)
            raise LookupError
        assert time.monotonic() - start < 20
        assert batch.results.not_sent == ["auth0|1", "auth0|2"]


def test_a_read_is_repeated_after_a_server_error() -> None:
    """After a 5xx the read is repeated, and the user is then updated."""
    with ScriptedServer(Reply(503), Reply(200, {"user_id": "auth0|1"})) as server:
        with MetadataBatch(connect(server)) as batch:
            batch.user("auth0|1").app_metadata.set("a.b", 1)
        assert batch.results.counts["updated"] == 1
        assert server.methods() == ["GET", "GET", "PATCH"]


CTRL_C = """
import sys, threading
from auth0_meta import ManagementClient, MetadataBatch

client = ManagementClient({url!r}, token="any.given.token")
results = []
try:
    with MetadataBatch(client, window=10, on_result=results.append, concurrency=4) as batch:
        for n in range({users}):
            batch.user(f"auth0|{{n}}").app_metadata["plan"] = "pro"
except KeyboardInterrupt:
    print("interrupted")
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(1)
print(batch.results.counts["updated"], batch.results.counts["not_sent"], threading.active_count())
for result in results:
    print(result.outcome, result.user_id)
"""


@pytest.mark.parametrize(("users", "times"), [(100_000, 1), (50, 1), (100_000, 2), (50, 2)])
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for a child")
def test_ctrl_c_accounts_for_every_user(users: int, times: int) -> None:
    """After a real SIGINT, while staging or leaving, once or twice, nobody is both sent and reported as not sent."""
    free = threading.Event()

    def respond(seen: Seen) -> Reply:
        if len(server.seen) > 20:
            assert free.wait(120)
        return profile(seen)

    with ScriptedServer(respond) as server:
        code = CTRL_C.format(url=server.url, users=users)
        child = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", code],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(server.seen) == 24, 100)
        for _ in range(times):
            child.send_signal(signal.SIGINT)
            time.sleep(0.2)
        free.set()
        out, err = child.communicate(timeout=120)
    assert err == ""
    first, second, *lines = out.splitlines()
    assert first == "interrupted"
    assert [int(number) for number in second.split()][0::2] == [24, 1]
    outcomes: dict[str, set[str]] = {"updated": set(), "not_sent": set()}
    for line in lines:
        outcome, _, user_id = line.partition(" ")
        outcomes[outcome].add(user_id)
    assert outcomes["updated"] == {f"auth0|{seen.path.rpartition('%7C')[2]}" for seen in server.seen}
    assert not outcomes["updated"] & outcomes["not_sent"]
    assert len(lines) == len(outcomes["updated"]) + len(outcomes["not_sent"])
    assert users > 50 or len(lines) == 50


needs_signals = pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends a signal to a thread")


def interrupt_main() -> None:
    """Press Ctrl-C, as seen by the main thread."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@needs_signals
def test_an_interruption_while_leaving_still_accounts_for_all(
    tenant: LocalTenant, client: ManagementClient
) -> None:
    """If the wait for the workers is interrupted, sending stops, and the batch waits again for what is under way."""

    def interrupt(_: object) -> None:
        interrupt_main()
        assert batch._cancelled.wait(60)

    tenant.before("PATCH", "auth0|3", interrupt)
    with pytest.raises(KeyboardInterrupt), MetadataBatch(client, concurrency=1) as batch:
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "pro"
    assert patched(tenant) == ids(4)
    assert batch.results.counts["updated"] == 4
    assert batch.results.not_sent == ids()[4:]


@needs_signals
def test_an_interruption_while_staging_waits_accounts_for_all(
    tenant: LocalTenant, client: ManagementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it is if staging is interrupted while it waits for the workers."""
    monkeypatch.setattr("auth0_meta.transactions.batch._AHEAD", 10)

    def interrupt(_: object) -> None:
        until(lambda: batch._waiting, 60)
        interrupt_main()
        assert batch._cancelled.wait(60)

    tenant.before("PATCH", "auth0|3", interrupt)
    staged = 0
    with pytest.raises(KeyboardInterrupt), MetadataBatch(client, window=1, concurrency=1) as batch:
        for user_id in ids():
            batch.user(user_id).app_metadata["plan"] = "pro"
            staged += 1
    assert patched(tenant) == ids(4)
    assert batch.results.counts["updated"] == 4
    assert batch.results.not_sent == ids()[4:staged]


def test_an_interruption_while_a_worker_starts_leaves_none_behind(
    tenant: LocalTenant, client: ManagementClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupt before or after a thread was started neither hangs the batch nor leaves a thread that nobody awaits."""
    start = threading.Thread.start
    for late in (False, True):
        interrupted: list[bool] = []

        def once(thread: threading.Thread, late: bool = late, interrupted: list[bool] = interrupted) -> None:
            if thread.name != WORKER or interrupted:
                return start(thread)
            if late:
                start(thread)
            interrupted.append(True)
            raise KeyboardInterrupt

        monkeypatch.setattr(threading.Thread, "start", once)
        with pytest.raises(KeyboardInterrupt), MetadataBatch(client, concurrency=1) as batch:
            for user_id in ids():
                batch.user(user_id).app_metadata["plan"] = "pro"
        assert batch.results.counts["updated"] + len(batch.results.not_sent) == 40
        assert workers() == 0


def test_a_worker_that_is_interrupted_tells_what_was_written(tenant: LocalTenant) -> None:
    """If something ends the work on a user after its PATCH was applied, that user is not counted as merely failed."""

    class Stop(BaseException):
        pass

    def stop(_: object) -> None:
        raise Stop

    client = tenant.client(token="any.given.token", on_wait=stop)
    tenant.fail(method="PATCH", status=503, commit=True)
    with pytest.raises(Stop), MetadataBatch(client) as batch:
        batch.user("auth0|1").app_metadata["plan"] = "pro"
    (failure,) = batch.results.failures
    assert isinstance(failure.error, OutcomeUnknown)
    assert isinstance(failure.error.__cause__, Stop)
    assert failure.error.user_id == "auth0|1"


def test_a_read_in_a_broken_batch_raises_what_broke_it() -> None:
    """No internal signal reaches the block: it gets the error of the batch, and may catch it as that."""
    local = Local(rate_limit="1@0.001")
    reading = threading.Event()

    def fail(_: object) -> None:
        assert reading.wait(60)
        raise KeyError

    client = local.tenant.client(token="any.given.token", on_wait=lambda _: reading.set())
    local.tenant.users.add(user_id="auth0|2")
    caught: list[BaseException] = []
    with pytest.raises(KeyError), MetadataBatch(client, window=1, on_result=fail, share=1.0) as batch:
        batch.user("auth0|2").app_metadata["plan"] = "pro"
        tx = batch.user(UID)
        until(lambda: local.tenant.journal.count("PATCH"), 60)
        local.tenant.fail(method="GET", status=429, reset=3600)
        for read in (lambda: tx.app_metadata.get("plan"), tx.load):
            try:
                read()
            except Exception as error:  # noqa: BLE001  # as an application might
                caught.append(error)
    assert [type(error) for error in caught] == [KeyError, KeyError]


def test_a_read_while_the_batch_is_left_raises_a_state_error(
    tenant: LocalTenant, client: ManagementClient
) -> None:
    """If nothing broke the batch, but its block was left with an exception, the read says so."""
    with pytest.raises(LookupError), MetadataBatch(client) as batch:
        tx = batch.user("auth0|1")
        raise LookupError
    with pytest.raises(StateError, match="the batch was left"):
        tx.app_metadata.get("n")


FORK = """
import os, sys, threading
from auth0_meta import ManagementClient, MetadataBatch, StateError

client = ManagementClient({url!r}, token="any.given.token")
with MetadataBatch(client, window=5, share=1.0) as batch:
    for n in range(30):
        tx = batch.user(f"auth0|{{n}}")
        tx.app_metadata["plan"] = "pro"
    pid = os.fork()
    if not pid:
        for stage in (lambda: batch.user("auth0|1"), lambda: tx.app_metadata.set("a", 1)):
            try:
                stage()
            except StateError as error:
                assert "in the child" in str(error)
            else:
                os._exit(9)
        with MetadataBatch(client) as own:
            own.user("auth0|child").app_metadata["plan"] = "pro"
        assert own.results.counts["updated"] == 1
        {leave}
if not pid:
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), batch.results.counts["updated"])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.parametrize(("leave", "status"), [("sys.exit(3)", 3), ("pass", 0)])
def test_a_forked_child_leaves_the_block_at_once(leave: str, status: int) -> None:
    """It has none of the workers, so it waits for none and sends nothing of the parent's; a batch of its own works."""
    with ScriptedServer(profile) as server:
        code = FORK.format(url=server.url, leave=leave)
        # From 3.12 on Python warns of every fork beside threads, which is what is tried here.
        line = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code]
        done = subprocess.run(line, capture_output=True, text=True, timeout=120)
        assert (done.stdout.split(), done.stderr) == ([str(status), "30"], "")
        assert len(server.seen) == 31


# ---- what is refused


@pytest.mark.parametrize(
    "settings",
    [
        *({"share": bad} for bad in (0, -1, 1.01, True, "1", float("nan"))),
        *({"concurrency": bad} for bad in (0, -1, True, 2.0)),
        *({"window": bad} for bad in (0, None, True)),
        *({"keep": bad} for bad in (0, "10")),
        {"on_error": "ignore"},
        {"on_result": 5},
        {"on_progress": "print"},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], client: ManagementClient) -> None:
    """Settings that can't work raise at once."""
    with pytest.raises(InputError):
        MetadataBatch(client, **settings)


def test_a_bad_wait_budget_is_refused(client: ManagementClient) -> None:
    """`max_wait` is checked with the other settings."""
    with pytest.raises(ConfigError):
        MetadataBatch(client, max_wait=-1)


@pytest.mark.parametrize("user_id", ["", None, 5, ["auth0|1"], {}])
def test_a_bad_user_id_is_refused(user_id: Any, tenant: LocalTenant, client: ManagementClient) -> None:
    """A bad user id raises at staging, and the other users are sent."""
    with MetadataBatch(client) as batch:
        with pytest.raises(InputError):
            batch.user(user_id)
        batch.user("auth0|1").app_metadata["plan"] = "pro"
    assert patched(tenant) == ["auth0|1"]


def test_users_are_staged_inside_the_block(client: ManagementClient) -> None:
    """Staging before or after the block, and entering a batch twice, raise StateError."""
    batch = MetadataBatch(client)
    with pytest.raises(StateError):
        batch.user("auth0|1")
    with batch:
        pass
    with pytest.raises(StateError):
        batch.user("auth0|1")
    with pytest.raises(StateError), batch:
        pass


def test_only_the_batch_sends_a_users_transaction(tenant: LocalTenant, client: ManagementClient) -> None:
    """A user's transaction can't be entered, committed or rolled back; savepoints of it can."""
    with MetadataBatch(client) as batch:
        tx = batch.user("auth0|1")
        for call in (tx.commit, tx.rollback, tx.__enter__):
            with pytest.raises(StateError, match="the batch sends"):
                call()
        with tx.nested() as part:
            part.app_metadata["plan"] = "pro"
        with pytest.raises(LookupError), tx.nested() as part:
            part.app_metadata["plan"] = "lost"
            raise LookupError
        with client.transaction("auth0|2") as apart:
            apart.app_metadata["plan"] = "at once"
        assert patched(tenant) == ["auth0|2"]
    assert tenant.users["auth0|1"].app_metadata["plan"] == "pro"


def test_a_transaction_kept_past_the_window_refuses_staging(
    tenant: LocalTenant, client: ManagementClient
) -> None:
    """Staging on a transaction that was already sent raises, instead of losing the change."""
    with MetadataBatch(client, window=1) as batch:
        old = batch.user("auth0|1")
        old.app_metadata["plan"] = "pro"
        batch.user("auth0|2")
        until(lambda: batch.results.done == 1)
        with pytest.raises(StateError, match="sent already"):
            old.app_metadata["late"] = True


def test_a_batch_installs_no_signal_handler(client: ManagementClient) -> None:
    """Signals are the program's business."""
    before = signal.getsignal(signal.SIGINT)
    with MetadataBatch(client):
        assert signal.getsignal(signal.SIGINT) is before


def _failing(only: str | None) -> Callable[[Seen], Reply]:
    """Return a reply that is a 503 for one user, or for everybody, and else the user's profile."""

    def reply(seen: Seen) -> Reply:
        user_id = unquote(seen.path.rpartition("/")[2].partition("?")[0])
        if only in (None, user_id):
            return boom(503, "Service Unavailable", "later")
        return Reply(200, {"user_id": user_id})

    return reply


class _Meanwhile(FakeClock):
    """A clock that does something else during each sleep."""

    do: Callable[[], object] | None = None

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.do is not None:
            self.do()


def test_a_user_fails_alone_while_others_succeed() -> None:
    """Its requests are repeated for `failure_wait` seconds, and nobody else's wait is longer for it."""
    clock = _Meanwhile()
    with ScriptedServer(_failing("auth0|3")) as server:
        client = connect(server, clock=clock)
        clock.do = lambda: client.users.get("auth0|9")
        with MetadataBatch(client, concurrency=1, on_error="collect") as batch:
            for user_id in ("auth0|0", "auth0|3", "auth0|4"):
                batch.user(user_id).app_metadata.increment("n")
        assert batch.results.counts["updated"] == 2
        assert [result.user_id for result in batch.results.failures] == ["auth0|3"]
        assert clock.monotonic() < 40


def test_a_worker_without_work_ends_and_another_one_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt in the first instant of leaving the block leaves a batch that nobody will end."""
    monkeypatch.setattr(batch_module, "_IDLE", 0.02)
    local, before = Local(), workers()
    with MetadataBatch(local.client, window=1, concurrency=2) as batch:
        for round_ in range(3):
            for n in range(3):
                user_id = f"auth0|{round_}{n}"
                local.tenant.users.add(user_id=user_id)
                batch.user(user_id).app_metadata["round"] = round_
            began = time.monotonic()
            while workers() > before and time.monotonic() - began < 60:
                time.sleep(0.01)
            assert workers() == before
    assert batch.results.counts["updated"] == 9


def test_a_batch_says_what_it_waits_for() -> None:
    """Nobody gets a result during an outage, so progress and `on_wait` are told before each wait."""
    clock, waits, reports = FakeClock(), list[Any](), list[Progress]()
    with ScriptedServer(_failing(None)) as server:
        client = connect(server, clock=clock, on_wait=waits.append)
        with pytest.raises(ServerError), MetadataBatch(client, on_progress=reports.append) as batch:
            batch.user("auth0|0").app_metadata.increment("n")
    assert {wait.reason for wait in waits} == {"server error"}
    said = [report.waiting for report in reports if report.waiting]
    assert said == [f"server error, {w.seconds:.0f} s" for w in waits]
    assert (reports[-1].waiting, reports[-1].failed) == ("", 1)


def test_a_progress_callback_that_fails_during_a_wait_ends_the_batch() -> None:
    """As it does at any other time; the user who waits is not blamed."""

    def fail(report: Progress) -> None:
        raise ValueError("the bar is broken")

    clock = FakeClock()
    with ScriptedServer(_failing(None)) as server:
        batch = MetadataBatch(connect(server, clock=clock), on_progress=fail)
        with pytest.raises(ValueError, match="the bar"), batch:
            batch.user("auth0|0").app_metadata.increment("n")
        assert batch.results.not_sent == ["auth0|0"]
        assert clock.monotonic() < 1


def test_max_wait_ends_a_batch_sooner_in_an_outage() -> None:
    """It limits the waits of each user whatever they are for."""
    clock = FakeClock()
    with ScriptedServer(_failing(None)) as server:
        with pytest.raises(ServerError), MetadataBatch(connect(server, clock=clock), max_wait=20) as batch:
            batch.user("auth0|0").app_metadata.increment("n")
        assert clock.monotonic() <= 20


def test_an_outage_is_waited_out_and_ends_the_batch() -> None:
    """After a quarter of an hour in which nobody succeeded, the rest is not sent, and the block raises the error."""
    clock = FakeClock()
    with ScriptedServer(_failing(None)) as server:
        with pytest.raises(ServerError), MetadataBatch(connect(server, clock=clock), concurrency=1) as batch:
            for user_id in ids(3):
                batch.user(user_id).app_metadata.increment("n")
        assert batch.results.counts["failed"] == 1
        assert batch.results.not_sent == ids(3)[1:]
        assert 800 < clock.monotonic() <= 900
