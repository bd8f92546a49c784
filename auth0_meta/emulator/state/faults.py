"""Planned faults and second writers; each plan counts how often it fired."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from auth0_meta.emulator.http.message import Request, to_json
from auth0_meta.emulator.rules.path_matching import path_matches
from auth0_meta.errors import InputError

# A clock moved further would soon leave the range of datetime.
_LONGEST = 31_536_000
Drop = Literal["before_commit", "after_commit", "reset"]


class Dropped(ConnectionResetError):
    """Ask the server to close the connection without an answer, `rudely` with a TCP reset."""

    rudely = False


class PlanRaised(Exception):  # what happened, not an error of ours
    """A second writer or a predicate of the test raised: `plan` and its `error`."""

    def __init__(self, plan: Fault | Hook, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.plan, self.error = plan, error


def _call(plan: Fault | Hook, run: Callable[..., Any], *given: Any) -> Any:
    """Call a test's own code; pytest.fail and skip raise BaseException, and count too."""
    try:
        return run(*given)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # kept for `verify`
        raise PlanRaised(plan, error) from error


def _counts(name: str, value: int | None) -> None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        msg = f"{name} must be a whole number of at least 1"
        raise InputError(msg)


def _upper(method: str | None) -> str | None:
    _text("method", method)
    return None if method is None else method.upper()


def _text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        msg = f"{name} is a text"
        raise InputError(msg)


def _line(name: str, value: str) -> None:
    """Refuse a header that would break its line."""
    if any(letter in value for letter in "\r\n\0"):
        msg = f"{name} is one line of text"
        raise InputError(msg)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@attrs.define(kw_only=True, eq=False)
class _Plan:
    """Which requests a plan is for, and how many came."""

    method: str | None = attrs.field(default=None, converter=_upper)
    path: str | None = None
    user_id: str | None = None
    nth: int = 1
    times: int | None = 1
    seen: int = attrs.field(default=0, init=False)
    fired: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        _text("path", self.path)
        if self.path is not None and not self.path.startswith("/"):
            msg = "path begins with /: a template, a whole path, or a prefix that ends in / or *"
            raise InputError(msg)
        _text("user_id", self.user_id)
        _counts("nth", self.nth)
        _counts("times", self.times)

    def meets(self, request: Request, route: str, user_id: str | None) -> bool:
        """Return whether the plan is for this request."""
        return (
            (self.method is None or self.method == request.method)
            and (self.path is None or path_matches(self.path, route=route, path=request.path))
            and (self.user_id is None or self.user_id == user_id)
        )

    def due(self) -> bool:
        """Return whether the plan fires at the request just counted."""
        return self.seen >= self.nth and (self.times is None or self.fired < self.times)


