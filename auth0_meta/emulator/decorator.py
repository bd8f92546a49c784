"""Run a function, or a class's tests, with a tenant around: `LocalTenant` as a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any

from auth0_meta.errors import InputError

if TYPE_CHECKING:
    from auth0_meta.emulator.tenant import LocalTenant

_PARAMETER = "tenant"
_TESTS = "test"


def decorated(tenant: LocalTenant, target: Any) -> Any:
    """Wrap a function, or each test of a class, so that each call finds the tenant serving and as new."""
    if inspect.isclass(target):
        return _class(tenant, target)
    if not inspect.isfunction(target):
        msg = f"a local tenant decorates functions and classes, not {target!r}"
        raise InputError(msg)
    return _function(tenant, target)


class _Anew:
    """Enter a tenant as new, unless somebody is in it already."""

    def __init__(self, tenant: LocalTenant) -> None:
        self._tenant = tenant

    def __enter__(self) -> None:
        self._tenant.enter(anew=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tenant.__exit__(kind, error, traceback)


def _class(tenant: LocalTenant, target: Any) -> Any:
    """Decorate the test methods; a `TestCase` runs its `setUp` and `tearDown` inside too."""
    for name in dir(target):
        method = inspect.getattr_static(target, name)
        if name.startswith(_TESTS) and inspect.isfunction(method):
            setattr(target, name, _function(tenant, method))
    if hasattr(target, "setUp") and inspect.isfunction(inspect.getattr_static(target, "run", None)):
        target.run = _function(tenant, target.run)
    return target


def _function(tenant: LocalTenant, function: Any) -> Any:
    """Wrap a function of any of the four kinds in one of the same kind."""
    signature = inspect.signature(function)
    given: dict[str, Any] = {_PARAMETER: tenant} if _PARAMETER in signature.parameters else {}

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with _Anew(tenant):
            return function(*args, **(given | kwargs))

    @functools.wraps(function)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        with _Anew(tenant):
            return await function(*args, **(given | kwargs))

    @functools.wraps(function)
    def yielding(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with _Anew(tenant):
            return (yield from function(*args, **(given | kwargs)))

    @functools.wraps(function)
    async def both(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with _Anew(tenant):
            inner = function(*args, **(given | kwargs))
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
                except BaseException as error:  # noqa: BLE001  # the function's own to handle
                    step = inner.athrow(error)

    run: Any = plain
    for is_kind, wrapped in (
        (inspect.iscoroutinefunction, awaited),
        (inspect.isgeneratorfunction, yielding),
        (inspect.isasyncgenfunction, both),
    ):
        if is_kind(function):
            run = wrapped
    # pytest must not look for a fixture of that name.
    left = [item for name, item in signature.parameters.items() if name != _PARAMETER]
    run.__signature__ = signature.replace(parameters=left)
    return run
