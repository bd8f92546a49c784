"""Changes that were staged and never sent: a warning says so."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import warnings
from collections.abc import Callable
from types import FrameType

import pytest
from support.local_tenant import UID, Local

from auth0_meta import InputError, MetadataBatch, MetadataTransaction, MetadataWarning, StateError

FORGOTTEN: dict[str, Callable[[Local], object]] = {
    "a call on the client": lambda local: local.tx().app_metadata.set("plan", "s3cret"),
    "an assignment": lambda local: local.tx().app_metadata.__setitem__("plan", "s3cret"),
    "asyncio": lambda local: local.client.atransaction(UID).app_metadata.increment("plan"),
}


@pytest.mark.parametrize("forget", FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_transaction_that_is_never_sent_warns(forget: Callable[[Local], object]) -> None:
    """It was neither entered nor committed; the warning points at the line that staged, and shows no value."""
    local = Local()
    with pytest.warns(
        MetadataWarning, match=rf"changes for {UID.replace('|', '.')} were staged and never sent"
    ) as caught:
        forget(local)
    (warning,) = caught
    assert warning.filename == __file__
    assert "app_metadata(plan" in str(warning.message)
    assert "s3cret" not in str(warning.message)
    assert local.sent == []


def _in_a_block(local: Local) -> None:
    with local.tx() as tx:
        tx.app_metadata["plan"] = "pro"


def _by_hand(local: Local) -> None:
    tx = local.tx()
    tx.app_metadata["plan"] = "pro"
    tx.commit()


def _rolled_back(local: Local) -> None:
    tx = local.tx()
    tx.app_metadata["plan"] = "pro"
    tx.rollback()


def _staged_before_it_joined(local: Local) -> None:
    with local.tx():
        part = local.tx()
        part.app_metadata["plan"] = "pro"
        with part:
            pass


def _refused(local: Local) -> None:
    with local.tx():
        other = local.tx(base=local.profile())
        other.app_metadata["plan"] = "pro"
        with contextlib.suppress(StateError):
            other.__enter__()


def _cancelled_batch(local: Local) -> None:
    with contextlib.suppress(LookupError), MetadataBatch(local.client) as batch:
        batch.user(UID).app_metadata["plan"] = "pro"
        raise LookupError


async def _asyncio(local: Local) -> None:
    async with local.client.atransaction(UID) as tx:
        tx.app_metadata["plan"] = "pro"


def _bad_settings(local: Local) -> None:
    with contextlib.suppress(InputError):
        local.tx(oversize="huge")


ACCOUNTED: dict[str, Callable[[Local], object]] = {
    "in a block": _in_a_block,
    "by hand": _by_hand,
    "rolled back": _rolled_back,
    "joined": _staged_before_it_joined,
    "refused": _refused,
    "reported by a batch": _cancelled_batch,
    "asyncio": lambda local: asyncio.run(_asyncio(local)),
    "nothing staged": lambda local: local.tx(),
    "nothing to change": lambda local: local.tx().app_metadata.merge({}),
    "never opened": _bad_settings,
}


@pytest.mark.parametrize("account", ACCOUNTED.values(), ids=ACCOUNTED)
def test_a_transaction_that_has_ended_does_not_warn(account: Callable[[Local], object]) -> None:
    """Whatever was done with it, or has been said of it, is known."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        account(Local())
        gc.collect()
    assert caught == []


def test_a_transaction_that_was_sent_runs_no_code_when_it_is_collected() -> None:
    """Ctrl-C is lost if it arrives in a finalizer, so there is none for the usual ways to use a transaction."""
    local = Local()
    ran: list[str] = []

    def trace(frame: FrameType, event: str, _: object) -> None:
        ran.append(frame.f_code.co_qualname)

    for account in (_in_a_block, _by_hand, _rolled_back, _staged_before_it_joined):
        with pytest.MonkeyPatch.context() as patched:
            kept: list[object] = []
            real = MetadataTransaction._open
            patched.setattr(
                MetadataTransaction,
                "_open",
                lambda tx, unit, real=real, kept=kept: (kept.append(tx), real(tx, unit))[1],
            )
            account(local)
        gc.collect()
        before = sys.gettrace()
        sys.settrace(trace)
        kept.clear()
        sys.settrace(before)
    assert ran == []


def test_a_script_that_forgets_to_commit_is_warned_at_its_end() -> None:
    """The warning is shown by default, also for a transaction that lives until the interpreter ends."""
    code = """
from auth0_meta import ManagementClient
tx = ManagementClient("tenant.eu.auth0.com", token="a.b.c").transaction("auth0|1")
tx.app_metadata["plan"] = "pro"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "<string>:4: MetadataWarning: changes for auth0|1 were staged and never sent" in done.stderr
    assert "Exception ignored" not in done.stderr
