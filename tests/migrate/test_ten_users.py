"""Ten of forty users fail, each in its own way and for ever: thirty are done in one run, and the ten are named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, patches_by_user, populate, rows_of

from auth0_meta import ManagementClient
from auth0_meta.emulator import LocalTenant
from auth0_meta.http.request import Target
from auth0_meta.migrate import UserDone, apply, plan, status, undo
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.testing import FakeClock

Rows = Callable[..., Path]
USERS, BAD = 40, 10
AN_OUTAGE = 15 * 60
"""Seconds for which an outage is waited out.  The fake clock adds up what all threads wait, so they are near it."""
READS: tuple[dict[str, Any], ...] = (
    {"status": 500},
    {"drop": "before_commit"},
    {"status": 403},
    {"status": 200, "html": True},
    {"status": 404, "html": True},
    {"status": 301, "headers": {"Location": "https://example.com/"}},
    {"status": 200, "body": '{"user_id": "auth0|0000'},
    {"status": 503, "html": True},
    {"drop": "reset"},
    {"status": 200, "body": {"user_id": "auth0|other", "app_metadata": {"plan": "stolen"}}},
    {"status": 413},
    {"status": 422},
    {"status": 410},
    {"status": 451},
    {"status": 408},
    {"status": 409},
    {"status": 501},
    {"status": 200, "body": {"user_id": 7}},
    {"status": 200, "body": []},
    {"status": 400},
)
WRITES: tuple[dict[str, Any], ...] = (
    {"status": 500},
    {"drop": "before_commit"},
    {"status": 403},
    {"status": 409},
    {"status": 404, "html": True},
    {"status": 302},
    {"status": 408},
    {"status": 503},
    {"drop": "reset"},
    {"status": 413},
    {"status": 422},
    {"status": 410},
    {"status": 451},
    {"status": 400},
    {"status": 425},
    {"status": 502, "html": True},
    {"status": 501},
    {"status": 418},
    {"status": 499},
    {"status": 504},
)
PLACES = {
    "first": range(BAD),
    "last": range(USERS - BAD, USERS),
    "spread": range(3, USERS, 4),
}
SETS = {"first ten": slice(10), "other ten": slice(10, 20), "every second": slice(0, 20, 2)}


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant whose time passes only when somebody waits."""
    with LocalTenant(serve=False, clock=FakeClock()) as local:
        yield local


class Faults:
    """Ten users' own faults, until they are over."""

    def __init__(self, tenant: LocalTenant, method: str, ids: list[str], which: slice) -> None:
        self.over = False
        faults = (READS if method == "GET" else WRITES)[which]
        for user_id, fault in zip(ids, faults, strict=True):
            tenant.fail(method=method, user_id=user_id, times=None, when=lambda *_: not self.over, **fault)


def elapsed(client: ManagementClient) -> float:
    """Return the time of the tenant, which adds up what threads wait at the same time."""
    return client._channel.clock.monotonic()


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("which", SETS)
def test_ten_users_who_cannot_be_read_cost_a_plan_those_ten(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path, place: str, which: str
) -> None:
    """Thirty are planned and applied; nobody waits a quarter of an hour for anybody."""
    ids = populate(tenant, USERS)
    source = tmp_path / "ids.txt"
    source.write_text("\n".join(ids), encoding="utf-8")
    bad = [ids[n] for n in PLACES[place]]
    faults = Faults(tenant, "GET", bad, SETS[which])
    # On this clock one thread can wait for minutes before another one has its first response.
    good = next(user_id for user_id in ids if user_id not in bad)
    client._channel.read(Target.user(good), client._channel.budget())
    summary = plan(move_plan, to=job, client=client, users=str(source))
    assert (summary.changing, summary.invalid) == (USERS - BAD, BAD)
    with Ledger.open(job) as ledger:
        assert sorted(user_id for user_id, _, _ in ledger.problems()) == bad
        assert not any("stolen" in note for _, _, note in ledger.problems())
    assert elapsed(client) < AN_OUTAGE
    faults.over = True
    assert dict(apply(job, client).counts) == {"done": USERS - BAD}


@pytest.mark.parametrize("step", [apply, undo])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("which", SETS)
def test_ten_users_who_fail_cost_a_run_those_ten(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    ndjson: Rows,
    step: Callable[..., Any],
    method: str,
    place: str,
    which: str,
) -> None:
    """Thirty are done, the ten are counted and named, and the next run does them."""
    ids = populate(tenant, USERS)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    if step is undo:
        apply(job, client)
    good = "undone" if step is undo else "done"
    bad = [ids[n] for n in PLACES[place]]
    faults = Faults(tenant, method, bad, SETS[which])
    tenant.journal.clear()
    events: list[Any] = []
    began = elapsed(client)
    result = step(job, client, on_event=events.append)
    assert result.counts[good] == USERS - BAD
    assert result.failed == BAD
    assert elapsed(client) - began < AN_OUTAGE
    named = {e.user_id: e.note for e in events if isinstance(e, UserDone) and e.outcome != good}
    assert sorted(named) == bad
    assert all(named.values())
    faults.over = True
    step(job, client)
    assert status(job).counts == {good: USERS}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
