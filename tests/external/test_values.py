"""Saving a value and following its pointer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from auth0_meta import (
    ExternalDamagedError,
    ExternalError,
    ExternalMismatchError,
    ExternalMissingError,
    InputError,
    ManagementClient,
    User,
)
from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.emulator import LocalTenant
from auth0_meta.external import ExternalStore, SqliteStore, discard, load, pointer, resolve, save

HISTORY = [{"at": "2026-12-01", "ip": "s3cret"}]
PATH = "app_metadata.history"


@pytest.fixture
def store(tmp_path: Any) -> Iterator[SqliteStore]:
    """Open a store."""
    with SqliteStore(tmp_path / "big.db") as opened:
        yield opened


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Start a local tenant."""
    with LocalTenant() as running:
        yield running


@pytest.fixture
def made(store: SqliteStore) -> Any:
    """Save a value."""
    return save(HISTORY, store=store, user_id="auth0|1", path=PATH)


def test_what_is_saved_is_loaded(store: SqliteStore, made: Any) -> None:
    """By the pointer, with or without the user's id."""
    assert load(made, store=store) == HISTORY
    assert load(made, store=store, user_id="auth0|1") == HISTORY
    assert resolve(made, store=store) == HISTORY


@pytest.mark.parametrize("value", [None, [], HISTORY, "big/1", {"external": "big"}, 0])
def test_a_value_that_was_not_moved(store: SqliteStore, value: Any) -> None:
    """`resolve` returns the very object, `load` refuses it and names `resolve`, not the value."""
    assert resolve(value, store=store) is value
    with pytest.raises(
        InputError, match=f"this {type(value).__name__} is not a pointer .* use resolve"
    ) as refused:
        load(value, store=store)
    assert "s3cret" not in str(refused.value)


def test_the_store_is_chosen_by_its_name(store: SqliteStore, made: Any, tmp_path: Any) -> None:
    """Of several; if none has the name, the error has both names, and nothing was asked."""
    with SqliteStore(tmp_path / "other.db") as other:
        assert load(made, store=[other, store]) == HISTORY
        assert load(made, store={"a": other, "b": store}.values()) == HISTORY
        for given, names in ((other, "'other'"), ([other], "'other'"), ([], "none")):
            with pytest.raises(
                ExternalMismatchError, match=f"in the store 'big', .* are: {names}"
            ) as refused:
                load(made, store=given)
            assert refused.value.pointer == made["external"]
            assert refused.value.store == "big"


def test_a_pointer_of_another_user_is_not_followed(store: SqliteStore, made: Any) -> None:
    """Users can write user_metadata in many applications."""
    with pytest.raises(ExternalMismatchError, match=r"does not belong to auth0\|2"):
        resolve(made, store=store, user_id="auth0|2")
    with pytest.raises(InputError, match="a user id"):
        load(made, store=store, user_id="")


def test_a_value_that_is_gone(store: SqliteStore, made: Any) -> None:
    """A LookupError that names the pointer and what to do."""
    store.forget("auth0|1")
    with pytest.raises(LookupError, match="restore the store, or remove the pointer") as gone:
        load(made, store=store)
    assert isinstance(gone.value, ExternalMissingError)
    assert made["external"] in str(gone.value)


def test_a_value_that_nobody_needs_any_more(store: SqliteStore, made: Any, tmp_path: Any) -> None:
    """`discard` deletes that one, ignores what is not a pointer, and refuses a pointer to another store."""
    other = save([2], store=store, user_id="auth0|1", path=PATH)
    for value in (None, HISTORY, {**made, "bytes": 0}):
        discard(value, store=store)
    with SqliteStore(tmp_path / "b.db") as wrong, pytest.raises(ExternalMismatchError):
        discard(made, store=wrong)
    assert load(made, store=store) == HISTORY
    discard(made, store=[store])
    discard(made, store=store)
    assert [f"big/{key}" for key in store.keys(None)] == [other["external"]]


