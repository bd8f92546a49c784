"""Coordinate an apply or an undo: the ledger's one writer, which hands out tasks and records their results."""

from __future__ import annotations

import contextlib
import queue
from collections import deque
from collections.abc import Mapping
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

import attrs

from auth0_meta.http.channel import HasChannel
from auth0_meta.http.request import USER, Target
from auth0_meta.migrate.applying.interrupts import interrupts
from auth0_meta.migrate.applying.metrics import Metrics
from auth0_meta.migrate.applying.run_result import RunResult
from auth0_meta.migrate.applying.settings import Settings
from auth0_meta.migrate.applying.task import Outcome, Task, TaskResult
from auth0_meta.migrate.applying.worker import work
from auth0_meta.migrate.blame import InARow
from auth0_meta.migrate.events import ApplyProgress, MigrationEvent, UserDone
from auth0_meta.migrate.ledger.compare import kept_note
from auth0_meta.migrate.ledger.ledger import Ledger, Settled
from auth0_meta.migrate.ledger.records import STEPS, Kind, Plan, Record
from auth0_meta.migrate.ledger.sqlite import damaged
from auth0_meta.migrate.offloading.keeper import Keeper
from auth0_meta.migrate.planning.replan import DriftPolicy, replan
from auth0_meta.migrate.planning.sandbox import Evaluator
from auth0_meta.migrate.waits import Waits
from auth0_meta.models import Wait
from auth0_meta.ratelimit.concurrency import MOST_WORKERS, Concurrency
from auth0_meta.threads.daemons import StopFlag, Threads

_FIRST_WORKERS = 4
_GROUP = 50
"""Users per commit of the ledger, at most: a commit costs a sync of the disk."""
_LINGER = 0.01
"""Seconds to wait for another result that can share a commit."""
_OVERHEAD = 0.04
"""Seconds that a user waits for the commits before and after its task, about."""
_TURN = 0.5
"""Seconds after which a turn is made, and progress reported, even if no result has come."""
_PROGRESS_EVERY = 0.2
_OTHERS = 50
"""Users of the job who are tried if the first ones fail: is the tenant down?"""
_DRAIN = 40.0
"""Seconds to wait for a worker after the run has failed: more than one request can take."""
_MOST_REPLANS = 3
_STALLS, _STALLED, _MOST_STALLED = ("server error", "connection"), 3, 16
"""A user stalls from the third wait for one of these reasons; beyond so many stalled ones there may be an outage."""
Conclusion = tuple[Outcome | None, str, Plan | None]
"""Outcome, note, and the new plan, if one was made; without an outcome the user is tried again with that plan."""
_TYPICAL = ("done", "undone")
"""Outcomes that cost as much as most users do, and so show how fast the tenant responds."""


