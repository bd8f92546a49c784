"""Real Ctrl-C: the first finishes what is under way, the second ends the run at once."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.migrations import move_plan, patches_by_user, populate, rows_of
from support.traced_interrupt import Interrupt

from auth0_meta import threads
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import apply, plan, status, undo
from auth0_meta.migrate.applying import runner
from auth0_meta.migrate.applying.interrupts import interrupts
from auth0_meta.migrate.ledger import ledger
from auth0_meta.migrate.ledger.lock import is_held
from auth0_meta.migrate.ledger.sqlite import files

Rows = Callable[..., Path]
USERS = 40

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

LIBRARY = """
import sys
from auth0_meta import ManagementClient
from auth0_meta.migrate import apply
with ManagementClient.from_env(max_wait=None) as client:
    apply(sys.argv[1], client)
"""
COMMANDS = {
    "library": [sys.executable, "-c", LIBRARY],
    "command": [sys.executable, "-m", "auth0_meta", "migrate", "apply", "--yes"],
}
INTERRUPTED = {"library": -signal.SIGINT, "command": 130}


def planned(tenant: LocalTenant, job: Path, ndjson: Rows, users: int = USERS) -> list[str]:
    """Plan to move the plan of every user."""
    ids = populate(tenant, users)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    return ids


def start(way: str, tenant: LocalTenant, job: Path) -> subprocess.Popen[str]:
    """Apply the job in a process of its own."""
    return subprocess.Popen(
        [*COMMANDS[way], str(job)],
        env={**os.environ, **tenant.env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(reached: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Wait until `reached` returns true, or the process ends."""
    while not reached() and process.poll() is None:
        time.sleep(0.005)


@pytest.mark.parametrize("later", [0.0, 0.04, 0.23, 0.4])
def test_ctrl_c_in_the_library_finishes_what_is_under_way(job: Path, ndjson: Rows, later: float) -> None:
    """`apply` ends with KeyboardInterrupt, no user is in doubt, and the next run changes the other users once each."""
    with LocalTenant(rate_limit="20@20", latency=0.01) as tenant:
        ids = planned(tenant, job, ndjson)
        process = start("library", tenant, job)
        wait_for(lambda: tenant.journal.count("PATCH") > 0, process)
        time.sleep(later)
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=30)
        assert process.returncode == -signal.SIGINT
        assert "KeyboardInterrupt" in talk
        assert set(status(job).counts) == {"planned", "done"}
        assert status(job).runs[-1]["ended"] == "interrupted"
        assert status(job).counts["done"] == tenant.journal.count("PATCH", status=200)
        with tenant.client() as client:
            apply(job, client, share=1.0)
        assert patches_by_user(tenant) == dict.fromkeys(ids, 1)


@pytest.mark.parametrize("way", COMMANDS)
def test_a_second_ctrl_c_ends_the_run_at_once(job: Path, ndjson: Rows, way: str) -> None:
    """It does not wait for a response that takes a minute; the next run finds out what that PATCH did."""
    with LocalTenant() as tenant:
        ids = planned(tenant, job, ndjson, users=1)
        slow = tenant.fail(method="PATCH", delay=60, commit=True, status=200)
        process = start(way, tenant, job)
        wait_for(lambda: slow.fired > 0, process)
        process.send_signal(signal.SIGINT)
        time.sleep(1.0)
        assert process.poll() is None  # the first one waits for what is under way
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == INTERRUPTED[way]
        assert status(job).counts == {"sent": 1}
        assert status(job).runs[-1]["ended"] == "killed"
        with tenant.client() as client:
            assert dict(apply(job, client).counts) == {"done": 1}
        assert tenant.users[ids[0]].app_metadata["billing"]["plan"] == "free"


@pytest.mark.parametrize("pair", [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGINT)])
def test_two_signals_at_once_end_the_command(job: Path, ndjson: Rows, pair: tuple[int, int]) -> None:
    """The second one may interrupt the handler of the first, at any instant of a run; nothing hangs, and all is resumed."""
    with LocalTenant(rate_limit="20@20", latency=0.01) as tenant:
        ids = planned(tenant, job, ndjson, users=30)
        for run in range(4):
            tenant.journal.clear()
            process = start("command", tenant, job)
            # Not the PATCH alone: one of the run before may be logged only now, before this one handles signals.
            wait_for(
                lambda run=run: len(status(job).runs) > run and tenant.journal.count("PATCH") > 0, process
            )
            for number in pair:
                process.send_signal(number)
            process.communicate(timeout=20)
            assert process.returncode == 130
        with tenant.client() as client:
            apply(job, client, share=1.0)
        assert status(job).counts == {"done": 30}
        assert all(len(tenant.users[user_id].history) == 1 for user_id in ids)


