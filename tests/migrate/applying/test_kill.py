"""SIGKILL a run at random instants and restart it: every user ends up as planned, and none is written twice."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.kills import RATE, USERS, killed_until_done
from support.migrations import patches_by_user, populate, rows_of

from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import plan, status

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_run_that_is_killed_at_any_instant_can_be_resumed(
    job: Path, move: Path, ndjson: Callable[..., Path]
) -> None:
    """After kills and restarts, every user is exactly as planned and was written once; the same goes for undo."""

    def billed(row: dict[str, Any]) -> Any:
        bag = {k: v for k, v in row["app_metadata"].items() if k != "plan"}
        return {**bag, "billing": {"vat": 24, "plan": row["app_metadata"]["plan"]}}

    with LocalTenant(rate_limit=RATE, latency=0.004) as tenant, tenant.client() as client:
        populate(tenant, USERS)
        before = {row["user_id"]: row for row in rows_of(tenant)}
        plan(move, to=job, client=client, users=str(ndjson(rows_of(tenant))))

        assert killed_until_done(tenant, job, "apply", seed=7) > 0
        assert {user.user_id: user.app_metadata for user in tenant.users} == {
            user_id: billed(row) for user_id, row in before.items()
        }
        assert patches_by_user(tenant) == dict.fromkeys(before, 1)
        assert status(job).counts == {"done": USERS}

        tenant.journal.clear()
        killed_until_done(tenant, job, "undo", seed=8)
        assert {user.user_id: user.app_metadata for user in tenant.users} == {
            user_id: row["app_metadata"] for user_id, row in before.items()
        }
        assert patches_by_user(tenant) == dict.fromkeys(before, 1)
        assert status(job).counts == {"undone": USERS}
