"""Give a login hook of your own the semantics of the trigger."""

from __future__ import annotations

from types import TracebackType

from auth0_meta.actions.api import Api
from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.execution import Execution, LockFactory, TriggerOptions
from auth0_meta.errors import InputError, StateError
from auth0_meta.http.channel import HasChannel
from auth0_meta.transactions.options import Oversize

_NO_REDIRECT = "a post_login block can't continue after a redirect: make it an action of a PostLoginTrigger"


class post_login:
    """Run a block as the only action of a login; leaving the block writes what it staged, in one PATCH.

    The block gets an `api`.  `api.event` is the event; if it lacks a metadata object, the user is read first.
    Leaving the block commits, after `api.access.deny` as well, and sets `api.outcome`: check
    `api.outcome.allowed`.  An exception in the block discards what is staged and reaches the caller.  Unlike
    `PostLoginTrigger.run`, this raises a refused update and a spent budget too; `api.outcome.error` is the
    same exception.  The arguments are those of `PostLoginTrigger`; redirects need that class.

    >>> event = Event.from_dict({"user": {"user_id": user.user_id, "app_metadata": {}, "user_metadata": {}}})
    >>> with post_login(tenant.client(), event) as api:
    ...     _ = api.user.set_app_metadata("last_tenant", "acme").user.set_user_metadata("theme", "dark")
    >>> api.outcome
    <LoginOutcome 'auth0|...' allowed, <CommitResult updated: 1 request, 1 attempt, 0.00 s waited, document ...>>
    """

    def __init__(
        self,
        client: HasChannel,
        event: Event,
        /,
        *,
        budget: float = 20.0,
        lock: LockFactory | None = None,
        oversize: Oversize = "warn",
        cache: Cache | None = None,
    ) -> None:
        if not isinstance(event, Event):
            kind = type(event).__name__
            raise InputError(f"post_login takes an Event, not {kind}: make one with Event.from_dict(...)")
        self._options = TriggerOptions(
            client=client,
            budget=budget,
            lock=lock,
            oversize=oversize,
            cache=Cache(client.channel.clock) if cache is None else cache,
        )
        self._event = event
        self._execution: Execution | None = None

    def __enter__(self) -> Api:
        if self._execution is not None:
            raise StateError("this post_login block was entered before: make a new one for each login")
        self._execution = execution = Execution(self._options, self._event)
        try:
            if execution.must_prepare:
                execution.prepare()
        except BaseException:
            execution.release()
            raise
        self._staging = execution.open("the post_login block", no_redirect=_NO_REDIRECT)
        self._api = execution.api(self._staging)
        return self._api

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        execution = self._execution
        assert execution is not None  # noqa: S101  # it was entered
        try:
            if error is None:
                execution.close(self._staging)
                if execution.must_commit:
                    execution.commit()
                self._api.outcome = execution.outcome()
            elif isinstance(error, Exception):
                self._fail(execution, error)
        except Exception as failure:
            self._fail(execution, failure)
            raise
        finally:
            try:
                execution.release()
            except Exception as lost:  # the lock's lease may have expired
                self._fail(execution, lost)
                raise

    def _fail(self, execution: Execution, error: Exception) -> None:
        execution.fail(error)
        self._api.outcome = execution.outcome()
