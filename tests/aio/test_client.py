"""The asyncio client against a local tenant: each call does what its sync counterpart does."""

from __future__ import annotations

import asyncio
import gzip
import io
import threading
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.loops import Gate, run, until
from support.scripted_server import Reply, ScriptedServer, Seen, connect

from auth0_meta import (
    AsyncManagementClient,
    AsyncMetadataTransaction,
    BatchError,
    ConfigError,
    ConflictError,
    InputError,
    Job,
    JobError,
    ManagementClient,
    NotFoundError,
    PagingError,
    RateLimitError,
    StateError,
)
from auth0_meta.emulator import LocalTenant
from auth0_meta.testing import FakeClock
from auth0_meta.threads.errand import Errand

CONNECTION = "Username-Password-Authentication"


@pytest.fixture
def local() -> Local:
    """Return a tenant with one user."""
    return Local({"theme": "light"}, {"n": 1})


def test_users(local: Local) -> None:
    """Create, read, find, list, change and delete."""

    async def main() -> None:
        users = local.client.aio.users
        ada = await users.create(
            {"connection": CONNECTION, "email": "ada@example.com", "password": "Analytical-1842"}
        )
        assert (await users.get(ada, fields=["email"])).email == "ada@example.com"
        assert (await users.update(ada, {"name": "Ada"})).name == "Ada"
        assert (await users.find("ADA@example.com")).user_id == ada.user_id
        assert [one.user_id for one in await users.by_email("ada@example.com")] == [ada.user_id]
        assert (await users.page(per_page=1)).total == 2
        assert await users.delete(ada) is None  # type: ignore[func-returns-value]
        with pytest.raises(NotFoundError):
            await users.get(ada)

    run(main())


def test_search_yields_every_user_once() -> None:
    """It reads page by page, stops at `limit`, and raises for bad arguments before it is iterated."""
    with LocalTenant(serve=False) as tenant:
        for n in range(7):
            tenant.users.add(user_id=f"auth0|{n}")
        client = tenant.client(token="any.given.token").aio

        async def main() -> None:
            everyone = {user.user_id async for user in client.users.search(per_page=3)}
            assert everyone == {f"auth0|{n}" for n in range(7)}
            assert len([user async for user in client.users.search(per_page=3, limit=4)]) == 4
            assert [user async for user in client.users.search(limit=0)] == []
            async for _ in client.users.search(per_page=3):
                break  # leaving early leaves nothing behind that asyncio would complain of
            for wrong in ({"per_page": 0}, {"limit": -1}, {"fields": [""]}):
                with pytest.raises(InputError):
                    client.users.search(**wrong)  # type: ignore[arg-type]

        run(main())
        # 7 users are 3 pages, and 4 are 2; a limit of 0 reads nothing.
        assert len([e for e in tenant.journal.requests("GET") if e.path == "/api/v2/users"]) == 3 + 2 + 1


def test_search_past_the_cap_raises_after_the_last_page() -> None:
    """No user is left out silently."""
    with LocalTenant(serve=False) as tenant:
        for n in range(1001):
            tenant.users.add(user_id=f"auth0|{n}")

        async def main() -> int:
            found = 0
            with pytest.raises(PagingError):
                async for _ in tenant.client(token="any.given.token").aio.users.search():
                    found += 1
            return found

        assert run(main()) == 1000


def test_set_metadata_is_a_transaction(local: Local) -> None:
    """It is one PATCH, and joins the transaction that is open for the user in this task."""

    async def main() -> None:
        client = local.client.aio
        result = await client.users.set_metadata(UID, user={"prefs.lang": "fi"}, app={"plan": "pro"})
        assert result.outcome == "updated"
        async with client.transaction(UID) as tx:
            assert (await client.users.set_metadata(UID, app={"plan": None})).outcome == "joined"
            tx.user_metadata["theme"] = "dark"
        with pytest.raises(InputError):
            await client.users.set_metadata(UID)

    run(main())
    assert local.sent == ["GET", "PATCH", "PATCH"]
    assert local.user_metadata == {"theme": "dark", "prefs": {"lang": "fi"}}
    assert local.app_metadata == {"n": 1}