class Odd:
    """A store that returns something else."""

    name = "big"

    def __init__(self, data: Any) -> None:
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: self._data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b'[{"at":"2026-12-01","ip":"s3cres"}]', "another SHA-256"),
        (b'[{"at":"2026-12-01","ip":"s3cret"}', "34 bytes instead of 35"),
        (b"", "0 bytes instead of 35"),
        ('[{"at":"2026-12-01","ip":"s3cret"}]', "str instead of 35"),
        (None, "NoneType instead of 35"),
    ],
)
def test_what_was_changed_in_the_store_is_noticed(made: Any, data: Any, what: str) -> None:
    """Whatever it is; the error says what differs, and quotes nothing."""
    odd: ExternalStore = Odd(data)
    with pytest.raises(ExternalDamagedError, match=what) as damaged:
        load(made, store=odd)
    assert "s3cre" not in str(damaged.value)
    assert damaged.value.pointer == made["external"]


def test_data_that_was_never_json(store: SqliteStore) -> None:
    """Somebody else's data with a fitting pointer."""
    made = pointer(b"[1,", store="big", user_id="auth0|1", path=PATH)
    store.put(made["external"].split("/")[1], b"[1,", user_id="auth0|1", path=PATH)
    with pytest.raises(ExternalDamagedError, match="not JSON"):
        load(made, store=store)


def test_what_is_refused_stores_nothing(store: SqliteStore) -> None:
    """A bad value, user or path."""
    for value, user_id, path in (({1}, "a|1", PATH), ([1], "", PATH), ([1], "a|1", "history")):
        with pytest.raises(InputError):
            save(value, store=store, user_id=user_id, path=path)
    assert list(store.keys()) == []


def test_the_errors_are_one_family(store: SqliteStore, made: Any) -> None:
    """One except clause is enough for a login that can do without the value."""
    for change in ({"external": "big/" + "0" * 40}, {"external": "b/" + "0" * 40}, {"sha256": "0" * 64}):
        with pytest.raises(ExternalError):
            load({**made, **change}, store=store)


def test_in_a_transaction(store: SqliteStore, tenant: LocalTenant) -> None:
    """The value is read, changed, and written back with one PATCH; the read is compared at commit as any other."""
    client: ManagementClient = tenant.client()
    user = tenant.users.add(app_metadata={"history": HISTORY})
    with client.transaction(user.user_id) as tx:
        history = resolve(tx.app_metadata.get("history"), store=store, user_id=user.user_id)
        made = save([*history, 2], store=store, user_id=user.user_id, path=PATH)
        tx.app_metadata["history"] = made
    with client.transaction(user.user_id) as tx:
        history = load(tx.app_metadata["history"], store=store, user_id=user.user_id)
        assert history == [*HISTORY, 2]
        tx.app_metadata["history"] = save([3], store=store, user_id=user.user_id, path=PATH)
    found: User = client.users.get(user.user_id)
    assert resolve(found.app_metadata["history"], store=store) == [3]
    assert [entry.method for entry in tenant.journal if entry.method == "PATCH"] == ["PATCH", "PATCH"]


def test_in_an_action(store: SqliteStore, tenant: LocalTenant) -> None:
    """An action follows a pointer of the event's user, and stages the next one."""
    user = tenant.users.add()
    client = tenant.client()
    made = save([1], store=store, user_id=user.user_id, path=PATH)
    client.users.set_metadata(user.user_id, app={"history": made})

    def note(event: Any, api: Any) -> None:
        history = resolve(event.user.app_metadata["history"], store=store, user_id=event.user.user_id)
        next_ = save([*history, 2], store=store, user_id=event.user.user_id, path=PATH)
        api.user.set_app_metadata("history", next_)

    outcome = PostLoginTrigger(client, [note]).run(Event.from_profile(client.users.get(user.user_id)))
    assert outcome.allowed, outcome.error
    assert resolve(client.users.get(user.user_id).app_metadata["history"], store=store) == [1, 2]
