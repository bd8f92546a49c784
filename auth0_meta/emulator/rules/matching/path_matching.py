"""Match a request by its path: by a route's template, a whole path, or a prefix."""

from __future__ import annotations

from urllib.parse import unquote


def path_matches(wanted: str, *, route: str, path: str) -> bool:
    """Return whether `wanted` matches a request with this route (a template) and this path (as it was sent).

    If `wanted` ends in `/` or `*`, it is a prefix.  Anything else is a template or a whole path, encoded or not.

    >>> path_matches("/api/v2/users", route="/api/v2/users/{id}", path="/api/v2/users/auth0%7C1")
    False
    >>> path_matches("/api/v2/users/*", route="/api/v2/users/{id}", path="/api/v2/users/auth0%7C1")
    True
    >>> path_matches("/api/v2/users/auth0|1", route="/api/v2/users/{id}", path="/api/v2/users/auth0%7C1")
    True
    """
    if wanted.endswith(("/", "*")):
        return path.startswith(wanted.removesuffix("*"))
    return wanted in (route, path) or (wanted != route and unquote(wanted) == unquote(path))
