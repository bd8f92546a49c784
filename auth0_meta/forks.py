"""Give objects new locks in a forked child, which lacks the threads of its parent that may hold the old ones."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class HasLocks(Protocol):
    """Anything whose locks a forked child must not share with its parent."""

    def _renew_locks(self) -> None:
        """Start over with locks that nobody holds."""
        ...


_owners: weakref.WeakSet[HasLocks] = weakref.WeakSet()


def renew_after_fork(owner: HasLocks, /) -> None:
    """Call `owner._renew_locks()` in every child that is forked while it exists."""
    _owners.add(owner)


def _renew_all() -> None:
    for owner in list(_owners):
        owner._renew_locks()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # absent on Windows only
    os.register_at_fork(after_in_child=_renew_all)
