"""What `apply` promises: for each user one read, one comparison and at most one PATCH, whatever goes wrong."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, patches_by_user, populate, rows_of

from auth0_meta import (
    AuthError,
    InputError,
    LedgerError,
    ManagementClient,
    MetadataTransaction,
    TransportError,
    User,
)
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import ApplyProgress, UserDone, Waiting, apply, plan, status, undo

Rows = Callable[..., Path]


def planned(
    job: Path, tenant: LocalTenant, client: ManagementClient, ndjson: Rows, migration: Any = move_plan
) -> list[str]:
    """Plan the job for three users; return their ids."""
    ids = populate(tenant, 3)
    plan(migration, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    return ids


def test_every_user_is_read_and_patched_once(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Applying costs one GET and one PATCH per user, and does what the plan says."""
    ids = planned(job, tenant, client, ndjson)
    assert tenant.journal.count(path="/api/v2/") == 0
    result = apply(job, client)
    assert dict(result.counts) == {"done": 3}
    assert (result.requests, result.patches, result.remain) == (6, 3, 0)
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
    assert tenant.users[ids[1]].app_metadata == {"seats": 1, "billing": {"vat": 24, "plan": "pro"}}
    assert status(job).stage == "applied"


def test_applying_again_sends_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A finished job has nothing left to do."""
    planned(job, tenant, client, ndjson)
    apply(job, client)
    tenant.journal.clear()
    assert dict(apply(job, client).counts) == {}
    assert len(tenant.journal) == 0


def test_trusting_the_plan_saves_the_reads(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """With `trust_plan` each user costs one request."""
    planned(job, tenant, client, ndjson)
    apply(job, client, trust_plan=True)
    assert tenant.journal.count("GET", "/api/v2/users/{id}") == 0
    assert tenant.journal.count("PATCH") == 3


def test_a_user_who_is_already_as_planned_costs_no_patch(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A user whom somebody else has already changed exactly as planned is left alone, also by undo."""
    ids = planned(job, tenant, client, ndjson)
    tenant.users[ids[0]].patch(app_metadata={"plan": None, "billing": {"vat": 24, "plan": "free"}})
    assert dict(apply(job, client).counts) == {"same": 1, "done": 2}
    assert dict(undo(job, client).counts) == {"undone": 2}
    assert tenant.users[ids[0]].app_metadata["billing"]["plan"] == "free"


