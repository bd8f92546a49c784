"""An outage is waited out and told, in a plan, an apply and an undo; one that lasts too long ends them, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, patches_by_user, populate, rows_of

from auth0_meta import Auth0MetaError, ManagementClient, NotSentError
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import ApplyProgress, PlanProgress, apply, plan, status, undo
from auth0_meta.migrate.events import Waiting
from auth0_meta.testing import FakeClock

Rows = Callable[..., Path]
USERS = 60
FAULTS: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "502 with HTML": {"status": 502, "html": True},
    "refused": {"drop": "before_commit"},
    "reset": {"drop": "reset"},
    "lost": {"drop": "after_commit"},
}


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant whose time passes only when somebody waits."""
    with LocalTenant(serve=False, clock=FakeClock()) as local:
        yield local


class Outage:
    """Nobody gets through from the `after`th request on, for some seconds or for ever."""

    def __init__(
        self, tenant: LocalTenant, method: str | None, fault: dict[str, Any], *, after: int, seconds: float
    ) -> None:
        self._clock, self._after, self._seconds, self.over = tenant.clock, after, seconds, False
        self._seen, self._began = 0, 0.0
        tenant.fail(path="/api/v2/users/{id}", method=method, times=None, when=self.strikes, **fault)

    def strikes(self, method: str, path: str, body: bytes) -> bool:
        """Return whether it is under way."""
        self._seen += 1
        if self._seen == self._after:
            self._began = self._clock.monotonic()
        return (
            not self.over
            and self._seen >= self._after
            and self._clock.monotonic() - self._began < self._seconds
        )


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plan_waits_two_minutes_of_outage_out(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    """Everybody is planned, and it said meanwhile what it was waiting for."""
    monkeypatch.setattr(
        "auth0_meta.migrate.planning.planner._READERS", 1
    )  # this clock adds up what threads wait
    source = tmp_path / "ids.txt"
    source.write_text("\n".join(populate(tenant, USERS)), encoding="utf-8")
    Outage(tenant, "GET", FAULTS[fault], after=20, seconds=120)
    events: list[Any] = []
    clock = client._channel.clock
    summary = plan(
        move_plan, to=job, client=client, users=str(source), on_event=events.append, clock=clock, share=1.0
    )
    assert (summary.changing, summary.invalid) == (USERS, 0)
    reasons = {event.reason for event in events if isinstance(event, Waiting)}
    assert reasons == {"server error" if "status" in FAULTS[fault] else "connection"}
    assert isinstance(events[-1], PlanProgress)
    assert (events[-1].read, events[-1].waiting) == (USERS, "")


@pytest.mark.parametrize("step", [apply, undo])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_waits_two_minutes_of_outage_out(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    ndjson: Rows,
    step: Callable[..., Any],
    fault: str,
) -> None:
    """Everybody is done, once; it said meanwhile what it was waiting for."""
    ids = populate(tenant, USERS)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    if step is undo:
        apply(job, client)
    tenant.journal.clear()
    Outage(tenant, None, FAULTS[fault], after=20, seconds=120)
    events: list[Any] = []
    result = step(job, client, on_event=events.append, concurrency=1)
    assert dict(result.counts) == {"undone" if step is undo else "done": USERS}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)
    assert any(isinstance(event, Waiting) for event in events)


