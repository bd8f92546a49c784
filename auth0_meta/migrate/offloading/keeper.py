"""The care for what an offload moves: a value is in the store, and was read back, before its pointer is sent."""

from __future__ import annotations

from auth0_meta.errors import (
    Auth0MetaError,
    ExternalDamagedError,
    ExternalError,
    ExternalUnavailableError,
    LedgerError,
)
from auth0_meta.external.store import ExternalStore
from auth0_meta.http.budget import LongWait, WaitBudget
from auth0_meta.http.channel import Channel
from auth0_meta.http.request import USER
from auth0_meta.migrate.ledger.compare import Document, Image
from auth0_meta.migrate.offloading.paths import dotted
from auth0_meta.migrate.offloading.rule import Move, Rule

REASON = "external store"
"""What a wait for the store is called in events and logs."""
_PATIENCE = 60.0
"""Seconds for which a store that can't store is tried again; a database server restarts in less."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_LASTING = ("full", "read-only")
"""Causes that trying again soon does not help with."""


class Keeper:
    """Store the values of one job; for many threads at once."""

    def __init__(self, rule: Rule, store: ExternalStore) -> None:
        self._rule, self._store = rule, store

    def keep(
        self, user_id: str, before: Image, channel: Channel, budget: WaitBudget, /, document: Document
    ) -> None:
        """Return once every value that a pointer of `document` replaces is durable, and the same when read back.

        Values are taken from `before`, which is what was found stored just now.  A store that fails is tried again for a
        minute, with pauses that count as waits; then this raises the `ExternalError`, which concerns every user.
        Raises `LedgerError` for a document that this offload has not made.
        """
        moves = self._rule.of(user_id, before, document)
        if moves is None:
            what = f"the plan of {user_id} is not what this offload makes of what is stored"
            raise LedgerError(f"{what}: nothing was written for this user. Plan again")
        for move in moves:
            self._keep(user_id, move, channel, budget)

    def _keep(self, user_id: str, move: Move, channel: Channel, budget: WaitBudget) -> None:
        begun, pause = channel.clock.monotonic(), _FIRST_PAUSE
        while True:
            try:
                return self._attempt(user_id, move)
            except ExternalError as error:
                lasting = (
                    not isinstance(error, ExternalUnavailableError) or getattr(error, "cause", "") in _LASTING
                )
                if lasting or channel.clock.monotonic() - begun + pause > _PATIENCE:
                    what = "nothing was written for this user. Run the same command again to resume"
                    error.args = (f"{user_id}: {error}; {what}",)
                    raise
            channel.wait_out(LongWait(REASON, pause), budget, USER.writes)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _attempt(self, user_id: str, move: Move) -> None:
        """Store one value and read it back."""
        name, key = move.pointer["external"].split("/")
        try:
            self._store.put(key, move.data, user_id=user_id, path=dotted(move.path))
            found = self._store.get(key)
        except LookupError:
            self._refuse(move, "does not have the value that it has just stored")
        except Auth0MetaError:
            raise
        except Exception as error:  # noqa: BLE001  # a store may be anybody's; its message may quote the value
            what = f"the store {name!r} failed ({type(error).__name__})"
            raise ExternalUnavailableError(what, store=name, pointer=move.pointer["external"]) from None
        if found != move.data:
            self._refuse(move, "returned something else than the value that it has just stored")

    def _refuse(self, move: Move, what: str) -> None:
        at, store = move.pointer["external"], self._store.name
        raise ExternalDamagedError(
            f"{at}: the store {store!r} {what}: check its disk", store=store, pointer=at
        )
