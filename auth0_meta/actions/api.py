"""What an action requests: the `api` object of the post-login trigger."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from auth0_meta.actions.cache import Cache
from auth0_meta.actions.claims import CALLED, Kind, left_out
from auth0_meta.actions.event.event import Event
from auth0_meta.actions.event.read_only import FrozenMetadata, frozen_json
from auth0_meta.actions.outcome import LoginOutcome
from auth0_meta.actions.redirect import RedirectApi
from auth0_meta.actions.staging import Staging, require_text
from auth0_meta.actions.unsupported import UNSUPPORTED, Unsupported, unknown_name
from auth0_meta.changes.jsonvalue import JSONValue, ListOrTuple
from auth0_meta.checks.sizes import json_size
from auth0_meta.clock import Clock
from auth0_meta.errors import InputError
from auth0_meta.redact import discreet, outline
from auth0_meta.warn import notice

# Source: Auth0's limits of Actions and the validators of its SDK.
_MAX_SCOPES = 1000
_MAX_SCOPE_LENGTH = 280
_MAX_MESSAGE_LENGTH = 100
_MAX_KEY_LENGTH = 64
_MAX_VALUE_BYTES = 8192
_MAX_METADATA_BYTES = 16384
_MAX_SAFE_INTEGER = 2**53 - 1
# The documentation says 10 kB in all, the SDK 100 KiB: the lower limit is safe whichever is true.
_SAML_LIMITS = {"attributes": 100, "name": 1024, "value": 2048, "total": 10240}

_N = TypeVar("_N")


class _Namespace:
    """The base of `api.user`, `api.access` and the others."""

    __slots__ = ("_api", "_staging")

    def __init__(self, api: Api) -> None:
        self._api = api
        self._staging = api._staging


@discreet
class UserApi(_Namespace):
    """Stage metadata: `api.user`."""

    __slots__ = ()

    def set_app_metadata(self, key: str, value: JSONValue, /) -> Api:
        """Stage the whole value of a first-level key of `app_metadata`; None deletes the key.

        Nothing is sent before the login ends, and a value that equals the stored one is not sent at all.
        `event.user` still shows the previous value; later actions see the new one.  Raises
        `MetadataError` for a key or value that Auth0 does not accept, `StoredDataError` if the stored
        `app_metadata` is not an object.
        """
        self._staging.stage("app_metadata", key, value)
        return self._api

    def set_user_metadata(self, key: str, value: JSONValue, /) -> Api:
        """Stage the whole value of a first-level key of `user_metadata`, as `set_app_metadata` does."""
        self._staging.stage("user_metadata", key, value)
        return self._api

    @property
    def app_metadata(self) -> FrozenMetadata:
        """Return a read-only copy of `app_metadata` as it will be stored, with what this action has staged."""
        return self._staging.in_effect("app_metadata")

    @property
    def user_metadata(self) -> FrozenMetadata:
        """Return a read-only copy of `user_metadata` as it will be stored, with what this action has staged."""
        return self._staging.in_effect("user_metadata")


class AccessApi(_Namespace):
    """Refuse the login: `api.access`."""

    __slots__ = ()

    def deny(self, reason: str, /) -> Api:
        """Refuse the login with a reason that the user may see; this action still runs to its end, later ones don't run.

        Staged metadata is still written.  The first reason wins.  Source: Auth0 docs, post-login API
        object.
        """
        self._staging.require_open()
        reason = require_text(reason, "the reason for a denial")
        if self._staging.denied is None:
            self._staging.denied = reason
        return self._api


class ValidationApi(_Namespace):
    """Report an error to the application: `api.validation`."""

    __slots__ = ()

    def error(self, code: str, message: str, /) -> Api:
        """Refuse the login with a code and a message for the application, each of at most 100 characters.

        As with a denial, what is staged is written and later actions don't run.  Auth0 documents neither.
        """
        self._staging.require_open()
        code = require_text(code, "the error code", most=_MAX_MESSAGE_LENGTH)
        message = require_text(message, "the error message", most=_MAX_MESSAGE_LENGTH)
        self._staging.validation_errors.append((code, message))
        return self._api


@discreet
class _Claims(_Namespace):
    """Request claims for one of the tokens."""

    __slots__ = ()
    _target: ClassVar[Kind]

    def set_custom_claim(self, name: str, value: JSONValue, /) -> Api:
        """Request a claim; a later call for the same name wins.

        What Auth0 leaves out of its tokens is left out here too, with a `MetadataWarning`: names that Auth0 keeps for
        itself, such as `roles` and `permissions`; names with a namespace of Auth0 (auth0.com, webtask.io, webtask.run,
        `urn:auth0`); names that don't begin with a URL, in an access token for an API of Auth0; and the claims of
        the user's profile, such as `email`, if the event says that the login did not request their scope.  Use a URL of
        your own: `https://example.com/roles`.  If the claims of one token exceed 100 KB, the login fails.  `scope`, and
        what JSON can't represent, raises `InputError`.
        """
        staging = self._staging
        staging.require_open()
        if require_text(name, "a claim's name") == "scope":
            raise InputError("the claim 'scope' is reserved: use api.access_token.add_scope and remove_scope")
        copy = frozen_json(value, path=f"the claim {name}")
        api, scopes = staging.event.resource_server, staging.event.transaction.requested_scopes
        audience = None if api is None else api.identifier
        why = left_out(name, self._target, audience=audience, scopes=scopes)
        if why is None:
            getattr(staging.token_changes, self._target)[name] = copy
        else:
            notice(
                f"Auth0 would leave the claim {name[:80]!r} out of the {CALLED[self._target]}, so it was left out: {why}. "
                "Use a name that begins with a URL of your own, such as https://example.com/roles"
            )
        return self._api


class IdTokenApi(_Claims):
    """Request claims for the ID token: `api.id_token`.  The application or the local tenant adds them."""

    __slots__ = ()
    _target = "id_token"


@discreet
class AccessTokenApi(_Claims):
    """Request claims and scopes for the access token: `api.access_token`."""

    __slots__ = ()
    _target = "access_token"

    def add_scope(self, scope: str, /) -> Api:
        """Request a scope of 1 to 280 characters without white space; at most 1,000 can be added."""
        changes = self._staging.token_changes
        return self._move(scope, changes.removed_scopes, changes.added_scopes)

    def remove_scope(self, scope: str, /) -> Api:
        """Request that a scope be left out; at most 1,000 can be removed."""
        changes = self._staging.token_changes
        return self._move(scope, changes.added_scopes, changes.removed_scopes)

    def _move(self, scope: str, source: list[str], target: list[str]) -> Api:
        self._staging.require_open()
        name = scope.strip() if isinstance(scope, str) else scope
        require_text(name, "a scope", most=_MAX_SCOPE_LENGTH)
        if any(c.isspace() for c in name):
            raise InputError("a scope must not contain white space: add each scope in a separate call")
        if len(target) >= _MAX_SCOPES:
            raise InputError(f"a login can add and remove at most {_MAX_SCOPES} scopes each")
        if name in source:
            source.remove(name)
        if name not in target:
            target.append(name)
        return self._api


@discreet
class SamlApi(_Namespace):
    """Request attributes of the outgoing SAML assertion: `api.saml_response`."""

    __slots__ = ()

    def set_attribute(self, name: str, value: str | float | ListOrTuple[str | float] | None, /) -> Api:
        """Request an attribute: a string, number, boolean or a list of them; None removes it.

        At most 100 attributes, names of 1 kB, values of 2 kB, 10 kB in all.
        """
        self._staging.require_open()
        frozen = frozen_json(value, path=f"the attribute {require_text(name, 'an attribute name')}")
        after = self._staging.token_changes.saml | {name: frozen}
        if frozen is None:
            del after[name]
        sizes = [(json_size(key) - 2, json_size(item)) for key, item in after.items()]
        total = sum(map(sum, sizes))
        too_long = any(key > _SAML_LIMITS["name"] or item > _SAML_LIMITS["value"] for key, item in sizes)
        if too_long or len(after) > _SAML_LIMITS["attributes"] or total > _SAML_LIMITS["total"]:
            raise InputError(
                f"with the SAML attribute {name[:80]!r} there are {len(after)} attributes, "
                f"{total} B in all, which exceeds a limit of Auth0: {_SAML_LIMITS}"
            )
        self._staging.token_changes.saml = after
        return self._api

    if not TYPE_CHECKING:  # otherwise a type checker would accept every name

        def __getattr__(self, name: str) -> Any:
            return getattr(Unsupported("saml_response"), name)


@discreet
class TransactionApi(_Namespace):
    """Keep values for the rest of this login: `api.transaction`."""

    __slots__ = ()

    def set_metadata(self, key: str, value: str | float | None, /) -> Api:
        """Set a value for the rest of this login; None removes it.

        `event.transaction.metadata` has it at once, in later actions, and after a redirect.  It is a string,
        number or boolean; keys have at most 64 characters, values 8 kB, all together 16 kB, and integers must
        be exact in a double.  Raises `InputError`.
        """
        self._staging.require_open()
        require_text(key, "a transaction metadata key", most=_MAX_KEY_LENGTH)
        metadata = self._staging.event.transaction.metadata
        # As in Auth0's SDK, and unlike `event.user`, this part of the event changes: it belongs to the login.
        if value is None:
            dict.pop(metadata, key, None)
            return self._api
        what = f"the transaction metadata {key!r}"
        if not isinstance(value, str | int | float):
            raise InputError(f"{what} must be a string, a number or a boolean, not {type(value).__name__}")
        if isinstance(value, int) and abs(value) > _MAX_SAFE_INTEGER:
            raise InputError(f"{what} is beyond 2**53 - 1, where JavaScript rounds: send a string")
        after = {**metadata, key: frozen_json(value, path=key)}
        size, total = json_size(value), sum(json_size(k) + json_size(v) for k, v in after.items())
        if size > _MAX_VALUE_BYTES or total > _MAX_METADATA_BYTES:
            raise InputError(
                f"{what} has {size} B, {total} B with the rest, and Auth0 accepts "
                f"{_MAX_VALUE_BYTES} B and {_MAX_METADATA_BYTES} B"
            )
        dict.__setitem__(metadata, key, value)
        return self._api


class _Part(Generic[_N]):
    """A namespace of the api, made for each use: if the api kept it, the two would keep each other alive."""

    def __init__(self, make: Callable[[Api], _N], /) -> None:
        self._make = make

    def __get__(self, api: Api, owner: type[Api]) -> _N:
        return self._make(api)


class Api:
    """What an action requests: `api.user.set_app_metadata("plan", "pro")`.

    Names are Auth0's in snake_case.  Calls with nothing else to return return `api`, for chaining.  A call
    after the action has ended raises `StateError`.  What makes no sense outside Auth0 raises
    NotImplementedError and says why.  Source: Auth0 docs, "Post-login triggers: API object".
    """

    __slots__ = ("_cache", "_clock", "_staging", "outcome")

    def __init__(self, staging: Staging, cache: Cache, clock: Clock) -> None:
        self._staging = staging
        self._cache = cache
        self._clock = clock
        self.outcome: LoginOutcome | None = None
        """How the login ended; set on leaving a `post_login` block."""

    @property
    def event(self) -> Event:
        """Return the event as this action sees it, with both metadata objects."""
        return self._staging.event

    user = _Part(UserApi)
    access = _Part(AccessApi)
    validation = _Part(ValidationApi)
    id_token = _Part(IdTokenApi)
    access_token = _Part(AccessTokenApi)
    saml_response = _Part(SamlApi)
    transaction = _Part(TransactionApi)

    @property
    def redirect(self) -> RedirectApi:
        """Return the namespace that interrupts the login."""
        return RedirectApi(self._staging, self._clock)

    @property
    def cache(self) -> Cache:
        """Return the trigger's cache."""
        return self._cache

    # Hidden from type checkers.  They would otherwise accept `api.usr.set_app_metadata`, and then take the rest
    # of the action for unreachable and leave it unchecked.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Unsupported:
            if name in UNSUPPORTED:
                return Unsupported(name)
            raise unknown_name(f"api.{name}", (*UNSUPPORTED, *dir(Api)))

    def __repr__(self) -> str:
        staged = {bag: keys for bag, keys in self._staging.staged.items() if keys}
        return f"<Api of {self._staging.name}: {outline(staged)} staged>"


class ActionObject(Protocol):
    """An action that is an object or a module; with `on_continue_post_login(event, api)` beside this it may redirect."""

    def on_execute_post_login(self, event: Event, api: Api, /) -> object:
        """Run at a login; what it returns is awaited if it is awaitable, and otherwise ignored."""


Action: TypeAlias = Callable[[Event, Api], object] | ActionObject
"""What a trigger takes: a function of (event, api), sync or async, or an object or module with `on_execute_post_login`."""
