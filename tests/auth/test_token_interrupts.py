"""An interrupt at any instant keeps nobody from a token; a handler that asks for one gets it; waiting for others counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from support.forks import in_child
from support.interrupts import Interrupt, at_every_line

from auth0_meta.auth.tokens import Budget, FetchedToken
from auth0_meta.errors import NotSentError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.testing import FakeClock

_other = ThreadPoolExecutor(1)


def budget(max_wait: float | None = None, *, alone: bool = False) -> WaitBudget:
    """Return the budget of one operation."""
    return WaitBudget(max_wait=max_wait, alone=alone)


class Work:
    """Something that one thread does with a source of its own; keeps the error that ended it."""

    def __init__(self, do: Callable[[Work], object]) -> None:
        self.clock = FakeClock()
        self.source = FetchedToken(self.fetch, clock=self.clock)
        self.count, self.down = 0, False
        self.error: BaseException | None = None
        self._do = do

    def fetch(self, _: Budget) -> Mapping[str, Any]:
        """Return the next token, unless the endpoint is down."""
        if self.down:
            raise NotSentError("down")
        self.count += 1
        return {"access_token": f"t{self.count}", "expires_in": 1000}

    def __call__(self) -> None:
        """Do it."""
        try:
            self._do(self)
        except Interrupt as error:
            self.error = error  # and with it all its frames


def _first(work: Work) -> None:
    work.source.get(budget())


def _renew(work: Work) -> None:
    work.source.get(budget())
    work.clock.advance(950)
    work.source.get(budget())


def _renew_in_vain(work: Work) -> None:
    work.source.get(budget())
    work.clock.advance(950)
    work.down = True
    try:
        work.source.get(budget())
    finally:
        work.down = False


def _replace(work: Work) -> None:
    work.source.replace(work.source.get(budget()), budget())
    work.source.get(budget())


EVERY = pytest.mark.parametrize("do", [_first, _renew, _renew_in_vain, _replace])


@EVERY
def test_an_interrupt_at_any_line_keeps_nobody_from_a_token(do: Callable[[Work], object]) -> None:
    """Another thread gets one without waiting, while the error and its frames still live."""
    lines = 0
    for work, where in at_every_line(lambda: Work(do), Interrupt):
        lines += 1
        work.clock.advance(2000)
        mine = budget()
        assert _other.submit(work.source.get, mine).result(10).startswith("t"), where
        assert mine.waited == 0.0, where
    assert lines > 20


@EVERY
def test_a_signal_handler_gets_a_token_at_any_line(do: Callable[[Work], object]) -> None:
    """What it interrupts gets one too."""
    got: list[str] = []
    for work, where in at_every_line(lambda: Work(do), lambda work: got.append(work.source.get(budget()))):
        assert work.source.get(budget()).startswith("t"), where
    assert len(got) > 20


def _busy() -> tuple[FetchedToken, threading.Event, threading.Event]:
    """Return a source whose first fetch takes until it is released, and the events of its start and release."""
    started, release = threading.Event(), threading.Event()

    def fetch(_: Budget) -> Mapping[str, Any]:
        if not started.is_set():
            started.set()
            assert release.wait(20)
            return {"access_token": "late", "expires_in": 1000}
        return {"access_token": "own", "expires_in": 1000}

    return FetchedToken(fetch, clock=FakeClock()), started, release


def test_waiting_for_another_threads_fetch_counts_as_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when the caller's `max_wait` is used up; then the caller makes its own fetch."""
    monkeypatch.setattr("auth0_meta.auth.tokens.COURTESY", 0.0)
    source, started, release = _busy()
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(source.get, budget())
        assert started.wait(5)
        mine = budget(0.35)
        assert source.get(mine) == "own"
        assert mine.waited == pytest.approx(0.35)
        assert mine.left() == 0.0
        release.set()
        fetching.result(5)


def test_a_caller_that_must_be_over_waits_no_longer() -> None:
    """An operation with an end, such as a login, does not wait past it for another's fetch."""
    source, started, release = _busy()
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(source.get, budget())
        assert started.wait(5)
        over = WaitBudget(max_wait=900.0, ends=10.0, clock=FakeClock(monotonic=10.0))
        assert source.get(over) == "own"
        assert over.waited == 0.0
        release.set()
        fetching.result(5)


def test_a_caller_for_whom_others_wait_waits_for_nobody() -> None:
    """A signal handler in the midst of the throttle would wait for a fetch that waits for the throttle."""
    source, started, release = _busy()
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(source.get, budget())
        assert started.wait(5)
        mine = budget(alone=True)
        assert source.get(mine) == "own"
        assert mine.waited == 0.0
        release.set()
        fetching.result(5)


def test_a_fetch_whose_thread_has_died_keeps_nobody_waiting() -> None:
    """Whatever ended it, even if it could not say so."""
    source, started, _ = _busy()
    started.set()  # no fetch takes long
    gone = threading.Thread(target=lambda: source._line.append(lambda: None))  # type: ignore[arg-type]  # a dead reference
    gone.start()
    gone.join()
    mine = budget()
    assert source.get(mine) == "own"
    assert mine.waited == 0.0
    assert source._line == [] or all(weak() is None or weak().left for weak in source._line)  # type: ignore[union-attr]


def test_a_child_forked_by_a_thread_that_waits_gets_a_token() -> None:
    """A signal handler may fork meanwhile: in the child nobody fetches, so it does."""
    source, started, release = _busy()
    mine, forked = budget(), threading.Event()

    class Asked(threading.Event):
        def is_set(self) -> bool:
            source._renew_locks()  # what the child of a fork begins with
            forked.set()
            return False

    mine.cancelled = Asked()
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(source.get, budget())
        assert started.wait(5)
        assert source.get(mine) == "own"
        release.set()
        fetching.result(5)
    assert forked.is_set()


def test_a_child_forked_by_the_thread_that_fetches_gets_a_token() -> None:
    """`on_wait` may fork; the fetch goes on in both processes."""
    results: list[str] = []

    def fetch(_: Budget) -> Mapping[str, Any]:
        if not results:
            results.append("")
            results[0] = in_child(lambda: source.get(budget()))
        return {"access_token": "t", "expires_in": 1000}

    source = FetchedToken(fetch, clock=FakeClock())
    assert source.get(budget()) == "t"
    assert results == ["t"]
