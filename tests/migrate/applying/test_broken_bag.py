"""Users with a bag that is stored as anything but an object: planned, applied and undone, or refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auth0_meta import ManagementClient
from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import UserDone, apply, plan, status, undo
from auth0_meta.migrate.ledger.ledger import Ledger

UID = "samlp|corp|ada"
BROKEN: dict[str, Any] = {"text": "[object Object] canary", "a list": ["canary"], "false": False}
broken = pytest.mark.parametrize("stored", BROKEN.values(), ids=BROKEN)
STARTED = {"billing": {"plan": "free"}}


def promote(user: Any, tx: Any) -> None:
    """Change app_metadata only."""
    tx.app_metadata.set("billing.plan", "pro" if user.app_metadata["billing"]["plan"] == "free" else "max")


def repair(user: Any, tx: Any) -> None:
    """Make an object of user_metadata, and change app_metadata."""
    tx.user_metadata.replace({"lang": "fi"})
    promote(user, tx)


def empty(user: Any, tx: Any) -> None:
    """Empty user_metadata."""
    tx.user_metadata.clear()


def read_it(user: Any, tx: Any) -> None:
    """Read the broken one."""
    tx.app_metadata.set("lang", user.user_metadata.get("lang"))


def change_it(user: Any, tx: Any) -> None:
    """Change the broken one."""
    tx.user_metadata.set("prefs.lang", "fi")


@pytest.fixture
def add(tenant: LocalTenant) -> Callable[[Any], Any]:
    """Add the user with this user_metadata."""

    def add(stored: Any) -> Any:
        return tenant.users.add(user_id=UID, user_metadata=stored, app_metadata=STARTED)

    return add


def _break(tenant: LocalTenant, user: Any) -> None:
    """Let a SAML login store a text as user_metadata."""
    row = {**dict(user), "user_metadata": "text"}
    user.delete()
    tenant.users.replace([row], verbatim=True)


def make(function: Any, job: Path, client: ManagementClient) -> Any:
    """Plan for everybody whom a search finds."""
    return plan(function, to=job, users="search:user_id:*", client=client)


def notes(job: Path) -> list[str]:
    """Return what the job says of users to look at."""
    with Ledger.open(str(job)) as ledger:
        return [note for _, _, note in ledger.to_look_at(9)]


@broken
@pytest.mark.parametrize("check", [True, False], ids=["checked", "trust"])
def test_a_migration_of_the_other_bag_goes_on(
    add: Any, client: ManagementClient, tenant: LocalTenant, job: Path, stored: Any, *, check: bool
) -> None:
    """It is planned, applied and undone, and the broken bag is never sent."""
    user = add(stored)
    summary = make(promote, job, client)
    assert (summary.changing, summary.invalid) == (1, 0)
    assert dict(apply(job, client, trust_plan=not check).counts) == {"done": 1}
    assert tenant.users[UID].app_metadata == {"billing": {"plan": "pro"}}
    assert dict(undo(job, client).counts) == {"undone": 1}
    assert (user.app_metadata, user.user_metadata) == (STARTED, stored)
    assert all("user_metadata" not in entry.body for entry in tenant.journal.requests("PATCH"))


@broken
@pytest.mark.parametrize("lose", [False, True])
@pytest.mark.parametrize(
    ("function", "after"), [(repair, {"lang": "fi"}), (empty, {})], ids=["replace", "clear"]
)
def test_a_migration_repairs_it_and_an_undo_says_that_it_cannot_be_restored(
    add: Any,
    client: ManagementClient,
    tenant: LocalTenant,
    job: Path,
    stored: Any,
    function: Any,
    after: Any,
    *,
    lose: bool,
) -> None:
    """Auth0 takes only objects, so undo restores the other bag and names this one; the job file keeps what it was."""
    user = add(stored)
    assert make(function, job, client).changing == 1
    if lose:
        tenant.fail(method="PATCH", user_id=UID, status=503, commit=True)
    assert dict(apply(job, client).counts) == {"done": 1}
    assert user.user_metadata == after
    assert dict(apply(job, client).counts) == {}
    assert dict(undo(job, client).counts) == {"kept": 1}
    assert (user.user_metadata, user.app_metadata) == (after, STARTED)
    (note,) = notes(job)
    assert note.startswith("user_metadata was not an object before the migration")
    assert "canary" not in note
    with Ledger.open(str(job)) as ledger:
        assert ledger.records(limit=1)[0].plan.before["user_metadata"] == stored


def test_an_undo_before_the_repair_was_applied_has_nothing_to_say(
    add: Any, client: ManagementClient, tenant: LocalTenant, job: Path
) -> None:
    """The bag is still, or again, as it was before the migration."""
    user = add("text")
    make(repair, job, client)
    apply(job, client)
    tenant.fail(method="GET", user_id=UID, status=200, body={**dict(user), "user_metadata": "text"})
    assert dict(undo(job, client).counts) == {"undone": 1}
    assert user.app_metadata == STARTED


def test_what_a_response_shows_beside_what_was_sent_is_noted(
    add: Any, client: ManagementClient, tenant: LocalTenant, job: Path
) -> None:
    """Somebody else's key, in a bag that was emptied and had not been an object."""
    user = add("text")
    make(empty, job, client)
    body = {**dict(user), "user_metadata": {"theirs": 1}}
    tenant.fail(method="PATCH", user_id=UID, status=200, body=body, commit=True)
    assert dict(apply(job, client).counts) == {"done": 1}
    with Ledger.open(str(job)) as ledger:
        assert ledger.records(limit=1)[0].plan.after == {"user_metadata": {"theirs": 1}}


