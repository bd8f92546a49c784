"""A bag that is stored as anything but an object, as a SAML mapping can leave it: the other bag can be worked with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.logins import Login
from support.scripted_server import Reply, ScriptedServer, connect

from auth0_meta import ConflictError, MetadataBatch, OutcomeUnknown, StoredDataError
from auth0_meta.actions import Event, post_login
from auth0_meta.transactions.unit import State

BROKEN: dict[str, Any] = {"text": "[object Object]", "a list": ["canary"], "false": False}
BAGS = ("user_metadata", "app_metadata")
broken = pytest.mark.parametrize("stored", BROKEN.values(), ids=BROKEN)
each_bag = pytest.mark.parametrize(("bag", "other"), [BAGS, BAGS[::-1]], ids=BAGS)


def local_with(bag: str, stored: Any, other: str, **settings: Any) -> Local:
    """Return a tenant whose user has a broken bag, and another one that is as it should be."""
    return Local(**{bag: stored, other: {"billing": {"plan": "free", "seats": 3}, "old": 1}}, **settings)


# Work on the other bag ---------------------------------------------------------------------------------


def _tx(local: Local, other: str, **settings: Any) -> None:
    with local.tx(**settings) as tx:
        getattr(tx, other).set("billing.plan", "pro")


def _read(local: Local, other: str) -> None:
    with local.tx() as tx:
        if getattr(tx, other).get("billing.plan") == "free":
            getattr(tx, other).merge({"billing": {"plan": "pro"}})


def _run(local: Local, other: str) -> None:
    local.client.run_transaction(UID, lambda tx: getattr(tx, other).set("billing.plan", "pro"))


def _batch(local: Local, other: str) -> None:
    with MetadataBatch(local.client) as batch:
        getattr(batch.user(UID), other).set("billing.plan", "pro")


def _async(local: Local, other: str) -> None:
    async def run() -> None:
        async with local.client.atransaction(UID) as tx:
            await tx.load()
            getattr(tx, other).set("billing.plan", "pro")

    asyncio.run(run())


def _lost(local: Local, other: str) -> None:
    local.tenant.fail(method="PATCH", user_id=UID, status=503, commit=True)
    _tx(local, other)


def _lost_unapplied(local: Local, other: str) -> None:
    local.tenant.fail(method="PATCH", user_id=UID, status=503)
    _tx(local, other)


OTHER: dict[str, Callable[[Local, str], None]] = {
    "a nested change": _tx,
    "a read and a change": _read,
    "base=": lambda local, other: _tx(local, other, base=local.profile()),
    "base= with a check": lambda local, other: _tx(local, other, base=local.profile(), base_check=True),
    "base=User": lambda local, other: _tx(local, other, base=local.client.users.get(UID)),
    "run_transaction": _run,
    "a batch": _batch,
    "asyncio": _async,
    "a lost response": _lost,
    "a 503": _lost_unapplied,
}  # fmt: skip


@broken
@each_bag
@pytest.mark.parametrize("work", OTHER.values(), ids=OTHER)
def test_work_on_the_other_bag_goes_on(
    work: Callable[[Local, str], None], bag: str, other: str, stored: Any
) -> None:
    """The broken one is neither needed nor sent."""
    local = local_with(bag, stored, other)
    work(local, other)
    assert getattr(local, other) == {"billing": {"plan": "pro", "seats": 3}, "old": 1}
    assert getattr(local, bag) == stored
    assert all(list(body) == [other] for body in local.bodies)


# The broken bag itself ---------------------------------------------------------------------------------

NEEDS: dict[str, Callable[[Any], object]] = {
    "set": lambda bag: bag.set("a.b", 1),
    "merge": lambda bag: bag.merge({"a": {"b": 1}}),
    "append": lambda bag: bag.append("a", 1),
    "increment": lambda bag: bag.increment("a"),
    "delete": lambda bag: bag.delete("a.b"),
    "get": lambda bag: bag.get("a"),
    "[]": lambda bag: bag["a"],
    "in": lambda bag: "a" in bag,
    "iteration": list,
    "to_dict": lambda bag: bag.to_dict(),
}

READS = [NEEDS[name] for name in ("get", "[]", "in", "iteration", "to_dict")]


@broken
@each_bag
@pytest.mark.parametrize("how", ["unknown", "read", "base"])
@pytest.mark.parametrize("need", NEEDS.values(), ids=NEEDS)
def test_reading_or_changing_it_is_a_typed_error(
    need: Callable[[Any], object], bag: str, other: str, stored: Any, how: str
) -> None:
    """It names user, bag and the type of what is stored, and what repairs it; nothing is written."""
    local = local_with(bag, stored, other)
    tx = local.tx(base=local.profile() if how == "base" else None)
    if how == "read":
        tx.load()
    with pytest.raises(StoredDataError) as caught, tx:
        need(getattr(tx, bag))
    error = caught.value
    assert "othing was written" in str(error) or need in READS
    assert (error.user_id, error.bag) == (UID, bag)
    for part in (UID, type(stored).__name__, f"{bag}.clear()", f"{bag}.replace({{...}})"):
        assert part in str(error)
    assert "canary" not in str(error)
    assert "PATCH" not in local.sent


def test_a_refused_read_leaves_the_block_active() -> None:
    """It can go on with the other bag."""
    local = local_with("user_metadata", "text", "app_metadata")
    with local.tx() as tx:
        with pytest.raises(StoredDataError):
            tx.user_metadata.get("a")
        assert tx.state is State.ACTIVE
        tx.app_metadata["old"] = 2
    assert local.bodies == [{"app_metadata": {"old": 2}}]


REPAIRS: dict[str, tuple[Callable[[Any], object], dict[str, Any]]] = {
    "clear": (lambda bag: bag.clear(), {}),
    "replace": (lambda bag: bag.replace({"lang": "fi"}), {"lang": "fi"}),
    "replace by nothing": (lambda bag: bag.replace({}), {}),
    "clear and set": (lambda bag: (bag.clear(), bag.set("a.b", 1)), {"a": {"b": 1}}),
    "clear and merge": (lambda bag: (bag.clear(), bag.merge({"a": {"b": 1}})), {"a": {"b": 1}}),
    "clear, read and increment": (lambda bag: (bag.clear(), bag.set("n", bag.get("n", 1)), bag.increment("n")), {"n": 2}),
    "update after clear": (lambda bag: (bag.clear(), bag.update(a=1)), {"a": 1}),
}  # fmt: skip


@broken
@each_bag
@pytest.mark.parametrize("how", ["unknown", "read", "base", "lost", "lost unapplied"])
@pytest.mark.parametrize(("repair", "after"), REPAIRS.values(), ids=REPAIRS)
def test_clear_and_replace_repair_it(
    repair: Callable[[Any], object], after: dict[str, Any], bag: str, other: str, stored: Any, how: str
) -> None:
    """One PATCH has exactly the new object, and a change to the other bag goes with it; a lost one is read back."""
    local = local_with(bag, stored, other)
    tx = local.tx(base=local.profile() if how == "base" else None)
    if how.startswith("lost"):
        local.tenant.fail(method="PATCH", user_id=UID, status=503, commit=how == "lost")
    with tx:
        if how == "read":
            tx.load()
        repair(getattr(tx, bag))
        assert getattr(tx, bag).to_dict() == after
        getattr(tx, other).set("billing.plan", "pro")
    body = {bag: after, other: {"billing": {"plan": "pro", "seats": 3}}}
    assert local.bodies[-1] == body
    assert (getattr(local, bag) or {}) == after
    assert tx.result.outcome == ("confirmed" if how == "lost" else "updated")


def test_somebody_who_repairs_it_meanwhile_is_not_overwritten_unseen() -> None:
    """After a lost response, another object in its place is neither what was sent nor what was there."""
    local = local_with("user_metadata", "text", "app_metadata")
    local.tenant.fail(method="PATCH", user_id=UID, status=503)
    local.second_writer("GET", nth=2, user_metadata={"theirs": 1})
    tx = local.tx()
    tx.user_metadata.replace({"count": 1})
    tx.app_metadata.increment("billing.seats")
    with pytest.raises(OutcomeUnknown):
        tx.commit()
    assert local.user_metadata == {"theirs": 1}


@broken
@each_bag
def test_an_increment_beside_a_repair_is_sent_again_if_all_is_as_it_was(
    bag: str, other: str, stored: Any
) -> None:
    """A PATCH that was not applied: the broken bag is still the same, and so is what is counted."""
    local = local_with(bag, stored, other)
    local.tenant.fail(method="PATCH", user_id=UID, status=503)
    with local.tx() as tx:
        getattr(tx, bag).replace({"lang": "fi"})
        getattr(tx, other).increment("billing.seats")
    assert tx.result.outcome == "updated"
    assert (getattr(local, bag), getattr(local, other)["billing"]["seats"]) == ({"lang": "fi"}, 4)


def test_a_bag_that_breaks_after_it_was_read_is_a_conflict() -> None:
    """What was read is not there any more; without a read, the change can't be computed."""
    whole = {"user_id": UID, "app_metadata": {"n": 1}}
    for need, kind in (
        (lambda bag: bag.get("n"), ConflictError),
        (list, ConflictError),
        (lambda bag: None, StoredDataError),
    ):
        later = Reply(200, {**whole, "app_metadata": "text"})
        with ScriptedServer(Reply(200, whole), later) as server, connect(server) as client:
            tx = client.transaction(UID)
            tx.load()
            need(tx.app_metadata)
            tx.app_metadata.set("a.b", 1)
            with pytest.raises(kind):
                tx.commit()
            assert server.methods() == ["GET", "GET"]