def test_a_sibling_of_a_nested_key_that_changed_survives(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """If only siblings of the keys that the operations set have changed, the operations are used again and nothing is lost."""
    ids = planned(job, tenant, client, ndjson)
    tenant.users[ids[0]].patch(app_metadata={"billing": {"vat": 25, "note": "x"}})
    assert dict(apply(job, client).counts) == {"done": 3}
    assert tenant.users[ids[0]].app_metadata["billing"] == {"vat": 25, "note": "x", "plan": "free"}


def test_replanning_for_a_function_needs_the_function(
    tenant: LocalTenant, client: ManagementClient, job: Path, move: Path, ndjson: Rows
) -> None:
    """If what the function read has changed, the user is skipped until the migration file is named, and is then planned again."""
    ids = planned(job, tenant, client, ndjson, move)
    tenant.users[ids[0]].patch(app_metadata={"plan": "gold"})
    first = apply(job, client)
    assert dict(first.counts) == {"drifted": 1, "done": 2}
    assert first.failed == 1
    assert tenant.users[ids[0]].app_metadata["plan"] == "gold"
    assert dict(apply(job, client, migration=move).counts) == {"done": 1}
    assert tenant.users[ids[0]].app_metadata == {"seats": 0, "billing": {"vat": 24, "plan": "gold"}}


@pytest.mark.parametrize(
    ("look", "rests_on_it"),
    [
        (lambda user, tx: user.app_metadata["billing"]["tier"], True),
        (lambda user, tx: user.app_metadata.get("billing", {}).get("tier"), True),
        (lambda user, tx: dict(user.app_metadata["billing"]), True),
        (lambda user, tx: json.dumps(user.app_metadata), True),
        (lambda user, tx: len(user.raw["app_metadata"]["billing"]), True),
        (lambda user, tx: tx.app_metadata.get("billing.tier"), True),
        (lambda user, tx: tx.app_metadata["billing"], True),
        (lambda user, tx: "billing" in user.app_metadata, False),
        (lambda user, tx: user.app_metadata["billing"]["vat"], False),
        (lambda user, tx: user.app_metadata["seats"], False),
        (lambda user, tx: tx.app_metadata.get("billing.vat"), False),
    ],
)
def test_operations_are_used_again_only_if_what_the_function_looked_at_is_unchanged(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    ndjson: Rows,
    look: Callable[[User, MetadataTransaction], Any],
    rests_on_it: bool,
) -> None:
    """A value that depends on a sibling that has changed since is not written; a sibling that nobody looked at may change."""
    tenant.users.add(user_id="auth0|1", app_metadata={"billing": {"tier": "gold", "vat": 24}, "seats": 1})

    def migrate(user: User, tx: MetadataTransaction) -> None:
        tx.app_metadata.set("billing.plan", str(look(user, tx)))

    plan(migrate, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    tenant.users["auth0|1"].patch(app_metadata={"billing": {"tier": "closed", "vat": 24}})
    assert dict(apply(job, client).counts) == {"drifted" if rests_on_it else "done": 1}
    assert ("plan" in tenant.users["auth0|1"].app_metadata["billing"]) is not rests_on_it
    if rests_on_it:
        assert dict(apply(job, client, migration=migrate).counts) == {"done": 1}


def test_checking_whether_an_object_exists_counts_as_looking_at_it(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """If a function only checked whether an object exists, the object must still exist."""
    tenant.users.add(user_id="auth0|1", app_metadata={"billing": {"vat": 24}})

    def migrate(user: User, tx: MetadataTransaction) -> None:
        if "billing" in user.app_metadata:
            tx.app_metadata.set("billing.plan", "free")

    plan(migrate, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    tenant.users["auth0|1"].patch(app_metadata={"billing": None})
    assert dict(apply(job, client).counts) == {"drifted": 1}


def test_drift_can_be_skipped_or_overwritten(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """`skip` leaves a user who has changed alone; `overwrite` writes what was planned, and undo restores what was overwritten."""
    ids = planned(job, tenant, client, ndjson)
    tenant.users[ids[0]].patch(app_metadata={"billing": {"vat": 99}})
    assert dict(apply(job, client, drift="skip").counts) == {"drifted": 1, "done": 2}
    assert dict(apply(job, client, drift="overwrite").counts) == {"done": 1}
    assert tenant.users[ids[0]].app_metadata["billing"] == {"vat": 24, "plan": "free"}
    undo(job, client)
    assert tenant.users[ids[0]].app_metadata["billing"] == {"vat": 99}


def test_a_lost_response_is_read_back_and_not_sent_again(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A PATCH that was applied without a response counts as done; one that was not applied is sent again."""
    ids = planned(job, tenant, client, ndjson)
    tenant.fail(method="PATCH", user_id=ids[0], drop="after_commit")
    tenant.fail(method="PATCH", user_id=ids[1], drop="before_commit")
    assert dict(apply(job, client).counts) == {"done": 3}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


def test_a_user_whom_somebody_changed_after_a_lost_response_is_unclear(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """If a PATCH may have been applied and somebody has written since, nothing is sent and the user is named."""
    ids = planned(job, tenant, client, ndjson)
    tenant.fail(method="PATCH", user_id=ids[0], drop="after_commit")
    tenant.before("GET", ids[0], lambda t: t.users[ids[0]].patch(app_metadata={"billing": {}}), nth=2)
    events: list[Any] = []
    result = apply(job, client, on_event=events.append)
    assert dict(result.counts) == {"unclear": 1, "done": 2}
    assert [e.user_id for e in events if isinstance(e, UserDone) and e.outcome == "unclear"] == [ids[0]]
    assert patches_by_user(tenant)[ids[0]] == 1


@pytest.mark.parametrize(
    ("drift", "outcome", "patches"),
    [("replan", "unclear", 1), ("skip", "unclear", 1), ("overwrite", "done", 2)],
)
def test_an_unclear_user_is_never_planned_again(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    ndjson: Rows,
    drift: Any,
    outcome: str,
    patches: int,
) -> None:
    """Where the change might come twice, only `overwrite` writes on."""
    (user_id,) = populate(tenant, 1)
    changes = ndjson([{"user_id": user_id, "app_metadata": {"plan": "team"}}], name="changes.ndjson")
    plan(changes, to=job, client=client)
    tenant.fail(method="PATCH", user_id=user_id, drop="after_commit")
    tenant.before("GET", user_id, lambda t: t.users[user_id].patch(app_metadata={"plan": "own"}), nth=2)
    assert dict(apply(job, client, drift=drift).counts) == {outcome: 1}
    assert patches_by_user(tenant) == {user_id: patches}
    assert tenant.users[user_id].app_metadata["plan"] == ("team" if drift == "overwrite" else "own")


def test_users_who_are_gone_or_refused_do_not_stop_the_others(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A deleted user is "gone"; a refused user has failed, and the next run tries again."""
    ids = planned(job, tenant, client, ndjson)
    tenant.users[ids[0]].delete()
    tenant.fail(method="PATCH", user_id=ids[1], status=400)
    assert dict(apply(job, client).counts) == {"gone": 1, "failed": 1, "done": 1}
    assert dict(apply(job, client).counts) == {"done": 1}


def test_a_user_who_keeps_changing_is_given_up(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A user whom somebody changes before every read is replanned three times, then named and left alone."""
    (user_id,) = populate(tenant, 1)
    changes = ndjson([{"user_id": user_id, "app_metadata": {"counter": -1}}], name="changes.ndjson")
    plan(changes, to=job, client=client)
    written = itertools.count()
    # Twenty times, so that a run without a limit would end too, and fail the test.
    tenant.before(
        "GET",
        user_id,
        lambda t: t.users[user_id].patch(app_metadata={"counter": next(written)}),
        times=20,
    )
    events: list[Any] = []
    assert dict(apply(job, client, on_event=events.append).counts) == {"drifted": 1}
    (note,) = [event.note for event in events if isinstance(event, UserDone)]
    assert note == "replanned 3 times, and each time it had changed again"
    assert patches_by_user(tenant) == {}
    assert tenant.users[user_id].app_metadata["counter"] == 3
    assert dict(undo(job, client).counts) == {}


def test_a_revoked_token_stops_the_run_which_can_be_resumed(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A refused credential ends the run with its error, and no user is marked as failed."""
    planned(job, tenant, client, ndjson)
    token = tenant.token()
    tenant.before("PATCH", None, lambda t: t.revoke(token))
    with tenant.client(token=token) as ours, pytest.raises(AuthError):
        apply(job, ours, concurrency=1)
    assert status(job).stage == "unfinished"
    assert "failed" not in status(job).counts
    assert apply(job, client).remain == 0
    assert [run["ended"] for run in status(job).runs] == ["stopped by AuthError", "finished"]
    assert max(patches_by_user(tenant).values()) == 1


def test_a_storm_of_429s_only_delays_the_run(job: Path, ndjson: Rows) -> None:
    """Every user is changed all the same."""
    from auth0_meta.testing import FakeClock

    with LocalTenant(serve=False, clock=FakeClock()) as tenant, tenant.client() as client:
        planned(job, tenant, client, ndjson)
        tenant.fail(method="PATCH", status=429, reset=2, times=4)
        tenant.fail(method="GET", path="/api/v2/users/{id}", status=429, reset=1, times=4)
        result = apply(job, client, concurrency=1)
    assert dict(result.counts) == {"done": 3}
    assert result.refusals == 8


def test_a_wait_is_reported_once_however_many_workers_wait(job: Path, ndjson: Rows) -> None:
    """Eight workers that wait after the same 429 cause one event."""
    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        populate(tenant, 8)
        plan(move_plan, to=job, client=client, users=str(ndjson(rows_of(tenant))))
        tenant.fail(method="GET", path="/api/v2/users/{id}", status=429, reset=2)
        waits: list[Any] = []
        result = apply(
            job, client, concurrency=8, on_event=lambda e: waits.append(e) if isinstance(e, Waiting) else None
        )
    assert dict(result.counts) == {"done": 8}
    assert len(waits) == 1


def test_a_server_that_keeps_failing_does_not_make_a_run_endless(job: Path, ndjson: Rows) -> None:
    """A user whose every read gets a 500 fails after 30 s if others succeed, also one after the other."""
    from auth0_meta.testing import FakeClock

    clock = FakeClock()
    with LocalTenant(serve=False, clock=clock) as tenant, tenant.client() as client:
        ids = planned(job, tenant, client, ndjson)
        fault = tenant.fail(method="GET", user_id=ids[0], status=500, times=None)
        result = apply(job, client, concurrency=1)
        assert dict(result.counts) == {"failed": 1, "done": 2}
        assert 10 < sum(clock.slept) < 40
        assert fault.fired < 50


def test_a_run_waits_for_a_lost_network(job: Path, ndjson: Rows) -> None:
    """Lost connections are retried until the network is back."""
    from auth0_meta.testing import FakeClock

    with LocalTenant(serve=False, clock=FakeClock()) as tenant, tenant.client() as client:
        planned(job, tenant, client, ndjson)
        client.users.page()
        tenant.fail(method="GET", drop="before_commit", times=7)
        assert dict(apply(job, client, concurrency=1).counts) == {"done": 3}


def test_a_network_that_stays_lost_stops_the_run(job: Path, ndjson: Rows) -> None:
    """After minutes without a response the run ends with the transport's error, and can be resumed."""
    from auth0_meta.testing import FakeClock

    with LocalTenant(serve=False, clock=FakeClock()) as tenant, tenant.client() as client:
        planned(job, tenant, client, ndjson)
        tenant.fail(method="GET", path="/api/v2/users/{id}", drop="before_commit", times=None)
        with pytest.raises(TransportError):
            apply(job, client, concurrency=1)
        assert status(job).counts == {"planned": 3}


def test_a_cancelled_run_is_resumed_by_the_next(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A cancelled run finishes what is under way and leaves the other users to the next run."""
    ids = planned(job, tenant, client, ndjson)
    cancel = threading.Event()
    tenant.before("PATCH", None, lambda _: cancel.set())
    first = apply(job, client, concurrency=1, cancel=cancel)
    assert first.interrupted
    assert dict(first.counts) == {"done": 1}
    assert first.remain == 2
    assert dict(apply(job, client).counts) == {"done": 2}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


def test_an_error_leaves_the_callers_event_as_it_is(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """The same event can be used for the run that resumes."""
    planned(job, tenant, client, ndjson)
    cancel = threading.Event()
    tenant.fail(method="GET", path="/api/v2/users/{id}", status=401, times=None, nth=1)
    with pytest.raises(AuthError):
        apply(job, client, cancel=cancel)
    assert not cancel.is_set()


def test_an_interrupt_in_a_callback_finishes_what_is_under_way(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A KeyboardInterrupt from a callback is raised once the job file is up to date."""
    planned(job, tenant, client, ndjson)

    def interrupt(event: object) -> None:
        if isinstance(event, UserDone):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        apply(job, client, concurrency=1, on_event=interrupt)
    assert "sent" not in status(job).counts
    apply(job, client)
    assert max(patches_by_user(tenant).values()) == 1


def test_progress_is_reported(tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows) -> None:
    """The last progress event counts every user as done."""
    planned(job, tenant, client, ndjson)
    events: list[Any] = []
    apply(job, client, on_event=events.append)
    last = [event for event in events if isinstance(event, ApplyProgress)][-1]
    assert (last.total, last.done, last.requests) == (3, 3, 6)


def test_a_job_is_bound_to_its_tenant(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A client of another tenant is refused before anything is sent."""
    planned(job, tenant, client, ndjson)
    with LocalTenant() as other, other.client() as wrong, pytest.raises(LedgerError, match="was planned for"):
        apply(job, wrong)


def test_a_changed_migration_file_is_refused(
    tenant: LocalTenant, client: ManagementClient, job: Path, move: Path, ndjson: Rows
) -> None:
    """The file that is named must be the planned one, byte for byte."""
    planned(job, tenant, client, ndjson, move)
    move.write_text(move.read_text() + "# changed\n")
    with pytest.raises(InputError, match="is not the file"):
        apply(job, client, migration=move)
    assert tenant.journal.count(path="/api/v2/") == 0


def test_undo_restores_every_profile(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """After an apply and an undo every profile is as it was."""
    ids = populate(tenant, 5)
    tenant.users[ids[3]].patch(user_metadata={})
    before = {user.user_id: (user.app_metadata, user.user_metadata) for user in tenant.users}
    plan(move_plan, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    apply(job, client)
    result = undo(job, client)
    assert dict(result.counts) == {"undone": 5}
    assert {user.user_id: (user.app_metadata, user.user_metadata) for user in tenant.users} == before
    assert status(job).stage == "undone"
    with pytest.raises(LedgerError, match="undone"):
        apply(job, client)


def test_undo_leaves_what_somebody_has_changed_since(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A key that no longer holds what the job wrote is left alone and named; the others are restored."""
    ids = planned(job, tenant, client, ndjson)
    apply(job, client)
    tenant.users[ids[0]].patch(app_metadata={"billing": {"plan": "newer"}})
    events: list[Any] = []
    assert dict(undo(job, client, on_event=events.append).counts) == {"kept": 1, "undone": 2}
    assert tenant.users[ids[0]].app_metadata == {"seats": 0, "billing": {"plan": "newer"}, "plan": "free"}
    (kept,) = [event for event in events if isinstance(event, UserDone) and event.outcome == "kept"]
    assert "app_metadata.billing" in kept.note
    assert "newer" not in kept.note
