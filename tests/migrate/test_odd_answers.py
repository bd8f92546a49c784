"""Whose fault a failure is: one user's odd answer costs that user, and what everybody gets stops plan, apply and undo."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.migrations import move_plan, patches_by_user, populate, rows_of

from auth0_meta import Auth0MetaError, ManagementClient, TransportError
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import UserDone, apply, plan, status, undo
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.planning.sources import Found
from auth0_meta.testing import FakeClock

Rows = Callable[..., Path]
USERS = 30
ODD = 7
OTHER: dict[str, Any] = {
    "user_id": "auth0|other",
    "app_metadata": {"plan": "stolen", "billing": {"iban": "X"}},
}
DEEP = '{"user_id": "auth0|000007", "app_metadata": {"a": ' + '{"d":' * 3000 + "1" + "}" * 3002
ANSWERS: dict[str, dict[str, Any]] = {
    "HTML": {"status": 200, "html": True},
    "nothing": {"status": 200, "body": ""},
    "half of it": {"status": 200, "body": '{"user_id": "auth0|0000'},
    "not gzip": {"status": 200, "body": b"\x1f\x8b\x08cut", "headers": {"Content-Encoding": "gzip"}},
    "null": {"status": 200, "body": "null"},
    "a list": {"status": 200, "body": []},
    "an empty object": {"status": 200, "body": {}},
    "an error object": {"status": 200, "body": {"message": "ok"}},
    "another user": {"status": 200, "body": OTHER},
    "a number as its id": {"status": 200, "body": {**OTHER, "user_id": 7}},
    "metadata that is a list": {"status": 200, "body": {"user_id": "auth0|000007", "app_metadata": [1]}},
    "two profiles in one": {
        "status": 200,
        "body": '{"user_id": "auth0|other", "app_metadata": {}, "user_id": "auth0|000007", "app_metadata": {"plan": "stolen"}}',
    },
    "3,000 levels": {"status": 200, "body": DEEP},
    "a redirect": {"status": 301, "headers": {"Location": "https://example.com/"}},
    "400": {"status": 400},
    "403": {"status": 403},
    "404": {"status": 404},
    "a gateway's 404": {"status": 404, "html": True},
    "408": {"status": 408},
    "501": {"status": 501},
}


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant whose time passes only when somebody waits."""
    with LocalTenant(serve=False, clock=FakeClock()) as local:
        yield local


class Everybody:
    """A fault that strikes every request for a user until it is over."""

    def __init__(self, tenant: LocalTenant, **fault: Any) -> None:
        self.over = False
        tenant.fail(path="/api/v2/users/{id}", times=None, when=lambda *_: not self.over, **fault)

    def remove(self) -> None:
        """End it."""
        self.over = True


@pytest.fixture
def ids(tenant: LocalTenant) -> list[str]:
    """Add users."""
    return populate(tenant, USERS)


