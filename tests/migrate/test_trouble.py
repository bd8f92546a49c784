"""Hold what a migration does when its surroundings fail: disk, clock, workers, other coordinators, other writers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest_migrate import move_plan, patches_by_user, populate, rows_of

from auth0_meta import LedgerError, ManagementClient, MetadataTransaction, ScopeError, User
from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.migrate import UserDone, apply, plan, status, undo
from auth0_meta.testing import FakeClock

Rows = Callable[..., Path]


def planned(job: Path, tenant: LocalTenant, ndjson: Rows, users: int = 3) -> list[str]:
    """Plan to move every user's plan."""
    ids = populate(tenant, users)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    return ids


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_disk_that_fills_up_mid_run(job: Path, ndjson: Rows) -> None:
    """The run ends with what to do, nothing more is sent, and it resumes once there is room."""
    with LocalTenant(rate_limit="50@50") as tenant, tenant.client() as client:
        ids = planned(job, tenant, ndjson, users=60)
        code = (
            "import resource, signal, sys\n"
            "from auth0_meta.cli import main\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
            "sys.exit(main(['migrate', 'apply', sys.argv[1], '--yes']))\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(job)],
            env={**os.environ, **tenant.env}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "run the same command again" in done.stderr
        assert 0 < tenant.journal.count("PATCH") < 60
        apply(job, client)
        assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


class Stepping:
    """Be a machine's clock beside the tenant's: the same seconds, and a wall clock that can be set."""

    def __init__(self, true: FakeClock) -> None:
        self.monotonic, self.sleep, self.wait = true.monotonic, true.sleep, true.wait
        self.true, self.offset = true, 0.0

    def time(self) -> float:
        """Return the wall clock as it is set."""
        return self.true.time() + self.offset


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_is_set_mid_run(job: Path, ndjson: Rows, step: float) -> None:
    """The wall clock may jump an hour either way: users come out as planned, once each, in no more time."""
    clock = FakeClock()
    ours = Stepping(clock)
    with (
        LocalTenant(serve=False, clock=clock, rate_limit="3@1") as tenant,
        tenant.client(clock=ours) as client,
    ):
        ids = planned(job, tenant, ndjson, users=6)
        tenant.before("PATCH", None, lambda _: setattr(ours, "offset", step), nth=2)
        assert dict(apply(job, client, concurrency=1).counts) == {"done": 6}
        assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
        assert sum(clock.slept) < 60


def test_another_writer_between_read_and_patch_on_another_key(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Keys that the migration does not touch are never written, so nobody's write to them is lost."""
    ids = planned(job, tenant, ndjson)
    for user_id in ids:
        tenant.before(
            "PATCH",
            user_id,
            lambda t, u=user_id: t.users[u].patch(
                app_metadata={"seats": 99}, user_metadata={"theme": "light"}
            ),
        )
    assert dict(apply(job, client).counts) == {"done": 3}
    assert all(user.app_metadata["seats"] == 99 for user in tenant.users)
    assert all(user.user_metadata == {"theme": "light"} for user in tenant.users)


def test_any_executor_will_do(tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows) -> None:
    """Workers run behind `concurrent.futures.Executor`, and a given one is left open."""
    ids = planned(job, tenant, ndjson, users=20)
    with ThreadPoolExecutor(3) as pool:
        assert dict(apply(job, client, executor=pool, concurrency=3).counts) == {"done": 20}
        assert pool.submit(int, "5").result() == 5
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


class Losing(ThreadPoolExecutor):
    """Carry out the first task and lose its answer, as a killed worker does."""

    lost = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Raise in place of the first answer."""
        if self.lost:
            return super().submit(fn, *args, **kwargs)
        self.lost = True

        def run() -> Any:
            fn(*args, **kwargs)
            raise ConnectionResetError("the worker is gone")

        return super().submit(run)


def test_a_worker_that_dies_leaves_its_user_in_doubt(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """The run ends with the worker's error; the next one reads that user and does not write again."""
    ids = planned(job, tenant, ndjson)
    with Losing(1) as pool, pytest.raises(ConnectionResetError):
        apply(job, client, executor=pool, concurrency=1)
    assert status(job).counts["sent"] == 1
    assert dict(apply(job, client).counts) == {"done": 3}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


def test_a_second_coordinator_is_refused(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """While one run goes on, another of the same job sends nothing."""
    planned(job, tenant, ndjson)
    told: list[LedgerError] = []

    def again(_: LocalTenant) -> None:
        def other() -> None:
            with pytest.raises(LedgerError) as caught:
                apply(job, client)
            told.append(caught.value)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    tenant.before("PATCH", None, again)
    assert dict(apply(job, client).counts) == {"done": 3}
    assert "is working with" in str(told[0])


def test_a_missing_scope_stops_the_run(tenant: LocalTenant, job: Path, ndjson: Rows) -> None:
    """403 is no fault of the user: nobody is marked as failed."""
    planned(job, tenant, ndjson)
    with tenant.client(token=tenant.token(scopes=["read:users"])) as client, pytest.raises(ScopeError):
        apply(job, client)
    assert status(job).counts == {"planned": 3}


def test_what_the_tenant_stores_otherwise_than_sent_can_still_be_undone(job: Path, ndjson: Rows) -> None:
    """Where Auth0 were to drop a nested null, the ledger keeps what was stored, and undo knows it."""
    with LocalTenant(serve=False, switches=Switches(nested_null="drop")) as tenant, tenant.client() as client:
        tenant.users.add(user_id="auth0|1", app_metadata={"a": 1})

        def nulls(user: User, tx: MetadataTransaction) -> None:
            tx.app_metadata["a"] = {"x": None, "y": 2}

        plan(nulls, to=job, users=str(ndjson(rows_of(tenant))))
        apply(job, client)
        assert tenant.users["auth0|1"].app_metadata == {"a": {"y": 2}}
        assert dict(undo(job, client).counts) == {"undone": 1}
        assert tenant.users["auth0|1"].app_metadata == {"a": 1}


def test_an_emptied_bag_comes_back(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """`clear` and `replace` are undone to the letter."""
    tenant.users.add(
        user_id="auth0|1", app_metadata={"a": 1, "b": {"c": [1, None]}}, user_metadata={"x": 1, "y": 2}
    )

    def wipe(user: User, tx: MetadataTransaction) -> None:
        tx.app_metadata.clear()
        tx.user_metadata.replace({"x": 1, "z": 3})

    plan(wipe, to=job, users=str(ndjson(rows_of(tenant))))
    apply(job, client)
    assert tenant.users["auth0|1"].app_metadata == {}
    assert tenant.users["auth0|1"].user_metadata == {"x": 1, "z": 3}
    undo(job, client)
    assert tenant.users["auth0|1"].app_metadata == {"a": 1, "b": {"c": [1, None]}}
    assert tenant.users["auth0|1"].user_metadata == {"x": 1, "y": 2}


def test_an_interrupted_apply_can_be_undone(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Undo covers who was written and who is in doubt, and nobody else."""
    ids = planned(job, tenant, ndjson)
    before = {user.user_id: user.app_metadata for user in tenant.users}
    with Losing(1) as pool, pytest.raises(ConnectionResetError):
        apply(job, client, executor=pool, concurrency=1)
    assert dict(undo(job, client).counts) == {"undone": 1}
    assert {user.user_id: user.app_metadata for user in tenant.users} == before
    assert set(patches_by_user(tenant)) == {ids[0]}


def test_notes_of_failures_hold_no_value(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """What Auth0 echoes of a request does not reach the ledger."""
    tenant.users.add(user_id="auth0|1", app_metadata={"plan": "canary-7f3a"})
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    body = {"statusCode": 400, "error": "Bad Request", "message": "bad canary-7f3a"}
    tenant.fail(method="PATCH", status=400, body=body)
    events: list[Any] = []
    apply(job, client, on_event=events.append)
    (failed,) = [event for event in events if isinstance(event, UserDone)]
    assert failed.outcome == "failed"
    assert "canary" not in failed.note
