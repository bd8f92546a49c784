"""Name the documented fields of what the event's sections hold; PURE.  Source: as of `sections`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from auth0_meta.actions.event.read_only import Frozen, FrozenList, Section


class GeoIp(Section):
    """Show where a request came from, as `event.request.geoip`."""

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
    """Show one of the accounts that make up a user: an item of `event.user.identities`."""

    __slots__ = ()

    connection: str | None
    provider: str | None
    user_id: str | None
    is_social: bool | None
    profile_data: Frozen | None


class EnrolledFactor(Section):
    """Show a factor that the user has: an item of `event.user.enrolled_factors`."""

    __slots__ = ()

    type: str | None
    options: Frozen | None


class Method(Section):
    """Show one way in which the user proved who they are: an item of `event.authentication.methods`."""

    __slots__ = ()

    name: str | None
    timestamp: str | None
    type: str | None


class Actor(Section):
    """Show on whose behalf this is done: `event.transaction.actor`, `event.session.actor`."""

    __slots__ = ()

    sub: str | None
    act: Actor | None


Actor.SECTIONS = {"act": Actor}


class RefreshPolicy(Section):
    """Show what an application's refresh tokens are good for, one API each."""

    __slots__ = ()

    audience: str | None
    scope: FrozenList | None


class RefreshTokenSettings(Section):
    """Show how an application's refresh tokens are set up: `event.client.refresh_token`."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"policies": RefreshPolicy}

    policies: FrozenList | None


class Cookie(Section):
    """Show the session's cookie: `event.session.cookie`; `mode` is persistent or non-persistent."""

    __slots__ = ()

    mode: str | None


class Device(Section):
    """Show where a session or a refresh token was first and last used."""

    __slots__ = ()

    initial_asn: str | None
    initial_ip: str | None
    initial_user_agent: str | None
    last_asn: str | None
    last_ip: str | None
    last_user_agent: str | None


class SessionClient(Section):
    """Show an application of the session: an item of `event.session.clients`."""

    __slots__ = ()

    client_id: str | None


class ResourceGrant(Section):
    """Show what a refresh token is good for: an item of `event.refresh_token.resource_servers`."""

    __slots__ = ()

    audience: str | None
    scopes: FrozenList | None


class TokenRequest(Section):
    """Show the request that made a session transfer token."""

    __slots__ = ()
    SECTIONS: ClassVar[Mapping[str, type[Section]]] = {"geoip": GeoIp}

    ip: str | None
    asn: str | None
    user_agent: str | None
    geoip: GeoIp | None
