"""The sections of the event and their documented fields; PURE.  Source: Auth0 docs, "Post-login triggers: event object"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from auth0_meta.actions.event.nested_sections import (
    Actor,
    Cookie,
    Device,
    EnrolledFactor,
    GeoIp,
    Identity,
    Method,
    RefreshTokenSettings,
    ResourceGrant,
    SessionClient,
    TokenRequest,
)
from auth0_meta.actions.event.read_only import Frozen, FrozenList, Section
from auth0_meta.errors import StateError


class EventUser(Section):
    """The user: `event.user`; the metadata is what was stored or staged before this action.

    Reading `app_metadata` or `user_metadata` raises `StateError` if the source of the event did not have it
    and the user has not been read yet.
    """

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {
        "enrolledFactors": EnrolledFactor,
        "identities": Identity,
    }

    user_id: str
    created_at: str | None
    updated_at: str | None
    email: str | None
    email_verified: bool | None
    name: str | None
    given_name: str | None
    family_name: str | None
    nickname: str | None
    picture: str | None
    username: str | None
    phone_number: str | None
    phone_verified: bool | None
    last_password_reset: str | None
    multifactor: FrozenList | None
    enrolled_factors: FrozenList | None
    identities: FrozenList | None

    @property
    def app_metadata(self) -> Frozen:
        """Return `app_metadata` as it was before this action."""
        return self._bag("app_metadata")

    @property
    def user_metadata(self) -> Frozen:
        """Return `user_metadata`, which users may edit, as it was before this action."""
        return self._bag("user_metadata")

    def _bag(self, bag: str) -> Frozen:
        if bag not in self:
            # Not {}: an ID token, for example, has no metadata, and an action would mistake the user for a
            # new one.
            msg = (
                f"the {bag} of {self['user_id']} is unknown, as the source of this event did not have it: "
                "use PostLoginTrigger or post_login, which read the user before the first action"
            )
            raise StateError(msg)
        found: Frozen = dict.__getitem__(self, bag)
        return found


class Request(Section):
    """The current request: `event.request`; after a redirect, the one to /continue."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"geoip": GeoIp}

    ip: str | None
    method: str | None
    query: Frozen
    body: Frozen
    geoip: GeoIp
    hostname: str | None
    asn: str | None
    language: str | None
    user_agent: str | None


class Application(Section):
    """The application that the user logs in to: `event.client`."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"refresh_token": RefreshTokenSettings}

    client_id: str | None
    name: str | None
    metadata: Frozen | None
    refresh_token: RefreshTokenSettings | None
    authentication: Frozen | None
    external_client_id: str | None
    external_metadata_type: str | None


class Connection(Section):
    """Where the user signed in: `event.connection`."""

    __slots__ = ()

    id: str | None
    name: str | None
    strategy: str | None
    metadata: Frozen | None


class Transaction(Section):
    """The login transaction: `event.transaction`; what an action sets in `metadata` is there at once."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"actor": Actor}

    id: str | None
    acr_values: FrozenList | None
    linking_id: str | None
    locale: str | None
    login_hint: str | None
    prompt: FrozenList | None
    protocol: str | None
    redirect_uri: str | None
    requested_authorization_details: FrozenList | None
    requested_scopes: FrozenList | None
    response_mode: str | None
    response_type: FrozenList | None
    state: str | None
    ui_locales: FrozenList | None
    target_scopes: FrozenList | None
    actor: Actor | None
    actor_token_type: str | None
    subject_token_type: str | None
    correlation_id: str | None
    metadata: Frozen


class RiskAssessment(Section):
    """Auth0's assessment of the risk: `event.authentication.risk_assessment`."""

    __slots__ = ()

    confidence: str | None
    version: str | None
    assessments: Frozen | None
    supplemental: Frozen | None


class Authentication(Section):
    """How the user proved who they are: `event.authentication`."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {
        "methods": Method,
        "riskAssessment": RiskAssessment,
    }

    methods: FrozenList | None
    risk_assessment: RiskAssessment | None


class Authorization(Section):
    """The user's roles: `event.authorization`."""

    __slots__ = ()

    roles: FrozenList | None


class Organization(Section):
    """The organization that the user logs in to: `event.organization`."""

    __slots__ = ()

    id: str | None
    name: str | None
    display_name: str | None
    metadata: Frozen | None


class Session(Section):
    """The session: `event.session`; fields other than `id` are for Enterprise plans only."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {
        "actor": Actor,
        "clients": SessionClient,
        "cookie": Cookie,
        "device": Device,
    }

    id: str | None
    user_id: str | None
    created_at: str | None
    updated_at: str | None
    authenticated_at: str | None
    last_interacted_at: str | None
    expires_at: str | None
    idle_expires_at: str | None
    clients: FrozenList | None
    cookie: Cookie | None
    device: Device | None
    metadata: Frozen | None
    session_transfer: Frozen | None
    actor: Actor | None


class RefreshToken(Section):
    """The refresh token: `event.refresh_token`, on Enterprise plans only."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {
        "device": Device,
        "resource_servers": ResourceGrant,
    }

    id: str | None
    client_id: str | None
    created_at: str | None
    expires_at: str | None
    idle_expires_at: str | None
    last_exchanged_at: str | None
    rotating: bool | None
    session_id: str | None
    user_id: str | None
    resource_servers: FrozenList | None
    device: Device | None
    metadata: Frozen | None
    session_transfer: Frozen | None
    access: str | None


class Stats(Section):
    """The statistics: `event.stats`.  Auth0 counts a login before its actions run, even if it then fails."""

    __slots__ = ()

    logins_count: int | None


class Tenant(Section):
    """The tenant: `event.tenant`."""

    __slots__ = ()

    id: str | None


class ResourceServer(Section):
    """The API that a token is requested for: `event.resource_server`."""

    __slots__ = ()

    identifier: str | None


class CustomDomain(Section):
    """The custom domain: `event.custom_domain`."""

    __slots__ = ()

    domain: str | None
    domain_metadata: Frozen | None


class SecurityContext(Section):
    """Fingerprints of the TLS connection: `event.security_context`."""

    __slots__ = ()

    ja3: str | None
    ja4: str | None


class Prompt(Section):
    """The form that the user filled in: `event.prompt`."""

    __slots__ = ()

    id: str | None
    fields: Frozen | None
    vars: Frozen | None


class Agent(Section):
    """The agent that acts for the user: `event.agent`."""

    __slots__ = ()

    agent_id: str | None
    name: str | None
    agent_metadata: Frozen | None


class AnonymousSession(Section):
    """The session from before the login: `event.anonymous_session`."""

    __slots__ = ()

    user_id: str | None
    session_id: str | None
    created_at: str | None
    expires_at: str | None
    metadata: Frozen | None


class Experiment(Section):
    """The experiment that this login is part of: `event.experiment`."""

    __slots__ = ()

    experiment_id: str | None
    variation_id: str | None
    variation_name: str | None
    config: Frozen | None
    is_control: bool | None


class SessionTransferToken(Section):
    """The token that transferred a session from another application: `event.session_transfer_token`."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"request": TokenRequest}

    client_id: str | None
    scope: FrozenList | None
    request: TokenRequest | None
