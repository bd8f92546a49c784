"""Plan: read users as a stream, compute every change, and write it to the ledger; nothing is written to the tenant."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from auth0_meta.changes.change import Change, differing_paths
from auth0_meta.changes.jsonvalue import json_equal
from auth0_meta.changes.profile import check_depth
from auth0_meta.endpoints.users import users_with_spellings
from auth0_meta.errors import (
    ApiError,
    Auth0MetaError,
    MetadataError,
    StoredDataError,
    TransportError,
)
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.request import Target
from auth0_meta.migrate.blame import InARow, is_everybodys, is_gone, is_open
from auth0_meta.migrate.estimate import Estimate, part_done
from auth0_meta.migrate.events import MigrationEvent, PlanProgress
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import Plan, unpack
from auth0_meta.migrate.planning.addresses import ByEmail, not_one
from auth0_meta.migrate.planning.change_file import ChangeFile
from auth0_meta.migrate.planning.change_index import ChangeIndex
from auth0_meta.migrate.planning.evaluate import TOO_DEEP
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.outcome import Outcome, outcome_of
from auth0_meta.migrate.planning.sandbox import Evaluator
from auth0_meta.migrate.planning.sources import Connect, Found, Source
from auth0_meta.migrate.planning.summary import PlanSummary
from auth0_meta.migrate.planning.watched_user import Fields
from auth0_meta.migrate.waits import Waits
from auth0_meta.redact import printable
from auth0_meta.threads.daemons import Threads

_BATCH = 256
_READERS = 16
_AHEAD = 512
"""Users who may be read ahead of one whose read takes long: at 16 a second, half a minute's."""
_STEADY_SAMPLE = 32
"""Users whose change is computed twice, to find out whether the function is deterministic."""
_PROGRESS_EVERY = 0.2
_MOST_PROBLEMS = 10_000

_NO_BUDGET = WaitBudget(max_wait=None)
"""The wait budget of a user who need not be read."""

_T = TypeVar("_T")
Wanted = tuple[Found | ByEmail, Change | None]
"""Whom to plan for, and the change from the file; None if the function computes it."""


@attrs.define
class Read:
    """A user as read: the `profile`, or None and `why` there is none; the file's `change`; the `requests` that it took.

    `user_id`: the place of the row, if it names a user by an address and nobody can say who that is.  `error`: what ends
    the plan if others fail too; `outage`: see `InARow.add`; `kind`: what to call the problem.
    """

    user_id: str
    profile: Mapping[str, Any] | None
    change: Change | None
    requests: int = 0
    why: str = ""
    error: Auth0MetaError | None = None
    outage: bool = False
    kind: str = "unreadable"


