"""Which custom claims Auth0 leaves out of its tokens, and how large they may be; PURE.

Source: Auth0 docs, "Create Custom Claims" and "Migrate Custom Claims" (read in November 2026).  Whether tenants with
custom user ids, in Early Access, may set `sub` is open: an example in their documentation does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from auth0_meta.checks.sizes import json_size

Kind = Literal["id_token", "access_token"]
CALLED: dict[Kind, str] = {"id_token": "ID token", "access_token": "access token"}
MAX_BYTES = 100 * 1024
"""What the custom claims of one token may have, names included.  Whether Auth0's KB has 1000 or 1024 bytes is not documented."""

_RESTRICTED = """
acr act active amr at_hash ath attest aud auth_time authorization_details azp c_hash client_id cnf cty dest entitlements
events exp groups gty htm htu iat internalService iss jcard jku jti jwe jwk kid may_act mky nbf nonce object_id org_id
org_name orig origid permissions roles rph s_hash sid sip_callid sip_cseq_num sip_date sip_from_tag sip_via_branch sub
sub_jwk toe txn typ uuid vot vtm x5t#S256
"""
RESTRICTED = frozenset(_RESTRICTED.split())
_NAMES_BY_SCOPE = {
    "profile": "birthdate family_name gender given_name locale middle_name name nickname picture preferred_username "
    "profile updated_at website zoneinfo",
    "email": "email email_verified",
    "address": "address",
    "phone": "phone_number phone_number_verified",
}
_SCOPES = {name: scope for scope, names in _NAMES_BY_SCOPE.items() for name in names.split()}
"""Claim of the user's profile -> the scope that a login must have requested."""
_URL = re.compile(r"https?://(?:[^/?#]*@)?(?P<host>[^/?#:@]*)", re.IGNORECASE)
_AUTH0S_URN = re.compile(r"urn:auth0(?::|$)", re.IGNORECASE)
_AUTH0S_HOSTS = re.compile(r"(?:.*\.)?(?:auth0\.com|webtask\.io|webtask\.run)\.?", re.IGNORECASE)
_AUTH0S_API = re.compile(r"https?://[^/?#]+\.(?:auth0|auth0app)\.com/(?:api(?:/v2)?|mfa)/?", re.IGNORECASE)


def left_out(
    name: str, kind: Kind, *, audience: str | None = None, scopes: Iterable[str] | None = None
) -> str | None:
    """Return why Auth0 leaves a claim out of a token; None if it does not.

    `audience`: the API that the access token is for.  `scopes`: those that the login requested, None if that is not known.

    >>> left_out("roles", "id_token"), left_out("https://example.com/roles", "id_token")
    ('Auth0 keeps this name for itself', None)
    """
    if name in RESTRICTED:
        return "Auth0 keeps this name for itself"
    url = _URL.match(name)
    if _AUTH0S_URN.match(name) or (url is not None and _AUTH0S_HOSTS.fullmatch(url["host"])):
        return "its namespace belongs to Auth0"
    if kind == "access_token" and url is None and _AUTH0S_API.fullmatch(audience or ""):
        return "an access token for an API of Auth0 takes only names that begin with a URL"
    if name in _SCOPES and scopes is not None and _SCOPES[name] not in scopes:
        return f"the login did not request the scope {_SCOPES[name]}"
    return None


def size(claims: Mapping[str, Any]) -> int:
    """Return the bytes of claims, with their names."""
    return sum(json_size(name) + json_size(value) for name, value in claims.items())
