"""The ledger: what is planned and what became of it, in one SQLite file with one writer.

The intent to change a user is on disk before the PATCH leaves, so that after any crash it is known who may have
been written.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from auth0_meta._version import __version__
from auth0_meta.errors import Auth0MetaError, LedgerError
from auth0_meta.files.paths import check_regular, status_of
from auth0_meta.migrate.ledger.digest import block_of, digest, digest_of_all, seal
from auth0_meta.migrate.ledger.format import INDEX, TABLES, check_format, check_replaceable, upgrade
from auth0_meta.migrate.ledger.integrity import Integrity
from auth0_meta.migrate.ledger.lock import FileLock, is_held
from auth0_meta.migrate.ledger.records import (
    TO_LOOK_AT,
    Plan,
    Record,
    State,
    check_run,
    follows,
    pack,
    unpack,
    written,
)
from auth0_meta.migrate.ledger.sqlite import (
    DAMAGED,
    check_companions,
    connect,
    damaged,
    explain_damage,
    explain_errors,
    files,
    may_write,
    refusal,
    rows_of,
)
from auth0_meta.migrate.report_types import RunReport

_MOST_NOTE = 500


@attrs.frozen
class Settled:
    """What became of a user: the state, a note without values, a plan if one was made again; `tried`: see `Record`."""

    user: Record
    state: State
    note: str | None = None
    again: Plan | None = None
    tried: bool = attrs.field(default=False, kw_only=True)


class Ledger(contextlib.AbstractContextManager["Ledger"]):
    """One open job file: `create` or `open` it, and `close` it.  For one thread only.

    `facts` belong to the plan: tenant, source, digests, summary.  All writing happens inside `group()`, which
    is one durable commit.
    """

    def __init__(self, path: Path, db: sqlite3.Connection, lock: FileLock | None) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        self._unfinished = False
        self._tidies = False
        self._integrity = Integrity(path, db)
        self.facts: dict[str, Any] = {}

    # Opening and closing ------------------------------------------------------------------------------

    @classmethod
    def create(cls, path: str | os.PathLike[str], facts: Mapping[str, Any], /) -> Ledger:
        """Create a job file that only its owner can read; a block that ends before `complete` deletes it.

        Raises `LedgerError` if the file exists, unless it is a plan that was never finished: that is replaced.
        """
        path = Path(path)
        with contextlib.ExitStack() as cleanup:
            lock = FileLock(path)
            cleanup.callback(lock.close)  # first: whatever interrupts what follows, the lock is free again
            lock.take()
            check_companions(path)
            if path.exists():
                check_replaceable(path)
                _remove(files(path))
            with explain_errors(path):
                os.close(os.open(files(path)[0], os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
                cleanup.callback(_remove, files(path))
                ledger = cls(path, connect(path, write=True), lock)
                cleanup.callback(ledger._db.close)
                with ledger.group():
                    for statement in TABLES:
                        ledger._db.execute(statement)
                    ledger.store_facts(**facts, version=__version__, complete=False)
            cleanup.pop_all()
        ledger._unfinished = True
        return ledger

    @classmethod
    def open(
        cls, path: str | os.PathLike[str], /, *, write: bool = False, unfinished: bool = False
    ) -> Ledger:
        """Open a job file; `write` makes this process its one writer.

        Raises `LedgerError` for any other file, a second writer and, except if `unfinished`, an unfinished plan.
        """
        path = Path(path)
        try:
            if (status := status_of(path)) is not None:
                check_regular(status)
        except OSError as error:
            raise refusal(path, f"can't be used: {error.strerror}") from None
        if status is None:
            raise refusal(path, f"does not exist: create it with auth0-meta migrate plan ... -o {path}")
        with contextlib.ExitStack() as cleanup:
            lock = FileLock(path) if write else None
            if lock is not None:
                cleanup.callback(lock.close)
                lock.take()
            check_companions(path)
            # What a killed run has left beside it stays until somebody writes.
            tidies = may_write(path) and (not any(name.exists() for name in files(path)[1:]) or is_held(path))
            with explain_damage(path):
                ledger = cls(path, connect(path, write=write), lock)
                ledger._tidies = tidies and not write
                cleanup.callback(ledger._db.close)
                check_format(path, ledger._db)
                found = ledger._db.execute("SELECT name, value FROM facts")
                ledger.facts = {name: json.loads(value) for name, value in found}
                if write:  # a disk that can't be written is found out here, before anything is sent
                    with ledger.group():
                        ledger._db.execute("UPDATE facts SET value = value WHERE name = 'version'")
                        upgrade(ledger._db)
            if not unfinished:
                ledger.require_finished()
            cleanup.pop_all()
        return ledger

    def close(self) -> None:
        """Close the file and release its lock; the last one to close removes SQLite's companion files."""
        try:
            self._db.close()
            if self._tidies:  # a read-only connection can't remove what it made
                with contextlib.suppress(sqlite3.Error):
                    connect(self.path, write=True).close()
        finally:
            if self._lock is not None:
                self._lock.close()

    def __exit__(self, *_: object) -> None:
        if self._unfinished:
            self._db.close()
            _remove(files(self.path))
        self.close()

    def require_finished(self) -> None:
        """Raise `LedgerError` for a plan that is not finished."""
        if not self.facts.get("complete"):
            if self._lock is None and is_held(self.path):
                raise refusal(self.path, "is still being planned by another process: wait for it")
            raise refusal(self.path, "is a plan that was never finished: plan again")

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Let all reads in the block see one snapshot, even if another process writes to the file meanwhile."""
        self._rows("BEGIN")
        try:
            yield
        finally:
            self._roll_back()

    def _rows(self, query: str, *values: object) -> list[Any]:
        return rows_of(self.path, self._db, query, *values)

    # One commit ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def group(self) -> Iterator[None]:
        """Commit everything that is written in the block at once, durably; if it raises, none of it."""
        with explain_errors(self.path):
            try:
                self._roll_back()  # what an interrupt between two lines has left open
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._roll_back()
                raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:  # a full disk may have rolled back already
            self._db.execute("ROLLBACK")

    def store_facts(self, **facts: Any) -> None:
        """Store facts of the plan; they must be JSON and hold no metadata value."""
        rows = [(name, json.dumps(value)) for name, value in facts.items()]
        self._db.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", rows)
        self.facts.update(facts)

    # Planning -----------------------------------------------------------------------------------------

    def add(self, users: Iterable[tuple[str, str]]) -> None:
        """Add users who change, each with the plan as `written`, or replace the plans of those who are there."""
        self._db.executemany(
            "INSERT INTO users (user_id, state, plan) VALUES (?, 0, ?)"
            " ON CONFLICT (user_id) DO UPDATE SET plan = excluded.plan",
            ((user_id, pack(text)) for user_id, text in users),
        )

    def planned(self, user_ids: Collection[str]) -> set[str]:
        """Return which of these users, of whom there may be hundreds, have a plan so far."""
        marks = ", ".join("?" * len(user_ids))
        query = f"SELECT user_id FROM users WHERE user_id IN ({marks})"  # noqa: S608  # question marks
        return {user_id for (user_id,) in self._rows(query, *user_ids)}

    def plan_of(self, user_id: str) -> Plan | None:
        """Return the plan for a user so far, None without one."""
        found = self._rows("SELECT plan FROM users WHERE user_id = ?", user_id)
        return unpack(found[0][0]) if found else None

    def remove(self, user_id: str) -> None:
        """Take a user out of the plan."""
        self._db.execute("DELETE FROM users WHERE user_id = ?", (user_id,))

    def add_problem(self, user_id: str, kind: str, note: str) -> None:
        """Note a user who can't be planned."""
        problem = (user_id, kind, note[:_MOST_NOTE])
        self._db.execute("INSERT INTO problems (user_id, kind, note) VALUES (?, ?, ?)", problem)

    def complete(self, **facts: Any) -> None:
        """Finish the plan: write the index, the counts, the digests and the given facts."""
        with self.group():
            rows = self._db.execute("SELECT n, user_id, plan FROM users ORDER BY n")
            blocks = []
            for block, members in itertools.groupby(rows, lambda row: block_of(row[0])):
                users = list(members)
                blocks.append((block, len(users), digest(users)))
            self._db.executemany("INSERT INTO blocks VALUES (?, ?, ?)", blocks)
            self._db.execute(INDEX)
            recount = "UPDATE counts SET n = (SELECT COUNT(*) FROM users WHERE users.state = counts.state)"
            self._db.execute(recount)
            self.store_facts(**facts, digest=digest_of_all(blocks), complete=True)
        self._unfinished = False

    def check_plan(self) -> None:
        """Raise `LedgerError` if the digests or the number of users are not those of the plan, or the file is damaged.

        The users themselves are checked against the digests when they are claimed: reading them all takes minutes
        in a large job.
        """
        self._integrity.check_plan(self.facts, self.counts())

    def problems(self, limit: int = -1) -> list[tuple[str, str, str]]:
        """Return (user id, kind, note) for each user who could not be planned, or the first `limit` of them."""
        query = f"SELECT {_as_text('user_id', 'kind', 'note')} FROM problems ORDER BY n LIMIT ?"  # noqa: S608  # literals of ours
        return self._rows(query, limit)

    # Running ------------------------------------------------------------------------------------------

    def counts(self) -> dict[State, int]:
        """Return how many users are in each state."""
        with explain_damage(self.path):
            counts = {State(state): int(n) for state, n in self._rows("SELECT state, n FROM counts")}
        if len(counts) < len(State):
            raise damaged(self.path)
        return counts

    def numbers(self, states: Iterable[State]) -> list[int]:
        """Return the numbers of all users in these states, in order."""
        query = f"SELECT n FROM users {_in(states)} ORDER BY n"  # noqa: S608  # whole numbers of ours
        return [n for (n,) in self._rows(query)]

    def move(self, states: Iterable[State], to: State) -> None:
        """Put all users in these states into another one, and drop their notes."""
        for state in states:
            self._db.execute("UPDATE users SET state = ?, note = NULL WHERE state = ?", (int(to), int(state)))

    def claim(self, state: State, into: State, limit: int, *, after: int = 0) -> list[Record]:
        """Move the next users in `state` to `into` and return them: the intent, durable once the group is."""
        query = "SELECT n FROM users WHERE state = ? AND n > ? ORDER BY n LIMIT ?"
        users = self.claim_numbers([n for (n,) in self._rows(query, int(state), after, limit)], into)
        if any(user.state is not state for user in users):  # the index disagrees with the row
            raise damaged(self.path)
        return users

    def claim_numbers(self, numbers: Sequence[int], into: State) -> list[Record]:
        """Move the users with these numbers to `into` and return them."""
        users = [user for n in numbers for user in self._records("WHERE n = ?", n)]
        if len(users) != len(numbers):
            raise damaged(self.path)
        self._integrity.check_blocks(numbers)
        moves = [(int(into), user.n) for user in users]
        self._db.executemany("UPDATE users SET state = ? WHERE n = ?", moves)
        return users

    def settle(self, outcomes: Iterable[Settled]) -> None:
        """Record what became of users."""
        for one in outcomes:
            changed = (int(one.state), one.note and one.note[:_MOST_NOTE], one.tried, one.user.n)
            self._db.execute("UPDATE users SET state = ?, note = ?, tried = ? WHERE n = ?", changed)
            if one.again is not None:
                again = pack(written(one.again))
                sealed = (again, seal(one.user.user_id, again), one.user.n)
                self._db.execute("UPDATE users SET again = ?, seal = ? WHERE n = ?", sealed)

    def records(self, limit: int = 1000) -> list[Record]:
        """Return the first users, in order."""
        return self._records("ORDER BY n LIMIT ?", limit)

    def checked_records(self, after: int, limit: int) -> list[Record]:
        """Return the next users, in order; raise `LedgerError` unless they are as planned."""
        users = self._records("WHERE n > ? ORDER BY n LIMIT ?", after, limit)
        if self.facts.get("complete"):
            self._integrity.check_blocks(user.n for user in users)
        return users

    def number_of(self, user_id: str) -> int | None:
        """Return a user's number, None if the plan has no such user."""
        found = self._rows("SELECT n FROM users WHERE user_id = ?", user_id)
        return found[0][0] if found else None

    def size(self) -> int:
        """Return how many users have been planned so far."""
        return int(self._rows("SELECT COUNT(*) FROM users")[0][0])

    def to_look_at(self, limit: int) -> list[tuple[str, str, str]]:
        """Return (user id, state, note) for users whom a person should look at."""
        query = f"SELECT {_as_text('user_id', 'note')}, state FROM users {_in(TO_LOOK_AT)} ORDER BY n LIMIT ?"  # noqa: S608  # literals of ours
        with explain_damage(self.path):
            return [(user_id, State(state).word, note) for user_id, note, state in self._rows(query, limit)]

    def _records(self, which: str, *values: int) -> list[Record]:
        query = f"SELECT n, user_id, state, plan, again, seal, tried, note FROM users {which}"  # noqa: S608  # literals of ours
        users = []
        for n, user_id, state, plan, again, sealed, tried, note in self._rows(query, *values):
            try:
                current = planned = unpack(plan)
                intact = again is None or sealed == seal(user_id, again)
                if again is not None and intact:
                    current = unpack(again)
                    intact = follows(current, planned) or self._may_differ()
                user = Record(n, user_id, State(state), current, tried=bool(tried), note=note)
            except (
                ValueError,
                TypeError,
                AttributeError,
                LookupError,
                RecursionError,
                zlib.error,
                Auth0MetaError,
            ):
                intact = False
            if not intact:
                what = "its values were purged" if plan is None else DAMAGED
                msg = f"{self.path}: the plan of {user_id} can't be read, {what}. Nothing was sent for this user"
                raise LedgerError(msg, path=str(self.path))
            users.append(user)
        return users

    def _may_differ(self) -> bool:
        """Return whether a run of this file was allowed to do something else than was planned."""
        runs = [run for run in self.runs() if run["kind"] == "apply"]
        return any(run.get("migration", True) or run.get("drift") == "overwrite" for run in runs)

    # Runs ---------------------------------------------------------------------------------------------

    def begin_run(self, kind: str, facts: Mapping[str, Any]) -> int:
        """Note that a run begins; return its number."""
        cursor = self._db.execute("INSERT INTO runs (kind, facts) VALUES (?, ?)", (kind, json.dumps(facts)))
        return int(cursor.lastrowid or 0)

    def update_run(self, run: int, facts: Mapping[str, Any], ticks: Mapping[int, Mapping[str, Any]]) -> None:
        """Store where a run stands, and what happened in the given seconds of it."""
        self._db.execute("UPDATE runs SET facts = ? WHERE n = ?", (json.dumps(facts), run))
        rows = [(run, second, json.dumps(tick)) for second, tick in ticks.items()]
        self._db.executemany("INSERT OR REPLACE INTO ticks VALUES (?, ?, ?)", rows)

    def runs(self) -> list[RunReport]:
        """Return the runs so far, each with its kind and number; a run whose process is gone has ended "killed"."""
        with explain_damage(self.path):
            found = self._rows("SELECT n, kind, facts FROM runs ORDER BY n")
            every = [{"run": n, "kind": kind, **json.loads(facts)} for n, kind, facts in found]
            runs = cast("list[RunReport]", every)  # check_run raises if one is anything else
            for run in runs:
                check_run(run)
                if run["ended"] == "running" and not (run is runs[-1] and is_held(self.path)):
                    run["ended"] = "killed"
        return runs

    def ticks(self, run: int) -> list[tuple[int, dict[str, Any]]]:
        """Return (second, what happened in it) for a run."""
        found = self._rows("SELECT second, facts FROM ticks WHERE run = ? ORDER BY second", run)
        return [(second, json.loads(facts)) for second, facts in found]

    def purge(self) -> None:
        """Delete every value: operations, documents, images; counts, notes and runs stay."""
        with self.group():
            # From a digest a short value could be guessed, and a note may quote one.
            self._db.execute("UPDATE users SET plan = NULL, again = NULL, seal = NULL, note = NULL")
            self._db.execute("UPDATE blocks SET digest = ''")
            self._db.execute("UPDATE problems SET note = ''")
            self.store_facts(purged=True, digest="")
        with explain_errors(self.path):  # what SQLite has only marked as free would still be on disk
            self._db.execute("VACUUM")
            busy, *_ = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            what = "is being read by another process, and the values are on the disk until that ends: purge it again then"
            raise refusal(self.path, what)


def _as_text(*names: str) -> str:
    """Return columns as text whatever somebody has put there: SQLite keeps a value of any type in them."""
    return ", ".join(f"COALESCE(CAST({name} AS TEXT), '')" for name in names)


def _in(states: Iterable[State]) -> str:
    return f"WHERE state IN ({', '.join(str(int(state)) for state in states)})"


def _remove(names: Iterable[Path]) -> None:
    for name in names:
        name.unlink(missing_ok=True)
