"""Direct access to a tenant's users: no request, no token, no journal entry."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from auth0_meta.emulator.http.moments import milliseconds_of
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.metadata import BAGS
from auth0_meta.emulator.state.history import Change
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.errors import InputError

_BY = "tenant.users"
# Users of other providers may have no email.
_WITH_EMAIL = ("auth0", "email")


class LiveUser(Mapping[str, Any]):
    """One user's profile, read anew at each access; the values are copies.

    Equal to a dict with the same profile.  Reading a user who was deleted raises KeyError.
    """

    def __init__(self, state: TenantState, user_id: str) -> None:
        self._state = state
        self.user_id = user_id

    def _document(self) -> dict[str, Any]:
        profile = self._state.users.get(self.user_id)
        if profile is None:
            raise KeyError(self.user_id)
        return profile.document()

    def __getitem__(self, name: str) -> Any:
        return copy.deepcopy(self._document()[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._document())

    def __len__(self) -> int:
        return len(self._document())

    def __repr__(self) -> str:
        return f"<LiveUser {self.user_id!r}>"

    @property
    def user_metadata(self) -> Any:
        """A copy of user_metadata; `{}` if the profile has none."""
        return copy.deepcopy(self._document().get("user_metadata", {}))

    @property
    def app_metadata(self) -> Any:
        """A copy of app_metadata; `{}` if the profile has none."""
        return copy.deepcopy(self._document().get("app_metadata", {}))

    def patch(self, /, **body: Any) -> LiveUser:
        """Write what PATCH /users/{id} would, without its checks; returns this user.

        >>> from auth0_meta.emulator import LocalTenant
        >>> tenant = LocalTenant(serve=False)
        >>> tenant.users.add(user_metadata={"a": 1}).patch(user_metadata={"b": 2}).user_metadata
        {'a': 1, 'b': 2}
        """
        state = self._state
        with state.users.lock:
            before = state.users.get(self.user_id)
            if before is None:
                raise KeyError(self.user_id)
            change = copy.deepcopy(body)
            after = profiles.patched(before, change, now_ms=state.milliseconds(), switches=state.switches)
            state.users.put(after)
            state.history.note(state.now(), self.user_id, before=before, after=after, by=_BY)
            if isinstance(body.get("password"), str):
                state.resources.passwords.put(self.user_id, body["password"])
        return self

    def delete(self) -> None:
        """Delete this user."""
        state = self._state
        with state.users.lock:
            before = state.users.get(self.user_id)
            if before is not None:
                state.users.remove(self.user_id)
                state.resources.forget(self.user_id)
                state.history.note(state.now(), self.user_id, before=before, after=None, by=_BY)

    @property
    def history(self) -> list[Change]:
        """The newest hundred writes to this user, oldest first.

        >>> from auth0_meta.emulator import LocalTenant
        >>> user = LocalTenant(serve=False).users.add(user_metadata={"a": 1}).patch(user_metadata={"a": 2})
        >>> [(change.by, change.changed) for change in user.history]
        [('tenant.users', {'user_metadata.a': (1, 2)})]
        """
        return self._state.history.of(self.user_id)


class Users:
    """The tenant's users: `users[user_id]`, iteration, `len`, and `in` with an id."""

    def __init__(self, state: TenantState) -> None:
        self._state = state

    def __len__(self) -> int:
        return len(self._state.users)

    def __iter__(self) -> Iterator[LiveUser]:
        return (LiveUser(self._state, profile.user_id) for profile in self._state.users.all())

    def __contains__(self, user_id: object) -> bool:
        return isinstance(user_id, str) and self._state.users.get(user_id) is not None

    def __getitem__(self, user_id: str) -> LiveUser:
        if user_id not in self:
            raise KeyError(user_id)
        return LiveUser(self._state, user_id)

    def __repr__(self) -> str:
        return f"<Users: {len(self)}>"

    def add(
        self,
        /,
        *,
        email: str | None = None,
        user_id: str | None = None,
        user_metadata: Any = None,
        app_metadata: Any = None,
        **profile: Any,
    ) -> LiveUser:
        """Store a user without checks: any id, any field, any value in metadata.

        If `email` is None, a user of a database or of the provider `email` gets a made-up one.  `user_id` None
        makes one from the seed; one without "|" gets `auth0|`.  Metadata of None is absent.  A `password` works
        for password grants and is never returned.  Raises `InputError` if the id is taken.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False).users.add(user_id="1", app_metadata={"plan": "pro"}).app_metadata
        {'plan': 'pro'}
        """
        fields = {
            "email": email,
            "user_id": user_id,
            "user_metadata": user_metadata,
            "app_metadata": app_metadata,
            **profile,
        }
        state = self._state
        with state.users.lock:
            made = _built(state, fields)
            if made.user_id in self:
                msg = f"user {made.user_id!r} exists already: no user was added"
                raise InputError(msg)
            state.users.put(made)
            state.history.forget(made.user_id)
            _store_password(state, made.user_id, fields)
        return LiveUser(state, made.user_id)

    def add_many(self, users: Iterable[Mapping[str, Any]]) -> None:
        """Add each mapping as `add` does; raises `InputError` if an id is taken, and then adds none."""
        state = self._state
        with state.users.lock:
            made: dict[str, tuple[profiles.Profile, Mapping[str, Any]]] = {}
            for user in users:
                profile = _built(state, user)
                if profile.user_id in self or profile.user_id in made:
                    msg = f"user {profile.user_id!r} exists already: no user was added"
                    raise InputError(msg)
                made[profile.user_id] = profile, user
            for user_id, (profile, user) in made.items():
                state.users.put(profile)
                state.history.forget(user_id)
                _store_password(state, user_id, user)

    def documents(self) -> list[dict[str, Any]]:
        """Return every profile, all as of one moment; they share the stored values, so don't change them."""
        with self._state.users.lock:
            return [profile.document() for profile in self._state.users.all()]

    def replace(self, users: Iterable[Mapping[str, Any]], *, verbatim: bool = False) -> None:
        """Replace all users, or none; history and `diff` start over.

        Each mapping is what `add` takes, or with `verbatim` a whole profile, stored as it is.  Raises
        `InputError` if two have the same id, and then changes nothing.
        """
        state = self._state
        with state.users.lock:
            mappings = list(users)
            made = [(_restored if verbatim else _built)(state, user) for user in mappings]
            if len({profile.user_id for profile in made}) < len(made):
                msg = "two users have the same user_id: no user was changed"
                raise InputError(msg)
            state.users.replace_all(made)
            state.history.clear()
            state.resources.forget_users()
            for profile, user in zip(made, mappings, strict=True):
                if not verbatim:
                    _store_password(state, profile.user_id, user)

    def clear(self) -> None:
        """Delete every user."""
        self._state.users.clear()
        self._state.resources.forget_users()


