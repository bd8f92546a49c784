"""SIGKILL an offload at random instants and restart it: no value is lost, and every pointer leads to its value."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.kills import RATE, USERS, killed_until_done
from support.migrations import patches_by_user, rows_of
from support.offloads import PATHS, bags_of, in_order, pointers_in, populate, resolved_bags

from auth0_meta.emulator import LocalTenant
from auth0_meta.external import SqliteStore
from auth0_meta.migrate import offload, status

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_an_offload_that_is_killed_at_any_instant_can_be_resumed(
    job: Path, ndjson: Callable[..., Path], tmp_path: Path
) -> None:
    """Every user ends as planned and is written once; undo, killed as often, restores both bags to the byte."""
    with LocalTenant(rate_limit=RATE, latency=0.004) as tenant, tenant.client() as client:
        populate(tenant, USERS)
        before = bags_of(tenant)
        url = f"sqlite:///{tmp_path / 'big.db'}"
        offload(PATHS, to=job, store=url, client=client, users=str(ndjson(rows_of(tenant))))

        assert killed_until_done(tenant, job, "apply", seed=11) > 0
        assert status(job).counts == {"done": USERS}
        assert patches_by_user(tenant) == dict.fromkeys(before, 1)
        with SqliteStore(tmp_path / "big.db") as store:
            assert resolved_bags(tenant, store) == in_order(before)
            moved = [len(list(pointers_in([user.user_metadata, user.app_metadata]))) for user in tenant.users]
            assert moved == [len(PATHS)] * USERS
            assert len(list(store.keys())) == len(PATHS) * USERS

        tenant.journal.clear()
        killed_until_done(tenant, job, "undo", seed=12)
        assert bags_of(tenant) == before
        assert patches_by_user(tenant) == dict.fromkeys(before, 1)
        assert status(job).counts == {"undone": USERS}
