"""What an access token for an API may hold: decided by the API, a client grant and the user's permissions.

Source: Auth0 docs, "API Access Policies for Applications", "Application Access to APIs: Client Grants", "Enable
Role-Based Access Control for APIs", "Access Token Profiles" and "Token Best Practices".
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import attrs

Document = Mapping[str, Any]
LIFETIME = 86_400
OIDC_SCOPES = ("openid", "profile", "email", "address", "phone", "offline_access")
"""The scopes that no API defines: they are about the user, and about a refresh token."""
ALL, GRANT, DENY = "allow_all", "require_client_grant", "deny_all"
"""The access policies of an API."""


@attrs.frozen(kw_only=True)
class Api:
    """An API as tokens see it: a read-only view of a resource server's document."""

    identifier: str
    scopes: tuple[str, ...] = ()
    lifetime: int = LIFETIME
    browser_lifetime: int = LIFETIME
    """The lifetime of a token that /authorize itself returns (implicit and hybrid flows)."""
    offline_access: bool = True
    enforces_policies: bool = False
    dialect: str = "access_token"
    user_policy: str = ALL
    client_policy: str = GRANT
    algorithm: str = "RS256"
    """How its tokens are signed: RS256 by the tenant, HS256 with its own secret."""
    secret: str = attrs.field(default="", repr=False)

    @classmethod
    def of(cls, document: Document) -> Api:
        """Return the view of a resource server's document.

        >>> Api.of({"identifier": "a", "scopes": [{"value": "read:x"}], "enforce_policies": True}).scopes
        ('read:x',)
        """
        listed, policies = document.get("scopes"), document.get("subject_type_authorization")
        scopes = (
            [item.get("value") for item in listed if isinstance(item, dict)]
            if isinstance(listed, list)
            else []
        )
        lifetime = _seconds(document.get("token_lifetime"), LIFETIME)
        return cls(
            identifier=document["identifier"],
            scopes=tuple(scope for scope in scopes if isinstance(scope, str)),
            lifetime=lifetime,
            browser_lifetime=min(lifetime, _seconds(document.get("token_lifetime_for_web"), LIFETIME)),
            offline_access=document.get("allow_offline_access") is True,
            enforces_policies=document.get("enforce_policies") is True,
            dialect=str(document.get("token_dialect") or "access_token"),
            user_policy=_policy(policies, "user", ALL),
            client_policy=_policy(policies, "client", GRANT),
            algorithm=str(document.get("signing_alg") or "RS256"),
            secret=str(document.get("signing_secret") or ""),
        )

    @property
    def shows_permissions(self) -> bool:
        """Return whether its tokens have the claim `permissions`."""
        return self.enforces_policies and self.dialect.endswith("_authz")

    @property
    def follows_rfc9068(self) -> bool:
        """Return whether its tokens have the claims of RFC 9068 instead of Auth0's own."""
        return self.dialect.startswith("rfc9068_profile")

    def granted(self, grant: Document) -> tuple[str, ...]:
        """Return the scopes of a client grant that this API still defines."""
        listed = grant.get("scope") or ()
        return tuple(
            scope for scope in self.scopes if grant.get("allow_all_scopes") is True or scope in listed
        )


def user_scopes(
    requested: Collection[str], api: Api | None, *, permissions: Collection[str], grant: Document | None
) -> tuple[str, ...]:
    """Return which of the requested scopes a user's token may have, for /userinfo alone if `api` is None.

    If the API enforces policies, `permissions` are those of the user.  A client `grant` limits what it is for.

    >>> api = Api(identifier="a", scopes=("read:x", "write:x"), enforces_policies=True)
    >>> user_scopes(("openid", "read:x", "write:x", "other"), api, permissions=["read:x"], grant=None)
    ('openid', 'read:x')
    """
    allowed: set[str] = set() if api is None else {*api.scopes}
    if api is not None and api.enforces_policies:
        allowed &= {*permissions}
    if api is not None and grant is not None:
        allowed &= {*api.granted(grant)}
    allowed |= {*OIDC_SCOPES}
    if api is not None and not api.offline_access:
        allowed.discard("offline_access")
    return tuple(scope for scope in requested if scope in allowed)


def _policy(policies: Any, subject: str, default: str) -> str:
    """Return an API's access policy for users or for clients."""
    about = policies.get(subject) if isinstance(policies, Mapping) else None
    policy = about.get("policy") if isinstance(about, Mapping) else None
    return policy if policy in (ALL, GRANT, DENY) else default


def _seconds(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default
