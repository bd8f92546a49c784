"""The settings of a transaction, checked once and passed on as one value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Literal, get_args

import attrs

from auth0_meta.errors import InputError
from auth0_meta.http.budget import MaxWait
from auth0_meta.models import User

Lock = AbstractContextManager[Any] | Callable[[], AbstractContextManager[Any]]
"""A context manager, or a function that makes one for each time that the lock is taken."""

Oversize = Literal["warn", "error", "off"]
"""What to do about a known profile past 10 KB."""

_OVERSIZE = get_args(Oversize)


@attrs.frozen(kw_only=True)
class TransactionOptions:
    """What a transaction was opened with; `MetadataTransaction` explains each setting.

    Raises `InputError` for settings that can't work.
    """

    base: User | Mapping[str, Any] | None = None
    base_check: bool = False
    lock: Lock | None = None
    join: bool = True
    max_wait: MaxWait = "client"
    oversize: Oversize = "warn"

    def __attrs_post_init__(self) -> None:
        if self.oversize not in _OVERSIZE:
            msg = f"oversize must be one of {', '.join(_OVERSIZE)}, not {self.oversize!r} (nothing was sent)"
            raise InputError(msg)
        if self.base_check and self.base is None:
            msg = "base_check=True needs base= (nothing was sent)"
            raise InputError(msg)
        if self.lock is not None and not (callable(self.lock) or hasattr(self.lock, "__enter__")):
            msg = (
                "lock= takes a context manager, or a function that makes one, "
                f"not {type(self.lock).__name__} (nothing was sent)"
            )
            raise InputError(msg)

    def without_base(self) -> TransactionOptions:
        """Return these settings for another run, which has to read the user."""
        return attrs.evolve(self, base=None, base_check=False)
