"""What a plan, an apply and an undo say of how far they are."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.migrations import move_plan, populate, rows_of

from auth0_meta import ManagementClient
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import ApplyProgress, MigrationEvent, PlanProgress, UserDone, apply, plan, undo
from auth0_meta.migrate.estimate import Estimate, part_done
from auth0_meta.migrate.planning import planner

Rows = Callable[..., Path]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("way", ["function", "changes", "changes and users"])
def test_a_plan_from_a_file_knows_how_much_is_done(
    job: Path, tmp_path: Path, way: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part only grows, and ends at 1; whatever is packed is measured packed."""
    monkeypatch.setattr(planner, "_PROGRESS_EVERY", 0.0)
    users, changes = tmp_path / "users.ndjson", tmp_path / "changes.ndjson"
    row = '{"user_id": "auth0|%d", "app_metadata": {"plan": "pro"}}\n'
    for path in (users, changes):
        text = "".join(row % n for n in range(700)).encode()
        path.write_bytes(gzip.compress(text) if packed else text)
    seen: list[PlanProgress] = []

    def note(event: MigrationEvent) -> None:
        if isinstance(event, PlanProgress):
            seen.append(event)

    what = move_plan if way == "function" else changes
    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        if way == "changes":
            populate(tenant, 3)
            changes.write_text("".join(row % n for n in range(3)))
        plan(what, to=job, client=client, users=None if way == "changes" else str(users), on_event=note)
    parts = [event.part or 0.0 for event in seen]
    assert parts == sorted(parts)
    assert 0.0 <= parts[0] <= parts[-1] == 1.0
    if way != "changes" and not packed:  # which are read in one piece
        assert 0.2 < parts[len(parts) // 2] < 0.9
    assert seen[-1].eta == 0.0
    assert [event.read for event in seen] == sorted(event.read for event in seen)


def test_users_who_are_still_being_read_are_not_done() -> None:
    """A short list is read ahead of the tenant's pace."""
    known = {"changes": None, "only_changes": False}
    assert part_done(users=1.0, named=500, under_way=400, limit=None, **known) == pytest.approx(0.2)
    assert part_done(users=None, named=25, under_way=0, limit=100, **known) == 0.25
    assert part_done(users=None, named=25, under_way=0, limit=None, **known) is None
    assert part_done(users=0.0, named=0, under_way=0, limit=None, **known) == 0.0


def test_a_change_file_beside_users_is_read_first() -> None:
    """Reading it counts, and the rest is measured by the users."""
    known = {"only_changes": False, "under_way": 0, "limit": None}
    assert part_done(users=None, changes=0.5, named=0, **known) == 0.15
    assert part_done(users=0.5, changes=1.0, named=9, **known) == pytest.approx(0.65)
    assert part_done(users=None, changes=1.0, named=9, **known) is None


def test_an_estimate_follows_the_pace_of_the_last_half_minute() -> None:
    """The first phase may have been ten times as fast."""
    estimate = Estimate()
    assert estimate.seconds_left(2.0, None) is None
    for second in range(1, 11):
        estimate.seconds_left(second, second * 0.05)
    for second in range(11, 61):
        left = estimate.seconds_left(second, 0.5 + (second - 10) * 0.005)
    assert left == pytest.approx(50, rel=0.01)
    assert estimate.seconds_left(61.0, 1.0) == 0.0


@pytest.mark.parametrize("step", [apply, undo])
def test_a_resumed_run_counts_what_was_done_before(
    step: Callable[..., object], tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """An apply or undo that stopped after some users goes on from there, and says so."""
    populate(tenant, 12)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    if step is undo:
        apply(job, client)
    enough, finished = threading.Event(), 0

    def stop(event: MigrationEvent) -> None:
        nonlocal finished
        finished += isinstance(event, UserDone)
        if finished >= 3:
            enough.set()

    step(job, client, concurrency=1, cancel=enough, on_event=stop)
    assert 3 <= finished < 12
    seen: list[ApplyProgress] = []
    step(job, client, on_event=lambda event: seen.append(event) if isinstance(event, ApplyProgress) else None)
    assert {(event.before, event.total) for event in seen} == {(finished, 12 - finished)}
    assert seen[-1].before + seen[-1].done == 12
