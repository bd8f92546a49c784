"""The decorator starts and resets the tenant for each call; and what `verify` reports."""

from __future__ import annotations

import asyncio
import inspect
import unittest
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError


def test_each_call_gets_a_reset_tenant() -> None:
    """The initial users are there, the writes of earlier calls are not, and afterwards nothing listens."""
    local = LocalTenant(users=[{"user_id": "auth0|1"}])
    urls = []

    @local
    def work(word: str, *, tenant: LocalTenant) -> str:
        """Do some work."""
        assert tenant is local
        assert [user.user_id for user in tenant.users] == ["auth0|1"]
        assert len(tenant.journal) == 0
        tenant.users.clear()
        assert requests.get(f"{tenant.url}/api/v2/users", timeout=5).status_code == 401
        urls.append(tenant.url)
        return word

    assert [work("a"), work("b")] == ["a", "b"]
    for url in urls:
        with pytest.raises(requests.ConnectionError):
            requests.get(url, timeout=5)
    assert (work.__name__, work.__doc__) == ("work", "Do some work.")
    assert list(inspect.signature(work).parameters) == ["word"]


def test_a_function_without_the_parameter_is_called_unchanged() -> None:
    """Only a parameter named tenant is filled in, and a caller's own value wins."""
    local = LocalTenant(serve=False)

    @local
    def plain(number: int) -> int:
        return number + len(local.users)

    @local
    def asks(tenant: object) -> object:
        return tenant

    assert plain(1) == 1
    assert asks() is local
    assert asks(tenant=3) == 3


def test_async_functions_are_awaited_inside() -> None:
    """The tenant serves until a coroutine function is done."""

    @LocalTenant()
    async def work(tenant: LocalTenant) -> int:
        await asyncio.sleep(0)
        return requests.get(f"{tenant.url}/api/v2/users", timeout=5).status_code

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(work()) == 401


def test_an_exception_stops_it_too() -> None:
    """The function's exception is raised, and the socket is closed."""
    local = LocalTenant()

    @local
    def work() -> None:
        raise ValueError(local.url)

    with pytest.raises(ValueError, match="http") as caught:
        work()
    with pytest.raises(requests.ConnectionError):
        requests.get(str(caught.value), timeout=5)


def test_other_objects_cannot_be_decorated() -> None:
    """It decorates only functions and classes."""
    with pytest.raises(InputError, match="functions and classes"):
        LocalTenant()(print)


def status(tenant: LocalTenant) -> int:
    """Return the status of a request to the tenant."""
    return requests.get(f"{tenant.url}/api/v2/users", timeout=30).status_code


def test_blocks_can_be_nested() -> None:
    """After the inner block the tenant still serves with its state; the outer block stops it."""
    local = LocalTenant(users=[{"user_id": "auth0|1"}])

    @local
    def inner(tenant: LocalTenant) -> int:
        assert "auth0|2" in tenant.users
        return status(tenant)

    with local as outer:
        outer.users.add(user_id="auth0|2")
        with outer:
            assert inner() == 401
        assert inner() == 401
        assert status(outer) == 401
    with pytest.raises(requests.ConnectionError):
        status(local)
    with pytest.raises(AssertionError):
        inner()  # a call from outside gets a reset tenant
    local.start()
    local.users.add(user_id="auth0|2")
    assert inner() == 401
    assert status(local) == 401  # `stop` ends what `start` began
    local.stop()


def test_a_taken_port_leaves_no_block_open() -> None:
    """A failed entry does not count as an open block."""
    with LocalTenant() as first:
        second = LocalTenant(port=first.port)
        with pytest.raises(OSError, match=str(first.port)):
            second.__enter__()
    with second:
        assert status(second) == 401
    with pytest.raises(requests.ConnectionError):
        status(second)


def test_calls_that_overlap_share_the_tenant() -> None:
    """The first that ends does not stop the tenant for the others."""
    local = LocalTenant(users=[{}])

    @local
    async def work(turns: int) -> int:
        for _ in range(turns):
            await asyncio.sleep(0)
        return status(local)

    async def many() -> list[int]:
        return await asyncio.gather(*(work(turns) for turns in (1, 5, 10)))

    assert asyncio.run(many()) == [401, 401, 401]
    with pytest.raises(requests.ConnectionError):
        status(local)


