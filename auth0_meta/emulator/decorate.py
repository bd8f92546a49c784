"""Run a function with a tenant around it: `LocalTenant` as a decorator."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from auth0_meta.errors import InputError

if TYPE_CHECKING:
    from auth0_meta.emulator.tenant import LocalTenant

__all__ = ["decorated"]

_F = TypeVar("_F", bound=Callable[..., Any])
_PARAMETER = "tenant"


def decorated(tenant: LocalTenant, function: _F) -> _F:
    """Wrap a function, sync or async, so that each call finds the tenant serving and as new."""
    if not inspect.isfunction(function):
        msg = f"a local tenant decorates functions, not {function!r}: decorate its methods"
        raise InputError(msg)
    signature = inspect.signature(function)
    wants = _PARAMETER in signature.parameters

    def start(kwargs: dict[str, Any]) -> dict[str, Any]:
        tenant.reset()
        return {_PARAMETER: tenant, **kwargs} if wants else kwargs

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Any:
            with tenant:
                return await function(*args, **start(kwargs))

    else:

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            with tenant:
                return function(*args, **start(kwargs))

    # pytest must not look for a fixture of that name.
    left = [item for name, item in signature.parameters.items() if name != _PARAMETER]
    run.__signature__ = signature.replace(parameters=left)  # type: ignore[attr-defined]  # inspect's protocol
    return run  # type: ignore[return-value]  # the same function, one parameter filled in
