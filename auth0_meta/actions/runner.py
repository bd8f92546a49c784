"""Run the steps of a login: in the caller's thread, on an event loop made for the login, or on a running loop."""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

from auth0_meta.actions.api import Api
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.execution import Execution
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.registry import Handler
from auth0_meta.errors import InputError, StateError

if TYPE_CHECKING:
    import asyncio

# asyncio is slow to import, and most applications have synchronous actions only: it is imported on use.

_CLEANUP_SECONDS = 1.0
"""How long a cancelled action may take to clean up before it is left behind."""


class BlockingStep(NamedTuple):
    """Something that blocks: reading, writing, locking."""

    do: Callable[[], object]


class ActionStep(NamedTuple):
    """An action to run, within what is left of the budget."""

    handler: Handler
    event: Event
    api: Api
    execution: Execution


Steps = Generator[BlockingStep | ActionStep, None, LoginOutcome]
"""Yields what to do next.  A failure is thrown in where the step was yielded, so that the login decides what follows."""


def run(steps: Steps) -> LoginOutcome:
    """Run the steps in this thread, if no action is async."""
    return _run(steps, _call)


def run_on_own_loop(steps: Steps) -> LoginOutcome:
    """Run the steps, some of them async actions, in a thread without a running loop.

    All async actions of the login share one loop.  Everything else runs outside it, in this thread, because
    libraries look for a running loop or keep something per thread.

    Raises `StateError` inside a running loop.
    """
    import asyncio  # noqa: PLC0415

    if asyncio._get_running_loop() is not None:
        raise StateError(
            "async actions can't be run from inside a running event loop: "
            "await trigger.arun(event) instead, or asimulate(...) in a test"
        )
    # Not asyncio.Runner: closing it waits for the default executor, and so for a thread that a cancelled
    # action has left behind with asyncio.to_thread.  Nothing can stop that thread, and the user is waiting
    # for the login.
    loop = asyncio.new_event_loop()
    workers = ThreadPoolExecutor(thread_name_prefix="auth0-meta-action")
    loop.set_default_executor(workers)

    def perform(step: ActionStep) -> None:
        if step.handler.is_async:
            loop.run_until_complete(_await_action(step))
        else:
            _call(step)

    try:
        return _run(steps, perform)
    finally:
        try:
            loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            loop.close()


async def arun(steps: Steps) -> LoginOutcome:
    """Run the steps in a running loop; everything that blocks runs in one other thread.

    It is one thread for the whole login because some locks must be released by the thread that took them.
    When the task is cancelled, the step that is running in that thread is finished first; then the lock is
    released.
    """
    import asyncio  # noqa: PLC0415

    worker: ThreadPoolExecutor | None = None
    failure: BaseException | None = None
    try:
        while True:
            step = next(steps) if failure is None else steps.throw(failure)
            failure = None
            try:
                if isinstance(step, ActionStep) and step.handler.is_async:
                    await _await_action(step)
                    continue
                worker = worker or ThreadPoolExecutor(1, thread_name_prefix="auth0-meta-login")
                failure = await asyncio.get_running_loop().run_in_executor(
                    worker, contextvars.copy_context().run, _failure_of, step
                )
            except BaseException as error:  # noqa: BLE001  # the login decides what follows
                failure = error
    except StopIteration as stop:
        outcome: LoginOutcome = stop.value
        return outcome
    finally:
        if worker is not None:
            worker.shutdown(wait=False)


def _run(steps: Steps, perform: Callable[[ActionStep], None]) -> LoginOutcome:
    """Run the steps in this thread; `perform` runs an action to its end."""
    failure: BaseException | None = None
    try:
        while True:
            step = next(steps) if failure is None else steps.throw(failure)
            failure = None
            try:
                if isinstance(step, BlockingStep):
                    step.do()
                else:
                    perform(step)
            except BaseException as error:  # noqa: BLE001  # the login decides what follows
                failure = error
    except StopIteration as stop:
        outcome: LoginOutcome = stop.value
        return outcome


def _call(step: ActionStep) -> None:
    """Run a synchronous action; the step after it finds out whether the budget was exceeded."""
    returned: object = step.handler.call(step.event, step.api)
    if inspect.isawaitable(returned):
        close: Any = getattr(returned, "close", None)
        if close is not None:
            close()  # otherwise Python warns that the coroutine was never awaited
        msg = f"{step.handler.name} returned an awaitable that nothing awaits: make it an async function"
        raise InputError(msg)


def _failure_of(step: BlockingStep | ActionStep) -> BaseException | None:
    """Run a step and return what it raised.

    Not raised, because a future can't hold a StopIteration: awaiting it would never end.
    """
    try:
        if isinstance(step, BlockingStep):
            step.do()
        else:
            _call(step)
    except BaseException as error:  # noqa: BLE001  # the login decides what follows
        return error
    return None


async def _await_action(step: ActionStep) -> None:
    """Await an async action, and cancel it when the budget is spent.

    Not with `asyncio.timeout`, which would wait for an action that ignores its cancellation.
    """
    import asyncio  # noqa: PLC0415

    task = asyncio.ensure_future(step.handler.call(step.event, step.api))
    # Retrieving the exception keeps the loop from reporting it as lost.  If the action was cancelled, the login
    # fails with the timeout instead.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        done, _ = await asyncio.wait({task}, timeout=step.execution.time_left())
    except asyncio.CancelledError:
        await _cancel({task})
        raise
    if not done:
        await _cancel({task})
        raise step.execution.timeout_error(f"{step.handler.name} was cancelled")
    if task.cancelled():
        # Not as a CancelledError, which would look as if the caller had cancelled the whole login.
        msg = f"{step.handler.name} cancelled itself. Nothing was written for {step.execution.user_id}"
        raise StateError(msg)
    task.result()


async def _cancel(tasks: set[asyncio.Future[Any]] | set[asyncio.Task[Any]]) -> None:
    """Cancel tasks, and give them a moment to clean up."""
    import asyncio  # noqa: PLC0415

    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CLEANUP_SECONDS)
