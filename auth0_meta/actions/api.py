"""Let an action say what shall happen: the `api` object of the post-login trigger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from auth0_meta.actions.cache import Cache
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import Frozen, freeze
from auth0_meta.actions.redirect import RedirectApi
from auth0_meta.actions.staging import Asked, text
from auth0_meta.actions.unsupported import ELSEWHERE, Elsewhere, unknown
from auth0_meta.changes.jsonvalue import json_size
from auth0_meta.clock import Clock
from auth0_meta.errors import InputError
from auth0_meta.redact import outline

if TYPE_CHECKING:
    from auth0_meta.actions.outcome import LoginOutcome

# Source: Auth0's limits of Actions and the validators of its SDK.
_MOST_SCOPES = 1000
_LONGEST_SCOPE = 280
_LONGEST_MESSAGE = 100
_MOST_KEY = 64
_MOST_VALUE = 8192
_MOST_METADATA = 16384
_SAFE_INTEGER = 2**53 - 1
_SAML = {"attributes": 100, "name": 1024, "value": 2048, "total": 10240}


class _Part:
    """Hold what every namespace of the api needs."""

    __slots__ = ("_api", "_asked")

    def __init__(self, api: Api, asked: Asked) -> None:
        self._api = api
        self._asked = asked


class UserApi(_Part):
    """Stage metadata: `api.user`."""

    __slots__ = ()

    def set_app_metadata(self, key: str, value: Any, /) -> Api:
        """Stage a first-level key of `app_metadata`, whole; None deletes it.

        Nothing is sent before the flow ends, and what equals the stored value is not sent at all.  `event.user` goes on
        showing the value from before; later actions see the new one.  Raises `MetadataError` for a
        key or value that Auth0 does not accept, `StoredDataError` where the bag is stored as no object.
        """
        self._asked.stage("app_metadata", key, value)
        return self._api

    def set_user_metadata(self, key: str, value: Any, /) -> Api:
        """Stage a first-level key of `user_metadata`, whole, as `set_app_metadata` does."""
        self._asked.stage("user_metadata", key, value)
        return self._api

    @property
    def app_metadata(self) -> Frozen:
        """Return the bag as it will be stored, read-only: what this action staged included."""
        return self._asked.in_effect("app_metadata")

    @property
    def user_metadata(self) -> Frozen:
        """Return the bag as it will be stored, read-only: what this action staged included."""
        return self._asked.in_effect("user_metadata")


class AccessApi(_Part):
    """Refuse the login: `api.access`."""

    __slots__ = ()

    def deny(self, reason: str, /) -> Api:
        """Refuse the login with a reason that the user may see; this action still runs to its end, later ones do not.

        Staged metadata is written all the same.  The first reason stands.  Source: Auth0 docs, post-login API object.
        """
        self._asked.require_open()
        reason = text(reason, "the reason of deny")
        if self._asked.denied is None:
            self._asked.denied = reason
        return self._api


class ValidationApi(_Part):
    """Report an error to the application: `api.validation`."""

    __slots__ = ()

    def error(self, code: str, message: str, /) -> Api:
        """Refuse the login with a code and a message for the application, each of at most 100 characters.

        Taken as a denial: what is staged is written, later actions do not run.  Auth0 documents neither.
        """
        self._asked.require_open()
        parts = (
            text(code, "the error code", most=_LONGEST_MESSAGE),
            text(message, "the error message", most=_LONGEST_MESSAGE),
        )
        self._asked.invalid.append(parts)
        return self._api


class _Claims(_Part):
    """Set claims of one token."""

    __slots__ = ()

    def _set(self, claims: dict[str, Any], name: str, value: Any) -> Api:
        self._asked.require_open()
        if text(name, "a claim's name") == "scope":
            msg = "the claim 'scope' is reserved: use api.access_token.add_scope and remove_scope"
            raise InputError(msg)
        claims[name] = freeze(value, path=f"the claim {name}")
        return self._api


class IdTokenApi(_Claims):
    """Ask for claims in the ID token: `api.id_token`; the application or Auth0's emulator puts them there."""

    __slots__ = ()

    def set_custom_claim(self, name: str, value: Any, /) -> Api:
        """Ask for a claim; `scope` is reserved.  A later call for the same name wins."""
        return self._set(self._asked.carried.id_token, name, value)


class AccessTokenApi(_Claims):
    """Ask for claims and scopes of the access token: `api.access_token`."""

    __slots__ = ()

    def set_custom_claim(self, name: str, value: Any, /) -> Api:
        """Ask for a claim; `scope` is reserved.  A later call for the same name wins."""
        return self._set(self._asked.carried.access_token, name, value)

    def add_scope(self, scope: str, /) -> Api:
        """Ask for a scope: 1 to 280 characters without white space; at most 1000 in all."""
        added = self._asked.carried.added_scopes
        return self._move(scope, self._asked.carried.removed_scopes, added)

    def remove_scope(self, scope: str, /) -> Api:
        """Ask for a scope to be left out."""
        removed = self._asked.carried.removed_scopes
        return self._move(scope, self._asked.carried.added_scopes, removed)

    def _move(self, scope: str, source: list[str], target: list[str]) -> Api:
        self._asked.require_open()
        name = scope.strip() if isinstance(scope, str) else scope
        text(name, "a scope", most=_LONGEST_SCOPE)
        if any(c.isspace() for c in name):
            msg = "a scope has no white space in it"
            raise InputError(msg)
        if len(target) >= _MOST_SCOPES:
            msg = f"at most {_MOST_SCOPES} scopes can be changed"
            raise InputError(msg)
        if name in source:
            source.remove(name)
        if name not in target:
            target.append(name)
        return self._api