def test_jobs() -> None:
    """Import, wait, errors, export, download."""
    seen: list[str] = []

    async def main(client: AsyncManagementClient) -> None:
        jobs = client.jobs
        job = await jobs.import_users([{"email": "grace@example.com"}], connection_id="con_" + "a" * 16)
        assert isinstance(await jobs.wait(job, on_progress=lambda job: seen.append(job.status)), Job)
        assert await jobs.errors(job.id) == []
        export = await jobs.wait(await jobs.export_users(fields=["email"]))
        assert (await jobs.get(export.id)).status == "completed"
        file = io.BytesIO()
        assert await jobs.download(export, file) == len(file.getvalue())
        assert b"grace@example.com" in gzip.decompress(file.getvalue())
        with pytest.raises(JobError):
            await jobs.download(job, io.BytesIO())

    with LocalTenant() as tenant, tenant.client(token="any.given.token") as client:
        run(main(client.aio))
    assert seen[-1] == "completed"


@pytest.mark.parametrize("pauses", [0, 3])
def test_waiting_for_a_job_takes_no_thread(pauses: int) -> None:
    """It sleeps by the client's clock between two readings, and the readings get slower."""
    states = iter(["pending"] * pauses + ["completed"])

    def respond(seen: Seen) -> Reply:
        return Reply(200, {"id": "job_1", "type": "users_export", "status": next(states)})

    clock = FakeClock()
    with ScriptedServer(respond) as server, connect(server, clock=clock) as client:
        assert run(client.aio.jobs.wait("job_1")).status == "completed"
    assert sum(clock.slept) == pytest.approx(sum([1.0, 1.5, 2.25][:pauses]))


def test_a_job_that_takes_too_long() -> None:
    """`timeout` counts seconds of the client's clock."""
    job = {"id": "job_1", "type": "users_export", "status": "pending"}
    with ScriptedServer(Reply(200, job)) as server, connect(server, clock=FakeClock()) as client:
        with pytest.raises(JobError, match="call wait again"):
            run(client.aio.jobs.wait("job_1", timeout=10))
        assert len(server.seen) > 3


def test_request_fills_in_and_encodes(local: Local) -> None:
    """It takes what the sync one takes."""

    async def main() -> Any:
        client = local.client.aio
        with pytest.raises(InputError, match="method"):
            await client.request("FETCH", "users")
        assert await client.request("GET", "users/{}/roles", UID) == []
        return await client.request("PATCH", "users/{}", UID, json={"name": "Ada"})

    assert run(main())["name"] == "Ada"


def test_run_transaction_starts_again_after_a_conflict(local: Local) -> None:
    """The function is awaited in each attempt, and its value is returned."""
    local.second_writer("GET", nth=2, app_metadata={"n": 5})

    async def change(tx: AsyncMetadataTransaction) -> int:
        await tx.load()
        n: int = tx.app_metadata["n"]
        tx.app_metadata["n"] = n + 1
        return n

    async def main() -> None:
        client = local.client.aio
        assert await client.run_transaction(UID, change) == 5
        assert local.app_metadata == {"n": 6}
        local.second_writer("GET", nth=2, app_metadata={"n": 9})
        with pytest.raises(ConflictError):
            await client.run_transaction(UID, change, attempts=1)
        with pytest.raises(InputError):
            await client.run_transaction(UID, change, attempts=0)
        async with client.transaction(UID):
            with pytest.raises(StateError, match="is open here"):
                await client.run_transaction(UID, change)

    run(main())
    assert local.app_metadata == {"n": 9}


