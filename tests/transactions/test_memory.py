"""A commit that failed leaves nothing behind: no circle of references keeps the profile or the document alive."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from support.local_tenant import UID, Local
from support.scripted_server import Reply, ScriptedServer, connect

from auth0_meta import Auth0MetaError, ManagementClient, MetadataBatch
from auth0_meta.transactions.commit import Commit
from auth0_meta.transactions.write import Write

PROFILE = {"user_id": UID, "user_metadata": {"n": 1, "name": "Ada"}}


def _lost_then(local: Local, **fault: Any) -> None:
    local.tenant.fail(method="PATCH", status=503)
    local.tenant.before("PATCH", UID, lambda _: local.tenant.fail(method="GET", **fault))


FAULTS: dict[str, Callable[[Local], object]] = {
    "none": lambda local: None,
    "a refusal": lambda local: local.tenant.fail(method="PATCH", status=400),
    "no user": lambda local: local.tenant.fail(method="GET", status=404),
    "a failing server": lambda local: local.tenant.fail(method="GET", status=503, times=None),
    "a long rate limit": lambda local: local.tenant.fail(method="GET", status=429, reset=5000),
    "a wait": lambda local: local.tenant.fail(method="PATCH", status=429, reset=30),
    "another user": lambda local: local.tenant.fail(method="GET", status=200, body={"user_id": "x"}),
    "read back": lambda local: local.tenant.fail(method="PATCH", status=503, commit=True),
    "not read back": lambda local: _lost_then(local, status=404),
}


def _plain(client: ManagementClient, **settings: Any) -> None:
    with contextlib.suppress(Auth0MetaError), client.transaction(UID, **settings) as tx:
        tx.user_metadata.increment("n")


def _reading(client: ManagementClient) -> None:
    with contextlib.suppress(Auth0MetaError), client.transaction(UID) as tx:
        tx.user_metadata["n"] = tx.user_metadata["n"] + 1


def _asyncio(client: ManagementClient) -> None:
    async def main() -> None:
        with contextlib.suppress(Auth0MetaError):
            async with client.atransaction(UID) as tx:
                tx.user_metadata.increment("n")

    asyncio.run(main())


def _batch(client: ManagementClient) -> None:
    with contextlib.suppress(Auth0MetaError), MetadataBatch(client, max_wait=60) as batch:
        batch.user(UID).user_metadata.increment("n")


KINDS: dict[str, Callable[[ManagementClient], None]] = {
    "plain": _plain,
    "under a lock": lambda client: _plain(client, lock=threading.Lock()),
    "asyncio": _asyncio,
    "batch": _batch,
}


def left_behind(work: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Do work without garbage collection; return the commits and writes that outlive it."""
    alive: list[weakref.ref[Any]] = []
    for kind in (Commit, Write):
        real = kind.__init__

        def watched(self: Any, *args: Any, real: Any = real, **settings: Any) -> None:
            alive.append(weakref.ref(self))
            real(self, *args, **settings)

        monkeypatch.setattr(kind, "__init__", watched)
    gc.collect()
    gc.disable()
    try:
        work()
        assert alive
        return [ref() for ref in alive if ref() is not None]
    finally:
        gc.enable()


# An error that ends a batch stays in its results, with its frames.
CASES = {
    f"{kind}, {fault}": (KINDS[kind], FAULTS[fault])
    for kind in KINDS
    for fault in FAULTS
    if (kind, fault) != ("batch", "a failing server")
}


@pytest.mark.parametrize(("kind", "fault"), CASES.values(), ids=CASES)
def test_nothing_is_left_behind(
    kind: Callable[[ManagementClient], None],
    fault: Callable[[Local], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever became of it, a commit and what it has read are gone once its error is."""
    local = Local(PROFILE["user_metadata"])
    fault(local)
    assert left_behind(lambda: kind(local.client), monkeypatch) == []
    local.client.close()


def test_a_conflict_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is if the commit finds that what was read has changed."""
    local = Local(PROFILE["user_metadata"])
    local.second_writer("GET", nth=2, user_metadata={"n": 9})
    assert left_behind(lambda: _reading(local.client), monkeypatch) == []
    assert local.user_metadata["n"] == 9


@pytest.mark.parametrize("replies", [[Reply(close=True)], [Reply(200, PROFILE), Reply(close=True)]])
def test_a_lost_connection_leaves_nothing_behind(
    replies: list[Reply], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do the errors of requests and urllib3 keep anything alive."""
    with ScriptedServer(*replies, Reply(404, {"message": "no"})) as server, connect(server) as client:
        assert left_behind(lambda: _plain(client, max_wait=0), monkeypatch) == []
