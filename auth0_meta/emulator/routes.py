"""The table of all routes, and the lookup of a route by its path."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from urllib.parse import unquote

from auth0_meta.emulator import api
from auth0_meta.emulator.api.route import Route
from auth0_meta.emulator.auth import authorize, dbconnections, grants, token


def _management_routes() -> Iterator[Route]:
    """Yield the routes of every file in `api/`, so that adding a file adds its endpoints."""
    for file in pkgutil.iter_modules(api.__path__):
        yield from getattr(import_module(f"{api.__name__}.{file.name}"), "ROUTES", ())


ROUTES: tuple[Route, ...] = (*_management_routes(), *token.ROUTES, *dbconnections.ROUTES)
"""The routes of the APIs, which OpenAPI describes."""
LOGIN_ROUTES: tuple[Route, ...] = (*authorize.ROUTES, *grants.ROUTES)
"""What a browser or an OpenID Connect library requests during a login; not part of the APIs."""
TABLE = ROUTES + LOGIN_ROUTES
ALL_SCOPES = tuple(
    dict.fromkeys(scope for route in TABLE for scope in route.scopes if ":current_user" not in scope)
)
"""Every scope that a route accepts, except those of users' own tokens, which no client is granted."""

_PATTERNS: dict[tuple[str, int], list[tuple[re.Pattern[str], Route]]] = {}
"""By method and number of slashes; a literal segment comes before a parameter, because `{` sorts after letters."""
for _route in sorted(TABLE, key=lambda route: route.template):
    _path = _route.template.strip("/")
    _pattern = re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(_path)))
    _PATTERNS.setdefault((_route.method, _path.count("/")), []).append((_pattern, _route))


def find(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the route and the decoded parameters in the path, None if no route serves it.

    The path is matched while still encoded, so that an id may hold an encoded slash.

    >>> found = find("PATCH", "/api/v2/users/auth0%7C1")
    >>> found and found[1]
    {'id': 'auth0|1'}
    """
    path = path.strip("/")
    for pattern, route in _PATTERNS.get(("GET" if method == "HEAD" else method, path.count("/")), ()):
        if match := pattern.fullmatch(path):
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
    return None
