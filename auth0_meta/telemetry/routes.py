"""The route of a path: what metrics are grouped by, without the ids; PURE."""

from __future__ import annotations

import re

_API = "/api/v2/"
_ID = "{id}"
# The words of the Management API's paths.  Whatever else stands in one is an id, or the name of something on the tenant.
_VOCABULARY = """
actions active-users anomaly apns attack-protection authentication-methods authenticators bindings blacklists blocks
bot-detection branding breached-password-detection brute-force-protection bulk captcha change-password cimd clear
client-grants clients connected-accounts connection-profiles connections connections-directory-provisionings
connections-scim-configurations credentials custom-domains custom-signing custom-text daily default default-mapping
deliveries deploy device-credentials directory-provisioning discovery-domains duo effective-permissions
effective-roles email-templates email-verification emails enabled_connections encryption enrollments errors
event-streams events executions factors fcm fcmv1 federated-connections-tokensets flows forms grants groups guardian
hooks identities invalidate-remember-browser invitations ips jobs keys log-streams logs members message-types modules
multifactor name network-acls new-device oauth organizations partials password-change permissions phone
phone-provider-protection policies post-login preview prompts provider providers push-notification
rate-limit-policies recovery-code recovery-code-regeneration redeliver refresh-tokens register rekey rendering reset
resource-servers revoke revoke-access risk-assessments roles rollback rotate rotate-secret rules rules-configs
scim-configuration screen secrets selected-provider self-service-profiles sessions settings signing sms sns sources
sso-ticket stats status supplemental-signals suspicious-ip-throttling synchronizations synchronized-groups templates
tenants test themes ticket tickets token token-exchange-profiles tokens triggers try twilio universal-login
user-attribute-profiles user-blocks users users-by-email users-exports users-imports vault verifiable-credentials
verification verification-email verify versions wrapping-key
"""
_WORD = re.compile("[a-z]+(?:-[a-z]+)*")
_WORDS = frozenset(_VOCABULARY.split())
# What follows these is never a word of the API, even if it reads like one.
_BEFORE_AN_ID = frozenset(
    {
        *(
            "client-grants",
            "custom-text",
            "device-credentials",
            "email-templates",
            "grants",
            "groups",
            "hooks",
            "ips",
        ),
        *("log-streams", "logs", "members", "name", "resource-servers", "roles", "rules", "rules-configs"),
        *("user-blocks", "users"),
    }
)


def route_of(path: str, template: str | None = None, /) -> str:
    """Return the route of a percent-encoded path, without its query; ids and unknown words become "{id}".

    `template`: what the path was made from.  Whoever writes one puts ids into its `{}`, so its other words count as known.

    >>> route_of("/api/v2/users/auth0%7C1"), route_of("/api/v2/users?q=email%3Aada"), route_of("/oauth/token")
    ('users/{id}', 'users', 'oauth/token')
    >>> route_of("/api/v2/novelties/n1/parts"), route_of("/api/v2/novelties/n1/parts", "novelties/{}/parts")
    ('{id}/{id}/{id}', 'novelties/{id}/parts')
    """
    parts = (template or path.partition("?")[0].removeprefix(_API)).strip("/").split("/")
    before = ["", *parts]
    return "/".join(
        part
        if (part in _WORDS or (template and _WORD.fullmatch(part))) and last not in _BEFORE_AN_ID
        else _ID
        for last, part in zip(before, parts, strict=False)
    )
