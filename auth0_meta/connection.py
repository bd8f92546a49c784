"""Connect to one tenant: make the channel that a client's settings and credentials describe."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from auth0_meta.arguments import callback, whole
from auth0_meta.auth.advice import advice_for
from auth0_meta.auth.credentials import audience_of, token_source
from auth0_meta.auth.tokens import TokenSource
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import ConfigError
from auth0_meta.http.budget import check_timeout, check_wait
from auth0_meta.http.channel import Channel
from auth0_meta.http.headers import check_custom_domain
from auth0_meta.http.reports import Reports
from auth0_meta.http.sender import Parts, Sender
from auth0_meta.http.token_endpoint import exchange
from auth0_meta.http.transport import Transport, base_url
from auth0_meta.models import RequestInfo, Wait
from auth0_meta.ratelimit.plans import RateLimit
from auth0_meta.ratelimit.throttle import Throttle

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter


class ClientSettings(TypedDict, total=False):
    """The keyword arguments of `ManagementClient`, which explains each of them, for functions that pass them on."""

    client_id: str | None
    client_secret: str | None
    token: str | Callable[[], str] | None
    private_key: str | bytes | None
    key_id: str | None
    algorithm: str
    audience: str | None
    custom_domain: str | None
    max_wait: float | None
    failure_wait: float | None
    timeout: float | tuple[float, float]
    rate_limit: RateLimit | str | None
    on_wait: Callable[[Wait], object] | None
    on_request: Callable[[RequestInfo], object] | None
    pool_size: int
    adapter: BaseAdapter | None
    clock: Clock
    random: Random | None


class Connection(NamedTuple):
    """One tenant's channel, and the facts about it that a client shows."""

    channel: Channel
    base: str
    audience: str
    kind: str
    """The kind of the credentials."""

    def __repr__(self) -> str:
        return f"{self.base}, {self.kind}"


def connect(
    domain: str,
    *,
    client_id: str | None = None,
    client_secret: str | None = None,
    token: str | Callable[[], str] | None = None,
    private_key: str | bytes | None = None,
    key_id: str | None = None,
    algorithm: str = "RS256",
    audience: str | None = None,
    custom_domain: str | None = None,
    max_wait: float | None = 900.0,
    failure_wait: float | None = 30.0,
    timeout: float | tuple[float, float] = (3.05, 30.0),
    rate_limit: RateLimit | str | None = None,
    on_wait: Callable[[Wait], object] | None = None,
    on_request: Callable[[RequestInfo], object] | None = None,
    pool_size: int = 64,
    adapter: BaseAdapter | None = None,
    clock: Clock = SYSTEM_CLOCK,
    random: Random | None = None,
) -> Connection:
    """Make a channel, with the arguments of `ManagementClient`; nothing is sent yet.  Raises `ConfigError`."""
    whole("pool_size", pool_size, error=ConfigError)
    seconds = check_timeout(timeout)
    base = base_url(domain)
    canonical = audience_of(base, audience)
    jitter = random or Random()
    parts = Parts(
        Transport(base, timeout=seconds, pool_size=pool_size, adapter=adapter),
        Throttle(clock=clock, random=jitter, rate_limit=rate_limit),
        clock,
        jitter,
        advice_for(token=bool(token), private_key=bool(private_key), audience=bool(audience)),
        Reports(clock),
        check_custom_domain(custom_domain),
    )
    kind, tokens = token_source(
        partial(exchange, Sender(parts, TokenSource())),
        clock=clock,
        issuer=f"{base}/",
        audience=canonical,
        client_id=client_id,
        client_secret=client_secret,
        token=token,
        private_key=private_key,
        key_id=key_id,
        algorithm=algorithm,
    )
    channel = Channel(
        parts,
        tokens,
        max_wait=check_wait("max_wait", max_wait),
        failure_wait=check_wait("failure_wait", failure_wait),
        timeout=seconds,
        on_wait=callback("on_wait", on_wait, error=ConfigError),
        on_request=callback("on_request", on_request, error=ConfigError),
        pool_size=pool_size,
        reseed=random is None,
    )
    return Connection(channel, base, canonical, kind)
