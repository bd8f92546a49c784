"""Run a function, or a class's tests, with a tenant running: `LocalTenant` as a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import Any, Protocol

from auth0_meta.errors import InputError

_PARAMETER = "tenant"
_TEST_PREFIX = "test"


class TenantLike(Protocol):
    """What the decorator needs of a `LocalTenant`, which stands above it."""

    def enter(self, *, anew: bool = False) -> Any:
        """Begin a `with` block; with `anew` reset the tenant first, unless a block is open already."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def decorated(tenant: TenantLike, target: Any) -> Any:
    """Wrap a function, or each test of a class, so that each call starts the tenant and resets it."""
    if inspect.isclass(target):
        return _class(tenant, target)
    if not inspect.isfunction(target):
        msg = f"a local tenant decorates functions and classes, not {target!r}"
        raise InputError(msg)
    return _function(tenant, target)


class _Reset:
    """A `with` block of a tenant that is reset first, unless a block is open already."""

    def __init__(self, tenant: TenantLike) -> None:
        self._tenant = tenant

    def __enter__(self) -> None:
        self._tenant.enter(anew=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tenant.__exit__(kind, error, traceback)


def _class(tenant: TenantLike, target: Any) -> Any:
    """Decorate the test methods; in a `TestCase`, `setUp` and `tearDown` run with the tenant too."""
    for name in dir(target):
        method = inspect.getattr_static(target, name)
        if name.startswith(_TEST_PREFIX) and inspect.isfunction(method):
            setattr(target, name, _function(tenant, method))
    if hasattr(target, "setUp") and inspect.isfunction(inspect.getattr_static(target, "run", None)):
        target.run = _function(tenant, target.run)
    return target


def _function(tenant: TenantLike, function: Any) -> Any:
    """Wrap a function in one of the same kind: sync or async, generator or not."""
    signature = inspect.signature(function)
    filled_in: dict[str, Any] = {_PARAMETER: tenant} if _PARAMETER in signature.parameters else {}

    @functools.wraps(function)
    def sync_function(*args: Any, **kwargs: Any) -> Any:
        with _Reset(tenant):
            return function(*args, **(filled_in | kwargs))

    @functools.wraps(function)
    async def async_function(*args: Any, **kwargs: Any) -> Any:
        with _Reset(tenant):
            return await function(*args, **(filled_in | kwargs))

    @functools.wraps(function)
    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with _Reset(tenant):
            return (yield from function(*args, **(filled_in | kwargs)))

    @functools.wraps(function)
    async def async_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _Reset(tenant):
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
                except BaseException as error:  # noqa: BLE001  # what a caller throws in is for the function to handle
                    step = inner.athrow(error)

    wrapper: Any = sync_function
    for is_kind, candidate in (
        (inspect.iscoroutinefunction, async_function),
        (inspect.isgeneratorfunction, generator),
        (inspect.isasyncgenfunction, async_generator),
    ):
        if is_kind(function):
            wrapper = candidate
    # pytest would look for a fixture with the parameter's name.
    others = [parameter for name, parameter in signature.parameters.items() if name != _PARAMETER]
    wrapper.__signature__ = signature.replace(parameters=others)
    return wrapper
