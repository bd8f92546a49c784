"""The table of all routes, and the lookup of a route by its path."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from typing import Any
from urllib.parse import unquote_to_bytes

from auth0_meta.emulator import api
from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.auth import authorize, dbconnections, grants, ticket_pages, token


def _management_routes() -> Iterator[Route]:
    """Yield the routes of every file in `api/`, so that adding a file adds its endpoints."""
    for file in pkgutil.iter_modules(api.__path__):
        yield from getattr(import_module(f"{api.__name__}.{file.name}"), "ROUTES", ())


ROUTES: tuple[Route, ...] = (*_management_routes(), *token.ROUTES, *dbconnections.ROUTES)
"""The routes of the APIs, which OpenAPI describes."""
LOGIN_ROUTES: tuple[Route, ...] = (*authorize.ROUTES, *grants.ROUTES, *ticket_pages.ROUTES)
"""What a browser or an OpenID Connect library requests during a login; not part of the APIs."""
TABLE = ROUTES + LOGIN_ROUTES
ALL_SCOPES = tuple(
    dict.fromkeys(scope for route in TABLE for scope in route.scopes if ":current_user" not in scope)
)
"""Every scope that a route accepts, except those of users' own tokens, which no client is granted."""

_Tree = dict[str, Any]
_TREE: _Tree = {}
"""By method, then one level for each segment of the path; at its end, under "", the route and where its parameters are."""
for _route in TABLE:
    _node, _places = _TREE.setdefault(_route.method, {}), {}
    for _place, _segment in enumerate(_route.template.split("/")[1:]):
        if _segment.startswith("{"):
            _places[_segment[1:-1]] = _place
        _node = _node.setdefault("{}" if _segment.startswith("{") else _segment, {})
    _node[""] = _route, _places


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route and the decoded parameters in the path, None if no route serves it.

    The path is matched while still encoded, so that an id may hold an encoded slash.  An empty segment matches nothing:
    Auth0 does not serve the paths that an AUTH0_DOMAIN with a slash at its end leads to (reported).

    >>> found = find("PATCH", "/api/v2/users/auth0%7C1")
    >>> found and found[1]
    {'id': 'auth0|1'}
    """
    segments = path.removesuffix("/").split("/")[1:]
    node = _TREE.get("GET" if method == "HEAD" else method, {})
    for segment in segments:
        # A literal segment comes before a parameter.
        node = node.get(segment) or node.get("{}") if segment else None
        if node is None:
            return None
    if "" not in node:
        return None
    route, places = node[""]
    return route, {
        name: unquote_to_bytes(segments[place]).decode("utf-8", "replace") for name, place in places.items()
    }
