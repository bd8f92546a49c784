"""What a migration does when something around it fails: disk, clock, workers, other processes, other writers."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, patches_by_user, populate, rows_of

from auth0_meta import LedgerError, ManagementClient, MetadataTransaction, ScopeError, User
from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.migrate import UserDone, apply, plan, status, undo
from auth0_meta.migrate.applying.task import Outcome, Task, TaskResult
from auth0_meta.migrate.events import Waiting
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.testing import FakeClock

Rows = Callable[..., Path]
NO_SCOPE = {
    "statusCode": 403,
    "error": "Forbidden",
    "message": "Insufficient scope, expected any of: read:users",
    "errorCode": "insufficient_scope",
}


def planned(job: Path, tenant: LocalTenant, ndjson: Rows, users: int = 3) -> list[str]:
    """Plan to move the plan of every user."""
    ids = populate(tenant, users)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    return ids


@pytest.mark.skipif(sys.platform == "win32", reason="needs RLIMIT_FSIZE")
def test_a_run_on_a_full_disk_stops_and_can_be_resumed(job: Path, ndjson: Rows) -> None:
    """The error says what to do, nothing more is sent, and the run resumes once there is room."""
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


class SetClock:
    """A clock that ticks as the tenant's does, but whose wall clock can be set."""

    def __init__(self, true: FakeClock) -> None:
        self.monotonic, self.sleep, self.wait = true.monotonic, true.sleep, true.wait
        self.true, self.offset = true, 0.0

    def time(self) -> float:
        """Return the time of the wall clock as it was set."""
        return self.true.time() + self.offset


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_setting_the_clock_during_a_run_does_no_harm(job: Path, ndjson: Rows, step: float) -> None:
    """The wall clock may jump an hour either way: every user is changed once, as planned, and the run takes no longer."""
    clock = FakeClock()
    ours = SetClock(clock)
    with (
        LocalTenant(serve=False, clock=clock, rate_limit="3@1") as tenant,
        tenant.client(clock=ours) as client,
    ):
        ids = planned(job, tenant, ndjson, users=6)
        tenant.before("PATCH", None, lambda _: setattr(ours, "offset", step), nth=2)
        assert dict(apply(job, client, concurrency=1).counts) == {"done": 6}
        assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
        assert sum(clock.slept) < 60


