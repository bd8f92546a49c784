"""The transaction of one user in a batch."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

from auth0_meta.changes.jsonvalue import Bag, Path
from auth0_meta.changes.operations import Operation
from auth0_meta.clock import Cancelled
from auth0_meta.errors import StateError
from auth0_meta.models import CommitResult
from auth0_meta.redact import discreet
from auth0_meta.transactions.transaction import MetadataTransaction
from auth0_meta.transactions.unit import Unit

_T = TypeVar("_T")
OF_THE_PARENT = (
    "this batch belongs to the process that entered it, which sends what was staged before the fork: "
    "open another one in the child (nothing was staged)"
)


@discreet
class BatchTransaction(MetadataTransaction):
    """The transaction of one user in a batch, for staging only: the batch sends it.

    Several threads may stage on it.  Once a worker has taken it, staging raises: the change would be lost silently.
    """

    _ends_with_a_call = False
    _broken: Callable[[], BaseException | None] = staticmethod(lambda: None)
    """Return the error that has broken its batch, None if none has."""

    def _open(self, unit: Unit) -> None:
        super()._open(unit)
        self._guard = threading.Lock()
        self._taken = False
        self._pid = os.getpid()

    def _stage(self, bag: Bag, operations: Sequence[Operation], /, *, reset: bool = False) -> None:
        if os.getpid() != self._pid:  # the guard may be held by a thread that only the parent has
            raise StateError(OF_THE_PARENT)
        with self._guard:
            if self._taken:
                msg = f"the changes of {self.user_id} have been sent already: ask batch.user() again for more"
                raise StateError(msg)
            super()._stage(bag, operations, reset=reset)

    def load(self) -> None:
        """Read the user now, unless that is done: `GET /users/{id}`, scope `read:users`."""
        if self._unit.awaited:
            msg = f"loading {self.user_id} would block the event loop: {self._unit.instead_of_blocking} (nothing was sent)"
            raise StateError(msg)
        self._unless_it_ends(super().load)

    def _read(self, bag: Bag, path: Path, /) -> Any:
        return self._unless_it_ends(partial(super()._read, bag, path))

    def _unless_it_ends(self, read: Callable[[], _T]) -> _T:
        """Read; if the batch ends meanwhile, raise what has broken it."""
        try:
            return read()
        except Cancelled:
            broken = self._broken()
        raise broken or StateError("the batch was left while this was read: nothing more is sent")

    def rollback(self) -> NoReturn:
        """Raise `StateError`: the batch decides when to send."""
        msg = (
            f"the batch sends the changes of {self.user_id}: stage on what batch.user() returns, "
            "without `with`, commit or rollback"
        )
        raise StateError(msg)

    __enter__ = commit = rollback

    @discreet
    def _send(self) -> CommitResult:
        """Commit it; called by the batch."""
        with self._guard:
            self._taken = True
        return super().commit()
