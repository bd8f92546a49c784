"""Run actions after a login, in order, and write what they staged in one update at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import freeze
from auth0_meta.actions.execution import Execution, LockFor, Settings
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.registry import Action, register
from auth0_meta.actions.runner import Act, Flow, Work, drive
from auth0_meta.actions.staging import Carried
from auth0_meta.actions.suspended_logins import MemoryStates, States, digest
from auth0_meta.errors import ConfigError, InputError, RedirectError, StateError
from auth0_meta.http.given import Oversize

if TYPE_CHECKING:
    from auth0_meta.client import ManagementClient

Keeps = Literal["all", "this"]
Discards = Literal["all", "this"]


class PostLoginTrigger:
    """Run actions around a login, with the semantics of Auth0's post-login trigger.

    `actions`: functions of `(event, api)`, async functions, or objects (modules too) with
    `on_execute_post_login` and, for redirects, `on_continue_post_login`.  They run in order; setters only
    stage, later actions see what earlier ones staged, and one PATCH with both bags ends the run.

    `budget`: seconds for one run, the final update with its waits for 429 included (20, as in Auth0).  `lock`: a function of
    the user id that makes a context manager, held for the whole run; the user is read afresh under it, so that
    no login overwrites another's.  `states`: where suspended logins wait (`MemoryStates`; `SqliteStates` for
    several workers), for `suspend_for` seconds.  `secrets` are added to `event.secrets` in every action, and
    `configuration` to `event.configuration`; neither is kept over a redirect with the rest of the event.
    `oversize`: what to do about a profile past 10 KB, as in a transaction.  `cache`: what `api.cache` uses, None for one of its own.

    Two switches for what Auth0 does not document: `deny_keeps`: "all" writes what every action staged
    before a denial, "this" what the denying action staged.  `error_discards`: "all" discards everything when
    an action raises, "this" only what that action staged.

    Raises `ConfigError` for actions and settings that can't work; nothing is sent then.

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
        client: ManagementClient,
        actions: Iterable[Any],
        /,
        *,
        budget: float = 20.0,
        lock: LockFor | None = None,
        states: States | None = None,
        suspend_for: float = 900.0,
        secrets: Mapping[str, str] | None = None,
        configuration: Mapping[str, Any] | None = None,
        deny_keeps: Keeps = "all",
        error_discards: Discards = "all",
        oversize: Oversize = "warn",
        cache: Cache | None = None,
    ) -> None:
        self._actions = register(actions)
        self._settings = make_settings(
            client,
            budget=budget,
            lock=lock,
            states=states,
            suspend_for=suspend_for,
            secrets=secrets,
            configuration=configuration,
            deny_keeps=deny_keeps,
            error_discards=error_discards,
            oversize=oversize,
            cache=cache,
        )

    def __repr__(self) -> str:
        return f"<PostLoginTrigger {', '.join(action.name for action in self._actions) or 'without actions'}>"

    @property
    def settings(self) -> Settings:
        """Return what this trigger was made with, read-only: its client, `states`, `suspend_for`, ..."""
        return self._settings

    def run(self, event: Event, /, *, browser: str | None = None) -> LoginOutcome:
        """Run the actions for a login and write what they staged.

        `browser`: what identifies this browser, such as a random cookie; a redirect can then be continued only
        with the same.  Never raises for an action's error, a spent budget or a refused update: see the outcome.
        Async actions are awaited on a loop of their own; `StateError` where a loop is running already.

        Endpoints: `PATCH /users/{id}`, `GET /users/{id}` where a bag of the event is unknown or there is a lock; scopes
        `update:users`, `read:users`.
        """
        return self._drive(self._first(event, browser))

    def __call__(self, event: Mapping[str, Any], /) -> LoginOutcome:
        """Run for an event that is Auth0's JSON: so `LocalTenant(post_login=trigger)` hosts it.

        >>> PostLoginTrigger(tenant.client(), [])({"user": {"user_id": user.user_id}}).allowed
        True
        """
        return self.run(Event.from_dict(event))

    async def arun(self, event: Event, /, *, browser: str | None = None) -> LoginOutcome:
        """Do what `run` does without blocking the loop: what is not async runs in a thread.

        An async action past the budget is cancelled.  Cancelling this discards what is staged, unless the update was
        on its way.
        """
        return await self._adrive(self._first(event, browser))

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
        """Continue a login after its redirect: `on_continue_post_login` of the same action, then the later ones.

        `state`, `query` and `body` are those of the request to /continue; `request` is the rest of
        `event.request` (`ip`, `hostname`, ...); `browser` as given to `run`.  The user is read afresh, and the
        budget is a new one.  A state that is unknown, used, expired or from another browser gives an outcome with a
        `RedirectError`, without any request.
        """
        return self._drive(self._again(state, query, body, request, browser))

    async def aresume(
        self,
        state: str,
        /,
        *,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
        request: Mapping[str, Any] | None = None,
        browser: str | None = None,
    ) -> LoginOutcome:
        """Do what `resume` does without blocking the loop."""
        return await self._adrive(self._again(state, query, body, request, browser))

    # How it is driven -------------------------------------------------------------------------------

    def _drive(self, flow: Flow) -> LoginOutcome:
        if not any(h.is_async for a in self._actions for h in (a.execute, a.resume) if h is not None):
            return drive(flow, _never)
        asyncio = sys.modules.get("asyncio")
        if asyncio is not None and asyncio._get_running_loop() is not None:
            msg = "async actions can't be run from inside a running event loop: await trigger.arun(event) instead, or asimulate(...) in a test"
            raise StateError(msg)
        from auth0_meta.actions.async_runner import drive_mixed  # noqa: PLC0415  # asyncio is loaded on use

        return drive_mixed(flow)

    @staticmethod
    async def _adrive(flow: Flow) -> LoginOutcome:
        from auth0_meta.actions.async_runner import adrive  # noqa: PLC0415

        return await adrive(flow)

    # The flow ---------------------------------------------------------------------------------------

    def _first(self, event: Event, browser: str | None) -> Flow:
        """Start at the first action."""
        if not isinstance(event, Event):
            msg = f"run takes an Event, not {type(event).__name__}: Event.from_dict(...) makes one"
            raise InputError(msg)
        return self._flow(Execution(self._settings, event), 0, None, browser)

    def _again(
        self,
        state: str,
        query: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
        request: Mapping[str, Any] | None,
        browser: str | None,
    ) -> Flow:
        """Start where a redirect left off."""
        found: list[str | None] = []
        settings = self._settings

        def take() -> None:
            key = digest(state if isinstance(state, str) else "", browser)
            found.append(settings.states.take(key, now=settings.client.clock.time()))

        try:
            yield Work(take)
            data, index, action = self._position(found[0])
            given = {"method": "POST" if body else "GET", "hostname": data["hostname"], **(request or {})}
            event = Event.from_dict(
                {
                    **data["event"],
                    "user": {"user_id": data["user_id"]},
                    "request": {**given, "query": query or {}, "body": body or {}},
                }
            )
        except Exception as error:  # noqa: BLE001  # reported, as every failure of a login
            return LoginOutcome(user_id=None, error=error)
        execution = Execution(settings, event, state=state, carried=Carried(**data["carried"]))
        return (yield from self._flow(execution, index, action, browser))

    def _position(self, kept: str | None) -> tuple[dict[str, Any], int, Action]:
        """Return what was kept of a login and the action that goes on."""
        if kept is None:
            reason = "invalid_request"
            msg = (
                f"{reason}: the state of /continue is unknown, used, expired or from another browser. "
                "Nothing was written: start the login again"
            )
            raise RedirectError(msg, reason=reason)
        data: dict[str, Any] = json.loads(kept)
        index, name = data["position"]
        action = self._actions[index] if index < len(self._actions) else None
        if action is None or action.name != name or action.resume is None:
            reason = "the actions have changed"
            msg = f"{reason} since the login of {data['user_id']} was suspended in {name}. Nothing was written: start it again"
            raise RedirectError(msg, reason=reason)
        return data, index, action

    def _flow(self, execution: Execution, index: int, resumed: Action | None, browser: str | None) -> Flow:
        """Yield what to do, from the action at `index` to the end."""
        try:
            if execution.unprepared:
                yield Work(execution.prepare)
            for position in range(index, len(self._actions)):
                action = self._actions[position]
                handler = action.resume if action is resumed and position == index else action.execute
                assert handler is not None  # noqa: S101  # _position has seen to it
                asked = execution.open(handler.name, may_redirect=_may_redirect(action))
                yield Act(handler, asked.event, execution.api(asked), execution)
                execution.close(asked)
                if asked.stops:
                    break
            else:
                asked = None
            if execution.uncommitted:
                yield Work(execution.commit)
            if asked is not None and asked.target is not None:
                target = asked.target
                yield Work(lambda: execution.suspend((position, action.name), target, browser))
        except Exception as error:  # noqa: BLE001  # no failure of a login escapes: it is in the outcome
            if execution.fail(error):
                try:
                    yield Work(execution.commit)
                except Exception as second:  # noqa: BLE001
                    execution.fail(second)
        finally:
            if execution.holds_lock:
                try:
                    yield Work(execution.release)
                except Exception as error:  # noqa: BLE001  # the lock may have run out under us
                    execution.fail(error)
        if execution.failed_late:
            try:
                yield Work(execution.withdraw)
            except Exception as error:  # noqa: BLE001
                execution.fail(error)
        return execution.outcome()


