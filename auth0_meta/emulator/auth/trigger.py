"""Run the tenant's post-login trigger: any callable; its outcome is duck-typed."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import attrs

from auth0_meta.emulator.api.connections import CONNECTIONS
from auth0_meta.emulator.api.logs import note
from auth0_meta.emulator.api.lookup import first_identity
from auth0_meta.emulator.api.roles import ROLES
from auth0_meta.emulator.auth.access import allowed_scopes, application_of
from auth0_meta.emulator.auth.organizations import organization_id, organization_named, refused_member
from auth0_meta.emulator.http.message import Call, Request
from auth0_meta.emulator.http.timestamps import iso
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.claims import claims_size, custom_claims, is_auth0_api
from auth0_meta.emulator.rules.profile import Profile, ProfileTooLarge
from auth0_meta.emulator.state.logins import BY_LOGIN, Granted, Login
from auth0_meta.emulator.state.tenant_state import CLIENT_ADDRESS, TenantState
from auth0_meta.errors import InputError, MetadataWarning

_log = logging.getLogger("auth0_meta.emulator")
_INTERACTION = "interaction_required"
# What a login leaves in the log, where it does not depend on its prompt.
_KINDS = {"oauth2-refresh-token": "", "oauth2-password": "s"}
_NEEDS_PAGE = "The login needs to show a page, and prompt=none forbids it."


@attrs.frozen(kw_only=True)
class LoginOutcome:
    """How a trigger ended: continue, redirect first (`url`, `state`), or refuse (`error`, `reason`)."""

    url: str | None = None
    state: str = ""
    error: str | None = None
    reason: str = ""
    id_claims: Mapping[str, Any] = attrs.field(factory=dict)
    access_claims: Mapping[str, Any] = attrs.field(factory=dict)
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def granted(self, state: TenantState, login: Login, requested: tuple[str, ...]) -> Granted:
        """Return what the login may fetch: the scopes that it may have as the trigger changed them, and its claims.

        The trigger has the last word, over the permissions of the user too (documented).
        """
        authorization = login.authorization
        allowed = allowed_scopes(
            state,
            application_of(state, authorization),
            authorization.audience,
            requested,
            user_id=login.session.user_id,
            organization=organization_id(state, authorization),
        )
        every = dict.fromkeys((*allowed, *self.added))
        return Granted(
            login=login,
            scopes=tuple(scope for scope in every if scope not in self.removed),
            id_claims=self.id_claims,
            access_claims=self.access_claims,
        )


def count_login(state: TenantState, call: Call, user_id: str, *, client_id: str) -> Profile | None:
    """Record a login with credentials in the profile; returns None if the user was deleted.

    `last_login`, `last_ip`, `logins_count` and `updated_at` change before the trigger runs, whether or not it lets
    the user in.  Source: Auth0 docs, "User profile structure"; for the order, Auth0's staff in its community.
    If the profile is over the size limit, the login fails (documented), which the log says, and this raises `ProfileTooLarge`.
    """
    with state.users.lock:
        before = state.users.get(user_id)
        if before is None:
            return None  # pragma: no cover  # a race: deleted since the page was sent
        count = before.root.get("logins_count", 0)
        counted = {
            "last_ip": CLIENT_ADDRESS,
            "last_login": iso(state.milliseconds()),
            "logins_count": count + 1 if isinstance(count, int) else 1,
        }
        after = profiles.patched(before, counted, now_ms=state.milliseconds(), switches=state.switches)
        ordered = {"user_id": user_id} | {name: after.root[name] for name in sorted(after.root)}
        after = attrs.evolve(after, root=ordered)
        try:
            state.save(after, before=before, by=BY_LOGIN, call=call, client_id=client_id)
        except ProfileTooLarge as error:
            about = {"client_id": client_id, "description": error.message}
            note(state, call.request, "f", user=before, **about)
            raise
    return after


def run(
    state: TenantState, request: Request, login: Login, profile: Profile, *, protocol: str
) -> LoginOutcome:
    """Run the trigger for one login, unless its user is not a member of the organization; that is checked first."""
    refused = refused_member(state, login.authorization.organization, profile)
    if refused:
        _note(state, request, "f", login, refused)
        return LoginOutcome(error="access_denied", reason=refused)
    event = _event(state, request, login, profile, protocol)
    kind = "ssa" if login.authorization.prompt == "none" else "s"
    return _outcome(state, request, login, lambda hook: hook(event), kind=_KINDS.get(protocol, kind))


def resume(
    state: TenantState, request: Request, login: Login, login_state: str, body: Mapping[str, str]
) -> LoginOutcome:
    """Resume the trigger after its redirect."""
    sent: dict[str, Any] = {"query": request.query, "body": dict(body)}
    sent["request"] = {**_request(request), "method": request.method}
    return _outcome(state, request, login, lambda hook: hook.resume(login_state, **sent))


def _outcome(
    state: TenantState, request: Request, login: Login, call: Callable[[Any], Any], *, kind: str = "s"
) -> LoginOutcome:
    """Call the trigger, if there is one, and return its outcome as Auth0 reports it: every refusal is `access_denied`."""
    if state.logins.hook is None:
        _note(state, request, kind, login)
        return LoginOutcome()
    try:
        outcome = call(state.logins.hook)
    except Exception as raised:  # noqa: BLE001  # the login fails, but the tenant keeps running
        _log.exception("the post-login trigger of the local tenant raised")
        return _failed(state, request, login, raised)
    error = getattr(outcome, "error", None)
    if error is not None:
        return _failed(state, request, login, error)
    denied = getattr(outcome, "denied", None)
    invalid = [message for _, message in getattr(outcome, "validation_errors", ())]
    if denied is not None or invalid:
        reason = denied if denied is not None else invalid[0]
        _note(state, request, "f", login, reason)
        return LoginOutcome(error="access_denied", reason=reason)
    redirect = getattr(outcome, "redirect", None)
    if redirect is not None:
        if login.authorization.prompt == "none":
            return LoginOutcome(error=_INTERACTION, reason=_NEEDS_PAGE)
        return LoginOutcome(url=redirect.url, state=redirect.state)
    try:
        id_claims = _custom_claims(state, login, "ID", getattr(outcome, "id_token_claims", {}))
        access_claims = _custom_claims(state, login, "access", getattr(outcome, "access_token_claims", {}))
    except Exception as unusable:  # noqa: BLE001  # they are too large, or whatever a callable has put there
        return _failed(state, request, login, unusable)
    _note(state, request, kind, login)
    return LoginOutcome(
        id_claims=id_claims,
        access_claims=access_claims,
        added=tuple(getattr(outcome, "added_scopes", ())),
        removed=tuple(getattr(outcome, "removed_scopes", ())),
    )


def _custom_claims(
    state: TenantState, login: Login, kind: str, requested: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the custom claims of one token, and warn of those that Auth0 ignores; raise `InputError` if they are too large."""
    audience = login.authorization.audience or ""
    for_auth0 = state.access.is_management(audience) or is_auth0_api(audience, hosts=state.hosts)
    added, ignored = custom_claims(
        requested, scopes=login.authorization.scopes, only_namespaced=kind == "access" and for_auth0
    )
    for name, why in ignored.items():
        # A filter may turn the warning into an error, which must not fail the login.
        with suppress(MetadataWarning):
            text = f"Auth0 would leave the claim {name[:80]!r} out of the {kind} token, so the local tenant does: {why}"
            warnings.warn(text, MetadataWarning, stacklevel=2)
    size, limit = claims_size(added), state.switches.claims_limit
    if size > limit:
        raise InputError(f"the custom claims of the {kind} token have {size} B, and {limit} B are allowed")
    return added


