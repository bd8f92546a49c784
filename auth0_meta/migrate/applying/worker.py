"""Do one user's part of a migration: read, compare, send at most one change, and report what became of it.

The intent is on disk before a task is handed out, so whatever happens here, a later run can find out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from auth0_meta import errors
from auth0_meta.changes.profile import repair, stored_bag
from auth0_meta.clock import Cancelled
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import HasChannel
from auth0_meta.http.request import Target
from auth0_meta.migrate.applying.task import Outcome, Task, TaskResult
from auth0_meta.migrate.blame import is_everybodys, is_gone, is_open
from auth0_meta.migrate.ledger.compare import (
    after_image,
    broken_since,
    holds,
    holds_object,
    image_of,
    undo_document,
)
from auth0_meta.migrate.offloading.keeper import Keeper
from auth0_meta.models import Wait
from auth0_meta.ratelimit.throttle import PACING, RATE_LIMIT
from auth0_meta.telemetry import log
from auth0_meta.transactions.readback import may_have_been_applied
from auth0_meta.transactions.write import Write

# Twice a transaction's: at the pace of a bulk run, and of a bucket with few tokens, reading again costs a token that
# another user's PATCH then waits for.
_FRESH_FOR = 2.0
# Reading again takes a token too, so a PATCH may wait for that many in any case, or it would never be sent.
_REFILLS = 2.5
# A `StoredDataError`, which reading back may raise, says this.
_NOT_WRITTEN = "nothing was written"


def work(
    client: HasChannel,
    task: Task,
    *,
    share: float,
    trust: bool = False,
    keeper: Keeper | None = None,
    cancelled: threading.Event | None = None,
    on_wait: Callable[[Wait], object] | None = None,
) -> TaskResult:
    """Carry out a task and return what became of it.

    `trust`: don't read first.  `keeper`: stores the values that an offload's PATCH replaces, before it is sent.
    """
    channel = client._channel
    budget = channel.budget(task.user_id, None, share=share, cancelled=cancelled)

    def report(wait: Wait) -> None:
        if cancelled is not None and cancelled.is_set() and wait.reason not in (RATE_LIMIT, PACING):
            # Only bulk work waits an outage out, and not in a run that is to end.
            budget.share = None
        if on_wait is not None:
            on_wait(wait)

    budget.on_wait = report
    intent = _Undo(task, budget) if task.kind == "undo" else _Apply(task, budget, reads=not trust)
    target = Target.user(task.user_id)
    prepare = None if keeper is None else partial(keeper.keep, task.user_id, task.before, channel, budget)
    write = Write(channel, target, intent, budget, fresh_for=_FRESH_FOR, refills=_REFILLS, prepare=prepare)
    started = channel.clock.monotonic()
    more: dict[str, Any] = {}
    failure: str | None = None
    try:
        write.run()
        outcome, more = intent.ended(write.found if write.answered else None)
    except Cancelled:
        outcome = "cancelled"
    except errors.Auth0MetaError as error:
        refused = write.patching and isinstance(error, errors.ApiError) and not may_have_been_applied(error)
        intent.tried |= refused and not is_everybodys(error)
        outcome, more = _failure(error, intent, outage=budget.outage)
        failure = type(error).__name__
    finally:
        budget.on_wait = None  # this cycle would keep the run alive, and with it the lock of its job file
    seconds = channel.clock.monotonic() - started
    log.log_user(
        task.kind,
        task.user_id,
        outcome,
        requests=budget.requests,
        seconds=seconds,
        waited=budget.waited,
        error=failure,
    )
    return TaskResult(
        n=task.n,
        user_id=task.user_id,
        outcome=outcome,
        in_doubt=intent.in_doubt,
        tried=intent.tried,
        requests=budget.requests,
        patches=budget.attempts,
        refusals=budget.refusals,
        waited=budget.waited,
        seconds=seconds,
        **more,
    )


def _failure(error: errors.Auth0MetaError, intent: _Task, *, outage: bool) -> tuple[Outcome, dict[str, Any]]:
    """Decide whether an error fails one user or stops the run, and what is said about it."""
    if is_gone(error):
        return "gone", {"note": "the user does not exist any more"}
    note = str(error)
    if intent.in_doubt and error is intent.cause:
        got = f"a {error.status}" if isinstance(error, errors.ApiError) else "no usable response"
        note = f"its PATCH got {got} again and again, and may have been applied: look at this user"
    elif intent.in_doubt:
        # The error is about the last request, and an earlier one is in doubt.
        note = note.replace(_NOT_WRITTEN, "an earlier PATCH may have been applied")
        note = f"a PATCH may have been applied, and finding out failed: look at this user. {note}"
    if is_everybodys(error):
        return "stopped", {"note": note, "error": error}
    if is_open(error):
        return "failed", {"note": note, "error": error, "outage": outage}
    return "failed", {"note": note}


class _Task:
    """What one task is to bring about: the intent of a `Write`; `in_doubt` and `tried` are as in `Task`."""

    def __init__(self, task: Task, budget: WaitBudget, *, reads: bool = True) -> None:
        self._budget = budget
        self._plan, self._before, self._after = task.document, task.before, task.after
        self.cause: BaseException | None = None
        self._end: tuple[Outcome, dict[str, Any]] = ("done", {})
        self.in_doubt, self.tried = task.in_doubt, task.tried
        self.reads = reads or task.in_doubt

    def lost(self, document: Mapping[str, Any], cause: BaseException) -> None:
        """Note that a PATCH has left and may or may not have been applied."""
        self.in_doubt = True
        self.cause = cause
        # Follow it to its end even if the run is cancelled, so that nobody has to ask.
        self._budget.cancelled = None

    def ended(self, stored: Mapping[str, Any] | None) -> tuple[Outcome, dict[str, Any]]:
        """Return how it ended; `stored` is the profile after the PATCH, None if none got a response."""
        return self._end

    def _require_time(self, *, time_left: bool) -> None:
        """Raise what lost the last PATCH if there is no time to send another one."""
        if not time_left and self.cause is not None:
            raise self.cause


class _Apply(_Task):
    """Bring a user from before to after, unless something else is stored there."""

    def document(self, found: Mapping[str, Any] | None, *, time_left: bool) -> Mapping[str, Any]:
        """Return the planned document if the user is as before, {} if there is nothing to send."""
        if found is None:
            return self._plan
        for bag in broken_since(found, self._plan, self._before):
            stored_bag(found, bag)  # raises
        if holds(found, self._plan, self._after):
            self._end = ("done" if self.in_doubt or self.tried else "same"), {}
            return {}
        if not holds(found, self._plan, self._before):
            self._end = ("unclear" if self.in_doubt else "drifted"), {"found": found}
            return {}
        self._require_time(time_left=time_left)
        # As before: what had left was not applied.  If somebody else writes from here on, that is drift, to be
        # planned again, and not a case for a person.
        self.in_doubt = self.tried = False
        return self._plan

    def ended(self, stored: Mapping[str, Any] | None) -> tuple[Outcome, dict[str, Any]]:
        if stored is None:
            return self._end
        if holds(stored, self._plan, after_image(self._plan)):
            return "done", {}
        touched = {
            bag: keys or dict.fromkeys(self._before.get(bag, {}) if holds_object(self._before, bag) else ())
            for bag, keys in self._plan.items()
        }
        return "done", {"after": image_of(touched, stored)}


class _Undo(_Task):
    """Restore the keys that still hold what was written."""

    def document(self, found: Mapping[str, Any] | None, *, time_left: bool) -> Mapping[str, Any]:
        """Return what restores these keys, {} if there are none."""
        assert found is not None  # noqa: S101  # an undo always reads
        body, kept = undo_document(found, self._plan, self._before, self._after)
        self._end = ("kept", {"kept": kept}) if kept else ("undone", {})
        for bag in broken_since(found, self._plan, self._before):
            if not body:
                stored_bag(found, bag)  # raises
            # The other bag is restored; the next undo tries again.
            note = f"{bag} is not stored as an object now, so nothing in it was restored. {repair(bag)}"
            self._end = "failed", {"note": note}
        if body:
            self._require_time(time_left=time_left)
            self.in_doubt = False  # as it was written: what had left was not applied
        return body