def _may_redirect(action: Action) -> str | None:
    if action.resume is not None:
        return None
    return f"{action.name} has no on_continue_post_login(event, api), so the login could not go on after a redirect"


def _never(act: Act) -> None:
    raise AssertionError  # pragma: no cover  # only called for async actions, and there are none


def make_settings(
    client: ManagementClient,
    *,
    budget: float,
    lock: LockFor | None,
    states: States | None,
    suspend_for: float,
    secrets: Mapping[str, str] | None,
    configuration: Mapping[str, Any] | None,
    deny_keeps: Keeps,
    error_discards: Discards,
    oversize: Oversize,
    cache: Cache | None,
) -> Settings:
    """Check the settings of a trigger."""
    for name, seconds in (("budget", budget), ("suspend_for", suspend_for)):
        if (
            isinstance(seconds, bool)
            or not isinstance(seconds, int | float)
            or not 0 < seconds < float("inf")
        ):
            msg = f"{name} is a number of seconds above 0"
            raise ConfigError(msg)
    for name, choice in (("deny_keeps", deny_keeps), ("error_discards", error_discards)):
        if choice not in ("all", "this"):
            msg = f"{name} is 'all' or 'this', not {choice!r}"
            raise ConfigError(msg)
    if lock is not None and not callable(lock):
        msg = "lock= takes a function of the user id that makes a context manager"
        raise ConfigError(msg)
    if oversize not in ("warn", "error", "off"):
        msg = f"oversize is one of warn, error, off, not {oversize!r}"
        raise ConfigError(msg)
    return Settings(
        client=client,
        cache=cache or Cache(client.clock),
        states=states or MemoryStates(),
        budget=float(budget),
        suspend_for=float(suspend_for),
        secrets=dict(secrets or {}),
        configuration=freeze(dict(configuration or {}), path="configuration"),
        lock=lock,
        keep_denied=deny_keeps == "all",
        keep_earlier=error_discards == "this",
        oversize=oversize,
    )
