"""`run_transaction`: it runs the work again if what the work read has changed."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import ConflictError, InputError, MetadataError, MetadataTransaction


def _promote(tx: MetadataTransaction) -> int:
    seats: int = tx.user_metadata["n"] + 1
    tx.user_metadata["n"] = seats
    return seats


def test_it_returns_what_the_function_returns() -> None:
    """Without a conflict the function runs once, its change is written and its value returned."""
    local = Local({"n": 1})
    assert local.client.run_transaction(UID, _promote) == 2
    assert local.user_metadata == {"n": 2}
    assert local.sent == ["GET", "GET", "PATCH"]


@pytest.mark.parametrize("conflicts", [1, 4])
def test_conflicts_run_it_again(conflicts: int) -> None:
    """After a conflict the function runs again on fresh data, up to `attempts` times in all; no writer's change is lost."""
    local = Local({"n": 1})
    for number in range(conflicts):
        local.second_writer("GET", nth=2 * number + 2, user_metadata={"n": 10 * (number + 1)})
    assert local.client.run_transaction(UID, _promote) == 10 * conflicts + 1
    assert local.user_metadata == {"n": 10 * conflicts + 1}
    assert local.sent.count("PATCH") == 1


def test_the_last_conflict_is_raised() -> None:
    """After `attempts` runs the last conflict is raised, and nothing was written."""
    local = Local({"n": 0})
    local.tenant.before(
        "GET", UID, lambda _: local.write(user_metadata={"n": local.user_metadata["n"] + 1}), times=None
    )
    runs: list[int] = []
    with pytest.raises(ConflictError):
        local.client.run_transaction(UID, lambda tx: runs.append(_promote(tx)), attempts=3)
    assert len(runs) == 3
    assert "PATCH" not in local.sent


def test_the_pauses_are_short() -> None:
    """The pauses between runs grow and stay below 2 s, however many there are."""
    local = Local({"n": 0})
    local.tenant.before(
        "GET", UID, lambda _: local.write(user_metadata={"n": local.user_metadata["n"] + 1}), times=None
    )
    with pytest.raises(ConflictError):
        local.client.run_transaction(UID, _promote, attempts=30)
    assert len(local.clock.slept) == 29
    assert 0 < min(local.clock.slept) < 0.2
    assert max(local.clock.slept) < 2


def test_a_base_counts_only_for_the_first_run() -> None:
    """With base= and base_check=True a conflict means that the base is out of date, so the next run reads."""
    local = Local({"n": 1})
    base = local.profile()
    local.write(user_metadata={"n": 5})
    assert local.client.run_transaction(UID, _promote, base=base, base_check=True) == 6
    assert local.user_metadata == {"n": 6}


def test_settings_reach_the_transaction() -> None:
    """A base without a check costs one request and notices no conflict."""
    local = Local({"n": 1})
    base = local.profile()
    local.write(user_metadata={"n": 5})
    assert local.client.run_transaction(UID, _promote, base=base) == 2
    assert local.sent == ["PATCH"]


def test_an_exception_is_not_retried() -> None:
    """The function's own error is raised after one run, and nothing is written."""
    local = Local({"n": 1})
    runs: list[int] = []

    def work(tx: MetadataTransaction) -> None:
        runs.append(_promote(tx))
        raise LookupError

    with pytest.raises(LookupError):
        local.client.run_transaction(UID, work)
    assert (len(runs), local.user_metadata) == (1, {"n": 1})


@pytest.mark.parametrize("whose", ["other", "same"])
def test_the_conflict_of_another_transaction_is_not_retried(whose: str) -> None:
    """It is raised even if that transaction is for the same user."""
    local = Local({"n": 1})
    other = "auth0|other" if whose == "other" else UID
    if whose == "other":
        local.tenant.users.add(user_id=other, user_metadata={"n": 1})
    local.tenant.before(
        "GET", other, lambda _: local.tenant.users[other].patch(user_metadata={"n": 9}), nth=2
    )
    runs: list[int] = []

    def work(tx: MetadataTransaction) -> None:
        runs.append(1)
        tx.app_metadata["a"] = 1
        with local.client.transaction(other, join=False) as inner:
            _promote(inner)

    with pytest.raises(ConflictError) as raised:
        local.client.run_transaction(UID, work)
    assert (raised.value.user_id, len(runs), local.app_metadata) == (other, 1, {})


def test_helpers_inside_join() -> None:
    """Helpers that the function calls join its transaction: still one PATCH."""
    local = Local()

    def helper() -> None:
        with local.tx() as tx:
            tx.user_metadata["b"] = 2

    local.client.run_transaction(UID, lambda tx: (tx.user_metadata.set("a", 1), helper()))
    assert local.bodies == [{"user_metadata": {"a": 1, "b": 2}}]


def test_the_function_may_commit() -> None:
    """A conflict of a commit() in the function counts as the transaction's own."""
    local = Local({"n": 1})
    local.second_writer("GET", nth=2, user_metadata={"n": 5})

    def work(tx: MetadataTransaction) -> int:
        value = _promote(tx)
        tx.commit()
        return value

    assert local.client.run_transaction(UID, work) == 6


@pytest.mark.parametrize(
    ("user_id", "settings", "kind"),
    [
        ("", {}, MetadataError),
        ([], {}, MetadataError),
        (UID, {"attempts": 0}, InputError),
        (UID, {"attempts": True}, InputError),
        (UID, {"attempts": 2.0}, InputError),
        (UID, {"oversize": "no"}, InputError),
    ],
)
def test_bad_input_fails_first(user_id: Any, settings: dict[str, Any], kind: type[Exception]) -> None:
    """Bad arguments are refused before the function is called."""
    local = Local()
    with pytest.raises(kind):
        local.client.run_transaction(user_id, lambda _: pytest.fail("called"), **settings)
    assert local.sent == []


async def _later(tx: MetadataTransaction) -> None:
    tx.user_metadata["n"] = 2


def _handed_on(tx: MetadataTransaction) -> Any:
    return _later(tx)


class _Awaited:
    async def __call__(self, tx: MetadataTransaction) -> None:
        tx.user_metadata["n"] = 2


@pytest.mark.parametrize("fn", [_later, functools.partial(_later), _Awaited(), _handed_on])
def test_an_asynchronous_function_is_refused(fn: Any) -> None:
    """A function whose result would have to be awaited is refused, and nothing is sent."""
    local = Local({"n": 1})
    with pytest.raises(InputError, match=r"client\.aio\.run_transaction"):
        local.client.run_transaction(UID, fn)
    assert local.sent == []
