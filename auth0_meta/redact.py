"""Describe metadata by names and sizes, never values, for logs, reprs and errors; make text safe to print.

It also prepares errors that leave this package.  When a call fails, the frames of this package, and of the libraries
below it, hold a request: a token, a secret, a document.  Error trackers record local variables, so these frames are
emptied.  And nobody wants to read ten such frames because a user id was wrong: the traceback of this package's own
errors ends at the line of the program.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType, FunctionType, TracebackType
from typing import Any, TypeVar, cast

_T = TypeVar("_T")

# What a terminal obeys instead of showing it: C0 and C1, line breaks and bidi controls.  And lone surrogates, which no
# encoding can write at all.
_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Escape what a terminal would obey in text that others may have written.

    Control characters, line breaks and bidi controls become `\uXXXX`, so printed JSON stays JSON.  `lines` keeps "\n".

    >>> print(printable("Eve \x1b[31m\n\u202e"))
    Eve \u001b[31m\u000a\u202e
    """
    if lines:
        return "\n".join(printable(line) for line in text.split("\n"))
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def count(number: int, noun: str) -> str:
    """Return a number of things in English.

    >>> count(1, "request"), count(2, "request")
    ('1 request', '2 requests')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size(value: object) -> int:
    """Return the bytes that `value` takes as compact UTF-8 JSON, 0 if JSON can't represent it.

    >>> size({"theme": "dark"})
    16
    """
    try:
        return len(
            json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")
        )
    except (TypeError, ValueError, RecursionError):
        return 0


def outline(bags: Mapping[Any, Any]) -> str:
    """Describe a PATCH body or profile by bag, first-level key and size.

    >>> outline({"user_metadata": {"theme": "dark", "old": None}, "app_metadata": {}})
    'user_metadata(theme 6 B, old deleted), app_metadata(cleared)'
    >>> outline({})
    'nothing'
    """
    parts = []
    for bag, keys in bags.items():
        if not isinstance(keys, Mapping):
            inner = f"{size(keys)} B"
        else:
            told = (
                f"{key} deleted" if value is None else f"{key} {size(value)} B" for key, value in keys.items()
            )
            inner = ", ".join(told) or "cleared"
        parts.append(f"{bag}({inner})")
    return printable(", ".join(parts)) or "nothing"


# Frames after an error ------------------------------------------------------------

__tracebackhide__ = True  # pytest does not show the wrappers below, not even for a bug

_PACKAGE = "auth0_meta"
_OURS = frozenset({_PACKAGE, "cryptography", "jose", "requests", "urllib3", *sys.stdlib_module_names})
# Flags of code objects; the module `inspect` has names for them, and takes long to import.
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200
_MAY_BE_SUSPENDED = _GENERATOR | _COROUTINE | _ASYNC_GENERATOR
_SPECIAL = frozenset({
    "__new__", "__init__", "__getitem__", "__setitem__", "__delitem__", "__contains__", "__eq__", "__ior__", "__iter__",
    "__len__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__anext__",
})  # fmt: skip
"""The special methods that can fail; the rest have names of their own."""

whole_tracebacks = sys.flags.dev_mode
"""Whether errors keep the frames of this package: in Python's development mode, and under pytest's `--full-trace`."""


def discreet(target: _T, /) -> _T:
    """Decorate a public function, or a class for all its public methods: their errors leave as `leave` prepares them.

    >>> @discreet
    ... def send(token):
    ...     raise LookupError("no such user")
    >>> try:
    ...     send("secret")
    ... except LookupError as error:
    ...     print(error.__traceback__.tb_next.tb_next.tb_frame.f_locals)
    {}
    """
    if isinstance(target, type):
        for name, member in list(vars(target).items()):
            if name.startswith("_") and name not in _SPECIAL:
                continue
            if isinstance(member, FunctionType):
                setattr(target, name, _discreet(member))
            elif isinstance(member, classmethod | staticmethod) and isinstance(member.__func__, FunctionType):
                setattr(target, name, type(member)(_discreet(member.__func__)))
            elif isinstance(member, property):
                get, set_ = (one and _discreet(one) for one in (member.fget, member.fset))
                setattr(target, name, property(get, set_))
        return target
    return cast("_T", _discreet(cast("Callable[..., Any]", target)))


def _discreet(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap one function; each kind has arguments in a frame of its own, which are dropped first."""
    flags = function.__code__.co_flags
    if flags & _GENERATOR:

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            del args, kwargs
            try:
                return (yield from inner)
            except BaseException as error:
                leave(error)
                raise

    elif flags & _COROUTINE:

        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            inner = function(*args, **kwargs)
            del args, kwargs
            try:
                return await inner
            except BaseException as error:
                leave(error)
                raise

    else:

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                del args, kwargs
                leave(error)
                raise

    return call


