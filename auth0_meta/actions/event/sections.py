"""The sections of the event and their documented fields; PURE.  Source: Auth0 docs, "Post-login triggers: event object".

An annotation says what a field is built as: a section, or a list of sections, which is a `Sequence` for type checkers.
"""

from __future__ import annotations

from collections.abc import Sequence

from auth0_meta.actions.event.read_only import Frozen, FrozenList, FrozenMetadata, Section
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.changes.profile import repair
from auth0_meta.errors import StateError, StoredDataError


class GeoIp(Section):
    """Where a request came from: `event.request.geoip`."""

    city_name: str | None
    continent_code: str | None
    country_code: str | None
    country_code3: str | None
    country_name: str | None
    latitude: float | None
    longitude: float | None
    subdivision_code: str | None
    subdivision_name: str | None
    time_zone: str | None


class Identity(Section):
    """One of the linked accounts of a user: an item of `event.user.identities`."""

    connection: str | None
    provider: str | None
    user_id: str | None
    is_social: bool | None
    profile_data: Frozen | None


class EnrolledFactor(Section):
    """An authentication factor of the user: an item of `event.user.enrolled_factors`."""

    type: str | None
    options: Frozen | None


class Method(Section):
    """One way in which the user proved who they are: an item of `event.authentication.methods`."""

    name: str | None
    timestamp: str | None
    type: str | None


class Actor(Section):
    """Who acts on behalf of the user: `event.transaction.actor`, `event.session.actor`."""

    sub: str | None
    act: Actor | None


class RefreshPolicy(Section):
    """The scopes of one API for an application's refresh tokens: an item of `event.client.refresh_token.policies`."""

    audience: str | None
    scope: FrozenList | None


class RefreshTokenSettings(Section):
    """The refresh token settings of an application: `event.client.refresh_token`."""

    policies: Sequence[RefreshPolicy] | None


class Cookie(Section):
    """The session's cookie: `event.session.cookie`; `mode` is persistent or non-persistent."""

    mode: str | None


class Device(Section):
    """The devices that first and last used a session or a refresh token."""

    initial_asn: str | None
    initial_ip: str | None
    initial_user_agent: str | None
    last_asn: str | None
    last_ip: str | None
    last_user_agent: str | None


class SessionClient(Section):
    """An application that uses the session: an item of `event.session.clients`."""

    client_id: str | None


class ResourceGrant(Section):
    """An API that a refresh token is for: an item of `event.refresh_token.resource_servers`."""

    audience: str | None
    scopes: FrozenList | None


class TokenRequest(Section):
    """The request for a session transfer token: `event.session_transfer_token.request`."""

    ip: str | None
    asn: str | None
    user_agent: str | None
    geoip: GeoIp | None


class EventUser(Section):
    """The user: `event.user`; the metadata is what was stored or staged before this action.

    Reading `app_metadata` or `user_metadata` raises `StateError` if the source of the event did not have it
    and the user has not been read yet, and `StoredDataError` if it is anything but an object.
    """

    _bags = {bag: bag for bag in BAGS}  # noqa: RUF012  # never changed

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
    enrolled_factors: Sequence[EnrolledFactor] | None
    identities: Sequence[Identity] | None

    @property
    def app_metadata(self) -> FrozenMetadata:
        """Return `app_metadata` as it was before this action."""
        return self._bag("app_metadata")

    @property
    def user_metadata(self) -> FrozenMetadata:
        """Return `user_metadata`, which users may edit, as it was before this action."""
        return self._bag("user_metadata")

    def _bag(self, bag: str) -> FrozenMetadata:
        if bag not in self:
            # Not {}: an ID token, for example, has no metadata, and an action would mistake the user for a
            # new one.
            raise StateError(
                f"the {bag} of {self['user_id']} is unknown, as the source of this event did not have it: "
                "use PostLoginTrigger or post_login, which read the user before the first action"
            )
        found = dict.__getitem__(self, bag)
        if isinstance(found, FrozenMetadata):
            return found
        raise StoredDataError(not_an_object(self["user_id"], bag, found), user_id=self["user_id"], bag=bag)


def not_an_object(user_id: str, bag: str, found: object) -> str:
    """Return the message for metadata that is anything but an object."""
    kind = "list" if isinstance(found, FrozenList) else type(found).__name__
    # The first sentence is Auth0's own, so that a search for it finds the right pages.
    return f"Unexpected {bag} format. Must be a valid JSON object: {user_id} has {kind}. Nothing was written. {repair(bag)}"