def test_ctrl_c_is_taken_over_only_while_the_run_works() -> None:
    """Python's own handler is back after it, whatever ended it; other threads take over nothing."""
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with contextlib.suppress(LookupError), interrupts(lambda: pressed.append(1)):
            signal.raise_signal(signal.SIGINT)
            raise LookupError
        assert pressed == [1]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)

        def elsewhere() -> bool:
            with interrupts(lambda: pressed.append(2)):
                return signal.getsignal(signal.SIGINT) is signal.default_int_handler

        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(elsewhere).result(20)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_program_keeps_its_own_handler(job: Path, ndjson: Rows) -> None:
    """A program with its own handler for Ctrl-C keeps that handler while a job is applied."""
    seen: list[int] = []

    def handler(number: int, frame: object) -> None:
        seen.append(number)

    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        planned(tenant, job, ndjson, users=1)
        before = signal.signal(signal.SIGINT, handler)
        try:
            tenant.before("PATCH", None, lambda _: signal.raise_signal(signal.SIGINT))
            assert dict(apply(job, client, concurrency=1).counts) == {"done": 1}
            assert signal.getsignal(signal.SIGINT) is handler
        finally:
            signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]


STEPS: dict[str, Callable[..., Any]] = {"apply": apply, "undo": undo}


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # what was interrupted before its block is closed by Python
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_at_any_line_of_the_coordinator(job: Path, ndjson: Rows, step: str) -> None:
    """It raises KeyboardInterrupt and hangs nowhere, and the next run changes everybody exactly once."""
    tried = 0
    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        ids = planned(tenant, job, ndjson, users=3)
        if step == "undo":
            apply(job, client)
        before = tenant.users.documents()
        good = job.read_bytes()
        while True:
            tenant.users.replace(before)
            for name in files(job):  # an interrupt in `Ledger.close` leaves some
                name.unlink(missing_ok=True)
            job.write_bytes(good)
            tenant.journal.clear()
            tried += (
                1 + tried // 12
            )  # nearly every line at the beginning, and fewer of the later rounds of the loop
            interrupt = Interrupt(tried, runner, ledger, threads)
            with interrupt.here():
                STEPS[step](job, client, concurrency=2)
            STEPS[step](job, client)
            assert patches_by_user(tenant) == dict.fromkeys(ids, 1), interrupt.raised
            word = {"apply": "done", "undo": "undone"}[step]
            assert status(job).counts == {word: 3}, interrupt.raised
            if not interrupt.raised:
                break
    assert tried > 300
    gc.collect()


class AtTheEnd(Interrupt):
    """Raise at the `nth` line of those that close a job file."""

    def __call__(self, frame: FrameType, event: str, arg: object) -> Callable[..., Any] | None:
        """Trace these functions alone."""
        closing = frame.f_code in (ledger.Ledger.__exit__.__code__, ledger.Ledger.close.__code__)
        return super().__call__(frame, event, arg) if closing else None


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("step", STEPS)
def test_an_interrupt_while_the_job_file_is_closed_leaves_it_free(job: Path, ndjson: Rows, step: str) -> None:
    """Nothing keeps the run alive, and with it the lock, until the garbage collector comes."""
    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        planned(tenant, job, ndjson, users=3)
        if step == "undo":
            apply(job, client)
        before = tenant.users.documents()
        good = job.read_bytes()
        gc.disable()
        try:
            for nth in itertools.count(1):
                tenant.users.replace(before)
                for name in files(job):
                    name.unlink(missing_ok=True)
                job.write_bytes(good)
                interrupt = AtTheEnd(nth, ledger)
                with interrupt.here():
                    STEPS[step](job, client, concurrency=2)
                assert not is_held(job), interrupt.raised
                if not interrupt.raised:
                    break
        finally:
            gc.enable()
        assert nth > 6
        gc.collect()
