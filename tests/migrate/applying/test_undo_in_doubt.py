"""An undo right after a crash restores what was written, whether the PATCH in doubt had arrived or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.migrations import move_plan, populate, rows_of

from auth0_meta import ManagementClient
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import plan, status, undo
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import STEPS

Rows = Callable[..., Path]


@pytest.fixture
def crashed(tenant: LocalTenant, job: Path, ndjson: Rows) -> str:
    """Plan for three users, and leave the job as an apply does that is killed while the first one's PATCH is under way."""
    ids = populate(tenant, 3)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    step = STEPS["apply"]
    with Ledger.open(job, write=True) as ledger, ledger.group():
        ledger.claim(step.start, step.claimed, 1, after=0)
    return ids[0]


def arrive(tenant: LocalTenant, user_id: str) -> None:
    """Store what the PATCH in doubt changes."""
    tenant.users[user_id].patch(app_metadata={"billing": {"vat": 24, "plan": "free"}, "plan": None})


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
def test_an_undo_after_a_crash_restores_what_was_written(
    tenant: LocalTenant, client: ManagementClient, job: Path, crashed: str, arrived: bool
) -> None:
    """Whoever is in doubt is read and compared; nothing is sent to anybody who is as before, and the rest was never sent."""
    before = tenant.users.documents()
    if arrived:
        arrive(tenant, crashed)
    result = undo(job, client)
    assert dict(result.counts) == {"undone": 1}
    assert {id_: user["app_metadata"] for id_, user in _by_id(tenant).items()} == {
        user["user_id"]: user["app_metadata"] for user in before
    }
    assert tenant.journal.count("PATCH") == arrived
    assert status(job).counts == {"planned": 2, "undone": 1}


@pytest.mark.parametrize("arrived", [True, False], ids=["arrived", "lost"])
def test_what_somebody_else_has_written_since_is_reported_and_left(
    tenant: LocalTenant, client: ManagementClient, job: Path, crashed: str, arrived: bool
) -> None:
    """A key that holds neither what was planned nor what was there before is named, and not overwritten."""
    if arrived:
        arrive(tenant, crashed)
    tenant.users[crashed].patch(app_metadata={"billing": {"vat": 0}})
    result = undo(job, client)
    assert dict(result.counts) == {"kept": 1}
    assert tenant.users[crashed].app_metadata["billing"] == {"vat": 0}
    assert tenant.users[crashed].app_metadata["plan"] == "free"
    with Ledger.open(job) as ledger:
        ((user_id, state, note),) = ledger.to_look_at(10)
    assert (user_id, state) == (crashed, "kept")
    assert "app_metadata.billing" in note


def _by_id(tenant: LocalTenant) -> dict[str, dict[str, object]]:
    return {user["user_id"]: user for user in tenant.users.documents()}
