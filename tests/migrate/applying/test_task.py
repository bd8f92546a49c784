"""Tasks and results can leave the process as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, patches_by_user, populate, rows_of

from auth0_meta import Auth0MetaError, ManagementClient, ScopeError
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import apply, plan, undo
from auth0_meta.migrate.applying.task import Task, TaskResult

Rows = Callable[..., Path]


class Wire(ThreadPoolExecutor):
    """An executor that passes tasks and results on as JSON text, as one between two machines would."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run `fn` on a copy of the task, and return a copy of its result."""

        def run() -> TaskResult:
            (task,) = args
            result = fn(Task.from_json(json.loads(json.dumps(task.to_json()))))
            return TaskResult.from_json(json.loads(json.dumps(result.to_json())))

        return super().submit(run)


def test_workers_need_nothing_but_json(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Apply, replan and undo work just as well when every task and result has been converted to JSON and back."""
    ids = populate(tenant, 4)
    before = {user.user_id: user.app_metadata for user in tenant.users}
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    tenant.users[ids[0]].delete()
    tenant.users[ids[1]].patch(app_metadata={"billing": {"vat": 25}})
    tenant.users[ids[2]].patch(app_metadata={"plan": "other"})
    with Wire(2) as wire:
        assert dict(apply(job, client, executor=wire).counts) == {"gone": 1, "done": 2, "drifted": 1}
        tenant.users[ids[3]].patch(app_metadata={"billing": {"plan": "newer"}})
        assert dict(undo(job, client, executor=wire).counts) == {"undone": 1, "kept": 1}
    assert tenant.users[ids[1]].app_metadata == {**before[ids[1]], "billing": {"vat": 25}}
    assert patches_by_user(tenant) == {ids[1]: 2, ids[3]: 2}


def test_an_error_that_ends_the_run_keeps_its_class_and_message(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """The error that stopped a worker in another process is raised here as it was."""
    populate(tenant, 1)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    with (
        tenant.client(token=tenant.token(scopes=["read:users"])) as limited,
        Wire(1) as wire,
        pytest.raises(ScopeError, match="update:users"),
    ):
        apply(job, limited, executor=wire)
    assert patches_by_user(tenant) == {}


def test_an_error_of_an_unknown_class_becomes_one_of_ours() -> None:
    """A result from a later release may name an error class that this release does not have."""
    facts = {"n": 1, "user_id": "auth0|1", "outcome": "stopped", "error": {"class": "New", "message": "why"}}
    result = TaskResult.from_json(facts)
    assert type(result.error) is Auth0MetaError
    assert str(result.error) == "why"
