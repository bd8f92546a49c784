"""Gather changes to one user's metadata and commit them in one PATCH."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from auth0_meta.changes.jsonvalue import Bag
from auth0_meta.changes.operations import Operation
from auth0_meta.errors import StateError
from auth0_meta.http.budget import MaxWait
from auth0_meta.http.channel import HasChannel
from auth0_meta.models import CommitResult, User, UserId
from auth0_meta.redact import discreet
from auth0_meta.transactions.bag import Scope
from auth0_meta.transactions.options import Lock, Oversize, TransactionOptions
from auth0_meta.transactions.savepoint import Joinable, Savepoint, open_unit
from auth0_meta.transactions.unit import State, Unit
from auth0_meta.warn import Place, notice, place


class _Unsent:
    """Warn, when a transaction is collected, of changes that nobody has tried to send.

    Only a transaction that stages before it is entered has one, and it becomes `_Settled` as soon as it is entered or
    committed.  A Ctrl-C that arrives while Python code runs in a finalizer is lost, so no other may run any.
    """

    __slots__ = ("at", "unit")

    def __init__(self, unit: Unit, at: Place) -> None:
        self.unit = unit
        self.at = at

    def __del__(self) -> None:
        unit = self.unit
        if unit.state is State.ACTIVE and unit.change:
            notice(
                f"changes for {unit.user_id} were staged and never sent: {unit.change}. "
                "Use `with`, or call commit() or rollback()",
                at=self.at,
            )


class _Settled:
    """What an `_Unsent` becomes once there is nothing to warn of."""

    __slots__ = ("at", "unit")


@discreet
class Transaction(Scope):
    """What `MetadataTransaction` and its asyncio counterpart share: all but the requests."""

    _ends_with_a_call = True
    """Whether what is staged is lost unless somebody enters or commits it."""

    def _open(self, unit: Unit) -> None:
        self._unit = unit
        unit.awaited = self._awaited
        self._entered = False
        self._staged_at: Place | None = None
        """Where something was staged first."""
        self._unsent: _Unsent | None = None
        """What warns if nobody sends it."""
        self._joinable: Joinable | None = None
        """What lets others join this one while its block is open."""
        self._savepoint: Savepoint | None = None
        """What this became by joining another transaction; from then on it stages, reads and ends for this one."""

    @classmethod
    def _of(cls, unit: Unit) -> Self:
        """Return the transaction for a unit of work that has its settings already."""
        transaction = cls.__new__(cls)
        transaction._open(unit)
        return transaction

    @property
    def state(self) -> State:
        """Return the state; a transaction that has joined and merged ends as the outer one does."""
        return self._unit.state if self._savepoint is None else self._savepoint.state

    @property
    def result(self) -> CommitResult:
        """Return how it ended; "joined" if it was left and the outer one is to send it.

        Raises `StateError` before the end.
        """
        return super().result if self._savepoint is None else self._savepoint._joined_result

    def _stage(self, bag: Bag, operations: Sequence[Operation], /, *, reset: bool = False) -> None:
        super()._stage(bag, operations, reset=reset)
        if self._staged_at is None:
            self._staged_at = place()
            if self._ends_with_a_call and not self._entered:
                self._unsent = _Unsent(self._unit, self._staged_at)

    def _settle(self) -> None:
        """Note that no warning is needed: a result or an error will say what became of the changes."""
        if self._unsent is not None:
            self._unsent.__class__ = _Settled  # type: ignore[assignment]

    def __repr__(self) -> str:
        part = "" if self._savepoint is None else " part"
        return f"<{type(self).__name__}{part} {self.user_id!r} {self.state.value}: {self.pending}>"

    def _require(self, call: str) -> None:
        if self._savepoint is None:
            self._unit.require(call)
        else:
            self._savepoint._require(call)

    def _enter(self) -> Self:
        """Begin the block: let others join, or join the transaction that is open here."""
        self._require("enter")
        if self._entered:
            raise StateError(f"this transaction for {self.user_id} was entered before: open a new one")
        self._settle()
        unit = self._unit
        outer = open_unit(unit.channel, unit.user_id) if unit.options.join else None
        try:
            if outer is None:
                self._joinable = Joinable(unit)
                self._joinable.open()
            else:
                self._join(outer)
            self._entered = True
            return self
        except BaseException:
            self._leave()  # after an interrupt nobody will leave this block, so nobody may join it
            raise

    def _join(self, outer: Unit) -> None:
        """Become a savepoint of the transaction that is open here."""
        options = self._unit.options
        if options.base is not None or options.lock is not None:
            what = "lock=" if options.base is None else "base="
            msg = (
                f"a transaction for {self.user_id} is open here and {what} can't be joined to it: "
                "give it to the outer one, or pass join=False (nothing was sent)"
            )
            raise StateError(msg)
        self._savepoint = Savepoint(outer, outer.open_part(self._unit))
        self._unit = outer

    def _exit(self, error: BaseException | None) -> bool:
        """End the block, except for the commit; return whether one is due."""
        self._leave()
        if self._savepoint is not None:
            self._savepoint._leave(error)
        elif self._unit.state is State.ACTIVE:
            if error is None:
                return True
            self._unit.roll_back()
            self._unit.warn_of_lost_blocks(error)
        return False

    def _leave(self) -> None:
        """Let no other transaction join this one any more."""
        if self._joinable is not None:
            self._joinable.close()

    def nested(self) -> Savepoint:
        """Return a part, to be entered: it merges into this one on success and vanishes on an exception.

        >>> with tenant.client().transaction(user.user_id) as tx:
        ...     tx.app_metadata["a"] = 1
        ...     try:
        ...         with tx.nested() as inner:
        ...             inner.app_metadata["b"] = 2
        ...             raise LookupError
        ...     except LookupError:
        ...         pass
        >>> tx.result.document
        {'app_metadata': {'a': 1}}
        """
        self._require("nested")
        return Savepoint(self._unit)

    def _begin_commit(self, committer: object) -> None:
        """Accept no more changes; asyncio carries out in a thread what this begins in the event loop."""
        if self._savepoint is not None:
            self._savepoint.commit()  # raises: a part can't commit
        self._require("commit")
        self._settle()
        self._unit.begin_commit(committer)
        self._leave()

    def rollback(self) -> None:
        """Drop what is staged; nothing is sent.  In a part, drop what was staged since it was opened."""
        if self._savepoint is not None:
            self._savepoint.rollback()
            return
        self._require("rollback")
        self._unit.refuse_open_parts("roll back")
        self._settle()
        self._leave()
        self._unit.roll_back()


@discreet
class MetadataTransaction(Transaction):
    """Stage changes to both bags of one user and send them in at most one PATCH.

    Used as a context manager: leaving the block commits, an exception in it sends nothing.  First-level
    values staged whole cost 1 request; a nested change 2 (a `GET` as late as possible, then the `PATCH`);
    after reads in the block 3; with `base` 1.  Endpoints: `GET` and `PATCH /users/{id}`, scopes
    `read:users` and `update:users`.

    `user`: the user id, or a `User`.  `base`: a `User` or profile dict that the caller holds; nothing is read then, siblings newer than it are
    overwritten and conflicts can't be seen.  An absent bag counts as empty, unless the user was read with
    `fields=` that left it out.  `base_check=True` brings the read back.  `lock`: a context manager, or a
    function that makes one, held from before the commit's `GET` until the outcome is known.  It is released
    during a wait of more than 1 s and taken again, so for one that can be entered only once pass a function.
    Nothing can end the wait for it, not even cancellation in asyncio: its time counts against `max_wait` afterwards, so
    give it a timeout of its own.
    `join`: when entered inside an open transaction for the same client and user, in the same thread and task,
    become a part of that one (its settings apply); False never joins.  `max_wait`: seconds that all waits
    together may take ("client": the client's setting).  `oversize`: what to do about a known profile past
    10 KB: "warn", "error", "off".

    Raises on commit: `ConflictError` (something read has changed), `PathError`, `NotFoundError`,
    `RateLimitError` and the other `ApiError`s: nothing was written; `OutcomeUnknown`: reading back could
    not tell.  One transaction belongs to one thread.

    >>> client = tenant.client()
    >>> with MetadataTransaction(client, user.user_id) as tx:
    ...     tx.user_metadata["theme"] = "dark"
    ...     tx.app_metadata["plan"] = "pro"
    >>> tx.result
    <CommitResult updated: 1 request, 1 attempt, 0.00 s waited, document user_metadata(theme 6 B), app_metadata(plan 5 B)>
    """

    def __init__(
        self,
        client: HasChannel,
        user: UserId,
        /,
        *,
        base: User | Mapping[str, Any] | None = None,
        base_check: bool = False,
        lock: Lock | None = None,
        join: bool = True,
        max_wait: MaxWait = "client",
        oversize: Oversize = "warn",
    ) -> None:
        options = TransactionOptions(base, base_check, lock, join, max_wait, oversize)
        self._open(Unit(client._channel, user, options))

    def __enter__(self) -> Self:
        return self._enter()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._exit(error):
                self.commit()
        except BaseException as failure:
            if self._savepoint is None:
                self._exit(failure)  # in case the commit never began
            raise

    def commit(self) -> CommitResult:
        """Send what is staged now, in at most one PATCH; the transaction has ended afterwards.

        Leaving the block does the same.  Raises as the class says; `StateError` in a joined or nested
        part, and while a part of this one is open.
        """
        committer = object()
        try:
            self._begin_commit(committer)
            return self._unit.finish_commit()
        except BaseException:
            self._unit.abandon_commit(committer)
            raise
