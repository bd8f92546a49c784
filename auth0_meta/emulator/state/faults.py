"""Faults and second writers, and how often each of them fired."""

from __future__ import annotations

import copy
import math
import random
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeVar

import attrs

from auth0_meta.emulator.http.message import Request, to_json
from auth0_meta.emulator.rules.matching.path_matching import path_matches
from auth0_meta.errors import InputError

# The longest delay, in seconds: a longer one could move a frozen clock out of the range of datetime.
_LONGEST = 31_536_000
# RFC 9110; and the headers that say where a message ends.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FRAMING = frozenset(
    ("content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "trailer")
)
Drop = Literal["before_commit", "after_commit", "reset"]


class Dropped(ConnectionResetError):
    """Raised to make the server close the connection without a response; if `with_reset`, by a TCP reset."""

    with_reset = False


class CallbackRaised(Exception):  # named for what happened: it is the test's error, not ours
    """The second writer or predicate of `owner`, which is the test's own code, raised `error`."""

    def __init__(self, owner: Fault | Hook, error: BaseException) -> None:
        super().__init__(type(error).__name__)
        self.owner, self.error = owner, error


def _call(owner: Fault | Hook, callback: Callable[..., Any], *args: Any) -> Any:
    """Call a test's own code and wrap what it raises, even a BaseException, which pytest.fail and pytest.skip raise."""
    try:
        return callback(*args)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # kept for `verify`
        raise CallbackRaised(owner, error) from error


def _upper(method: Any) -> Any:
    return method.upper() if isinstance(method, str) else method


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]  # checked just before


def _is_line(value: object) -> bool:
    """Return whether a value is text that fits on a header's line."""
    return isinstance(value, str) and not any(letter in value for letter in "\r\n\0")


def _whole(least: int, most: float = math.inf) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and least <= value <= most


_TEXT = (lambda value: isinstance(value, str), "a string")
_FROM_0 = (_whole(0), "a whole number of at least 0")
_FROM_1 = (_whole(1), "a whole number of at least 1")
_SECONDS = (
    lambda value: _is_number(value) and 0 <= value <= _LONGEST,
    "a number of seconds, from 0 to a year",
)
# What each setting must be unless it is None.
_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "method": _TEXT,
    "path": (
        lambda value: isinstance(value, str) and value.startswith("/"),
        "a template, a whole path, or a prefix that ends in / or *, beginning with /",
    ),
    "user_id": _TEXT,
    "nth": _FROM_1,
    "times": _FROM_1,
    "truncate": _FROM_0,
    "rows": _FROM_0,
    "status": (_whole(200, 599), "a whole number from 200 to 599"),
    "delay": _SECONDS,
    "slow": _SECONDS,
    "probability": (lambda value: _is_number(value) and 0 < value <= 1, "a number above 0 and at most 1"),
    "reset": (
        lambda value: _is_line(value) or _is_number(value),
        "a number of seconds, or one line of text to send as it is",
    ),
    "drop": (
        lambda value: value in ("before_commit", "after_commit", "reset"),
        "before_commit, after_commit or reset",
    ),
}


@attrs.define(kw_only=True, eq=False)
class _Matcher:
    """Which requests a fault or second writer applies to; `seen` counts them, `fired` those on which it acted."""

    method: str | None = attrs.field(default=None, converter=_upper)
    path: str | None = None
    user_id: str | None = None
    nth: int = 1
    times: int | None = 1
    seen: int = attrs.field(default=0, init=False)
    fired: int = attrs.field(default=0, init=False)
    number: int = attrs.field(default=0, init=False, repr=False)
    """Its number among the faults and second writers of its tenant, from 1 on."""

    def __attrs_post_init__(self) -> None:
        for name, (fits, what) in _RULES.items():
            value = getattr(self, name, None)
            if value is not None and not fits(value):
                raise InputError(f"{name} must be {what}, not {value!r}")

    def matches(self, request: Request, route: str, user_id: str | None) -> bool:
        """Return whether this applies to the request."""
        return (
            (self.method is None or self.method == request.method)
            and (self.path is None or path_matches(self.path, route=route, path=request.path))
            and (self.user_id is None or self.user_id == user_id)
        )

    def due(self) -> bool:
        """Return whether this fires for the request just counted."""
        return self.seen >= self.nth and (self.times is None or self.fired < self.times)


