"""Odd locks: used up, not a lock at all, failing late, or suppressing errors."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import BadRequestError, InputError, MetadataWarning, RateLimitError, StateError
from auth0_meta.transactions.unit import State


@contextlib.contextmanager
def _once() -> Iterator[None]:
    yield


def test_a_one_shot_lock_is_refused_at_its_second_use() -> None:
    """A generator's context manager can't be entered again after a long wait: the error is clear, and nothing is written."""
    local = Local({"n": 1})
    local.tenant.fail(method="PATCH", status=429, reset=30)
    with (
        pytest.raises(StateError, match=r"second time.*Nothing was written.*function") as raised,
        local.tx(lock=_once()) as tx,
    ):
        tx.user_metadata.increment("n")
    assert UID in str(raised.value)
    assert local.user_metadata == {"n": 1}
    assert tx.state is State.FAILED


def test_a_used_lock_is_refused_at_once() -> None:
    """A lock that one transaction has used up is refused by the next transaction before its first request."""
    local = Local()
    used = _once()
    with local.tx(lock=used) as tx:
        tx.user_metadata["a"] = 1
    with pytest.raises(StateError, match="second time"), local.tx(lock=used) as tx:
        tx.user_metadata["a"] = 2
    assert local.sent == ["PATCH"]


def test_a_one_shot_lock_is_enough_if_it_is_taken_once() -> None:
    """Without a long wait a one-shot lock is enough; a function that makes one always is."""
    local = Local({"n": 1})
    for lock in (_once(), _once):
        with local.tx(lock=lock) as tx:
            tx.user_metadata.increment("n")
    local.tenant.fail(method="PATCH", status=429, reset=30)
    with local.tx(lock=_once) as tx:
        tx.user_metadata.increment("n")
    assert local.user_metadata == {"n": 4}


class _Closed:
    def __enter__(self) -> None:
        raise RuntimeError("the server of locks is away")

    def __exit__(self, *_: object) -> None:
        raise AssertionError


def test_a_failing_lock_is_not_taken_for_a_used_one() -> None:
    """On first use, a lock's own error reaches the caller unchanged."""
    local = Local()
    with pytest.raises(RuntimeError, match="the server of locks is away"), local.tx(lock=_Closed()) as tx:
        tx.user_metadata["a"] = 1
    with pytest.raises(RuntimeError, match="the server of locks is away"), local.tx(lock=_Closed) as tx:
        tx.user_metadata["a"] = 1
    assert local.sent == []


class _FailsLater:
    """A lock that can be entered once; the second time it raises."""

    def __init__(self, error: Exception) -> None:
        self.errors = iter((None, error))

    def __enter__(self) -> None:
        error = next(self.errors)
        if error is not None:
            raise error

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("returned", [False, True])
@pytest.mark.parametrize("error", [RuntimeError, TypeError, ValueError, AttributeError, OSError])
def test_a_lock_that_fails_at_its_second_use_is_taken_for_a_used_one(
    error: type[Exception], *, returned: bool
) -> None:
    """So it is if it fails as used objects do; another error is its own, and so is any of a lock that a function returned."""
    local = Local({"n": 1})
    local.tenant.fail(method="PATCH", status=429, reset=30)
    lock = _FailsLater(error("gone"))
    expected = error if returned or error is OSError else StateError
    with pytest.raises(expected) as raised, local.tx(lock=(lambda: lock) if returned else lock) as tx:
        tx.user_metadata.increment("n")
    assert raised.type is expected
    assert (local.user_metadata, tx.result.outcome) == ({"n": 1}, "failed")


def test_a_function_that_makes_no_lock_is_refused() -> None:
    """The error for lock=some_lock.acquire names the mistake; nothing is written."""
    local = Local()
    with (
        pytest.raises(InputError, match=r"returned bool.*Nothing was written"),
        local.tx(lock=threading.Lock().acquire) as tx,
    ):
        tx.user_metadata["a"] = 1
    assert local.sent == []


@pytest.mark.parametrize("lock", ["name", 5, object()])
def test_a_bad_lock_is_refused_when_opened(lock: Any) -> None:
    """A lock that can be neither entered nor called is refused before anything is staged."""
    with pytest.raises(InputError, match="lock="):
        Local().tx(lock=lock)


class _Swallows:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> bool:
        return True


def test_a_lock_can_not_suppress_an_error() -> None:
    """A lock whose exit returns True hides neither an error nor a wait."""
    local = Local({"n": 1})
    local.tenant.fail(method="PATCH", status=429, reset=30)
    with local.tx(lock=_Swallows()) as tx:
        tx.user_metadata.increment("n")
    assert local.user_metadata == {"n": 2}
    local.tenant.fail(method="PATCH", status=400)
    with pytest.raises(BadRequestError), local.tx(lock=_Swallows()) as tx:
        tx.user_metadata.increment("n")
    assert tx.state is State.FAILED


class _Expired:
    """A lock that fails on release: always, or only the `nth` time."""

    def __init__(self, nth: int | None = None) -> None:
        self.nth, self.released = nth, 0

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self.released += 1
        if self.nth in (None, self.released):
            raise TimeoutError("the lock had run out")


def test_a_lock_that_fails_late_changes_no_outcome() -> None:
    """A lock that fails on release after the change was written raises nothing: it warns, and the result says so."""
    local = Local()
    lost = pytest.warns(MetadataWarning, match=r"failed when it was released \(TimeoutError\)")
    with lost, local.tx(lock=_Expired()) as tx:
        tx.user_metadata["a"] = 1
    assert local.user_metadata == {"a": 1}
    assert tx.state is State.COMMITTED
    assert (tx.result.outcome, tx.result.lock_lost) == ("updated", True)
    assert "lock lost" in repr(tx.result)


