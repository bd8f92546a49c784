"""Pin what type checkers see of values outside of the profile; none of this is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from auth0_meta import ManagementClient
from auth0_meta.external import (
    ExternalStore,
    Pointer,
    SqliteStore,
    SqlStore,
    is_pointer,
    load,
    open_store,
    resolve,
    save,
)

if TYPE_CHECKING:
    from typing import assert_type


class OwnStore:
    """Have the methods of a store."""

    name = "own"

    def put(self, key: str, data: bytes, /, *, user_id: str, path: str) -> None:
        """Store."""

    def get(self, key: str, /) -> bytes:
        """Find."""
        return b""

    def delete(self, key: str, /) -> None:
        """Delete."""

    def keys(self, user_id: str | None = None, /) -> Iterator[str]:
        """List."""
        return iter(())

    def users(self) -> Iterator[str]:
        """List."""
        return iter(())

    def forget(self, user_id: str, /) -> int:
        """Forget."""
        return 0

    def close(self) -> None:
        """Close."""


class HalfAStore:
    """Lack most methods."""

    name = "half"

    def get(self, key: str, /) -> bytes:
        """Find."""
        return b""


def stores(client: ManagementClient, value: object) -> None:
    """Use every kind of store."""
    store = open_store("sqlite:///big.db", name="big")
    assert_type(store, SqliteStore | SqlStore)
    made = save({"a": [1]}, store=store, user_id="auth0|1", path="app_metadata.history")
    assert_type(made, Pointer)
    client.users.set_metadata("auth0|1", app={"history": made})
    with client.transaction("auth0|1") as tx:
        tx.app_metadata["history"] = made
        assert_type(resolve(tx.app_metadata["history"], store=[store, OwnStore()]), Any)
    own: ExternalStore = OwnStore()
    load(made, store=own, user_id="auth0|1")
    with SqliteStore("big.db") as file:
        assert_type(file, SqliteStore)
    with SqlStore("postgresql://host/db", table="kept", timeout=2.5) as table:
        assert_type(table.forget("auth0|1"), int)
    if is_pointer(value):
        assert_type(value["bytes"], int)


def mistakes(store: SqliteStore) -> None:
    """Be reported, each of them."""
    save([1], store=store, user_id="auth0|1")  # type: ignore[call-arg]
    save([1], store=HalfAStore(), user_id="auth0|1", path="app_metadata.a")  # type: ignore[arg-type]
    load({})  # type: ignore[call-arg]
    SqlStore("postgresql://host/db", "kept")  # type: ignore[call-arg]
    open_store(None)  # type: ignore[arg-type]
