"""Whether what fails concerns one user or everybody, by what others get."""

from __future__ import annotations

import contextlib

import pytest

from auth0_meta import ServerError, TransportError
from auth0_meta.emulator import LocalTenant
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.outages import Outages
from auth0_meta.http.request import Target
from auth0_meta.testing import FakeClock


def failing(user_id: str, since: float) -> WaitBudget:
    """Return the budget of an operation that has failed since then."""
    budget = WaitBudget(max_wait=None, user_id=user_id, share=0.5)
    budget.failing_since = since
    return budget


def test_it_is_an_outage_while_nobody_succeeds() -> None:
    """A success before the failure shows nothing; one after it shows that others get through."""
    outages, one = Outages(), failing("a", 10.0)
    assert outages.is_outage(one)
    outages.succeeded("GET", 9.0)
    assert outages.is_outage(one)
    assert outages.patience(one) == 900
    outages.succeeded("GET", 11.0)
    assert not outages.is_outage(one)
    assert outages.patience(one) == 0


def test_an_outage_is_waited_out_once() -> None:
    """Whoever meets it later has what is left of the time; after a success, and in the next bulk work, it is another one."""
    outages = Outages()
    assert outages.patience(failing("a", 10.0)) == 900
    assert outages.patience(failing("b", 110.0)) == 800
    outages.succeeded("GET", 200.0)
    assert outages.patience(failing("c", 300.0)) == 900
    assert outages.patience(failing("d", 350.0)) == 850
    outages.start()
    assert outages.patience(failing("e", 400.0)) == 900


@pytest.mark.parametrize(("users", "outage"), [(11, False), (12, True)])
def test_many_users_whose_writes_fail_are_an_outage_although_reads_succeed(users: int, outage: bool) -> None:
    """Fewer may each have a reason of their own; a write that succeeds ends it, and readers are not concerned."""
    outages = Outages()
    for n in range(users):
        outages.note_write(f"user {n}")
    outages.succeeded("GET", 20.0)
    writer = failing("user 0", 10.0)
    assert outages.is_outage(writer) is outage
    assert outages.patience(writer) == (900 if outage else 0)
    assert not outages.is_outage(failing("reader", 10.0))
    outages.succeeded("PATCH", 21.0)
    outages.note_write("user 0")
    assert not outages.is_outage(writer)


@pytest.mark.parametrize(("failures", "got"), [(2, "the user"), (3, "an error")])
def test_a_request_that_an_outage_has_hit_says_nothing_about_its_user(failures: int, got: str) -> None:
    """If others get through only after it was sent, one more is sent, and that one counts."""
    clock = FakeClock()
    with LocalTenant(serve=False, clock=clock) as tenant, tenant.client() as client:
        tenant.users.add(user_id="auth0|1")
        client.check()

        def hang(*_: object) -> bool:
            if fault.fired == failures:
                return False
            clock.advance(31)
            if fault.fired:
                client._channel.outages.succeeded("GET", clock.monotonic())
            return True

        fault = tenant.fail(method="GET", user_id="auth0|1", times=failures, status=503, when=hang)
        budget = client._channel.budget("auth0|1", None, share=1.0)
        with contextlib.suppress(ServerError, TransportError):
            client._channel.read(Target.user("auth0|1"), budget)
            assert got == "the user"
        assert fault.fired == failures
        assert budget.requests == failures + (got == "the user")
        assert budget.outage is False


def test_somebody_else_is_tried_at_most_every_five_seconds() -> None:
    """First whoever could be read, in turn, then the others that were named; never the user in question."""
    outages, one = Outages(), failing("a", 0.0)
    a, b, c, d, e = (Target.user(user_id) for user_id in "abcde")
    assert outages.whom_to_try(one, 0.0) is None
    outages.start([a, b, c])
    assert {outages.whom_to_try(one, now) for now in (5.0, 10.0, 15.0)} == {b, c}
    assert outages.whom_to_try(one, 19.0) is None
    for target in (a, d, d, e):
        outages.note_readable(target)
    assert {outages.whom_to_try(one, now) for now in (20.0, 25.0)} == {d, e}
