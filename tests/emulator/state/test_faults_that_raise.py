"""Errors in a test's own second writers and predicates are reported, even if the client recovers."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant

PATH = "/api/v2/users"


def call(tenant: LocalTenant) -> int:
    """Send one request."""
    session = requests.Session()
    if tenant.port == 0:
        session.mount("http://", tenant.adapter())
    return session.get(f"{tenant.url}{PATH}", headers={"Authorization": "Bearer x"}, timeout=30).status_code


def wrong(*_: Any) -> bool:
    """Fail as a check in a test does."""
    assert 1 == 2, "the value s3cret is not as it should be"
    return True


def test_the_block_raises_if_a_second_writer_raised() -> None:
    """The client retries and succeeds; the block raises all the same, with the check's own error as its cause."""
    tenant = LocalTenant(serve=False, users=[{"user_id": "auth0|1"}])
    tenant.before("PATCH", "auth0|1", wrong)
    message = r"raised AssertionError: before\(method='PATCH'"
    with pytest.raises(AssertionError, match=message) as caught, tenant, tenant.client() as client:
        client.users.update("auth0|1", {"user_metadata": {"a": 1}})
    assert tenant.users["auth0|1"].user_metadata == {"a": 1}
    assert "s3cret" in str(caught.value.__cause__)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("way", ["before", "when"])
def test_verify_reports_the_error_and_the_block_does_not_repeat_it(way: str, caplog: Any) -> None:
    """verify names the fault and chains the error; the journal has the request; the log has none of the error's text."""
    caplog.set_level(logging.DEBUG)
    with LocalTenant(serve=False) as tenant:
        if way == "before":
            tenant.before("GET", None, wrong)
        else:
            tenant.fail(path=PATH, when=wrong, status=503)
        assert call(tenant) == 500
        (entry,) = tenant.journal
        assert (entry.outcome, entry.status) == ("plan_raised", 500)
        for _ in range(2):
            with pytest.raises(AssertionError, match="raised AssertionError: ") as caught:
                tenant.verify()
            assert "s3cret" in str(caught.value.__cause__)
    assert "s3cret" not in caplog.text
    assert "AssertionError" in caplog.text
    tenant.reset()
    tenant.verify()


def test_the_blocks_own_error_stays_in_the_chain() -> None:
    """An error that leaves the block is shown too; a KeyboardInterrupt is raised unchanged."""
    with (
        pytest.raises(AssertionError, match="raised AssertionError: ") as caught,
        LocalTenant(serve=False) as it,
    ):
        it.before("GET", None, wrong)
        assert call(it) == 500
        raise ValueError
    assert isinstance(caught.value.__cause__.__context__, ValueError)  # type: ignore[union-attr]
    with pytest.raises(KeyboardInterrupt), LocalTenant(serve=False) as it:
        it.before("GET", None, wrong)
        call(it)
        raise KeyboardInterrupt


def test_pytest_fail_in_a_server_thread_is_reported() -> None:
    """pytest.fail raises a BaseException: the server's thread survives, and the failure is reported."""
    tenant = LocalTenant().start()
    tenant.before("GET", None, lambda _: pytest.fail("no"))
    before = threading.active_count()
    assert call(tenant) == 500
    assert call(tenant) == 200
    assert threading.active_count() <= before + 1
    tenant.stop()
    with pytest.raises(AssertionError, match="raised Failed: "):
        tenant.verify()


def test_an_interrupt_in_a_second_writer_is_raised() -> None:
    """Without a socket, Ctrl-C may come while a second writer runs; it reaches the caller."""

    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    tenant = LocalTenant(serve=False)
    tenant.before("GET", None, interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(tenant)
    tenant.verify()
