"""Choose where tokens come from: the credentials that the caller passes, or the environment's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from auth0_meta.auth.tokens import Budget, CalledToken, FetchedToken, GivenToken, TokenSource
from auth0_meta.clock import Clock
from auth0_meta.errors import ConfigError

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MANAGEMENT = "/api/v2/"
_CANONICAL = f"https://YOUR_TENANT.REGION.auth0.com{_MANAGEMENT}"


def audience_of(base: str, given: str | None) -> str:
    """Return the audience that tokens are requested for: `given`, else the Management API of the tenant at `base`.

    Raises `ConfigError` for the audience of another API.

    >>> audience_of("https://tenant.eu.auth0.com", None)
    'https://tenant.eu.auth0.com/api/v2/'
    """
    if not given:
        return f"https://{urlsplit(base).netloc}{_MANAGEMENT}"
    if not (isinstance(given, str) and given.endswith(_MANAGEMENT)):
        msg = (
            f"audience {given!r} is not the Management API's (nothing was sent). "
            f"Leave it out, or with a custom domain pass {_CANONICAL!r}"
        )
        raise ConfigError(msg)
    return given


def token_source(
    exchange: Callable[[Mapping[str, str], Any], Mapping[str, Any]],
    *,
    clock: Clock,
    issuer: str,
    client_id: str | None,
    client_secret: str | None,
    token: str | Callable[[], str] | None,
    private_key: str | None,
    key_id: str | None,
    algorithm: str,
) -> tuple[str, TokenSource]:
    """Return a name for the credentials, and the source of their tokens; exactly one kind may be given.

    `exchange(proof, budget)` sends a token request.  Raises `ConfigError`.
    """
    kinds = [
        n for n, v in (("token", token), ("client_secret", client_secret), ("private_key", private_key)) if v
    ]
    if len(kinds) != 1:
        got = " and ".join(kinds) or "none of them"
        msg = f"pass exactly one of token, client_secret and private_key (the last two with client_id); got {got}"
        raise ConfigError(msg)
    if token:
        return "given token", CalledToken(token) if callable(token) else GivenToken(token)
    if not client_id or not isinstance(client_id, str):
        raise ConfigError(f"{kinds[0]} needs client_id too")
    if client_secret:
        form = {"client_secret": client_secret}
        return "client credentials", FetchedToken(lambda budget: exchange(form, budget), clock=clock)
    assert private_key is not None  # noqa: S101  # the only kind left
    from auth0_meta.auth import jwt  # noqa: PLC0415  # python-jose loads on use

    sign = partial(
        jwt.client_assertion,
        client_id=client_id,
        issuer=issuer,
        private_key=private_key,
        algorithm=algorithm,
        key_id=key_id,
    )
    sign(now=0, jti="-")  # a key that can't sign fails here, before the first request

    def signed(budget: Budget) -> Mapping[str, Any]:
        assertion = sign(now=int(clock.time()), jti=os.urandom(16).hex())
        return exchange({"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}, budget)

    return "private key JWT", FetchedToken(signed, clock=clock)


def from_environment(settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the domain and the client's settings; given ones win over AUTH0_*.

    Raises `ConfigError` that names what is missing.
    """
    env = os.environ.get
    domain = settings.pop("domain", None) or env("AUTH0_DOMAIN")
    if not domain:
        msg = "AUTH0_DOMAIN is not set: set it to your tenant's domain, such as tenant.eu.auth0.com"
        raise ConfigError(msg)
    if not any(settings.get(name) for name in ("token", "client_secret", "private_key")):
        if env("AUTH0_API_TOKEN"):
            settings["token"] = env("AUTH0_API_TOKEN")
        else:
            settings["client_id"] = settings.get("client_id") or env("AUTH0_CLIENT_ID")
            settings["client_secret"] = env("AUTH0_CLIENT_SECRET")
            needed = ("client_id", "client_secret")
            missing = [f"AUTH0_{name.upper()}" for name in needed if not settings[name]]
            if missing:
                raise ConfigError(f"{' and '.join(missing)} not set: set what is missing, or AUTH0_API_TOKEN")
    elif not settings.get("token"):
        settings["client_id"] = settings.get("client_id") or env("AUTH0_CLIENT_ID")
    if not settings.get("audience"):
        settings["audience"] = _environments_audience(fetched=not settings.get("token"))
    return domain, settings


def _environments_audience(*, fetched: bool) -> str | None:
    """Return AUTH0_AUDIENCE, None if it is not set.

    Many applications use that name for an API of their own.  Such a value matters only to a token that is fetched:
    then it raises `ConfigError` rather than being sent to Auth0, which would answer "Bad audience".
    """
    given = os.environ.get("AUTH0_AUDIENCE")
    if not given or given.endswith(_MANAGEMENT):
        return given or None
    if not fetched:
        return None
    msg = (
        f"AUTH0_AUDIENCE is {given!r}, which is not the Management API (nothing was sent). Unset it, or with a custom "
        f"domain set it to {_CANONICAL!r}. If it names your own API, pass audience= to from_env"
    )
    raise ConfigError(msg)
