"""A dotted key or a tuple means the same wherever a user's metadata is read: on a transaction, a user, an event, in a migration."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.logins import Login

from auth0_meta import ConflictError, MetadataBatch, MetadataError, MetadataWarning, User, migrate
from auth0_meta.actions import Event
from auth0_meta.migrate.planning.watched_user import Reads, WatchedUser

STORED: dict[str, Any] = {
    "billing": {"plan": "pro", "card": {"last4": "4242"}, "none": None},
    "tags": ["a", {"x": {"y": 1}}],
    "text": "canary",
    "n": 0,
    "old.key": {"stored": True},
    "mixed": {"a.b": 1, "c": {"d.e": {"f": 2}}},
    "$old": 5,
}


def _event(local: Login) -> Any:
    return local.event().user.app_metadata


def _in_action(local: Login, read: Callable[[Any, Any], Any]) -> Any:
    seen: list[Any] = []
    outcome = local.run(lambda event, api: seen.append(read(event, api)))
    assert outcome.allowed, outcome.error
    return seen[0]


async def _aresult(local: Local) -> Any:
    async with local.client.atransaction(UID) as tx:
        tx.user_metadata["seen"] = 1
    return tx.result.user


def _result(local: Local) -> Any:
    with local.tx() as tx:
        tx.user_metadata["seen"] = 1
    return tx.result.user


def _watched(local: Local) -> Any:
    return WatchedUser(local.profile(), Reads()).app_metadata


def _loaded(local: Local) -> Any:
    tx = local.tx()
    tx.load()
    tx.rollback()
    assert tx.result.user is not None
    return tx.result.user.app_metadata


def _read_user(local: Login) -> Any:
    seen: list[Any] = []
    trigger = local.trigger(lambda event, api: seen.append(event.user.app_metadata))
    assert trigger.run(Event.from_claims({"sub": UID})).allowed
    return seen[0]


# Every object that hands out a user's metadata.
HANDED_OUT: dict[str, Callable[[Login], Any]] = {
    "users.get": lambda local: local.client.users.get(UID).app_metadata,
    "users.search": lambda local: next(local.client.users.search(q="user_id:*")).app_metadata,
    "users.page": lambda local: local.client.users.page().users[0].app_metadata,
    "users.update": lambda local: local.client.users.update(UID, {"name": "Ada"}).app_metadata,
    "user[...]": lambda local: local.client.users.get(UID)["app_metadata"],
    "user.get": lambda local: local.client.users.get(UID).get("app_metadata"),
    "User.from_dict": lambda local: User.from_dict(local.profile()).app_metadata,
    "a pickled user": lambda local: pickle.loads(pickle.dumps(local.client.users.get(UID))).app_metadata,  # noqa: S301
    "a copied user": lambda local: copy.deepcopy(local.client.users.get(UID)).app_metadata,
    "tx.result.user": lambda local: _result(local).app_metadata,
    "the result of asyncio": lambda local: asyncio.run(_aresult(local)).app_metadata,
    "tx.load": _loaded,
    "a migration's user": _watched,
    "an event": _event,
    "event['user']": lambda local: local.event()["user"]["app_metadata"],
    "an event of Auth0's": lambda local: Event.from_dict({"user": local.profile()}).user.app_metadata,
    "an event from a User": lambda local: Event.from_profile(local.client.users.get(UID)).user.app_metadata,
    "event.user in an action": lambda local: _in_action(local, lambda event, api: event.user.app_metadata),
    "api.user in an action": lambda local: _in_action(local, lambda event, api: api.user.app_metadata),
    "an action whose user was read": _read_user,
}  # fmt: skip


handed_out = pytest.mark.parametrize("hand_out", HANDED_OUT.values(), ids=HANDED_OUT)

GETS: list[Any] = [
    "billing.plan", ("billing", "plan"), ["billing", "plan"], "billing.card.last4", "billing.card", "billing", "billing.none",
    "billing.tier", "billing.plan.deeper", "text.length", "tags.0", "n.a", "none.at.all", "tags", "n",
    "old.key", ("old.key",), "old.key.stored", ("old.key", "stored"), "mixed.a.b", ("mixed", "a.b"), "mixed.c.d.e.f",
    "old", "old.other", "$old",
]  # fmt: skip


@handed_out
def test_get_resolves_a_path_as_a_transaction_does(hand_out: Callable[[Login], Any]) -> None:
    """It returns what is there, or the default if something on the way is absent or is not an object."""
    local = Login(None, STORED)
    bag = hand_out(local)
    with local.tx() as tx:
        for path in GETS:
            assert bag.get(path, "default") == tx.app_metadata.get(path, "default")
            assert bag.get(path) == tx.app_metadata.get(path)


def test_what_the_paths_mean() -> None:
    """On a transaction, and so everywhere: a path first, then a key that is stored with its dots."""
    with Local(None, STORED).tx() as tx:
        found = [tx.app_metadata.get(path, "default") for path in GETS]
    card, old = {"last4": "4242"}, {"stored": True}
    assert found == [
        "pro", "pro", "pro", "4242", card, STORED["billing"], None,
        "default", "default", "default", "default", "default", "default", STORED["tags"], 0,
        old, old, True, True, 1, 1, 2,
        "default", "default", 5,
    ]  # fmt: skip
    with Local(None, {"a": {"b": 1}, "a.b": 2}).tx() as tx:
        assert (tx.app_metadata.get("a.b"), tx.app_metadata.get(("a.b",))) == (1, 2)


@handed_out
def test_one_key_is_meant_by_brackets_and_in(hand_out: Callable[[Login], Any]) -> None:
    """A path is refused, with the right call, as on a transaction; so it is on a nested object."""
    local = Login(None, STORED)
    handed = hand_out(local)
    with local.tx() as tx:
        for bag in (handed, handed["billing"], tx.app_metadata, tx.app_metadata["billing"]):
            for key in ("billing.plan", ("billing", "plan"), "a.b"):
                for look in (lambda: bag[key], lambda: key in bag):  # noqa: B023  # called at once
                    with pytest.raises(MetadataError, match=r'use \.get\("a\.b"\)') as caught:
                        look()
                    assert caught.value.bag == "app_metadata"
        tx.rollback()


@handed_out
def test_what_is_no_path_is_refused(hand_out: Callable[[Login], Any]) -> None:
    """As on a transaction."""
    bag = hand_out(Login(None, STORED))
    for path in ("", (), "a..b", ("a", ""), 5, ("a", 5), None):
        with pytest.raises(MetadataError):
            bag.get(path)


@handed_out
def test_it_is_still_a_dict(hand_out: Callable[[Login], Any]) -> None:
    """It compares, copies, pickles, iterates and serializes as the dict that is stored, dotted keys included."""
    bag = hand_out(Login(None, STORED))
    assert bag == STORED
    assert bag == STORED
    assert json.loads(json.dumps(bag)) == STORED
    for plain in (
        dict(bag),
        {**bag},
        bag.copy(),
        copy.deepcopy(bag),
        pickle.loads(pickle.dumps(bag)),  # noqa: S301
        bag | {},
    ):
        assert plain == STORED
        assert type(plain) is dict
    assert list(bag) == list(bag.keys()) == list(STORED)
    assert [bag[key] for key in bag] == list(bag.values()) == list(STORED.values())
    assert all(key in bag for key in bag)
    assert len(bag) == len(STORED)
    assert "none" not in bag
    with pytest.raises(KeyError):
        bag["none"]
    with pytest.raises(ValueError, match="read-only"):  # MetadataError, in an event InputError
        bag["n"] = 1


def test_nested_objects_follow_paths_too() -> None:
    """In objects and in lists, wherever they were read."""
    local = Login(None, STORED)
    for hand_out in HANDED_OUT.values():
        bag = hand_out(local)
        assert bag["billing"].get("card.last4") == "4242"
        assert bag.get("billing.card").get(("last4",)) == "4242"
        assert bag["tags"][1].get("x.y") == 1
        assert dict(bag.items())["billing"].get("card.last4") == "4242"
    with local.tx() as tx:
        assert tx.app_metadata["billing"].get("card.last4") == "4242"


def test_absent_metadata_is_empty_in_the_same_way() -> None:
    """A path is not there, and `[]` names the right call."""
    user = User.from_dict({"user_id": UID})
    assert user.app_metadata.get("a.b", 1) == 1
    assert user.app_metadata is user.app_metadata
    with pytest.raises(MetadataError):
        user.app_metadata["a.b"]


def test_a_batch_hands_out_transactions() -> None:
    """So paths work there as well."""
    local = Local(None, STORED)
    with MetadataBatch(local.client) as batch:
        assert batch.user(UID).app_metadata.get("billing.plan") == "pro"


def test_a_dotted_key_that_was_read_is_compared_at_the_commit() -> None:
    """A change to it is a conflict."""
    local = Local(None, STORED)
    tx = local.tx()
    assert tx.app_metadata.get("old.key") == {"stored": True}
    tx.app_metadata["n"] = 1
    local.tenant.users.replace([{**local.profile(), "app_metadata": {**STORED, "old.key": 1}}], verbatim=True)
    with pytest.raises(ConflictError):
        tx.commit()


def test_what_is_staged_hides_what_is_stored() -> None:
    """After a path was set or deleted, it is answered by that; a key with dots stays until the bag is emptied."""
    with Local(None, STORED).tx() as tx:
        assert tx.app_metadata.get("old.key") == {"stored": True}
        tx.app_metadata.set("old.key", 1)
        assert (tx.app_metadata.get("old.key"), tx.app_metadata.get(("old.key",))) == (1, {"stored": True})
        tx.app_metadata.delete("billing")
        assert tx.app_metadata.get("billing.plan") is None
        tx.app_metadata.replace({"old": 1})
        assert tx.app_metadata.get("old.key") is None
        tx.rollback()


def test_an_action_that_reads_the_path_of_a_staged_key_is_warned() -> None:
    """As for the key itself."""

    def action(event: Any, api: Any) -> None:
        api.user.set_app_metadata("billing", {"plan": "max"})
        with pytest.warns(MetadataWarning, match="billing"):
            assert event.user.app_metadata.get("billing.plan") == "pro"
        assert api.user.app_metadata.get("billing.plan") == "max"

    assert Login(None, STORED).run(action).allowed


# Migrations ----------------------------------------------------------------------------------------------


def _rows(tmp_path: Path, app_metadata: Any) -> str:
    path = tmp_path / "rows.ndjson"
    path.write_text(json.dumps({"user_id": UID, "app_metadata": app_metadata}))
    return str(path)


def test_a_migration_plans_what_is_stored_at_the_path(tmp_path: Path) -> None:
    """It used to plan the default, without a word."""
    job = tmp_path / "job.db"

    def function(user: User, tx: Any) -> None:
        tx.app_metadata.set("tier", user.app_metadata.get("billing.plan", "free"))

    local = Local(None, STORED)
    migrate.plan(function, to=job, users=_rows(tmp_path, STORED))
    migrate.apply(job, local.client)
    assert local.app_metadata["tier"] == "pro"


LOOKS: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "a path": (lambda bag: bag.get("billing.plan"), ["billing", "plan"]),
    "a tuple": (lambda bag: bag.get(("billing", "plan")), ["billing", "plan"]),
    "step by step": (lambda bag: bag["billing"]["plan"], ["billing", "plan"]),
    "a path in a part": (lambda bag: bag["billing"].get("card.last4"), ["billing", "card", "last4"]),
    "an absent one": (lambda bag: bag.get("billing.tier.name"), ["billing", "tier", "name"]),
    "an object": (lambda bag: bag.get("billing.card"), ["billing", "card", None]),
    "an object as a whole": (lambda bag: len(bag.get("billing.card")), ["billing", "card"]),
}


@pytest.mark.parametrize(("look", "place"), LOOKS.values(), ids=LOOKS)
def test_a_watched_user_notes_the_path(look: Callable[[Any], Any], place: list[Any]) -> None:
    """And no more than that, except that there was an object on the way."""
    reads = Reads()
    look(WatchedUser({"user_id": UID, "app_metadata": STORED}, reads).app_metadata)
    assert ("app_metadata", *place) in reads
    assert all(noted[-1] is None or noted == ("app_metadata", *place) for noted in reads)


@pytest.mark.parametrize(
    ("now", "counts"),
    [({"plan": "free"}, {"drifted": 1}), ({"plan": "pro", "vat": 1}, {"done": 1})],
    ids=["read", "a sibling"],
)
def test_a_change_at_the_path_that_was_read_is_drift(tmp_path: Path, now: Any, counts: Any) -> None:
    """The operations rest on it; a change elsewhere below the same key does not matter."""
    job = tmp_path / "job.db"

    def function(user: User, tx: Any) -> None:
        tx.app_metadata.set("billing.tier", user.app_metadata.get("billing.plan", "free"))

    migrate.plan(function, to=job, users=_rows(tmp_path, {"billing": {"plan": "pro"}}))
    local = Local(None, {"billing": now})
    assert dict(migrate.apply(job, local.client).counts) == counts
