"""Plan: read users as a stream, compute every change, and write it to the ledger; nothing is written to the tenant."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from auth0_meta.changes import rules
from auth0_meta.changes.change import Change
from auth0_meta.changes.profile import check_stored
from auth0_meta.client import ManagementClient
from auth0_meta.errors import Auth0MetaError, LedgerError, MetadataError, NotFoundError, StoredDataError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.request import USER, Target
from auth0_meta.migrate.events import MigrationEvent, PlanProgress
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.records import Plan
from auth0_meta.migrate.planning.change_file import ChangeFile, ChangeIndex
from auth0_meta.migrate.planning.evaluate import TOO_DEEP
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.replan import plan_for
from auth0_meta.migrate.planning.sandbox import Evaluator
from auth0_meta.migrate.planning.sources import Connect, Found, Source
from auth0_meta.migrate.planning.summary import PlanSummary, Rates
from auth0_meta.migrate.threads import Threads, in_order
from auth0_meta.redact import printable

_BATCH = 256
_READERS = 16
_STEADY_SAMPLE = 32
"""Users whose change is computed twice, to find out whether the function is deterministic."""
_PROGRESS_EVERY = 0.2
_MOST_PROBLEMS = 10_000

Read = tuple[str, Mapping[str, Any] | None, str, int]
"""A user id, the profile or None, why it is None, and the requests that reading it took."""


class Planner:
    """Fill a ledger; use it once.

    Takes either `evaluator` (for a function) or `changes`.  `second`: makes another evaluator of the same function,
    on which a sample is computed once more, to see whether the result is the same.
    """

    def __init__(
        self,
        ledger: Ledger,
        connect: Connect,
        *,
        source: Source | None,
        evaluator: Evaluator | None = None,
        second: Callable[[], Evaluator] | None = None,
        changes: ChangeFile | None = None,
        limit: int | None = None,
        share: float = 0.5,
        on_event: Callable[[MigrationEvent], object] | None = None,
        now: Callable[[], float],
    ) -> None:
        self._ledger, self._connect = ledger, connect
        self._source, self._evaluator, self._changes = source, evaluator, changes
        self._second = second
        self._fields: Collection[str] | None = getattr(source, "fields", None)
        self._limit, self._share, self._on_event, self._now = limit, share, on_event, now
        self._cancelled = threading.Event()
        self._sample: list[tuple[Mapping[str, Any], Any]] = []
        self._problems: list[tuple[str, str, str]] = []
        self._last_progress = 0.0
        self.summary = PlanSummary()

    def run(self) -> PlanSummary:
        """Plan every user; a user who can't be planned is noted and does not stop the rest."""
        self._began = self._last_progress = self._now()
        try:
            for _ in self._work():
                if self._now() - self._last_progress >= _PROGRESS_EVERY:
                    self._emit_progress()
            with self._group():  # for the problems noted after the last batch
                pass
        finally:
            self._cancelled.set()
        self._check_steadiness()
        self.summary.seconds = round(self._now() - self._began, 3)
        self._emit_progress()
        return self.summary

    def _work(self) -> Iterator[None]:
        """Plan in batches, each of them one commit of the ledger."""
        if self._changes is not None and self._source is not None:
            yield from self._joined(self._changes, self._source)
        elif self._changes is not None:
            yield from self._changed_users(self._changes)
        elif self._source is not None and self._evaluator is not None:
            yield from self._evaluated(self._source, self._evaluator)

    # Where users come from ----------------------------------------------------------------------------

    def _evaluated(self, source: Source, evaluator: Evaluator) -> Iterator[None]:
        """Run the function on every user of the source."""
        users = _at_most(self._found(source), self._limit)
        for batch in _batches(self._read(users)):
            whole = [profile for _, profile, _, _ in batch if profile is not None]
            answers = evaluator.run(whole, fields=self._fields)
            with self._group():
                for user_id, profile, why, requests in batch:
                    self.summary.requests += requests
                    if profile is None:
                        self._problem(user_id, "unreadable", why)
                        continue
                    answer = next(answers)
                    self._plan_answer(user_id, profile, answer)
                    if len(self._sample) < _STEADY_SAMPLE and "ops" in answer:
                        self._sample.append((profile, answer["ops"]))
            yield

    def _joined(self, changes: ChangeFile, source: Source) -> Iterator[None]:
        """Look up every user of the source in the change file."""
        index = ChangeIndex(changes)
        with contextlib.closing(index):
            for bad in index.bad:
                self._problem(bad.where, "row", bad.problem)
            users = _at_most(self._found(source), self._limit)
            wanted = ((found, change) for found in users if (change := index.take(found.user_id)) is not None)
            yield from self._planned(wanted)
            for user_id in index.not_taken():
                self.summary.missing += 1
                self._problem(user_id, "missing", f"{source.name} does not have this user")
        yield

    def _changed_users(self, changes: ChangeFile) -> Iterator[None]:
        """Read every user of the change file by id."""

        def wanted() -> Iterator[tuple[Found, Change]]:
            for item in changes:
                if isinstance(item, BadLine):
                    self._problem(item.where, "row", item.problem)
                else:
                    yield Found(item[0]), item[1]

        yield from self._planned(_at_most(wanted(), self._limit))

    def _planned(self, wanted: Iterable[tuple[Found, Change]]) -> Iterator[None]:
        first, second = itertools.tee(wanted)
        reads = self._read(found for found, _ in first)
        for batch in _batches(zip(reads, (change for _, change in second), strict=False)):
            with self._group():
                for (user_id, profile, why, requests), change in batch:
                    self.summary.requests += requests
                    if profile is None:
                        self._problem(user_id, "unreadable", why)
                    else:
                        self._plan_change(user_id, profile, change)
            yield

    def _found(self, source: Source) -> Iterator[Found]:
        for found in source.users(self._connect):
            if isinstance(found, BadLine):
                self._problem(found.where, "row", found.problem)
            else:
                yield found

    def _read(self, users: Iterable[Found]) -> Iterator[Read]:
        """Yield each user with the profile; if the source has none, it is read by id, at the tenant's pace."""
        readers = Threads(_READERS)
        try:
            yield from in_order(
                readers,
                self._profile,
                users,
                window=_READERS,
                at_once=lambda found: found.profile is not None,
            )
        finally:
            self._cancelled.set()
            readers.shutdown(wait=True, cancel_futures=True)

    def _profile(self, found: Found) -> Read:
        profile: Mapping[str, Any] | None = found.profile
        budget: WaitBudget | None = None
        try:
            if profile is None:
                channel = self._connect().channel
                budget = channel.budget(
                    user_id=found.user_id, max_wait=None, share=self._share, cancelled=self._cancelled
                )
                profile = channel.read(Target.user(found.user_id), budget)
            check_stored(profile or {})
        except NotFoundError:
            return found.user_id, None, "the user does not exist", budget.requests if budget else 0
        except StoredDataError as error:
            return found.user_id, None, str(error), budget.requests if budget else 0
        return found.user_id, profile, "", budget.requests if budget else 0

    # What becomes of them -----------------------------------------------------------------------------

    def _plan_answer(self, user_id: str, profile: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        if answer.get("advice"):
            self.summary.note_advice(user_id, list(answer["advice"]))
        if "error" in answer:
            self.summary.read += 1
            self._problem(user_id, "failed", answer["error"])
            return
        if self._ledger.plan_of(user_id) is not None:
            self.summary.repeated += 1
            return
        self._store(
            user_id, profile, Change.from_json(answer["ops"]), None, ops=answer["ops"], reads=answer["reads"]
        )

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
        self,
        user_id: str,
        profile: Mapping[str, Any],
        change: Change,
        earlier: Plan | None,
        *,
        ops: Mapping[str, Any] | None = None,
        reads: Sequence[Sequence[str | None]] = (),
    ) -> None:
        summary = self.summary
        summary.read += earlier is None
        oversize = False
        try:
            plan, after = plan_for(change, profile, ops=ops, reads=reads)
            if plan is not None:
                oversize = rules.profile_size(after) > rules.PROFILE_LIMIT
                if rules.profile_size(plan.document) > rules.MAX_REQUEST:
                    msg = f"{user_id}: the PATCH would be larger than the {rules.MAX_REQUEST} B that a request may have"
                    raise MetadataError(msg)
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

    # Afterwards ---------------------------------------------------------------------------------------

    def _check_steadiness(self) -> None:
        """Compute a sample again in another process and in another order, and compare."""
        if self._second is None or not self._sample:
            return
        with contextlib.closing(self._second()) as other:
            sample = self._sample[::-1]
            for (profile, ops), answer in zip(
                sample, other.run([profile for profile, _ in sample], fields=self._fields), strict=True
            ):
                self.summary.steady_checked += 1
                if answer.get("ops") != ops:
                    self.summary.unsteady.append(str(profile["user_id"]))
        self._sample.clear()

    def _emit_progress(self) -> None:
        self._last_progress = self._now()
        if self._on_event is not None:
            summary = self.summary
            self._on_event(
                PlanProgress(
                    read=summary.read,
                    changing=summary.changing,
                    invalid=summary.invalid,
                    seconds=self._last_progress - self._began,
                )
            )


def rates_of(client: ManagementClient) -> Rates | None:
    """Return the rates that a client has learned or was given, None if it knows none."""
    reads, writes = (client.channel.bucket(group) for group in (USER.reads, USER.writes))
    read, write = reads.per_second or writes.per_second, writes.per_second or reads.per_second
    if not read or not write:
        return None
    return Rates(
        read=round(read, 3),
        write=round(write, 3),
        shared=(reads.limit or writes.limit) == (writes.limit or reads.limit),
    )


def _batches(items: Iterable[Any]) -> Iterator[list[Any]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, _BATCH)):
        yield batch


def _at_most(items: Iterable[Any], limit: int | None) -> Iterator[Any]:
    """Yield the first `limit` items, None for all."""
    return itertools.islice(items, limit)
