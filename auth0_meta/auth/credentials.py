"""Choose where tokens come from: the credentials that the caller passes, or the environment's."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from auth0_meta.arguments import is_invisible, trimmed
from auth0_meta.auth.advice import CANONICAL
from auth0_meta.auth.tokens import Budget, CalledToken, FetchedToken, GivenToken, TokenSource
from auth0_meta.clock import Clock
from auth0_meta.errors import ConfigError

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MANAGEMENT = "/api/v2/"


def audience_of(base: str, given: str | None) -> str:
    """Return the audience that tokens are requested for: `given`, else the Management API of the tenant at `base`.

    Raises `ConfigError` for the audience of another API.

    >>> audience_of("https://tenant.eu.auth0.com", None)
    'https://tenant.eu.auth0.com/api/v2/'
    """
    given = _trimmed(given)
    if not given:
        return f"https://{urlsplit(base).netloc}{_MANAGEMENT}"
    if not (isinstance(given, str) and given.endswith(_MANAGEMENT)):
        msg = (
            f"audience {given!r} is not the Management API's (nothing was sent). "
            f"Leave it out, or with a custom domain pass {CANONICAL!r}"
        )
        raise ConfigError(msg)
    return given


def token_source(
    exchange: Callable[[Mapping[str, str], Mapping[str, str], Any], Mapping[str, Any]],
    *,
    clock: Clock,
    issuer: str,
    audience: str,
    client_id: str | None,
    client_secret: str | None,
    token: str | Callable[[], str] | None,
    private_key: str | bytes | None,
    key_id: str | None,
    algorithm: str,
) -> tuple[str, TokenSource]:
    """Return a name for the credentials, and the source of their tokens; exactly one kind may be given.

    `exchange(application, proof, budget)` sends a token request.  Raises `ConfigError`.
    """
    secret = _credential("client_secret", client_secret)
    given = {"token": _trimmed(token), "client_secret": secret, "private_key": _trimmed(private_key)}
    kinds = [name for name, value in given.items() if value]
    if len(kinds) != 1:
        got = " and ".join(kinds) or "none of them"
        msg = f"pass exactly one of token, client_secret and private_key (the last two with client_id); got {got}"
        raise ConfigError(msg)
    if token and kinds == ["token"]:
        return "given token", CalledToken(token) if callable(token) else GivenToken(token)
    ident = _credential("client_id", client_id)
    if not ident:
        raise ConfigError(f"{kinds[0]} needs client_id too")
    application = {"client_id": ident, "audience": audience}
    if secret:
        form = {"client_secret": secret}
        return "client credentials", FetchedToken(
            lambda budget: exchange(application, form, budget), clock=clock
        )
    from auth0_meta.auth import jwt  # noqa: PLC0415  # python-jose loads on use
    from auth0_meta.auth.private_key import signing_key  # noqa: PLC0415

    sign = partial(
        jwt.client_assertion,
        client_id=ident,
        issuer=issuer,
        private_key=signing_key(private_key),
        algorithm=algorithm,
        key_id=_credential("key_id", key_id),
    )
    sign(now=0, jti="-")  # what can't sign fails here, before the first request

    def signed(budget: Budget) -> Mapping[str, Any]:
        assertion = sign(now=int(clock.time()), jti=os.urandom(16).hex())
        proof = {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}
        return exchange(application, proof, budget)

    return "private key JWT", FetchedToken(signed, clock=clock)


def _trimmed(value: Any) -> Any:
    """Return a text without the invisible characters at its ends, and anything else as it is."""
    return trimmed(value) if isinstance(value, str) else value


def _credential(name: str, value: object) -> str | None:
    """Return a credential without what files and secret stores add at its ends, None if nothing is left.

    Raises `ConfigError` for what Auth0 would refuse as a wrong credential, without a word about the reason.
    """
    text = _trimmed(value)
    if not text:
        return None
    if not isinstance(text, str):
        raise ConfigError(f"{name} must be a string, not {type(text).__name__} (nothing was sent)")
    if any(is_invisible(character) for character in text if character != " " or name == "client_id"):
        msg = f"{name} contains white space or an invisible character: copy it from Auth0's dashboard again (nothing was sent)"
        raise ConfigError(msg)
    # Auth0's ids contain no quotes, and who copies one of them with the id does so with the secret.
    if name == "client_id" and {text[0], text[-1]} & set("\"'"):
        msg = "client_id is in quotes: pass it without them, and the other credentials too (nothing was sent)"
        raise ConfigError(msg)
    return text


def from_environment(settings: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the domain and the client's settings; given ones win over AUTH0_*.

    Raises `ConfigError` that names what is missing.
    """
    settings = {name: _trimmed(value) for name, value in settings.items()}
    domain = settings.pop("domain", None) or _env("AUTH0_DOMAIN")
    if not domain:
        msg = "AUTH0_DOMAIN is not set: set it to your tenant's domain, such as tenant.eu.auth0.com"
        raise ConfigError(msg)
    if not any(settings.get(name) for name in ("token", "client_secret", "private_key")):
        if _env("AUTH0_API_TOKEN"):
            settings["token"] = _env("AUTH0_API_TOKEN")
        else:
            settings["client_id"] = settings.get("client_id") or _env("AUTH0_CLIENT_ID")
            settings["client_secret"] = _env("AUTH0_CLIENT_SECRET")
            needed = ("client_id", "client_secret")
            missing = [f"AUTH0_{name.upper()}" for name in needed if not settings[name]]
            if missing:
                are, them = ("are", "both") if len(missing) > 1 else ("is", "it")
                raise ConfigError(
                    f"{' and '.join(missing)} {are} not set: set {them}, or AUTH0_API_TOKEN instead"
                )
    elif not settings.get("token"):
        settings["client_id"] = settings.get("client_id") or _env("AUTH0_CLIENT_ID")
    if not settings.get("audience"):
        settings["audience"] = _environments_audience(fetched=not settings.get("token"))
    if not settings.get("custom_domain"):
        settings["custom_domain"] = _env("AUTH0_CUSTOM_DOMAIN")
    return domain, settings


def _env(name: str) -> str:
    """Return an environment variable; one that is not set, or has nothing that can be seen, is empty."""
    return trimmed(os.environ.get(name, ""))


def _environments_audience(*, fetched: bool) -> str | None:
    """Return AUTH0_AUDIENCE, None if it is not set.

    Many applications use that name for an API of their own.  Such a value matters only to a token that is fetched:
    then it raises `ConfigError` rather than being sent to Auth0, which would answer "Bad audience".
    """
    given = _env("AUTH0_AUDIENCE")
    if not given or given.endswith(_MANAGEMENT):
        return given or None
    if not fetched:
        return None
    msg = (
        f"AUTH0_AUDIENCE is {given!r}, which is not the Management API (nothing was sent). Unset it, or with a custom "
        f"domain set it to {CANONICAL!r}. If it names your own API, pass audience= to from_env"
    )
    raise ConfigError(msg)
