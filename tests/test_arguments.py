"""Numbers and functions that callers pass: bounds, values that are something else, and one wording for all errors."""

from __future__ import annotations

from functools import partial
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from auth0_meta import ConfigError, InputError
from auth0_meta.arguments import callback, number, whole

MOST_8 = "window must be a whole number of at least 1 and at most 8"


@pytest.mark.parametrize("value", [1, 0.5, 1e-9])
def test_a_number_within_the_bounds_comes_back_as_a_float(value: float) -> None:
    """Ints and floats are accepted up to and including the upper bound."""
    found = number("share", value, above=0, most=1)
    assert found == value
    assert type(found) is float


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (1.5, {"above": 0, "most": 1}, "share must be above 0 and at most 1, not 1.5"),
        (0, {"above": 0, "most": 1}, "share must be above 0 and at most 1, not 0"),
        (-0.1, {"least": 0}, "share must be at least 0, not -0.1"),
        (float("nan"), {"infinite": True}, "share must be a number, not nan"),
        (float("inf"), {"least": 0}, "share must be at least 0, not inf"),
        (float("inf"), {}, "share must be a finite number, not inf"),
        ("secret", {"least": 0}, "share must be a number of at least 0, not str"),
        (10**400, {"above": 0, "most": 1}, "share must be above 0 and at most 1, and below 1e308"),
        (-(10**400), {"least": 0, "infinite": True}, "share must be at least 0, and below 1e308"),
        pytest.param(10**5000, {}, "share must be a finite number, and below 1e308", id="5001 digits"),
        (True, {}, "share must be a number, not bool"),
        (None, {}, "share must be a number, not NoneType"),
    ],
)
def test_any_other_number_is_refused(value: Any, bounds: dict[str, Any], message: str) -> None:
    """The message gives the bounds and the number, or only the type if the value is not a number."""
    with pytest.raises(InputError) as raised:
        number("share", value, **bounds)
    assert str(raised.value) == message


def test_infinity_may_be_allowed() -> None:
    """An infinite wait is accepted if the caller's rule allows it."""
    assert number("seconds", float("inf"), least=0, infinite=True) == float("inf")


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (0, {}, "window must be a whole number of at least 1, not 0"),
        (9, {"most": 8}, f"{MOST_8}, not 9"),
        pytest.param(10**5000, {"most": 8}, f"{MOST_8}, not an int of 16610 bits", id="5001 digits"),
        (1.0, {}, "window must be a whole number of at least 1, not 1.0"),
        (True, {}, "window must be a whole number of at least 1, not bool"),
        ("secret", {"least": None}, "window must be a whole number, not str"),
    ],
)
def test_whole_numbers(value: Any, bounds: dict[str, Any], message: str) -> None:
    """Only an int within the bounds is accepted, not a float that happens to be whole."""
    assert whole("window", 1) == 1
    assert whole("window", -5, least=None) == -5
    with pytest.raises(InputError) as raised:
        whole("window", value, **bounds)
    assert str(raised.value) == message


def test_the_caller_chooses_the_error() -> None:
    """Settings of a client raise `ConfigError`, arguments of a call `InputError`."""
    with pytest.raises(ConfigError):
        number("timeout", 0, above=0, error=ConfigError)
    with pytest.raises(ConfigError):
        number("timeout", 10**400, above=0, error=ConfigError)
    with pytest.raises(ConfigError):
        whole("pool_size", 0, error=ConfigError)


class _Plain:
    def __call__(self, value: object) -> None:
        """Be called."""


class _Async:
    async def __call__(self, value: object) -> None:
        """Be awaited."""


@pytest.mark.parametrize("value", [None, print, len, _Plain(), _Plain, partial(print, 1), [].append, Mock()])
def test_whatever_can_be_called_is_a_callback(value: Any) -> None:
    """Functions, methods, classes and objects with `__call__`; None means that there is none."""
    assert callback("on_wait", value) is value


@pytest.mark.parametrize("value", [_Async(), _Async().__call__, partial(_Async().__call__, 1), AsyncMock()])
def test_what_would_have_to_be_awaited_is_no_callback(value: Any) -> None:
    """It would only return a coroutine, and nothing would happen."""
    with pytest.raises(InputError, match="on_wait must be a plain function, not an async one"):
        callback("on_wait", value)


def test_what_cannot_be_called_is_no_callback() -> None:
    """The caller chooses the error, and the message has the type only."""
    with pytest.raises(ConfigError, match=r"^on_wait must be a function, not str$"):
        callback("on_wait", "secret", error=ConfigError)