class Request(Section):
    """The current request: `event.request`; after a redirect, the one to /continue."""

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

    client_id: str | None
    name: str | None
    metadata: Frozen | None
    refresh_token: RefreshTokenSettings | None
    authentication: Frozen | None
    external_client_id: str | None
    external_metadata_type: str | None


class Connection(Section):
    """Where the user signed in: `event.connection`."""

    id: str | None
    name: str | None
    strategy: str | None
    metadata: Frozen | None


class Transaction(Section):
    """The login transaction: `event.transaction`; what an action sets in `metadata` is there at once."""

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

    confidence: str | None
    version: str | None
    assessments: Frozen | None
    supplemental: Frozen | None


class Authentication(Section):
    """How the user proved who they are: `event.authentication`."""

    methods: Sequence[Method] | None
    risk_assessment: RiskAssessment | None


class Authorization(Section):
    """The user's roles: `event.authorization`."""

    roles: FrozenList | None


class Organization(Section):
    """The organization that the user logs in to: `event.organization`."""

    id: str | None
    name: str | None
    display_name: str | None
    metadata: Frozen | None


class Session(Section):
    """The session: `event.session`; fields other than `id` are for Enterprise plans only."""

    id: str | None
    user_id: str | None
    created_at: str | None
    updated_at: str | None
    authenticated_at: str | None
    last_interacted_at: str | None
    expires_at: str | None
    idle_expires_at: str | None
    clients: Sequence[SessionClient] | None
    cookie: Cookie | None
    device: Device | None
    metadata: Frozen | None
    session_transfer: Frozen | None
    actor: Actor | None


class RefreshToken(Section):
    """The refresh token: `event.refresh_token`, on Enterprise plans only."""

    id: str | None
    client_id: str | None
    created_at: str | None
    expires_at: str | None
    idle_expires_at: str | None
    last_exchanged_at: str | None
    rotating: bool | None
    session_id: str | None
    user_id: str | None
    resource_servers: Sequence[ResourceGrant] | None
    device: Device | None
    metadata: Frozen | None
    session_transfer: Frozen | None
    access: str | None


class Stats(Section):
    """The statistics: `event.stats`.  Auth0 counts a login before its actions run, even if it then fails."""

    logins_count: int | None


class Tenant(Section):
    """The tenant: `event.tenant`."""

    id: str | None


class ResourceServer(Section):
    """The API that a token is requested for: `event.resource_server`."""

    identifier: str | None


class CustomDomain(Section):
    """The custom domain: `event.custom_domain`."""

    domain: str | None
    domain_metadata: Frozen | None


class SecurityContext(Section):
    """Fingerprints of the TLS connection: `event.security_context`."""

    ja3: str | None
    ja4: str | None


class Prompt(Section):
    """The form that the user filled in: `event.prompt`."""

    id: str | None
    fields: Frozen | None
    vars: Frozen | None


class Agent(Section):
    """The agent that acts for the user: `event.agent`."""

    agent_id: str | None
    name: str | None
    agent_metadata: Frozen | None


class AnonymousSession(Section):
    """The session from before the login: `event.anonymous_session`."""

    user_id: str | None
    session_id: str | None
    created_at: str | None
    expires_at: str | None
    metadata: Frozen | None


class Experiment(Section):
    """The experiment that this login is part of: `event.experiment`."""

    experiment_id: str | None
    variation_id: str | None
    variation_name: str | None
    config: Frozen | None
    is_control: bool | None


class SessionTransferToken(Section):
    """The token that transferred a session from another application: `event.session_transfer_token`."""

    client_id: str | None
    scope: FrozenList | None
    request: TokenRequest | None


class EventSections(Section):
    """The sections of an event; those that Auth0 documents as always present are never None."""

    agent: Agent | None
    anonymous_session: AnonymousSession | None
    authentication: Authentication | None
    authorization: Authorization | None
    client: Application
    configuration: Frozen
    connection: Connection
    custom_domain: CustomDomain | None
    experiment: Experiment | None
    organization: Organization | None
    prompt: Prompt | None
    refresh_token: RefreshToken | None
    request: Request
    resource_server: ResourceServer | None
    secrets: Frozen
    security_context: SecurityContext | None
    session: Session | None
    session_transfer_token: SessionTransferToken | None
    stats: Stats
    tenant: Tenant
    transaction: Transaction
    user: EventUser
