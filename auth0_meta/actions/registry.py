"""Check actions when a trigger is made, and convert all kinds of them to one form."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import attrs

from auth0_meta.errors import ConfigError

_EXECUTE = "on_execute_post_login"
_CONTINUE = "on_continue_post_login"


@attrs.frozen
class Handler:
    """One function of an action."""

    name: str
    call: Callable[..., Any]
    is_async: bool


@attrs.frozen
class RegisteredAction:
    """An action: `execute` runs at a login, `resume` when a redirect comes back.

    `no_redirect`: why the action can't redirect; None if it can.
    """

    name: str
    execute: Handler
    resume: Handler | None
    no_redirect: str | None


def register(actions: Iterable[Any]) -> tuple[RegisteredAction, ...]:
    """Check every action: a function of (event, api), or an object or module with `on_execute_post_login`.

    Raises `ConfigError` for anything else: a login is too late to find out.
    """
    if callable(actions) or not isinstance(actions, Iterable):
        raise ConfigError(f"actions must be a list of actions, not {type(actions).__name__}")
    return tuple(_action(action) for action in actions)


def _action(action: Any) -> RegisteredAction:
    execute, resume = getattr(action, _EXECUTE, None), getattr(action, _CONTINUE, None)
    own_name = getattr(action, "__qualname__", None) or getattr(action, "__name__", None)
    name = str(own_name or type(action).__qualname__)
    no_redirect = f"{name} has no {_CONTINUE}(event, api), so the login could not continue after a redirect"
    if execute is None and resume is None and callable(action):
        return RegisteredAction(name, _handler(action, name), None, no_redirect)
    if execute is None:
        raise ConfigError(
            f"the action {name} has no {_EXECUTE}(event, api): "
            "pass a function of (event, api), or an object that has this method"
        )
    handler = _handler(execute, f"{name}.{_EXECUTE}")
    if resume is None:
        return RegisteredAction(name, handler, None, no_redirect)
    return RegisteredAction(name, handler, _handler(resume, f"{name}.{_CONTINUE}"), None)


def _handler(function: Any, name: str) -> Handler:
    if not callable(function):
        raise ConfigError(f"{name} must be a function, not {type(function).__name__}")
    try:
        inspect.signature(function).bind(None, None)
    except TypeError as error:
        problem = f"{name} can't be called with (event, api): {error}"
        raise ConfigError(f"{problem}. If it is a class, pass an instance of it") from None
    except ValueError:  # a builtin without a signature: only a call can show whether it works
        pass
    kinds = (function, getattr(function, "__call__", None))  # noqa: B004  # an object may have an async __call__
    if any(inspect.isgeneratorfunction(kind) or inspect.isasyncgenfunction(kind) for kind in kinds):
        raise ConfigError(f"{name} is a generator: make it a function or an async function")
    return Handler(name, function, any(inspect.iscoroutinefunction(kind) for kind in kinds))
