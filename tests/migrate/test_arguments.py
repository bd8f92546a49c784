"""Bad arguments of plan, apply and undo are refused before the first request, and leave no file."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, populate

from auth0_meta import InputError, LedgerError, ManagementClient
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import apply, plan, status, undo


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"timeout": 0}, "timeout must be above 0, not 0"),
        ({"timeout": -1.5}, "timeout must be above 0, not -1.5"),
        ({"timeout": math.inf}, "timeout must be above 0"),
        ({"timeout": math.nan}, "timeout must be above 0"),
        ({"timeout": "3"}, "timeout must be a number above 0, not str"),
        ({"share": 0}, "share must be above 0 and at most 1, not 0"),
        ({"limit": 0}, "limit must be a whole number"),
        ({"users": 7}, "users must be a source"),
        ({"users": ["auth0|1"]}, "users must be a source"),
        ({"on_event": 7}, "on_event must be a function"),
        ({"to": 7}, "to must be the path of a file, not int"),
        ({"to": b"job.db"}, "to must be the path of a file, not bytes"),
    ],
)
@pytest.mark.parametrize("migration", ["function", "file"])
def test_plan_refuses_bad_arguments(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    move: Path,
    migration: str,
    wrong: dict[str, Any],
    message: str,
) -> None:
    """Whatever the migration is: a function in this process has no time limit, but a wrong one is still wrong."""
    populate(tenant, 1)
    with pytest.raises(InputError) as caught:
        plan(
            move_plan if migration == "function" else move,
            **{"to": job, "client": client, "users": "search:user_id:*"} | wrong,
        )
    assert str(caught.value).startswith(message)
    assert not job.exists()
    assert tenant.journal.count() == 0


@pytest.mark.parametrize("migration", [7, None, b"x.py", ["x.py"]])
def test_plan_refuses_what_is_no_migration(job: Path, migration: Any) -> None:
    """The message names what it got."""
    with pytest.raises(InputError, match=f"the migration must be .*, not {type(migration).__name__}"):
        plan(migration, to=job)


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 2},
        {"concurrency": 0},
        {"concurrency": 1.5},
        {"executor": 7},
        {"cancel": 7},
        {"on_event": 7},
        {"drift": "x"},
        {"trust_plan": "no"},
        {"migration": 7},
    ],
)
def test_runs_refuse_bad_arguments(
    tenant: LocalTenant, client: ManagementClient, job: Path, wrong: dict[str, Any]
) -> None:
    """Nothing is sent, and the job stays as it was planned."""
    populate(tenant, 1)
    plan(move_plan, to=job, client=client, users="search:user_id:*")
    tenant.journal.clear()
    for step in (apply, undo):
        if step is undo and not wrong.keys() & {"share", "concurrency", "executor", "cancel", "on_event"}:
            continue
        with pytest.raises(InputError, match=next(iter(wrong))):
            step(job, client, **wrong)
    assert tenant.journal.count() == 0
    assert status(job).counts == {"planned": 1}


@pytest.mark.parametrize("job_file", [7, None, b"job.db"])
def test_runs_refuse_what_is_no_path(client: ManagementClient, job_file: Any) -> None:
    """Every step does."""
    for step in (lambda: apply(job_file, client), lambda: undo(job_file, client), lambda: status(job_file)):
        with pytest.raises(InputError, match="job must be the path of a file"):
            step()


def test_a_directory_is_no_job_file(client: ManagementClient, tmp_path: Path) -> None:
    """The message says so."""
    for step in (lambda: apply(tmp_path, client), lambda: plan(move_plan, to=tmp_path, client=client)):
        with pytest.raises(LedgerError, match="is a directory"):
            step()
