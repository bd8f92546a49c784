"""Warnings point at the line of the program that they are about, in whichever thread they are issued."""

from __future__ import annotations

import asyncio
import linecache
import threading
import warnings
from collections.abc import Callable

import pytest
from support.local_tenant import UID, Local

from auth0_meta import MetadataBatch, MetadataWarning

LARGE = "x" * 11_000


class _Lost:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        raise TimeoutError


def _plain(local: Local) -> None:
    with local.tx() as tx:  # here
        tx.app_metadata["large"] = LARGE


def _by_hand(local: Local) -> None:
    tx = local.tx()
    tx.app_metadata["large"] = LARGE
    tx.commit()  # here


def _lock(local: Local) -> None:
    with local.tx(lock=_Lost()) as tx:  # here
        tx.app_metadata["a"] = 1


def _batch(local: Local) -> None:
    with MetadataBatch(local.client) as batch:
        batch.user(UID).app_metadata["large"] = LARGE  # here


def _batch_without_threads(local: Local) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threading.Thread, "start", _no_thread)
        with MetadataBatch(local.client) as batch:
            batch.user(UID).app_metadata["large"] = LARGE  # here


def _no_thread(_: object) -> None:
    raise RuntimeError


def _asyncio(local: Local) -> None:
    async def main() -> None:
        async with local.client.atransaction(UID) as tx:  # here
            tx.app_metadata["large"] = LARGE

    asyncio.run(main())


def _asyncio_by_hand(local: Local) -> None:
    async def main() -> None:
        tx = local.client.atransaction(UID)
        tx.app_metadata["large"] = LARGE
        await tx.commit()  # here

    asyncio.run(main())


def _asyncio_in_a_task(local: Local) -> None:
    async def main() -> None:
        tx = local.client.atransaction(UID)
        tx.app_metadata["large"] = LARGE  # here
        await asyncio.create_task(tx.commit())

    asyncio.run(main())


def _asyncio_lock(local: Local) -> None:
    async def main() -> None:
        async with local.client.atransaction(UID, lock=_Lost()) as tx:  # here
            tx.app_metadata["a"] = 1

    asyncio.run(main())


WAYS = (
    _plain,
    _by_hand,
    _lock,
    _batch,
    _batch_without_threads,
    _asyncio,
    _asyncio_by_hand,
    _asyncio_in_a_task,
    _asyncio_lock,
)


@pytest.mark.parametrize("way", WAYS)
def test_a_warning_points_at_the_callers_line(way: Callable[[Local], None]) -> None:
    """That is the end of the block, the commit, or the line that staged, never the standard library."""
    with warnings.catch_warnings(record=True, action="always") as caught:
        way(Local())
    (warning,) = (one for one in caught if issubclass(one.category, MetadataWarning))
    assert warning.filename == __file__
    assert linecache.getline(__file__, warning.lineno).endswith("# here\n")


def test_a_warning_is_shown_once_for_each_line() -> None:
    """By default Python shows a warning of the same text and line once."""
    local = Local()
    with warnings.catch_warnings(record=True, action="default") as caught:
        for _ in range(3):
            _batch(local)
            local.write(app_metadata={"large": None})
    assert len(caught) == 1
