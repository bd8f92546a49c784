"""Drive a flow with asyncio: from a running loop, or from a thread that has none."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.runner import Act, Flow, Work, call, drive
from auth0_meta.errors import StateError

_GRACE = 1.0
"""Seconds that a cancelled action gets to clean up before it is left behind."""


async def adrive(flow: Flow) -> LoginOutcome:
    """Do what the flow asks for; all that blocks runs in one thread of its own.

    One thread for the whole login, so that locks which belong to a thread can be given back.  When the task
    is cancelled, what runs in that thread is finished first, and the lock is given back.
    """
    worker: ThreadPoolExecutor | None = None
    failure: BaseException | None = None
    try:
        while True:
            step = next(flow) if failure is None else flow.throw(failure)
            failure = None
            try:
                if isinstance(step, Act) and step.handler.is_async:
                    await _act(step)
                    continue
                worker = worker or ThreadPoolExecutor(1, thread_name_prefix="auth0-meta-login")
                blocking = step.do if isinstance(step, Work) else _calling(step)
                failure = await asyncio.get_running_loop().run_in_executor(
                    worker, contextvars.copy_context().run, _caught, blocking
                )
            except BaseException as error:  # noqa: BLE001  # the flow decides what to make of it
                failure = error
    except StopIteration as stop:
        outcome: LoginOutcome = stop.value
        return outcome
    finally:
        if worker is not None:
            worker.shutdown(wait=False)


def _caught(blocking: Callable[[], object]) -> BaseException | None:
    """Return what was raised: a future can't hold a StopIteration, and whoever awaited it would wait for ever."""
    try:
        blocking()
    except BaseException as error:  # noqa: BLE001  # the flow decides what to make of it
        return error
    return None


def _calling(step: Act) -> Callable[[], None]:
    return lambda: call(step)


async def _act(act: Act) -> None:
    """Await an action, cancel it when the budget is spent."""
    task = asyncio.ensure_future(act.handler.call(act.event, act.api))
    task.add_done_callback(
        lambda ended: ended.cancelled() or ended.exception()
    )  # a late failure is known already
    try:
        done, _ = await asyncio.wait({task}, timeout=act.execution.left())
    except asyncio.CancelledError:
        await _cancel(task)
        raise
    if not done:
        await _cancel(task)
        raise act.execution.late(f"{act.handler.name} was cancelled")
    if task.cancelled():
        msg = f"{act.handler.name} was cancelled from within. Nothing was written for {act.execution.user_id}"
        raise StateError(msg)
    task.result()


async def _cancel(task: asyncio.Future[Any]) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=_GRACE)


def drive_mixed(flow: Flow) -> LoginOutcome:
    """Drive a flow with async actions from a thread without a running loop.

    All async actions of the login share one loop; everything else runs outside of it, in this thread, as
    libraries expect that look for a running loop or keep something per thread.  A thread that a cancelled action has
    left behind (`asyncio.to_thread`) is not waited for: nothing can stop it.
    """
    loop = asyncio.new_event_loop()
    workers = ThreadPoolExecutor(thread_name_prefix="auth0-meta-action")
    loop.set_default_executor(workers)

    def perform(act: Act) -> None:
        loop.run_until_complete(_act(act))

    try:
        return drive(flow, perform)
    finally:
        try:
            loop.run_until_complete(_settle())
            loop.run_until_complete(loop.shutdown_asyncgens())
        finally:
            workers.shutdown(wait=False, cancel_futures=True)
            loop.close()


async def _settle() -> None:
    """Cancel what actions have left running, and give it a moment."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=_GRACE)
