"""Applying and undoing an offload: what is in the store when a PATCH arrives, and what becomes of a store that fails."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.offloads import (
    HISTORY,
    PATHS,
    Watched,
    bags_of,
    in_order,
    pointers_in,
    populate,
    resolved_bags,
)

from auth0_meta import ManagementClient
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import (
    ConfigError,
    ExternalDamagedError,
    ExternalError,
    ExternalMissingError,
    ExternalUnavailableError,
    InputError,
    LedgerError,
)
from auth0_meta.external import SqliteStore, load
from auth0_meta.migrate import Waiting, apply, offload, plan, purge, status, undo
from auth0_meta.migrate.blame import is_everybodys
from auth0_meta.testing import FakeClock

EVERYBODY = "search:user_id:*"


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that never really waits."""
    return FakeClock()


@pytest.fixture
def tenant(clock: FakeClock) -> Iterator[LocalTenant]:
    """Serve a tenant with four users on that clock."""
    with LocalTenant(serve=False, clock=clock) as local:
        populate(local, 4)
        yield local


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Watched]:
    """Return a store that a test can let fail."""
    one = Watched(tmp_path / "big.db")
    yield one
    one.close()


def planned(client: ManagementClient, job: Path, store: Any, paths: Any = PATHS, **settings: Any) -> None:
    """Plan for everybody."""
    offload(paths, to=job, store=store, client=client, users=EVERYBODY, **settings)


# The order of things ------------------------------------------------------------------------------------


@pytest.mark.parametrize("trust", [False, True])
def test_a_value_is_in_the_store_when_its_pointer_arrives(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched, tmp_path: Path, *, trust: bool
) -> None:
    """It was read back before that, and any other connection to the file sees it."""
    before = in_order(bags_of(tenant))
    planned(client, job, store)
    assert (store.calls, tenant.journal.count("PATCH")) == ([], 0)
    arrived: dict[str, dict[str, bytes]] = {}

    def look(user_id: str, _: LocalTenant) -> None:
        read_back = {key for call, key in store.calls if call == "get"}
        with contextlib.closing(sqlite3.connect(tmp_path / "big.db")) as other:
            query = "SELECT key, data FROM stored WHERE user_id = ?"
            found = dict(other.execute(query, (user_id,)))
        assert not list(pointers_in(tenant.users[user_id].app_metadata))
        arrived[user_id] = {key: data for key, data in found.items() if key in read_back}

    for user_id in before:
        tenant.before("PATCH", user_id, partial(look, user_id))
    result = apply(job, client, store=store, trust_plan=trust)
    assert result.counts == {"done": 4}
    for user in tenant.users:
        pointers = list(pointers_in([user.user_metadata, user.app_metadata]))
        assert {one["external"].split("/")[1] for one in pointers} == set(arrived[user.user_id])
        assert [one["bytes"] for one in pointers] == [
            len(arrived[user.user_id][one["external"][4:]]) for one in pointers
        ]
    assert resolved_bags(tenant, store) == before


