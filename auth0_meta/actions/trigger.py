"""Run actions after a login, in order, and write what they staged in one update at the end."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypedDict

from auth0_meta.actions import runner
from auth0_meta.actions.api import Action
from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import frozen_json
from auth0_meta.actions.execution import AllOrThis, Execution, LockFactory, TriggerOptions
from auth0_meta.actions.failure import report
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.registry import Handler, RegisteredAction, register
from auth0_meta.actions.runner import ActionStep, Step, Steps
from auth0_meta.actions.staging import Staging
from auth0_meta.actions.suspended_logins import MemoryStates, States, SuspendedLogin, digest, refusal
from auth0_meta.errors import InputError
from auth0_meta.http.channel import HasChannel
from auth0_meta.redact import discreet
from auth0_meta.transactions.options import Oversize
from auth0_meta.warn import Place, place

_Json = Mapping[str, Any] | None


class TriggerSettings(TypedDict, total=False):
    """The keyword arguments of `PostLoginTrigger`, which explains each of them, for functions that pass them on."""

    budget: float
    lock: LockFactory | None
    states: States | None
    suspend_for: float
    secrets: Mapping[str, str] | None
    configuration: Mapping[str, Any] | None
    deny_keeps: AllOrThis
    error_discards: AllOrThis
    oversize: Oversize
    cache: Cache | None


@discreet
class PostLoginTrigger:
    """Run actions after a login, with the semantics of Auth0's post-login trigger.

    `actions`: functions of `(event, api)`, async functions, or objects (modules too) with
    `on_execute_post_login` and, for redirects, `on_continue_post_login`.  They run in order.  Setters only
    stage, later actions see what earlier ones staged, and one PATCH with `user_metadata` and `app_metadata`
    ends the run.

    `budget`: seconds for one run, including the final update and its waits after a 429 (20, as in Auth0).
    `lock`: a function of the user id that makes a context manager, held for the whole run.  The user is read
    again under it, so that no login overwrites another's changes.  Nothing can end the wait for it: its time counts
    against the budget afterwards, so give it a timeout of its own.
    `states`: where suspended logins are stored, for `suspend_for` seconds: `MemoryStates`, or `SqliteStates`
    for several workers.
    `secrets`, `configuration`: added to `event.secrets` and `event.configuration` in every action.  Neither
    is stored with a suspended login.
    `oversize`: what to do about a profile past 10 KB, as in a transaction.
    `cache`: what `api.cache` uses; None makes a new one.

    Two options decide what Auth0 does not document.  `deny_keeps`: on a denial, "all" writes what every
    action has staged, "this" only what the denying action has staged.  `error_discards`: when an action
    raises, "all" discards everything, "this" only what that action has staged.

    Raises `ConfigError` for actions and options that can't work.

    >>> def remember(event, api):
    ...     api.user.set_app_metadata("last_ip", event.request.ip)
    >>> trigger = PostLoginTrigger(tenant.client(), [remember])
    >>> event = Event.from_dict({"user": {"user_id": user.user_id}, "request": {"ip": "192.0.2.1"}})
    >>> outcome = trigger.run(event)
    >>> outcome.allowed, outcome.commit.document
    (True, {'app_metadata': {'last_ip': '192.0.2.1'}})
    """

    def __init__(
        self,
        client: HasChannel,
        actions: Iterable[Action],
        /,
        *,
        budget: float = 20.0,
        lock: LockFactory | None = None,
        states: States | None = None,
        suspend_for: float = 900.0,
        secrets: Mapping[str, str] | None = None,
        configuration: Mapping[str, Any] | None = None,
        deny_keeps: AllOrThis = "all",
        error_discards: AllOrThis = "all",
        oversize: Oversize = "warn",
        cache: Cache | None = None,
    ) -> None:
        self._actions = register(actions)
        self._options = TriggerOptions(
            client=client,
            budget=budget,
            lock=lock,
            states=MemoryStates() if states is None else states,
            suspend_for=suspend_for,
            secrets=dict(secrets or {}),
            configuration=frozen_json(dict(configuration or {}), path="configuration"),
            deny_keeps=deny_keeps,
            error_discards=error_discards,
            oversize=oversize,
            cache=Cache(client._channel.clock) if cache is None else cache,
        )

    def __repr__(self) -> str:
        return f"<PostLoginTrigger {', '.join(action.name for action in self._actions) or 'without actions'}>"

    def run(self, event: Event, /, *, browser: str | None = None) -> LoginOutcome:
        """Run the actions for a login and write what they staged.

        `browser`: what identifies this browser, such as a random cookie; a redirect can then be continued
        only from the same browser.  An action's error, a spent budget and a refused update are not raised:
        see the outcome; they are logged, once, by the logger `auth0_meta.actions`.  Async actions run on an event loop of their own; inside a running loop this raises
        `StateError`.

        Endpoints: `PATCH /users/{id}`, and `GET /users/{id}` if the event lacks a metadata object or there is
        a lock; scopes `update:users`, `read:users`.
        """
        return self._run(self._first_steps(event, browser))

    def __call__(self, event: Mapping[str, Any], /) -> LoginOutcome:
        """Run the actions for Auth0's event JSON, so that `LocalTenant(post_login=trigger)` can call this trigger.

        >>> PostLoginTrigger(tenant.client(), [])({"user": {"user_id": user.user_id}}).allowed
        True
        """
        return self.run(Event.from_dict(event))

    # `arun` and `aresume` are not async functions.  Those begin only when they are awaited, and if asyncio does that, as
    # for a task, their callers' lines are out of sight by then.

    def arun(self, event: Event, /, *, browser: str | None = None) -> Coroutine[Any, Any, LoginOutcome]:
        """Do what `run` does without blocking the event loop: everything that is not async runs in a thread.

        An async action that exceeds the budget is cancelled.  Cancelling this call discards what is staged,
        unless the update is already being sent.
        """
        return self._arun(lambda: self._first_steps(event, browser), place())

    def resume(
        self,
        state: str,
        /,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        request: Mapping[str, Any] | None = None,
        browser: str | None = None,
    ) -> LoginOutcome:
        """Continue a login after its redirect: `on_continue_post_login` of the same action, then the later actions.

        `state`, `query` and `body` come from the request to /continue; `request` is the rest of
        `event.request` (`ip`, `hostname`, ...); `browser` is what `run` was given.  The user is read again,
        and the budget starts anew.  A state that is unknown, used, expired or from another browser sends no
        request; the outcome's error is a `RedirectError`.
        """
        return self._run(self._resumed(self._now(), state, query, body, request, browser))

    def aresume(
        self,
        state: str,
        /,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        request: Mapping[str, Any] | None = None,
        browser: str | None = None,
    ) -> Coroutine[Any, Any, LoginOutcome]:
        """Do what `resume` does without blocking the event loop."""
        return self._arun(lambda: self._resumed(self._now(), state, query, body, request, browser), place())

    async def _arun(self, steps: Callable[[], Steps], line: Place) -> LoginOutcome:
        return await runner.arun(steps(), locks=self._options.lock is not None, line=line)

    def _run(self, steps: Steps) -> LoginOutcome:
        if any(h.is_async for a in self._actions for h in (a.execute, a.resume) if h is not None):
            return runner.run_on_own_loop(steps)
        return runner.run(steps)

    # The steps of a login -----------------------------------------------------------------------------

    def _first_steps(self, event: Event, browser: str | None) -> Steps:
        """Return the steps from the first action on."""
        if not isinstance(event, Event):
            kind = type(event).__name__
            raise InputError(f"run takes an Event, not {kind}: make one with Event.from_dict(...)")
        return login_steps(Execution(self._options, event), self._actions, browser=browser)

    def _now(self) -> float:
        return self._options.client._channel.clock.monotonic()

    def _resumed(
        self, started: float, state: str, query: _Json, body: _Json, request: _Json, browser: str | None
    ) -> Steps:
        """Yield the steps from the action that redirected."""
        options = self._options
        taken: list[str | None] = []
        try:
            key = digest(state if isinstance(state, str) else "", browser)
            yield lambda: taken.append(options.states.take(key, now=options.client._channel.clock.time()))
            suspended, handler = self._suspended(taken[0])
            defaults = {"method": "POST" if body else "GET", "hostname": suspended.hostname}
            event = Event.from_dict(
                {
                    **suspended.event,
                    "user": {"user_id": suspended.user_id},
                    "request": {**defaults, **(request or {}), "query": query or {}, "body": body or {}},
                }
            )
            changes = suspended.token_changes
            execution = Execution(options, event, state=state, token_changes=changes, started=started)
        except Exception as error:  # noqa: BLE001  # every failure of a login is in its outcome
            report(error, user_id=None, action=None)
            return LoginOutcome(user_id=None, error=error)
        return (yield from login_steps(execution, self._actions, suspended.position, handler, browser))

    def _suspended(self, stored: str | None) -> tuple[SuspendedLogin, Handler]:
        """Return the stored login and the function that continues it."""
        if stored is None:
            detail = ": the state of /continue is unknown, used, expired or from another browser"
            raise refusal("invalid_request", detail)
        login = SuspendedLogin.from_json(stored)
        action = self._actions[login.position] if login.position < len(self._actions) else None
        # There may have been a deployment in between: refuse, rather than continue in a different action from
        # the one that redirected.
        if action is None or action.name != login.action or action.resume is None:
            detail = f" since the login of {login.user_id} was suspended in {login.action}"
            raise refusal("the actions have changed", detail)
        return login, action.resume


def login_steps(
    execution: Execution,
    actions: Sequence[RegisteredAction],
    index: int = 0,
    first: Handler | None = None,
    browser: str | None = None,
) -> Steps:
    """Yield the steps from the action at `index` to the end; `first` continues that action, None executes it."""
    yield from _under_lock(execution, _until_written(execution, actions, index, first, browser))
    execution.end()
    if execution.must_withdraw:
        yield from _tried(execution, execution.withdraw)
    return execution.outcome()


def _under_lock(execution: Execution, steps: Generator[Step, None, None]) -> Generator[Step, None, None]:
    """Yield steps with the lock held, and release it whatever ends them, an interrupt included.

    A `with` statement does so; an ExitStack or a last step would not: Python runs signal handlers between any two
    calls, but not between the entry of a lock and that of its `with` block.
    """
    held = False
    lock: AbstractContextManager[Any] | None = None
    ended_by: BaseException | None = None
    try:
        lock = execution.lock()
        with lock:
            held = True
            try:
                yield from steps
            except BaseException as error:
                ended_by = error
                raise
    except Exception as error:  # noqa: BLE001  # every failure of a login is in its outcome
        if not held:
            # An interrupt may have struck after a @contextmanager took the lock and before it returned to our `with`.  Its
            # generator would hold the lock for as long as somebody keeps the error, whose traceback refers to it.
            if inspect.isgenerator(entered := getattr(lock, "gen", None)):
                entered.close()
            execution.fail(error)
        elif error is not ended_by:
            execution.lose_lock(error)
    try:
        if ended_by is not None:
            raise ended_by  # a lock whose exit returns True must not hide it
    finally:
        del ended_by  # its traceback refers to this frame


def _until_written(
    execution: Execution,
    actions: Sequence[RegisteredAction],
    index: int,
    first: Handler | None,
    browser: str | None,
) -> Generator[Step, None, None]:
    """Yield the steps for which the lock is held, if there is one."""
    try:
        if execution.must_prepare:
            yield execution.prepare
        staging: Staging | None = None
        for position in range(index, len(actions)):
            action = actions[position]
            handler, first = first or action.execute, None
            staging, api = execution.open(handler.name, no_redirect=action.no_redirect)
            yield ActionStep(handler, api, execution)
            execution.close(staging)
            if staging.stops:
                break
        if staging is None or not staging.stops:
            execution.check_claims()
        if execution.must_commit:
            yield execution.commit
        if staging is not None and staging.redirect_url is not None:
            url = staging.redirect_url
            yield lambda: execution.suspend((position, action.name), url, browser)
    except Exception as error:  # noqa: BLE001  # every failure of a login is in its outcome
        if execution.fail(error):
            yield from _tried(execution, execution.commit)


def _tried(execution: Execution, do: Callable[[], None]) -> Generator[Step, None, None]:
    """Yield one more step after the actions; if it fails, so does the login."""
    try:
        yield do
    except Exception as error:  # noqa: BLE001  # every failure of a login is in its outcome
        execution.fail(error)
