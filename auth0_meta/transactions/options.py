"""The settings of a transaction, checked once and passed on as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, NamedTuple, Self, TypeAlias, TypedDict, TypeVar, get_args

from auth0_meta.changes.jsonvalue import AnyTypedDict, JSONValue, KeyPath
from auth0_meta.errors import InputError
from auth0_meta.http.budget import MaxWait
from auth0_meta.models import BatchResult, Progress, User

Lock = AbstractContextManager[Any] | Callable[[], AbstractContextManager[Any]]
"""A context manager, or a function that makes one for each time that the lock is taken."""

Oversize = Literal["warn", "error", "off"]
"""What to do about a known profile past 10 KB."""

UserPath = TypeVar("UserPath", bound=KeyPath)
AppPath = TypeVar("AppPath", bound=KeyPath)
_Path = TypeVar("_Path", bound=KeyPath)
PathValues: TypeAlias = Mapping[_Path, JSONValue] | AnyTypedDict
"""Values by the paths where they go, dotted or tuples of keys: {"billing.plan": "pro"}."""

_OVERSIZE = get_args(Oversize)


class TransactionSettings(TypedDict, total=False):
    """The keyword arguments of whatever opens a transaction; `MetadataTransaction` explains each of them."""

    base: User | Mapping[str, Any] | None
    base_check: bool
    lock: Lock | None
    join: bool
    max_wait: MaxWait
    oversize: Oversize


class BatchSettings(TypedDict, total=False):
    """The keyword arguments of `MetadataBatch`, which explains each of them."""

    share: float
    concurrency: int | None
    on_error: Literal["raise", "collect"]
    on_result: Callable[[BatchResult], object] | None
    on_progress: Callable[[Progress], object] | None
    window: int
    max_wait: MaxWait
    oversize: Oversize
    keep: int


class TransactionOptions(NamedTuple):
    """The same settings with their defaults."""

    base: User | Mapping[str, Any] | None = None
    base_check: bool = False
    lock: Lock | None = None
    join: bool = True
    max_wait: MaxWait = "client"
    oversize: Oversize = "warn"

    def __repr__(self) -> str:
        return "<TransactionOptions>"  # `base` may be a dict of values

    def checked(self) -> Self:
        """Return these settings; raise `InputError` if they can't work."""
        if self.oversize not in _OVERSIZE:
            msg = f"oversize must be one of {', '.join(_OVERSIZE)}, not {self.oversize!r} (nothing was sent)"
            raise InputError(msg)
        if self.base_check and self.base is None:
            raise InputError("base_check=True needs base= (nothing was sent)")
        if self.lock is not None and not (callable(self.lock) or hasattr(self.lock, "__enter__")):
            msg = (
                "lock= takes a context manager, or a function that makes one, "
                f"not {type(self.lock).__name__} (nothing was sent)"
            )
            raise InputError(msg)
        return self
