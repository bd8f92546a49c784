"""Odd locks: used up, not a lock at all, failing late, or suppressing errors."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import BadRequestError, InputError, StateError
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
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        raise TimeoutError("the lock had run out")


def test_a_lock_that_fails_late_hides_no_success() -> None:
    """A lock that fails on release raises, and the result still has the change as written."""
    local = Local()
    with pytest.raises(TimeoutError), local.tx(lock=_Expired()) as tx:
        tx.user_metadata["a"] = 1
    assert local.user_metadata == {"a": 1}
    assert tx.state is State.COMMITTED
    assert tx.result is not None
    assert tx.result.outcome == "updated"