class SamlApi(_Part):
    """Ask for attributes of the outgoing SAML assertion: `api.saml_response`."""

    __slots__ = ()

    def set_attribute(self, name: str, value: Any, /) -> Api:
        """Ask for an attribute: a string, number, boolean or a list of them; None removes it.

        At most 100 attributes, names of 1 kB, values of 2 kB, 10 kB in all.
        """
        self._asked.require_open()
        frozen = freeze(value, path=f"the attribute {text(name, 'an attribute name')}")
        after = self._asked.carried.saml | {name: frozen}
        if frozen is None:
            del after[name]
        sizes = {key: (json_size(key) - 2, json_size(item)) for key, item in after.items()}
        if (
            len(after) > _SAML["attributes"]
            or any(key > _SAML["name"] or item > _SAML["value"] for key, item in sizes.values())
            or sum(map(sum, sizes.values())) > _SAML["total"]
        ):
            msg = f"the SAML attribute {name[:80]!r} passes a limit of Auth0: {_SAML}"
            raise InputError(msg)
        self._asked.carried.saml = after
        return self._api

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        return getattr(Elsewhere("saml_response"), name)  # type: ignore[no-any-return]


class TransactionApi(_Part):
    """Keep something for the rest of this login: `api.transaction`."""

    __slots__ = ()

    def set_metadata(self, key: str, value: str | float | None, /) -> Api:
        """Set a value that `event.transaction.metadata` shows at once, in later actions and after a redirect; None removes.

        A string, number or boolean; keys of at most 64 characters, values of 8 kB, 16 kB in all, integers that a
        double holds exactly.  Gone when the login ends.  Raises `InputError`.
        """
        self._asked.require_open()
        text(key, "a transaction metadata key", most=_MOST_KEY)
        metadata = self._asked.event.transaction.metadata
        if value is None:
            dict.pop(metadata, key, None)
            return self._api
        if not isinstance(value, str | int | float) or (
            isinstance(value, int) and abs(value) > _SAFE_INTEGER
        ):
            msg = f"the transaction metadata {key!r} is a string, a number up to 2**53 - 1 or a boolean"
            raise InputError(msg)
        after = {**metadata, key: freeze(value, path=key)}
        if (
            json_size(value) > _MOST_VALUE
            or sum(json_size(k) + json_size(v) for k, v in after.items()) > _MOST_METADATA
        ):
            msg = f"the transaction metadata {key!r} passes {_MOST_VALUE} B, or {_MOST_METADATA} B with the rest"
            raise InputError(msg)
        dict.__setitem__(metadata, key, value)
        return self._api


class Api:
    """Take what an action wants: `api.user.set_app_metadata("plan", "pro")`.

    Names are Auth0's in snake_case; calls that return nothing else return `api`, to be chained.  A call
    after the action has ended raises `StateError`.  What makes no sense outside Auth0 raises
    NotImplementedError and says why.  Source: Auth0 docs, "Post-login triggers: API object".
    """

    __slots__ = ("_asked", "_cache", "_clock", "outcome")

    def __init__(self, asked: Asked, cache: Cache, clock: Clock) -> None:
        self._asked = asked
        self._cache = cache
        self._clock = clock
        self.outcome: LoginOutcome | None = None
        """How the login ended: set on leaving a `post_login` block."""

    @property
    def event(self) -> Event:
        """Return the event as this action sees it, both bags known."""
        return self._asked.event

    @property
    def user(self) -> UserApi:
        """Return what stages metadata."""
        return UserApi(self, self._asked)

    @property
    def access(self) -> AccessApi:
        """Return what refuses the login."""
        return AccessApi(self, self._asked)

    @property
    def validation(self) -> ValidationApi:
        """Return what reports an error to the application."""
        return ValidationApi(self, self._asked)

    @property
    def id_token(self) -> IdTokenApi:
        """Return what asks for claims of the ID token."""
        return IdTokenApi(self, self._asked)

    @property
    def access_token(self) -> AccessTokenApi:
        """Return what asks for claims and scopes of the access token."""
        return AccessTokenApi(self, self._asked)

    @property
    def saml_response(self) -> SamlApi:
        """Return what asks for SAML attributes."""
        return SamlApi(self, self._asked)

    @property
    def transaction(self) -> TransactionApi:
        """Return what keeps values for the rest of this login."""
        return TransactionApi(self, self._asked)

    @property
    def redirect(self) -> RedirectApi:
        """Return what interrupts the login."""
        return RedirectApi(self._asked, self._clock)

    @property
    def cache(self) -> Cache:
        """Return the trigger's cache."""
        return self._cache

    def __getattr__(self, name: str) -> Elsewhere:
        if name in ELSEWHERE:
            return Elsewhere(name)
        raise unknown(f"api.{name}", (*ELSEWHERE, *dir(Api)))

    def __repr__(self) -> str:
        staged = {bag: keys for bag, keys in self._asked.staged.items() if keys}
        return f"<Api of {self._asked.name}: {outline(staged)} staged>"