def test_run_transaction_refuses_a_plain_function(local: Local) -> None:
    """What it stages is dropped, and nothing is sent."""

    def change(tx: AsyncMetadataTransaction) -> None:
        tx.app_metadata["n"] = 2

    with pytest.raises(InputError, match="not asynchronous"):
        run(local.client.aio.run_transaction(UID, change))  # type: ignore[arg-type]
    assert local.sent == []


def test_sync_and_async_blocks_of_one_task_join(local: Local) -> None:
    """`client.transaction` and `client.aio.transaction`, and those of views, are one PATCH."""

    def helper() -> None:
        with local.client.transaction(UID) as tx:
            tx.app_metadata["sync"] = True

    async def main() -> None:
        async with local.client.aio.transaction(UID) as tx:
            tx.app_metadata["async"] = True
            helper()
            async with local.client.aio.with_options(max_wait=1).transaction(UID) as part:
                part.app_metadata["view"] = True

    run(main())
    assert local.bodies == [{"app_metadata": {"async": True, "sync": True, "view": True}}]


def test_aio_is_the_same_client(local: Local) -> None:
    """It is the same object each time, on the same channel; a view has one of its own."""
    client = local.client
    assert client.aio is client.aio
    assert client.aio._channel is client._channel
    view = client.with_options(max_wait=0)
    assert view.aio is view.aio is not client.aio
    assert view.aio._channel is view._channel
    assert repr(client.aio).replace("Async", "") == repr(client)
    assert client.aio.audience == client.audience


def test_either_side_closes_both(local: Local) -> None:
    """A view closes nothing."""

    async def main() -> None:
        async with local.client.with_options(timeout=3).aio as view:
            await view.users.get(UID)
        async with local.client.aio as client:
            await client.users.get(UID)
        with pytest.raises(StateError, match="closed"):
            await client.users.get(UID)

    run(main())
    with pytest.raises(StateError, match="closed"):
        local.client.users.get(UID)
    other = Local().client
    face = other.aio
    other.close()
    with pytest.raises(StateError, match="closed"):
        run(face.users.get(UID))


def test_with_options_is_a_view() -> None:
    """Its settings hold for its calls, on the same connections."""
    with ScriptedServer() as server, connect(server) as client:

        async def main() -> None:
            view = client.aio.with_options(headers={"X-Correlation-ID": "17"})
            await view.users.get(UID)
            await client.aio.users.get(UID)
            await view.aclose()
            await client.aio.users.get(UID)

        run(main())
        assert [seen.headers.get("X-Correlation-ID") for seen in server.seen] == ["17", None, None]


