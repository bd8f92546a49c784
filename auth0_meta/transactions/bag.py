"""The two bags of a transaction: mappings whose methods stage changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import ABSENT, Bag, JSONObject, JSONValue, KeyPath, Path, json_equal, thaw
from auth0_meta.changes.operations import (
    Append,
    Delete,
    Increment,
    Merge,
    Operation,
    Set,
    replacement,
)
from auth0_meta.changes.rules import first_level, parse_path
from auth0_meta.changes.views import freeze
from auth0_meta.errors import InputError, MetadataError, StateError
from auth0_meta.models import CommitResult, User
from auth0_meta.redact import discreet
from auth0_meta.transactions.unit import State, Unit

if TYPE_CHECKING:
    from _typeshed import SupportsKeysAndGetItem


@discreet
class MetadataBag(MutableMapping[str, Any]):
    """Read one bag, overlaid with what is staged, and stage changes to it.

    Staging sends nothing.  The first read that the staged changes can't answer costs one `GET`.
    A path is dotted ("billing.plan") or a tuple of keys; `[]`, `del` and `in` take first-level keys.  `get` and
    `to_dict` also find a key that is stored with its dots, as Auth0 once accepted.  None deletes, except inside a value
    that is stored whole, where it is JSON null.  Iteration, `in`, `len`, `==` and a condition (`if tx.app_metadata:`)
    read the whole bag.  Values are read as read-only copies.  Bad keys and values raise `MetadataError` at once; a
    change that meets the wrong type raises `PathError`, at once if the base is known.

    >>> with tenant.client().transaction(user.user_id) as tx:
    ...     tx.user_metadata["theme"] = "dark"
    ...     tx.user_metadata.merge({"prefs": {"lang": "fi", "old": None}})
    ...     tx.user_metadata.get("prefs.lang")
    'fi'
    >>> tx.result.document["user_metadata"]["theme"]
    'dark'
    """

    __slots__ = ("_holder", "_name")

    def __init__(self, holder: Scope, name: Bag) -> None:
        self._holder = holder
        self._name = name

    # Staging ----------------------------------------------------------------------------------------

    def update(
        self,
        other: SupportsKeysAndGetItem[str, JSONValue] | Iterable[tuple[str, JSONValue]] = (),
        /,
        **values: JSONValue,
    ) -> None:
        """Stage each first-level key of a mapping or of pairs as `bag[key] = value` does, then those in `values`."""
        super().update(other, **values)

    def __ior__(self, other: SupportsKeysAndGetItem[str, JSONValue]) -> Self:
        """Stage as `update` does: `tx.app_metadata |= {"plan": "pro"}`."""
        self.update(other)
        return self

    def setdefault(self, key: str, default: JSONValue = None, /) -> Any:
        """Return the value of a first-level key; if it is absent, stage `default` and return that."""
        return super().setdefault(key, default)

    pop = discreet(MutableMapping.pop)  # the inherited one would have the values in its own frames

    def __setitem__(self, key: str, value: JSONValue) -> None:
        self._stage(Set.of, first_level(key, bag=self._name), value)

    def __delitem__(self, key: str) -> None:
        self._stage(Delete.of, first_level(key, bag=self._name))

    def set(self, path: KeyPath, value: JSONValue, /) -> None:
        """Stage the whole value at `path`; None deletes it; absent parents are created.

        Raises `PathError` when a parent is not an object.
        """
        self._stage(Set.of, path, value)

    def delete(self, path: KeyPath, /) -> None:
        """Stage the deletion of `path`; deleting what is absent is not an error."""
        self._stage(Delete.of, path)

    def merge(self, patch: JSONObject, /) -> None:
        """Stage a deep merge by the rules of RFC 7396: None deletes at any depth, arrays are replaced."""
        self._stage(Merge.of, _plain(patch))

    def append(self, path: KeyPath, value: JSONValue, /, *, keep: int | None = None) -> None:
        """Stage one more item for the list at `path`, which is created if absent.

        Only the last `keep` items stay (None: all of them).  Raises `PathError` when something other
        than a list is there.
        """
        self._stage(Append.of, path, value, keep)

    def increment(self, path: KeyPath, /, by: float = 1) -> None:
        """Stage adding `by` to the number at `path`; an absent one counts as 0.

        Raises `PathError` when something other than a number is there.
        """
        self._stage(Increment.of, path, by)

    def replace(self, document: JSONObject, /) -> None:
        """Stage `document` as the whole bag: every stored key that it lacks is deleted."""
        self._stage(replacement, _plain(document), reset=True)

    def clear(self) -> None:
        """Stage an empty bag."""
        self._holder._stage(self._name, (), reset=True)

    def _stage(
        self, build: Callable[..., Sequence[Operation]], *arguments: object, reset: bool = False
    ) -> None:
        """Build checked operations from a call's arguments and hand them to the holder."""
        try:
            self._holder._stage(self._name, build(self._name, *arguments), reset=reset)
        except MetadataError as error:
            raise error.of(self._holder.user_id) from None

    # Reading ----------------------------------------------------------------------------------------

    def get(self, path: KeyPath, default: Any = None, /) -> Any:
        """Return the value at `path` as a read-only copy, or `default` if it is absent."""
        keys = parse_path(path, bag=self._name, stored=True)
        found = self._holder._read(self._name, keys)
        return default if found is ABSENT else freeze(found, bag=self._name, path=keys)

    def __getitem__(self, key: str) -> Any:
        found = self.get(first_level(key, bag=self._name), ABSENT)
        if found is ABSENT:
            raise KeyError(key)
        return found

    def __contains__(self, key: object) -> bool:
        first_level(key, bag=self._name)  # no key contains a dot, so a path before `in` is a mistake
        return key in self._everything()

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._everything()))

    def __len__(self) -> int:
        return len(self._everything())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, MetadataBag):
            return json_equal(self._everything(), other._everything())
        return isinstance(other, Mapping) and json_equal(self._everything(), dict(other))

    __hash__ = None  # type: ignore[assignment]  # mutable

    def to_dict(self) -> dict[str, Any]:
        """Return the whole bag as a plain dict of your own."""
        plain: dict[str, Any] = thaw(self._everything())
        return plain

    def _is(self, holder: Scope, name: Bag) -> bool:
        return self._holder is holder and self._name == name

    def _everything(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._holder._read(self._name, ())
        return found

    def __repr__(self) -> str:
        return f"<MetadataBag {self._name}, staged: {self._holder.pending.bag(self._name) or 'nothing'}>"


@discreet
class Scope:
    """What a transaction and its savepoints have in common: a view of one unit of work, with its two bags."""

    _unit: Unit
    _awaited = False
    """Whether an asyncio task uses it, so that a read must not block."""

    def _require(self, call: str) -> None:
        """Raise `StateError` if the present state does not allow a call."""
        raise NotImplementedError  # pragma: no cover  # each kind has its own

    @property
    def state(self) -> State:
        """Return the state: `State.ACTIVE` until it is committed or rolled back."""
        raise NotImplementedError  # pragma: no cover  # each kind has its own

    @property
    def user_id(self) -> str:
        """Return the id of the user that is changed."""
        return self._unit.user_id

    @property
    def pending(self) -> Change:
        """Return what is staged and not yet written, without I/O; its repr shows names and sizes only."""
        return self._unit.change

    @property
    def result(self) -> CommitResult:
        """Return how it ended; a nested part shows the outer one's.  Raises `StateError` before the end."""
        result = self._unit.result
        if result is None:
            msg = (
                f"there is no result for {self.user_id} yet: this transaction is {self.state.value}; "
                "it has one once its block was left, or commit() or rollback() has returned"
            )
            raise StateError(msg)
        return result

    def load(self) -> None:
        """Read the user now, unless that is done: `GET /users/{id}`, scope `read:users`.

        A failure leaves the transaction active with nothing loaded.
        """
        self._require("load")
        self._unit.load()

    @property
    def user_metadata(self) -> MetadataBag:
        """Return the user metadata, which users may edit themselves, to read it and to stage changes."""
        return MetadataBag(self, "user_metadata")

    @user_metadata.setter
    def user_metadata(self, value: MetadataBag) -> None:
        self._refuse_assignment("user_metadata", value)

    @property
    def app_metadata(self) -> MetadataBag:
        """Return the app metadata, which only applications write, to read it and to stage changes."""
        return MetadataBag(self, "app_metadata")

    @app_metadata.setter
    def app_metadata(self, value: MetadataBag) -> None:
        self._refuse_assignment("app_metadata", value)

    def _refuse_assignment(self, name: Bag, value: object) -> None:
        """Refuse `tx.user_metadata = {...}`, which would stage nothing; `|=` assigns the bag that it has changed."""
        if isinstance(value, MetadataBag) and value._is(self, name):
            return
        msg = (
            f"tx.{name} can't be assigned to (nothing was staged): use tx.{name}.replace(...) to make it exactly this, "
            f"or tx.{name}.merge(...) to change some of it"
        )
        raise InputError(msg)

    def _stage(self, bag: Bag, operations: Sequence[Operation], /, *, reset: bool = False) -> None:
        self._require("stage")
        self._unit.stage(bag, operations, reset=reset)

    def _read(self, bag: Bag, path: Path, /) -> Any:
        self._require("read")
        return self._unit.read(bag, path, may_block=not self._awaited)


def _plain(document: JSONObject) -> object:
    """Return any mapping as a dict.  A `User` is one too, but a whole profile is not metadata, so that is refused."""
    return dict(document) if isinstance(document, Mapping) and not isinstance(document, User) else document
