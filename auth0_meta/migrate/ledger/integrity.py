"""Whether an open job file holds what was planned: its digests, and who is in which state."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from auth0_meta.migrate.ledger.digest import BLOCK, block_of, digest, digest_of_all
from auth0_meta.migrate.ledger.records import State
from auth0_meta.migrate.ledger.sqlite import damaged, explain_damage, refusal, rows_of


class Integrity:
    """Check one open file; every check raises `LedgerError`."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path, self._db = path, db
        self._checked: set[int] = set()
        self._data_version: list[Any] = []

    def check_plan(self, facts: Mapping[str, Any], counts: Mapping[State, int]) -> None:
        """Check the digest over all blocks, and the number of users."""
        blocks = self._rows("SELECT block, users, digest FROM blocks ORDER BY block")
        users = self._check_states(counts)
        with explain_damage(self._path):
            as_planned = digest_of_all(blocks) == facts["digest"] and users == sum(b[1] for b in blocks)
        self._require(as_planned=as_planned)

    def _check_states(self, counts: Mapping[State, int]) -> int:
        """Return the number of users, if rows, index and counts agree on who is in which state.

        SQLite fills a last page that was cut with zeros, and then the index, which is written last, names nobody: a
        run would find nothing to do.
        """
        query = "SELECT state, COUNT(*), SUM(n) FROM users {} GROUP BY state"
        rows, index = (set(self._rows(query.format(how))) for how in ("NOT INDEXED", "INDEXED BY by_state"))
        found = {state: n for state, n, _ in rows}
        if rows != index or found != {int(state): n for state, n in counts.items() if n}:
            raise damaged(self._path)
        return sum(found.values())

    def check_blocks(self, numbers: Iterable[int]) -> None:
        """Check the blocks of these users against their digests, each once unless somebody else writes to the file."""
        version = self._rows("PRAGMA data_version")
        if version != self._data_version:
            self._data_version = version
            self._checked.clear()
        for block in sorted({block_of(n) for n in numbers} - self._checked):
            known = self._rows("SELECT digest FROM blocks WHERE block = ?", block)
            query = "SELECT n, user_id, plan FROM users WHERE n > ? AND n <= ? ORDER BY n"
            found = self._rows(query, block * BLOCK, (block + 1) * BLOCK)
            with explain_damage(self._path):
                as_planned = known == [(digest(found),)]
            self._require(as_planned=as_planned)
            self._checked.add(block)

    def _rows(self, query: str, *values: object) -> list[Any]:
        return rows_of(self._path, self._db, query, *values)

    def _require(self, *, as_planned: bool) -> None:
        if not as_planned:
            what = "is not as it was planned: its digest differs. Restore a copy, or plan again"
            raise refusal(self._path, f"{what}. Nothing was sent for the users whose plans have changed")
