"""Present one metadata bag of a transaction as a mapping to read, with calls that stage changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NoReturn, Protocol

from auth0_meta.changes import rules
from auth0_meta.changes.bag_change import BagChange
from auth0_meta.changes.jsonvalue import ABSENT, Bag, freeze, json_equal, thaw
from auth0_meta.changes.rules import check_key, parse_path
from auth0_meta.errors import InputError
from auth0_meta.warn import notice

Path = str | Sequence[str]
_AT_PATH = ("set", "delete", "append", "increment")


class Unit(Protocol):
    """Describe what a bag needs of its transaction: to stage and to read."""

    def stage(self, bag: Bag, name: str, /, *args: Any, **settings: Any) -> None:
        """Apply one of `BagChange`'s staging methods to the bag's change."""
        ...

    def read(self, bag: Bag, path: tuple[str, ...], /) -> Any:
        """Return the value at `path` with everything staged laid over it, or ABSENT."""
        ...

    def staged(self, bag: Bag, /) -> BagChange:
        """Return what is staged, without I/O."""
        ...


class MetadataBag(MutableMapping[str, Any]):
    """Read one bag, laid over with what is staged, and stage changes to it.

    Nothing is sent by staging.  The first read that staging can't answer costs one `GET`.
    A path is dotted ("billing.plan") or a tuple of keys; `[]`, `del` and `in` take first-level
    keys.  None deletes, except inside a value that is stored whole, where it is JSON null.
    Iteration, `in`, `len` and `==` read the whole bag.  What is read is a read-only copy.  Bad keys and values raise `MetadataError` at once; a
    change that meets the wrong type raises `PathError`, at once where the base is known.

    >>> with tenant.client().transaction(user.user_id) as tx:
    ...     tx.user_metadata["theme"] = "dark"
    ...     tx.user_metadata.merge({"prefs": {"lang": "fi", "old": None}})
    ...     tx.user_metadata.get("prefs.lang")
    'fi'
    >>> tx.result.document["user_metadata"]["theme"]
    'dark'
    """

    __slots__ = ("_name", "_unit")

    def __init__(self, unit: Unit, name: Bag) -> None:
        self._unit = unit
        self._name = name

    # Staging ----------------------------------------------------------------------------------------

    def __setitem__(self, key: str, value: Any) -> None:
        self._unit.stage(self._name, "set", (check_key(key, bag=self._name),), value)

    def __delitem__(self, key: str) -> None:
        self._unit.stage(self._name, "delete", (check_key(key, bag=self._name),))

    def set(self, path: Path, value: Any, /) -> None:
        """Stage the whole value at `path`; None deletes it; absent parents are created.

        Raises `PathError` when a parent is no object.
        """
        self._unit.stage(self._name, "set", path, value)

    def delete(self, path: Path, /) -> None:
        """Stage the deletion of `path`; one that is absent is no error."""
        self._unit.stage(self._name, "delete", path)

    def merge(self, patch: Mapping[str, Any], /) -> None:
        """Stage a deep merge by the rules of RFC 7396: None deletes at any depth, arrays are replaced."""
        self._unit.stage(self._name, "merge", dict(patch) if isinstance(patch, Mapping) else patch)

    def append(self, path: Path, value: Any, /, *, keep: int | None = None) -> None:
        """Stage one more item for the list at `path`, which is created when absent.

        `keep` bounds the list to its last so many items (None: no bound).  Raises `PathError` when
        something other than a list is there.
        """
        self._unit.stage(self._name, "append", path, value, keep=keep)

    def increment(self, path: Path, /, by: float = 1) -> None:
        """Stage adding `by` to the number at `path`; an absent one counts as 0.

        Raises `PathError` when something other than a number is there.
        """
        self._unit.stage(self._name, "increment", path, by)

    def replace(self, document: Mapping[str, Any], /) -> None:
        """Stage `document` as the whole bag: every stored key that it lacks is deleted."""
        plain = dict(document) if isinstance(document, Mapping) else document
        self._unit.stage(self._name, "replace", plain)

    def clear(self) -> None:
        """Stage an empty bag."""
        self._unit.stage(self._name, "clear")

    # Reading ----------------------------------------------------------------------------------------

    def get(self, path: Path, default: Any = None, /) -> Any:
        """Return the value at `path` as a read-only copy, `default` where there is none."""
        keys = parse_path(path, bag=self._name)
        found = self._unit.read(self._name, keys)
        return default if found is ABSENT else freeze(found, bag=self._name, path=keys)

    def __getitem__(self, key: str) -> Any:
        name = check_key(key, bag=self._name)
        found = self._unit.read(self._name, (name,))
        if found is ABSENT:
            raise KeyError(key)
        return freeze(found, bag=self._name, path=(name,))

    def __contains__(self, key: object) -> bool:
        if isinstance(key, str):  # a path would never be found, so it is refused
            check_key(key, bag=self._name)
        return key in self._whole()

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._whole()))

    def __len__(self) -> int:
        return len(self._whole())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MetadataBag):
            return json_equal(self._whole(), other._whole())
        return isinstance(other, Mapping) and json_equal(self._whole(), dict(other))

    __hash__ = None  # type: ignore[assignment]  # mutable

    def to_dict(self) -> dict[str, Any]:
        """Return the whole bag as a plain dict of your own."""
        plain: dict[str, Any] = thaw(self._whole())
        return plain

    def _whole(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._unit.read(self._name, ())
        return found

    def __repr__(self) -> str:
        staged = self._unit.staged(self._name)
        return f"<MetadataBag {self._name}, staged: {staged if staged else 'nothing'}>"


def refuse_assignment(name: Bag) -> NoReturn:
    """Refuse `tx.user_metadata = {...}`, which would stage nothing."""
    msg = (
        f"a bag can't be assigned to (nothing was staged): use tx.{name}.replace(...) to make it exactly this, "
        f"or tx.{name}.merge(...) to change some of it"
    )
    raise InputError(msg)


def keys_of(bag: Bag, name: str, args: Sequence[Any]) -> Iterable[str]:
    """Return the first-level keys that a call on a bag is about, none where it is about all of it."""
    if name in _AT_PATH:
        return parse_path(args[0], bag=bag)[:1]
    keys: Iterable[str] = args[0] if name == "merge" else ()
    return keys


def advise(user_id: str, args: tuple[Any, ...]) -> None:
    """Warn of a value staged on `user_metadata` that does not belong where users can read and edit it."""
    path = parse_path(args[0], bag="user_metadata") if len(args) > 1 else ()
    reason = rules.sensitive(args[-1], path)
    if reason is not None:
        notice(
            f"user_metadata of {user_id}: {reason}; users can read and edit this bag, and it is no secret store"
        )
