"""Where a browser may be sent after a login or a logout."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

from auth0_meta.actions.redirect import is_clean
from auth0_meta.errors import ConfigError, InputError
from auth0_meta.http.transport import base_url
from auth0_meta.redact import discreet


@discreet
class ReturnUrls:
    """The URLs that browsers may return to: paths of the application itself, and the absolute URLs that are listed.

    A URL must equal a listed one as a whole, as with Auth0's own lists.  `home` replaces any other URL.
    Raises `ConfigError` for a `home` that is neither a path nor listed, and for a listed URL that is not
    absolute.

    >>> urls = ReturnUrls("https://app.example.com/welcome", home="/profile")
    >>> urls.pick("/orders?page=2"), urls.pick("https://evil.example/"), urls.pick("//evil.example/")
    ('/orders?page=2', '/profile', '/profile')
    """

    def __init__(self, *listed: str, home: str = "/") -> None:
        for url in listed:
            if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
                msg = f"{url!r} is not absolute: list absolute URLs only; paths of the application are always allowed"
                raise ConfigError(msg)
        self._listed = frozenset(listed)
        self.home = home
        """Where to go without a URL, or with one that is not allowed."""
        if home not in self:
            raise ConfigError(f"home={home!r} is neither a path of the application nor a listed URL")

    def __contains__(self, url: object) -> bool:
        if not isinstance(url, str):
            return False
        return url in self._listed or (is_clean(url) and url.startswith("/") and not url.startswith("//"))

    def pick(self, url: str | None, /) -> str:
        """Return `url` if it is allowed, otherwise `home`."""
        return url if url is not None and url in self else self.home

    def logout(self, domain: str, /, *, client_id: str, return_to: str) -> str:
        """Return the URL that ends Auth0's session and then leads to `return_to`, which must be listed.

        Raises `InputError` if it is not listed.  Source: Auth0 docs, "Log users out of Auth0".

        >>> ReturnUrls("https://app.example.com/").logout("t.auth0.com", client_id="c", return_to="https://app.example.com/")
        'https://t.auth0.com/v2/logout?client_id=c&returnTo=https%3A%2F%2Fapp.example.com%2F'
        """
        if return_to not in self._listed:
            msg = "return_to is not a listed URL: list it here, and in the application's settings at Auth0"
            raise InputError(msg)
        return f"{base_url(domain)}/v2/logout?{urlencode({'client_id': client_id, 'returnTo': return_to})}"