class Planner:
    """Fill a ledger; use it once.  Takes either `evaluator` (for a function) or `changes`."""

    def __init__(
        self,
        ledger: Ledger,
        connect: Connect,
        *,
        source: Source | None,
        evaluator: Evaluator | None = None,
        changes: ChangeFile | None = None,
        limit: int | None = None,
        share: float = 0.5,
        on_event: Callable[[MigrationEvent], object] | None = None,
        now: Callable[[], float],
    ) -> None:
        self._ledger, self._connect = ledger, connect
        self._source, self._evaluator, self._changes = source, evaluator, changes
        self._fields: Fields = getattr(source, "fields", None)
        self._limit, self._share, self._on_event, self._now = limit, share, on_event, now
        self._cancelled = threading.Event()
        self._readers = Threads(_READERS, name="auth0-meta-plan")
        self._sample: list[tuple[Mapping[str, Any], Any]] = []
        self._problems: list[tuple[str, str, str]] = []
        self._failures: InARow[Read] = InARow()
        self._last_progress = 0.0
        self._estimate = Estimate()
        self._collected = 0
        """Users who have been read and not yet planned for."""
        self._yielded = self._in_flight = 0
        """Users whom the source, or else the change file, has named so far, and those of them who are being read."""
        self._reads = False
        self.waits = Waits(now, on_event)
        self.summary = PlanSummary()

    def run(self) -> PlanSummary:
        """Plan every user; a user who can't be planned is noted and does not stop the rest."""
        self._began = self._last_progress = self._now()
        try:
            for _ in self._work():
                self._emit_progress(every=_PROGRESS_EVERY)
            with self._group():  # for the problems noted after the last batch
                pass
        finally:
            self._cancelled.set()
            self._readers.shutdown(wait=True, cancel_futures=True)
        self._check_steadiness()
        self.summary.seconds = round(self._now() - self._began, 3)
        self._emit_progress()
        return self.summary

    def _work(self) -> Iterator[None]:
        """Plan for every user of the source, or of the change file, or of both."""
        changes: Iterable[tuple[Found | ByEmail, Change]] = (
            (Found(whom) if isinstance(whom, str) else whom, change)
            for whom, change in self._readable(self._changes or ())
        )
        if self._source is None:
            yield from self._planned(self._counted(itertools.islice(changes, self._limit)))
            return
        named: Iterator[Found | ByEmail] = self._readable(self._source.users(self._connect))
        users: Iterable[Wanted] = (
            (whom, None) for whom in self._counted(itertools.islice(named, self._limit))
        )
        if self._changes is None:
            yield from self._planned(users)
            return
        # An export has the addresses; otherwise each is looked up, before the users come by.
        rows = changes if "email" in (self._fields or ()) else self._identified(changes)
        with contextlib.closing(ChangeIndex(self._heard(rows))) as index:
            pairs = self._readable(index.join(found for found, _ in self._identified(users)))
            yield from self._planned(pairs)
            for name in index.missing():
                self.summary.missing += 1
                self._problem(name, "missing", f"{self._source.name} does not have this user")

    def _counted(self, items: Iterable[_T]) -> Iterator[_T]:
        for item in items:
            self._yielded += 1
            yield item

    def _heard(self, items: Iterable[_T]) -> Iterator[_T]:
        """Announce progress while a change file is read, before the first user comes."""
        for item in items:
            self._emit_progress(every=_PROGRESS_EVERY)
            yield item

    def _readable(self, items: Iterable[_T | BadLine]) -> Iterator[_T]:
        """Yield what could be read, and note the rest."""
        for item in items:
            if isinstance(item, BadLine):
                self._problem(item.where, "row", item.problem)
            else:
                yield item

    def _planned(self, wanted: Iterable[Wanted]) -> Iterator[None]:
        """Plan in batches, each of them one commit; a profile that is not given is read, at the tenant's pace."""
        reads = self._in_order(
            self._read, wanted, at_once=lambda one: isinstance(one[0], Found) and one[0].profile is not None
        )
        under_way: deque[tuple[list[Read], Iterator[Mapping[str, Any]]]] = deque()
        while batch := self._collect(reads):
            under_way.append((batch, self._evaluate(batch)))
            # The processes of the function work on the latest batches while this one plans the one before.
            while len(under_way) > (0 if self._evaluator is None else self._evaluator.ahead):
                self._plan_batch(*under_way.popleft())
                yield
        for batch, answers in under_way:
            self._plan_batch(batch, answers)
            yield

    def _identified(self, wanted: Iterable[Wanted]) -> Iterator[tuple[Found, Any]]:
        """Look up the users who are named by address; the others are passed on as they are."""

        def identify(one: Wanted) -> Read:
            whom, change = one
            return Read(whom.user_id, whom.profile, change) if isinstance(whom, Found) else self._read(one)

        for read in self._in_order(identify, wanted, at_once=lambda one: isinstance(one[0], Found)):
            yield Found(read.user_id, read.profile), read.change

    def _in_order(
        self, call: Callable[[Wanted], Read], wanted: Iterable[Wanted], *, at_once: Callable[[Wanted], bool]
    ) -> Iterator[Read]:
        """Yield what `call` returns for each user, in order, and note whoever can't be read."""

        def begun() -> Iterator[Wanted]:
            for one in wanted:
                self._in_flight += 1
                yield one

        for read in self._readers.in_order(
            call,
            begun(),
            at_once=at_once,
            ahead=_AHEAD,
            idle=lambda seconds: self._emit_progress(silent=seconds),
        ):
            self._in_flight -= 1
            self._judge(read)
            self.summary.requests += read.requests
            if read.why:
                self._problem(read.user_id, read.kind, read.why)
            else:
                yield read
        if self._failures.is_outage:
            raise self._last_failure()

    def _collect(self, reads: Iterator[Read]) -> list[Read]:
        """Return the next users who have been read; that may take minutes."""
        batch: list[Read] = []
        for read in itertools.islice(reads, _BATCH):
            batch.append(read)
            self._collected += 1
            self._emit_progress(every=_PROGRESS_EVERY)
        return batch

    def _evaluate(self, batch: Sequence[Read]) -> Iterator[Mapping[str, Any]]:
        """Begin to compute the changes for users whose change is not given; yield the answers, in order."""
        if self._evaluator is None:
            return iter(())
        profiles = [read.profile for read in batch if read.profile is not None]
        return self._evaluator.run(profiles, fields=self._fields, ops=len(self._sample) < _STEADY_SAMPLE)

    def _plan_batch(self, batch: Sequence[Read], answers: Iterator[Mapping[str, Any]]) -> None:
        """Plan for users who have been read, in one commit."""
        self._known = self._ledger.planned({read.user_id for read in batch})
        self._fresh: dict[str, Outcome] = {}
        with self._group():
            for read in batch:
                assert read.profile is not None  # noqa: S101  # for the type checker
                if read.change is None:
                    self._plan_answer(read.user_id, read.profile, next(answers))
                else:
                    self._plan_change(read.user_id, read.profile, read.change)
            self._ledger.add((user_id, outcome.plan) for user_id, outcome in self._fresh.items())
        self._collected -= len(batch)

    def _judge(self, read: Read) -> None:
        """Raise the error of a read if it does not concern this user alone."""
        if read.error is not None:
            if self._failures.add(read, outage=read.outage):
                raise self._last_failure()
        elif read.requests:
            self._failures.note_success()

    def _last_failure(self) -> Auth0MetaError:
        error = self._failures.last.error
        assert error is not None  # noqa: S101  # for the type checker
        return self._failures.explain(error, "No job file was left: run the same command again")

    def _read(self, wanted: Wanted) -> Read:
        whom, change = wanted
        name, profile = (whom.user_id, whom.profile) if isinstance(whom, Found) else (whom.where, None)
        budget = _NO_BUDGET
        try:
            if profile is None:
                channel = self._connect()._channel
                if not self._reads:
                    self._reads = True
                    channel.outages.start()
                if isinstance(whom, Found):
                    budget = channel.budget(name, None, share=self._share, cancelled=self._cancelled)
                    users = [channel.read(Target.user(name), budget)]
                else:
                    budget = channel.budget(None, None, share=self._share, cancelled=self._cancelled)
                    users = users_with_spellings(channel, whom.email, budget)
                if len(users) != 1:
                    why = not_one(user["user_id"] for user in users)
                    return Read(name, None, change, budget.requests, why, kind="row")
                (profile,) = users
                target = Target.user(profile["user_id"])
                channel.outages.note_readable(target)
                name = target.id
            elif not isinstance(profile, Mapping) or profile.get("user_id") != name:
                return Read(name, None, change, why="the source gave no profile of this user")
            check_depth(profile)
        except (ApiError, TransportError, StoredDataError, MetadataError) as error:
            if is_gone(error):
                return Read(name, None, change, budget.requests, "the user does not exist")
            if is_everybodys(error):
                raise
            odd = error if is_open(error) else None
            return Read(name, None, change, budget.requests, str(error), odd, budget.outage)
        except RecursionError:
            return Read(name, None, change, budget.requests, TOO_DEEP)
        return Read(name, profile, change, budget.requests)

    # What becomes of them -----------------------------------------------------------------------------

    def _plan_answer(self, user_id: str, profile: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if "ops" in answer and len(self._sample) < _STEADY_SAMPLE:
            self._sample.append((profile, answer["ops"]))
        if "error" in answer:
            if answer.get("advice"):
                self.summary.note_advice(user_id, answer["advice"])
            self.summary.read += 1
            self._problem(user_id, "failed", answer["error"])
        elif user_id in self._known or user_id in self._fresh:
            if answer["advice"]:
                self.summary.note_advice(user_id, answer["advice"])
            self.summary.repeated += 1
        else:
            self.summary.read += 1
            if "moved" in answer:
                self.summary.note_moved(answer["moved"])
            self._store(user_id, Outcome(*map(answer.__getitem__, Outcome._fields)))

    def _plan_change(self, user_id: str, profile: Mapping[str, Any], change: Change) -> None:
        """Plan a change; if the file names a user again, the later change comes on top of the earlier one."""
        earlier: Plan | None = None
        if user_id in self._fresh:
            earlier = unpack(self._fresh[user_id].plan)
        elif user_id in self._known:
            earlier = self._ledger.plan_of(user_id)
        self.summary.repeated += earlier is not None
        try:
            if earlier is not None:
                change = Change.from_json(earlier.ops).then(change)
            else:
                self.summary.read += 1
            outcome = outcome_of(change, profile)
        except Auth0MetaError as error:
            self._problem(user_id, "failed", str(error))
            return
        except RecursionError:
            self._problem(user_id, "failed", TOO_DEEP)
            return
        if earlier is not None:
            self.summary.count_keys(earlier.keys, -1)
            self.summary.changing -= 1
            if not outcome.plan:
                self._fresh.pop(user_id, None)
                self._known.discard(user_id)
                self._ledger.remove(user_id)
        self._store(user_id, outcome)

    def _store(self, user_id: str, outcome: Outcome) -> None:
        """Count what a change comes to, and plan it unless it changes nothing."""
        summary = self.summary
        if outcome.advice:
            summary.note_advice(user_id, outcome.advice)
        if not outcome.plan:
            summary.unchanged += 1
            return
        self._fresh[user_id] = outcome
        summary.changing += 1
        summary.count_keys(outcome.keys)
        if outcome.oversize:
            summary.note_oversize(user_id)

    def _problem(self, user_id: str, kind: str, note: str) -> None:
        self.summary.invalid += 1
        if self.summary.invalid <= _MOST_PROBLEMS:
            self._problems.append((printable(user_id), kind, printable(note)))

    @contextlib.contextmanager
    def _group(self) -> Iterator[None]:
        """Open one commit of the ledger, and add the problems noted so far to it."""
        with self._ledger.group():
            yield
            for problem in self._problems:
                self._ledger.add_problem(*problem)
        self._problems.clear()

    def _check_steadiness(self) -> None:
        """Compute a sample again, in another order and if possible in another process, and compare."""
        if self._evaluator is None or not self._sample:
            return
        sample = self._sample[::-1]
        with contextlib.closing(self._evaluator.another()) as other:
            answers = list(other.run([profile for profile, _ in sample], fields=self._fields, ops=True))
        for (profile, ops), answer in zip(sample, answers, strict=True):
            self.summary.steady_checked += 1
            again = answer.get("ops", {})
            if not json_equal(again, ops):
                self.summary.note_unsteady(str(profile["user_id"]), differing_paths(ops, again))

    def _emit_progress(self, *, every: float = 0.0, silent: float = 0.0) -> None:
        """Announce where the plan stands, unless the last time was less than `every` seconds ago; see `Waits`."""
        now = self._now()
        if now - self._last_progress < every:
            return
        self._last_progress = now
        if self._on_event is None:
            return
        seen, seconds = self.summary, self._last_progress - self._began
        part = part_done(
            users=getattr(self._source, "part", None),
            changes=None if self._changes is None else self._changes.part,
            only_changes=self._source is None,
            named=self._yielded,
            under_way=self._in_flight,
            limit=self._limit,
        )
        progress = PlanProgress(
            read=seen.read + self._collected,
            changing=seen.changing,
            invalid=seen.invalid,
            seconds=seconds,
            waiting=self.waits.in_words(silent),
            part=part,
            eta=self._estimate.seconds_left(seconds, part),
        )
        self._on_event(progress)