def test_a_generator_runs_inside() -> None:
    """A generator has the tenant until it ends, and gets what is sent and thrown into it."""

    @LocalTenant()
    def fixture(tenant: LocalTenant) -> Generator[int, str, None]:
        try:
            assert (yield status(tenant)) == "sent"
        except KeyError:
            yield status(tenant)

    assert inspect.isgeneratorfunction(fixture)
    made = fixture()
    assert next(made) == 401
    assert made.throw(KeyError()) == 401
    assert list(made) == []
    again = fixture()
    next(again)
    with pytest.raises(StopIteration):
        again.send("sent")


def test_an_async_generator_runs_inside() -> None:
    """Leaving it early closes it and stops the tenant."""
    local = LocalTenant()
    closed = []

    @local
    async def fixture(tenant: LocalTenant) -> AsyncGenerator[Any, Any]:
        try:
            got = yield status(tenant)
            assert got in (None, "sent")
            yield status(tenant)
        except KeyError:
            yield "caught"
        finally:
            closed.append(status(tenant))

    async def use() -> None:
        assert [item async for item in fixture()] == [401, 401]
        made = fixture()
        assert await made.__anext__() == 401
        assert await made.athrow(KeyError()) == "caught"
        with pytest.raises(StopAsyncIteration):
            await made.__anext__()
        early = fixture()
        await early.__anext__()
        assert await early.asend("sent") == 401
        await early.aclose()

    assert inspect.isasyncgenfunction(fixture)
    asyncio.run(use())
    assert closed == [401, 401, 401]
    with pytest.raises(requests.ConnectionError):
        status(local)


def test_each_test_of_a_class_is_decorated() -> None:
    """Inherited tests are decorated too; helpers and other attributes are not."""
    local = LocalTenant(users=[{"user_id": "auth0|1"}])

    class Base:
        def test_inherited(self, tenant: LocalTenant) -> int:
            return self.check(tenant)

        def check(self, tenant: LocalTenant) -> int:
            assert len(tenant.users) == 1
            tenant.users.add()
            return status(tenant)

    @local
    class Tests(Base):
        tests = ("a",)

        def test_own(self, tenant: LocalTenant) -> int:
            return self.check(tenant)

        @staticmethod
        def test_static() -> str:
            return "as it is"

    made: Any = Tests()
    assert made.test_own() == made.test_inherited() == 401
    assert (made.test_static(), made.tests) == ("as it is", ("a",))
    assert "tenant" in inspect.signature(Base.test_inherited).parameters


def test_a_test_case_sets_up_inside() -> None:
    """setUp and tearDown of unittest get the tenant of their test, and an error of a second writer fails that test."""
    local = LocalTenant()
    seen = []

    @local
    class Case(unittest.TestCase):
        def setUp(self) -> None:
            local.users.add(user_id="auth0|1")

        def test_it(self) -> None:
            seen.append((status(local), len(local.users)))

        def test_plan(self, *, tenant: LocalTenant) -> None:
            tenant.before("GET", None, lambda _: 1 / 0)
            headers = {"Authorization": "Bearer x"}
            assert requests.get(f"{tenant.url}/api/v2/users", headers=headers, timeout=30).status_code == 500

        def tearDown(self) -> None:
            seen.append((status(local), len(local.users)))

    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(Case).run(result)
    assert (result.testsRun, len(result.failures), result.errors) == (2, 1, [])
    assert "raised ZeroDivisionError: before(method='GET')" in result.failures[0][1]
    assert seen == [(401, 1)] * 3


def test_verify_accepts_faults_that_fired() -> None:
    """verify raises nothing if every fault fired and every route was served; otherwise there is one line for each case."""
    tenant = LocalTenant(serve=False)
    tenant.verify()
    session = requests.Session()
    session.mount("http://", tenant.adapter())
    for _ in range(2):
        session.get(f"{tenant.url}/nowhere", timeout=5)
    fault = tenant.fail(path="/api/v2/users", status=500)
    session.get(f"{tenant.url}/api/v2/users", timeout=5)
    assert fault.fired == 1
    with pytest.raises(AssertionError) as caught:
        tenant.verify()
    assert str(caught.value).splitlines()[0] == "not served: GET /nowhere"
    assert len(str(caught.value).splitlines()) == 1