@pytest.fixture
def ids_file(ids: list[str], tmp_path: Path) -> str:
    """Write their ids to a file."""
    path = tmp_path / "ids.txt"
    path.write_text("\n".join(ids), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("answer", ANSWERS)
def test_one_odd_answer_costs_one_user_of_a_plan(
    tenant: LocalTenant, client: ManagementClient, ids_file: str, ids: list[str], job: Path, answer: str
) -> None:
    """The user is invalid and named, the others are planned, and nothing is written into the wrong user."""
    tenant.fail(method="GET", user_id=ids[ODD], **ANSWERS[answer])
    summary = plan(move_plan, to=job, client=client, users=ids_file, clock=client._channel.clock)
    assert (summary.changing, summary.invalid) == (USERS - 1, 1)
    with Ledger.open(job) as ledger:
        ((user_id, kind, note),) = ledger.problems()
    assert user_id == ids[ODD]
    # What can be read, and only can't be worked with, fails in the function.
    assert kind == ("failed" if answer == "metadata that is a list" else "unreadable")
    assert note
    assert "stolen" not in note
    assert dict(apply(job, client).counts) == {"done": USERS - 1}


@pytest.mark.parametrize("step", [apply, undo])
@pytest.mark.parametrize("answer", ANSWERS)
def test_one_odd_answer_costs_one_user_of_a_run(
    tenant: LocalTenant,
    client: ManagementClient,
    ids: list[str],
    job: Path,
    ndjson: Rows,
    answer: str,
    step: Callable[..., Any],
) -> None:
    """The user fails, is named and unchanged; the next run does what was left."""
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    good = "done"
    if step is undo:
        apply(job, client)
        good = "undone"
    before = tenant.users[ids[ODD]].app_metadata
    events: list[Any] = []
    tenant.fail(method="GET", user_id=ids[ODD], **ANSWERS[answer])
    result = step(job, client, on_event=events.append)
    assert dict(result.counts) == {good: USERS - 1, "failed": 1}
    assert tenant.users[ids[ODD]].app_metadata == before
    (failed,) = [e for e in events if isinstance(e, UserDone) and e.outcome == "failed"]
    assert failed.user_id == ids[ODD]
    assert "stolen" not in failed.note
    assert dict(step(job, client).counts) == {good: 1}
    assert status(job).counts == {good: USERS}


@pytest.mark.parametrize(
    "answer", ["HTML", "an empty object", "another user", "a redirect", "403", "a gateway's 404", "501"]
)
def test_what_everybody_gets_is_nobodys_fault(
    tenant: LocalTenant,
    client: ManagementClient,
    ids_file: str,
    ids: list[str],
    job: Path,
    ndjson: Rows,
    answer: str,
) -> None:
    """A plan ends with the error and leaves no file; a run ends with it too, fails nobody, and is resumed."""
    fault = Everybody(tenant, method="GET", **ANSWERS[answer])
    with pytest.raises(Auth0MetaError):
        plan(move_plan, to=job, client=client, users=ids_file)
    assert not job.exists()
    fault.remove()
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    fault = Everybody(tenant, method="GET", **ANSWERS[answer])
    with pytest.raises(Auth0MetaError):
        apply(job, client)
    assert status(job).counts == {"planned": USERS}
    fault.remove()
    assert dict(apply(job, client).counts) == {"done": USERS}
    fault = Everybody(tenant, method="GET", **ANSWERS[answer])
    with pytest.raises(Auth0MetaError):
        undo(job, client)
    assert status(job).counts == {"done": USERS}
    fault.remove()
    assert dict(undo(job, client).counts) == {"undone": USERS}


@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"drop": "before_commit"}, {"drop": "reset"}, {"status": 500}]
)
@pytest.mark.parametrize("concurrency", [1, 8])
def test_an_outage_ends_a_run_that_can_be_resumed(
    tenant: LocalTenant,
    client: ManagementClient,
    ids: list[str],
    job: Path,
    ndjson: Rows,
    fault: dict[str, Any],
    concurrency: int,
) -> None:
    """It is waited out for a quarter of an hour, whatever form it has; then the run ends, and no user has failed."""
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    client.users.get(ids[0])
    lost = Everybody(tenant, **fault)
    begun = client._channel.clock.monotonic()
    with pytest.raises((TransportError, Auth0MetaError)):
        apply(job, client, concurrency=concurrency)
    waited = client._channel.clock.monotonic() - begun
    assert waited > 800
    if concurrency == 1:  # this clock adds up what threads sleep at the same time
        # A second user is tried before the run ends, for `failure_wait` seconds: the outage has been waited out.
        assert waited < 960
    assert set(status(job).counts) <= {"planned", "sent"}
    lost.remove()
    assert dict(apply(job, client).counts) == {"done": USERS}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("step", [apply, undo])
def test_a_run_that_is_stopped_does_not_wait_an_outage_out(
    tenant: LocalTenant,
    client: ManagementClient,
    ids: list[str],
    job: Path,
    ndjson: Rows,
    step: Callable[..., Any],
) -> None:
    """Whoever is in doubt is given `failure_wait`, and then left to the next run, which finds out."""
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    if step is undo:
        apply(job, client)
    tenant.journal.clear()
    cancel = threading.Event()
    again = threading.Event()

    def lost(method: str, path: str, body: bytes) -> bool:
        return not again.is_set() and (method == "PATCH" or cancel.is_set())

    tenant.fail(path="/api/v2/users/{id}", when=lost, times=None, drop="after_commit")
    tenant.before("PATCH", None, lambda _: cancel.set())
    begun = client._channel.clock.monotonic()
    result = step(job, client, concurrency=1, cancel=cancel)
    assert result.interrupted
    assert client._channel.clock.monotonic() - begun < 100
    assert sum(status(job).counts.get(word, 0) for word in ("sent", "undoing")) == 1
    again.set()
    step(job, client)
    assert status(job).counts == {"undone" if step is undo else "done": USERS}
    assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("place", [0, ODD, USERS - 1])