@attrs.define(kw_only=True, eq=False)
class Fault(_Matcher):
    """One fault, as `LocalTenant.fail` injects it; `fired` counts how often it struck."""

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
        """Return whether it strikes after the request took effect."""
        return self.commit or self.drop == "after_commit"

    def matches(self, request: Request, route: str, user_id: str | None) -> bool:
        """Return whether this applies to the request."""
        return super().matches(request, route, user_id) and (
            self.when is None or bool(_call(self, self.when, request.method, request.path, request.body))
        )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        effects = (self.status, self.drop, self.delay, self.slow, self.truncate, self.rows)
        if all(effect is None for effect in effects) and not self.expire_token:
            raise InputError("a fault needs status, drop, delay, slow, truncate, rows or expire_token")
        if self.status is not None and self.drop is not None:
            raise InputError("a fault can't have both status and drop: leave one out")
        if self.status is None and (
            self.commit or self.body is not None or self.html or self.headers or self.reset is not None
        ):
            raise InputError("commit, body, html, headers and reset work only with a status: add one")
        self.headers = _checked_headers(self.headers)
        if not isinstance(self.body, (str, bytes)):
            try:
                to_json(self.body)
                self.body = copy.deepcopy(self.body)  # whoever made it may change it later
            except (TypeError, ValueError, RecursionError):
                msg = f"body must be a string, bytes, or a value that JSON can represent; this {type(self.body).__name__} is not"
                raise InputError(msg) from None


def _checked_headers(headers: Mapping[str, Any]) -> dict[str, str | None]:
    """Return headers by their names in lower case; raises `InputError` for what no server could send."""
    checked: dict[str, str | None] = {}
    for name, value in headers.items():
        if not isinstance(name, str) or not _HEADER_NAME.fullmatch(name):
            raise InputError(f"{name!r} can't be the name of a header: use letters, digits and hyphens")
        lower = name.lower()
        if lower in _FRAMING:
            raise InputError(f"the header {name} belongs to the server: use truncate, slow or drop")
        if lower in checked:
            raise InputError(f"the header {name} is there twice: names are the same in upper and lower case")
        if not (value is None or _is_line(value)):
            raise InputError(f"the header {name} must be one line of text, or None to remove it")
        if value is not None and not value.isascii():
            raise InputError(f"the header {name} must be ASCII")
        checked[lower] = value
    return checked


@attrs.define(kw_only=True, eq=False)
class Hook(_Matcher):
    """A second writer: `run(tenant)` is called just before a matching request takes effect."""

    run: Callable[[Any], object] = attrs.field(repr=False)

    def act(self, tenant: object) -> None:
        """Run the second writer; raises `CallbackRaised` for any error in it."""
        _call(self, self.run, tenant)


_M = TypeVar("_M", bound=_Matcher)


class FaultBook:
    """The faults and second writers of one tenant, in the order in which they were added; thread-safe.

    `seed` decides when faults with a probability strike; `clear` restarts the random sequence.
    """

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed, self._random = seed, random.Random(seed)
        self._added = 0
        self._faults: list[Fault] = []
        self._hooks: list[Hook] = []

    def add(self, item: Fault | Hook) -> None:
        """Add a fault or second writer."""
        with self._lock:
            self._added += 1
            item.number = self._added
            if isinstance(item, Fault):
                self._faults.append(item)
            else:
                self._hooks.append(item)

    def strike(
        self, request: Request, route: str, user_id: str | None, *, exact_path: bool = False
    ) -> Fault | None:
        """Count this request for every fault that matches it, and return the first that is due.

        With `exact_path`, as for a request that no route serves, only faults with exactly this path count.
        """
        if not self._faults:
            return None
        with self._lock:
            faults = [fault for fault in self._faults if not exact_path or fault.path == request.path]
            for fault in _count(faults, request, route, user_id):
                if fault.probability is None or self._random.random() < fault.probability:
                    fault.fired += 1
                    return fault
        return None

    def hooks(self, request: Request, route: str, user_id: str | None) -> list[Hook]:
        """Count this request for every second writer that matches it, and return all that are due."""
        if not self._hooks:
            return []
        with self._lock:
            due = _count(self._hooks, request, route, user_id)
            for hook in due:
                hook.fired += 1
        return due

    def all(self) -> list[Fault | Hook]:
        """Return every fault and second writer, fired or not."""
        with self._lock:
            return [*self._faults, *self._hooks]

    def remove(self, number: int) -> bool:
        """Delete the fault or second writer with this number; return False if there is none."""
        with self._lock:
            before = len(self._faults) + len(self._hooks)
            self._faults = [fault for fault in self._faults if fault.number != number]
            self._hooks = [hook for hook in self._hooks if hook.number != number]
            return len(self._faults) + len(self._hooks) < before

    def clear(self) -> None:
        """Delete every fault and second writer."""
        with self._lock:
            self._faults.clear()
            self._hooks.clear()
            self._random.seed(self._seed)


def _count(items: Iterable[_M], request: Request, route: str, user_id: str | None) -> list[_M]:
    """Count the request for every item that matches it, and return those that are due."""
    matching = [item for item in items if item.matches(request, route, user_id)]
    for item in matching:
        item.seen += 1
    return [item for item in matching if item.due()]
