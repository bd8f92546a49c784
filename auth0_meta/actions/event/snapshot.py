"""Show a bag as it was before the action that reads it, and warn where that is easily mistaken."""

from __future__ import annotations

from collections.abc import Collection, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Any

from auth0_meta.actions.event.read_only import Frozen
from auth0_meta.changes.jsonvalue import Bag
from auth0_meta.warn import notice


class SnapshotBag(Frozen):
    """Show `event.user`'s bag; reading a key that the same action has staged gives a `MetadataWarning`.

    The value is the one from before the action, as in Auth0: setters leave `event` alone, and only later
    actions see what was staged.  `staged` is what the action stages, as it grows.
    """

    __slots__ = ("_name", "_staged")

    def __init__(self, bag: Mapping[str, Any], staged: Collection[str], name: Bag) -> None:
        super().__init__(bag)
        self._staged = staged
        self._name = name

    def _look(self, key: object) -> None:
        if key in self._staged:
            self._warn(key)

    def _look_at_all(self) -> None:
        if self._staged:
            self._warn(next(iter(self._staged)))

    def _warn(self, key: object) -> None:
        notice(
            f"{self._name}[{key!r}] was staged by this action, and event.user shows it as it was before: "
            f"api.user.{self._name} shows what will be stored"
        )

    def __getitem__(self, key: str) -> Any:
        self._look(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._look(key)
        return super().__contains__(key)

    def get(self, key: str, default: Any = None, /) -> Any:
        """Return the value of `key`, `default` where there is none."""
        self._look(key)
        return super().get(key, default)

    def __iter__(self) -> Iterator[str]:
        self._look_at_all()
        return super().__iter__()

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """Return the keys."""
        self._look_at_all()
        return super().keys()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """Return the keys with their values."""
        self._look_at_all()
        return super().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """Return the values."""
        self._look_at_all()
        return super().values()

    def copy(self) -> dict[str, Any]:
        """Return a plain dict of your own, down to the last level."""
        self._look_at_all()
        return super().copy()