@pytest.mark.parametrize("method", ["GET", None, "PATCH"], ids=["reads", "everything", "writes"])
@pytest.mark.parametrize("fault", ["503", "refused"])
def test_an_outage_that_does_not_end_leaves_everybody_to_the_next_run(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    ndjson: Rows,
    tmp_path: Path,
    method: str | None,
    fault: str,
) -> None:
    """The error says that it concerns nobody alone and what to do; the next run finishes everybody."""
    ids = populate(tenant, USERS)
    if method != "PATCH":
        source = tmp_path / "ids.txt"
        source.write_text("\n".join(ids), encoding="utf-8")
        outage = Outage(tenant, method, FAULTS[fault], after=20, seconds=1e9)
        with pytest.raises(
            Auth0MetaError, match=r"does not concern one user alone.*run the same command again"
        ):
            plan(move_plan, to=job, client=client, users=str(source))
        assert not job.exists()
        outage.over = True
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    for step, good in ((apply, "done"), (undo, "undone")):
        tenant.journal.clear()
        outage = Outage(tenant, method, FAULTS[fault], after=20, seconds=1e9)
        with pytest.raises(
            Auth0MetaError, match=r"does not concern one user alone.*same command again to resume"
        ):
            step(job, client, concurrency=1)  # this clock adds up what threads wait
        counts = status(job).counts
        blamed = sum(counts.get(word, 0) for word in ("failed", "unclear", "drifted", "kept"))
        # Until twelve users have failed to write, each may have a reason of its own; they are tried again, too.
        assert blamed < (12 if method == "PATCH" else 1)
        outage.over = True
        assert step(job, client).failed == 0
        assert status(job).counts == {good: USERS}
        assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


TOKENLESS: dict[str, dict[str, Any]] = {
    "503": {"status": 503},
    "refused": {"drop": "before_commit"},
    "cut short": {"truncate": 5},
}


@pytest.mark.parametrize("step", [plan, apply, undo])
@pytest.mark.parametrize("fault", TOKENLESS)
def test_an_outage_of_the_token_endpoint_is_nobodys_fault(
    tenant: LocalTenant,
    job: Path,
    ndjson: Rows,
    monkeypatch: pytest.MonkeyPatch,
    step: Callable[..., Any],
    fault: str,
) -> None:
    """It is waited out like any other, although no user's request can be sent meanwhile."""
    monkeypatch.setattr("auth0_meta.migrate.planning.planner._READERS", 1)
    populate(tenant, USERS)
    rows = ndjson([{"user_id": user.user_id, "app_metadata": {"tier": 1}} for user in tenant.users])
    with tenant.client() as client:
        if step is not plan:
            plan(str(rows), to=job, client=client)
        if step is undo:
            apply(job, client)
    began = tenant.clock.monotonic()
    tenant.fail(
        path="/oauth/token",
        times=None,
        when=lambda *_: tenant.clock.monotonic() - began < 120,
        **TOKENLESS[fault],
    )
    with tenant.client() as client:
        if step is plan:
            summary = plan(str(rows), to=job, client=client)
            assert (summary.changing, summary.invalid) == (USERS, 0)
        else:
            good = "done" if step is apply else "undone"
            assert dict(step(job, client, concurrency=1).counts) == {good: USERS}


@pytest.mark.parametrize("fault", [{"status": 200, "html": True}, {"status": 501}], ids=["page", "501"])
def test_a_token_endpoint_that_is_not_one_ends_a_plan(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path, fault: dict[str, Any]
) -> None:
    """What is not repeated for one request is not repeated for the next user either."""
    source = tmp_path / "ids.txt"
    source.write_text("\n".join(populate(tenant, USERS)), encoding="utf-8")
    tenant.fail(path="/oauth/token", times=None, **fault)
    with pytest.raises(NotSentError, match=r"^there is no token, so nothing was sent"):
        plan(move_plan, to=job, client=client, users=str(source), clock=client._channel.clock)
    assert tenant.clock.monotonic() < 1
    assert not job.exists()


def test_a_request_without_a_response_is_named_while_it_is_under_way(
    job: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan and a run that have no result for some seconds say so."""
    monkeypatch.setattr("auth0_meta.migrate.waits._SILENT", 0.5)
    source = tmp_path / "changes.csv"
    source.write_text("user_id,app_metadata.a\nauth0|1,x\n", encoding="utf-8")
    events: list[Any] = []
    with LocalTenant(users=[{"user_id": "auth0|1"}]) as tenant, tenant.client() as client:
        for step in (plan, apply):
            tenant.fail(method="GET", user_id="auth0|1", delay=1.5)
            if step is plan:
                plan(str(source), to=job, client=client, on_event=events.append)
            else:
                apply(job, client, on_event=events.append)
            said = [event.waiting for event in events if isinstance(event, PlanProgress | ApplyProgress)]
            assert any(text.startswith("requests under way, 1 s") for text in said)
            assert said[-1] == ""
            events.clear()
