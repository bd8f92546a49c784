"""An interrupt at any instant: the result never says "failed" for what was written, nor "updated" for what was not."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from support.interrupts import Interrupt, SoftLimit, at_every_line
from support.local_tenant import UID, Local, open_blocks

from auth0_meta import OutcomeUnknown, StateError
from auth0_meta.changes.change import Change
from auth0_meta.transactions import unit
from auth0_meta.transactions.unit import State

ENDS = {
    "updated": State.COMMITTED,
    "confirmed": State.COMMITTED,
    "unchanged": State.COMMITTED,
    "rolled_back": State.ROLLED_BACK,
    "failed": State.FAILED,
    "unknown": State.FAILED,
}
WRITTEN = ("updated", "confirmed")


def ended(tx: Any) -> bool:
    """Return whether a transaction has ended, and check that its state and its result agree."""
    if tx.state is State.ACTIVE:  # its block was not entered, or its exit was not even begun
        with pytest.raises(StateError):
            tx.result  # noqa: B018
        return False
    assert tx.state is ENDS[tx.result.outcome]
    return True


def check(tx: Any, local: Local, where: str) -> str:
    """Check a result against what the tenant stores, which was {"n": 1}; return the outcome."""
    applied = local.user_metadata == {"n": 2}
    assert applied or local.user_metadata == {"n": 1}
    if not ended(tx):
        assert not applied, where
        return "active"
    assert not open_blocks(local.client), where
    outcome = str(tx.result.outcome)
    assert applied or outcome not in WRITTEN, where
    assert not applied or outcome in (*WRITTEN, "unknown"), where
    assert outcome != "unknown" or tx.result.attempts, where
    return outcome


FAULTS: dict[str, Callable[[Local], object]] = {
    "no fault": lambda local: None,
    "a lost response": lambda local: local.tenant.fail(method="PATCH", status=503, commit=True),
    "a 429": lambda local: local.tenant.fail(method="PATCH", status=429, reset=1),
}


class Work:
    """Increment a number in a transaction, on a tenant and with a client of its own."""

    def __init__(self, fault: str = "no fault") -> None:
        self.local = Local({"n": 1})
        FAULTS[fault](self.local)
        self.tx = self.local.tx()
        self.error: type[BaseException] | None = None

    def __call__(self) -> None:
        """Do it."""
        try:
            with self.tx as tx:
                tx.user_metadata.increment("n")
        # An interrupt inside a lock or a line may end in an error of its own.
        except (Interrupt, Exception) as error:  # noqa: BLE001
            self.error = type(error)


@pytest.mark.slow
# What is raised while a generator is thrown away can't propagate.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("fault", "error", "every"),
    [
        ("no fault", Interrupt, 1),
        ("no fault", SoftLimit, 5),
        *((fault, error, 7) for fault in ("a lost response", "a 429") for error in (Interrupt, SoftLimit)),
    ],
)
def test_a_transaction_interrupted_at_any_line_tells_the_truth(
    fault: str, error: type[BaseException], every: int
) -> None:
    """Whatever line of the client is interrupted, the result agrees with what is stored."""
    outcomes = set()
    for work, where in at_every_line(lambda: Work(fault), error, every=every):
        outcome = check(work.tx, work.local, where)
        assert outcome == "unknown" or work.error is not OutcomeUnknown, where
        outcomes.add(outcome)
    assert outcomes >= {"rolled_back", "failed", "unknown"}


class AsyncWork:
    """The same with asyncio; it ends when its worker thread has."""

    def __init__(self) -> None:
        self.local = Local({"n": 1}, pool_size=1)
        self.tx = self.local.client.atransaction(UID)
        self.carrier = self.local.client._channel.carrier

    def __call__(self) -> None:
        """Do it."""

        async def main() -> None:
            # Ctrl-C ends the loop.  Of what stands in for it, in a callback, the loop makes a line in a log.
            async with asyncio.timeout(0.5), self.tx as tx:
                tx.user_metadata.increment("n")

        with contextlib.suppress(Interrupt, Exception):
            asyncio.run(main())
        for _ in range(2):  # an interrupt ends one of them at most
            with contextlib.suppress(Interrupt):
                self.carrier.close()
        while self.carrier._threads:
            time.sleep(0.001)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_asyncio_interrupted_at_any_line_tells_the_truth() -> None:
    """This holds if the event loop is interrupted while a worker thread sends."""
    for work, where in at_every_line(AsyncWork, Interrupt):
        check(work.tx, work.local, where)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs an interval timer")
def test_a_transaction_interrupted_by_a_signal_tells_the_truth() -> None:
    """Real signals arrive at other instants than lines; the same holds."""
    chance = random.Random(9)

    def interrupt(*_: object) -> None:
        raise Interrupt

    # The virtual timer counts the process's own time, so a busy machine changes nothing.
    before = signal.signal(signal.SIGVTALRM, interrupt)
    try:
        for _ in range(1500):
            work = Work()
            try:
                signal.setitimer(signal.ITIMER_VIRTUAL, chance.uniform(1e-4, 2e-3))
                work()
                signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            except Interrupt:
                pass
            check(work.tx, work.local, "a signal")
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def test_an_interrupt_while_the_end_is_noted_changes_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is noted first stands; noting it again only lets go of what was staged."""
    local = Local({"n": 1})

    def interrupted() -> Change:
        monkeypatch.undo()
        raise SoftLimit

    with pytest.raises(SoftLimit), local.tx() as tx:
        tx.user_metadata.increment("n")
        monkeypatch.setattr(unit, "Change", interrupted)
    assert (tx.result.outcome, tx.result.attempts, local.user_metadata) == ("updated", 1, {"n": 2})
    assert not tx.pending


def test_a_block_that_is_never_left_is_not_joined_later() -> None:
    """An interrupt may keep a block from being left: its changes are dropped, and later ones are not lost with them."""
    local = Local({"n": 1})
    stray = local.tx()
    stray.__enter__().user_metadata["a"] = 1
    del stray
    with local.tx() as tx:
        tx.user_metadata["b"] = 2
    assert local.bodies == [{"user_metadata": {"b": 2}}]
