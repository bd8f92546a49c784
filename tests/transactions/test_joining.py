"""Greenlets and trio tasks: each has its own transactions, though they share a thread."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from support.local_tenant import UID, Local

from auth0_meta import StateError


def _write(local: Local, **values: Any) -> None:
    with local.tx() as tx:
        tx.user_metadata.update(values)


def test_greenlets_do_not_join() -> None:
    """A greenlet that runs while another one has a block open sends its own PATCH; blocks in one greenlet join."""
    greenlet = pytest.importorskip("greenlet")
    local = Local()
    main = greenlet.getcurrent()

    def first() -> None:
        with local.tx() as tx:
            tx.user_metadata["a"] = 1
            _write(local, b=2)
            main.switch()
            _write(local, c=3)

    def second() -> None:
        _write(local, d=4)

    one, two = greenlet.greenlet(first), greenlet.greenlet(second)
    one.switch()
    assert local.bodies == []
    two.switch()
    _write(local, e=5)
    assert local.bodies == [{"user_metadata": {"d": 4}}, {"user_metadata": {"e": 5}}]
    one.switch()
    assert local.bodies[2:] == [{"user_metadata": {"a": 1, "b": 2, "c": 3}}]


def test_a_greenlet_does_not_join_the_main_one() -> None:
    """Nor does it join the block that is open where it was started."""
    greenlet = pytest.importorskip("greenlet")
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        greenlet.greenlet(lambda: _write(local, b=2)).switch()
        assert local.bodies == [{"user_metadata": {"b": 2}}]
        _write(local, c=3)
    assert local.bodies[1:] == [{"user_metadata": {"a": 1, "c": 3}}]


def test_run_transaction_in_another_greenlet_is_no_nesting() -> None:
    """It raises only inside a block of the same greenlet."""
    greenlet = pytest.importorskip("greenlet")
    local = Local()

    def work(tx: Any) -> None:
        tx.user_metadata["a"] = 1

    with local.tx(join=False):
        with pytest.raises(StateError):
            local.client.run_transaction(UID, work)
        greenlet.greenlet(lambda: local.client.run_transaction(UID, work)).switch()
    assert local.user_metadata == {"a": 1}


GEVENT = """
import warnings
{before}
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import MetadataWarning
{after}
import gevent

with LocalTenant(serve=False, users=[{{"user_id": "auth0|1"}}]) as tenant:
    client = tenant.client(token="a.b.c")

    def write(key):
        with client.transaction("auth0|1") as tx:
            tx.user_metadata[key] = 1
            gevent.sleep(0.01)
            with client.transaction("auth0|1") as helper:
                helper.user_metadata[key + "2"] = 1
            gevent.sleep(0.01)

    gevent.joinall([gevent.spawn(write, key) for key in "abc"], raise_error=True)
    for entry in tenant.journal.requests("PATCH"):
        print(sorted(entry.body["user_metadata"]))
"""
PATCHED = {
    "never": ("", ""),
    "first": ("import gevent.monkey; gevent.monkey.patch_all()", ""),
    "without threads": ("import gevent.monkey; gevent.monkey.patch_all(thread=False)", ""),
    "late": ("", "warnings.simplefilter('ignore'); import gevent.monkey; gevent.monkey.patch_all()"),
}


@pytest.mark.slow
@pytest.mark.parametrize("patched", PATCHED.values(), ids=PATCHED)
def test_gevent_tells_its_greenlets_apart(patched: tuple[str, str]) -> None:
    """However gevent patches the program, each greenlet sends its own changes, in one PATCH."""
    pytest.importorskip("gevent")
    code = GEVENT.format(before=patched[0], after=patched[1])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert sorted(done.stdout.splitlines()) == ["['a', 'a2']", "['b', 'b2']", "['c', 'c2']"], done.stderr


def test_trio_tasks_do_not_join() -> None:
    """Two tasks with a block open each send their own PATCH; blocks in one task join."""
    trio = pytest.importorskip("trio")
    local = Local()

    async def task(key: str) -> None:
        with local.tx() as tx:
            tx.user_metadata[key] = 1
            await trio.sleep(0)
            _write(local, **{f"{key}2": 1})
            await trio.sleep(0)

    async def main() -> None:
        with local.tx() as tx:
            tx.user_metadata["outer"] = 1
            async with trio.open_nursery() as nursery:
                for key in "abc":
                    nursery.start_soon(task, key)
            assert sorted(map(str, local.bodies)) == [
                str({"user_metadata": {key: 1, f"{key}2": 1}}) for key in "abc"
            ]

    trio.run(main)
    assert local.bodies[3:] == [{"user_metadata": {"outer": 1}}]


def test_a_thread_that_runs_neither_joins_as_ever() -> None:
    """That greenlet and trio are loaded changes nothing outside of them."""
    pytest.importorskip("greenlet")
    pytest.importorskip("trio")
    local = Local()
    with local.tx() as tx:
        tx.user_metadata["a"] = 1
        _write(local, b=2)
    assert local.bodies == [{"user_metadata": {"a": 1, "b": 2}}]
