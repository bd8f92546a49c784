"""The table of every route that is served, and how a path finds its own."""

from __future__ import annotations

import difflib
import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module
from urllib.parse import unquote

import attrs

from auth0_meta.emulator import api
from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.auth import authorize, dbconnections, grants, token
from auth0_meta.emulator.http.errors import Refusal, not_served


def _management_routes() -> Iterator[Route]:
    """Yield the routes of every file in `api/`, so that adding a file adds its endpoints."""
    for file in pkgutil.iter_modules(api.__path__):
        yield from getattr(import_module(f"{api.__name__}.{file.name}"), "ROUTES", ())


ROUTES: tuple[Route, ...] = (*_management_routes(), *token.ROUTES, *dbconnections.ROUTES)
"""The routes of the APIs, which OpenAPI describes."""
LOGIN_ROUTES: tuple[Route, ...] = (*authorize.ROUTES, *grants.ROUTES)
"""What a browser or an OpenID Connect library visits in a login; not part of the APIs."""
TABLE = ROUTES + LOGIN_ROUTES
ALL_SCOPES = tuple(
    dict.fromkeys(scope for route in TABLE for scope in route.scopes if ":current_user" not in scope)
)
"""Every scope that opens a route, but for those of users' own tokens: no client is granted these."""


@attrs.define
class _Node:
    """One step of a path: what may follow it, literally or as a parameter, and the routes that end here."""

    literal: dict[str, _Node] = attrs.field(factory=dict)
    parameter: _Node | None = None
    routes: dict[str, Route] = attrs.field(factory=dict)

    def add(self, route: Route) -> None:
        """Add a route below this step."""
        node = self
        for segment in _segments(route.template):
            if segment.startswith("{"):
                node.parameter = node = node.parameter or _Node()
            else:
                node = node.literal.setdefault(segment, _Node())
        node.routes[route.method] = route

    def find(self, segments: list[str], method: str, at: int = 0) -> tuple[Route, list[str]] | None:
        """Return the route and the values of its parameters; a literal segment wins over a parameter."""
        if at == len(segments):
            route = self.routes.get(method)
            return None if route is None else (route, [])
        segment = segments[at]
        node = self.literal.get(segment)
        found = None if node is None else node.find(segments, method, at + 1)
        if found is None and self.parameter is not None and segment:
            found = self.parameter.find(segments, method, at + 1)
            if found is not None:
                found[1].insert(0, segment)
        return found


def _segments(path: str) -> list[str]:
    """Split a path; a single trailing slash is ignored."""
    return path.strip("/").split("/") if path.endswith("/") else path.lstrip("/").split("/")


def _tree(routes: Iterable[Route]) -> _Node:
    root = _Node()
    for route in routes:
        root.add(route)
    return root


_ROOT = _tree(TABLE)
_NO_PARAMS: dict[str, str] = {}


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route and the decoded parameters in the path, None if no route serves it.

    The path is matched while still encoded, so that an id may hold an encoded slash.

    >>> found = find("PATCH", "/api/v2/users/auth0%7C1")
    >>> found and found[1]
    {'id': 'auth0|1'}
    """
    found = _ROOT.find(_segments(path), "GET" if method == "HEAD" else method)
    if found is None:
        return None
    route, values = found
    if not values:
        return route, _NO_PARAMS
    return route, dict(zip(route.parameters, map(unquote, values), strict=True))


def unserved(method: str, path: str) -> Refusal:
    """Return the refusal of what no route serves, with the nearest route that there is."""
    near = difflib.get_close_matches(path, [route.template for route in TABLE], n=1)
    methods = [route.method for route in TABLE if near and route.template == near[0]]
    nearest = f"{method if method in methods else ', '.join(methods)} {near[0]}" if near else ""
    return not_served(f"{method} {path}", nearest)
