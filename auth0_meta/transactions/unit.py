"""One unit of work on one user: where it stands, what is staged and read, and its commit.

A `Unit` is what several blocks may share: the transaction that was opened first, and the savepoints
that are nested in it or have joined it.  A program sees it through a `Scope`.
"""

from __future__ import annotations

import enum
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from auth0_meta.changes import rules
from auth0_meta.changes.bag_change import BagChange
from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import ABSENT, BAGS, UNKNOWN, Bag, Path
from auth0_meta.changes.operations import Increment, Operation
from auth0_meta.changes.profile import given_base, stored_bag
from auth0_meta.errors import PathError, StateError
from auth0_meta.http.channel import Channel
from auth0_meta.http.error_responses import request_id
from auth0_meta.http.request import Target
from auth0_meta.models import CommitResult, Outcome, User, UserId
from auth0_meta.telemetry import log
from auth0_meta.transactions.commit import Commit
from auth0_meta.transactions.options import TransactionOptions
from auth0_meta.transactions.write import read_stored
from auth0_meta.warn import notice, place


class State(enum.Enum):
    """Where a transaction stands."""

    ACTIVE = "active"
    COMMITTING = "committing"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    FAILED = "failed"


CALLS = {
    "enter": "enter the block",
    "stage": "stage a change",
    "read": "read metadata",
    "load": "load the user",
    "nested": "open a nested block",
    "commit": "commit",
    "rollback": "roll back",
}
"""What each call does, in words; all are legal in an active transaction only.

`pending`, `result`, `state` and the repr answer in every state.
"""

_INSTEAD = {
    State.COMMITTING: "is being committed: wait until that has ended",
    State.COMMITTED: "has been committed (see its .result): open a new one for more",
    State.ROLLED_BACK: "was rolled back: open a new one",
    State.FAILED: "failed to commit (see the error raised and its .result): open a new one",
}


_ENDS: dict[Outcome, State] = {
    "rolled_back": State.ROLLED_BACK,
    "failed": State.FAILED,
    "unknown": State.FAILED,
}


class Part:
    """An open savepoint of a unit: what was staged before it, and the part around it, if any."""

    def __init__(self, before: Change, around: Part | None) -> None:
        self.before = before
        self.around = around
        self.state = State.ACTIVE
        self.absorbed = False
        """Whether another block has joined and merged into it, so that dropping it drops that block's changes too."""


