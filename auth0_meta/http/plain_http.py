"""Decide where plain http and names without a dot are safe: on loopback, and as the environment allows."""

from __future__ import annotations

import ipaddress
import os
import re

from auth0_meta.errors import ConfigError

ALLOW_HTTP = "AUTH0_META_ALLOW_HTTP"
"""The variable that lists the names of local tenants that are not on loopback, such as `auth0` in a container."""
# A name as containers have them (with underscores too), an IPv4 address, or an IPv6 address in brackets; then a port.
_ENTRY = re.compile(
    r"(?P<host>[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?|\[[0-9a-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
)
_DEFAULT_PORT = 80
_LARGEST_PORT = 65_535


def is_loopback(host: str) -> bool:
    """Return whether `host` names this machine and nothing else.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost.example.com")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def may_be_plain(host: str, port: int | None) -> bool:
    """Return whether plain http may be used for a host (lower case, no brackets) and a port, None for the default one.

    Raises `ConfigError` if AUTH0_META_ALLOW_HTTP has to decide and has an entry that can't be used.
    """
    return is_loopback(host) or not _allowed().isdisjoint({(host, None), (host, port or _DEFAULT_PORT)})


def is_named_here(host: str) -> bool:
    """Return whether a name without a dot (lower case) is known: loopback, or listed, whatever its port.

    Raises `ConfigError` as `may_be_plain` does.
    """
    return is_loopback(host) or any(host == listed for listed, _ in _allowed())


def _allowed() -> set[tuple[str, int | None]]:
    """Return the hosts and ports that the environment lists; None is every port."""
    entries = os.environ.get(ALLOW_HTTP, "").replace(",", " ").split()
    return {_parsed(number, entry) for number, entry in enumerate(entries, 1)}


def _parsed(number: int, entry: str) -> tuple[str, int | None]:
    # The entry itself is not shown: it may be a URL with a password in it.
    match = _ENTRY.fullmatch(entry.lower())
    if match is None or not 0 < (port := int(match["port"] or _DEFAULT_PORT)) <= _LARGEST_PORT:
        msg = (
            f"entry {number} of {ALLOW_HTTP} is not a host name such as auth0 or auth0:8810, without scheme, "
            "path or wildcard (nothing was sent)"
        )
        raise ConfigError(msg)
    host = match["host"].strip("[]")
    if host == "auth0.com" or host.endswith(".auth0.com"):
        msg = f"entry {number} of {ALLOW_HTTP} is a name of Auth0, which has https (nothing was sent)"
        raise ConfigError(msg)
    return host, port if match["port"] else None
