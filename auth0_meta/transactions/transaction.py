"""Gather changes to one user's metadata and commit them in one PATCH."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from auth0_meta import models
from auth0_meta.changes.bag_change import BagChange
from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import ABSENT, BAGS, UNKNOWN, Bag
from auth0_meta.changes.profile import given_base, stored_bag
from auth0_meta.changes.rules import read
from auth0_meta.endpoints.users import user_path
from auth0_meta.errors import InputError, MetadataError, PathError, StateError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.given import MaxWait, Oversize
from auth0_meta.models import CommitResult, User
from auth0_meta.transactions.bag import MetadataBag, advise, keys_of, refuse_assignment
from auth0_meta.transactions.commit import Commit, Lock, Terms, read_profile
from auth0_meta.transactions.joining import join_key
from auth0_meta.transactions.states import State, refusal
from auth0_meta.warn import notice

if TYPE_CHECKING:
    from auth0_meta.client import ManagementClient

_OVERSIZE = ("warn", "error", "off")
_VALUED = ("set", "merge", "append", "replace")


class MetadataTransaction:
    """Stage changes to both bags of one user and send them in at most one PATCH.

    Used as a context manager: leaving the block commits, an exception in it sends nothing.  First-level
    values staged whole cost 1 request; a nested change 2 (a `GET` as late as possible, then the `PATCH`);
    after reads in the block 3; with `base` 1.  Endpoints: `GET` and `PATCH /users/{id}`, scopes
    `read:users` and `update:users`.

    `base`: a `User` or profile dict that the caller holds; nothing is read then, siblings newer than it are
    overwritten and conflicts can't be seen.  An absent bag counts as empty, unless the user was read with
    `fields=` that left it out.  `base_check=True` brings the read back.  `lock`: a context manager, or a
    function that makes one, held from before the commit's `GET` until the outcome is known.  It is given up
    during a wait of more than 1 s and taken again, so one that can be entered only once needs the function.
    `join`: entered inside an open transaction for the same client and user, in the same thread and task,
    become a part of that one (its settings apply); False never joins.  `max_wait`: seconds for waits in all
    ("client": the client's).  `oversize`: what to do about a known profile past 10 KB: "warn", "error", "off".

    Raises on commit: `ConflictError` (something read has changed), `PathError`, `NotFoundError`,
    `RateLimitError` and the other `ApiError`s: nothing was written; `OutcomeUnknown`: reading back could
    not tell.  One transaction belongs to one thread.

    >>> client = tenant.client()
    >>> with MetadataTransaction(client, user.user_id) as tx:
    ...     tx.user_metadata["theme"] = "dark"
    ...     tx.app_metadata["plan"] = "pro"
    >>> tx.result
    <CommitResult updated: 1 requests, 1 attempts, 0.00 s waited, document user_metadata(theme 6 B), app_metadata(plan 5 B)>
    """

    def __init__(
        self,
        client: ManagementClient,
        user_id: str,
        /,
        *,
        base: User | Mapping[str, Any] | None = None,
        base_check: bool = False,
        lock: Lock | None = None,
        join: bool = True,
        max_wait: MaxWait = "client",
        oversize: Oversize = "warn",
    ) -> None:
        if oversize not in _OVERSIZE:
            msg = f"oversize is one of {', '.join(_OVERSIZE)}, not {oversize!r} (nothing was sent)"
            raise InputError(msg)
        if base_check and base is None:
            msg = "base_check=True needs base= (nothing was sent)"
            raise InputError(msg)
        if lock is not None and not (callable(lock) or hasattr(lock, "__enter__")):
            msg = "lock= takes a context manager, or a function that makes one (nothing was sent)"
            raise InputError(msg)
        self._client = client
        self._user_id = user_id
        self._terms = Terms(
            path=user_path(user_id), user_id=user_id, lock=lock, oversize=oversize, base_check=base_check
        )
        self._budget = client.budget(user_id=user_id, max_wait=max_wait)
        self._base: Mapping[str, Any] | None = None
        self._base_given = base is not None
        self._unknown: frozenset[str] = frozenset()
        if base is not None:
            profile, self._unknown = (
                (base.raw, base.omitted) if isinstance(base, User) else (base, frozenset())
            )
            self._base = given_base(profile, user_id)
        self._join = join
        self._key: Any = None
        self._outer: MetadataTransaction | None = None
        self._within: MetadataTransaction | None = None
        self._took_in = False
        self._savepoint = Change()
        self._parts: list[MetadataTransaction] = []
        self._entered = False
        self._awaited = False
        self._state = State.ACTIVE
        self._change = Change()
        self._reads: dict[tuple[Bag, tuple[str, ...]], Any] = {}
        self._result: CommitResult | None = None

    # What is to be seen -----------------------------------------------------------------------------

    @property
    def user_metadata(self) -> MetadataBag:
        """Return the bag that the user may edit, to read it and to stage changes on."""
        return MetadataBag(self, "user_metadata")

    @user_metadata.setter
    def user_metadata(self, value: object) -> None:
        refuse_assignment("user_metadata")

    @property
    def app_metadata(self) -> MetadataBag:
        """Return the application's bag, to read it and to stage changes on."""
        return MetadataBag(self, "app_metadata")

    @app_metadata.setter
    def app_metadata(self, value: object) -> None:
        refuse_assignment("app_metadata")

    @property
    def user_id(self) -> str:
        """Return the id of the user that is changed."""
        return self._user_id

    @property
    def state(self) -> State:
        """Return where this transaction (or this part of one) stands; a part that has merged, as what it is part of."""
        if self._state is not State.COMMITTED or self._within is None:
            return self._state
        around = self._within.state
        return around if around in (State.ROLLED_BACK, State.FAILED) else State.COMMITTED

    @property
    def pending(self) -> Change:
        """Return what is staged and not yet written, without I/O; its repr shows names and sizes only."""
        return self._root()._change

    @property
    def result(self) -> CommitResult | None:
        """Return how it ended, None before; a joined or nested part shows the outer one's."""
        return self._root()._result

    def as_bulk(self, *, share: float, cancelled: threading.Event) -> None:
        """Have this transaction yield to live traffic, and end unsent once `cancelled` is set: for batches."""
        self._budget.share = share
        self._budget.cancelled = cancelled

    def awaited(self) -> WaitBudget:
        """Return what counts the cost, and refuse reads that would block from here on: for asyncio."""
        self._awaited = True
        return self._root()._budget

    @property
    def is_part(self) -> bool:
        """Tell whether this has joined, or is nested in, another one, which commits for it."""
        return self._outer is not None

    def __repr__(self) -> str:
        part = " part" if self._outer is not None else ""
        return f"<{type(self).__name__}{part} {self._user_id!r} {self.state.value}: {self.pending}>"

    def _root(self) -> MetadataTransaction:
        """Return the transaction that holds the changes: this one, or the one that it is part of."""
        return self if self._outer is None else self._outer

    def require(self, call: str) -> None:
        """Refuse a call that the state of this part, or of the whole, does not allow."""
        root = self._root()
        why = refusal(call, self._state, self._user_id, part=self is not root) or refusal(
            call, root._state, self._user_id, part=False
        )
        if why is None and self is not root and not self._entered and call != "enter":
            why = f"a nested block for {self._user_id} was not entered: use `with tx.nested() as inner:`"
        if why is not None:
            raise StateError(why)

    # Staging and reading, for the bags --------------------------------------------------------------

    def stage(self, bag: Bag, name: str, /, *args: Any, **settings: Any) -> None:
        """Stage one call on a bag: what `MetadataBag` uses.  What raises leaves the rest as it was."""
        self.require("stage")
        root = self._root()
        try:
            after: BagChange = getattr(root._change.bag(bag), name)(*args, **settings)
            change = root._change.with_bag(bag, after)
            if root._base is not None and bag not in root._unknown:
                for key in keys_of(bag, name, args):
                    after.verify(stored_bag(root._base, bag), key=key)
        except MetadataError as error:
            raise error.of(self._user_id) from None
        if bag == "user_metadata" and name in _VALUED:
            advise(self._user_id, args)
        root._change = change

    def read(self, bag: Bag, path: tuple[str, ...], /) -> Any:
        """Return what a bag shows at `path`, reading the user when staging can't answer: what `MetadataBag` uses."""
        self.require("read")
        root = self._root()
        staged = root._change.bag(bag)
        known = staged.answer(path)
        if known is not UNKNOWN:
            return known
        if root._base is None or bag in root._unknown:
            if self._awaited or root._awaited:
                msg = (
                    f"reading {bag} of {self._user_id} needs the stored user: `await tx.load()` first, "
                    "on the asyncio transaction (nothing was sent)"
                )
                raise StateError(msg)
            root._load()
        stored = stored_bag(root._base or {}, bag)
        root._reads.setdefault((bag, path), read(stored, path))
        try:
            if not path:
                return staged.apply(stored)
            top = staged.apply_key(path[0], stored.get(path[0], ABSENT))
        except PathError as error:
            raise error.of(self._user_id) from None
        return read({} if top is ABSENT else {path[0]: top}, path)

    def staged(self, bag: Bag, /) -> BagChange:
        """Return what is staged for a bag, without I/O: what `MetadataBag` shows."""
        return self._root()._change.bag(bag)

    def load(self) -> None:
        """Read the user now, unless that is done: `GET /users/{id}`, scope `read:users`.

        A failure leaves the transaction active with nothing loaded.
        """
        self.require("load")
        root = self._root()
        if root._base is None or root._unknown:
            root._load()

    def _load(self) -> None:
        self._base = read_profile(self._client.sender, self._terms, self._budget)
        self._unknown = frozenset()
        self._base_given = False  # what was read is compared at commit, what was given is not

    # The life of it -----------------------------------------------------------------------------------

    def __enter__(self) -> MetadataTransaction:
        self.require("enter")
        if self._entered:
            msg = f"this transaction for {self._user_id} was entered before: open a new one"
            raise StateError(msg)
        if self._outer is not None:
            self._open_part(self._outer, self._outer._change)
        else:
            self._open()
        self._entered = True
        return self

    def _open(self) -> None:
        """Join the open transaction for the same user, or be the one that others join."""
        key = join_key(self._user_id)
        open_here: list[MetadataTransaction] = self._client.open_transactions.get(key, [])
        if not open_here or not self._join:
            self._key = key
            self._client.open_transactions[key] = [*open_here, self]
            return
        outer = open_here[-1]
        if self._base_given or self._terms.lock is not None:
            what = "base=" if self._base_given else "lock="
            msg = (
                f"a transaction for {self._user_id} is open here and {what} can't be joined to it: "
                "give it to the outer one, or pass join=False (nothing was sent)"
            )
            raise StateError(msg)
        self._open_part(outer, outer._change.then(self._change))
        for place, seen in self._reads.items():  # from before it was entered
            outer._reads.setdefault(place, seen)

    def _open_part(self, outer: MetadataTransaction, change: Change) -> None:
        """Become a savepoint of `outer`, which holds `change` from now on."""
        self._outer, self._savepoint = outer, outer._change
        self._within = outer._parts[-1] if outer._parts else outer
        outer._change = change
        outer._parts.append(self)

    def _leave(self) -> None:
        """Stop being what others join."""
        registry = self._client.open_transactions
        others = [tx for tx in registry.pop(self._key, ()) if tx is not self]
        if others:  # this one was opened with join=False, or they were in it
            registry[self._key] = others
        self._key = None

    def nested(self) -> MetadataTransaction:
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
        self.require("nested")
        part = MetadataTransaction(self._client, self._user_id, join=False)
        part._outer = self._root()
        return part

    def commit(self) -> CommitResult:
        """Send what is staged now, in at most one PATCH; the transaction has ended afterwards.

        Leaving the block does the same.  Raises as the class says; `StateError` in a joined or nested
        part, and while a part of this one is open.
        """
        self.begin_commit()
        return self.carry_out()

    def begin_commit(self) -> None:
        """Take no more changes from here on: for asyncio, whose commit goes on in another thread."""
        self.require("commit")
        if self._outer is not None:
            msg = f"this part of the transaction for {self._user_id} commits with the outer one: leave its block"
            raise StateError(msg)
        self._no_open_parts("commit")
        self._leave()
        self._state = State.COMMITTING

    def call_off(self) -> None:
        """Take changes again, since the commit that was begun is not carried out."""
        self._state = State.ACTIVE

    def carry_out(self) -> CommitResult:
        """Do what `begin_commit` has begun, once."""
        if self._state is not State.COMMITTING:
            msg = f"no commit of {self._user_id} is under way, so there is none to carry out"
            raise StateError(msg)
        lacking = any(self._change.bag(bag) for bag in BAGS if bag in self._unknown)
        commit = Commit(
            self._client.sender,
            self._terms,
            self._budget,
            change=self._change,
            base=None if lacking else self._base,
            base_given=self._base_given and not lacking,
            reads=self._reads,
        )
        try:
            commit.run()
        except PathError as error:
            raise error.of(self._user_id) from None
        finally:  # a lock may fail after the outcome is known
            state = State.FAILED if commit.outcome in ("failed", "unknown") else State.COMMITTED
            result = self._end(state, commit.outcome, commit.document, commit.user)
        return result

    def rollback(self) -> None:
        """Drop what is staged; nothing is sent.  In a part, drop what was staged since it was opened."""
        self.require("rollback")
        self._no_open_parts("roll back")
        self._drop()

    def _no_open_parts(self, call: str) -> None:
        parts = self._root()._parts
        if parts and parts[-1] is not self:
            msg = f"can't {call} for {self._user_id}: a nested or joined block of it is still open; leave that first"
            raise StateError(msg)

    def _drop(self) -> None:
        """Roll back this, and every block that was opened in it and not left."""
        root = self._root()
        while root._parts:
            part = root._parts.pop()
            part._state = State.ROLLED_BACK
            root._change = part._savepoint
            if part is self:
                return
        self._leave()
        self._end(State.ROLLED_BACK, "rolled_back", {}, None)

    def _end(
        self, state: State, outcome: models.Outcome, document: Mapping[str, Any], user: User | None
    ) -> CommitResult:
        """Note how it ended, and let go of what was staged."""
        assert self._result is None  # noqa: S101  # it ends once
        self._state = state
        self._change = Change()
        if user is None and self._base is not None and not self._base_given:
            user = User(self._base)
        budget = self._budget
        self._result = CommitResult(
            outcome=outcome,
            requests=budget.requests,
            attempts=budget.attempts,
            waited=budget.waited,
            document=document,
            user=user,
        )
        return self._result

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        if self._state is not State.ACTIVE:
            return
        if error is not None:
            self._drop()
            if self._took_in and isinstance(error, GeneratorExit):
                notice(
                    f"a generator was closed inside its transaction for {self._user_id}: what other blocks had staged in "
                    "it is rolled back too, nothing was sent. Don't yield inside the block"
                )
        elif self._within is not None:
            self._no_open_parts("leave a block")
            self._root()._parts.pop()
            self._state = State.COMMITTED
            self._within._took_in |= self._took_in or self._join  # another block's, not a nested one's
        else:
            self.commit()