def test_a_client_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings win over the environment, and mistakes are ConfigErrors."""
    with pytest.raises(ConfigError):
        AsyncManagementClient.from_env()
    with pytest.raises(ConfigError):
        AsyncManagementClient("tenant.eu.auth0.com")
    with ScriptedServer() as server:
        monkeypatch.setenv("AUTH0_DOMAIN", server.url)
        monkeypatch.setenv("AUTH0_API_TOKEN", "given-token")

        async def main() -> None:
            async with AsyncManagementClient.from_env(max_wait=1) as client:
                assert (await client.users.get(UID)).user_id == UID
                assert repr(client) == f"<AsyncManagementClient {server.url}, given token>"

        run(main())


def test_an_async_token_function_is_refused() -> None:
    """It would have to be awaited in a thread that has no event loop."""

    async def token() -> str:
        return "a.b.c"

    client = ManagementClient("http://127.0.0.1:1", token=token)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="async"):
        run(client.aio.users.get(UID))
    client.close()


def test_check(local: Local) -> None:
    """It returns what `client.check()` does."""
    checks = run(local.client.aio.check())
    assert [check.name for check in checks] == [check.name for check in local.client.check()]


def test_waiting_in_line_counts_against_max_wait() -> None:
    """A call that gets no thread within its `max_wait` is not sent; `request` may have one of its own."""
    local = Local(pool_size=1)

    async def main() -> None:
        gate = threading.Event()
        client = local.client.aio
        busy = asyncio.ensure_future(local.client._channel.carrier.carry(Errand(lambda: gate.wait(60))))
        await asyncio.sleep(0.05)
        with pytest.raises(RateLimitError, match=r"no worker thread was free for users\.get"):
            await client.with_options(max_wait=0).users.get(UID)
        with pytest.raises(RateLimitError, match="no worker thread was free"):
            await client.request("GET", "users", max_wait=0)
        gate.set()
        await busy

    run(main())
    assert local.sent == []


# ---- batches


def test_a_batch_sends_one_patch_for_each_user() -> None:
    """While the workers are behind, staging waits without blocking the loop."""
    with LocalTenant(serve=False) as tenant:
        for n in range(50):
            tenant.users.add(user_id=f"auth0|{n}")
        client = tenant.client(token="any.given.token").aio
        seen: list[str] = []

        async def main() -> None:
            async with client.batch(window=1, on_result=lambda r: seen.append(r.user_id)) as batch:
                for n in range(50):
                    (await batch.user(f"auth0|{n}")).app_metadata["n"] = n
                    (await batch.user(f"auth0|{n}")).app_metadata["m"] = n
            assert batch.results.counts["updated"] == 50
            assert repr(batch) == "<AsyncMetadataBatch left: 50 staged, <BatchResults 50 updated>>"

        run(main())
        assert sorted(seen) == sorted(f"auth0|{n}" for n in range(50))
        assert [tenant.users[f"auth0|{n}"].app_metadata for n in range(50)] == [
            {"n": n, "m": n} for n in range(50)
        ]


def test_staging_waits_for_room_and_other_tasks_run() -> None:
    """The window is full while no response comes."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        return Reply()

    async def main() -> None:
        async with client.aio.batch(window=1, concurrency=1) as batch:

            async def stage() -> None:
                for n in range(400):
                    (await batch.user(f"auth0|{n}")).app_metadata["n"] = n

            staging = asyncio.create_task(stage())
            ticks = 0
            while ticks < 20:
                await asyncio.sleep(0.005)
                ticks += 1
            assert not staging.done()
            gate.open()
            await staging
        assert batch.results.counts["updated"] == 400

    with ScriptedServer(respond) as server, connect(server) as client:
        run(main())


def test_a_failure_of_a_batch_is_raised_at_the_end(local: Local) -> None:
    """It is a BatchError with the results; reading and loading, which would block, are refused."""

    async def main() -> None:
        with pytest.raises(BatchError) as caught:
            async with local.client.aio.batch() as batch:
                tx = await batch.user("auth0|nobody")
                tx.app_metadata["n"] = 1
                for read in (lambda: tx.app_metadata.get("x"), tx.load):
                    with pytest.raises(StateError, match="base="):
                        read()
        assert caught.value.results is batch.results
        with pytest.raises(StateError):
            await batch.user(UID)

    run(main())


@pytest.mark.parametrize("where", ["in the block", "while it is left"])
def test_a_cancelled_batch_finishes_what_is_in_flight(where: str) -> None:
    """The other users are not sent, and are reported as such."""
    gate = Gate()

    def respond(seen: Seen) -> Reply:
        gate.wait()
        return Reply()

    async def main() -> None:
        batch = client.aio.batch(concurrency=1, window=1)

        async def stage() -> None:
            async with batch:
                for n in range(5):
                    (await batch.user(f"auth0|{n}")).app_metadata["n"] = n
                if where == "in the block":
                    await asyncio.sleep(60)

        task = asyncio.create_task(stage())
        await until(gate.arrived.is_set)
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await task
        counts = batch.results.counts
        assert (counts["updated"], counts["not_sent"]) == (1, 4)

    with ScriptedServer(respond) as server, connect(server) as client:
        run(main())
        assert len(server.seen) == 1
