"""An application as a login sees it: a read-only view of a client's document, and which addresses it may use.

The documents of the Management API are the only registry of clients; `Application.of` reads one.  A client that the API
made is held to what it lists, as in Auth0.  One that Python code registered has `LOCAL` in its document: what it does
not list is open as far as it is safe on one machine, so no `callbacks` means any address on loopback, no `grant_types`
every grant, and no `token_endpoint_auth_method` every way to authenticate.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from auth0_meta.emulator.rules.loopback import is_loopback_url

Document = Mapping[str, Any]
LOCAL = "local_tenant"
"""The attribute of a client's document with what Auth0 does not have; no response shows it."""
_PLACEHOLDERS = ("*", "{organization_name}")
# At least two labels must follow the placeholder's, so neither `https://*.com` nor `https://*` matches anything.
_PATTERN = re.compile(
    r"(?P<head>https?://[a-z0-9-]*)(?P<placeholder>\*|\{organization_name\})"
    r"(?P<tail>[a-z0-9-]*(?:\.[a-z0-9-]+){2,}(?::\d+)?(?:[/?#][^*{}]*)?)",
    re.IGNORECASE,
)


@attrs.frozen(kw_only=True)
class Application:
    """A client, registered or not; `document` is what the Management API shows of it."""

    client_id: str
    name: str = ""
    metadata: Mapping[str, Any] = attrs.field(factory=dict)
    secret: str | None = attrs.field(default=None, repr=False)
    """Its secret; without one, nothing but a key can authenticate it."""
    public_keys: tuple[str, ...] = attrs.field(default=(), repr=False)
    """The keys, in PEM, that verify its assertions."""
    auth_method: str | None = None
    """How it authenticates at the token endpoint ("none" for a public client), None for any way."""
    grant_types: frozenset[str] | None = None
    """The grants that it may use, None for all."""
    callbacks: tuple[str, ...] | None = None
    """The addresses to which a login may send the browser, None for any on loopback."""
    logout_urls: tuple[str, ...] | None = None
    """The addresses to which a logout may send it, None for any on loopback."""
    web_origins: tuple[str, ...] = ()
    """The origins that may receive the response of a login as a message (`response_mode=web_message`)."""
    allowed_origins: tuple[str, ...] = ()
    """The origins whose scripts may call the Authentication API (CORS), besides those of its callbacks."""
    organization_usage: str = "deny"
    organization_require_behavior: str = "no_prompt"
    default_organization: str | None = None
    """The organization of its tokens as a machine, where an API requires one and none is named."""
    refresh_token: Mapping[str, Any] = attrs.field(factory=dict)
    """Rotation and lifetimes of its refresh tokens, in the words of the Management API."""
    id_token_lifetime: int = 36_000
    signing_algorithm: str = "RS256"
    first_party: bool = True
    scopes: tuple[str, ...] | None = None
    """The scopes of the Management API that it has without a client grant, None for all; Auth0 has no such clients."""
    lenient: bool = False
    """Whether any secret is right, and any scope of any API granted."""

    @classmethod
    def of(cls, document: Document, *, strict: bool = False) -> Application:
        """Return the view of a client's document; in a `strict` tenant nothing is lenient.

        >>> Application.of({"client_id": "a", "callbacks": ["https://app.test/cb"]}).callbacks
        ('https://app.test/cb',)
        """
        local = _object(document, LOCAL)
        keys = _object(_object(document, "client_authentication_methods"), "private_key_jwt")
        any_of = None if local else ()

        def listed(name: str) -> tuple[str, ...] | None:
            return _texts(document[name]) if name in document else any_of

        grants = listed("grant_types")
        scopes = local.get("scopes") if local else ()
        return cls(
            client_id=document["client_id"],
            name=str(document.get("name", "")),
            metadata=_object(document, "client_metadata"),
            secret=document.get("client_secret"),
            public_keys=tuple(
                key["pem"] for key in keys.get("credentials", ()) if isinstance(key, dict) and "pem" in key
            ),
            auth_method="private_key_jwt" if keys else document.get("token_endpoint_auth_method"),
            grant_types=None if grants is None else frozenset(grants),
            callbacks=listed("callbacks"),
            logout_urls=listed("allowed_logout_urls"),
            web_origins=_texts(document.get("web_origins")),
            allowed_origins=_texts(document.get("allowed_origins")),
            organization_usage=document.get("organization_usage") or ("allow" if local else "deny"),
            organization_require_behavior=document.get("organization_require_behavior") or "no_prompt",
            default_organization=_object(document, "default_organization").get("organization_id"),
            refresh_token=_object(document, "refresh_token"),
            id_token_lifetime=_object(document, "jwt_configuration").get("lifetime_in_seconds") or 36_000,
            signing_algorithm=_object(document, "jwt_configuration").get("alg") or "RS256",
            first_party=document.get("is_first_party", True),
            scopes=None if scopes is None else tuple(scopes),
            lenient=not strict and local.get("lenient", False),
        )

    @property
    def public(self) -> bool:
        """Return whether it can't keep a secret, and so relies on PKCE."""
        if self.auth_method is None:
            return self.lenient or not (self.secret or self.public_keys)
        return self.auth_method == "none"

    @property
    def id_token_secret(self) -> str | None:
        """Return the secret that signs its ID tokens, None for the tenant's key, as always for a public client."""
        return self.secret if self.signing_algorithm == "HS256" and not self.public else None

    def accepts(self, secret: str) -> bool:
        """Return whether this is its secret; one without a secret can't authenticate with any."""
        if self.auth_method in ("none", "private_key_jwt") or not secret:
            return False
        return self.lenient or secret == self.secret

    def grants(self, grant_type: str) -> bool:
        """Return whether it may use this grant."""
        return self.grant_types is None or grant_type in self.grant_types

    def may_return_to(self, url: str, organization: str | None = None) -> bool:
        """Return whether a login may send the browser to `url`; an `organization`'s name fills its placeholder."""
        if (self.callbacks is None or self.lenient) and is_loopback_url(url):
            return True
        name = organization if self.organization_usage != "deny" else None
        return any(matches(listed, url, name) for listed in self.callbacks or ())

    def may_log_out_to(self, url: str) -> bool:
        """Return whether a logout may send the browser to `url`."""
        return logout_allowed(self.logout_urls, url)

    def allows_origin(self, origin: str) -> bool:
        """Return whether scripts of this origin may call the Authentication API: it is listed, or a callback's."""
        listed = (*self.allowed_origins, *self.web_origins, *map(origin_of, self.callbacks or ()))
        return any(matches(each, origin) for each in listed)

    def allows_message_to(self, origin: str) -> bool:
        """Return whether a login may send its response to a page of this origin as a message."""
        if (self.callbacks is None or self.lenient) and is_loopback_url(origin):
            return True
        return any(matches(each, origin) for each in self.web_origins)


