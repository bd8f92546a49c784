"""Coordinate an apply or an undo: the ledger's one writer, which hands tasks to workers and records what they say."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

import attrs

from auth0_meta.client import ManagementClient
from auth0_meta.migrate.applying.metrics import Meter
from auth0_meta.migrate.applying.task import Outcome, Task, TaskResult
from auth0_meta.migrate.applying.worker import work
from auth0_meta.migrate.events import ApplyProgress, Event, UserDone, Waiting
from auth0_meta.migrate.ledger.ledger import Ledger, Settled
from auth0_meta.migrate.ledger.records import Kind, Plan, Row, State
from auth0_meta.migrate.planning.replan import Drift, replanned
from auth0_meta.migrate.planning.sandbox import Evaluator
from auth0_meta.migrate.threads import Threads
from auth0_meta.models import Wait
from auth0_meta.ratelimit.concurrency import MOST_WORKERS, PACED, Concurrency

_FIRST_WORKERS = 4
_WRITES = "users write"
_GROUP = 50
_LINGER = 0.01
_TURN = 0.5
_TELL_EVERY = 0.2
_DRAIN = 40.0
_MOST_REPLANS = 3
_USUAL = ("done", "undone")
"""What costs as much as most users do, and so tells how fast the tenant answers."""

# outcome -> state, where it ends a user: apply's and undo's.
_ENDS: dict[str, dict[str, State]] = {
    "apply": {
        "done": State.DONE,
        "same": State.SAME,
        "drifted": State.DRIFTED,
        "unclear": State.UNCLEAR,
        "gone": State.GONE,
        "failed": State.FAILED,
    },
    "undo": {"undone": State.UNDONE, "kept": State.KEPT, "gone": State.GONE, "failed": State.DONE},
}
_BACK: dict[str, tuple[State, State]] = {
    "apply": (State.PLANNED, State.SENT),
    "undo": (State.DONE, State.UNDOING),
}
"""Where a user stands who was not dealt with: nothing had left, or a PATCH may have."""
_DOUBTS = {"apply": (State.SENT, State.UNCLEAR), "undo": (State.UNDOING, State.SENT, State.UNCLEAR)}


@attrs.frozen(kw_only=True)
class RunResult:
    """Tell how a run ended: `counts` by outcome, what it cost, and the users that `remain`.

    `interrupted`: it was asked to stop; running it again resumes.
    """

    kind: str
    counts: Mapping[str, int]
    requests: int
    patches: int
    refusals: int
    waited: float
    seconds: float
    remain: int
    interrupted: bool = False

    @classmethod
    def of_nothing(cls, kind: str) -> RunResult:
        """Return the result of a run that had nobody to work on."""
        return cls(kind=kind, counts={}, requests=0, patches=0, refusals=0, waited=0.0, seconds=0.0, remain=0)

    @property
    def failed(self) -> int:
        """Return how many users are not as they should be."""
        return sum(self.counts.get(name, 0) for name in ("failed", "drifted", "unclear", "gone", "kept"))


class Runner:
    """Run what is open in a ledger; use it once.

    `kind`: "apply" or "undo".  See `auth0_meta.migrate.apply` for the rest.
    """

    def __init__(
        self,
        ledger: Ledger,
        client: ManagementClient,
        *,
        kind: Kind,
        share: float,
        concurrency: int | None = None,
        trust: bool = False,
        drift: Drift = "replan",
        evaluator: Evaluator | None = None,
        executor: Executor | None = None,
        cancel: threading.Event | None = None,
        on_event: Callable[[Event], object] | None = None,
    ) -> None:
        self._ledger, self._client, self._kind = ledger, client, kind
        self._share, self._trust, self._drift, self._evaluator = share, trust, drift, evaluator
        self._cancel = cancel or threading.Event()
        self._on_event = on_event
        self._own_executor = executor is None
        self._executor = executor or Threads(concurrency or MOST_WORKERS)
        self._work = partial(
            work, client, share=share, trust=trust, cancelled=self._cancel, on_wait=self._told_wait
        )
        self._concurrency = Concurrency(concurrency, first=_FIRST_WORKERS)
        self._doubts: deque[int] = deque()
        self._cursor = 0
        self._flying: dict[int, Row] = {}
        self._replans: dict[int, int] = {}
        self._landed: queue.SimpleQueue[tuple[int, Future[TaskResult]]] = queue.SimpleQueue()
        self._settled: list[Settled] = []
        self._finished: list[UserDone] = []
        self._again: list[Row] = []
        self._error: BaseException | None = None
        self._exhausted = False
        self._told = 0.0
        self._wait: tuple[float, str] = (0.0, "")
        self._gate: tuple[float, str] = (0.0, "")
        self._gates = threading.Lock()

    # The loop -----------------------------------------------------------------------------------------

    def run(self) -> RunResult:
        """Work until nothing is open, the run is cancelled, or going on is pointless; then raise what stopped it."""
        self._begin()
        interrupted = False
        try:
            while True:
                try:
                    self._turn()
                    if not self._flying and (self._exhausted or self._stopping):
                        break
                    self._gather()
                except KeyboardInterrupt:
                    if interrupted:
                        raise
                    interrupted = True
                    self._cancel.set()
        except BaseException:
            self._cancel.set()
            self._abandon()
            raise
        finally:
            if self._own_executor:
                self._executor.shutdown(wait=False, cancel_futures=True)
        result = self._end()
        if self._error is not None:
            raise self._error
        if interrupted:
            raise KeyboardInterrupt
        return result

    @property
    def _stopping(self) -> bool:
        return self._cancel.is_set() or self._error is not None

    def _begin(self) -> None:
        ledger, now = self._ledger, self._client.clock.monotonic()
        self._began = now
        with ledger.group():
            if self._kind == "apply":
                ledger.open_again((State.FAILED, State.DRIFTED))
            self._doubts.extend(ledger.in_doubt(_DOUBTS[self._kind]))
            total = ledger.counts()[_BACK[self._kind][0]] + len(self._doubts)
            self._meter = Meter(now, total=total, per_user=1 if self._trust else 2)
            self._facts: dict[str, Any] = {
                "started": round(self._client.clock.time(), 3),
                "share": self._share,
                "trust_plan": self._trust,
                "drift": self._drift,
                "ended": "running",
            }
            self._run = ledger.begin_run(self._kind, self._facts | self._meter.facts(now))

    def _turn(self) -> None:
        """Record what has landed and claim what goes next, in one commit; then send it off."""
        settled, finished, again = list(self._settled), list(self._finished), list(self._again)
        now = self._client.clock.monotonic()
        rows: list[Row] = []
        with self._ledger.group():
            self._ledger.settle(settled)
            if not self._stopping:
                limit = self._concurrency.limit
                rows = self._claim(max(0, limit + limit // 4 - len(self._flying) - len(again)))
            if rows and self._kind == "undo" and not self._ledger.facts.get("undo"):
                self._ledger.tell(undo=True)
            if settled:
                self._ledger.note_run(self._run, self._facts | self._meter.facts(now), self._meter.ticks(now))
        del self._settled[: len(settled)], self._finished[: len(finished)], self._again[: len(again)]
        for row in (*again, *rows):
            self._submit(row)
        for event in finished:
            self._tell(event)
        if now - self._told >= _TELL_EVERY:
            self._tell_progress(now)

    def _claim(self, free: int) -> list[Row]:
        """Mark the next users as sent: first those in doubt, then in the plan's order."""
        start, sent = _BACK[self._kind]
        free = min(free, _GROUP)
        numbers = [self._doubts.popleft() for _ in range(min(free, len(self._doubts)))]
        rows = self._ledger.claim_these(numbers, sent)
        if len(rows) < free and not self._exhausted:
            fresh = self._ledger.claim(start, sent, free - len(rows), after=self._cursor)
            self._exhausted = len(fresh) < free - len(rows)
            self._cursor = fresh[-1].n if fresh else self._cursor
            rows += fresh
        return rows

    def _submit(self, row: Row) -> None:
        start = _BACK[self._kind][0]
        self._flying[row.n] = row
        task = Task(
            n=row.n,
            user_id=row.user_id,
            kind=self._kind,
            document=row.plan.document,
            before=row.plan.before,
            after=row.plan.written,
            in_doubt=row.state != start,
            tried=row.tried,
        )
        number = row.n
        future = self._executor.submit(self._work, task)
        future.add_done_callback(lambda done: self._landed.put((number, done)))

    def _gather(self) -> None:
        """Wait for the first answer, and a moment for those that come with it."""
        try:
            landed = [self._landed.get(timeout=_TURN)]
        except queue.Empty:
            return
        while len(landed) < _GROUP:
            try:
                landed.append(self._landed.get(timeout=_LINGER if len(self._flying) > len(landed) else 0))
            except queue.Empty:
                break
        for n, future in landed:
            row = self._flying.pop(n)
            try:
                result = future.result()
            except BaseException as error:  # noqa: BLE001  # a defect: the user stays in doubt, the run ends with it
                self._error = self._error or error
                continue
            self._judge(row, result)
            self._adapt(result)

    def _judge(self, row: Row, result: TaskResult) -> None:
        """Decide what the ledger is to say about a user; nothing is written here."""
        name, note = result.outcome, result.note
        back = _BACK[self._kind][1 if result.in_doubt else 0]
        now = self._client.clock.monotonic()
        if name in ("cancelled", "stopped"):
            self._error = self._error or result.error
            self._meter.add(result, now, final=False)
            self._settled.append(Settled(row, back, tried=result.tried))
            return
        again: Plan | None = None
        if result.found is not None:
            name, note, again = self._about_drift(row, result, result.found)
            if again is not None:
                self._meter.add(result, now, final=False)
                self._settled.append(Settled(row, State.SENT, None, again))
                self._again.append(Row(row.n, row.user_id, State.PLANNED, again))
                return
        elif name == "failed" and result.in_doubt and self._kind == "apply":
            name = "unclear"
        elif name == "kept":
            note = "changed since and left alone: " + ", ".join(result.kept)
        elif result.after is not None:
            again = attrs.evolve(row.plan, after=result.after)
        self._replans.pop(row.n, None)
        self._meter.add(attrs.evolve(result, outcome=name), now, final=True)
        end = _ENDS[self._kind][name]
        self._settled.append(Settled(row, end, note or None, again, tried=result.tried))
        done = UserDone(
            user_id=row.user_id, outcome=name, requests=result.requests, seconds=result.seconds, note=note
        )
        self._finished.append(done)

    def _about_drift(
        self, row: Row, result: TaskResult, found: Mapping[str, Any]
    ) -> tuple[Outcome, str, Plan | None]:
        """Return (outcome, note, plan to try again) for a user who stands elsewhere than planned."""
        name = result.outcome
        if name == "unclear" and self._drift != "overwrite":
            return (
                name,
                "a PATCH may have been applied, and a touched key has changed since: look at this user",
                None,
            )
        if self._replans.get(row.n, 0) >= _MOST_REPLANS:
            return name, "it changes as fast as it is planned again", None
        self._replans[row.n] = self._replans.get(row.n, 0) + 1
        verdict = replanned(
            row.plan,
            found,
            policy=self._drift,
            own_operations=self._ledger.facts.get("kind") == "changes",
            evaluator=self._evaluator,
        )
        if isinstance(verdict, str):
            return name, verdict, None
        return ("same", "", None) if verdict is None else (name, "", verdict)

    def _adapt(self, result: TaskResult) -> None:
        """Let the concurrency rule learn from one user: how many to have under way from now on."""
        self._concurrency.answered(
            result.seconds - result.waited,
            requests=result.requests,
            waited=result.waited,
            per_second=self._client.sender.throttle.snapshot(_WRITES).per_second,
            typical=result.outcome in _USUAL,
        )

    # Ending -------------------------------------------------------------------------------------------

    def _end(self) -> RunResult:
        now = self._client.clock.monotonic()
        interrupted = self._cancel.is_set() and self._error is None
        ended = "interrupted" if interrupted else "finished"
        if self._error is not None:
            ended = f"stopped by {type(self._error).__name__}"
        with self._ledger.group():
            facts = self._facts | self._meter.facts(now) | {"ended": ended}
            self._ledger.note_run(self._run, facts, self._meter.ticks(now))
        self._tell_progress(now)
        counts = self._ledger.counts()
        meter = self._meter
        remain = sum(counts[state] for state in _BACK[self._kind])
        return RunResult(
            kind=self._kind,
            counts=dict(meter.counts),
            requests=meter.requests,
            patches=meter.patches,
            refusals=meter.refusals,
            waited=meter.waited,
            seconds=now - self._began,
            remain=remain,
            interrupted=interrupted,
        )

    def _abandon(self) -> None:
        """Let what is under way come to its end, a while: it stays in doubt on disk."""
        while self._flying:
            try:
                n, _ = self._landed.get(timeout=_DRAIN)
            except (queue.Empty, KeyboardInterrupt):
                return
            self._flying.pop(n, None)

    # Telling ------------------------------------------------------------------------------------------

    def _told_wait(self, wait: Wait) -> None:
        """Remember what a worker waits for, and tell it once however many wait; called from their threads."""
        until = self._client.clock.monotonic() + wait.seconds
        self._wait = (until, wait.reason)
        with self._gates:
            known, reason = self._gate
            news = wait.reason != reason or until > known + PACED
            if news and wait.reason != "pacing":
                self._gate = (until, wait.reason)
        if news and wait.reason != "pacing":
            self._tell(Waiting(reason=wait.reason, seconds=wait.seconds, user_id=wait.user_id))

    def _tell_progress(self, now: float) -> None:
        self._told = now
        meter = self._meter
        until, reason = self._wait
        bucket = self._client.sender.throttle.snapshot(_WRITES)
        meter.seen(bucket, now)
        self._tell(
            ApplyProgress(
                total=meter.total,
                done=meter.done,
                counts=dict(meter.counts),
                requests=meter.requests,
                refusals=meter.refusals,
                per_second=meter.per_second(now),
                seconds=now - self._began,
                eta=meter.eta(now),
                waiting=f"{reason}, {until - now:.0f} s" if until - now > PACED else "",
            )
        )

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
