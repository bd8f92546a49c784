"""Put the trigger's semantics around a login hook that exists already."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from auth0_meta.actions.api import Api
from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.execution import Execution, LockFor
from auth0_meta.actions.trigger import make_settings
from auth0_meta.errors import InputError, StateError
from auth0_meta.http.given import Oversize

if TYPE_CHECKING:
    from auth0_meta.client import ManagementClient

_NO_REDIRECT = (
    "a post_login block can't go on after a redirect: make it an action, and run it with PostLoginTrigger"
)


class post_login:
    """Run a block as the one action of a login: what it stages is written, in one PATCH, when it is left.

    The block gets an `api`; `api.event` is the event with both bags known (they are read first where
    the event lacks one).  Leaving the block commits, after `api.access.deny` as well; `api.outcome` tells how it
    ended, so look at `api.outcome.allowed`.  An exception in the block discards what is staged and goes on.
    Unlike `PostLoginTrigger.run`, a refused update and a spent budget are raised too, and
    `api.outcome.error` holds them.  Arguments are those of `PostLoginTrigger`; redirects need that class.

    >>> event = Event.from_dict({"user": {"user_id": user.user_id, "app_metadata": {}, "user_metadata": {}}})
    >>> with post_login(tenant.client(), event) as api:
    ...     _ = api.user.set_app_metadata("last_tenant", "acme").user.set_user_metadata("theme", "dark")
    >>> api.outcome
    <LoginOutcome 'auth0|...' allowed, <CommitResult updated: 1 requests, 1 attempts, 0.00 s waited, document ...>>
    """

    def __init__(
        self,
        client: ManagementClient,
        event: Event,
        /,
        *,
        budget: float = 20.0,
        lock: LockFor | None = None,
        oversize: Oversize = "warn",
        cache: Cache | None = None,
    ) -> None:
        if not isinstance(event, Event):
            msg = f"post_login takes an Event, not {type(event).__name__}: Event.from_dict(...) makes one"
            raise InputError(msg)
        self._settings = make_settings(
            client,
            budget=budget,
            lock=lock,
            states=None,
            suspend_for=900.0,
            secrets=None,
            configuration=None,
            deny_keeps="all",
            error_discards="all",
            oversize=oversize,
            cache=cache,
        )
        self._event = event
        self._execution: Execution | None = None

    def __enter__(self) -> Api:
        if self._execution is not None:
            msg = "this post_login block was entered before: make a new one for each login"
            raise StateError(msg)
        self._execution = execution = Execution(self._settings, self._event)
        try:
            if execution.unprepared:
                execution.prepare()
        except BaseException:
            execution.release()
            raise
        self._asked = execution.open("the post_login block", may_redirect=_NO_REDIRECT)
        self._api = execution.api(self._asked)
        return self._api

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        execution = self._execution
        assert execution is not None  # noqa: S101  # it was entered
        try:
            if error is None:
                execution.close(self._asked)
                if execution.uncommitted:
                    execution.commit()
                self._api.outcome = execution.outcome()
            elif isinstance(error, Exception):
                self._failed(execution, error)
        except Exception as failure:
            self._failed(execution, failure)
            raise
        finally:
            try:
                execution.release()
            except Exception as lost:  # the lock may have run out under us
                self._failed(execution, lost)
                raise

    def _failed(self, execution: Execution, error: Exception) -> None:
        execution.fail(error)
        self._api.outcome = execution.outcome()
