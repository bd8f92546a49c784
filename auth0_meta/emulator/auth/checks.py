"""Check what a login asks for: the API, the organization, the connection, and how old a session may be."""

from __future__ import annotations

import re

import attrs

from auth0_meta.emulator.api.connections import CONNECTIONS
from auth0_meta.emulator.api.lookup import is_in
from auth0_meta.emulator.api.tenants import settings
from auth0_meta.emulator.auth.access import refused_audience
from auth0_meta.emulator.auth.organizations import refused_organization
from auth0_meta.emulator.http.errors import not_served
from auth0_meta.emulator.rules.application import Application
from auth0_meta.emulator.rules.profile import DEFAULT_CONNECTION, Profile
from auth0_meta.emulator.state.logins import AuthorizationRequest, Session
from auth0_meta.emulator.state.tenant_state import TenantState

_SECONDS = re.compile("[0-9]{1,9}")
# Each would change the login: ignoring them would be a wrong answer.
_UNSERVED = (
    *(
        "request",
        "request_uri",
        "invitation",
        "authorization_details",
        "session_transfer_token",
        "login_ticket",
    ),
)


def completed(state: TenantState, authorization: AuthorizationRequest) -> AuthorizationRequest:
    """Return a request with what its query says of organization, connection and age, and with the default audience."""
    query = authorization.query
    return attrs.evolve(
        authorization,
        audience=authorization.audience or settings(state).get("default_audience") or None,
        organization=query.get("organization") or None,
        connection=query.get("connection") or None,
        max_age=query.get("max_age") or None,
    )


def refused_request(
    state: TenantState, application: Application, authorization: AuthorizationRequest
) -> tuple[str, str] | None:
    """Return the error and its description if the application may not ask for this, else None."""
    for name in _UNSERVED:
        if authorization.query.get(name):
            raise not_served(f"the parameter {name} of /authorize")
    if authorization.max_age is not None and not _SECONDS.fullmatch(authorization.max_age):
        return "invalid_request", "max_age must be a number of seconds."
    if not application.lenient and not _is_known(state, authorization.connection):
        return "invalid_request", "the connection was not found"
    return refused_audience(state, application, authorization.audience) or refused_organization(
        state, application, authorization.organization
    )


def session_suffices(
    state: TenantState, authorization: AuthorizationRequest, session: Session, profile: Profile, *, now: float
) -> bool:
    """Return whether a session makes another login unnecessary: it is young enough, and of the right connection."""
    max_age = authorization.max_age
    if max_age is not None and (int(max_age) == 0 or now - session.since > int(max_age)):
        return False
    return fits_connection(state, authorization, profile)


def fits_connection(state: TenantState, authorization: AuthorizationRequest, profile: Profile) -> bool:
    """Return whether a user may log in with the connection that the application asked for, if it asked for one.

    One that nobody has created is for everybody; only clients that are not registered may ask for it.
    """
    name = authorization.connection
    return name is None or not _is_known(state, name) or is_in(profile, name)


def _is_known(state: TenantState, name: str | None) -> bool:
    return name in (None, DEFAULT_CONNECTION) or CONNECTIONS.find_by(state, "name", str(name)) is not None