def _store_password(state: TenantState, user_id: str, user: Mapping[str, Any]) -> None:
    if isinstance(user.get("password"), str):
        state.resources.passwords.put(user_id, user["password"])


def _built(state: TenantState, user: Mapping[str, Any]) -> profiles.Profile:
    """Return a profile with defaults for every field that is left out."""
    known = user.get("user_id") or state.new_object_id()
    known = known if "|" in known else f"auth0|{known}"
    fields: dict[str, Any] = copy.deepcopy(dict(user))
    provider, _, local = known.partition("|")
    if not fields.get("email") and provider in _WITH_EMAIL:
        fields["email"] = f"{local.rpartition('|')[2]}@example.com"
    bags = {bag: fields.pop(bag, None) for bag in BAGS}
    objects = {bag: value for bag, value in bags.items() if isinstance(value, dict)}
    made = profiles.created(
        {**fields, **objects}, user_id=known, now_ms=state.milliseconds(), switches=state.switches
    )
    return _with_non_objects(made, bags)


def _restored(state: TenantState, user: Mapping[str, Any]) -> profiles.Profile:
    """Return a profile as a snapshot has it: nothing is filled in, and `updated_at` continues from there."""
    root = copy.deepcopy(dict(user))
    bag = root.pop("app_metadata", None)
    moment = milliseconds_of(root.get("updated_at"))
    return profiles.Profile(root["user_id"], root, bag, state.milliseconds() if moment is None else moment)


def _with_non_objects(profile: profiles.Profile, bags: Mapping[str, Any]) -> profiles.Profile:
    """Put metadata that is not an object into a profile unchanged: Auth0 stores such values too."""
    user, app = bags["user_metadata"], bags["app_metadata"]
    root = profile.root if user is None or isinstance(user, dict) else {**profile.root, "user_metadata": user}
    app = profile.app_metadata if app is None or isinstance(app, dict) else app
    return profiles.Profile(profile.user_id, root, app, profile.updated_ms)
