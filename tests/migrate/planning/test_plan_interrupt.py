"""Ctrl-C in a plan: it ends at once, leaves no file that is in the way, and the plan can be made again."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from support.migrations import move_plan, populate
from support.traced_interrupt import Interrupt

from auth0_meta import LedgerError, ManagementClient, threads
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import api, plan, status
from auth0_meta.migrate.ledger import ledger, lock, sqlite
from auth0_meta.migrate.planning import planner, sandbox


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # what was interrupted before its block is closed by Python
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("way", ["function", "file"])
def test_an_interrupt_at_any_line_of_a_plan(
    tenant: LocalTenant, client: ManagementClient, job: Path, move: Path, tmp_path: Path, way: str
) -> None:
    """The same plan can be made again, in the same process; a file that is in the way is a complete plan."""
    ids = populate(tenant, 3)
    users = tmp_path / "ids.txt"
    users.write_text("\n".join(ids), encoding="utf-8")
    tried, complete = 0, 0
    while True:
        for name in job.parent.glob("job.db*"):
            name.unlink()
        tried += 1 + tried // 10 + (10 if way == "file" else 0)  # a process for each try takes its time
        interrupt = Interrupt(tried, api, planner, sandbox, threads, ledger, lock, sqlite)
        with interrupt.here():
            plan(move if way == "file" else move_plan, to=job, client=client, users=str(users))
        if not interrupt.raised:
            break
        try:
            summary = plan(move_plan, to=job, client=client, users=str(users))
        except LedgerError:
            complete += 1  # it exists, and the status below shows that it is whole
        else:
            assert summary.changing == 3, interrupt.raised
        assert status(job).counts == {"planned": 3}, interrupt.raised
    assert tried > 300
    assert complete < 5
    gc.collect()