@attrs.define(kw_only=True, eq=False)
class Fault(_Plan):
    """One planned fault, as `LocalTenant.fail` takes it; `fired` counts its strikes."""

    status: int | None = None
    body: dict[str, Any] | list[Any] | str | bytes | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str | None] = attrs.field(factory=dict, repr=False)
    drop: Drop | None = None
    delay: float | None = None
    reset: float | str | None = None
    commit: bool = False
    when: Callable[[str, str, bytes], bool] | None = attrs.field(default=None, repr=False)
    probability: float | None = None
    html: bool = False
    slow: float | None = None
    truncate: int | None = None
    expire_token: bool = False
    rows: int | None = None

    @property
    def late(self) -> bool:
        """Return whether it strikes after the request was carried out."""
        return self.commit or self.drop == "after_commit"

    def meets(self, request: Request, route: str, user_id: str | None) -> bool:
        """Return whether the plan is for this request."""
        return super().meets(request, route, user_id) and (
            self.when is None or bool(_call(self, self.when, request.method, request.path, request.body))
        )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        effects = (self.status, self.drop, self.delay, self.slow, self.truncate, self.rows)
        if all(effect is None for effect in effects) and not self.expire_token:
            msg = "a fault needs a status, a drop, a delay, slow, truncate, rows or expire_token"
            raise InputError(msg)
        self._check_values()
        for name in ("truncate", "rows"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                msg = f"{name} must be a whole number, 0 or more"
                raise InputError(msg)
        if self.status is not None and self.drop is not None:
            msg = "a fault either answers with a status or drops the connection"
            raise InputError(msg)
        if self.drop not in (None, "before_commit", "after_commit", "reset"):
            msg = "drop is before_commit, after_commit, reset or None"
            raise InputError(msg)
        if self.status is None and (
            self.commit or self.body is not None or self.html or self.headers or self.reset is not None
        ):
            msg = "commit, body, html, headers and reset go with a status"
            raise InputError(msg)

    def _check_values(self) -> None:
        """Refuse at once what could not be answered later."""
        chance = self.probability
        if chance is not None and not (_is_number(chance) and 0 < chance <= 1):
            msg = "probability is above 0 and at most 1"
            raise InputError(msg)
        status = self.status
        if status is not None and (type(status) is not int or not 200 <= status <= 599):
            msg = "the status of a fault is a whole number between 200 and 599"
            raise InputError(msg)
        for name in ("delay", "slow"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 <= value <= _LONGEST):
                msg = f"{name} is a number of seconds, 0 or more, a year at most"
                raise InputError(msg)
        if isinstance(self.reset, str):
            _line("reset", self.reset)
        elif self.reset is not None and not (_is_number(self.reset) and math.isfinite(self.reset)):
            msg = "reset is a number of seconds, or a text to send as it is"
            raise InputError(msg)
        for name, header in self.headers.items():
            _line("the name of a header", name)
            _line("the value of a header", str(header or ""))
        if not isinstance(self.body, (str, bytes)):
            try:
                to_json(self.body)
            except (TypeError, ValueError, RecursionError):
                msg = "body is a text, bytes, or what JSON can hold"
                raise InputError(msg) from None


@attrs.define(kw_only=True, eq=False)
class Hook(_Plan):
    """A second writer: `run(tenant)` is called just before a matching request is processed."""

    run: Callable[[Any], object] = attrs.field(repr=False)

    def act(self, tenant: object) -> None:
        """Run the second writer; raises `PlanRaised` for any error in it."""
        _call(self, self.run, tenant)


class FaultBook:
    """The plans of one tenant, in the order in which they were made; thread-safe.

    `seed` decides when faults with a probability strike, and starts over with each `clear`.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed, self._random = seed, random.Random(seed)
        self._faults: list[Fault] = []
        self._hooks: list[Hook] = []

    def add(self, plan: Fault | Hook) -> None:
        """Add one plan."""
        with self._lock:
            if isinstance(plan, Fault):
                self._faults.append(plan)
            else:
                self._hooks.append(plan)

    def strike(
        self, request: Request, route: str, user_id: str | None, *, by_name: bool = False
    ) -> Fault | None:
        """Count this request for every fault planned for it, and return the first that is due.

        `by_name`: consider only faults with exactly this path; for a request that no route serves.
        """
        if not self._faults:
            return None
        with self._lock:
            struck: Fault | None = None
            for fault in self._faults:
                if by_name and fault.path != request.path:
                    continue
                if not fault.meets(request, route, user_id):
                    continue
                fault.seen += 1
                if struck is None and fault.due():
                    chance = fault.probability
                    if chance is None or self._random.random() < chance:
                        fault.fired += 1
                        struck = fault
            return struck

    def hooks(self, request: Request, route: str, user_id: str | None) -> list[Hook]:
        """Count this request for every second writer planned for it, and return all that are due."""
        if not self._hooks:
            return []
        due = []
        with self._lock:
            for hook in self._hooks:
                if hook.meets(request, route, user_id):
                    hook.seen += 1
                    if hook.due():
                        hook.fired += 1
                        due.append(hook)
        return due

    def plans(self) -> list[Fault | Hook]:
        """Return every plan, fired or not."""
        with self._lock:
            return [*self._faults, *self._hooks]

    def unfired(self) -> list[Fault | Hook]:
        """Return every plan that never fired."""
        return [plan for plan in self.plans() if plan.fired == 0]

    def clear(self) -> None:
        """Forget every plan."""
        with self._lock:
            self._faults.clear()
            self._hooks.clear()
            self._random.seed(self._seed)
