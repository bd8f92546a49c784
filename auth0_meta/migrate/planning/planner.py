"""Plan: read users as a stream, compute every change, and write it to the ledger; nothing is written to the tenant."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from auth0_meta.changes import rules
from auth0_meta.changes.change import Change, differing_paths
from auth0_meta.changes.jsonvalue import json_equal
from auth0_meta.changes.profile import check_depth
from auth0_meta.endpoints.users import users_with_spellings
from auth0_meta.errors import (
    ApiError,
    Auth0MetaError,
    LedgerError,
    MetadataError,
    StoredDataError,
    TransportError,
)
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import HasChannel
from auth0_meta.http.request import USER, Target
from auth0_meta.migrate.blame import InARow, is_everybodys, is_gone, is_open
from auth0_meta.migrate.events import MigrationEvent, PlanProgress
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import Plan
from auth0_meta.migrate.planning.addresses import ByEmail, not_one
from auth0_meta.migrate.planning.change_file import ChangeFile
from auth0_meta.migrate.planning.change_index import ChangeIndex
from auth0_meta.migrate.planning.evaluate import TOO_DEEP
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.replan import plan_for
from auth0_meta.migrate.planning.sandbox import Evaluator, Sandbox
from auth0_meta.migrate.planning.sources import Connect, Found, Source
from auth0_meta.migrate.planning.summary import PlanSummary, Rates
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

_T = TypeVar("_T")
Wanted = tuple[Found | ByEmail, Change | None]
"""Whom to plan for, and the change from the file; None if the function computes it."""


@attrs.frozen
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
        self._collected = 0
        """Users of the batch that is being read."""
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
            yield from self._planned(itertools.islice(changes, self._limit))
            return
        named: Iterator[Found | ByEmail] = self._readable(self._source.users(self._connect))
        users: Iterable[Wanted] = ((whom, None) for whom in itertools.islice(named, self._limit))
        if self._changes is None:
            yield from self._planned(users)
            return
        # An export has the addresses; otherwise each is looked up, before the users come by.
        rows = changes if "email" in (self._fields or ()) else self._identified(changes)
        with contextlib.closing(ChangeIndex(rows)) as index:
            pairs = self._readable(index.join(found for found, _ in self._identified(users)))
            yield from self._planned(pairs)
            for name in index.missing():
                self.summary.missing += 1
                self._problem(name, "missing", f"{self._source.name} does not have this user")

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
        while batch := self._collect(reads):
            self._plan_batch(batch)
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
        for read in self._readers.in_order(
            call,
            wanted,
            at_once=at_once,
            ahead=_AHEAD,
            idle=lambda seconds: self._emit_progress(silent=seconds),
        ):
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
        self._collected = 0
        return batch

    def _plan_batch(self, batch: Sequence[Read]) -> None:
        """Plan for users who have been read, in one commit."""
        whole, evaluator = [read.profile for read in batch if read.profile is not None], self._evaluator
        answers = iter(()) if evaluator is None else evaluator.run(whole, fields=self._fields)
        with self._group():
            for read in batch:
                assert read.profile is not None  # noqa: S101  # for the type checker
                if read.change is None:
                    self._plan_answer(read.user_id, read.profile, next(answers))
                else:
                    self._plan_change(read.user_id, read.profile, read.change)

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
        budget = WaitBudget(max_wait=None)
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
        if answer.get("advice"):
            self.summary.note_advice(user_id, answer["advice"])
        if len(self._sample) < _STEADY_SAMPLE and "ops" in answer:
            self._sample.append((profile, answer["ops"]))
        if "error" in answer:
            self.summary.read += 1
            self._problem(user_id, "failed", answer["error"])
            return
        if self._ledger.plan_of(user_id) is not None:
            self.summary.repeated += 1
            return
        ops = answer["ops"]
        self._store(user_id, profile, Change.from_json(ops), None, ops=ops, reads=answer["reads"])

    def _plan_change(self, user_id: str, profile: Mapping[str, Any], change: Change) -> None:
        """Plan a change; if the file names a user again, the later change comes on top of the earlier one."""
        earlier = self._ledger.plan_of(user_id)
        if earlier is not None:
            self.summary.repeated += 1
            try:
                change = Change.from_json(earlier.ops).then(change)
            except Auth0MetaError as error:
                self._problem(user_id, "failed", str(error))
                return
        self._store(user_id, profile, change, earlier)

    def _store(
        self, user_id: str, profile: Mapping[str, Any], change: Change, earlier: Plan | None, **known: Any
    ) -> None:
        """Plan a change, unless it changes nothing; `known`: see `plan_for`."""
        summary = self.summary
        summary.read += earlier is None
        oversize = False
        try:
            plan, after = plan_for(change, profile, **known)
            if plan is not None:
                oversize = rules.profile_size(after) > rules.PROFILE_LIMIT
                if rules.profile_size(plan.document) > rules.MAX_REQUEST:
                    most = f"the {rules.MAX_REQUEST} B that a request may have"
                    raise MetadataError(f"{user_id}: the PATCH would be larger than {most}")
                self._ledger.add(user_id, plan)
        except LedgerError:
            raise
        except (Auth0MetaError, RecursionError) as error:
            self._problem(user_id, "failed", TOO_DEEP if isinstance(error, RecursionError) else str(error))
            return
        if earlier is not None:
            summary.count_keys(earlier, -1)
            summary.changing -= 1
        if plan is None:
            summary.unchanged += 1
            if earlier is not None:
                self._ledger.remove(user_id)
            return
        summary.changing += 1
        summary.count_keys(plan)
        if (outgrown := change.outgrown(after)) is not None:
            bag, _, reason = outgrown
            summary.note_advice(user_id, [f"{bag}: {reason}"])
        if oversize:
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
        sample, other = self._sample[::-1], self._evaluator.another()
        with contextlib.closing(other) if isinstance(other, Sandbox) else contextlib.nullcontext():
            answers = list(other.run([profile for profile, _ in sample], fields=self._fields))
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
        progress = PlanProgress(
            read=seen.read + self._collected,
            changing=seen.changing,
            invalid=seen.invalid,
            seconds=seconds,
            waiting=self.waits.in_words(silent),
        )
        self._on_event(progress)


def rates_of(client: HasChannel) -> Rates | None:
    """Return the rates that a client has learned or was given, None if it knows none."""
    reads, writes = (client._channel.bucket(group) for group in (USER.reads, USER.writes))
    read, write = reads.per_second or writes.per_second, writes.per_second or reads.per_second
    if not read or not write:
        return None
    shared = (reads.limit or writes.limit) == (writes.limit or reads.limit)
    return Rates(read=round(read, 3), write=round(write, 3), shared=shared)
