"""Carry out one login: read the user, collect what the actions stage, write it, suspend the login on a redirect."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Literal, get_args

import attrs

from auth0_meta.actions import claims
from auth0_meta.actions.api import Api
from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import SnapshotBag
from auth0_meta.actions.failure import place_of, report
from auth0_meta.actions.outcome import LoginOutcome, Redirect
from auth0_meta.actions.redirect import with_query
from auth0_meta.actions.staging import Staged, Staging, TokenChanges, overlay
from auth0_meta.actions.suspended_logins import States, SuspendedLogin, digest, new_state
from auth0_meta.arguments import number
from auth0_meta.changes.jsonvalue import ABSENT, BAGS, json_equal
from auth0_meta.errors import (
    ActionTimeout,
    ConfigError,
    InputError,
    MetadataWarning,
    StateError,
    StoredDataError,
    TransportError,
)
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import HasChannel
from auth0_meta.http.request import Target
from auth0_meta.models import CommitResult
from auth0_meta.transactions.options import Oversize, TransactionOptions
from auth0_meta.transactions.transaction import MetadataTransaction
from auth0_meta.transactions.unit import State, Unit
from auth0_meta.transactions.write import read_stored
from auth0_meta.warn import notice

# A suspended login stays in a store for minutes, so these are left out: the trigger has the secrets and the
# configuration, the user is read again, and the request to /continue replaces this one, whose body may
# contain a password.
_NEVER_STORED = ("secrets", "configuration", "user", "request")

LockFactory = Callable[[str], AbstractContextManager[Any]]
"""Make a context manager for a user id."""
AllOrThis = Literal["all", "this"]
_CHOICES = {
    "deny_keeps": get_args(AllOrThis),
    "error_discards": get_args(AllOrThis),
    "oversize": get_args(Oversize),
}
_WHAT_WAS_WRITTEN = {
    "updated": "Its update was written",
    "confirmed": "Its update was written",
    "unchanged": "There was nothing to write",
    "unknown": "Its update may or may not have been written: read the user before you write again",
}
"""Outcome of the commit -> what to say of the update when its login took too long; any other means that it was discarded."""


@attrs.frozen(kw_only=True)
class TriggerOptions:
    """The options of a trigger; `PostLoginTrigger` documents each.  Raises `ConfigError` for one that can't work."""

    client: HasChannel
    cache: Cache
    budget: float
    lock: LockFactory | None
    states: States
    suspend_for: float
    secrets: Mapping[str, str] = attrs.field(repr=False)
    configuration: Mapping[str, Any] = attrs.field(repr=False)
    deny_keeps: AllOrThis
    error_discards: AllOrThis
    oversize: Oversize

    def __attrs_post_init__(self) -> None:
        number("budget", self.budget, above=0, error=ConfigError)
        number("suspend_for", self.suspend_for, above=0, error=ConfigError)
        if self.lock is not None and not callable(self.lock):
            kind = type(self.lock).__name__
            raise ConfigError(
                f"lock must be a function of the user id that returns a context manager, not {kind}"
            )
        for name, choices in _CHOICES.items():
            if (choice := getattr(self, name)) not in choices:
                raise ConfigError(f"{name} must be one of {', '.join(choices)}, not {choice!r}")


