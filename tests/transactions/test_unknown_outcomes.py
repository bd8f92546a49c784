"""One rule for every writer: after which responses to a PATCH it is open whether the PATCH was applied."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.logins import Login

from auth0_meta import ApiError, Auth0MetaError, MetadataBatch, OutcomeUnknown, TransportError
from auth0_meta.migrate import apply, plan, undo
from auth0_meta.transactions.readback import may_have_been_applied

Work = Callable[[], str]
"""Write app_metadata.plan, and return what became of it."""


def _transaction(local: Login, _: Path) -> Work:
    def work() -> str:
        tx = local.tx()
        with contextlib.suppress(ApiError), tx:
            tx.app_metadata["plan"] = "pro"
        return tx.result.outcome  # type: ignore[union-attr]

    return work


def _asyncio(local: Login, _: Path) -> Work:
    async def work() -> str:
        tx = local.client.atransaction(UID)
        with contextlib.suppress(ApiError):
            async with tx:
                tx.app_metadata["plan"] = "pro"
        return tx.result.outcome  # type: ignore[union-attr]

    return lambda: asyncio.run(work())


def _batch(local: Login, _: Path) -> Work:
    def work() -> str:
        with MetadataBatch(local.client, on_error="collect") as batch:
            batch.user(UID).app_metadata["plan"] = "pro"
        (outcome,) = (name for name, number in batch.results.counts.items() if number)
        return outcome

    return work


def _trigger(local: Login, _: Path) -> Work:
    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("plan", "pro")

    return lambda: local.run(action).commit.outcome  # type: ignore[union-attr]


def _migration(local: Login, folder: Path) -> Work:
    job, changes = folder / "job.db", folder / "changes.ndjson"
    changes.write_text(json.dumps({"user_id": UID, "app_metadata": {"plan": "pro"}}), encoding="utf-8")
    plan(changes, to=job, client=local.client)
    return lambda: "".join(apply(job, local.client).counts)


def _undone_migration(local: Login, folder: Path) -> Work:
    _migration(local, folder)()
    return lambda: "".join(undo(folder / "job.db", local.client).counts)


# Who writes, and what it calls a PATCH that got a response, one that was found applied, and one that was refused.
WRITERS: dict[str, tuple[Callable[[Login, Path], Work], str, str, str]] = {
    "transaction": (_transaction, "updated", "confirmed", "failed"),
    "asyncio": (_asyncio, "updated", "confirmed", "failed"),
    "batch": (_batch, "updated", "confirmed", "failed"),
    "trigger": (_trigger, "updated", "confirmed", "failed"),
    "migration": (_migration, "done", "done", "failed"),
    "undo": (_undone_migration, "undone", "undone", "failed"),
}
writers = pytest.mark.parametrize("writer", WRITERS)

# Responses after which the PATCH may or may not have been applied.
OPEN: dict[str, dict[str, Any]] = {
    **{str(status): {"status": status} for status in (302, 307, 408, 425, 499, 500, 501, 502, 503, 504)},
    "a proxy's page": {"status": 200, "body": "<html>"},
    "another user": {"status": 200, "body": {"user_id": "auth0|another", "app_metadata": {"plan": "pro"}}},
    "a profile without an id": {"status": 200, "body": {"app_metadata": {"plan": "pro"}}},
    "an error": {"status": 200, "body": {"statusCode": 503, "error": "x", "message": "y", "user_id": UID}},
    "NaN": {"status": 200, "body": f'{{"user_id": "{UID}", "n": NaN}}'},
    "two profiles in one": {"status": 200, "body": f'{{"user_id": "auth0|another", "user_id": "{UID}"}}'},
    "UTF-16": {"status": 200, "body": f'{{"user_id": "{UID}"}}'.encode("utf-16")},
}


class Case:
    """A writer that is about to write; `sent` has the requests since then, `plan` is what the tenant stores now."""

    def __init__(self, writer: str, folder: Path) -> None:
        self.local = Login({}, {"plan": "free", "seats": 3})
        make, self.updated, self.confirmed, self.failed = WRITERS[writer]
        self.work = make(self.local, folder)
        self._before, self._already = self.plan, len(self.local.sent)

    @property
    def plan(self) -> str:
        """The plan that the tenant stores."""
        return str(self.local.app_metadata["plan"])

    @property
    def written(self) -> bool:
        """Whether the tenant stores what was to be written."""
        return self.plan != self._before

    @property
    def sent(self) -> list[str]:
        """The methods of the requests that have reached the tenant since."""
        return self.local.sent[self._already :]


@writers
@pytest.mark.parametrize("response", OPEN.values(), ids=OPEN)
def test_a_patch_that_was_applied_is_found(writer: str, response: dict[str, Any], tmp_path: Path) -> None:
    """Reading back shows that the PATCH was applied, and no second one is sent."""
    case = Case(writer, tmp_path)
    case.local.tenant.fail(method="PATCH", commit=True, **response)
    assert case.work() == case.confirmed
    assert case.written
    assert case.sent[-2:] == ["PATCH", "GET"]
    assert case.sent.count("PATCH") == 1


@writers
@pytest.mark.parametrize("response", OPEN.values(), ids=OPEN)
def test_a_patch_that_was_not_applied_is_sent_again(
    writer: str, response: dict[str, Any], tmp_path: Path
) -> None:
    """Reading back shows that the PATCH was not applied, and one more is sent."""
    case = Case(writer, tmp_path)
    case.local.tenant.fail(method="PATCH", **response)
    assert case.work() == case.updated
    assert case.written
    assert case.sent[-3:] == ["PATCH", "GET", "PATCH"]
    assert case.sent.count("PATCH") == 2


@writers
@pytest.mark.parametrize("body", [{"message": "no"}, "<html>"], ids=["JSON", "HTML"])
@pytest.mark.parametrize("status", [400, 402, 405, 409, 410, 413, 415, 418, 422, 451])
def test_a_refusal_is_definite(writer: str, status: int, body: Any, tmp_path: Path) -> None:
    """Any other 4xx, from Auth0 or a gateway, means that the PATCH was refused: nothing is read back or sent again."""
    case = Case(writer, tmp_path)
    case.local.tenant.fail(method="PATCH", status=status, body=body)
    assert case.work() == case.failed
    assert not case.written
    assert case.sent[-1] == "PATCH"
    assert case.sent.count("PATCH") == 1


@pytest.mark.parametrize("status", [302, 408, 425, 499, 503])
def test_an_increment_is_not_counted_twice(status: int) -> None:
    """An increment is sent again only if the stored number has not changed."""
    for applied in (True, False):
        local = Local({"n": 1})
        local.tenant.fail(method="PATCH", status=status, commit=applied)
        with local.tx() as tx:
            tx.user_metadata.increment("n")
        assert local.user_metadata == {"n": 2}
        assert local.sent.count("PATCH") == (1 if applied else 2)


@pytest.mark.parametrize("status", [302, 408, 425, 499, 503])
def test_an_unknown_outcome_names_the_status(status: int) -> None:
    """If reading back can't decide, the error names the status and does not claim that nothing was written."""
    local = Local({"n": 1})
    local.tenant.fail(method="PATCH", status=status)
    local.second_writer("GET", nth=2, user_metadata={"n": 7})
    with pytest.raises(OutcomeUnknown, match=f"got a {status}") as raised, local.tx() as tx:
        tx.user_metadata.increment("n")
    assert isinstance(raised.value.__cause__, ApiError)
    assert "othing was written" not in f"{raised.value}{raised.value.__cause__}"
    assert local.user_metadata == {"n": 7}


