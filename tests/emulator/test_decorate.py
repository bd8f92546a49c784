"""Hold the decorator to a fresh, serving tenant for each call, and to verify's verdict."""

from __future__ import annotations

import asyncio
import inspect

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError


def test_each_call_finds_a_tenant_as_new() -> None:
    """The given users are there, nothing of the call before is, and afterwards nobody answers."""
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


def test_a_function_without_the_parameter_is_called_as_it_is() -> None:
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
    """What the function raises comes out, and the socket is closed."""
    local = LocalTenant()

    @local
    def work() -> None:
        raise ValueError(local.url)

    with pytest.raises(ValueError, match="http") as caught:
        work()
    with pytest.raises(requests.ConnectionError):
        requests.get(str(caught.value), timeout=5)


def test_only_functions_are_decorated() -> None:
    """A class would lose its methods' isolation: refused."""
    with pytest.raises(InputError, match="decorate its methods"):
        LocalTenant()(type("Tests", (), {}))


def test_verify_is_content_with_what_came_about() -> None:
    """No plans and served routes only: verify raises nothing; otherwise each trouble has one line."""
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
