"""Fixtures of migration tests: a tenant, a job file, and a file with the migration that most of them use."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auth0_meta import ManagementClient, MetadataTransaction, User
from auth0_meta.emulator import LocalTenant

MOVE_PLAN = '''
def migrate(user, tx):
    """Move app_metadata.plan below billing."""
    plan = user.app_metadata.get("plan")
    if plan is not None:
        tx.app_metadata.set("billing.plan", plan)
        tx.app_metadata.delete("plan")
'''


def move_plan(user: User, tx: MetadataTransaction) -> None:
    """Do the same as MOVE, but as a function of this process, which is faster."""
    old = user.app_metadata.get("plan")
    if old is not None:
        tx.app_metadata.set("billing.plan", old)
        tx.app_metadata.delete("plan")


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant in this process, without a socket."""
    with LocalTenant(serve=False) as local:
        yield local


@pytest.fixture
def client(tenant: LocalTenant) -> Iterator[ManagementClient]:
    """Connect to that tenant."""
    with tenant.client() as connected:
        yield connected


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """Return the path of a job file that does not exist yet."""
    return tmp_path / "job.db"


@pytest.fixture
def move(tmp_path: Path) -> Path:
    """Write a migration to a file and return its path."""
    path = tmp_path / "move_plan.py"
    path.write_text(MOVE_PLAN, encoding="utf-8")
    return path


@pytest.fixture
def ndjson(tmp_path: Path) -> Callable[[Iterable[Any]], Path]:
    """Return a function that writes objects to a file, one per line."""

    def write(rows: Iterable[Any], name: str = "rows.ndjson") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    return write


def populate(tenant: LocalTenant, number: int) -> list[str]:
    """Add users with a plan to move; return their ids."""
    return [
        tenant.users.add(
            user_id=f"auth0|{n:06d}",
            app_metadata={"plan": "pro" if n % 2 else "free", "seats": n, "billing": {"vat": 24}},
            user_metadata={"theme": "dark"},
        ).user_id
        for n in range(number)
    ]


def rows_of(tenant: LocalTenant) -> list[dict[str, Any]]:
    """Return every profile as an export would contain it."""
    return [dict(user) for user in tenant.users]


def patches_by_user(tenant: LocalTenant) -> dict[str, int]:
    """Count the PATCHes that the tenant carried out."""
    found: dict[str, int] = {}
    for entry in tenant.journal.requests("PATCH"):
        if entry.committed and entry.user_id is not None:
            found[entry.user_id] = found.get(entry.user_id, 0) + 1
    return found
