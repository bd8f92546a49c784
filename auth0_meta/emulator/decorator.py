"""`LocalTenant` as a decorator: run a function, or the tests of a class, with a tenant."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

from auth0_meta.errors import InputError

__tracebackhide__ = True  # pytest shows the decorated function, not what is around it

_PARAMETER = "tenant"
_TEST_PREFIX = "test"
Anew = Callable[[], AbstractContextManager[None]]
"""Return a `with` block of a tenant that is reset first, unless a block is open already."""


def decorated(target: Any, tenant: object, anew: Anew) -> Any:
    """Wrap a function, or each test of a class, so that each call resets and starts the tenant."""
    if inspect.isclass(target):
        return _class(target, tenant, anew)
    if not inspect.isfunction(target):
        raise InputError(f"a local tenant decorates functions and classes, not {target!r}")
    return _function(target, tenant, anew)


def _class(target: Any, tenant: object, anew: Anew) -> Any:
    """Decorate the test methods; in a `TestCase`, `setUp` and `tearDown` run with the tenant too."""
    for name in dir(target):
        method = inspect.getattr_static(target, name)
        if name.startswith(_TEST_PREFIX) and inspect.isfunction(method):
            setattr(target, name, _function(method, tenant, anew))
    if hasattr(target, "setUp") and inspect.isfunction(inspect.getattr_static(target, "run", None)):
        target.run = _function(target.run, tenant, anew)
    return target


def _function(function: Any, tenant: object, anew: Anew) -> Any:
    """Wrap a function in one of the same kind: sync or async, generator or not."""
    signature = inspect.signature(function)
    filled_in: dict[str, Any] = {_PARAMETER: tenant} if _PARAMETER in signature.parameters else {}

    @functools.wraps(function)
    def sync_function(*args: Any, **kwargs: Any) -> Any:
        with anew():
            return function(*args, **(filled_in | kwargs))

    @functools.wraps(function)
    async def async_function(*args: Any, **kwargs: Any) -> Any:
        with anew():
            return await function(*args, **(filled_in | kwargs))

    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with anew():
            return (yield from function(*args, **(filled_in | kwargs)))

    @functools.wraps(function)
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with anew():
            # `yield from` has no async form: pass on by hand what the caller sends and throws.
            inner = function(*args, **(filled_in | kwargs))
            step = inner.__anext__()
            while True:
                try:
                    item = await step
                except StopAsyncIteration:
                    return
                try:
                    step = inner.asend((yield item))
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  # the function decides how to handle what a caller throws
                    step = inner.athrow(error)

    wrapper: Any = sync_function
    if inspect.iscoroutinefunction(function):
        wrapper = async_function
    elif inspect.isgeneratorfunction(function):
        wrapper = generator
    elif inspect.isasyncgenfunction(function):
        wrapper = async_generator
    # pytest would look for a fixture with the parameter's name.
    others = [parameter for name, parameter in signature.parameters.items() if name != _PARAMETER]
    wrapper.__signature__ = signature.replace(parameters=others)
    return wrapper
