"""Carry one commit through: lock, read, compare, compute, PATCH, and find out what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import Any

from auth0_meta.changes import rules
from auth0_meta.changes.change import Change
from auth0_meta.changes.jsonvalue import Bag, json_equal
from auth0_meta.changes.profile import check_stored, stored_bag
from auth0_meta.changes.rules import read
from auth0_meta.errors import (
    ConflictError,
    InputError,
    MetadataError,
    OutcomeUnknown,
    ServerError,
    StateError,
)
from auth0_meta.http.budget import Deadline, Freshness, LongWait, WaitBudget
from auth0_meta.http.channel import Channel
from auth0_meta.http.request import Target
from auth0_meta.models import Outcome, User
from auth0_meta.transactions.options import Lock
from auth0_meta.transactions.readback import LostAnswer
from auth0_meta.warn import notice

Reads = Mapping[tuple[Bag, tuple[str, ...]], Any]
"""What a block has read: (bag, path) -> what was stored there."""

_PATIENCE = 1.0


class Terms:
    """Hold what one transaction was opened with."""

    __slots__ = ("base_check", "lock", "oversize", "target", "user_id")

    def __init__(self, *, target: Target, lock: Lock | None, oversize: str, base_check: bool) -> None:
        self.target = target
        self.user_id = target.id
        self.lock = lock
        self.oversize = oversize
        self.base_check = base_check

    def take(self, held: ExitStack, *, again: bool) -> None:
        """Enter the lock, or a new one from the given function; say so where it can't be taken twice."""
        if self.lock is None:
            return
        lock = self.lock if isinstance(self.lock, AbstractContextManager) else self.lock()
        if not isinstance(lock, AbstractContextManager):
            msg = (
                f"lock= is a function that returned {type(lock).__name__}, which is no context manager. "
                f"Nothing was written for {self.user_id}"
            )
            raise InputError(msg)
        try:
            held.enter_context(lock)
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            if lock is not self.lock or not (again or isinstance(error, AttributeError)):
                raise
            msg = (
                f"lock= could not be entered a second time ({type(error).__name__}): it has to be, after a long wait. "
                f"Nothing was written for {self.user_id}. Pass a function that makes a new context manager"
            )
            raise StateError(msg) from error


def read_profile(
    channel: Channel, target: Target, budget: WaitBudget, *, deadline: Deadline | None = None
) -> Mapping[str, Any]:
    """Read the user and check that both bags are objects to work with."""
    profile = channel.read(target, budget, deadline=deadline)
    check_stored(profile)
    return profile


