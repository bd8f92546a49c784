"""Recognize addresses that only this machine can reach, and the names of a tenant."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection

# Nothing but a name or an address and a port, so that no two programs can read the same text differently.
_URL = re.compile(
    r"(https?)://(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(?::([0-9]{1,5}))?([/?][!-~]*)?", re.IGNORECASE
)


def is_loopback(host: str) -> bool:
    """Return whether `host` is `localhost` or a loopback address, which only this machine can reach.

    >>> is_loopback("127.0.0.1"), is_loopback("[::1]"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_loopback_url(url: str, *, origin: bool = False) -> bool:
    """Return whether a browser that visits `url` stays on this machine; as an `origin` it must have no path.

    Browsers resolve every name below `localhost` to loopback.

    >>> is_loopback_url("http://app.localhost:3000/callback?x=1"), is_loopback_url("http://[::1]evil.example/")
    (True, False)
    """
    found = _URL.fullmatch(url)
    if found is None or "\\" in url or "#" in url:
        return False
    _, host, port, rest = found.groups()
    return (
        (is_loopback(host) or host.lower().endswith(".localhost"))
        and int(port or 0) < 65_536
        and not (origin and rest)
    )


def is_served(netloc: str, hosts: Collection[str]) -> bool:
    """Return whether `netloc`, a host with or without a port, is one of `hosts`.

    >>> is_served("LOCALHOST:9000", {"localhost"}), is_served("localhost.example:80", {"localhost"})
    (True, False)
    """
    netloc = netloc.lower()
    name, _, port = netloc.rpartition(":")
    return netloc in hosts or (port.isdigit() and name in hosts)
