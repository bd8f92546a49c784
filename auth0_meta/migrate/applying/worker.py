"""Do one user's part of a migration: a stateless function of JSON that reads, compares and sends at most one change.

The intent is on disk before a task is handed out, so whatever happens here can be found out later.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.changes.profile import stored_bag
from auth0_meta.clock import Cancelled
from auth0_meta.errors import (
    ApiError,
    Auth0MetaError,
    AuthError,
    ConfigError,
    ForbiddenError,
    NotFoundError,
    OutcomeUnknown,
    RateLimitError,
    ServerError,
    StateError,
    StoredDataError,
    TransportError,
)
from auth0_meta.http.budget import Deadline, Freshness, LongWait, WaitBudget
from auth0_meta.http.channel import HasChannel
from auth0_meta.http.request import Target
from auth0_meta.migrate.applying.task import Outcome, Task, TaskResult
from auth0_meta.migrate.ledger.compare import after_image, holds, image_of, undo_document, verdict
from auth0_meta.models import Wait

_PATIENCE = 2.0
"""Seconds that a PATCH may wait before what was read counts as old and is read again."""
_REFILLS = 2.5
"""Tokens' worth of waiting that a PATCH is allowed in any case: reading again takes a token too."""
_TIMED_OUT = 408
_MOST_FAILURES = 12
"""Repeats after lost connections and 5xx (about 3 minutes), then the run stops."""

# What ends the run instead of one user: nothing would be better with the next one.
_STOPPING = (AuthError, ForbiddenError, ConfigError, StateError, TransportError, RateLimitError)


class _Patient(WaitBudget):
    """Wait without end for the rate limit, and not without end for a server that fails."""

    def left(self) -> float | None:
        """Return 0 once it has failed too often."""
        return 0.0 if self.failures >= _MOST_FAILURES else super().left()


def work(
    client: HasChannel,
    task: Task,
    *,
    share: float,
    trust: bool = False,
    cancelled: threading.Event | None = None,
    on_wait: Callable[[Wait], object] | None = None,
) -> TaskResult:
    """Carry out a task and return what became of it; `trust`: don't read first."""
    job = _Job(client, task, share=share, trust=trust, cancelled=cancelled, on_wait=on_wait)
    started = client.channel.clock.monotonic()

    def result(outcome: Outcome, **more: Any) -> TaskResult:
        budget = job.budget
        return TaskResult(
            n=task.n,
            user_id=task.user_id,
            outcome=outcome,
            in_doubt=job.doubt,
            tried=job.tried,
            requests=budget.requests,
            patches=budget.attempts,
            refusals=budget.refusals,
            waited=budget.waited,
            seconds=client.channel.clock.monotonic() - started,
            **more,
        )

    try:
        outcome, more = job.undo() if task.kind == "undo" else job.apply()
    except Cancelled:
        return result("cancelled")
    except NotFoundError:
        return result("gone", note="the user does not exist any more")
    except (StoredDataError, ServerError) as error:
        return result("failed", note=str(error))
    except _STOPPING as error:
        return result("stopped", note=str(error), error=error)
    except Auth0MetaError as error:
        note = str(error)
        if job.doubt and isinstance(error, ApiError):
            note = f"its PATCH was answered {error.status} again and again, and may have been applied: look at this user"
        return result("failed", note=note)
    return result(outcome, **more)


class _Job:
    """Hold what one task is about; `doubt` says whether a PATCH may have been applied unseen."""

    def __init__(
        self,
        client: HasChannel,
        task: Task,
        *,
        share: float,
        trust: bool,
        cancelled: threading.Event | None,
        on_wait: Callable[[Wait], object] | None,
    ) -> None:
        self._channel = client.channel
        self._target = Target.user(task.user_id)
        self._document: Mapping[str, Any] = task.document
        self._before: Mapping[str, Any] = task.before
        self._after: Mapping[str, Any] = task.after
        self._trust = trust
        self._clock = self._channel.clock
        self._freshness = Freshness(_PATIENCE)
        self._read_at = 0.0
        self.doubt: bool = task.in_doubt
        self.tried: bool = task.tried
        self.budget = _Patient(
            max_wait=None, on_wait=on_wait, user_id=self._target.id, share=share, cancelled=cancelled
        )

    def apply(self) -> tuple[Outcome, dict[str, Any]]:
        """Bring the user from before to after, unless something else is there."""
        while True:
            if self.doubt or not self._trust:
                profile = self._read()
                stands = verdict(profile, self._document, self._before, self._after)
                if stands == "after":
                    return ("done" if self.doubt or self.tried else "same"), {}
                if stands == "other":
                    return ("unclear" if self.doubt else "drifted"), {"found": profile}
                self.doubt = self.tried = False  # as before: whatever had left was not applied
            stored = self._patch(self._document)
            if stored is None:
                continue
            if holds(stored, self._document, after_image(self._document)):
                return "done", {}
            return "done", {"after": image_of(_touching(self._document, self._before), stored)}

    def undo(self) -> tuple[Outcome, dict[str, Any]]:
        """Put back the keys that still hold what was written."""
        while True:
            body, kept = undo_document(self._read(), self._document, self._before, self._after)
            if body and self._patch(body) is None:
                continue
            return ("kept", {"kept": kept}) if kept else ("undone", {})

    def _read(self) -> dict[str, Any]:
        profile = self._channel.read(self._target, self.budget)
        self._read_at = self._clock.monotonic()
        for bag in BAGS:
            stored_bag(profile, bag)
        return profile

    def _patch(self, document: Mapping[str, Any]) -> dict[str, Any] | None:
        """Send one PATCH and return the profile after it; None where it has to be looked at again."""
        kind = self._target.kind
        try:
            return self._channel.patch(self._target, document, self.budget, deadline=self._until())
        except LongWait as wait:
            self._freshness.note(wait)
            self._channel.wait_out(wait, self.budget, kind.writes)
        except (ApiError, OutcomeUnknown) as error:
            if not _leaves_open(error):
                self.tried = self.tried or not isinstance(error, _STOPPING)
                raise
            self.doubt = True
            self.budget.cancelled = None  # what has left is followed to its end
            self._channel.back_off(error, self.budget, group=kind.reads, method="GET")
        return None

    def _until(self) -> Deadline | None:
        """Return how long the PATCH may wait before the user is read again."""
        if self._trust:
            return None
        rate = self._channel.bucket(self._target.kind.writes).per_second
        return self._freshness.until(self._read_at, needed=_REFILLS / rate if rate else 0.0)


def _leaves_open(error: ApiError | OutcomeUnknown) -> bool:
    """Tell whether a PATCH may have been applied though this is how it was answered.

    A 408 and a redirect come from what stands between, which may have handed it on.
    """
    if isinstance(error, ApiError) and not isinstance(error, ServerError):
        return error.status == _TIMED_OUT or error.status < 400
    return True


def _touching(document: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name the keys that a document touches, where it empties a bag too."""
    return {bag: dict(keys or dict.fromkeys(before.get(bag, {}))) for bag, keys in document.items()}
