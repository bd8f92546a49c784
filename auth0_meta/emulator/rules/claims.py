"""The custom claims that Auth0 adds to a token, and those that it ignores.

Source: Auth0 docs, "Create Custom Claims" and "Migrate Custom Claims".  The trigger's own table is another one: if both
were the same, no test would ever reveal a mistake in it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from auth0_meta.emulator.rules.loopback import is_served

_PROTOCOL = (
    # OpenID Connect, OAuth 2 and JSON Web Tokens
    *("acr", "act", "amr", "at_hash", "ath", "aud", "auth_time", "authorization_details", "azp", "c_hash"),
    *("client_id", "cnf", "cty", "events", "exp", "htm", "htu", "iat", "iss", "jku", "jti", "jwe", "jwk"),
    *("kid", "may_act", "nbf", "nonce", "s_hash", "scope", "sid", "sub", "sub_jwk", "toe", "txn", "typ"),
    *("vot", "vtm", "x5t#S256"),
    # telephony and others of the IANA registry
    *("attest", "dest", "entitlements", "groups", "jcard", "mky", "orig", "origid", "roles", "rph"),
    *("sip_callid", "sip_cseq_num", "sip_date", "sip_from_tag", "sip_via_branch", "uuid"),
    # Auth0's own
    *("active", "gty", "internalService", "object_id", "org_id", "org_name", "permissions"),
)
_PROFILE = {
    **dict.fromkeys(("email", "email_verified"), "email"),
    **dict.fromkeys(("phone_number", "phone_number_verified"), "phone"),
    "address": "address",
    **dict.fromkeys(("name", "given_name", "family_name", "middle_name", "nickname"), "profile"),
    **dict.fromkeys(("preferred_username", "profile", "picture", "website", "gender"), "profile"),
    **dict.fromkeys(("birthdate", "zoneinfo", "locale", "updated_at"), "profile"),
}
_DOMAINS = ("auth0.com", "webtask.io", "webtask.run")


def custom_claims(
    requested: Mapping[str, Any], *, scopes: tuple[str, ...], only_namespaced: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the claims that are added to a token, and why each of the others is ignored.

    `scopes`: what the login requested, for the claims of the user's profile.  `only_namespaced`: whether private names are
    ignored, as in an access token for an API of Auth0.

    >>> custom_claims({"roles": 1, "https://x.example/roles": 2, "none": None}, scopes=(), only_namespaced=False)
    ({'https://x.example/roles': 2}, {'roles': 'the name is restricted'})
    """
    added, ignored = {}, {}
    for name, value in requested.items():
        scheme, separator, _ = name.partition("://")
        namespaced = bool(separator) and scheme.lower() in ("http", "https")
        if name in _PROTOCOL:
            ignored[name] = "the name is restricted"
        elif _is_auth0s(name, namespaced=namespaced):
            ignored[name] = "the namespace is Auth0's"
        elif only_namespaced and not namespaced:
            ignored[name] = "the access token is for an API of Auth0, and the name has no namespace"
        elif _PROFILE.get(name, "openid") not in (*scopes, "openid"):
            ignored[name] = f"the scope {_PROFILE[name]} was not requested"
        elif value is not None:
            added[name] = value
    return added, ignored


def _is_auth0s(name: str, *, namespaced: bool) -> bool:
    if not namespaced:
        return name.lower().split(":")[:2] == ["urn", "auth0"]
    try:
        host = (urlsplit(name).hostname or "").rstrip(".")
    except ValueError:
        return False
    return any(host == domain or host.endswith(f".{domain}") for domain in _DOMAINS)


def is_auth0_api(audience: str, *, hosts: Collection[str]) -> bool:
    """Return whether an access token is for an API of Auth0 other than /userinfo: this tenant's, which has these hosts, or another one's.

    >>> is_auth0_api("https://tenant.eu.auth0.com/mfa/", hosts={"localhost"})
    True
    """
    base, _, _ = audience.removesuffix("/").partition("://")
    host, _, path = audience.removesuffix("/").removeprefix(f"{base}://").partition("/")
    of_auth0 = is_served(host, hosts) or host.lower().endswith((".auth0.com", ".auth0app.com"))
    return of_auth0 and base in ("http", "https") and path in ("api", "api/v2", "mfa")


def claims_size(claims: Mapping[str, Any]) -> int:
    """Return the bytes of claims, names included."""
    texts = (
        json.dumps(part, ensure_ascii=False, separators=(",", ":"))
        for item in claims.items()
        for part in item
    )
    return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
