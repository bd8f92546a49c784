"""What a decorated view takes, and how it is called: decided when it is decorated, so that no login finds out later."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import BoundArguments, Parameter, Signature
from typing import Any, get_args, get_type_hints

import attrs

from auth0_meta.errors import ConfigError

_LOGIN = "login"
_MARK = "decorated_by_post_login"
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_UNTYPED = (Parameter.empty, Any)
# A view that comes from these is not a view: `app.route("/callback")` without a function, for example.
_FRAMEWORKS = ("fastapi", "flask", "starlette")


@attrs.frozen
class DecoratedView:
    """A view and the name of its parameter for the `Login`.

    `login`: None if the function takes `*args` only.  `own`: what the function itself takes; `seen`: what the framework thinks that it takes, which differs if another
    decorator has wrapped it; annotations are resolved.
    """

    function: Callable[..., Any]
    name: str
    own: Signature
    seen: Signature
    login: str | None

    @property
    def is_async(self) -> bool:
        """Return whether a call returns a coroutine."""
        return is_async(self.function)

    def bind(self, *args: Any, **kwargs: Any) -> BoundArguments:
        """Return the arguments of the framework for everything but the login; raise `ConfigError` if they don't fit."""
        # FastAPI passes everything by name.
        rest = [
            parameter.replace(kind=Parameter.POSITIONAL_OR_KEYWORD)
            if parameter.kind is Parameter.POSITIONAL_ONLY
            else parameter
            for name, parameter in self.own.parameters.items()
            if name != self.login
        ]
        try:
            return Signature(rest).bind(*args, **kwargs)
        except TypeError as error:
            raise ConfigError(
                f"{self.name} can't be called with the arguments of its URL ({error}): "
                "give it one parameter for each of them, besides the one for the login"
            ) from None

    def fits(self, *args: Any, **kwargs: Any) -> bool:
        """Return whether the view can be called with these arguments and a login."""
        try:
            self.bind(*args, **kwargs)
        except ConfigError:
            return False
        return True

    def call(self, bound: BoundArguments, login: object) -> Any:
        """Call the view."""
        if self.login is None:
            return self.function(*bound.args, login, **bound.kwargs)
        if self.login not in self.own.parameters:
            return self.function(*bound.args, **bound.kwargs, **{self.login: login})
        given = {**bound.arguments, self.login: login}
        whole = BoundArguments(self.own, {name: given[name] for name in self.own.parameters if name in given})
        return self.function(*whole.args, **whole.kwargs)


def decorated_view(view: Any, *, login_type: type, position: int, example: str) -> DecoratedView:
    """Return how to call `view`; raise `ConfigError` if it can't be the view of a login.

    The login goes to the parameter that is annotated as `login_type` or called "login"; otherwise to the one at
    `position`, not counting `self`, if it has neither an annotation nor a default.
    """
    view = view.__func__ if isinstance(view, staticmethod) else view
    name = getattr(view, "__qualname__", None) or type(view).__qualname__
    if not callable(view) or inspect.isclass(view):
        what = (
            f"the class {name}: decorate its method" if callable(view) else f"{name}, which is not a function"
        )
        raise ConfigError(f"PostLogin decorates a view, not {what}.  Write {example}")
    if is_decorated(view):
        raise ConfigError(f"{name} is decorated by a PostLogin already: decorate it once")
    if (module := (getattr(view, "__module__", "") or "").partition(".")[0]) in _FRAMEWORKS:
        raise ConfigError(
            f"{name} is a part of {module} and not a view: put the route above @post_login. Write {example}"
        )
    if inspect.isgeneratorfunction(inspect.unwrap(view)) or inspect.isasyncgenfunction(inspect.unwrap(view)):
        raise ConfigError(f"{name} is a generator: a view returns one response when the login has ended")
    # A partial that Django's method_decorator makes names the method, whose `self` is bound already.
    own = _resolved(view, follow=False)
    seen = own if isinstance(view, partial) else _resolved(view, follow=True)
    login = _login_parameter(own, login_type, position)
    if login is None and any(p.kind is Parameter.VAR_KEYWORD for p in own.parameters.values()):
        login = _login_parameter(seen, login_type, position) or _LOGIN
    if login is None and all(p.kind is not Parameter.VAR_POSITIONAL for p in own.parameters.values()):
        raise ConfigError(f"{name} has no parameter for the login.  Write {example}")
    return DecoratedView(view, name, own, seen, login)


