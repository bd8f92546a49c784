"""The sections inside the event's sections, and their documented fields; PURE.  Source: see `sections`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from auth0_meta.actions.event.read_only import Frozen, FrozenList, Section


class GeoIp(Section):
    """Where a request came from: `event.request.geoip`."""

    __slots__ = ()

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

    __slots__ = ()

    connection: str | None
    provider: str | None
    user_id: str | None
    is_social: bool | None
    profile_data: Frozen | None


class EnrolledFactor(Section):
    """An authentication factor of the user: an item of `event.user.enrolled_factors`."""

    __slots__ = ()

    type: str | None
    options: Frozen | None


class Method(Section):
    """One way in which the user proved who they are: an item of `event.authentication.methods`."""

    __slots__ = ()

    name: str | None
    timestamp: str | None
    type: str | None


class Actor(Section):
    """Who acts on behalf of the user: `event.transaction.actor`, `event.session.actor`."""

    __slots__ = ()

    sub: str | None
    act: Actor | None


Actor.SECTIONS = {"act": Actor}


class RefreshPolicy(Section):
    """The scopes of one API for an application's refresh tokens: an item of `event.client.refresh_token.policies`."""

    __slots__ = ()

    audience: str | None
    scope: FrozenList | None


class RefreshTokenSettings(Section):
    """The refresh token settings of an application: `event.client.refresh_token`."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"policies": RefreshPolicy}

    policies: FrozenList | None


class Cookie(Section):
    """The session's cookie: `event.session.cookie`; `mode` is persistent or non-persistent."""

    __slots__ = ()

    mode: str | None


class Device(Section):
    """The devices that first and last used a session or a refresh token."""

    __slots__ = ()

    initial_asn: str | None
    initial_ip: str | None
    initial_user_agent: str | None
    last_asn: str | None
    last_ip: str | None
    last_user_agent: str | None


class SessionClient(Section):
    """An application that uses the session: an item of `event.session.clients`."""

    __slots__ = ()

    client_id: str | None


class ResourceGrant(Section):
    """An API that a refresh token is for: an item of `event.refresh_token.resource_servers`."""

    __slots__ = ()

    audience: str | None
    scopes: FrozenList | None


class TokenRequest(Section):
    """The request for a session transfer token: `event.session_transfer_token.request`."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"geoip": GeoIp}

    ip: str | None
    asn: str | None
    user_agent: str | None
    geoip: GeoIp | None