class Unit:
    """Gather what is staged and read for one user, and commit it once.

    For batches: `share` makes it yield to live traffic, and once `cancelled` is set it ends unsent.
    """

    def __init__(
        self,
        channel: Channel,
        user: UserId,
        options: TransactionOptions,
        *,
        share: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self.channel = channel
        self._target = Target.user(user)
        self.user_id = self._target.id
        self.options = options.checked()
        self.budget = channel.budget(self.user_id, options.max_wait, share=share, cancelled=cancelled)
        self.change = Change()
        self.parts: list[Part] = []
        """The savepoints that are open, the innermost last."""
        self.absorbed = False
        """Whether another block has joined and merged into it, outside of any part that is still open."""
        self.result: CommitResult | None = None
        self._committer: object = None
        """What identifies the call that has begun to commit it."""
        self._commit: Commit | None = None
        self._began = 0.0
        """When its commit began."""
        self.awaited = False
        """Whether an asyncio task uses it: then a read would block the event loop and is refused."""
        self.instead_of_blocking = "`await tx.load()` first, on the asyncio transaction"
        self.reads: dict[tuple[Bag, Path], Any] = {}
        """What was read of the stored user; conflicts are judged by it."""
        self._base: Mapping[str, Any] | None = None
        self._base_given = options.base is not None
        self._unknown: frozenset[str] = frozenset()
        if options.base is not None:
            profile: object = options.base
            if isinstance(options.base, User):
                profile, self._unknown = options.base.raw, options.base.omitted
            self._base = given_base(profile, self.user_id)

    @property
    def state(self) -> State:
        """Return the state, which never contradicts `result`, wherever an interrupt strikes."""
        if self.result is not None:
            return _ENDS.get(self.result.outcome, State.COMMITTED)
        return State.ACTIVE if self._committer is None else State.COMMITTING

    def require(self, call: str) -> None:
        """Raise `StateError` if the unit's state does not allow a call."""
        if self.state is not State.ACTIVE:
            msg = f"can't {CALLS[call]} for {self.user_id}: this transaction {_INSTEAD[self.state]}"
            raise StateError(msg)

    # Staging and reading ----------------------------------------------------------------------------

    def _known(self, bag: Bag) -> Mapping[str, Any] | None:
        """Return a stored bag, None if it is unknown; a user read with `fields=` may lack one."""
        return None if self._base is None or bag in self._unknown else stored_bag(self._base, bag)

    def stage(self, bag: Bag, operations: Sequence[Operation], *, reset: bool) -> None:
        """Stage operations on a bag; if that raises, nothing has changed."""
        staged = self.change.bag(bag).staging(operations, reset=reset)
        change = self.change.with_bag(bag, staged)
        stored = None if staged.reset else self._known(bag)  # an emptied bag may have been anything
        if stored is not None:
            for operation in operations:
                staged.verify(stored, key=operation.key)
        # A warning that is turned into an error must stage nothing.
        if bag == "user_metadata":
            self._warn_of_secrets(operations)
        self._warn_of_numbers(staged, operations)
        for operation in operations:
            if operation.may_clash and not (line := place()).is_asyncio:
                operation.staged_at = line
        self.change = change

    def _warn_of_numbers(self, staged: BagChange, operations: Sequence[Operation]) -> None:
        """Warn once of an integer that Auth0 may not keep; what an increment makes of a stored one, the commit finds."""
        for operation in operations:
            value, path = operation.value, operation.path
            if isinstance(operation, Increment) and (known := staged.answer(path)) is not UNKNOWN:
                value = known
            if (reason := rules.inexact(value, path)) is not None:
                notice(f"{staged.bag} of {self.user_id}: {reason}")
                return

    def _warn_of_secrets(self, operations: Sequence[Operation]) -> None:
        """Warn of a value that does not belong where users can read and edit it."""
        # Its tables are loaded with the first change of this bag, not at import.
        from auth0_meta.checks.secrets import sensitive  # noqa: PLC0415

        for operation in operations:
            reason = sensitive(operation.value, operation.path)
            if reason is not None:
                notice(
                    f"user_metadata of {self.user_id}: {reason}; users can read and edit user_metadata, "
                    "which is not a secret store"
                )
                return

    def read(self, bag: Bag, path: Path, *, may_block: bool) -> Any:
        """Return what a bag shows at `path`, or ABSENT; read the user if staging can't answer."""
        staged = self.change.bag(bag)
        known = staged.answer(path)
        if known is not UNKNOWN:
            return known
        if self._known(bag) is None:
            if self.awaited or not may_block:
                msg = (
                    f"reading {bag} of {self.user_id} needs the stored user: {self.instead_of_blocking} "
                    "(nothing was sent)"
                )
                raise StateError(msg)
            self._load()
        stored = stored_bag(self._base or {}, bag, so="it can't be read")
        # The first read stands: load() may exchange a base that was read with `fields=` for a later one,
        # and what the block has decided on is what it saw first.
        self.reads.setdefault((bag, path), rules.read(stored, path))
        try:
            if not path:
                return staged.apply(stored)
            top = staged.apply_key(path[0], stored.get(path[0], ABSENT))
        except PathError as error:
            raise error.of(self.user_id) from None
        others = {key: value for key, value in stored.items() if key != path[0]}
        return rules.read(others if top is ABSENT else {**others, path[0]: top}, path)

    def load(self) -> None:
        """Read the user now, unless all of it is known; a failure leaves everything as it was."""
        if self._base is None or self._unknown:
            self._load()

    def _load(self) -> None:
        self._base = read_stored(self.channel, self._target, self.budget)
        self._unknown = frozenset()
        self._base_given = False  # what was read is compared at commit, what was given is not

    # Parts ------------------------------------------------------------------------------------------

    def open_part(self, joining: Unit | None = None) -> Part:
        """Open a savepoint; with `joining`, take over what that unit has staged and read before it joined."""
        change = self.change if joining is None else self.change.then(joining.change)  # may raise
        part = Part(self.change, self.parts[-1] if self.parts else None)
        self.change = change
        self.parts.append(part)
        for read, seen in () if joining is None else joining.reads.items():
            self.reads.setdefault(read, seen)
        return part

    def merge_part(self, part: Part, *, joined: bool) -> None:
        """Close the innermost savepoint and keep what was staged in it."""
        self.refuse_open_parts("leave a block", but=part)
        part.state = State.COMMITTED
        self.parts.pop()
        if joined or part.absorbed:
            (part.around or self).absorbed = True

    def drop_parts(self, last: Part | None = None) -> None:
        """Roll back the open savepoints from the innermost up to `last`, all of them for None."""
        while self.parts:
            part = self.parts.pop()
            self.change = part.before
            part.state = State.ROLLED_BACK
            if part is last:
                return

    def refuse_open_parts(self, call: str, *, but: Part | None = None) -> None:
        """Raise `StateError` unless `but` is the innermost open savepoint, or none is open."""
        if self.parts and self.parts[-1] is not but:
            msg = f"can't {call} for {self.user_id}: a nested or joined block of it is still open; leave that first"
            raise StateError(msg)

    def warn_of_lost_blocks(self, error: BaseException, part: Part | None = None) -> None:
        """Warn when a generator is closed inside its block: what others staged there goes with it unseen."""
        if isinstance(error, GeneratorExit) and (part or self).absorbed:
            notice(
                f"a generator was closed inside its transaction for {self.user_id}: what other blocks had staged in "
                "it is rolled back too, nothing was sent. Don't yield inside the block"
            )

    # The end ----------------------------------------------------------------------------------------

    def begin_commit(self, committer: object) -> None:
        """Accept no more changes; what is staged now is what `finish_commit` sends, perhaps in another thread."""
        self.refuse_open_parts("commit")
        self._began = self.channel.clock.monotonic()
        self._committer = committer

    def abandon_commit(self, committer: object, *, failed: bool = False) -> None:
        """Note how the commit that this committer has begun ended.

        If nothing was done yet, accept changes again, unless it is to count as `failed`.
        """
        if self._committer is committer and (failed or self._commit is not None):
            self._end_commit()  # an interrupt has come before it was noted
        elif self._committer is committer:
            self._committer = None

    def finish_commit(self) -> CommitResult:
        """Do what `begin_commit` has begun, once."""
        if self.state is not State.COMMITTING:
            raise StateError(f"no commit for {self.user_id} is under way, so there is none to finish")
        try:
            self._carry_out()
        finally:
            result = self._end_commit()
        return result

    def _carry_out(self) -> None:
        """Send what is staged."""
        lacking = any(self.change.bag(bag) for bag in BAGS if bag in self._unknown)
        self._commit = Commit(
            self.channel,
            self._target,
            self.options,
            self.budget,
            change=self.change,
            base=self._base if self._base_given and not lacking else None,
            reads=self.reads,
        )
        try:
            self._commit.run()
        except PathError as error:
            raise error.of(self.user_id) from None

    def _end_commit(self) -> CommitResult:
        """Note what became of the commit, once; without one, an interrupt came before anything could be sent."""
        first = self.result is None
        result = self._end("failed" if self._commit is None else self._commit.outcome)
        if first and log.logs_commits():
            failed = result.outcome in ("failed", "unknown")
            log.log_commit(
                self.user_id,
                result,
                seconds=self.channel.clock.monotonic() - self._began,
                reasons=self.budget.reasons,
                request_id=request_id(self.budget.answered),
                error=sys.exception() if failed else None,
            )
        return result

    def roll_back(self) -> None:
        """End it with nothing sent, every open savepoint included."""
        self._end("rolled_back")
        self.drop_parts()
        self.change = Change()

    def _end(self, outcome: Outcome) -> CommitResult:
        """Note how it ended, once, and let go of what was staged."""
        if self.result is None:
            cost, write = self.budget, self._commit and self._commit.write
            seen = (write and write.found) or (None if self._base_given else self._base)
            self.result = CommitResult(
                outcome=outcome,
                requests=cost.requests,
                attempts=cost.attempts,
                waited=cost.waited,
                document=write.document if write else {},
                user=None if seen is None else User(seen),
                lock_lost=bool(write and write.lock_lost),
            )
        self.change = Change()
        self._commit = None
        return self.result
