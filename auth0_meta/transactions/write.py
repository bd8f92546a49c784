"""The one write protocol: lock, read, decide, PATCH, and find out what became of it.

Transactions, batches, the post-login trigger and migrations all write through `Write`.  They differ in their `Intent`,
which decides on what is found, and in a few settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from auth0_meta.changes.profile import check_depth
from auth0_meta.errors import InputError, MetadataWarning, StateError
from auth0_meta.http.budget import AT_ONCE, Deadline, Freshness, LongWait, WaitBudget
from auth0_meta.http.channel import Channel
from auth0_meta.http.request import Target
from auth0_meta.transactions.options import Lock
from auth0_meta.transactions.readback import may_have_been_applied
from auth0_meta.warn import notice


class Intent(Protocol):
    """What a write is to bring about.  It does no I/O; `Write` asks it before each PATCH."""

    reads: bool
    """Whether the first PATCH needs to know what is stored."""

    def document(self, found: Mapping[str, Any] | None, *, time_left: bool) -> Mapping[str, Any]:
        """Return the PATCH document for what was read, {} if there is nothing (more) to send, or raise.

        `found` is None if nothing was read.  `time_left` is false after a lost PATCH if the wait budget does not
        allow another one: then only what is found can settle the matter.
        """

    def lost(self, document: Mapping[str, Any], cause: BaseException) -> None:
        """Note that a PATCH has left and may or may not have been applied."""


def read_stored(
    channel: Channel, target: Target, budget: WaitBudget, *, deadline: Deadline | None = None
) -> Mapping[str, Any]:
    """Read an object and check that its metadata can be worked with."""
    found = channel.read(target, budget, deadline=deadline)
    check_depth(found)
    return found


class Write:
    """Carry out one intent on one object; use it once.

    `fresh_for`: seconds that a PATCH may rest on a read.  A PATCH that has to wait longer reads again, with the lock
    released meanwhile.  `refills`: the number of tokens whose refill it may wait for in any case.  `prepare` is called with
    the document before each PATCH, which is not sent if that raises; it may take long, and then the object is read again.
    """

    def __init__(
        self,
        channel: Channel,
        target: Target,
        intent: Intent,
        budget: WaitBudget,
        *,
        fresh_for: float,
        refills: float = 0.0,
        lock: Lock | None = None,
        prepare: Callable[[Mapping[str, Any]], object] | None = None,
    ) -> None:
        self._channel = channel
        self._target = target
        self._intent = intent
        self._budget = budget
        self._lock = lock
        self._prepare = prepare
        self._refills = refills
        self._freshness = Freshness(fresh_for)
        self._reading = intent.reads
        self._read_at = 0.0
        self._group = target.kind.writes
        self._locked_before = False
        self.lost = False
        """Whether the outcome of a PATCH is unknown."""
        self._cause: BaseException | None = None
        """The error that lost the latest one."""
        self._attempts = budget.attempts
        """How many PATCHes had been sent before the present one."""
        self._sent: tuple[Mapping[str, Any], Mapping[str, Any]] = ({}, {})
        """The last two PATCH documents; the second one may not have left yet."""
        self.found: Mapping[str, Any] | None = None
        """The object as last seen."""
        self.lock_lost = False
        """Whether the lock failed when it was released."""
        self.ended = False
        """Whether the outcome is known; whatever is raised after that does not change it."""
        self.answered = False
        """Whether a PATCH got a response; else the intent found nothing (more) to send."""
        self.doing = "sending it"
        """What it was doing when it raised, in words."""
        self.patching = False
        """Whether it raised while a PATCH was being sent, rather than a read."""

    # An interrupt may end everything below between any two lines.  So these are never noted after the fact: they follow
    # from what was noted before the first byte left, which only a definite refusal takes back.

    @property
    def _has_left(self) -> bool:
        """Return whether the present PATCH may have left."""
        return self._budget.attempts > self._attempts

    @property
    def document(self) -> Mapping[str, Any]:
        """Return the last PATCH document that has left, {} if none has."""
        return self._sent[self._has_left]

    @property
    def in_doubt(self) -> bool:
        """Return whether a PATCH has left whose outcome is not known."""
        if self.ended or self.answered:
            return False
        return self.lost or (self.patching and self._has_left and self._budget.in_flight)

    def run(self) -> None:
        """Read, ask the intent and send until the outcome is known, or raise what prevents that."""
        try:
            while True:
                if (wait := self._attempt_locked()) is None:
                    break
                self._freshness.note(wait)
                self._channel.wait_out(wait, self._budget, self._group)
        finally:
            self.let_go()

    def let_go(self) -> None:
        """Drop the intent and the last cause: through them, and the frames that errors hold, this would outlive its use."""
        self._cause = self._prepare = None
        del self._intent

    def _attempt_locked(self) -> LongWait | None:
        """Attempt it under the lock; return the wait that is due first, to be spent without the lock."""
        if self._lock is None:
            return self._attempt_or_wait()
        wait: LongWait | None = None
        failure: BaseException | None = None
        entered, begun = False, self._channel.clock.monotonic()
        lock = self._make_lock(self._lock)
        again, self._locked_before = self._locked_before, True
        try:
            # A with statement, since nothing can interrupt it between taking the lock and making sure of its release.
            with lock:
                entered = True
                try:
                    self._count_lock(self._channel.clock.monotonic() - begun)
                    wait = self._attempt_or_wait()
                except BaseException as error:
                    failure = error
                    raise
        except Exception as error:
            if not entered:
                self._explain_lock(error, lock, again=again)
                raise
            if error is not failure:
                if failure is None and not self.ended:
                    raise
                self._lose_lock(error)
        try:
            if failure is not None:
                raise failure  # neither a lock whose exit returns True nor one whose exit fails may hide it
        finally:
            failure = None  # or this frame and the error would keep each other alive
        return wait

    def _make_lock(self, given: Lock) -> AbstractContextManager[Any]:
        """Return the lock, a new one if a function was given."""
        lock = given if isinstance(given, AbstractContextManager) else given()
        if isinstance(lock, AbstractContextManager):
            return lock
        msg = (
            f"lock= is a function that returned {type(lock).__name__} instead of a context manager. "
            f"Nothing was written for {self._target.id}"
        )
        raise InputError(msg)

    def _explain_lock(self, error: Exception, lock: object, *, again: bool) -> None:
        """Raise `StateError` for a lock that can't be entered a second time."""
        # A used generator's context manager fails in one of these ways.  The first time they are the lock's own
        # failure, except for AttributeError: somebody else's write may have used this one up.
        used = isinstance(error, AttributeError | RuntimeError | TypeError | ValueError)
        if not used or lock is not self._lock or not (again or isinstance(error, AttributeError)):
            return
        msg = (
            f"lock= could not be entered a second time ({type(error).__name__}), as a long wait requires. "
            f"Nothing was written for {self._target.id}. Pass a function that makes a new context manager"
        )
        raise StateError(msg) from error

    def _count_lock(self, took: float) -> None:
        """Count the seconds that taking the lock took; raise if they have used up the wait budget."""
        budget = self._budget
        left = budget.left()
        if took <= AT_ONCE:
            return
        budget.waited += took
        budget.reasons["lock"] = None
        if left is None or took <= left:
            return
        msg = (
            f"taking lock= for {self._target.id} took {took:.1f} s, past {budget.bound}. "
            "Try again, or allow a longer max_wait"
        )
        raise self._channel.out_of_time(msg, budget, waited=budget.waited)

    def _lose_lock(self, error: Exception) -> None:
        """Note that the lock failed on release, such as one whose lease had run out; the outcome stays what it is."""
        self.lock_lost = True
        with suppress(MetadataWarning):  # a filter may make it an error, which must not hide the outcome
            notice(
                f"lock= for {self._target.id} failed when it was released ({type(error).__name__}), so it may not "
                "have kept other writers out; the result says what was written"
            )

    def _attempt_or_wait(self) -> LongWait | None:
        """Attempt it; return the wait that is due first, None once the outcome is known."""
        try:
            self._attempt()
        except LongWait as wait:
            wait.__cause__ = wait.__context__ = None  # they hold frames that hold what was read
            return wait.with_traceback(None)
        self.ended = True
        return None

    def _deadline(self) -> Deadline | None:
        """Return when the PATCH would rest on a stale read; without a read, when the lock has been held for too long."""
        if self._reading:
            rate = self._channel.bucket(self._target.kind.writes).per_second if self._refills else None
            return self._freshness.until(self._read_at, needed=self._refills / rate if rate else 0.0)
        return None if self._lock is None else self._freshness.until(self._channel.clock.monotonic())

    def _attempt(self) -> None:
        """Read if needed, ask the intent and PATCH; after a lost response, read back and go on from there."""
        found: Mapping[str, Any] | None = None
        time_left = True
        if self._reading:
            self._read_at = self._channel.clock.monotonic()
            # The lock must not be held through a long wait; without one a read may take its time.
            found = self._read(None if self._lock is None else self._deadline())
        while True:
            document = self._intent.document(found, time_left=time_left)
            if not document:
                return
            if self.lost:
                self.doing = "sending it again"
            if self._prepare is not None:
                self._prepare(document)
            if self._patch(document):
                return
            self._budget.see_through()
            time_left = self._back_off()
            found = self._read(None)
            self._reading = True  # from here on there is a read that a long wait makes stale

    def _read(self, deadline: Deadline | None) -> Mapping[str, Any]:
        self._group = self._target.kind.reads
        # The PATCH before it, if any, was refused or is noted as lost.
        self._sent, self._attempts = (self.document, self.document), self._budget.attempts
        if self.lost:
            self.doing = f"reading the {self._target.kind.noun} back"
        self.found = found = read_stored(self._channel, self._target, self._budget, deadline=deadline)
        # Counted from its end: a read that was slow or waited is as fresh as any.
        self._read_at = self._channel.clock.monotonic()
        return found

    def _patch(self, document: Mapping[str, Any]) -> bool:
        """Send one PATCH; return whether it got a response, False if it may or may not have been applied."""
        budget = self._budget
        self._group = self._target.kind.writes
        budget.in_flight = False
        self._sent, self._attempts = (self.document, document), budget.attempts
        self.patching = True
        try:
            found = self._channel.patch(self._target, document, budget, deadline=self._deadline())
        except BaseException as error:
            # What is raised with nothing in flight is about something else: a token, a report of a wait.
            if self._has_left and budget.in_flight:
                self._intent.lost(document, error)
                if may_have_been_applied(error):
                    self.lost, self._cause = True, error
                    self.patching = False
                    return False
            raise
        self.answered = True
        self.patching = False
        self.found = found
        budget.raise_objection()
        return True

    def _back_off(self) -> bool:
        """Pause after a lost response; return False if the budget allows no pause, nor another PATCH."""
        cause = self._cause
        assert cause is not None  # noqa: S101  # for the type checker
        self.doing = f"reading the {self._target.kind.noun} back"
        try:
            self._channel.back_off(cause, self._budget, self._target.kind.reads, "GET", writing=True)
        except BaseException as error:
            if error is cause:
                return False
            raise
        finally:
            del cause
        return True