@broken
@pytest.mark.parametrize("function", [read_it, change_it])
def test_a_function_that_needs_it_fails_for_this_user_alone(
    add: Any, client: ManagementClient, tenant: LocalTenant, job: Path, stored: Any, function: Any
) -> None:
    """The note says what repairs it."""
    add(stored)
    tenant.users.add(user_id="auth0|other", user_metadata={"lang": "sv"}, app_metadata=STARTED)
    summary = make(function, job, client)
    assert (summary.changing, summary.invalid) == (1, 1)
    with Ledger.open(str(job)) as ledger:
        ((who, kind, note),) = ledger.problems(9)
    assert (who, kind) == (UID, "failed")
    assert "user_metadata.clear()" in note
    assert "canary" not in note


def test_a_change_file_needs_only_the_bags_that_it_names(
    add: Any, client: ManagementClient, tenant: LocalTenant, job: Path, tmp_path: Path
) -> None:
    """A row that merges into the broken one fails; one for the other bag does not."""
    user = add("text")
    tenant.users.add(user_id="samlp|corp|bob", user_metadata="text")
    changes = tmp_path / "c.ndjson"
    rows = [
        {"user_id": UID, "app_metadata": {"billing": {"plan": "pro"}}},
        {"user_id": "samlp|corp|bob", "user_metadata": {"lang": "fi"}},
    ]
    changes.write_text("\n".join(map(json.dumps, rows)))
    summary = plan(changes, to=job, client=client)
    assert (summary.changing, summary.invalid) == (1, 1)
    assert dict(apply(job, client).counts) == {"done": 1}
    assert user.app_metadata == {"billing": {"plan": "pro"}}


@pytest.mark.parametrize("policy", ["replan", "skip", "overwrite"])
@pytest.mark.parametrize("function", [change_it, repair])
def test_a_bag_that_breaks_after_the_plan_fails_the_user(
    add: Any, client: ManagementClient, tenant: LocalTenant, job: Path, function: Any, policy: Any
) -> None:
    """No keys are sent for what is not an object; the note says what repairs it, and the next run tries again."""
    user = add({"prefs": {"tz": "UTC"}})
    make(function, job, client)
    _break(tenant, user)
    assert dict(apply(job, client, drift=policy).counts) == {"failed": 1}
    assert tenant.users[UID].user_metadata == "text"
    (note,) = notes(job)
    assert "user_metadata.clear()" in note
    tenant.users[UID].patch(user_metadata={})
    tenant.users[UID].patch(user_metadata={"prefs": {"tz": "UTC"}})
    assert dict(apply(job, client).counts) == {"done": 1}


def test_a_bag_that_breaks_after_the_run_is_named_by_an_undo(
    add: Any, client: ManagementClient, tenant: LocalTenant, job: Path
) -> None:
    """The other bag is restored, and the next undo tries again."""
    user = add({"prefs": {"tz": "UTC"}})

    def both(user: Any, tx: Any) -> None:
        change_it(user, tx)
        promote(user, tx)

    make(both, job, client)
    apply(job, client)
    written = user.user_metadata
    _break(tenant, user)
    for _ in range(2):
        events: list[Any] = []
        assert dict(undo(job, client, on_event=events.append).counts) == {"failed": 1}
        assert (tenant.users[UID].user_metadata, tenant.users[UID].app_metadata) == ("text", STARTED)
        (note,) = (event.note for event in events if isinstance(event, UserDone))
        assert "user_metadata.clear()" in note
    tenant.users[UID].patch(user_metadata=written)
    assert dict(undo(job, client).counts) == {"undone": 1}
    assert tenant.users[UID].user_metadata == {"prefs": {"tz": "UTC"}}


def test_the_command_line_shows_what_it_was(
    add: Any, client: ManagementClient, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The diff has one line for the whole bag."""
    from auth0_meta.cli.migrate.view import show_samples

    add("text canary")
    make(repair, job, client)
    show_samples(str(job), 1, redact=False)
    assert 'user_metadata: "text canary" -> {"lang": "fi"}' in capsys.readouterr().out
    show_samples(str(job), 1, redact=True)
    assert "user_metadata: 13 B -> 13 B" in capsys.readouterr().out
    assert status(job).stage == "planned"
    assert main(["migrate", "status", str(job)]) == 0
