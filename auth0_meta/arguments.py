"""Check the numbers and functions that callers pass, with one wording for what is wrong with them, and trim texts; PURE."""

from __future__ import annotations

import math
import unicodedata
from typing import TypeVar

from auth0_meta.errors import Auth0MetaError, InputError

_T = TypeVar("_T")
_MOST_SHOWN = 10**20
"""Python refuses to write out an int of more than 4300 digits, and nobody would read one of 30."""


def number(
    name: str,
    value: object,
    /,
    *,
    above: float | None = None,
    least: float | None = None,
    most: float | None = None,
    infinite: bool = False,
    error: type[Auth0MetaError] = InputError,
) -> float:
    """Return `value` as a float, or raise `error` unless it is a number within the bounds.

    NaN is always refused, infinity unless `infinite` is true.  True and False are not numbers here.

    >>> number("share", 0.5, above=0, most=1)
    0.5
    >>> number("share", 1.5, above=0, most=1)
    Traceback (most recent call last):
        ...
    auth0_meta.errors.InputError: share must be above 0 and at most 1, not 1.5
    """
    bounds = _bounds(above, least, most)
    if isinstance(value, bool) or not isinstance(value, int | float):
        of = " of" if bounds.startswith("at") else ""
        raise error(f"{name} must be a number{of}{bounds and ' '}{bounds}, not {type(value).__name__}")
    try:
        converted = float(value)
    except OverflowError:  # an int past 1e308 has no float, and from 4300 digits on no text either
        raise error(f"{name} must be {bounds or 'a finite number'}, and below 1e308") from None
    if (
        (math.isfinite(converted) or (infinite and not math.isnan(converted)))
        and (above is None or value > above)
        and (least is None or value >= least)
        and (most is None or value <= most)
    ):
        return converted
    raise error(f"{name} must be {bounds or ('a number' if infinite else 'a finite number')}, not {value}")


def whole(
    name: str,
    value: object,
    /,
    *,
    least: int | None = 1,
    most: int | None = None,
    error: type[Auth0MetaError] = InputError,
) -> int:
    """Return `value`, or raise `error` unless it is an int within the bounds; True and False are not.

    >>> whole("window", 0)
    Traceback (most recent call last):
        ...
    auth0_meta.errors.InputError: window must be a whole number of at least 1, not 0
    """
    if not isinstance(value, bool) and isinstance(value, int):
        if (least is None or value >= least) and (most is None or value <= most):
            return value
        shown = str(value) if abs(value) < _MOST_SHOWN else f"an int of {value.bit_length()} bits"
    else:
        shown = str(value) if isinstance(value, float) else type(value).__name__
    bounds = _bounds(None, least, most)
    raise error(f"{name} must be a whole number{f' of {bounds}' if bounds else ''}, not {shown}")


def callback(name: str, value: _T, /, *, error: type[Auth0MetaError] = InputError) -> _T:
    """Return a function that is to be called back, None for none; raise `error` for anything else.

    An `async` one would only return a coroutine, which nobody awaits.

    >>> callback("on_wait", 5)
    Traceback (most recent call last):
        ...
    auth0_meta.errors.InputError: on_wait must be a function, not int
    """
    if value is None:
        return value
    if not callable(value):
        raise error(f"{name} must be a function, not {type(value).__name__}")
    import inspect  # noqa: PLC0415  # it takes long to import, and most programs pass no function

    if inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(getattr(value, "__call__", None)):  # noqa: B004
        raise error(f"{name} must be a plain function, not an async one: nobody would await it")
    return value


def is_invisible(character: str, /) -> bool:
    """Return whether a character can't be seen: white space, a control character, a byte order mark, a zero width."""
    return character.isspace() or unicodedata.category(character) in ("Cc", "Cf")


def trimmed(text: str, /) -> str:
    r"""Return a text without the invisible characters at its ends, which files and secret stores add.

    >>> trimmed("\ufeffs3cret\r\n")
    's3cret'
    """
    seen = [at for at, character in enumerate(text) if not is_invisible(character)]
    return text[seen[0] : seen[-1] + 1] if seen else ""


def _bounds(above: float | None, least: float | None, most: float | None) -> str:
    """Put the bounds into words, in the order in which one reads them."""
    named = (("above", above), ("at least", least), ("at most", most))
    return " and ".join(f"{word} {bound:g}" for word, bound in named if bound is not None)