def unregistered(client_id: str) -> Application:
    """Return what a tenant that is not strict takes an unknown client for: one that may do anything."""
    return Application(client_id=client_id, name=client_id, organization_usage="allow", lenient=True)


def logout_allowed(listed: Sequence[str] | None, url: str) -> bool:
    """Return whether a list of logout addresses has `url`, whatever its query and fragment (documented)."""
    if listed is None:
        return is_loopback_url(url)
    wanted = without_query(url)
    return any(matches(without_query(each), wanted) for each in listed)


def matches(listed: str, url: str, organization: str | None = None) -> bool:
    """Return whether a listed address, which may have a placeholder in its first label, allows `url`.

    Addresses must be equal, but for the case of scheme and host.  `*` stands for one label of a host or a part of it,
    `{organization_name}` for the name of the login's organization.
    Source: Auth0 docs, "Subdomain URL Placeholders" and "Redirect Users with Alternative Logout".

    >>> matches("https://*.app.test/cb", "https://a.app.test/cb"), matches("https://*.app.test", "https://a.b.app.test")
    (True, False)
    """
    listed, url = _folded(listed), _folded(url)
    if not any(placeholder in listed for placeholder in _PLACEHOLDERS):
        return listed == url
    found = _PATTERN.fullmatch(listed)
    if found is None:
        return False
    head, placeholder, tail = found.group("head", "placeholder", "tail")
    if placeholder == "*":
        within = url[len(head) : len(url) - len(tail)]
        return re.fullmatch("[a-z0-9-]+", within) is not None and url == head + within + tail
    alone = head.endswith("//") and tail.startswith(".")
    return alone and organization is not None and url == f"{head}{organization}{tail}"


def origin_of(url: str) -> str:
    """Return the origin of an address: scheme, host and port.

    >>> origin_of("https://app.test:3000/cb?a=b")
    'https://app.test:3000'
    """
    scheme, separator, rest = url.partition("://")
    return scheme + separator + re.split("[/?#]", rest, maxsplit=1)[0]


def _folded(url: str) -> str:
    """Return an address with scheme and host in lower case."""
    origin = origin_of(url)
    return origin.lower() + url[len(origin) :]


def without_query(url: str) -> str:
    """Return an address without its query and fragment."""
    return re.split("[?#]", url, maxsplit=1)[0]


def _object(document: Document, name: str) -> Mapping[str, Any]:
    """Return an attribute that is an object, `{}` where it is absent or anything else."""
    value = document.get(name)
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
