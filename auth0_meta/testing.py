"""Test code that uses this package: a clock that moves on command, and logins that need no tenant."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Unpack, cast

import attrs

from auth0_meta.arguments import number
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.errors import InputError, StateError
from auth0_meta.redact import count, discreet

if TYPE_CHECKING:
    from auth0_meta.actions import Action, Event, LoginOutcome, PostLoginTrigger, TriggerSettings
    from auth0_meta.emulator import Entry, LocalTenant
    from auth0_meta.emulator.state.clock import TenantClock

# A local tenant's time ends with the year 9998: room is left for the lifetimes of what it stores.
_LATEST = 253_370_000_000.0

__all__ = ["FakeClock", "Simulation", "asimulate", "simulate"]


class FakeClock:
    """A `Clock` that does not wait: a sleep moves both of its readings forward at once.  Thread-safe.

    `start`: the wall clock's first reading, in seconds since the epoch.  `monotonic`: the monotonic clock's
    first reading.  `slept` lists every sleep and timed wait, in order.

    >>> clock = FakeClock(start=1_000.0)
    >>> clock.sleep(2.5)
    >>> clock.time(), clock.monotonic(), clock.slept
    (1002.5, 2.5, [2.5])
    """

    def __init__(self, *, start: float = 1_800_000_000.0, monotonic: float = 0.0) -> None:
        self._lock = threading.RLock()  # a signal handler may look at the time as well
        self._wall, self._monotonic = float(start), float(monotonic)
        self.slept: list[float] = []

    def time(self) -> float:
        """Return the reading of the wall clock."""
        return self._wall

    def monotonic(self) -> float:
        """Return the reading of the monotonic clock."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both readings without recording a sleep.

        >>> clock = FakeClock(start=0.0)
        >>> clock.advance(60); clock.time(), clock.monotonic(), clock.slept
        (60.0, 60.0, [])
        """
        with self._lock:
            self._wall += seconds
            self._monotonic += seconds

    def step(self, seconds: float) -> None:
        """Move the wall clock alone, as a correction of the machine's clock does.

        >>> clock = FakeClock(start=0.0)
        >>> clock.step(-3600); clock.time(), clock.monotonic()
        (-3600.0, 0.0)
        """
        with self._lock:
            self._wall += seconds

    def sleep(self, seconds: float) -> None:
        """Move both readings by `seconds` at once and record the sleep."""
        self.slept.append(seconds)
        self.advance(seconds)

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Sleep, and release the condition to other threads; with None, really wait to be notified.

        >>> clock, condition = FakeClock(), threading.Condition()
        >>> with condition:
        ...     clock.wait(condition, 5.0)
        False
        >>> clock.slept
        [5.0]
        """
        if seconds is None:
            return condition.wait()
        self.sleep(seconds)
        return condition.wait(0)


