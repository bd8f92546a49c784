"""Run the steps of a login: in the caller's thread, on an event loop made for the login, or on a running loop."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Coroutine, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard, TypeVar, cast

from auth0_meta.actions.api import Api
from auth0_meta.actions.execution import Execution
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.registry import Handler
from auth0_meta.errors import InputError, StateError
from auth0_meta.threads.daemons import Threads
from auth0_meta.warn import Place, calling_from

if TYPE_CHECKING:
    import asyncio

_T = TypeVar("_T")

# asyncio is slow to import, and most applications have synchronous actions only: it is imported on use.

_CLEANUP_SECONDS = 1.0
"""How long a cancelled action may take to clean up before it is left behind."""
_LOOK_AGAIN = 1.0
"""Seconds between two looks at whether an action has ended: an interrupt may have swallowed the notice."""


class ActionStep(NamedTuple):
    """An action to run, within what is left of the budget."""

    handler: Handler
    api: Api
    execution: Execution


Step = ActionStep | Callable[[], object]
"""An action, or something else that blocks: reading, writing, locking."""
Steps = Generator[Step, None, LoginOutcome]
"""Yields what to do next.  A failure is thrown in where the step was yielded, so that the login decides what follows."""


def _do(step: Step) -> None:
    """Run a step that is not async; the one after it finds out whether an action has exceeded the budget."""
    if not isinstance(step, ActionStep):
        step()
        return
    with calling_from(None):  # a warning about what the action does points into the action
        returned: object = step.handler.call(step.api.event, step.api)
    if inspect.isawaitable(returned):
        close: Any = getattr(returned, "close", None)
        if close is not None:
            close()  # otherwise Python warns that the coroutine was never awaited
        msg = f"{step.handler.name} returned an awaitable that nothing awaits: make it an async function"
        raise InputError(msg)


def _failure_of(do: Callable[[Step], None], step: Step) -> BaseException | None:
    """Run a step and return what it raised.

    Not raised, because a future can't hold a StopIteration: awaiting it would never end.
    """
    try:
        do(step)
    except BaseException as error:  # noqa: BLE001  # the login decides what follows
        return error
    return None


def _next(steps: Steps, failure: BaseException | None = None) -> Step | LoginOutcome:
    """Return the next step, or the outcome after the last; `failure` is that of the step before."""
    try:
        return next(steps) if failure is None else steps.throw(failure)
    except StopIteration as stop:
        return cast("LoginOutcome", stop.value)
    finally:
        # Since Python 3.12 the traceback of the outcome's error refers to this frame: hence no variable for the outcome.
        del failure


def run_to_action(steps: Steps) -> ActionStep:
    """Run the steps before the first action, and return that action for the caller to run; raise what fails."""
    try:
        step = _next(steps)
        while True:
            if isinstance(step, ActionStep):
                return step
            if isinstance(step, LoginOutcome):
                assert step.error is not None  # noqa: S101  # without an error the login gets to its action
                raise step.error
            step = _next(steps, _failure_of(_do, step))
    except BaseException:
        steps.close()
        raise


def run(
    steps: Steps, do: Callable[[Step], None] = _do, *, failure: BaseException | None = None
) -> LoginOutcome:
    """Run the steps in this thread, if no action is async.

    `do` runs one step to its end.  `failure` is that of the step that was yielded last, if the caller ran it.
    """
    step: Step | LoginOutcome | None = None
    try:
        step = _next(steps, failure)
        while True:
            if isinstance(step, LoginOutcome):
                return step
            step = _next(steps, _failure_of(do, step))
    finally:
        del step, failure  # the traceback of the outcome's error refers to this frame
        # An interrupt between two steps, which the steps don't see, must not leave them suspended with the lock held.
        steps.close()


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
    interrupts: list[BaseException] = []

    def swallowed(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # asyncio only logs what a callback raises.  Its own callbacks raise nothing, so this comes from a signal handler,
        # and may have struck the callback that stops the loop, or one that would wake the action.
        callback = getattr(context.get("handle"), "_callback", None)
        module = getattr(callback, "__module__", None) or type(callback).__module__
        if module.partition(".")[0] in ("asyncio", "_asyncio") and "exception" in context:
            interrupts.append(context["exception"])
        else:
            loop.default_exception_handler(context)
        loop.stop()

    loop.set_exception_handler(swallowed)

    def complete(coroutine: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(coroutine)
        while True:
            try:
                loop.run_until_complete(task)
            except RuntimeError:  # the loop was stopped, or the task failed
                if task.done():
                    raise
            if interrupts:
                raise interrupts.pop()
            if task.done():
                return

    def do(step: Step) -> None:
        if _is_async(step):
            complete(_await_action(step))
        else:
            _do(step)

    try:
        return run(steps, do)
    finally:
        try:
            complete(_cancel(asyncio.all_tasks(loop)))
            complete(loop.shutdown_asyncgens())
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            loop.close()


async def arun(steps: Steps, *, locks: bool, line: Place) -> LoginOutcome:
    """Run the steps in a running loop; everything that blocks runs in one other thread, for `line` of the program.

    It is one thread for the whole login because some locks must be released by the thread that took them.  With
    `locks`, therefore, the steps advance in that thread too.  When the task is cancelled, the step that is running
    there is finished first; then the lock is released.
    """
    import asyncio  # noqa: PLC0415

    cancelled = threading.Event()

    def for_the_line(do: Callable[..., _T], *arguments: object) -> _T:
        with calling_from(line):
            return do(*arguments)

    thread, context = Threads(1, name="auth0-meta-login"), copy_context()

    def in_thread(do: Callable[..., _T], *arguments: object) -> asyncio.Future[_T]:
        return asyncio.wrap_future(thread.submit(context.run, for_the_line, do, *arguments))

    failure: BaseException | None = None
    try:
        while True:
            if locks:
                step = await in_thread(_run_to_async_action, steps, failure, cancelled)
            else:
                step = _next(steps, failure)
            if isinstance(step, LoginOutcome):
                return step
            failure = None
            if not _is_async(step):
                failure = await in_thread(_failure_of, _do, step)
                continue
            try:
                await _await_action(step)
            except Exception as error:  # noqa: BLE001  # the login decides what follows
                failure = error
    except asyncio.CancelledError:
        cancelled.set()
        if locks:
            await asyncio.wait({in_thread(steps.close)})
        raise
    finally:
        # Whatever ends this, even an exception in a signal handler or an abandoned loop.
        cancelled.set()
        if locks:
            thread.submit(context.run, for_the_line, steps.close)
        else:
            steps.close()
        thread.shutdown(wait=False)


def _is_async(step: Step) -> TypeGuard[ActionStep]:
    return isinstance(step, ActionStep) and step.handler.is_async


def _run_to_async_action(
    steps: Steps, failure: BaseException | None, cancelled: threading.Event
) -> Step | LoginOutcome:
    """Run the steps up to the next async action, and return that or the outcome; stop early once cancelled."""
    step = _next(steps, failure)
    while not (cancelled.is_set() or isinstance(step, LoginOutcome) or _is_async(step)):
        step = _next(steps, _failure_of(_do, step))
    return step


async def _await_action(step: ActionStep) -> None:
    """Await an async action, and cancel it when the budget is spent.

    Not with `asyncio.timeout`, which would wait for an action that ignores its cancellation.
    """
    import asyncio  # noqa: PLC0415

    task = asyncio.ensure_future(step.handler.call(step.api.event, step.api))
    # Retrieving the exception keeps the loop from reporting it as lost.  If the action was cancelled, the login
    # fails with the timeout instead.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    left = step.execution.time_left()
    try:
        while left > 0 and not task.done():
            await asyncio.wait({task}, timeout=min(left, _LOOK_AGAIN))
            left -= _LOOK_AGAIN
    except asyncio.CancelledError:
        await _cancel({task})
        raise
    if not task.done():
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