def leave(error: BaseException, /) -> None:
    """Prepare an error that leaves a public function, which has to raise it again with a bare `raise`.

    That adds no frame of its own to the traceback, so the innermost line in it is the program's.
    """
    if not whole_tracebacks:
        for one in _chain(error):
            _leave_out_noise(one)
        for one in _chain(error):
            _shorten(one)
    _forget_locals(error)


def _forget_locals(error: BaseException) -> None:
    """Empty the frames of this package and of the libraries below it that an error, or one in its chain, has passed."""
    for n, one in enumerate(_chain(error)):
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if _package(frame) not in _OURS:
                continue
            # The error itself has ended each frame that it has passed.  One that was handled may belong to a generator
            # that goes on, which emptying its frame would end.
            if n == 0 or not frame.f_code.co_flags & _MAY_BE_SUSPENDED:
                with contextlib.suppress(RuntimeError):  # the frame still runs
                    frame.clear()


def _leave_out_noise(error: BaseException) -> None:
    """Hide what was handled inside this package when an error of its own was raised; a cause is named with `from`."""
    before = error.__context__
    if before is not None and error.__cause__ is None and _is_own(error):
        inside = all(_package(frame) in _OURS for frame, _ in traceback.walk_tb(before.__traceback__))
        error.__suppress_context__ = error.__suppress_context__ or inside


def _shorten(error: BaseException) -> None:
    """Take the frames of this package and below out of a traceback, unless they have to show where a bug is."""
    entries: list[tuple[TracebackType, str]] = []
    trace = error.__traceback__
    while trace is not None:
        entries.append((trace, _package(trace.tb_frame)))
        trace = trace.tb_next
    if not _is_own(error) and _is_a_bug(error, entries):
        return
    shown: TracebackType | None = None
    for trace, package in reversed(entries):
        if package not in _OURS:
            shown = TracebackType(shown, trace.tb_frame, trace.tb_lasti, trace.tb_lineno)
    error.__traceback__ = shown


def _is_own(error: BaseException) -> bool:
    """Return whether the class of an error is one of this package's."""
    return type(error).__module__.partition(".")[0] == _PACKAGE


def _is_a_bug(error: BaseException, entries: Sequence[tuple[TracebackType, str]]) -> bool:
    """Return whether an error of another class than this package's comes from inside it, and not on purpose."""
    found = next((entry for entry in reversed(entries) if entry[1] not in sys.stdlib_module_names), None)
    if found is None or found[1] not in _OURS:
        return False  # a function of the program, called from here, has raised it
    # If no function was entered, its arguments are wrong.  And mypy would find a keyword that this package misspells.
    if isinstance(error, TypeError) and (len(entries) == 1 or "unexpected keyword argument" in str(error)):
        return False
    frame = found[0].tb_frame
    lookup = isinstance(error, LookupError) and frame.f_code.co_name == "__getitem__"
    # An assertion for tests hides itself, as pytest and IPython know it.
    return not lookup and "__tracebackhide__" not in frame.f_locals


def _package(frame: FrameType) -> str:
    """Return the name of the package that a frame's code belongs to."""
    name: str = frame.f_globals.get("__name__") or ""
    return name.partition(".")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        one = todo.pop()
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__context__, one.__cause__]
