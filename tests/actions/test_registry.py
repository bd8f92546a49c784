"""What counts as an action; everything else is refused when the trigger is created."""

from __future__ import annotations

import functools
import types
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.logins import Login

from auth0_meta import ConfigError


def log_call(log: list[str], name: str, event: Any, api: Any) -> None:
    """Log that it ran."""
    log.append(name)


def test_functions_objects_modules_and_partials_are_actions() -> None:
    """Anything that takes (event, api) is an action; more parameters with defaults are fine."""
    log: list[str] = []

    class Obj:
        def on_execute_post_login(self, event: Any, api: Any, extra: int = 0) -> None:
            log.append("object")

    class Call:
        def __call__(self, event: Any, api: Any) -> None:
            log.append("callable")

    module = types.ModuleType("my_actions")
    module.on_execute_post_login = functools.partial(log_call, log, "module")  # type: ignore[attr-defined]
    login = Login()
    trigger = login.trigger(
        Obj(), Call(), module, functools.partial(log_call, log, "partial"), lambda *both: log.append("star")
    )
    assert trigger.run(login.event()).allowed
    assert log == ["object", "callable", "module", "partial", "star"]
    assert "Obj, " in repr(trigger)
    assert "my_actions" in repr(trigger)
    assert repr(login.trigger()) == "<PostLoginTrigger without actions>"


class NoExecute:
    """An action with only the second half, as in a recipe that is often copied."""

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Run only after a redirect, which never happens."""


class NeedsInstance:
    """A class that has to be passed as an instance."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Do nothing."""


class NotCallable:
    """An action whose handler is not a function."""

    on_execute_post_login = 5


class OddContinue(NeedsInstance):
    """An action whose second half takes too few arguments."""

    def on_continue_post_login(self, event: Any) -> None:
        """Take too few arguments."""


def one(event: Any) -> None:
    """Take too few arguments."""


def three(event: Any, api: Any, more: Any) -> None:
    """Require too many arguments."""


def keyword(event: Any, *, api: Any) -> None:
    """Take `api` as a keyword argument only."""


def generator(event: Any, api: Any) -> Iterator[None]:
    """Yield."""
    yield


async def async_generator(event: Any, api: Any) -> AsyncIterator[None]:
    """Yield, asynchronously."""
    yield


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (one, "one can't be called"),
        (three, "three can't be called"),
        (keyword, "keyword can't be called"),
        (generator, "generator"),
        (async_generator, "generator"),
        (NoExecute(), "NoExecute has no on_execute_post_login"),
        (NeedsInstance, "pass an instance"),
        (NotCallable(), "int"),
        (OddContinue(), "OddContinue.on_continue_post_login"),
        (5, "int has no on_execute_post_login"),
    ],
)
def test_an_action_that_cannot_be_called_is_refused(action: Any, words: str) -> None:
    """The error is raised when the trigger is created, and names the action."""
    with pytest.raises(ConfigError, match=words):
        Login().trigger(action)


def test_actions_must_be_a_list() -> None:
    """Passing a single function is an easy mistake."""
    from auth0_meta.actions import PostLoginTrigger

    for wrong in (lambda event, api: None, 5):
        with pytest.raises(ConfigError, match="list"):
            PostLoginTrigger(Login().client, wrong)  # type: ignore[arg-type]


def test_a_builtin_without_a_signature_is_accepted() -> None:
    """If Python can't inspect the parameters, only the call shows whether they fit."""
    assert isinstance(Login().run(type).error, TypeError)
