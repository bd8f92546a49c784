"""The changes of a change file beside the users of a source; on disk, because there may be many of both."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any

from auth0_meta.changes.change import Change
from auth0_meta.errors import Auth0MetaError
from auth0_meta.migrate.planning.addresses import ByEmail, is_address, not_one
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.sources import Found

# A row names a user by id, or by an address, which may be stored in lower case.
_TABLES = """
CREATE TABLE changes (
    n INTEGER PRIMARY KEY, user_id TEXT, place TEXT, email TEXT, lower TEXT, ops TEXT, seen INTEGER
);
CREATE INDEX by_id ON changes (user_id);
CREATE INDEX by_email ON changes (email);
CREATE INDEX by_lower ON changes (lower);
CREATE TABLE waiting (user_id TEXT PRIMARY KEY, email TEXT, profile TEXT);
CREATE INDEX by_address ON waiting (email);
BEGIN;
"""
_MATCH = """
CREATE TABLE matches AS
    SELECT n, count(*) AS users, min(waiting.user_id) AS only
    FROM changes JOIN waiting ON waiting.email IN (changes.email, lower) GROUP BY n;
CREATE UNIQUE INDEX by_row ON matches (n);
BEGIN;
UPDATE changes SET user_id = (SELECT only FROM matches WHERE matches.n = changes.n)
    WHERE n IN (SELECT n FROM matches WHERE users = 1);
UPDATE changes SET seen = 1 WHERE n IN (SELECT n FROM matches WHERE users > 1);
"""


class ChangeIndex:
    """The rows of a change file, to be joined with users; close it."""

    def __init__(self, changes: Iterable[tuple[Found | ByEmail, Change]]) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # SQLite keeps it in a temporary file
        try:
            self._fill(changes)
        except BaseException:
            self.close()
            raise

    def _fill(self, changes: Iterable[tuple[Found | ByEmail, Change]]) -> None:
        self._db.executescript(_TABLES)
        for whom, change in changes:
            row: dict[str, str | None] = dict.fromkeys(("user_id", "place", "email", "lower"))
            if isinstance(whom, ByEmail):
                row |= {"place": whom.where, "email": whom.email, "lower": whom.spellings[-1]}
            else:
                row["user_id"] = whom.user_id
            insert = "INSERT INTO changes VALUES (NULL, :user_id, :place, :email, :lower, :ops, 0)"
            self._db.execute(insert, {**row, "ops": json.dumps(change.to_json())})

    def join(self, users: Iterable[Found]) -> Iterator[tuple[Found, Change] | BadLine]:
        """Yield the users whom the file names, with all their changes, combined in the order of the rows.

        A user whose address is in the file waits until the last one has been seen: another may have it too.
        """
        for found in users:
            email = found.profile.get("email") if isinstance(found.profile, Mapping) else None
            if isinstance(email, str) and is_address(email) and self._names(email):
                row = (found.user_id, email, _encoded(found.profile))
                self._db.execute("INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)", row)
            else:
                yield from self._with_change(found)
        yield from self._resolve()
        for user_id, profile in self._db.execute("SELECT user_id, profile FROM waiting"):
            yield from self._with_change(Found(user_id, profile and json.loads(profile)))

    def missing(self) -> Iterator[str]:
        """Yield the users whom the source does not have: their ids, or the rows that name them by address."""
        rows = "SELECT DISTINCT coalesce(user_id, place) FROM changes WHERE NOT seen"
        for (name,) in self._db.execute(rows):
            yield name

    def close(self) -> None:
        """Delete the temporary file."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()

    def _names(self, email: str) -> bool:
        row = "SELECT 1 FROM changes WHERE email = ?1 OR lower = ?1 LIMIT 1"
        return self._db.execute(row, (email,)).fetchone() is not None

    def _resolve(self) -> Iterator[BadLine]:
        """Give the rows by address the id of the one user who has it; yield those whose address several users have."""
        self._db.executescript(_MATCH)
        several = "SELECT place, email, lower FROM changes JOIN matches USING (n) WHERE users > 1"
        for where, *spellings in self._db.execute(several):
            who = "SELECT user_id FROM waiting WHERE email IN (?, ?) ORDER BY user_id"
            yield BadLine(where, not_one(user_id for (user_id,) in self._db.execute(who, spellings)))

    def _with_change(self, found: Found) -> Iterator[tuple[Found, Change] | BadLine]:
        mine: Any = (found.user_id,)
        rows = self._db.execute("SELECT ops FROM changes WHERE user_id = ? ORDER BY n", mine).fetchall()
        if not rows:
            return
        self._db.execute("UPDATE changes SET seen = 1 WHERE user_id = ?", mine)
        try:
            change = reduce(Change.then, (Change.from_json(json.loads(ops)) for (ops,) in rows))
        except Auth0MetaError as error:
            yield BadLine(found.user_id, str(error))
        else:
            yield found, change


def _encoded(profile: Mapping[str, Any] | None) -> str | None:
    """Return a profile as JSON; None if it is nested too deeply, so that it is read again and named."""
    try:
        return json.dumps(profile)
    except RecursionError:
        return None
