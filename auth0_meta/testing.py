"""Help tests of code that uses this package: time that moves only when told, logins that need no tenant."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import attrs

from auth0_meta.errors import InputError, StateError

if TYPE_CHECKING:
    from auth0_meta.actions import Event, LoginOutcome, PostLoginTrigger
    from auth0_meta.emulator import Entry, LocalTenant

__all__ = ["FakeClock", "Simulation", "asimulate", "simulate"]


class FakeClock:
    """Follow the `Clock` protocol without waiting: a sleep moves both readings at once.

    `start`: epoch seconds of the wall clock.  `monotonic`: the other clock's first reading.
    `slept` lists every sleep and timed wait, in order.  Safe for many threads.

    >>> clock = FakeClock(start=1_000.0)
    >>> clock.sleep(2.5)
    >>> clock.time(), clock.monotonic(), clock.slept
    (1002.5, 2.5, [2.5])
    """

    def __init__(self, *, start: float = 1_800_000_000.0, monotonic: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._wall, self._monotonic = float(start), float(monotonic)
        self.slept: list[float] = []

    def time(self) -> float:
        """Return the wall clock's reading."""
        return self._wall

    def monotonic(self) -> float:
        """Return the steady clock's reading."""
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Move both clocks, without recording a sleep.

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
        """Move both clocks by `seconds` at once and record it."""
        with self._lock:
            self.slept.append(seconds)
            self._wall += seconds
            self._monotonic += seconds

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Sleep, letting other threads at the condition; None really waits until notified.

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


@attrs.frozen(kw_only=True, repr=False)
class Simulation:
    """Hold what a simulated login came to.

    `outcome` is that of the trigger; `staged` what the actions staged, by bag, None for deletions;
    `requests` the Management API requests that were sent, each with `method`, `path`, `body` and `status`;
    `user` the profile afterwards.  The repr shows no values.
    """

    outcome: LoginOutcome
    requests: tuple[Entry, ...]
    user: Mapping[str, Any]
    _trigger: PostLoginTrigger
    _tenant: LocalTenant

    @property
    def staged(self) -> Mapping[str, Mapping[str, Any]]:
        """Return what the actions staged; {} where it was discarded."""
        return self.outcome.staged

    def resume(
        self, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Simulation:
        """Come back from the redirect, with the parameters that the other site adds; `requests` are those since.

        Raises `StateError` where the login was not redirected.
        """
        state, before = self._state(), len(self._tenant.journal)
        outcome = self._trigger.resume(state, query={"state": state, **(query or {})}, body=body)
        return _simulation(self._trigger, self._tenant, outcome, before, str(self.user["user_id"]))

    async def aresume(
        self, *, query: Mapping[str, Any] | None = None, body: Mapping[str, Any] | None = None
    ) -> Simulation:
        """Do what `resume` does from a running event loop."""
        state, before = self._state(), len(self._tenant.journal)
        outcome = await self._trigger.aresume(state, query={"state": state, **(query or {})}, body=body)
        return _simulation(self._trigger, self._tenant, outcome, before, str(self.user["user_id"]))

    def _state(self) -> str:
        redirect = self.outcome.redirect
        if redirect is None:
            msg = "this login was not redirected, so there is nothing to resume"
            raise StateError(msg)
        return redirect.state

    def __repr__(self) -> str:
        return f"<Simulation {self.outcome}, {len(self.requests)} requests>"


def simulate(
    actions: Any, event: Event | Mapping[str, Any], /, *, tenant: LocalTenant | None = None, **settings: Any
) -> Simulation:
    """Run actions on one login, with no account and no network: a local tenant holds the event's user.

    `actions`: one action or a list of them.  `event`: an `Event` or Auth0's event JSON; bags that it lacks are
    taken from the user, and are empty where the tenant did not have that user.  `tenant`: one of your own, with users and planned
    faults (`tenant.fail(...)`); None makes one whose clock is a `FakeClock`.  `settings` are those
    of `PostLoginTrigger`.  From a running event loop await `asimulate`.  Needs the extra `emulator`.

    >>> def greet(event, api):
    ...     api.user.set_user_metadata("greeted", True)
    >>> login = simulate(greet, {"user": {"user_id": "auth0|1", "user_metadata": {}, "app_metadata": {}}})
    >>> login.outcome.allowed, login.staged, [(r.method, r.body) for r in login.requests]
    (True, {'user_metadata': {'greeted': True}}, [('PATCH', {'user_metadata': {'greeted': True}})])
    """
    trigger, home, login = _stage(actions, event, tenant, settings)
    before = len(home.journal)
    return _simulation(trigger, home, trigger.run(login), before, login.user.user_id)


async def asimulate(
    actions: Any, event: Event | Mapping[str, Any], /, *, tenant: LocalTenant | None = None, **settings: Any
) -> Simulation:
    """Do what `simulate` does from a running event loop: for async tests."""
    trigger, home, login = _stage(actions, event, tenant, settings)
    before = len(home.journal)
    return _simulation(trigger, home, await trigger.arun(login), before, login.user.user_id)


def _stage(
    actions: Any, event: Event | Mapping[str, Any], tenant: LocalTenant | None, settings: Mapping[str, Any]
) -> tuple[PostLoginTrigger, LocalTenant, Event]:
    """Return the trigger, a tenant that has the user, and the login."""
    from auth0_meta.actions import Event, PostLoginTrigger  # noqa: PLC0415  # FakeClock alone needs neither
    from auth0_meta.emulator import LocalTenant  # noqa: PLC0415

    login = event if isinstance(event, Event) else Event.from_dict(event)
    user_id = login.user.user_id
    if "|" not in user_id:
        msg = f"the user id {user_id!r} is not one that Auth0 gives: pass one such as auth0|1"
        raise InputError(msg)
    home = tenant or LocalTenant(serve=False, clock=FakeClock())
    if user_id not in home.users:
        home.users.add(**login.user.copy())
    several = isinstance(actions, Iterable) and not callable(actions)
    return PostLoginTrigger(home.client(), actions if several else [actions], **settings), home, login


def _simulation(
    trigger: PostLoginTrigger, tenant: LocalTenant, outcome: LoginOutcome, before: int, user_id: str
) -> Simulation:
    sent = tuple(entry for entry in tenant.journal[before:] if entry.path.startswith("/api/"))
    user = dict(tenant.users[user_id]) if user_id in tenant.users else {"user_id": user_id}
    return Simulation(outcome=outcome, requests=sent, user=user, trigger=trigger, tenant=tenant)