def check_function(function: object, called: str, arguments: Sequence[str]) -> None:
    """Raise `ConfigError` unless `function` can be called with these arguments; `called` is its name for messages."""
    if not callable(function):
        raise ConfigError(f"{called}= must be a function, not {type(function).__name__}")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some builtins have none
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        raise ConfigError(f"{called}= is called as {called}({', '.join(arguments)}): {error}") from None


def mark_decorated(wrapper: Callable[..., Any]) -> None:
    """Remember that this is the result of decorating a view."""
    setattr(wrapper, _MARK, True)


def is_decorated(view: object) -> bool:
    """Return whether `view` is the result of decorating a view."""
    return getattr(view, _MARK, None) is True  # a Mock has every attribute


def is_async(function: Callable[..., Any]) -> bool:
    """Return whether a call of `function`, which may be any callable, returns a coroutine."""
    while isinstance(function, partial):
        function = function.func
    called = getattr(function, "__call__", None)  # noqa: B004  # an object whose __call__ is async is a view too
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)


def without_self(signature: Signature) -> list[Parameter]:
    """Return the parameters, without the `self` of a method that is not bound yet."""
    parameters = list(signature.parameters.values())
    return parameters[1:] if parameters and parameters[0].name == "self" else parameters


def _login_parameter(signature: Signature, login_type: type, position: int) -> str | None:
    named = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
        and (_is_typed(parameter, login_type) or parameter.name == _LOGIN)
    ]
    if named:
        return min(named, key=lambda name: not _is_typed(signature.parameters[name], login_type))
    untyped = [parameter for parameter in without_self(signature) if parameter.kind in _POSITIONAL]
    candidate = untyped[position] if position < len(untyped) else None
    if (
        candidate is None
        or candidate.default is not Parameter.empty
        or not any(candidate.annotation is untyped for untyped in _UNTYPED)
    ):
        return None
    return candidate.name


def _is_typed(parameter: Parameter, login_type: type) -> bool:
    """Return whether a parameter is annotated as the login, or as `Login | None` or `Annotated[Login, ...]`."""
    return parameter.annotation is login_type or login_type in get_args(parameter.annotation)


def _resolved(view: Callable[..., Any], *, follow: bool) -> Signature:
    """Return a signature whose annotations are objects and not text, as far as the names in them can be found."""
    signature = inspect.signature(view, follow_wrapped=follow)
    unwrapped = inspect.unwrap(view)
    function: Any = unwrapped.func if isinstance(unwrapped, partial) else unwrapped
    known = getattr(function, "__globals__", None) or getattr(function.__call__, "__globals__", {})
    parameters = [
        parameter.replace(annotation=_evaluated(parameter.annotation, known))
        for parameter in signature.parameters.values()
    ]
    returned = _evaluated(signature.return_annotation, known)
    return signature.replace(parameters=parameters, return_annotation=returned)


def _evaluated(annotation: Any, known: Mapping[str, Any]) -> Any:
    """Return what an annotation that is text stands for, or the text itself if a name in it is not known."""
    if not isinstance(annotation, str):
        return annotation

    def holder() -> None: ...

    holder.__annotations__ = {"value": annotation}
    try:
        return get_type_hints(holder, dict(known), include_extras=True)["value"]
    except Exception:  # noqa: BLE001  # whatever evaluating it raises: frameworks leave such a name alone too
        return annotation
