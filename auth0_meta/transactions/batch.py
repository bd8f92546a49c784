"""Change many users, one PATCH each, at the tenant's pace and in bounded memory."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Literal

from auth0_meta.arguments import callback, number, whole
from auth0_meta.clock import LOOK_AGAIN, Cancelled
from auth0_meta.errors import BatchError, InputError, OutcomeUnknown, StateError
from auth0_meta.http.budget import MaxWait
from auth0_meta.http.channel import HasChannel
from auth0_meta.http.request import USER, id_of
from auth0_meta.models import BatchOutcome, BatchResult, BatchResults, Progress, User, UserId, Wait
from auth0_meta.ratelimit.concurrency import Concurrency
from auth0_meta.ratelimit.throttle import PACING
from auth0_meta.redact import discreet
from auth0_meta.threads.daemons import join
from auth0_meta.transactions.batch_failures import interrupted, is_for_everybody, lighten
from auth0_meta.transactions.batch_transaction import OF_THE_PARENT, BatchTransaction
from auth0_meta.transactions.options import Oversize, TransactionOptions
from auth0_meta.transactions.transaction import MetadataTransaction
from auth0_meta.transactions.unit import Unit
from auth0_meta.warn import calling_from

# How many users beyond the window may wait for a worker before staging blocks.
_AHEAD = 256
_PROGRESS_EVERY = 0.2
# Seconds after which a worker without work ends; there will be another one if there is work again.
_IDLE = 2.0


@discreet
class MetadataBatch:
    """Stage changes for many users and send one PATCH for each, while staging goes on.

    `user(id)` returns the user's transaction to stage on.  The latest `window` users are held back, so that
    several changes to one user become one PATCH; worker threads send the older ones.  A user who comes up again
    after that gets another PATCH, once the first has ended.  Staging blocks while the workers are behind, so memory
    stays bounded.

    `share`: the part of the rate limit that the batch may use up, above 0 and at most 1 (all of it); the rest is
    left to live applications.  `concurrency`: worker threads; None adds them, up to 64, as long as the tenant can
    take more.  `on_error`: "raise" a `BatchError` at the end if any user failed, or "collect".  `on_result` is
    called with a `BatchResult` for each user, one at a time, in a worker thread; `on_progress` with a `Progress`
    about five times a second, before each wait for a rate limit or an outage, and at the end.  `window`: at least as
    many users as you stage changes on at the same time.  `max_wait`: seconds that one user's waits may take, for a
    tenant that fails too; None for no limit.  `oversize`: as in
    `MetadataTransaction`.  `keep`: how many failures `results` keeps.

    An exception in the block, Ctrl-C included, stops sending: requests in flight are finished, the other users are
    reported as not sent, and the exception propagates.  An error in a callback has the same effect, and so has one
    that would fail every user (`AuthError`, `ScopeError`, `NotSentError`); the block raises it.  While no request
    succeeds, a failing tenant is waited for, for at most 15 minutes (or the client's `failure_wait`, if that is longer);
    then its error ends the batch in the same way.  The client's `on_wait` is called before each of these waits.

    Endpoints: `PATCH /users/{id}`, and `GET /users/{id}` before a nested change; scopes `update:users`, `read:users`.

    >>> with MetadataBatch(tenant.client()) as batch:
    ...     batch.user(user.user_id).app_metadata.set("plan", "pro")
    >>> batch.results
    <BatchResults 1 updated>
    """

    def __init__(
        self,
        client: HasChannel,
        /,
        *,
        share: float = 0.5,
        concurrency: int | None = None,
        on_error: Literal["raise", "collect"] = "raise",
        on_result: Callable[[BatchResult], object] | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        window: int = 1000,
        max_wait: MaxWait = None,
        oversize: Oversize = "warn",
        keep: int = 10_000,
    ) -> None:
        self._share = number("share", share, above=0, most=1)
        self._window = whole("window", window)
        whole("keep", keep)
        if concurrency is not None:
            whole("concurrency", concurrency)
        if on_error not in ("raise", "collect"):
            raise InputError(f"on_error must be 'raise' or 'collect', not {on_error!r}")
        for name, call in {"on_result": on_result, "on_progress": on_progress}.items():
            callback(name, call)
        self._channel = client._channel
        self._options = TransactionOptions(max_wait=max_wait, oversize=oversize, join=False).checked()
        self._channel.budget(max_wait=max_wait)  # refuses a wrong one here, not user by user
        self._raise = on_error == "raise"
        self._on_result = on_result
        self._on_progress = on_progress
        self._concurrency = Concurrency(concurrency, first=1)
        self._first = self._concurrency.limit
        self._lock = threading.Lock()  # guards what follows, up to _report_lock
        self._work = threading.Condition(self._lock)
        self._open: OrderedDict[str, BatchTransaction] = OrderedDict()
        self._sending: dict[str, deque[BatchTransaction]] = {}  # by user: what waits for its earlier PATCH
        self._parked = 0
        self._workers: list[threading.Thread] = []
        self._flushing = False
        self._staged = 0
        self._broken: BaseException | None = None
        self._report_lock = threading.Lock()  # one result at a time reaches results and callbacks
        self._reporter: int | None = None
        self._cancelled = threading.Event()
        # A caller may be interrupted, and in the wait of a Condition an interrupt can lose the lock that is taken again
        # there.  So callers wait for tokens, without the lock; there are at least as many tokens as waiting callers.
        self._tokens: SimpleQueue[None] = SimpleQueue()
        self._waiting = 0
        self._pid = os.getpid()
        self._entered = self._left = False
        self._started = self._reported = 0.0
        self.results = BatchResults(keep=keep)
        """Counts and failures, up to date at any time."""

    def __enter__(self) -> MetadataBatch:
        if self._entered:
            raise StateError("this batch was entered before: open a new one")
        self._entered = True
        self._pid = os.getpid()
        self._channel.outages.start()
        self._started = self._reported = self._channel.clock.monotonic()
        return self

    def __repr__(self) -> str:
        state = "left" if self._left else "open" if self._entered else "not entered"
        return f"<{type(self).__name__} {state}: {self._staged} staged, {self.results!r}>"

    def user(self, user: UserId, /, *, base: User | Mapping[str, Any] | None = None) -> MetadataTransaction:
        """Return the transaction to stage this user's changes on; it is sent later.

        `user`: the user id, or a `User`.  `base`: a profile that the caller holds, which saves a nested change its read (`MetadataTransaction` names the
        risk); it is used if the user is not in the window yet.  Blocks while the workers are behind.  Raises
        `InputError` for a malformed user id, `StateError` outside the block and in a callback, and whatever broke the
        batch.
        """
        while (tx := self._user_at_once(user, base=base)) is None:
            self._wait_for_room()
        return tx

    def _user_at_once(
        self, user: UserId, *, base: User | Mapping[str, Any] | None
    ) -> BatchTransaction | None:
        """Do the work of `user`; return None while there is no room."""
        if not self._entered or self._left or self._reporter == threading.get_ident():
            raise StateError("stage users inside the batch's with block, and not in its callbacks")
        if os.getpid() != self._pid:
            raise StateError(OF_THE_PARENT)
        user_id = id_of(user)
        with self._lock:
            if self._broken is not None:
                raise self._broken
            known = self._open.get(user_id) if isinstance(user_id, str) else None
            if known is not None:
                self._open.move_to_end(user_id)  # the latest `window` users are never taken
                return known
            return self._add(user_id, base) if self._has_room else None

    @property
    def _has_room(self) -> bool:
        return len(self._open) + self._parked < self._window + _AHEAD

    def _wait_for_room(self) -> None:
        """Wait until staging may go on, or the batch is broken."""
        with self._lock:
            if self._has_room or self._broken is not None:
                return
            self._waiting += 1
        self._pause()

    def _pause(self) -> None:
        """Wait for a token."""
        while True:
            with suppress(Empty):
                return self._tokens.get(timeout=LOOK_AGAIN)

    def _wake(self) -> None:
        """Let everybody who waits for room, or for the end, look again; called under the lock."""
        for _ in range(self._waiting):
            self._tokens.put(None)
        self._waiting = 0

    def _add(self, user_id: str, base: User | Mapping[str, Any] | None) -> BatchTransaction:
        """Open a user's transaction, and wake a worker if there is something to send now."""
        options = self._options._replace(base=base)
        unit = Unit(self._channel, user_id, options, share=self._share, cancelled=self._cancelled)
        tx = BatchTransaction._of(unit)
        tx._broken = lambda: self._broken
        self._open[user_id] = tx
        self._staged += 1
        if len(self._open) > self._window:
            self._staff()
            self._work.notify()
        return tx

    # Sending ------------------------------------------------------------------------------------------

    def _staff(self) -> None:
        """Start the first workers."""
        while self._at_work < min(self._first, len(self._open)) and self._hire():
            pass

    @property
    def _at_work(self) -> int:
        """Return how many workers are running; an interrupt may have kept one from being started."""
        return sum(worker.ident is not None for worker in self._workers)

    def _hire(self) -> bool:
        """Start a worker; return False if the machine has no thread left and others can do the work."""
        # Callbacks see the context variables of whoever stages.
        work = copy_context().run
        worker = threading.Thread(target=work, args=(self._run,), name="auth0-meta-batch", daemon=True)
        self._workers.append(worker)  # before an interrupt can come in between
        try:
            worker.start()
        except RuntimeError:
            self._workers.remove(worker)
            if not self._workers and not self._flushing:
                raise
            self._first = max(len(self._workers), 1)
            self._concurrency.cap(self._first)
            return False
        return True

    def _next(self, last: BatchTransaction | None) -> BatchTransaction | None:
        """Return what to send after `last`, None once nothing is left.

        Two PATCHes for one user are never in flight together, or the later one might be applied first.
        """
        with self._lock:
            if last is not None:
                line = self._sending[last.user_id]
                if line:
                    self._parked -= 1
                    self._make_room()
                    return line.popleft()
                del self._sending[last.user_id]
            while True:
                if len(self._open) > (0 if self._flushing else self._window):
                    user_id, tx = self._open.popitem(last=False)
                    if user_id not in self._sending:
                        self._sending[user_id] = deque()
                        self._make_room()
                        return tx
                    self._sending[user_id].append(tx)
                    self._parked += 1
                elif self._flushing:
                    self._wake()
                    return None
                elif not self._work.wait(_IDLE) and not self._flushing and len(self._open) <= self._window:
                    # An interrupt in the first instant of `__exit__` leaves a batch that nobody will end.
                    self._workers.remove(threading.current_thread())
                    return None

    def _make_room(self) -> None:
        """Let staging continue once there is room for many: switching threads for every user costs too much."""
        if len(self._open) + self._parked <= self._window + _AHEAD // 2:
            self._wake()

    def _run(self) -> None:
        """Send one user's change after the other until nothing is left."""
        tx: BatchTransaction | None = None
        while (tx := self._next(tx)) is not None:
            started = self._channel.clock.monotonic()
            result = self._send(tx)
            took = self._channel.clock.monotonic() - started
            self._account(result)
            if len(self._workers) < self._concurrency.most:
                self._grow(took, result)

    def _send(self, tx: BatchTransaction) -> BatchResult:
        """Send one user's change; its failure is a result, not an exception."""
        outcome: BatchOutcome = "not_sent"
        failure: BaseException | None = None
        if not self._cancelled.is_set():
            try:
                budget = tx._unit.budget
                if self._on_progress is not None:
                    budget.on_wait = partial(self._note_wait, budget.on_wait)
                with calling_from(tx._staged_at):
                    tx._send()
            except Cancelled:
                pass
            except BaseException as error:  # noqa: BLE001  # it becomes this user's result, or stops the batch
                outcome, failure = "failed", error
                if is_for_everybody(error, tx._unit.budget):
                    self._stop(error)
                else:
                    lighten(error)
            known = tx._unit.result
            if known is not None and known.outcome in ("updated", "confirmed", "unchanged"):
                outcome, failure = known.outcome, None  # whatever ended it came after that
            elif known is not None and known.outcome == "unknown" and not isinstance(failure, OutcomeUnknown):
                outcome, failure = "failed", interrupted(tx.user_id, failure)
        cost = tx._unit.budget
        return BatchResult(
            user_id=tx.user_id,
            outcome=outcome,
            requests=cost.requests,
            waited=cost.waited,
            error=failure,
        )

    def _account(self, result: BatchResult) -> None:
        """Count a result and tell the callbacks."""
        with self._report_lock:
            self.results._add(result)
            self._tell(result)

    def _note_wait(self, on_wait: Callable[[Wait], object] | None, wait: Wait) -> None:
        """Pass on that a worker waits.  Nobody may get a result for minutes, so the progress says why."""
        if on_wait is not None:
            on_wait(wait)
        if wait.reason != PACING:
            with self._report_lock:
                self._tell(None, waiting=f"{wait.reason}, {wait.seconds:.0f} s")

    def _tell(self, result: BatchResult | None, *, waiting: str = "") -> None:
        """Call the callbacks; an error of theirs stops the batch and reaches the caller."""
        self._reporter = threading.get_ident()
        try:
            if result is not None and self._on_result is not None:
                self._on_result(result)
            if self._on_progress is not None:
                now = self._channel.clock.monotonic()
                if waiting or now - self._reported >= _PROGRESS_EVERY:
                    self._reported = now
                    self._on_progress(self._progress(now, waiting))
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            self._stop(error)
        finally:
            self._reporter = None

    def _progress(self, now: float, waiting: str = "") -> Progress:
        seconds, done = now - self._started, self.results.done
        rate = done / seconds if seconds > 0 else 0.0
        return Progress(
            staged=self._staged,
            done=done,
            failed=self.results.counts["failed"],
            seconds=seconds,
            per_second=rate,
            waiting=waiting,
        )

    def _stop(self, error: BaseException) -> None:
        """Send no more, and raise `error` in the caller's thread."""
        self._cancelled.set()
        with self._lock:
            self._broken = self._broken or error
            self._wake()

    def _grow(self, took: float, result: BatchResult) -> None:
        """Add a worker if users are waiting to be sent and the concurrency rule allows one more."""
        rate = self._channel.bucket(USER.writes).per_second
        with self._lock:
            self._concurrency.answered(
                took - result.waited, requests=result.requests, waited=result.waited, per_second=rate
            )
            behind = len(self._open) > (0 if self._flushing else self._window)
            if behind and len(self._workers) < self._concurrency.limit:
                self._hire()

    # Leaving ------------------------------------------------------------------------------------------

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if os.getpid() != self._pid:
                return  # a forked child: the parent's workers, which it does not have, send what is staged
            self._left = True
            if error is not None:
                self._cancelled.set()
            self._finish()
        except BaseException:  # a second Ctrl-C, or one while the rest was being sent
            self._left = True
            self._cancelled.set()
            self._finish()
            raise
        broken = self._broken
        # Cancelled only means that something else broke.
        if error is not None and not isinstance(error, Cancelled):
            if broken is not None and error.__context__ is None and broken is not error:
                error.__context__ = broken
            return
        if broken is not None:
            raise broken
        failed = self.results.counts["failed"]
        if failed and self._raise:
            first = self.results.failures[0]
            msg = (
                f"{failed} of {self.results.done} users failed; the first is {first.user_id}: {first.error}. "
                f"All results: {self.results}. See .results.failures"
            )
            raise BatchError(msg, results=self.results)

    def _finish(self) -> None:
        """Let the workers empty the window, wait for them, and report the last progress."""
        with self._lock:
            self._flushing = True
            self._staff()
            self._work.notify_all()
            alone = not self._at_work
        if alone:  # the machine has no thread left: do it here
            self._run()
        while not alone:
            with self._lock:
                if not self._open and not self._sending:
                    break
                self._waiting += 1
            self._pause()  # not join: one that Ctrl-C interrupts can't be trusted the next time (bpo-45274)
        for worker in self._workers:
            join(worker)
        if self._on_progress is not None:
            try:
                self._on_progress(self._progress(self._channel.clock.monotonic()))
            except Exception as error:  # noqa: BLE001  # as in _account
                self._stop(error)
