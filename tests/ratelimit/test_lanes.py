"""The places in front of a bucket, and the bells that those who wait there listen to."""

from __future__ import annotations

import math
import threading

from auth0_meta.ratelimit.bucket import Bucket
from auth0_meta.ratelimit.lanes import Bell, Lane, Ticket, Turn

AT_LAST = 10.0
"""Seconds after which a thread that waits has been forgotten."""


def test_a_bell_that_has_rung_ends_one_wait() -> None:
    """However often it rang; the longest wait is longer than a lock can wait, and none at all ends at once too."""
    bell = Bell()
    for timeout in (0.0, math.inf, None):
        bell.notify()
        bell.notify()
        assert bell.wait(timeout)
        assert not bell.wait(0.0)


def test_a_wait_without_an_end_ends_with_the_bell() -> None:
    """A thread that waits is woken, and nothing else wakes it."""
    bell, woken = Bell(), threading.Event()

    def listen() -> None:
        if bell.wait():
            woken.set()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert not woken.wait(0.05)
    bell.notify()
    assert woken.wait(AT_LAST)
    thread.join()


def _turn(lane: Lane, number: int, *, thread: int | None = None, share: float | None = None) -> Turn:
    """Return a caller who stands in line, by default in a thread of its own."""
    turn = Turn(lane, number, share, urgent=False)
    turn.thread = -number if thread is None else thread
    lane.line(share).add(turn)
    return turn


def _rung(*turns: Turn) -> list[bool]:
    return [turn.bell.wait(0.0) for turn in turns]


def test_a_handler_stands_before_everybody_whom_it_interrupts() -> None:
    """They can't move before it has ended; others stay where they are."""
    lane, me = Lane(Bucket()), threading.get_ident()
    first, other = _turn(lane, 1), _turn(lane, 3)
    interrupted = _turn(lane, 2, thread=me)
    handler = _turn(lane, 4, thread=me)
    inner = _turn(lane, 5, thread=me, share=0.5)
    assert first.order < inner.order < handler.order < interrupted.order < other.order
    assert Turn(lane, 6, None, urgent=False).order < inner.order


def test_the_heads_of_both_lines_are_woken() -> None:
    """Nobody else can go before them."""
    lane = Lane(Bucket())
    callers = [_turn(lane, 1), _turn(lane, 2)]
    bulk = [_turn(lane, 3, share=0.5), _turn(lane, 4, share=0.5)]
    lane.wake()
    assert _rung(*callers, *bulk) == [True, False, True, False]
    for turn in (*callers, *bulk):
        lane.leave(turn)
    assert lane.turns() == []


def test_the_next_in_line_is_woken_once_somebody_leaves() -> None:
    """It may go now, whether the other has gone or given up; everybody is woken if all have to look again."""
    lane = Lane(Bucket())
    first, second, third = (_turn(lane, number) for number in (1, 2, 3))
    lane.leave(first)
    assert _rung(first, second, third) == [False, True, False]
    lane.leave(third)
    assert _rung(first, second, third) == [False, True, False]
    third = _turn(lane, 4)
    lane.wake_all()
    assert _rung(first, second, third) == [False, True, True]


def test_nobody_waits_or_has_a_request_under_way_after_a_fork() -> None:
    """The threads that did are in the parent only."""
    lane, ticket = Lane(Bucket()), Ticket("other", Lane(Bucket()), 0.0)
    turns = [_turn(lane, 1), _turn(lane, 2, share=0.5)]
    lane.take(ticket, 0.0)
    lane.renew()
    assert (lane.turns(), lane.bucket.in_flight) == ([], 0)
    lane.wake_all()
    assert _rung(*turns) == [False, False]