class Runner:
    """Work off what is open in a ledger; use it once.  See `auth0_meta.migrate.apply` for the arguments."""

    def __init__(
        self,
        ledger: Ledger,
        client: HasChannel,
        settings: Settings,
        *,
        kind: Kind,
        trust: bool = False,
        drift: DriftPolicy = "replan",
        evaluator: Evaluator | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self._ledger, self._client, self._channel, self._step = ledger, client, client._channel, STEPS[kind]
        self._settings, self._trust, self._drift = settings, trust, drift
        self._evaluator, self._keeper = evaluator, keeper
        self._now = client._channel.clock.monotonic
        self._stop, self._interrupted = StopFlag(settings.cancel), False
        self._executor = settings.executor or Threads(
            settings.concurrency or MOST_WORKERS, name="auth0-meta-migrate"
        )
        self._concurrency = Concurrency(settings.concurrency, first=_FIRST_WORKERS, overhead=_OVERHEAD)
        # A user goes from `_doubts` or the ledger through these, in this order.
        self._doubts: deque[int] = deque()
        self._claimed: deque[Record] = deque()
        self._flying: dict[int, Record] = {}
        # Results lie here until they are judged.  The queue only wakes this thread up, so that an interrupt which
        # hits it while it waits loses nothing.
        self._landed: dict[int, Future[TaskResult]] = {}
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._settled: list[Settled] = []
        self._replanned: list[Record] = []
        self._finished: deque[UserDone] = deque()
        self._replans: dict[int, int] = {}
        self._failures: InARow[tuple[Record, TaskResult]] = InARow()
        self._cursor, self._exhausted = 0, False
        self._error: BaseException | None = None
        self._last_progress = 0.0
        self._waits = Waits(
            self._now, settings.on_event
        )  # no method of this object: a cycle would keep the lock
        self._stalled: set[str] = set()
        """Users whose requests keep failing: they take up no room."""

    # The loop -----------------------------------------------------------------------------------------

    def run(self) -> RunResult:
        """Work until nothing is open, the run is cancelled, or going on is pointless; then raise what stopped it."""
        idle = False
        try:
            with interrupts(self._press):
                self._begin()
                self._loop()
                result = self._end()
            idle = True
        except BaseException as error:
            second = self._stop.is_set() and isinstance(error, KeyboardInterrupt)
            self._stop.set()
            if not second:  # whoever pressed Ctrl-C twice won't wait
                idle = self._drain()
            raise
        finally:
            if self._settings.executor is None:
                # An interrupt inside `_submit` may have left a task that nobody waits for; the next run must not meet it.
                self._executor.shutdown(wait=idle, cancel_futures=True)
        if self._error is not None:
            raise self._error
        if self._interrupted:
            raise KeyboardInterrupt
        return result

    def _loop(self) -> None:
        while True:
            try:
                self._turn()
                if self._flying or not (self._exhausted or self._stopping):
                    self._gather()
                elif self._failures:
                    self._judge_the_last()
                else:
                    return
            except KeyboardInterrupt:
                self._press()

    def _press(self) -> None:
        """Ask this run to stop, or end it at once if somebody has asked already; a signal handler calls this."""
        if self._stop.is_set():
            raise KeyboardInterrupt
        self._stop.set()
        self._interrupted = True

    @property
    def _stopping(self) -> bool:
        return self._stop.is_set() or self._error is not None

    def _begin(self) -> None:
        ledger, step = self._ledger, self._step
        some = ledger.records(limit=_OTHERS)
        self._channel.outages.start(Target.user(user.user_id) for user in some)
        now = self._began = self._last_result = self._now()
        with ledger.group():
            ledger.move(step.retried, step.start)
            self._doubts.extend(ledger.numbers(step.doubts))
            counts = ledger.counts()
            total = counts[step.start] + len(self._doubts)
            self._before = sum(counts[state] for state in step.finished)
            self._metrics = Metrics(now, total=total, per_user=1 if self._trust else 2)
            self._facts: dict[str, Any] = {
                "started": round(self._channel.clock.time(), 3),
                "share": self._settings.share,
                "trust_plan": self._trust,
                "drift": self._drift,
                "migration": self._evaluator is not None,
                "ended": "running",
            }
            self._run = ledger.begin_run(step.kind, self._facts | self._metrics.facts(now))

    def _turn(self) -> None:
        """Record what has been settled and claim who is next, in one commit; then hand out the tasks."""
        if self._stopping:
            self._stop.set()
        ledger, step, now = self._ledger, self._step, self._now()
        settled, replanned = list(self._settled), list(self._replanned)
        claimed: list[Record] = []
        with ledger.group():
            ledger.settle(settled)
            if not self._stopping:
                # A quarter more than are worked on, so that no worker waits for the next commit.
                limit = self._concurrency.limit + self._room_for_stalled
                claimed = self._claim(max(0, limit + limit // 4 - len(self._flying) - len(replanned)))
            if claimed and step.kind == "undo" and not ledger.facts.get("undo"):
                ledger.store_facts(undo=True)
            if settled:
                ledger.update_run(self._run, self._facts | self._metrics.facts(now), self._metrics.ticks(now))
        del self._settled[: len(settled)], self._replanned[: len(replanned)]
        self._claimed.extend((*replanned, *claimed))
        while self._claimed:
            self._submit(self._claimed.popleft())
        while self._finished:
            self._emit(self._finished.popleft())
        if now - self._last_progress >= _PROGRESS_EVERY:
            self._emit_progress(now)

    @property
    def _room_for_stalled(self) -> int:
        """Return how many users more to have under way because others do nothing but wait for their next try."""
        return 0 if self._settings.concurrency else min(len(self._stalled), _MOST_STALLED)

    def _claim(self, free: int) -> list[Record]:
        """Claim the next users: first those in doubt, then the others in the plan's order."""
        step, free = self._step, min(free, _GROUP)
        numbers = [self._doubts.popleft() for _ in range(min(free, len(self._doubts)))]
        users = self._ledger.claim_numbers(numbers, step.claimed)
        if len(users) < free and not self._exhausted:
            fresh = self._ledger.claim(step.start, step.claimed, free - len(users), after=self._cursor)
            self._exhausted = len(fresh) < free - len(users)
            self._cursor = fresh[-1].n if fresh else self._cursor
            users += fresh
        return users

    def _submit(self, user: Record) -> None:
        task = Task(
            n=user.n,
            user_id=user.user_id,
            kind=self._step.kind,
            document=user.plan.document,
            before=user.plan.before,
            after=user.plan.written,
            in_doubt=user.state != self._step.start,
            tried=user.tried,
        )

        # Made anew for each task: kept in this object, it would be part of a cycle, which would keep the ledger, and its
        # lock, alive after an interrupt.
        call = partial(
            work,
            self._client,
            share=self._settings.share,
            trust=self._trust,
            keeper=self._keeper,
            cancelled=self._stop,
            on_wait=self._note_wait,
        )

        def land(done: Future[TaskResult]) -> None:
            self._landed[user.n] = done
            self._wake.put(None)

        self._executor.submit(call, task).add_done_callback(land)
        self._flying[user.n] = user  # last: whoever is in here lands for sure

    def _gather(self) -> None:
        """Wait for the first result, and a moment for those that come with it: they share a commit."""
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=_TURN)
            while len(self._landed) < _GROUP:
                more = len(self._flying) > len(self._landed)
                self._wake.get(timeout=_LINGER if more else 0)
        if self._landed:
            self._last_result = self._now()
        for n in list(self._landed):
            future, user = self._landed.pop(n), self._flying.pop(n, None)
            if user is None:  # an interrupt hit `_submit`: the ledger has the user as in doubt
                continue
            error = CancelledError() if future.cancelled() else future.exception()
            if error is not None:  # a defect: the user stays in doubt, and the run ends with it
                self._error = self._error or error
                continue
            result = future.result()
            self._settle(user, result)
            stalled = user.user_id in self._stalled
            self._stalled.discard(user.user_id)
            self._concurrency.answered(
                result.seconds - result.waited,
                requests=result.requests,
                waited=0.0 if stalled else result.waited,
                per_second=self._channel.bucket(USER.writes).per_second,
                typical=result.outcome in _TYPICAL,
            )

    # What becomes of a user ---------------------------------------------------------------------------

    def _settle(self, user: Record, result: TaskResult) -> None:
        """Decide what a result means for this user and for the run."""
        if result.outcome in ("cancelled", "stopped"):
            self._put_back(user, result)
        elif result.outcome == "failed" and result.error is not None:
            if self._failures.add((user, result), outage=result.outage):
                self._put_back_failures()
        else:
            for failed in self._failures.note_success():
                self._finish(*failed)
            self._finish(user, result)

    def _judge_the_last(self) -> None:
        """Decide about failures after which no user has succeeded."""
        if self._stopping or self._failures.is_outage:
            self._put_back_failures()
        for failed in self._failures.take():
            self._finish(*failed)

    def _put_back_failures(self) -> None:
        error = self._failures.last[1].error if self._failures else None
        if error is not None and not self._stopping:
            self._error = self._failures.explain(
                error, "No user was marked as failed because of it: run the same command again to resume"
            )
        for failed in self._failures.take():
            self._put_back(*failed)

    def _put_back(self, user: Record, result: TaskResult) -> None:
        """Leave a user to the next run."""
        if not self._stop.is_set():  # who asks a run to stop need not hear why it would have ended
            self._error = self._error or result.error
        self._metrics.add(result, self._now(), outcome=None)
        # In doubt the user must stay claimed.  Back at the start, a PATCH that was applied would be taken for
        # somebody else's by the next run ("same"), and undo would leave it.
        state = self._step.claimed if result.in_doubt else self._step.start
        self._settled.append(Settled(user, state, tried=result.tried))

    def _finish(self, user: Record, result: TaskResult) -> None:
        """Decide what the ledger is to say about a user; the next turn writes it."""
        step, now = self._step, self._now()
        outcome, note, plan = self._conclude(user, result)
        self._metrics.add(result, now, outcome=outcome)
        if outcome is None:
            assert plan is not None  # noqa: S101  # for the type checker
            self._settled.append(Settled(user, step.claimed, None, plan))
            self._replanned.append(Record(user.n, user.user_id, step.start, plan))
            return
        self._replans.pop(user.n, None)
        self._settled.append(Settled(user, step.end(outcome), note or None, plan, tried=result.tried))
        done = UserDone(
            user_id=user.user_id, outcome=outcome, requests=result.requests, seconds=result.seconds, note=note
        )
        self._finished.append(done)

    def _conclude(self, user: Record, result: TaskResult) -> Conclusion:
        if result.found is not None:
            return self._replan(user, result.outcome, result.found)
        if result.outcome == "failed" and result.in_doubt and self._step.kind == "apply":
            return "unclear", result.note, None
        if result.outcome == "kept":
            return "kept", kept_note(result.kept), None
        plan = None if result.after is None else attrs.evolve(user.plan, after=result.after)
        return result.outcome, result.note, plan

    def _replan(self, user: Record, outcome: Outcome, found: Mapping[str, Any]) -> Conclusion:
        """Decide about a user whose touched keys are neither as before nor as after."""
        if outcome == "unclear" and self._drift != "overwrite":
            note = "a PATCH may have been applied, and a touched key has changed since: look at this user"
            return outcome, note, None
        times = self._replans.get(user.n, 0)
        if times >= _MOST_REPLANS:
            return outcome, f"replanned {times} times, and each time it had changed again", None
        self._replans[user.n] = times + 1
        from_file = self._ledger.facts.get("kind") == "changes"
        known = {"from_change_file": from_file, "moves": self._keeper is not None}
        plan = replan(user.plan, found, self._evaluator, policy=self._drift, **known)
        if isinstance(plan, str):
            return outcome, plan, None
        return (None, "", plan) if plan is not None else ("same", "", None)

    # Ending -------------------------------------------------------------------------------------------

    def _end(self) -> RunResult:
        now = self._now()
        interrupted = self._stop.is_set() and self._error is None
        stopped = f"stopped by {type(self._error).__name__}" if self._error is not None else "finished"
        ended = "interrupted" if interrupted else stopped
        metrics = self._metrics
        with self._ledger.group():
            facts = self._facts | metrics.facts(now) | {"ended": ended}
            self._ledger.update_run(self._run, facts, metrics.ticks(now))
        self._emit_progress(now)
        counts = self._ledger.counts()
        step = self._step
        remain = sum(counts[state] for state in step.remaining)
        # Users whose undo failed are where they were; anybody else who is left over contradicts the file.
        tried = sum(n for outcome, n in metrics.counts.items() if step.end(outcome) in step.remaining)
        if ended == "finished" and remain > tried:
            raise damaged(self._ledger.path)
        return RunResult(
            kind=self._step.kind,
            counts=dict(metrics.counts),
            requests=metrics.requests,
            patches=metrics.patches,
            refusals=metrics.refusals,
            waited=metrics.waited,
            seconds=now - self._began,
            remain=remain,
            interrupted=interrupted,
        )

    def _drain(self) -> bool:
        """Let workers finish for a while, without recording it: their users are in doubt on disk.

        Return whether they did.
        """
        with contextlib.suppress(queue.Empty, KeyboardInterrupt):
            while not self._flying.keys() <= self._landed.keys():
                self._wake.get(timeout=_DRAIN)
            return True
        return False

    # Events -------------------------------------------------------------------------------------------

    def _note_wait(self, wait: Wait) -> None:
        """Note what a worker waits for; called on its thread."""
        if wait.reason in _STALLS and wait.attempt >= _STALLED and wait.user_id is not None:
            self._stalled.add(wait.user_id)
        self._waits.note(wait)

    def _emit_progress(self, now: float) -> None:
        self._last_progress = now
        metrics = self._metrics
        metrics.note_limit(self._channel.bucket(USER.writes), now)
        progress = ApplyProgress(
            total=metrics.total,
            done=metrics.done,
            counts=dict(metrics.counts),
            requests=metrics.requests,
            refusals=metrics.refusals,
            per_second=metrics.per_second(now),
            seconds=now - self._began,
            eta=metrics.eta(now),
            waiting=self._waits.in_words(now - self._last_result),
            before=self._before,
        )
        self._emit(progress)

    def _emit(self, event: MigrationEvent) -> None:
        if self._settings.on_event is not None:
            self._settings.on_event(event)