def test_a_lost_lock_is_no_error_even_if_warnings_are() -> None:
    """A filter that turns warnings into errors does not make a written change look like a failed one."""
    local = Local({"a": 1})
    with warnings.catch_warnings(action="error"), local.tx(lock=_Expired()) as tx:
        tx.user_metadata.increment("a")
    assert (tx.result.outcome, tx.result.lock_lost) == ("updated", True)


@pytest.mark.parametrize(("lost", "outcome"), [(False, "updated"), (True, "confirmed")])
def test_a_lost_lock_whose_warning_fails_changes_no_outcome(
    monkeypatch: pytest.MonkeyPatch, outcome: str, *, lost: bool
) -> None:
    """The program may show warnings in a way of its own; what that raises is not about the change, which was written."""

    def show(*_: object, **__: object) -> None:
        raise OSError("nobody reads standard error")

    monkeypatch.setattr(warnings, "showwarning", show)
    local = Local({"a": 1})
    if lost:
        local.tenant.fail(method="PATCH", status=503, commit=True)
    with (
        warnings.catch_warnings(action="always"),
        pytest.raises(OSError, match="nobody") as raised,
        local.tx(lock=_Expired()) as tx,
    ):
        tx.user_metadata.increment("a")
    assert str(raised.value) == "nobody reads standard error"
    assert local.user_metadata == {"a": 2}
    assert (tx.result.outcome, tx.result.lock_lost) == (outcome, True)


def test_a_lost_lock_after_a_lost_response_changes_no_outcome() -> None:
    """So it is if reading back has settled the outcome."""
    local = Local({"a": 1})
    local.tenant.fail(method="PATCH", status=503, commit=True)
    lost = pytest.warns(MetadataWarning, match="failed when it was released")
    with lost, local.tx(lock=_Expired()) as tx:
        tx.user_metadata.increment("a")
    assert (tx.result.outcome, tx.result.lock_lost) == ("confirmed", True)


def test_a_lost_lock_hides_no_failure() -> None:
    """If the commit failed, that is raised, not the lock's error."""
    local = Local()
    local.tenant.fail(method="PATCH", status=400)
    lost = pytest.warns(MetadataWarning, match="failed when it was released")
    with lost, pytest.raises(BadRequestError), local.tx(lock=_Expired()) as tx:
        tx.user_metadata["a"] = 1
    assert (tx.result.outcome, tx.result.lock_lost) == ("failed", True)


def test_a_lock_that_fails_before_a_long_wait_raises() -> None:
    """Nothing is known then: its error is raised, and nothing was written."""
    local = Local({"n": 1})
    local.tenant.fail(method="PATCH", status=429, reset=30)
    with pytest.raises(TimeoutError), local.tx(lock=_Expired(nth=1)) as tx:
        tx.user_metadata.increment("n")
    assert (tx.result.outcome, tx.result.lock_lost) == ("failed", False)
    assert local.user_metadata == {"n": 1}


def test_a_lock_that_is_released_in_order_is_not_lost() -> None:
    """The usual case."""
    local = Local()
    with local.tx(lock=threading.Lock()) as tx:
        tx.user_metadata["a"] = 1
    assert not tx.result.lock_lost


class _Slow:
    """A lock that takes `seconds` to be taken."""

    def __init__(self, local: Local, seconds: float) -> None:
        self.local, self.seconds = local, seconds

    def __enter__(self) -> None:
        self.local.clock.advance(self.seconds)

    def __exit__(self, *_: object) -> None: ...


@pytest.mark.parametrize("max_wait", [0, 4, 12.4])
def test_time_for_the_lock_counts_as_waiting(max_wait: float) -> None:
    """A lock that took longer than `max_wait` ends the commit before it sends anything; one in time leaves the rest."""
    local = Local({"n": 1})
    with (
        pytest.raises(RateLimitError, match=r"taking lock= .* took 12\.5 s.*Nothing was written") as raised,
        local.tx(lock=_Slow(local, 12.5), max_wait=max_wait) as tx,
    ):
        tx.user_metadata.increment("n")
    assert (local.sent, tx.result.outcome) == ([], "failed")
    assert (raised.value.waited, raised.value.user_id) == (12.5, UID)


def test_a_lock_that_takes_a_moment_is_a_wait() -> None:
    """Without time to wait, it ends the commit."""
    local = Local({"n": 1})
    with pytest.raises(RateLimitError), local.tx(lock=_Slow(local, 0.3), max_wait=0) as tx:
        tx.user_metadata.increment("n")
    assert (local.sent, tx.result.waited) == ([], 0.3)


def test_time_for_the_lock_shortens_later_waits() -> None:
    """After 12 s for the lock, `max_wait=20` leaves no time for a wait of 15 s."""
    local = Local({"n": 1})
    local.tenant.fail(method="GET", status=429, reset=15)
    with pytest.raises(RateLimitError), local.tx(lock=_Slow(local, 12), max_wait=20) as tx:
        tx.user_metadata.increment("n")
    with local.tx(lock=_Slow(local, 12), max_wait=40) as tx:
        tx.user_metadata.increment("n")
    assert tx.result.waited >= 12
    assert local.user_metadata == {"n": 2}


def test_a_free_lock_needs_no_budget() -> None:
    """With `max_wait=0` a lock that is free may still be taken, and without a limit it may take any time."""
    local = Local({"n": 1})
    for lock, max_wait in ((_Slow(local, 0.2), 0), (_Slow(local, 1e6), None)):
        with local.tx(lock=lock, max_wait=max_wait) as tx:
            tx.user_metadata.increment("n")
    assert local.user_metadata == {"n": 3}
