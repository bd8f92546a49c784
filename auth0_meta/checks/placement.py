"""Which paths are named for data that belongs elsewhere: what decides about access, and what one device has; PURE.

The last key of a path decides, by its words.  What a qualifier before them means is in the tables, so that `user_role` is a
role that gives access and `job_role` isn't.  A parent may decide as the first of the words: `job: {role}` is `job_role`.

Sources: Auth0's "Metadata Field Names and Data Types" (permissions, plan and external ids are access information, which users
must not edit), "Auth0 Metadata Explained" of October 2026 (subscription plans and feature flags), and "Session Metadata" and
"Refresh Token Metadata" (device information and flags of one session belong there).
"""

from __future__ import annotations

from typing import Final

from auth0_meta.checks.words import words


def _phrases(text: str) -> frozenset[str]:
    return frozenset(phrase.strip() for phrase in text.split(","))


# These say what somebody may do, whatever they are the roles or permissions of ...
_RIGHTS: Final = _phrases("""
    role, roles, permission, permissions, privilege, privileges, entitlement, entitlements, authorization, authorizations,
    access level, access levels, access right, access rights, access list, access control, feature flag, feature flags, acl, acls, access role, permission level,
    rol, rolle, rollen, rôle, rôles, berechtigung, berechtigungen, permisos, permissões, droits
""")
# ... unless the word before is one of these: what people do for a living or play, and what they allow their phone to do.
_NO_RIGHTS: Final = _phrases("""
    job, jobs, work, career, company, employment, experience, experiences, occupation, position, positions, desired, preferred,
    favorite, favourite, previous, former, character, characters, game, movie, film, family, model, dream, target,
    camera, location, microphone, notification, notifications, push, contact, contacts, photo, photos, media, calendar,
    bluetooth, marketing, email, sms, cookie, cookies, tracking, device, browser, os, parental
""")
# These decide about access if nothing or one of the qualifiers stands before them: not a meal plan, not a blood group.
_PLANS: Final = _phrases("""
    plan, plan id, plan name, plan type, plan tier, plan level, plan code, plan slug, plan status, tier,
    subscription, subscription id, subscription plan, subscription tier, subscription level, subscription type,
    subscription status, membership level, membership tier, membership plan, license tier, license plan
""")
_OF_PLANS: Final = _phrases("""
    account, active, api, app, billing, current, customer, org, organization, paid, premium, price, pricing, product,
    saas, selected, service, stripe, subscription, subscribed, support, tenant, user, workspace
""")
_GROUPS: Final = _phrases("group, groups, scope, scopes, member of, grants")
_OF_GROUPS: Final = _phrases("""
    access, active directory, ad, admin, allowed, api, app, auth, authorization, aws, azure, cognito, directory, entra, granted,
    iam, idp, keycloak, ldap, oauth, okta, permission, saml, security, sso, token, user
""")
_RANKS: Final = _phrases("""
    admin, administrator, superadmin, super admin, superuser, super user, staff, moderator, root, sysadmin,
    org admin, organization admin, account admin, tenant admin, site admin, system admin, global admin, owner
""")
_PAID: Final = _phrases("premium, pro, subscriber, paid user, premium user, pro user")
_MAY: Final = _phrases("""
    access, administer, approve, create, delete, edit, impersonate, invite, manage, moderate, publish, remove, write
""")
_NO_QUALIFIER: Final = _phrases(
    "admin, administrator, superadmin, super admin, superuser, sysadmin, admin level, admin rights"
)

_OF_LOGINS: Final = _phrases("""
    access, active, auth, auth0, authenticated, client, connected, current, first, in, last, latest, logged, login, logins,
    mfa, mobile, my, old, on, previous, primary, push, recent, remote, seen, sign, signin, sso, used, user, web
""")
_DEVICE: Final = _phrases("""
    device, devices, device id, device ids, device uuid, device token, device tokens, device info, device name, device model,
    device os, device platform, device details, device data, device state, device key, device fingerprint,
    device fingerprints, browser, browsers, fingerprint, fingerprints, browser fingerprint, browser fingerprints, browser id,
    installation id, installation ids, android id, idfa, push token, push tokens, push subscription, push subscriptions,
    fcm token, fcm tokens, fcm registration token, apns token, apns tokens, gcm token, gcm tokens,
    expo push token, expo push tokens, onesignal player id
""")
_SESSION: Final = _phrases("""
    session, sessions, session id, session ids, session data, session state, session key, session index, sid, sids,
    refresh token id, refresh token ids
""")
_ADDRESS: Final = _phrases(
    "ip, ips, ip address, ip addresses, user agent, user agents, useragent, useragents"
)
# The names, and which qualifiers may stand before them: not a preferred device, a yoga session or an allowed address.
_STATE: Final = (
    (
        _DEVICE,
        _OF_LOGINS
        | _phrases(
            "allowed, authorized, known, linked, paired, registered, remembered, saved, trusted, verified"
        ),
    ),
    (_SESSION, _OF_LOGINS | _phrases("anonymous, linked, open")),
    (_ADDRESS, _OF_LOGINS | _phrases("known")),
)
# What was agreed or ordered from an address is the record of that act.
_RECORDS: Final = _phrases("""
    acceptance, agreement, agreements, consent, consents, contract, gdpr, legal, optin, order, orders, payment, payments,
    registration, signature, signatures, signup, terms, tos
""")


def authorization(path: tuple[str, ...], /) -> bool:
    """Return whether the last key of a path below the bag is named for what decides about access.

    >>> authorization(("user_roles",)), authorization(("isAdmin",)), authorization(("subscription", "plan"))
    (True, True, True)
    >>> authorization(("job", "role")), authorization(("plan_view",)), authorization(("meal_plan",))
    (False, False, False)
    """
    key = words(path[-1])
    if not key:
        return False
    first, rest = key[0], " ".join(key[1:])
    if first in ("is", "has") and rest:
        return rest in _RANKS or rest in _PAID
    if first in ("can", "may") and len(key) > 1:
        return key[1] in _MAY
    if " ".join(key) in _NO_QUALIFIER:
        return True
    before = words(path[-2]) if len(path) > 1 else ()
    for start in range(len(key)):
        name, qualifiers = " ".join(key[start:]), key[:start]
        if name in _RIGHTS:
            return not _NO_RIGHTS.intersection(qualifiers or before[-1:])
        if name in _PLANS and (not qualifiers or _OF_PLANS.issuperset(qualifiers)):
            return True
        if name in _GROUPS and (not qualifiers or _OF_GROUPS.issuperset(qualifiers)):
            return name in ("groups", "scope", "scopes", "member of") or bool(qualifiers)
    return False


def device_state(path: tuple[str, ...], /) -> bool:
    """Return whether the last key of a path below the bag is named for data of one device or session.

    >>> device_state(("lastIP",)), device_state(("trusted_devices",)), device_state(("security", "current_session"))
    (True, True, True)
    >>> device_state(("device_preference",)), device_state(("yoga_sessions",)), device_state(("consent", "ip"))
    (False, False, False)
    """
    key = words(path[-1])
    for start in range(len(key)):
        name = " ".join(key[start:])
        for names, qualifiers in _STATE:
            if name in names and qualifiers.issuperset(key[:start]):
                return names is not _ADDRESS or not any(_RECORDS.intersection(words(part)) for part in path)
    return False
