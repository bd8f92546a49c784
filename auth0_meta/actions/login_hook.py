"""Give a login hook of your own the semantics of the trigger."""

from __future__ import annotations

from types import TracebackType

from auth0_meta.actions import runner
from auth0_meta.actions.api import Api
from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.execution import Execution, LockFactory
from auth0_meta.actions.registry import Handler, RegisteredAction
from auth0_meta.actions.runner import Steps
from auth0_meta.actions.trigger import PostLoginTrigger, login_steps
from auth0_meta.errors import InputError, StateError
from auth0_meta.http.channel import HasChannel
from auth0_meta.redact import discreet
from auth0_meta.transactions.options import Oversize

_NAME = "the post_login block"
_BLOCK = RegisteredAction(
    _NAME,
    Handler(_NAME, call=lambda event, api: None, is_async=False),  # not called: the caller runs the block
    resume=None,
    no_redirect="a post_login block can't continue after a redirect: make it an action of a PostLoginTrigger",
)


@discreet
class post_login:
    """Run a block as the only action of a login; leaving the block writes what it staged, in one PATCH.

    The block gets an `api`.  `api.event` is the event; if it lacks a metadata object, the user is read first.
    Leaving the block commits, after `api.access.deny` as well, and sets `api.outcome`: check
    `api.outcome.allowed`.  An exception in the block discards what is staged and reaches the caller.  Unlike
    `PostLoginTrigger.run`, this raises a refused update and a spent budget too; `api.outcome.error` is the
    same exception.  The arguments are those of `PostLoginTrigger`, the endpoints and scopes those of its `run`;
    redirects need that class.

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
        self._options = PostLoginTrigger(
            client, (), budget=budget, lock=lock, oversize=oversize, cache=cache
        )._options
        self._event = event
        self._steps: Steps | None = None

    def __enter__(self) -> Api:
        if self._steps is not None:
            raise StateError("this post_login block was entered before: make a new one for each login")
        self._steps = login_steps(Execution(self._options, self._event), (_BLOCK,))
        self._api = runner.run_to_action(self._steps).api
        return self._api

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._steps is not None  # noqa: S101  # it was entered
        self._api.outcome = outcome = runner.run(self._steps, failure=error)
        if error is not None:
            error.__traceback__ = trace  # the steps that it was thrown into have added their lines
        if outcome.error is not None and outcome.error is not error:
            raise outcome.error