def test_what_was_moved_comes_back_exactly(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """Undo takes it from the job file; what is in the store stays there, and can be forgotten."""
    before = bags_of(tenant)
    planned(client, job, store)
    apply(job, client, store=store)
    assert bags_of(tenant) != before
    assert undo(job, client).counts == {"undone": 4}
    assert bags_of(tenant) == before
    assert len(list(store.keys())) == 8
    assert store.forget("auth0|000001") == 2


def test_a_second_offload_finds_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """Pointers are counted as moved already."""
    planned(client, job, store)
    apply(job, client, store=store)
    summary = offload(PATHS, to=job.with_name("again.db"), store=store, client=client, users=EVERYBODY)
    assert summary.moved is not None
    assert (summary.changing, summary.unchanged, summary.moved.already, summary.moved.values) == (0, 4, 8, 0)


# A store that fails -------------------------------------------------------------------------------------


class Anything(Exception):
    """The error of somebody's own store, whose message holds the value."""


def fails(*errors: Exception) -> Any:
    """Return a function that raises these one after another, and then nothing."""
    left = list(errors)

    def fail(data: bytes) -> bytes:
        if left:
            raise left.pop(0)
        return data

    return fail


@pytest.mark.parametrize(
    ("hook", "kind", "why"),
    [
        (("put_first", fails(*[ExternalUnavailableError("the server is down")] * 999)), ExternalUnavailableError, "server is down"),
        (("put_first", fails(*[Anything("login 3")] * 999)), ExternalUnavailableError, "failed (Anything)"),
        (("put_first", fails(ExternalUnavailableError("no space", cause="full"))), ExternalUnavailableError, "no space"),
        (("put_first", fails(ExternalDamagedError("other data"))), ExternalDamagedError, "other data"),
        (("get_last", fails(*[ExternalUnavailableError("the server is down")] * 999)), ExternalUnavailableError, "server is down"),
        (("get_last", fails(*[KeyError("login 3")] * 999)), ExternalDamagedError, "does not have the value"),
        (("get_last", lambda data: data[:-1] + b" "), ExternalDamagedError, "something else"),
        (("get_last", lambda data: b""), ExternalDamagedError, "something else"),
    ],
    ids=["put", "own error", "full", "damaged", "get", "missing", "wrong bytes", "nothing"],
)  # fmt: skip
def test_a_store_that_fails_stops_the_run_and_nothing_is_written(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched, hook: Any, kind: Any, why: str
) -> None:
    """No PATCH leaves, no user counts as failed, and the same command resumes once the store works."""
    before = bags_of(tenant)
    planned(client, job, store)
    name, does = hook
    setattr(store, name, does)
    with pytest.raises(kind) as caught:
        apply(job, client, store=store, concurrency=1)
    said = str(caught.value)
    assert why in said
    assert "nothing was written for this user. Run the same command again to resume" in said
    assert "login 3" not in said + repr(caught.value.__cause__)
    assert (tenant.journal.count("PATCH"), bags_of(tenant)) == (0, before)
    assert status(job).counts == {"planned": 4}
    assert status(job).runs[0]["ended"] == f"stopped by {kind.__name__}"

    store.put_first = store.get_last = None
    assert apply(job, client, store=store).counts == {"done": 4}
    assert resolved_bags(tenant, store) == in_order(before)


def test_a_store_that_is_away_for_a_moment_is_waited_for(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched, clock: FakeClock
) -> None:
    """The wait is announced, and the user is read again, because the first read may be stale by then."""
    planned(client, job, store, HISTORY)
    store.put_first = fails(*[ExternalUnavailableError("the server is down")] * 5)
    events: list[Any] = []
    tenant.journal.clear()
    result = apply(job, client, store=store, concurrency=1, on_event=events.append)
    assert result.counts == {"done": 4}
    assert {event.reason for event in events if isinstance(event, Waiting)} == {"external store"}
    first = [entry.method for entry in tenant.journal.requests(user_id="auth0|000000")]
    assert first == ["GET", "GET", "PATCH"]


def test_a_login_during_that_wait_is_not_overwritten(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """The value that is read after the wait is the one that is moved."""
    offload(HISTORY, to=job, store=store, client=client, users='search:user_id:"auth0|000000"')

    def login(data: bytes) -> None:
        store.put_first = fails(*[ExternalUnavailableError("the server is down")] * 5)
        tenant.users["auth0|000000"].patch(app_metadata={"history": ["newer"] * 50})
        raise ExternalUnavailableError("the server is down")

    store.put_first = login
    assert apply(job, client, store=store).counts == {"done": 1}
    (pointer,) = pointers_in(tenant.users["auth0|000000"].app_metadata)
    assert load(pointer, store=store) == ["newer"] * 50


def test_a_run_that_waits_for_its_store_can_be_cancelled(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """It ends within a moment, and nothing was written."""
    planned(client, job, store)
    cancel = threading.Event()

    def stop(data: bytes) -> None:
        cancel.set()
        raise ExternalUnavailableError("the server is down")

    store.put_first = stop
    result = apply(job, client, store=store, cancel=cancel)
    assert (result.interrupted, result.remain, tenant.journal.count("PATCH")) == (True, 4, 0)


def test_a_full_disk_stops_the_run(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path
) -> None:
    """SQLite says so itself here; with more space, the run goes on where it was."""
    for user in tenant.users:
        user.patch(app_metadata={"history": [os.urandom(8).hex() for _ in range(500)]})
    before = in_order(bags_of(tenant))
    with SqliteStore(tmp_path / "big.db") as store:
        planned(client, job, store)
        with store._using() as db:
            pages = db.execute("PRAGMA page_count").fetchone()[0]
            db.execute(f"PRAGMA max_page_count = {pages + 8}")
        with pytest.raises(ExternalUnavailableError, match="the disk is full: free space") as caught:
            apply(job, client, store=store, concurrency=1)
        assert "Run the same command again to resume" in str(caught.value)
        some = status(job).counts
        assert 0 < some.get("done", 0) < 4
        assert some["done"] + some["planned"] == 4
        assert resolved_bags(tenant, store) == before
        with store._using() as db:
            db.execute("PRAGMA max_page_count = 100000")
        apply(job, client, store=store)
        assert status(job).counts == {"done": 4}
        assert resolved_bags(tenant, store) == before


# Users who have changed since the plan ------------------------------------------------------------------


@pytest.mark.parametrize("drift", ["replan", "overwrite", "skip"])
def test_a_login_after_the_plan_is_not_lost(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched, drift: Any
) -> None:
    """The newer value is moved, or the user is left alone; what stands beside it is kept as it is now."""
    planned(client, job, store)
    one = tenant.users["auth0|000001"]
    one.patch(
        app_metadata={"history": [*one.app_metadata["history"], "newer"]},
        user_metadata={"notes": {**one.user_metadata["notes"], "new": "newer"}},
    )
    before = bags_of(tenant)
    result = apply(job, client, store=store, drift=drift)
    assert result.counts == ({"done": 3, "drifted": 1} if drift == "skip" else {"done": 4})
    assert resolved_bags(tenant, store) == in_order(before)
    moved = list(pointers_in([one.app_metadata, one.user_metadata]))
    assert len(moved) == (0 if drift == "skip" else 2)
    undo(job, client)
    assert bags_of(tenant) == before


def test_a_user_who_has_lost_the_value_has_nothing_to_move(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """The same goes for a value that has become small, and for one that was moved by somebody else."""
    planned(client, job, store, HISTORY)
    other = job.with_name("other.db")
    offload(HISTORY, to=other, store=store, client=client, users='search:user_id:"auth0|000002"')
    apply(other, client, store=store)
    tenant.users["auth0|000000"].patch(app_metadata={"history": None})
    tenant.users["auth0|000001"].patch(app_metadata={"history": ["short"]})
    before = bags_of(tenant)
    assert apply(job, client, store=store).counts == {"same": 3, "done": 1}
    assert {k: v for k, v in bags_of(tenant).items() if k < "auth0|000003"} == {
        k: v for k, v in before.items() if k < "auth0|000003"
    }


@pytest.mark.parametrize("drop", ["before_commit", "after_commit"])
def test_a_lost_response_is_read_back(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched, drop: Any
) -> None:
    """Whether the PATCH was applied or not, the user ends as planned."""
    before = in_order(bags_of(tenant))
    planned(client, job, store)
    tenant.fail(method="PATCH", drop=drop)
    assert apply(job, client, store=store).counts == {"done": 4}
    assert resolved_bags(tenant, store) == before


def test_a_login_after_the_move_is_kept_by_undo(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """Only a key that still holds its pointer gets its value back."""
    planned(client, job, store)
    apply(job, client, store=store)
    tenant.users["auth0|000001"].patch(app_metadata={"history": ["newer"]})
    assert undo(job, client).counts == {"undone": 3, "kept": 1}
    assert tenant.users["auth0|000001"].app_metadata["history"] == ["newer"]
    assert set(tenant.users["auth0|000001"].user_metadata["notes"]) == {"old", "new"}


# The store and the job file -----------------------------------------------------------------------------


def test_the_store_of_the_job_file_is_used(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path is absolute there, so that the command may be run anywhere."""
    before = in_order(bags_of(tenant))
    monkeypatch.chdir(tmp_path)
    planned(client, job, "sqlite:///big.db")
    assert status(job).store == f"sqlite:///{tmp_path / 'big.db'}"
    monkeypatch.chdir("/")
    assert apply(job, client).counts == {"done": 4}
    with SqliteStore(tmp_path / "big.db") as store:
        assert resolved_bags(tenant, store) == before


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_store_that_was_moved_is_named(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    tmp_path: Path,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its name, which the pointers have, is in the file."""
    planned(client, job, f"sqlite:///{tmp_path / 'big.db'}")
    (tmp_path / "big.db").rename(tmp_path / "moved.db")
    url = f"sqlite:///{tmp_path / 'moved.db'}"
    monkeypatch.setenv("AUTH0_META_STORE", url if how == "variable" else f"sqlite:///{tmp_path / 'wrong.db'}")
    assert apply(job, client, **({"store": url} if how == "argument" else {})).counts == {"done": 4}
    assert not (tmp_path / "big.db").exists()


def test_another_store_is_refused(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path
) -> None:
    """One of another name before anything is sent, and one that lacks what an earlier run has moved."""
    planned(client, job, f"sqlite:///{tmp_path / 'big.db'}")
    tenant.journal.clear()
    with pytest.raises(ConfigError, match="moves values to the store 'big', and this is the store 'other'"):
        apply(job, client, store=f"sqlite:///{tmp_path / 'other.db'}")
    tenant.fail(method="PATCH", user_id="auth0|000003", status=403, times=None)
    apply(job, client)
    (tmp_path / "elsewhere").mkdir()
    sent = tenant.journal.count()
    with pytest.raises(ExternalMissingError, match="is it the right one, or an older copy"):
        apply(job, client, store=f"sqlite:///{tmp_path / 'elsewhere' / 'big.db'}")
    assert tenant.journal.count() == sent


def test_a_run_goes_on_although_users_were_forgotten(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """The values of the others show that it is the right store."""
    planned(client, job, store)
    tenant.fail(method="PATCH", user_id="auth0|000003", status=403)
    assert apply(job, client, store=store).counts == {"done": 3, "failed": 1}
    store.forget("auth0|000000")
    assert apply(job, client, store=store).counts == {"done": 1}


def test_a_store_object_of_a_program_is_needed_again(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """The job file can't name it."""
    planned(client, job, store)
    assert status(job).store == "big"
    with pytest.raises(InputError, match="was planned with a store of a program: pass that one as store="):
        apply(job, client)
    with pytest.raises(InputError, match="store must be a URL or an external store, not int"):
        apply(job, client, store=3)  # type: ignore[arg-type]


def test_only_an_offload_takes_a_store(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """And it takes no migration."""
    plan(lambda user, tx: tx.app_metadata.set("a", 1), to=job, client=client, users=EVERYBODY)
    with pytest.raises(InputError, match="is not an offload: leave the store out"):
        apply(job, client, store=store)
    other = job.with_name("other.db")
    planned(client, other, store)
    with pytest.raises(InputError, match="is an offload: leave the migration out"):
        apply(other, client, store=store, migration=lambda user, tx: None)


@pytest.mark.parametrize(
    "change",
    [{"store": "other"}, {"paths": [["app_metadata"]]}, {"paths": "x"}, {"smallest": "1"}, {"url": 3}, {}],
    ids=str,
)
def test_an_altered_job_file_moves_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path, change: Any
) -> None:
    """Its facts are checked when they are read."""
    planned(client, job, f"sqlite:///{tmp_path / 'big.db'}")
    with contextlib.closing(sqlite3.connect(job)) as db, db:
        (text,) = db.execute("SELECT value FROM facts WHERE name = 'offload'").fetchone()
        value = json.dumps({**json.loads(text), **change} if change else None)
        db.execute("UPDATE facts SET value = ? WHERE name = 'offload'", (value,))
    with pytest.raises((ConfigError, InputError, LedgerError)):
        apply(job, client)
    assert tenant.journal.count("PATCH") == 0


def test_an_offload_that_is_called_something_else_moves_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path
) -> None:
    """As another kind of job it would send the pointers without storing what they stand for."""
    planned(client, job, f"sqlite:///{tmp_path / 'big.db'}")
    with contextlib.closing(sqlite3.connect(job)) as db, db:
        db.execute("UPDATE facts SET value = ? WHERE name = 'kind'", (json.dumps("function"),))
    with pytest.raises(LedgerError):
        apply(job, client)
    assert tenant.journal.count("PATCH") == 0


def test_other_paths_in_the_job_file_move_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path
) -> None:
    """Each user's plan has to be what the rule makes of the values."""
    planned(client, job, f"sqlite:///{tmp_path / 'big.db'}")
    with contextlib.closing(sqlite3.connect(job)) as db, db:
        (text,) = db.execute("SELECT value FROM facts WHERE name = 'offload'").fetchone()
        value = json.dumps({**json.loads(text), "paths": [["app_metadata", "plan"]]})
        db.execute("UPDATE facts SET value = ? WHERE name = 'offload'", (value,))
    assert apply(job, client).counts == {"failed": 4}
    assert tenant.journal.count("PATCH") == 0


def test_a_purged_job_leaves_the_values_in_the_store(
    tenant: LocalTenant, client: ManagementClient, job: Path, store: Watched
) -> None:
    """Undo is impossible then; the pointers still lead to the values."""
    before = in_order(bags_of(tenant))
    planned(client, job, store)
    apply(job, client, store=store)
    purge(job)
    with pytest.raises(Exception, match="was purged"):
        undo(job, client)
    assert resolved_bags(tenant, store) == before


def test_every_error_of_a_store_is_everybodys() -> None:
    """None of them is one user's."""
    assert all(is_everybodys(kind("")) for kind in (ExternalError, *ExternalError.__subclasses__()))