def test_a_user_whose_every_read_fails_does_not_end_a_plan(
    tenant: LocalTenant, client: ManagementClient, ids_file: str, ids: list[str], job: Path, place: int
) -> None:
    """While others succeed it is that user who fails, even if it is the last one, after whom nobody is read."""
    tenant.fail(method="GET", user_id=ids[place], status=500, times=None)
    summary = plan(move_plan, to=job, client=client, users=ids_file)
    assert (summary.changing, summary.invalid) == (USERS - 1, 1)


def test_an_outage_ends_a_plan(
    tenant: LocalTenant, client: ManagementClient, ids_file: str, job: Path
) -> None:
    """After a quarter of an hour in which nobody could be read, the plan ends and can be made again."""
    client.users.page()
    lost = Everybody(tenant, drop="before_commit")
    for _ in range(2):  # each plan waits for itself, whatever an earlier one has waited
        begun = client._channel.clock.monotonic()
        with pytest.raises(TransportError):
            plan(move_plan, to=job, client=client, users=ids_file)
        assert client._channel.clock.monotonic() - begun > 800
        assert not job.exists()
    lost.remove()
    assert plan(move_plan, to=job, client=client, users=ids_file).changing == USERS


@pytest.mark.parametrize("step", [apply, undo])
@pytest.mark.parametrize("answer", ["HTML", "another user", "metadata that is a list", "400", "403", "501"])
def test_a_user_in_doubt_is_never_said_not_to_be_written(
    tenant: LocalTenant,
    client: ManagementClient,
    ids: list[str],
    job: Path,
    ndjson: Rows,
    answer: str,
    step: Callable[..., Any],
) -> None:
    """If the PATCH's response is lost, and reading back fails, no note claims that nothing was written."""
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    if step is undo:
        apply(job, client)
    tenant.fail(method="PATCH", user_id=ids[ODD], drop="after_commit")
    tenant.fail(method="GET", user_id=ids[ODD], nth=2, **ANSWERS[answer])
    events: list[Any] = []
    step(job, client, on_event=events.append)
    (odd,) = [e for e in events if isinstance(e, UserDone) and e.outcome in ("failed", "unclear")]
    assert (odd.user_id, odd.outcome) == (ids[ODD], "failed" if step is undo else "unclear")
    assert "may have been applied" in odd.note
    assert "othing was written" not in odd.note
    step(job, client)
    assert status(job).counts == {"undone" if step is undo else "done": USERS}


class OddSource:
    """A source whose profiles are not those of the users that it names."""

    name = "odd"

    def users(self, connect: object) -> Iterator[Found]:
        """Yield one good user among four odd ones."""
        for user_id, profile in (
            ("auth0|1", {"app_metadata": {"plan": "pro"}}),
            ("auth0|2", {"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}),
            ("auth0|3", [1]),
            ("auth0|4", {"user_id": "auth0|4", "app_metadata": 7}),
            ("auth0|5", {"user_id": "auth0|5", "app_metadata": {"plan": "pro"}}),
        ):
            yield Found(user_id, profile)  # type: ignore[arg-type]


def test_a_profile_of_a_source_is_believed_only_for_its_user(job: Path) -> None:
    """Anything else is an invalid user, named."""
    summary = plan(move_plan, to=job, users=OddSource())
    assert (summary.changing, summary.invalid) == (1, 4)
    with Ledger.open(job) as ledger:
        assert [user_id for user_id, *_ in ledger.problems()] == [f"auth0|{n}" for n in (1, 2, 3, 4)]
        assert json.dumps([record.user_id for record in ledger.records()]) == '["auth0|5"]'