class Execution:
    """One login, from its event to its outcome, with a budget of its own.

    Under the `lock`, call `prepare`, then `open` and `close` for each action, `commit`, and `suspend` if it redirects;
    then `end`, and `withdraw` if the login failed after `suspend`.  `lock`, `prepare`, `commit`, `suspend` and
    `withdraw` block.

    `started`: when the login began, on the monotonic clock; None means now.
    """

    def __init__(
        self,
        options: TriggerOptions,
        event: Event,
        *,
        state: str | None = None,
        token_changes: TokenChanges | None = None,
        started: float | None = None,
    ) -> None:
        self.options = options
        self._channel = options.client._channel
        begun = self._channel.clock.monotonic() if started is None else started
        self._ends = begun + options.budget
        self._event = event._for_run(options.secrets, options.configuration)
        self._state = state
        self._token_changes = token_changes or TokenChanges()
        self._staged: Staged = {bag: {} for bag in BAGS}
        self._current: Staging | None = None
        self._results: dict[str, Any] = {}
        """Fields of the outcome, as they become known."""
        self._transaction: MetadataTransaction | None = None
        """The update, once it has been tried; its result is read at the end, so that no interrupt can lose it."""
        self._suspended_under = ""

    @property
    def user_id(self) -> str:
        """Return the id of the user who logs in."""
        return str(self._event.user["user_id"])

    def time_left(self) -> float:
        """Return the seconds of the budget that remain, at least 0."""
        return max(0.0, self._ends - self._channel.clock.monotonic())

    def require_time(self, when: str) -> None:
        """Raise `ActionTimeout` if the budget is spent."""
        if self.time_left() <= 0:
            raise self.timeout_error(when)

    def timeout_error(self, when: str) -> ActionTimeout:
        """Return the error for a spent budget."""
        commit = self._commit_result()
        written = "What its actions staged was discarded"
        if commit is not None:
            written = _WHAT_WAS_WRITTEN.get(commit.outcome, written)
        msg = (
            f"the login of {self.user_id} took longer than its budget of {self.options.budget:g} s ({when}). "
            f"{written}. The login failed: make the actions faster, or move the work out of the login"
        )
        return ActionTimeout(msg, user_id=self.user_id)

    def _limited(self, budget: WaitBudget) -> WaitBudget:
        """Make a budget end with the login, which cuts off its requests too, and those for tokens."""
        budget.ends = self._ends
        budget.bound = f"the login's budget of {self.options.budget:g} s"
        return budget

    @contextmanager
    def _in_time(self, when: str) -> Iterator[None]:
        """Raise `ActionTimeout` if the budget is spent after the block, whether or not its requests got a response."""
        try:
            yield
        except TransportError as error:
            if self.time_left() > 0:
                raise
            raise self.timeout_error(when) from error
        self.require_time(when)

    # Before the actions -----------------------------------------------------------------------------

    def lock(self) -> AbstractContextManager[Any]:
        """Return the lock to hold from here to the end of the update."""
        return nullcontext() if self.options.lock is None else self.options.lock(self.user_id)

    def lose_lock(self, error: Exception) -> None:
        """Note that the lock failed when it was released, such as one whose lease had expired.

        It may not have protected the update, but what was written stays written, and so the outcome stays what it is.
        """
        self._results["lock_lost"] = True
        # A filter may turn the warning into an error, which must not change the outcome.
        with suppress(MetadataWarning):
            notice(
                f"the lock of the login of {self.user_id} failed when it was released ({type(error).__name__}), so it "
                "may not have protected the update from other logins; the outcome says what was written"
            )

    @property
    def must_prepare(self) -> bool:
        """Return whether `prepare` has anything to do."""
        return self.options.lock is not None or bool(self._event.unknown)

    def prepare(self) -> None:
        """Read the user.

        Under a lock the user is read even if the event has both metadata objects: another login may have
        changed them since the event was made.
        """
        self.require_time("it waited for the lock")
        with self._in_time("it read the user"):
            budget = self._limited(self._channel.budget(self.user_id, self.time_left()))
            profile = read_stored(self._channel, Target.user(self.user_id), budget)
            self._event = self._event._with_user(**self._user_from(profile))

    def _user_from(self, profile: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return what an event shows of a stored profile; raise `StoredDataError` if it can't be shown."""
        try:
            return Event.from_profile(profile).user
        except (InputError, RecursionError):
            # Python reads NaN, and numbers past 1e308, which are not JSON.  They are stored, and nobody passed them as an
            # argument, so this is not an `InputError`.
            msg = (
                f"the profile of user {self.user_id!r} has a number that JSON can't represent, or is nested too deeply, "
                "so it can't be given to an action; nothing was written"
            )
            raise StoredDataError(msg, user_id=self.user_id) from None

    # Around one action ------------------------------------------------------------------------------

    def open(self, name: str, *, no_redirect: str | None) -> tuple[Staging, Api]:
        """Return the staging of an action, whose event has the user as earlier actions left it, and its api.

        `no_redirect`: why the action can't redirect, None if it can.
        """
        staging = Staging(
            event=self._event,
            name=name,
            token_changes=self._token_changes,
            earlier=self._staged,
            no_redirect=no_redirect,
            state=self._state,
        )
        user = self._event.user
        bags = {
            bag: SnapshotBag(overlay(dict(user[bag]), self._staged[bag]), staging.staged[bag], bag)
            for bag in BAGS
            if isinstance(user[bag], dict)
        }
        staging.event = self._event._with_user(**bags)
        self._current = staging
        return staging, Api(staging, self.options.cache, self._channel.clock)

    def close(self, staging: Staging) -> None:
        """Keep what the action staged; later actions see it.

        Python can't stop a synchronous action.  One that takes too long is left to finish, so that none of it
        still runs after the login has ended.  The budget is checked here; if it is spent, what the action
        staged is discarded.
        """
        staging.ended = True
        self.require_time(f"{staging.name} finished too late")
        if staging.denied is not None or staging.validation_errors:
            # A denial still commits, and "this action" includes what it staged before and after the call.
            # Source: Auth0 docs, post-login API object: deny does not cancel other side effects, metadata
            # among them.
            self._results["denied"] = staging.denied
            self._results["validation_errors"] = tuple(staging.validation_errors)
            staging.redirect_url = None
            if self.options.deny_keeps == "this":
                self._staged = {bag: {} for bag in BAGS}
        for bag in BAGS:
            self._staged[bag] |= staging.staged[bag]

    def fail(self, error: Exception) -> bool:
        """Record and log what failed; return whether the metadata of earlier actions must still be written."""
        action = None
        if self._current is not None and not self._current.ended:
            self._current.ended = True
            if not isinstance(error, ActionTimeout):
                action = self._current.name
        if "error" in self._results:
            error.__context__ = self._results["error"]
        self._results |= {"error": error, "failed_in": action and action + place_of(error)}
        self._results.pop("redirect", None)
        in_time = self.time_left() > 0 and not isinstance(error, ActionTimeout)
        write_earlier = self.options.error_discards == "this" and in_time and self._transaction is None
        commit = self._commit_result()
        written = commit is not None and commit.outcome not in ("failed", "rolled_back")
        if not write_earlier and not written:
            self._staged = {bag: {} for bag in BAGS}
        report(error, user_id=self.user_id, action=action)
        return write_earlier

    # After the actions ------------------------------------------------------------------------------

    def check_claims(self) -> None:
        """Raise `InputError` if the claims of a token are larger than Auth0 accepts; it fails such a login.

        It looks at them at the end, since a later action may set a smaller value.  Whether it has written the metadata by
        then is not known; here it is not written.
        """
        for kind, called in claims.CALLED.items():
            requested: dict[str, Any] = getattr(self._token_changes, kind)
            if (size := claims.size(requested)) > claims.MAX_BYTES:
                largest = max(requested, key=lambda name: claims.size({name: requested[name]}))
                raise InputError(
                    f"the custom claims of the {called} have {size} B, and Auth0 accepts at most {claims.MAX_BYTES} B; the "
                    f"largest is {largest[:80]!r}. The login failed: keep large data elsewhere, and its id in the claim"
                )

    @property
    def must_commit(self) -> bool:
        """Return whether anything that is staged differs from what is known to be stored.

        None for an absent key makes no difference either; Auth0's own trigger spends an API call on it at
        every login.  A transaction would find out too, but it takes as long as seven actions, and needs a thread in
        `arun`.
        """
        return any(
            not json_equal(ABSENT if value is None else value, self._event.user[bag].get(key, ABSENT))
            for bag in BAGS
            for key, value in self._staged[bag].items()
        )

    def commit(self) -> None:
        """Write what differs from what the actions saw, in at most one PATCH."""
        user = self._event.user
        known = {name: value for name, value in user.items() if name not in BAGS or isinstance(value, dict)}
        options = TransactionOptions(
            base=known, join=False, max_wait=self.time_left(), oversize=self.options.oversize
        )
        unit = Unit(self._channel, self.user_id, options)
        self._limited(unit.budget)
        self._transaction = tx = MetadataTransaction._of(unit)
        with self._in_time("its update took too long"), tx:
            for bag in BAGS:
                getattr(tx, bag).update(self._staged[bag])

    def _commit_result(self) -> CommitResult | None:
        """Return what became of the update; None if none was tried."""
        tx = self._transaction
        if tx is None or tx.state is State.ACTIVE:
            return None
        with suppress(StateError):
            return tx.result
        return CommitResult(outcome="unknown")  # an interrupt came before its outcome was noted

    def suspend(self, action: tuple[int, str], url: str, browser: str | None) -> None:
        """Store what is needed to continue, and put the redirect into the outcome.

        `action`: the index and the name of the action that redirects.  `browser`: what identifies the
        browser; it becomes part of the key, so that the state alone is not enough to continue.  Otherwise an
        attacker could begin a login and send the link to /continue to a victim, who would then be logged in
        as the attacker.
        """
        event = {name: section for name, section in self._event.items() if name not in _NEVER_STORED}
        transaction = self._event.transaction
        event["transaction"] = {name: value for name, value in transaction.items() if name != "state"}
        login = SuspendedLogin(
            user_id=self.user_id,
            position=action[0],
            action=action[1],
            hostname=self._event.request.hostname,
            event=event,
            token_changes=self._token_changes,
        )
        state, now = new_state(), self._channel.clock.time()
        key = digest(state, browser)
        self.options.states.put(key, login.to_json(), expires_at=now + self.options.suspend_for, now=now)
        self._suspended_under = key
        self._results["redirect"] = Redirect(with_query(url, {"state": state}), state)

    def end(self) -> None:
        """Fail the login if its budget was spent before it ended."""
        if "error" not in self._results and self.time_left() <= 0:
            self.fail(self.timeout_error("it ended too late"))

    @property
    def must_withdraw(self) -> bool:
        """Return whether `withdraw` has anything to do: the login failed after it was suspended."""
        return self._suspended_under != "" and "error" in self._results

    def withdraw(self) -> None:
        """Delete what `suspend` stored: a login that failed can't continue."""
        self.options.states.take(self._suspended_under, now=self._channel.clock.time())

    def outcome(self) -> LoginOutcome:
        """Return how the login ended."""
        staged: dict[str, dict[str, Any]] = {bag: dict(keys) for bag, keys in self._staged.items() if keys}
        commit = self._commit_result()
        # Dropped, since an error's traceback refers to this object: together they would wait for the garbage collector.
        results, self._results = self._results, {}
        if commit is None and "error" not in results:
            commit = CommitResult(outcome="unchanged")
        if commit is not None and "lock_lost" in results:
            commit = CommitResult(**{**vars(commit), "lock_lost": True})
        outcome = LoginOutcome(user_id=self.user_id, staged=staged, commit=commit, **results)
        if not outcome.allowed:
            return outcome
        changes = self._token_changes
        return attrs.evolve(
            outcome,
            id_token_claims=changes.id_token,
            access_token_claims=changes.access_token,
            added_scopes=tuple(changes.added_scopes),
            removed_scopes=tuple(changes.removed_scopes),
            saml_attributes=changes.saml,
        )