class Commit:
    """Send one change, as the promises of a transaction say.

    `base` is a profile already known, or None; `base_given` says that the caller vouches for it, so that
    nothing is read.  `reads` is what the block has read.
    """

    def __init__(
        self,
        channel: Channel,
        terms: Terms,
        budget: WaitBudget,
        *,
        change: Change,
        base: Mapping[str, Any] | None,
        base_given: bool,
        reads: Reads,
    ) -> None:
        self._channel = channel
        self._terms = terms
        self._budget = budget
        self._change = change
        self._known = base
        self._reads = reads
        self._reading = terms.base_check or (not base_given and (change.needs_base or bool(reads)))
        self._base: Mapping[str, Any] | None = base if base_given else None
        self._group = terms.target.kind.writes
        self._again = False
        self._freshness = Freshness(_PATIENCE)
        self._read_at = 0.0
        self._warned = False
        self._doubt: LostAnswer | None = None
        self._doing = "sending it"
        self.outcome: Outcome = "failed"
        """What became of it; "failed" until that is known, "unknown" where it can't be."""
        self.document: Mapping[str, Any] = {}
        """The last PATCH body, as sent."""
        self.user: User | None = None
        """The profile as last seen."""

    def run(self) -> None:
        """Send the change; `outcome` tells what became of it.

        Once a PATCH is in doubt, whatever ends this unfinished is raised as `OutcomeUnknown`.
        """
        if not self._change or (self._known is not None and not self._change.document(self._known)):
            self.outcome = "unchanged"
            return
        try:
            while (wait := self._locked()) is not None:
                self._again = True
                self._freshness.note(wait)
                self._channel.wait_out(wait, self._budget, self._group)
        except BaseException as error:
            if self._doubt is not None and self.outcome == "failed":
                self.outcome = "unknown"
                if isinstance(error, Exception) and not isinstance(error, OutcomeUnknown):
                    raise self._doubt.error(f"{self._doing} failed ({type(error).__name__})") from error
            raise

    def _locked(self) -> LongWait | None:
        """Attempt it under the lock; return the wait that is due first, to be spent without the lock."""
        failure: BaseException | None = None
        with ExitStack() as held:
            self._terms.take(held, again=self._again)
            try:
                self.outcome = self._attempt()
                return None
            except LongWait as wait:
                return wait
            except BaseException as error:
                failure = error
                raise
        assert failure is not None  # noqa: S101  # every other way has left
        raise failure  # a lock must not swallow it

    def _until(self) -> Deadline | None:
        """Return how long the PATCH may wait before the base is out of date, or just the lock held for too long."""
        if self._reading:
            return self._freshness.until(self._read_at)
        return None if self._terms.lock is None else self._freshness.until(self._channel.clock.monotonic())

    def _attempt(self) -> Outcome:
        """Read if needed, compute and PATCH; after a lost answer, find out and go on from there."""
        fresh, time_left = None, True
        if self._reading:
            self._read_at = self._channel.clock.monotonic()
            fresh = self._read(None if self._terms.lock is None else self._until())
        while True:
            if fresh is not None:
                if self._stands(fresh, time_left=time_left):
                    return "confirmed"
                self._base = fresh
            document, after = self._change.applied_to(self._base)
            if not document:
                return "unchanged" if self._doubt is None else "confirmed"
            if self._patch(document, after):
                return "updated"
            self._budget.see_through(self._channel.clock)
            time_left = self._back_off()
            fresh = self._read(None)
            self._reading = True  # from here on there is a base that a long wait makes old

    def _read(self, until: Deadline | None) -> Mapping[str, Any]:
        """Read the user afresh."""
        self._group = self._terms.target.kind.reads
        if self._doubt is not None:
            self._doing = "reading the user back"
        fresh = read_profile(self._channel, self._terms.target, self._budget, deadline=until)
        self._read_at = self._channel.clock.monotonic()
        self.user = User(fresh)
        return fresh

    def _stands(self, fresh: Mapping[str, Any], *, time_left: bool) -> bool:
        """Tell whether what is in doubt is found applied; raise where the change must not be sent (again).

        A change that counts up, appends, or rests on what was read is computed again only to the same document:
        the one in doubt may yet be applied, and then both have the effect of one.
        """
        differing, doubt = self._differing(fresh), self._doubt
        if doubt is None:
            if differing:
                raise self._conflict(differing)
            return False
        if doubt.applied(fresh):
            return True
        why = "what is stored now is not what was sent, and not what the change was computed on"
        repeatable = (self._change.repeatable and not self._reads) or doubt.as_before(fresh)
        if differing or not repeatable:
            raise doubt.error(why, found=fresh) from doubt.cause
        if not time_left:
            why = f"it was not there when read back, and {self._budget.bound} leaves no time to send it again"
            raise doubt.error(why, found=fresh) from doubt.cause
        self._doing = "sending it again"
        return False

    def _conflict(self, differing: tuple[tuple[Bag, tuple[str, ...]], ...]) -> ConflictError:
        where = ", ".join(".".join((bag, *path)) for bag, path in differing)
        msg = (
            f"{self._terms.user_id} has changed since this transaction read it: {where}. Nothing was written. "
            "Run the work again on fresh data (client.run_transaction does)"
        )
        return ConflictError(msg, user_id=self._terms.user_id, paths=differing)

    def _differing(self, profile: Mapping[str, Any]) -> tuple[tuple[Bag, tuple[str, ...]], ...]:
        """Return where `profile` is not what the block has read."""
        return tuple(
            (bag, path)
            for (bag, path), seen in self._reads.items()
            if not json_equal(seen, read(stored_bag(profile, bag), path))
        )

    def _patch(self, document: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
        """Send one PATCH; True once it is answered, False where its outcome is in doubt."""
        user_id, target = self._terms.user_id, self._terms.target
        self._check_profile(after)
        self._group = target.kind.writes
        attempts = self._budget.attempts
        try:
            profile = self._channel.patch(target, document, self._budget, deadline=self._until())
        except BaseException as error:
            if self._budget.attempts == attempts or not self._budget.in_flight:
                raise  # it is about something else: a token, a report of a wait
            self._doubt = LostAnswer(user_id, self._change, document, self._base, error)
            if isinstance(error, (OutcomeUnknown, ServerError)):
                return False
            raise
        finally:
            self.document = document if self._budget.attempts > attempts else self.document
        self.user = User(profile)
        return True

    def _check_profile(self, after: Mapping[str, Any]) -> None:
        """Warn once of a profile past 10 KB, or refuse it; of an unknown one at least what is staged counts."""
        if self._terms.oversize == "off" or self._warned:
            return
        now, then = rules.profile_size(self._base or {}), rules.profile_size(after)
        if then <= rules.PROFILE_LIMIT:
            return
        msg = (
            f"the profile of {self._terms.user_id} would take {then} B{' or more' if self._base is None else ''}, past Auth0's limit of {rules.PROFILE_LIMIT} B: "
            "keep large data elsewhere and a pointer in app_metadata"
        )
        if self._terms.oversize == "error" and then >= now:  # what makes it smaller is welcome
            msg += ". Nothing was written"
            raise MetadataError(msg)
        self._warned = True
        notice(msg)

    def _back_off(self) -> bool:
        """Wait a moment after a lost answer; False where the budget has no room for it, nor for another PATCH."""
        assert self._doubt is not None  # noqa: S101  # for the type checker
        self._doing = "reading the user back"
        try:
            self._channel.back_off(
                self._doubt.cause, self._budget, group=self._terms.target.kind.reads, method="GET"
            )
        except (OutcomeUnknown, ServerError):
            return False
        return True