@pytest.mark.parametrize("body", [OPEN["another user"]["body"], OPEN["a profile without an id"]["body"]])
def test_another_users_profile_is_not_used(body: dict[str, Any]) -> None:
    """A read that returns somebody else's profile has failed: nothing is sent."""
    local = Local({"n": 1})
    local.tenant.fail(method="GET", status=200, body=body)
    with pytest.raises(TransportError, match="not the user that was asked for") as raised, local.tx() as tx:
        tx.user_metadata.increment("n")
    assert not isinstance(raised.value, OutcomeUnknown)
    assert raised.value.user_id == UID
    assert "another" not in str(raised.value)
    assert local.sent == ["GET"]


def test_another_users_profile_confirms_nothing() -> None:
    """This holds even if the profile looks as the change would leave it."""
    local = Local({}, {"plan": "free"})
    local.tenant.fail(method="PATCH", status=503)
    local.tenant.fail(method="GET", **OPEN["another user"])
    with pytest.raises(OutcomeUnknown, match="reading the user back failed"), local.tx() as tx:
        tx.app_metadata["plan"] = "pro"
    assert local.app_metadata == {"plan": "free"}


def test_only_some_statuses_leave_the_outcome_open() -> None:
    """They are a lost response and the statuses of a gateway or a failing server."""
    statuses = [*range(300, 310), *range(400, 452), 499, *range(500, 512), 520, 530]
    left_open = [status for status in statuses if may_have_been_applied(ApiError("no", status=status))]
    assert left_open == [*range(300, 310), 408, 425, 499, *range(500, 512), 520, 530]
    assert may_have_been_applied(OutcomeUnknown("lost"))
    assert not any(
        may_have_been_applied(error) for error in (Auth0MetaError("no"), TransportError("no"), OSError())
    )
