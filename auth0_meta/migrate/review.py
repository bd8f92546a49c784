"""A job file as somebody reads it who has nothing else: whom it changes, and how.  Nothing is written or sent."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import attrs

from auth0_meta.migrate.api import status_of
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.ledger.path_diff import PathChange, path_changes
from auth0_meta.migrate.ledger.records import Record
from auth0_meta.migrate.ledger.sqlite import explain_damage, refusal
from auth0_meta.migrate.plan_file import JobFile

_BATCH = 100
"""Users in memory at once: each may have a plan of a megabyte."""


@contextlib.contextmanager
def reviewing(job: JobFile, /) -> Iterator[Review]:
    """Open a job file for reading in the block, even while another process applies it.

    Raises `LedgerError` for any other file, and for a plan that is not as it was made.
    """
    with Ledger.open(job, unfinished=True) as ledger:
        yield Review(ledger)


class Review:
    """One job file that is open for reading.

    `status` is where the job stands; its stage is "unfinished plan" if planning has not ended, and then its counts are
    those of the users so far.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        with ledger.snapshot(), explain_damage(ledger.path):
            if ledger.facts.get("complete"):
                self.status = status_of(ledger)
                if not ledger.facts.get("purged"):
                    ledger.check_plan()
            else:
                users = ledger.size()
                ledger.facts |= {"digest": "", "summary": {"changing": users}}
                self.status = attrs.evolve(
                    status_of(ledger), stage="unfinished plan", counts={"planned": users}
                )

    def require_values(self) -> None:
        """Raise `LedgerError` for a purged job, and for a plan that was never finished."""
        self._ledger.require_finished()
        if self.status.stage == "purged":
            raise refusal(
                self._ledger.path, "was purged: it holds no values any more, only ids, counts and notes"
            )

    def problems(self, limit: int = -1) -> list[tuple[str, str, str]]:
        """Return (user id or row, kind, note) for what could not be planned, or the first `limit` of them."""
        return self._ledger.problems(limit)

    def users(self) -> Iterator[Record]:
        """Yield every user of the plan in order, in bounded memory; none if the values are purged."""
        after = 0
        while batch := [] if self.status.stage == "purged" else self._ledger.checked_records(after, _BATCH):
            yield from batch
            after = batch[-1].n

    def user(self, user_id: str) -> Record | None:
        """Return one user of the plan, None if it has no such user."""
        n = self._ledger.number_of(user_id)
        return None if n is None else self._ledger.checked_records(n - 1, 1)[0]

    def changes(self, user: Record) -> list[PathChange]:
        """Return what differs between before and after, path by path."""
        with explain_damage(self._ledger.path):
            return list(path_changes(user.plan))