def test_one_that_a_patch_leaves_as_it_is_is_not_taken_for_written() -> None:
    """A server that ignores what repairs it: the outcome is unknown, and says what was found."""
    found = Reply(200, {"user_id": UID, "user_metadata": "canary"})
    with ScriptedServer(found) as server, connect(server, max_wait=0, failure_wait=0) as client:
        tx = client.transaction(UID)
        tx.user_metadata.replace({"lang": "fi"})
        with pytest.raises(OutcomeUnknown, match=r"user_metadata\(not an object\)") as caught:
            tx.commit()
        assert "canary" not in str(caught.value)
        assert server.methods().count("PATCH") == 1


# Logins ------------------------------------------------------------------------------------------------


@broken
@each_bag
@pytest.mark.parametrize("how", ["the event has both", "the user is read", "a hook"])
def test_a_login_that_needs_only_the_other_bag_succeeds(bag: str, other: str, stored: Any, how: str) -> None:
    """Reading or setting the broken one fails in the action that does it."""
    login = Login(**{bag: stored, other: {"n": 1}})
    event = login.event() if how == "the event has both" else Event.from_claims({"sub": UID})
    setter = f"set_{other}"
    if how == "a hook":
        with post_login(login.client, event) as api:
            assert getattr(api.event.user, other) == {"n": 1}
            getattr(api.user, setter)("n", 2)
        assert api.outcome is not None
        assert api.outcome.allowed
    else:
        outcome = login.trigger(lambda event, api: getattr(api.user, setter)("n", 2) and None).run(event)
        assert outcome.allowed, outcome.error
    assert (getattr(login, other), getattr(login, bag)) == ({"n": 2}, stored)
    for need in (
        lambda event, api: getattr(event.user, bag),
        lambda event, api: getattr(api.user, f"set_{bag}")("n", 2),
        lambda event, api: getattr(api.user, bag),
    ):
        error = login.trigger(lambda event, api, need=need: need(event, api) and None).run(event).error
        assert isinstance(error, StoredDataError)
        assert (error.user_id, error.bag) == (UID, bag)
        assert f"{bag}.clear()" in str(error)
