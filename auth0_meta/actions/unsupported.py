"""The calls of Auth0's `api` that make no sense outside Auth0, and why; PURE."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NoReturn

_MFA = "Auth0 itself asks for factors, before the application sees the user; send the user to a page of your own instead"
_TOKENS = "the session and its refresh tokens belong to Auth0; an application changes them through the Management API"
_ROLES = "call the Management API instead: client.request('GET', 'users/{}/roles', user_id)"
_GROUPS = "call the Management API instead: client.request('GET', 'users/{}/groups', user_id)"
_LINKING = (
    "an application links accounts through the Management API: client.request('POST', 'users/{}/identities', user_id, ...), "
    "and logs in the primary user from then on"
)
_SAML = "Auth0 builds and signs the assertion; only its attributes can be given to an application"
_FORM = "Auth0's login pages render forms; send the user to a page of your own with api.redirect.send_user_to"
_RULES = "rules ran inside Auth0, which shut them down in November 2026"
UNSUPPORTED: dict[str, tuple[str, tuple[str, ...]]] = {
    namespace: (why, tuple(methods.split()))
    for namespace, why, methods in (
        (
            "authentication",
            _MFA,
            "challenge_with challenge_with_any enroll_with enroll_with_any record_method set_primary_user",
        ),
        ("groups", _GROUPS, "get_user_groups has_group_membership"),
        ("multifactor", _MFA, "enable"),
        ("prompt", _FORM, "render"),
        (
            "refresh_token",
            _TOKENS,
            "revoke set_expires_at set_idle_expires_at set_metadata delete_metadata evict_metadata",
        ),
        (
            "roles",
            _ROLES,
            "get_user_effective_roles get_user_effective_roles_by_ids get_user_effective_roles_by_names",
        ),
        ("rules", _RULES, "was_executed"),
        (
            "saml_response",
            _SAML,
            """set_audience set_recipient set_destination set_issuer set_relay_state set_create_upn_claim
            set_passthrough_claims_with_no_mapping set_map_unknown_claims_as_is set_map_identities
            set_signature_algorithm set_digest_algorithm set_lifetime_in_seconds set_sign_response
            set_name_identifier_format set_name_identifier_probes set_authn_context_class_ref set_signing_cert
            set_include_attribute_name_format set_typed_attributes set_encryption_cert set_encryption_public_key
            set_encryption_algorithm set_cert set_key""",
        ),
        (
            "session",
            _TOKENS,
            """revoke set_expires_at set_idle_expires_at set_cookie_mode set_metadata delete_metadata
            evict_metadata""",
        ),
    )
}
"""Namespace -> (why it makes no sense outside Auth0, its methods)."""

_OTHER_REASONS = {"api.authentication.set_primary_user": _LINKING}
"""Methods with a reason of their own."""


def unknown_name(full: str, known: Iterable[str]) -> AttributeError:
    """Return the error for a name that Auth0's api does not have; a name in camelCase gets a hint.

    >>> unknown_name("api.user.setAppMetadata", ["set_app_metadata"])
    AttributeError("Auth0's api has no api.user.setAppMetadata: names are in snake_case, api.user.set_app_metadata")
    """
    before, _, name = full.rpartition(".")
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    hint = f": names are in snake_case, {before}.{snake}" if snake != name and snake in known else ""
    return AttributeError(f"Auth0's api has no {full}{hint}")


class Unsupported:
    """A namespace of the api that exists only inside Auth0; each call raises NotImplementedError and says why."""

    __slots__ = ("_namespace",)

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        why, methods = UNSUPPORTED[self._namespace]
        full = f"api.{self._namespace}.{name}"
        if name not in methods:
            raise unknown_name(full, methods)

        def refuse(*args: object, **options: object) -> NoReturn:
            raise NotImplementedError(f"{full} makes no sense outside Auth0: {_OTHER_REASONS.get(full, why)}")

        return refuse