def _failed(state: TenantState, request: Request, login: Login, error: Exception) -> LoginOutcome:
    """Refuse a login whose trigger failed; the reason goes to the tenant's log, not to the application."""
    _note(state, request, "f", login, f"{type(error).__name__}: {error}")
    if login.authorization.prompt == "none" and str(error).startswith(_INTERACTION):
        return LoginOutcome(error=_INTERACTION, reason=_NEEDS_PAGE)
    return LoginOutcome(error="access_denied", reason=state.switches.login_failure_description)


def _note(state: TenantState, request: Request, kind: str, login: Login, description: str = "") -> None:
    """Add a log event of this kind: `s` is a login, `ssa` one without a page, `f` a failed one, "" none."""
    if not kind:
        return
    user, authorization = state.users.get(login.session.user_id), login.authorization
    about = {"audience": authorization.audience, "scope": " ".join(authorization.scopes)}
    note(state, request, kind, client_id=authorization.client_id, user=user, description=description, **about)


def _request(request: Request) -> dict[str, Any]:
    headers = request.headers
    found = {
        "ip": CLIENT_ADDRESS,
        "hostname": headers.get("host", "").rpartition(":")[0] or headers.get("host", ""),
        "user_agent": headers.get("user-agent"),
        "language": headers.get("accept-language"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _event(
    state: TenantState, request: Request, login: Login, profile: Profile, protocol: str
) -> dict[str, Any]:
    """Return the login as Auth0's post-login event."""
    # A trigger may change its event; the stored profile must not change with it.
    user = {"user_metadata": {}, "app_metadata": {}} | copy.deepcopy(profile.document())
    identity, authorization = first_identity(profile), login.authorization
    application = application_of(state, authorization)
    organization = organization_named(state, authorization.organization)
    links = state.resources.links
    role_ids = links.of("user_roles", profile.user_id)
    about: dict[str, Any] = {}
    if authorization.audience:
        about["resource_server"] = {"identifier": authorization.audience}
    if organization is not None:
        role_ids += links.of("member_roles", (organization["id"], profile.user_id))
        about["organization"] = _organization(organization)
    roles = ROLES.find_all(state, dict.fromkeys(role_ids))
    return {
        **about,
        "user": user,
        "authentication": {"methods": [{"name": "pwd", "timestamp": iso(int(login.session.since * 1000))}]},
        "authorization": {"roles": [role["name"] for role in roles]},
        "client": {
            "client_id": authorization.client_id,
            "name": application.name or authorization.client_id,
            "metadata": dict(application.metadata),
        },
        "configuration": {},
        "connection": _connection(state, identity),
        "request": {
            **_request(request),
            "method": "GET",
            "query": dict(authorization.query),
            "body": {},
            "geoip": {},
        },
        "secrets": {},
        "session": {"id": login.session.sid},
        "stats": {"logins_count": user.get("logins_count", 0)},
        "tenant": {"id": state.tenant_name},
        "transaction": {
            "protocol": protocol,
            "redirect_uri": authorization.redirect_uri,
            "requested_scopes": list(authorization.scopes),
            "response_type": list(authorization.response_types),
            "response_mode": authorization.response_mode,
            "prompt": [*authorization.prompts],
            "state": authorization.state,
            "metadata": {},
        },
    }


def _organization(document: dict[str, Any]) -> dict[str, Any]:
    name = document.get("name", "")
    shown = {"id": document["id"], "name": name, "display_name": document.get("display_name") or name}
    return {**shown, "metadata": dict(document.get("metadata") or {})}


def _connection(state: TenantState, identity: dict[str, Any]) -> dict[str, Any]:
    """Return the connection of an identity as events show it; one that nobody has created has a made-up id."""
    name, strategy = identity.get("connection", ""), identity.get("provider", "")
    made_up = {"id": f"con_{name}", "strategy": strategy}
    document = CONNECTIONS.find_by(state, "name", name) or made_up
    metadata = dict(document.get("metadata") or {})
    return {"id": document["id"], "name": name, "strategy": document["strategy"], "metadata": metadata}
