"""Metadata as it was before the action that reads it, with a warning where that is easily mistaken."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from auth0_meta.actions.event.read_only import Frozen
from auth0_meta.changes.jsonvalue import Bag
from auth0_meta.warn import notice


class SnapshotBag(Frozen):
    """The metadata in `event.user`; reading a key that the same action has staged gives a `MetadataWarning`.

    The value is the one from before the action, as in Auth0: setters leave `event` alone, and only later actions see
    what was staged.  `staged` holds the keys that the action stages, and grows while it runs.
    """

    __slots__ = ("_name", "_staged")

    def __init__(self, bag: Mapping[str, Any], staged: Collection[str], name: Bag) -> None:
        super().__init__(bag)
        self._staged = staged
        self._name = name

    def _warn_if_staged(self, key: object) -> None:
        if key in self._staged:
            self._warn(key)

    def _warn_if_any_staged(self) -> None:
        if self._staged:
            self._warn(next(iter(self._staged)))

    def _warn(self, key: object) -> None:
        notice(
            f"{self._name}[{key!r}] was staged by this action, and event.user has the value from before: "
            f"read api.user.{self._name} for what will be stored"
        )

    def __getitem__(self, key: str) -> Any:
        self._warn_if_staged(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._warn_if_staged(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return the value of `key`, or `default` if there is none."""
        self._warn_if_staged(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        self._warn_if_any_staged()
        return super().__iter__()

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """Return the keys."""
        self._warn_if_any_staged()
        return super().keys()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """Return the keys with their values."""
        self._warn_if_any_staged()
        return super().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """Return the values."""
        self._warn_if_any_staged()
        return super().values()

    def copy(self) -> dict[str, Any]:
        """Return a plain deep copy."""
        self._warn_if_any_staged()
        return super().copy()
