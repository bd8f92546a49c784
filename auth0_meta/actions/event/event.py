"""The post-login event, read-only, with everything that its source has; PURE."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auth0_meta.actions.event.read_only import Frozen, frozen_json
from auth0_meta.actions.event.sections import EventSections, EventUser, Transaction
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.errors import InputError
from auth0_meta.http.request import user_path
from auth0_meta.models import User
from auth0_meta.redact import discreet

# These sections always exist, empty if the source lacks them; the others are None in that case.  Source: what Auth0
# documents as always present.
_ALWAYS = ("client", "configuration", "connection", "request", "secrets", "stats", "tenant", "transaction")
_OBJECTS = {"request": ("query", "body", "geoip"), "transaction": ("metadata",)}

# Claims that belong to OpenID Connect's protocol, not to the user.
_PROTOCOL_CLAIMS = frozenset({
    "acr", "amr", "at_hash", "aud", "auth_time", "azp", "c_hash", "exp", "iat", "iss", "jti", "nbf", "nonce",
    "org_id", "org_name", "phone_number_verified", "s_hash", "sid", "sub",
})  # fmt: skip


@discreet
class Event(EventSections):
    """One login, read-only: Auth0's post-login event, version 3.

    Sections and their fields are attributes (`event.user.email`, `event.request.geoip.country_code`).  A
    documented field that is absent is None; fields that this package does not know are kept.  Build an event
    with `from_dict`, `from_profile` or `from_claims`.  The repr names the user and the sections, and shows no
    values.  Source: Auth0 docs, "Post-login triggers: event object".

    >>> event = Event.from_dict({"user": {"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}})
    >>> event.user.app_metadata["plan"], event.user.email, event.organization
    ('pro', None, None)
    """

    @classmethod
    def from_dict(cls, event: Mapping[str, Any], /) -> Event:
        """Build an event from Auth0's JSON; metadata that `user` lacks is unknown, not empty.

        Raises `InputError` for a user without a usable `user_id`, a section that is not an object, and a
        value that JSON can't represent.
        """
        sections: dict[str, Any] = {name: {} for name in _ALWAYS} | dict(_object(event, "event"))
        for name in sections.keys() & cls._auth0_names:
            if sections[name] is not None or name in _ALWAYS:
                _object(sections[name], f"event.{name}")
        for name, fields in _OBJECTS.items():
            found = sections[name]
            inner = {field: _object(found.get(field) or {}, f"event.{name}.{field}") for field in fields}
            sections[name] = {**found, **inner}
        user = sections.get("user") or {}
        user_path(user.get("user_id", ""))
        sections["user"] = {
            name: value for name, value in user.items() if value is not None or name not in BAGS
        }
        built: Event = frozen_json(sections, path="event", section=cls)
        return built

    @classmethod
    def from_profile(cls, profile: User | Mapping[str, Any], /, **sections: Any) -> Event:
        """Build an event from a stored profile: a response of `GET /users/{id}`, or a row of an export.

        Absent metadata is empty, as Auth0 leaves empty objects out, unless `profile` is a `User` that was
        read without that field.  `sections` are the rest of the event: `request={"ip": ...}`,
        `connection={...}`.

        >>> event = Event.from_profile({"user_id": "auth0|1"}, request={"ip": "192.0.2.1"})
        >>> event.user.app_metadata, event.request.ip
        (<FrozenMetadata: empty>, '192.0.2.1')
        """
        raw, omitted = (profile.raw, profile.omitted) if isinstance(profile, User) else (profile, frozenset())
        _object(raw, "the profile")
        bags = {bag: {} if raw.get(bag) is None else raw[bag] for bag in BAGS if bag not in omitted}
        return cls.from_dict({**sections, "user": {**raw, **bags}})

    @classmethod
    def from_claims(cls, claims: Mapping[str, Any], /, **sections: Any) -> Event:
        """Build an event from the claims of an ID token that you have verified: signature, issuer, audience, expiry.

        Never pass unverified claims from a browser: whoever sends them chooses the user.  ID tokens have no
        metadata, so both metadata objects are unknown, and the trigger reads the user.  `sub` becomes
        `user.user_id`, `org_id` becomes `organization.id`, `sid` `session.id`, and `aud` `client.client_id`
        (of several audiences, the one in `azp`); other claims become fields of the user.  `sections` are
        those of `from_profile`; their fields override those from the claims, one by one.

        >>> event = Event.from_claims({"sub": "auth0|1", "aud": "app", "email": "ada@example.com"})
        >>> event.user.user_id, event.user.email, event.client.client_id
        ('auth0|1', 'ada@example.com', 'app')
        """
        _object(claims, "the claims")
        user = {name: value for name, value in claims.items() if name not in (*_PROTOCOL_CLAIMS, *BAGS)}
        user["user_id"] = claims.get("sub", "")
        if "phone_number_verified" in claims:
            user["phone_verified"] = claims["phone_number_verified"]
        from_claims: dict[str, Any] = {"user": user}
        client_id = claims.get("aud")
        if isinstance(client_id, list | tuple):
            client_id = client_id[0] if len(client_id) == 1 else claims.get("azp")
        if isinstance(client_id, str):
            from_claims["client"] = {"client_id": client_id}
        if "org_id" in claims:
            from_claims["organization"] = {"id": claims["org_id"], "name": claims.get("org_name")}
        if "sid" in claims:
            from_claims["session"] = {"id": claims["sid"]}
        for name in from_claims.keys() & sections.keys():
            if isinstance(sections[name], Mapping):
                sections[name] = {**from_claims[name], **sections[name]}
        return cls.from_dict(from_claims | sections)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return which of `user_metadata` and `app_metadata` the source of this event did not have."""
        return tuple(bag for bag in BAGS if bag not in self.user)

    def _for_run(self, secrets: Mapping[str, str], configuration: Mapping[str, Any], /) -> Event:
        """Return this event with more secrets and configuration, and transaction metadata that the api may change."""
        transaction = Transaction(self.transaction)
        dict.__setitem__(transaction, "metadata", Frozen(self.transaction.metadata))
        return self._with(
            transaction=transaction,
            secrets=Frozen({**self.secrets, **secrets}),
            configuration=Frozen({**self.configuration, **configuration}),
        )

    def _with_user(self, /, **fields: Any) -> Event:
        """Return this event with fields of the user replaced by frozen values; the rest is shared."""
        user = EventUser(self.user)
        dict.update(user, fields)
        return self._with(user=user)

    def _with(self, **sections: Any) -> Event:
        changed = Event(self)
        dict.update(changed, sections)
        return changed

    def __repr__(self) -> str:
        return f"<Event {self.user.user_id!r}: {', '.join(name for name in self if self[name])}>"


def _object(value: Any, path: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise InputError(f"{path} must be an object, not {type(value).__name__}: pass a dict")
