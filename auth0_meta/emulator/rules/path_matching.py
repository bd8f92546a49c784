"""Tell which requests a path means: a route by its template, one path, or everything below a prefix."""

from __future__ import annotations

from urllib.parse import unquote


def addressed(wanted: str, *, route: str, path: str) -> bool:
    """Tell whether a request is meant; `route` is the template that it matched, `path` as it was sent.

    What ends in `/` or `*` is a prefix.  Anything else is a template or a whole path, encoded or not.

    >>> addressed("/api/v2/users", route="/api/v2/users/{id}", path="/api/v2/users/auth0%7C1")
    False
    >>> addressed("/api/v2/users/*", route="/api/v2/users/{id}", path="/api/v2/users/auth0%7C1")
    True
    >>> addressed("/api/v2/users/auth0|1", route="/api/v2/users/{id}", path="/api/v2/users/auth0%7C1")
    True
    """
    if wanted.endswith(("/", "*")):
        return path.startswith(wanted.removesuffix("*"))
    return wanted in (route, path) or (wanted != route and unquote(wanted) == unquote(path))
