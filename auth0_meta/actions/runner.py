"""Drive a flow, which says what to do next, from a thread that may block."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, NamedTuple

from auth0_meta.errors import InputError

if TYPE_CHECKING:
    from auth0_meta.actions.api import Api
    from auth0_meta.actions.event.event import Event
    from auth0_meta.actions.execution import Execution
    from auth0_meta.actions.outcome import LoginOutcome
    from auth0_meta.actions.registry import Handler


class Work(NamedTuple):
    """Ask for something that blocks: reading, writing, locking."""

    do: Callable[[], object]


class Act(NamedTuple):
    """Ask for an action to be run, within what is left of the budget."""

    handler: Handler
    event: Event
    api: Api
    execution: Execution


Flow = Generator["Work | Act", None, "LoginOutcome"]
"""Yield what to do next; failures are thrown in where they happened."""


def call(act: Act) -> None:
    """Run a synchronous action."""
    found: object = act.handler.call(act.event, act.api)
    if inspect.isawaitable(found):
        close: Any = getattr(found, "close", None)
        if close is not None:
            close()
        msg = f"{act.handler.name} returned an awaitable, which nobody awaits: make it an async function"
        raise InputError(msg)


def drive(flow: Flow, perform_async: Callable[[Act], None]) -> LoginOutcome:
    """Do what the flow asks for until it ends; `perform_async` runs an async action to its end."""
    failure: BaseException | None = None
    try:
        while True:
            step = next(flow) if failure is None else flow.throw(failure)
            failure = None
            try:
                if isinstance(step, Work):
                    step.do()
                elif step.handler.is_async:
                    perform_async(step)
                else:
                    call(step)
            except BaseException as error:  # noqa: BLE001  # the flow decides what to make of it
                failure = error
    except StopIteration as stop:
        outcome: LoginOutcome = stop.value
        return outcome