@discreet
@attrs.frozen(kw_only=True, repr=False)
class Simulation:
    """The result of a simulated login.

    `outcome`: the trigger's outcome.
    `staged`: what the actions staged for `user_metadata` and `app_metadata`, with None for deletions.
    `requests`: the Management API requests that were sent, each with `method`, `path`, `body` and `status`.
    `user`: the profile afterwards.
    `clock`: what time it is for the login; it stands still, so `clock.advance(60)` lets a minute pass before `resume`.

    The repr shows no values.
    """

    outcome: LoginOutcome
    requests: tuple[Entry, ...]
    user: Mapping[str, Any]
    _trigger: PostLoginTrigger
    _tenant: LocalTenant

    @property
    def clock(self) -> TenantClock:
        """Return the tenant's clock, which the trigger uses too."""
        return self._tenant.clock

    @property
    def staged(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the actions staged; {} if it was discarded."""
        return self.outcome.staged

    def resume(
        self, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Simulation:
        """Return from the redirect, with the parameters that the other site adds; `requests` has only the new ones.

        Raises `StateError` if the login was not redirected.
        """
        state, before = self._state(), len(self._tenant.journal)
        outcome = self._trigger.resume(state, query={"state": state, **(query or {})}, body=body)
        return _simulation(self._trigger, self._tenant, outcome, before, str(self.user["user_id"]))

    async def aresume(
        self, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Simulation:
        """Do what `resume` does, in a running event loop."""
        state, before = self._state(), len(self._tenant.journal)
        outcome = await self._trigger.aresume(state, query={"state": state, **(query or {})}, body=body)
        return _simulation(self._trigger, self._tenant, outcome, before, str(self.user["user_id"]))

    def _state(self) -> str:
        redirect = self.outcome.redirect
        if redirect is None:
            msg = "this login was not redirected, so there is nothing to resume: check outcome.redirect first"
            raise StateError(msg)
        return redirect.state

    def __repr__(self) -> str:
        return f"<Simulation {self.outcome}, {count(len(self.requests), 'request')}>"


@discreet
def simulate(
    actions: Action | Iterable[Action],
    event: Event | Mapping[str, Any],
    /,
    *,
    tenant: LocalTenant | None = None,
    now: float | datetime | None = None,
    **settings: Unpack[TriggerSettings],
) -> Simulation:
    """Run actions on one login, with no account and no network, on a local tenant that has the event's user.

    `actions`: one action or a list of them.
    `event`: an `Event`, or Auth0's event JSON.  Metadata that it lacks is read from the tenant, and is empty
    if the tenant did not have that user.
    `tenant`: your own tenant, with users, faults (`tenant.fail(...)`) and a clock; None creates one.
    `now`: the time at which the login takes place, in seconds since the epoch or as a datetime with a time zone; None is
    the time of the call.  Time then stands still, unless the tenant is your own: `login.clock` moves it.
    `settings`: the keyword arguments of `PostLoginTrigger`.

    In a running event loop, await `asimulate` instead.  Needs the extra `emulator`.  Raises `InputError` for a `now` that
    is not a time, or that comes with a tenant, whose clock you can set yourself.

    >>> def greet(event, api):
    ...     api.user.set_user_metadata("greeted", True)
    >>> login = simulate(greet, {"user": {"user_id": "auth0|1", "user_metadata": {}, "app_metadata": {}}})
    >>> login.outcome.allowed, login.staged, [(r.method, r.body) for r in login.requests]
    (True, {'user_metadata': {'greeted': True}}, [('PATCH', {'user_metadata': {'greeted': True}})])
    """
    trigger, local, login = _prepare(actions, event, tenant, now, settings)
    before = len(local.journal)
    return _simulation(trigger, local, trigger.run(login), before, login.user.user_id)


@discreet
async def asimulate(
    actions: Action | Iterable[Action],
    event: Event | Mapping[str, Any],
    /,
    *,
    tenant: LocalTenant | None = None,
    now: float | datetime | None = None,
    **settings: Unpack[TriggerSettings],
) -> Simulation:
    """Do what `simulate` does, in a running event loop: for async tests."""
    trigger, local, login = _prepare(actions, event, tenant, now, settings)
    before = len(local.journal)
    return _simulation(trigger, local, await trigger.arun(login), before, login.user.user_id)


def _prepare(
    actions: Action | Iterable[Action],
    event: Event | Mapping[str, Any],
    tenant: LocalTenant | None,
    now: float | datetime | None,
    settings: TriggerSettings,
) -> tuple[PostLoginTrigger, LocalTenant, Event]:
    """Return the trigger, a tenant that has the user, and the event."""
    from auth0_meta.actions import Event, PostLoginTrigger  # noqa: PLC0415  # FakeClock needs neither
    from auth0_meta.emulator import LocalTenant  # noqa: PLC0415

    login = event if isinstance(event, Event) else Event.from_dict(event)
    user_id = login.user.user_id
    if "|" not in user_id:
        msg = f"{user_id!r} is not a user id of Auth0: pass one with a provider, such as auth0|1"
        raise InputError(msg)
    if tenant is not None and now is not None:
        raise InputError(
            "now= is for a tenant that simulate makes; set your own: tenant.clock.freeze(at=...)"
        )
    local = tenant or LocalTenant(serve=False, clock=FakeClock(start=_epoch(now)))
    if user_id not in local.users:
        local.users.add(**login.user.copy())
    several = not callable(actions) and isinstance(actions, Iterable)
    listed = cast("Iterable[Action]", actions if several else [actions])
    return PostLoginTrigger(local.client(), listed, **settings), local, login


def _epoch(now: float | datetime | None) -> float:
    """Return seconds since the epoch; None is now."""
    if isinstance(now, datetime):
        if now.tzinfo is None:
            raise InputError("now needs a time zone: datetime.now(UTC), or datetime(..., tzinfo=UTC)")
        now = now.timestamp()
    return SYSTEM_CLOCK.time() if now is None else number("now", now, least=0, most=_LATEST)


def _simulation(
    trigger: PostLoginTrigger, tenant: LocalTenant, outcome: LoginOutcome, before: int, user_id: str
) -> Simulation:
    sent = tuple(entry for entry in tenant.journal[before:] if entry.path.startswith("/api/"))
    user = dict(tenant.users[user_id]) if user_id in tenant.users else {"user_id": user_id}
    return Simulation(outcome=outcome, requests=sent, user=user, trigger=trigger, tenant=tenant)
