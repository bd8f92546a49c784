"""An offload into a real PostgreSQL: restarted in the middle, and with a password that the job file must not have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.offloads import PATHS, bags_of, in_order, populate, resolved_bags
from support.services import postgres

from auth0_meta import ManagementClient
from auth0_meta.emulator import LocalTenant
from auth0_meta.external import SqlStore
from auth0_meta.migrate import Waiting, apply, offload, status, undo
from auth0_meta.testing import FakeClock

pytestmark = pytest.mark.service

EVERYBODY = "search:user_id:*"


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with six users on a clock that never really waits."""
    with LocalTenant(serve=False, clock=FakeClock()) as local:
        populate(local, 6)
        yield local


def test_a_database_that_restarts_in_the_middle_loses_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path
) -> None:
    """It goes down when the third PATCH arrives, and comes back while the run waits for it."""
    before = bags_of(tenant)
    with postgres() as server, SqlStore(server.url, failure_wait=0) as store:
        offload(PATHS, to=job, store=store, client=client, users=EVERYBODY)
        tenant.before("PATCH", None, lambda _: server.stop(), nth=3)
        waits: list[str] = []

        def start(event: Any) -> None:
            if isinstance(event, Waiting):
                if not waits:
                    server.start()
                waits.append(event.reason)

        assert apply(job, client, store=store, concurrency=1, on_event=start).counts == {"done": 6}
        assert set(waits) == {"external store"}
        assert resolved_bags(tenant, store) == in_order(before)
        assert len(list(store.keys())) == 12
    assert undo(job, client).counts == {"undone": 6}
    assert bags_of(tenant) == before


def test_a_password_is_taken_from_the_environment_and_kept_nowhere(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job file has the rest of the URL."""
    before = bags_of(tenant)
    url = postgres_url.replace("postgres@", "postgres:canary-7f3a@")
    offload(PATHS, to=job, store=url, client=client, users=EVERYBODY)
    assert status(job).store == postgres_url.replace("postgresql:", "postgresql+psycopg:")
    monkeypatch.setenv("AUTH0_META_STORE", url)
    assert apply(job, client).counts == {"done": 6}
    assert b"canary-7f3a" not in job.read_bytes()
    with SqlStore(url) as store:
        assert resolved_bags(tenant, store) == in_order(before)
        for user_id in before:
            assert store.forget(user_id) == 2