def test_a_write_to_other_keys_between_read_and_patch_survives(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Keys that the migration does not touch are never sent, so no write to them is lost."""
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


def test_any_executor_can_run_the_workers(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Workers need only the interface of `concurrent.futures.Executor`; an executor that was passed is not shut down."""
    ids = planned(job, tenant, ndjson, users=20)
    with ThreadPoolExecutor(3) as pool:
        assert dict(apply(job, client, executor=pool, concurrency=3).counts) == {"done": 20}
        assert pool.submit(int, "5").result() == 5
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


class Losing(ThreadPoolExecutor):
    """Run the first task and lose its result, as a killed worker does."""

    lost = False

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Raise instead of returning the first result."""
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
    """The run ends with the worker's error; the next run reads that user and does not write again."""
    ids = planned(job, tenant, ndjson)
    with Losing(1) as pool, pytest.raises(ConnectionResetError):
        apply(job, client, executor=pool, concurrency=1)
    assert status(job).counts["sent"] == 1
    assert dict(apply(job, client).counts) == {"done": 3}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


def test_a_user_in_doubt_stays_in_doubt_when_the_run_is_stopped(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """If the read after a lost response stops the run, the next run still finds that this job has written, and undo restores the user."""
    ids = planned(job, tenant, ndjson)
    before = {user.user_id: user.app_metadata for user in tenant.users}
    tenant.fail(method="PATCH", user_id=ids[0], drop="after_commit")
    tenant.fail(method="GET", user_id=ids[0], nth=2, status=403, body=NO_SCOPE)
    with pytest.raises(ScopeError):
        apply(job, client, concurrency=1)
    assert status(job).counts["sent"] == 1
    apply(job, client)
    assert status(job).counts == {"done": 3}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)

    tenant.fail(method="PATCH", user_id=ids[0], drop="after_commit")
    tenant.fail(method="GET", user_id=ids[0], nth=2, status=403, body=NO_SCOPE)
    with pytest.raises(ScopeError):
        undo(job, client, concurrency=1)
    assert status(job).counts["undoing"] == 1
    undo(job, client)
    assert status(job).counts == {"undone": 3}
    assert {user.user_id: user.app_metadata for user in tenant.users} == before


class Cancelling(ThreadPoolExecutor):
    """An executor that cancels the run before its first task begins."""

    def __init__(self, cancel: threading.Event) -> None:
        super().__init__(1)
        self.cancel = cancel

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Cancel, then run the task."""
        self.cancel.set()
        return super().submit(fn, *args, **kwargs)


def test_a_user_in_doubt_stays_in_doubt_when_the_run_is_cancelled(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """If a cancelled run could not read the user back, the PATCH still counts as this job's later."""
    ids = planned(job, tenant, ndjson, users=1)
    before = tenant.users[ids[0]].app_metadata
    with Losing(1) as pool, pytest.raises(ConnectionResetError):
        apply(job, client, executor=pool, concurrency=1)
    cancel = threading.Event()
    with Cancelling(cancel) as pool:
        result = apply(job, client, executor=pool, cancel=cancel)
    assert (result.interrupted, dict(result.counts)) == (True, {})
    assert status(job).counts == {"sent": 1}
    assert dict(apply(job, client).counts) == {"done": 1}
    assert patches_by_user(tenant) == {ids[0]: 1}
    assert dict(undo(job, client).counts) == {"undone": 1}
    assert tenant.users[ids[0]].app_metadata == before


def test_a_user_who_was_not_reached_is_still_planned(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A cancelled run puts back the users that it had claimed but sent nothing for: none is in doubt."""
    planned(job, tenant, ndjson)
    cancel = threading.Event()
    with Cancelling(cancel) as pool:
        apply(job, client, executor=pool, cancel=cancel)
    assert status(job).counts == {"planned": 3}
    assert patches_by_user(tenant) == {}


class CancellingAfter(Cancelling):
    """An executor that cancels the run once its first task has ended."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run the task, then cancel."""
        future = ThreadPoolExecutor.submit(self, fn, *args, **kwargs)
        future.add_done_callback(lambda _: self.cancel.set())
        return future


@pytest.mark.parametrize("status_code", [403, 400])
def test_a_failure_that_may_be_everybodys_is_left_to_the_next_run(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows, status_code: int
) -> None:
    """If the run is stopped before other users have shown which it is, nobody has failed; a 400 is the user's own."""
    ids = planned(job, tenant, ndjson, users=1)
    was = tenant.users[ids[0]].app_metadata
    tenant.fail(method="PATCH", user_id=ids[0], status=status_code)
    cancel = threading.Event()
    with CancellingAfter(cancel) as pool:
        result = apply(job, client, executor=pool, cancel=cancel)
    own = status_code == 400
    assert (result.interrupted, dict(result.counts)) == (True, {"failed": 1} if own else {})
    assert status(job).counts == {"failed" if own else "planned": 1}
    # The refused PATCH may have been applied all the same, so the user counts as this job's.
    tenant.users[ids[0]].patch(app_metadata={"plan": None, "billing": {"vat": 24, "plan": was["plan"]}})
    assert dict(apply(job, client).counts) == {"done": 1}
    assert tenant.journal.count("PATCH") == 1


def test_a_second_run_of_a_job_is_refused(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """While one run works, another run of the same job sends nothing."""
    planned(job, tenant, ndjson)
    refusals: list[LedgerError] = []

    def again(_: LocalTenant) -> None:
        def other() -> None:
            with pytest.raises(LedgerError) as caught:
                apply(job, client)
            refusals.append(caught.value)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    tenant.before("PATCH", None, again)
    assert dict(apply(job, client).counts) == {"done": 3}
    assert "is working with" in str(refusals[0])


def test_a_missing_scope_stops_the_run(tenant: LocalTenant, job: Path, ndjson: Rows) -> None:
    """A 403 is not the user's fault: no user is marked as failed."""
    planned(job, tenant, ndjson)
    with tenant.client(token=tenant.token(scopes=["read:users"])) as client, pytest.raises(ScopeError):
        apply(job, client)
    assert status(job).counts == {"planned": 3}


def test_what_the_tenant_stores_differently_can_still_be_undone(job: Path, ndjson: Rows) -> None:
    """If a tenant drops a nested null, the job file keeps what was really stored, and undo works with that."""
    with LocalTenant(serve=False, switches=Switches(nested_null="drop")) as tenant, tenant.client() as client:
        tenant.users.add(user_id="auth0|1", app_metadata={"a": 1})

        def nulls(user: User, tx: MetadataTransaction) -> None:
            tx.app_metadata["a"] = {"x": None, "y": 2}

        plan(nulls, to=job, users=str(ndjson(rows_of(tenant))))
        apply(job, client)
        assert tenant.users["auth0|1"].app_metadata == {"a": {"y": 2}}
        assert dict(undo(job, client).counts) == {"undone": 1}
        assert tenant.users["auth0|1"].app_metadata == {"a": 1}


def test_undo_restores_an_emptied_bag(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """`clear` and `replace` are undone exactly."""
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
    """Undo covers the users who were written or are in doubt, and no others."""
    ids = planned(job, tenant, ndjson)
    before = {user.user_id: user.app_metadata for user in tenant.users}
    with Losing(1) as pool, pytest.raises(ConnectionResetError):
        apply(job, client, executor=pool, concurrency=1)
    assert dict(undo(job, client).counts) == {"undone": 1}
    assert {user.user_id: user.app_metadata for user in tenant.users} == before
    assert set(patches_by_user(tenant)) == {ids[0]}


def test_notes_of_failures_contain_no_value(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """If Auth0 quotes a request in its error, the quotation does not reach the job file."""
    tenant.users.add(user_id="auth0|1", app_metadata={"plan": "canary-7f3a"})
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    body = {"statusCode": 400, "error": "Bad Request", "message": "bad canary-7f3a"}
    tenant.fail(method="PATCH", status=400, body=body)
    events: list[Any] = []
    apply(job, client, on_event=events.append)
    (failed,) = [event for event in events if isinstance(event, UserDone)]
    assert failed.outcome == "failed"
    assert "canary" not in failed.note


def test_a_write_during_any_long_wait_is_noticed(job: Path, ndjson: Rows) -> None:
    """However often a PATCH is refused, a new read follows each wait, so that what somebody wrote meanwhile stays."""
    with LocalTenant(serve=False, clock=FakeClock()) as tenant, tenant.client() as client:
        tenant.users.add(user_id="auth0|1", app_metadata={"counters": {"n": 1}})

        def count(user: User, tx: MetadataTransaction) -> None:
            tx.app_metadata.increment("counters.n")

        plan(count, to=job, users=str(ndjson(rows_of(tenant))))
        tenant.fail(method="PATCH", status=429, reset=7, times=4)
        waits: list[Waiting] = []

        def meanwhile(event: object) -> None:
            if isinstance(event, Waiting):
                waits.append(event)
                if len(waits) == 4:
                    live = {"counters": {"n": 100, "live": True}}
                    tenant.users["auth0|1"].patch(app_metadata=live)

        assert dict(apply(job, client, concurrency=1, on_event=meanwhile).counts) == {"done": 1}
        assert len(waits) == 4
        assert tenant.users["auth0|1"].app_metadata == {"counters": {"n": 101, "live": True}}


def test_a_slow_token_request_is_followed_by_a_new_read(job: Path, ndjson: Rows) -> None:
    """The seconds between the read and the PATCH count, however they were spent: a write in between is noticed."""
    clock = FakeClock()
    with LocalTenant(serve=False, clock=clock) as tenant:
        slow: list[str] = []

        def token() -> str:
            if tenant.journal.count("GET") == 1 and not slow:
                slow.append("once")
                clock.advance(10)
                tenant.users[ids[0]].patch(app_metadata={"plan": "live"})
            return "any.given.token"

        ids = planned(job, tenant, ndjson, users=1)
        tenant.journal.clear()
        result = apply(job, tenant.client(token=token), concurrency=1)
        assert slow
        assert "done" not in result.counts
        assert patches_by_user(tenant) == {}
        assert tenant.users[ids[0]].app_metadata["plan"] == "live"


def test_a_bucket_of_one_token_does_not_make_a_run_endless(job: Path, ndjson: Rows) -> None:
    """If each read takes the token that the PATCH needs, the PATCH gets the next one."""
    clock = FakeClock()
    with (
        LocalTenant(serve=False, clock=clock, rate_limit="1@0.2") as tenant,
        tenant.client(token="any.given.token") as client,
    ):
        ids = planned(job, tenant, ndjson)
        result = apply(job, client, concurrency=1, share=1.0)
        assert dict(result.counts) == {"done": 3}
        assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
        assert result.requests <= 20


@pytest.mark.parametrize("status_code", [408, 302, 307])
def test_a_response_from_a_gateway_is_followed_by_a_read(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows, status_code: int
) -> None:
    """A PATCH that gets a 408 or a redirect may have been applied: the user is read back, and undo covers the user."""
    ids = planned(job, tenant, ndjson)
    before = {user.user_id: user.app_metadata for user in tenant.users}
    tenant.fail(method="PATCH", user_id=ids[0], status=status_code, commit=True)
    tenant.fail(method="PATCH", user_id=ids[1], status=status_code)
    assert dict(apply(job, client).counts) == {"done": 3}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
    assert dict(undo(job, client).counts) == {"undone": 3}
    assert {user.user_id: user.app_metadata for user in tenant.users} == before


def test_a_gateway_that_never_forwards_leaves_the_user_unclear(job: Path, ndjson: Rows) -> None:
    """After minutes of 408s the user is reported as unclear, not as unchanged."""
    with LocalTenant(serve=False, clock=FakeClock()) as tenant, tenant.client() as client:
        ids = planned(job, tenant, ndjson, users=2)
        tenant.fail(method="PATCH", user_id=ids[0], status=408, times=None)
        events: list[Any] = []
        result = apply(job, client, concurrency=1, on_event=events.append)
    assert dict(result.counts) == {"unclear": 1, "done": 1}
    (note,) = [event.note for event in events if isinstance(event, UserDone) and event.outcome == "unclear"]
    assert "got a 408 again and again, and may have been applied" in note


def test_a_refused_write_that_is_found_applied_belongs_to_this_job(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """If the next run finds a refused user as planned, the user counts as written, so that undo covers the change."""
    ids = planned(job, tenant, ndjson)
    before = {user.user_id: user.app_metadata for user in tenant.users}
    tenant.fail(method="PATCH", user_id=ids[0], status=409, commit=True)
    tenant.fail(method="PATCH", user_id=ids[1], status=409)
    assert dict(apply(job, client).counts) == {"failed": 2, "done": 1}
    tenant.users[ids[2]].patch(user_metadata={"theme": "light"})
    assert dict(apply(job, client).counts) == {"done": 2}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
    assert dict(undo(job, client).counts) == {"undone": 3}
    assert {user.user_id: user.app_metadata for user in tenant.users} == before


def test_undo_of_a_job_that_wrote_nothing_changes_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Before an apply there is nothing to undo, and the job can still be applied; after a real undo it can't."""
    planned(job, tenant, ndjson)
    assert dict(undo(job, client).counts) == {}
    assert (status(job).stage, status(job).runs) == ("planned", ())
    assert dict(apply(job, client).counts) == {"done": 3}
    assert dict(undo(job, client).counts) == {"undone": 3}
    assert dict(undo(job, client).counts) == {}
    with pytest.raises(LedgerError, match="undone"):
        apply(job, client)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE users SET plan = (SELECT plan FROM users WHERE n = 1) WHERE n = 2",
        "UPDATE users SET user_id = 'auth0|x' WHERE n = 2",
        "DELETE FROM users WHERE n = 3",
        "INSERT INTO users (user_id, state, plan) SELECT 'auth0|x', 0, plan FROM users WHERE n = 1",
        "UPDATE blocks SET digest = 'x'",
        "UPDATE users SET again = plan WHERE n = 2",
    ],
)
@pytest.mark.parametrize("step", [apply, undo])
def test_an_altered_plan_is_refused_by_every_run(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    ndjson: Rows,
    tampering: str,
    step: Callable[..., Any],
) -> None:
    """The digest is checked after the first run too, by apply and by undo, and covers what a run has replanned."""
    planned(job, tenant, ndjson)
    if step is apply:
        tenant.fail(method="PATCH", status=400, times=3)
    apply(job, client)
    stored = {user.user_id: user.app_metadata for user in tenant.users}
    with sqlite3.connect(job) as db:
        db.execute(tampering)
    db.close()
    with pytest.raises(LedgerError, match=r"not as it was planned|is damaged"):
        step(job, client)
    assert {user.user_id: user.app_metadata for user in tenant.users} == stored


def test_a_job_file_can_not_be_opened_twice_under_two_names(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A symbolic link leads to the same lock; a file with a hard link is refused."""
    planned(job, tenant, ndjson)
    link = job.with_name("link.db")
    link.symlink_to(job)
    with Ledger.open(job, write=True), pytest.raises(LedgerError, match="is working with"):
        apply(link, client)
    hard = job.with_name("hard.db")
    hard.hardlink_to(job)
    for name in (job, hard):
        with pytest.raises(LedgerError, match="hard links"):
            apply(name, client)
    hard.unlink()
    assert dict(apply(link, client).counts) == {"done": 3}
    assert sorted(path.name for path in job.parent.glob("*.db*")) == ["job.db", "link.db"]


class Canned(ThreadPoolExecutor):
    """Return results in place of the worker, after 5 ms, and count how many tasks run at once."""

    def __init__(self) -> None:
        super().__init__(64)
        self.lock = threading.Lock()
        self.now = self.most = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call `answer` instead of the worker."""
        return super().submit(self.answer, *args)

    def answer(self, task: Task) -> TaskResult:
        """Report every fifth user as gone, and the first ones as ten times as fast as the others."""
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.005)
        with self.lock:
            self.now -= 1
        outcome: Outcome = "gone" if task.n % 5 == 1 else "done"
        seconds = 0.03 if outcome == "gone" else 0.04 if task.n < 5 else 0.4
        return TaskResult(
            n=task.n, user_id=task.user_id, outcome=outcome, requests=2, patches=1, seconds=seconds
        )


def test_a_few_fast_responses_do_not_slow_a_run_down(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Because of a few fast users and a few who are gone, the run does not work on fewer users at once."""
    planned(job, tenant, ndjson, users=300)
    with Canned() as workers:
        result = apply(job, client, executor=workers, share=1.0)
    assert sum(result.counts.values()) == 300
    assert workers.most > 16


def test_a_token_endpoint_that_is_down_is_reported_as_a_wait(job: Path, ndjson: Rows) -> None:
    """While there is no token, an event says what the run is waiting for."""
    with LocalTenant(serve=False, clock=FakeClock()) as tenant, tenant.client() as client:
        planned(job, tenant, ndjson)
        tenant.fail(path="/oauth/token", status=503, times=4)
        events: list[Any] = []
        assert dict(apply(job, client, concurrency=1, on_event=events.append).counts) == {"done": 3}
    assert [e.reason for e in events if isinstance(e, Waiting)] == ["server error"] * 4


def stale_index(db: sqlite3.Connection) -> None:
    """Leave the index as it is while every second user moves to another state and back in the counts."""
    db.execute("PRAGMA writable_schema = ON")
    ((statement,),) = db.execute("SELECT sql FROM sqlite_master WHERE name = 'by_state'").fetchall()
    ((page,),) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'by_state'").fetchall()
    db.execute("DELETE FROM sqlite_master WHERE name = 'by_state'")
    db.commit()
    version = db.execute("PRAGMA schema_version").fetchone()[0] + 1
    db.execute(f"PRAGMA schema_version = {version}")
    db.execute("UPDATE users SET state = 6 WHERE n % 2 = 0")
    row = ("index", "by_state", "users", page, statement)
    db.execute("INSERT INTO sqlite_master VALUES (?, ?, ?, ?, ?)", row)
    db.execute(f"PRAGMA schema_version = {version + 1}")


def cut(size: int) -> Callable[[Path], None]:
    """Return a damage that cuts the last bytes of a file."""

    def damage(path: Path) -> None:
        os.truncate(path, path.stat().st_size - size)

    return damage


def changed(change: str | Callable[[sqlite3.Connection], None]) -> Callable[[Path], None]:
    """Return a damage that changes what is in the database."""

    def damage(path: Path) -> None:
        db = sqlite3.connect(path)
        with db:
            db.execute(change) if isinstance(change, str) else change(db)
        db.close()

    return damage


DAMAGES = {
    **{f"{size} bytes cut": cut(size) for size in (100, 600, 1500, 2500, 4000, 4096, 9000)},
    "an index of other states": changed(stale_index),
    "no index": changed("DROP INDEX by_state"),
    "a count without users": changed("UPDATE counts SET n = n + 1 WHERE state = 1"),
    "users without a count": changed("UPDATE counts SET n = 0"),
    "a count that is gone": changed("DELETE FROM counts WHERE state = 0"),
    "counts that are gone": changed("DELETE FROM counts"),
    "a state that does not exist": changed("UPDATE users SET state = 77 WHERE n = 3"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("step", [apply, undo])
def test_a_damaged_job_file_never_ends_well(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    ndjson: Rows,
    damage: str,
    step: Callable[..., Any],
) -> None:
    """Whichever part of it is missing or disagrees with another, the run is refused before anything is sent."""
    planned(job, tenant, ndjson, users=40)
    if step is undo:
        apply(job, client)
    DAMAGES[damage](job)
    tenant.journal.clear()
    with pytest.raises(LedgerError, match=r"damaged|digest differs"):
        step(job, client)
    assert tenant.journal.count() == 0


def test_users_left_over_without_an_interruption_are_an_error(
    client: ManagementClient, tenant: LocalTenant, job: Path, ndjson: Rows
) -> None:
    """A run that found no more to do, while the job file still counts users to do, does not end as if all were well."""
    planned(job, tenant, ndjson)

    class Forgetful(ThreadPoolExecutor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            (task,) = args
            return super().submit(TaskResult, n=task.n, user_id=task.user_id, outcome="cancelled")

    with Forgetful(1) as executor, pytest.raises(LedgerError, match="damaged"):
        apply(job, client, executor=executor)
    assert dict(apply(job, client).counts) == {"done": 3}
