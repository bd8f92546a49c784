"""Carry one run of the actions through: what is known, staged and due, and the one update at the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import attrs

from auth0_meta.actions.api import Api
from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.snapshot import SnapshotBag
from auth0_meta.actions.outcome import LoginOutcome, Redirect
from auth0_meta.actions.redirect import with_query
from auth0_meta.actions.staging import Asked, Carried, Staged, overlay
from auth0_meta.actions.suspended_logins import States, digest, new_state
from auth0_meta.changes.jsonvalue import ABSENT, BAGS, json_equal
from auth0_meta.endpoints.users import user_path
from auth0_meta.errors import ActionTimeout
from auth0_meta.http.given import Oversize
from auth0_meta.models import CommitResult

if TYPE_CHECKING:
    from auth0_meta.client import ManagementClient

_NEVER_KEPT = ("secrets", "configuration", "user", "request")

LockFor = Callable[[str], AbstractContextManager[Any]]


@attrs.frozen(kw_only=True)
class Settings:
    """Hold what a trigger was made with; `PostLoginTrigger` documents each."""

    client: ManagementClient
    cache: Cache
    states: States
    budget: float
    suspend_for: float
    secrets: Mapping[str, str] = attrs.field(repr=False)
    configuration: Mapping[str, Any] = attrs.field(repr=False)
    lock: LockFor | None
    keep_denied: bool
    keep_earlier: bool
    oversize: Oversize


class Execution:
    """Hold one run: from the event to the outcome, with a budget of its own.

    The order of calls is `prepare`, for each action `open` and `close`, then `commit`, perhaps `suspend`, and
    `release` whatever happened, `withdraw` where that failed.  `prepare`, `commit`, `suspend`, `release` and `withdraw` block.
    """

    def __init__(
        self,
        settings: Settings,
        event: Event,
        *,
        state: str | None = None,
        carried: Carried | None = None,
        fresh: bool = False,
    ) -> None:
        self._settings = settings
        self._started = settings.client.clock.monotonic()
        self._event = event.of_a_run(settings.secrets, settings.configuration)
        self._state = state
        self._carried = carried or Carried()
        self._fresh = fresh or settings.lock is not None
        self._staged: Staged = {bag: {} for bag in BAGS}
        self._held = ExitStack()
        self._asked: Asked | None = None
        self._facts: dict[str, Any] = {}
        self._written = False
        self._kept_under: str | None = None

    @property
    def user_id(self) -> str:
        """Return whose login this is."""
        return str(self._event.user["user_id"])

    def left(self) -> float:
        """Return the seconds of the budget that remain, 0 at the least."""
        return max(0.0, self._settings.budget - (self._settings.client.clock.monotonic() - self._started))

    def require_time(self, after: str) -> None:
        """Raise `ActionTimeout` once the budget is spent."""
        if self.left() <= 0:
            raise self.late(after)

    def late(self, after: str) -> ActionTimeout:
        """Word the end of the budget."""
        msg = (
            f"the actions of {self.user_id} have used up their {self._settings.budget:g} s, {after}. "
            "What they staged was discarded, the login failed: make them faster, or move the work out of the login"
        )
        return ActionTimeout(msg, user_id=self.user_id)

    # Before the actions -----------------------------------------------------------------------------

    @property
    def unprepared(self) -> bool:
        """Tell whether `prepare` has anything to do."""
        return self._fresh or bool(self._event.unknown)

    def prepare(self) -> None:
        """Take the lock, and read the user where a bag is unknown or may be old."""
        settings = self._settings
        if settings.lock is not None:
            self._held.enter_context(settings.lock(self.user_id))
            self.require_time("waiting for the lock")
        profile = settings.client.send(
            "GET",
            user_path(self.user_id),
            user_id=self.user_id,
            shown=f"users/{self.user_id}",
            max_wait=self.left(),
        )
        self._event = self._event.with_user(**Event.from_profile(profile).user)
        self.require_time("reading the user")

    def release(self) -> None:
        """Give the lock back."""
        self._held.close()

    @property
    def holds_lock(self) -> bool:
        """Tell whether `release` has anything to do."""
        return self._settings.lock is not None

    # Around one action ------------------------------------------------------------------------------

    def open(self, name: str, *, may_redirect: str | None) -> Asked:
        """Show an action the user as earlier actions left it, and take down what it asks for."""
        asked = Asked(
            event=self._event,
            name=name,
            carried=self._carried,
            earlier=self._staged,
            may_redirect=may_redirect,
            state=self._state,
        )
        user = self._event.user
        bags = {
            bag: SnapshotBag(overlay(dict(user[bag]), self._staged[bag]), asked.staged[bag], bag)
            for bag in BAGS
            if isinstance(user[bag], dict)
        }
        asked.event = self._event.with_user(**bags)
        self._asked = asked
        return asked

    def api(self, asked: Asked) -> Api:
        """Return the api that writes to `asked`."""
        return Api(asked, self._settings.cache, self._settings.client.clock)

    def close(self, asked: Asked) -> None:
        """Keep what the action asked for; later actions see it."""
        asked.end()
        self.require_time(f"after {asked.name}")
        if asked.denied is not None or asked.invalid:
            self._facts |= {"denied": asked.denied, "validation_errors": tuple(asked.invalid)}
            asked.target = None
            if not self._settings.keep_denied:
                self._staged = {bag: {} for bag in BAGS}
        for bag in BAGS:
            self._staged[bag] |= asked.staged[bag]

    def fail(self, error: Exception) -> bool:
        """Note what failed; True where earlier actions' metadata is to be written nevertheless."""
        if self._asked is not None:
            self._asked.end()
        if "error" in self._facts:
            error.__context__ = self._facts["error"]
        self._facts["error"] = error
        self._facts.pop("redirect", None)
        in_time = self.left() > 0 and not isinstance(error, ActionTimeout)
        keep = self._settings.keep_earlier and in_time and "commit" not in self._facts
        if not keep and not self._written:
            self._staged = {bag: {} for bag in BAGS}
        return keep

    # After the actions ------------------------------------------------------------------------------

    @property
    def uncommitted(self) -> bool:
        """Tell whether anything that is staged differs from what is known to be stored."""
        return any(
            not json_equal(ABSENT if value is None else value, self._event.user[bag].get(key, ABSENT))
            for bag in BAGS
            for key, value in self._staged[bag].items()
        )

    def commit(self) -> None:
        """Send what differs from what the actions saw, in one PATCH at most."""
        known = {
            name: value
            for name, value in self._event.user.items()
            if name not in BAGS or isinstance(value, dict)
        }
        self._facts["commit"] = None
        tx = self._settings.client.transaction(
            self.user_id, base=known, join=False, max_wait=self.left(), oversize=self._settings.oversize
        )
        try:
            with tx:
                for key, value in self._staged["user_metadata"].items():
                    tx.user_metadata[key] = value
                for key, value in self._staged["app_metadata"].items():
                    tx.app_metadata[key] = value
        finally:
            self._facts["commit"] = tx.result
        self._written = True

    def suspend(self, position: Sequence[Any], target: str, browser: str | None) -> None:
        """Keep what is needed to go on, and note where the browser is to go.

        Never kept: secrets, configuration, the user's profile, the body and query of the request, the
        application's own `state`.
        """
        event = {name: section for name, section in self._event.items() if name not in _NEVER_KEPT}
        event["transaction"] = {
            name: value for name, value in self._event.transaction.items() if name != "state"
        }
        data = {
            "user_id": self.user_id,
            "position": list(position),
            "event": event,
            "hostname": self._event.request.hostname,
            "carried": attrs.asdict(self._carried, recurse=False),
        }
        state, now = new_state(), self._settings.client.clock.time()
        key = digest(state, browser)
        self._settings.states.put(key, json.dumps(data), expires_at=now + self._settings.suspend_for, now=now)
        self._kept_under = key
        self._facts["redirect"] = Redirect(with_query(target, {"state": state}), state)

    @property
    def failed_late(self) -> bool:
        """Tell whether `withdraw` has anything to do: the login was suspended, and failed after that."""
        return self._kept_under is not None and "error" in self._facts

    def withdraw(self) -> None:
        """Take back what `suspend` has kept: a login that failed can't go on."""
        key, self._kept_under = self._kept_under, None
        if key is not None:
            self._settings.states.take(key, now=self._settings.client.clock.time())

    def outcome(self) -> LoginOutcome:
        """Return how it ended."""
        staged: dict[str, dict[str, Any]] = {bag: dict(keys) for bag, keys in self._staged.items() if keys}
        bare = LoginOutcome(user_id=self.user_id, staged=staged, **self._facts)
        if bare.commit is None and bare.error is None:
            bare = attrs.evolve(bare, commit=CommitResult(outcome="unchanged"))
        if not bare.allowed:
            return bare
        return attrs.evolve(
            bare,
            id_token_claims=self._carried.id_token,
            access_token_claims=self._carried.access_token,
            added_scopes=tuple(self._carried.added_scopes),
            removed_scopes=tuple(self._carried.removed_scopes),
            saml_attributes=self._carried.saml,
        )
