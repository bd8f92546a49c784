"""Hold what counts as an action, and that all else is refused when it is registered."""

from __future__ import annotations

import functools
import types
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from support.logins import Login

from auth0_meta import ConfigError


def noted(log: list[str], name: str, event: Any, api: Any) -> None:
    """Note that it ran."""
    log.append(name)


def test_functions_objects_modules_and_partials_are_actions() -> None:
    """Whatever takes (event, api); extra parameters with defaults are fine."""
    log: list[str] = []

    class Obj:
        def on_execute_post_login(self, event: Any, api: Any, extra: int = 0) -> None:
            log.append("object")

    class Call:
        def __call__(self, event: Any, api: Any) -> None:
            log.append("callable")

    module = types.ModuleType("my_actions")
    module.on_execute_post_login = functools.partial(noted, log, "module")  # type: ignore[attr-defined]
    login = Login()
    trigger = login.trigger(
        Obj(), Call(), module, functools.partial(noted, log, "partial"), lambda *both: log.append("star")
    )
    assert trigger.run(login.event()).allowed
    assert log == ["object", "callable", "module", "partial", "star"]
    assert "Obj, " in repr(trigger)
    assert "my_actions" in repr(trigger)
    assert repr(login.trigger()) == "<PostLoginTrigger without actions>"


class NoExecute:
    """Has only the second half, as an often copied recipe does."""

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Run only after a redirect that never was."""


class ByClass:
    """Is to be passed as an instance."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Do nothing."""


class NotCallable:
    """Has a handler that is none."""

    on_execute_post_login = 5


class OddContinue(ByClass):
    """Has a second half that can't be called so."""

    def on_continue_post_login(self, event: Any) -> None:
        """Take too little."""


def one(event: Any) -> None:
    """Take too little."""


def three(event: Any, api: Any, more: Any) -> None:
    """Want too much."""


def keyword(event: Any, *, api: Any) -> None:
    """Take api by name only."""


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
        (ByClass, "pass an instance"),
        (NotCallable(), "int"),
        (OddContinue(), "OddContinue.on_continue_post_login"),
        (5, "int has no on_execute_post_login"),
    ],
)
def test_what_can_not_be_called_is_refused(action: Any, words: str) -> None:
    """The error comes when the trigger is made, and names the action."""
    with pytest.raises(ConfigError, match=words):
        Login().trigger(action)


def test_actions_are_a_list() -> None:
    """A single function is a mistake that is easily made."""
    from auth0_meta.actions import PostLoginTrigger

    for wrong in (lambda event, api: None, 5):
        with pytest.raises(ConfigError, match="list"):
            PostLoginTrigger(Login().client, wrong)  # type: ignore[arg-type]


def test_a_builtin_without_a_signature_is_taken() -> None:
    """What Python can't look into is called, and then tells."""
    assert isinstance(Login().run(type).error, TypeError)
