"""Direct access to a tenant's users: no request, no token, no journal entry."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from auth0_meta.emulator.http.message import MOST_LEVELS, is_deep, to_json
from auth0_meta.emulator.http.timestamps import milliseconds_of
from auth0_meta.emulator.rules import profile as profiles
from auth0_meta.emulator.rules.metadata import BAGS
from auth0_meta.emulator.state.history import Change
from auth0_meta.emulator.state.tenant_state import TenantState
from auth0_meta.errors import InputError
from auth0_meta.redact import discreet

_BY = "tenant.users"
# Users of other providers may have no email.
_WITH_EMAIL = ("auth0", "email")


@discreet
class LiveUser(Mapping[str, Any]):
    """One user's profile, read afresh on each access; the values are copies.

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
            change = _checked(body)
            after = profiles.patched(before, change, now_ms=state.milliseconds(), switches=state.switches)
            state.users.put(after)
            state.history.note(state.now(), self.user_id, before=before, after=after, by=_BY)
            state.resources.set_password(self.user_id, body.get("password"))
        return self

    def delete(self) -> None:
        """Delete this user."""
        state = self._state
        with state.users.lock:
            before = state.users.get(self.user_id)
            if before is not None:
                state.remove_user(before, by=_BY)

    @property
    def history(self) -> list[Change]:
        """The latest hundred writes to this user, oldest first.

        >>> from auth0_meta.emulator import LocalTenant
        >>> user = LocalTenant(serve=False).users.add(user_metadata={"a": 1}).patch(user_metadata={"a": 2})
        >>> [(change.by, change.changed) for change in user.history]
        [('tenant.users', {'user_metadata.a': (1, 2)})]
        """
        return self._state.history.of(self.user_id)


@discreet
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

        If `email` is None, a user of a database or of the provider `email` gets a made-up one.  If `user_id` is
        None, one is made from the seed; one without "|" gets the prefix `auth0|`.  Metadata that is None is left
        out.  A `password` works for password grants and is never returned.  Raises `InputError` if the id is taken, or
        if a value can't be written as JSON.

        >>> from auth0_meta.emulator import LocalTenant
        >>> LocalTenant(serve=False).users.add(user_id="1", app_metadata={"plan": "pro"}).app_metadata
        {'plan': 'pro'}
        """
        bags = {"user_metadata": user_metadata, "app_metadata": app_metadata}
        (made,) = self._add([{"email": email, "user_id": user_id, **bags, **profile}])
        return LiveUser(self._state, made)

    def add_many(self, users: Iterable[Mapping[str, Any]]) -> None:
        """Add each mapping as `add` does; raises `InputError` if an id is taken, and then adds none."""
        self._add(users)

    def _add(self, users: Iterable[Mapping[str, Any]]) -> Iterable[str]:
        """Add users, all or none, and return their ids."""
        state = self._state
        with state.users.lock:
            made: dict[str, tuple[profiles.Profile, Mapping[str, Any]]] = {}
            for user in users:
                profile = _built(state, user)
                if profile.user_id in self or profile.user_id in made:
                    raise InputError(f"user {profile.user_id!r} exists already: no user was added")
                made[profile.user_id] = profile, user
            for user_id, (profile, user) in made.items():
                state.users.put(profile)
                state.history.mark_user(user_id)
                state.resources.set_password(user_id, user.get("password"))
        return made

    def documents(self) -> list[dict[str, Any]]:
        """Return every profile, all as of one moment; don't change them: their values are the stored ones."""
        with self._state.users.lock:
            return [profile.document() for profile in self._state.users.all()]

    def replace(
        self,
        users: Iterable[Mapping[str, Any]],
        *,
        verbatim: bool = False,
        rows: Iterable[tuple[str, Any, Any]] | None = None,
    ) -> None:
        """Replace all users, or none; history and `diff` start over.

        Each mapping is what `add` takes, or with `verbatim` a whole profile, stored as it is.  `rows`, as a snapshot
        has them, replace everything else; if it is None, everything else stays, and users who are among these
        keep their passwords, roles and memberships.  Raises `InputError` if two have the same id, and then changes
        nothing.
        """
        state, passwords = self._state, dict[str, Any]()

        def made() -> Iterator[profiles.Profile]:
            for user in users:
                profile = (_restored if verbatim else _built)(state, user)
                if not verbatim and user.get("password") is not None:
                    passwords[profile.user_id] = user["password"]
                yield profile

        with state.users.transaction():
            state.replace(made(), rows)
            for user_id, password in passwords.items():
                state.resources.set_password(user_id, password)

    def clear(self) -> None:
        """Delete every user, and what belongs to users; history and `diff` start over."""
        self._state.replace((), None)


def _checked(user: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of what a test stores; raises `InputError` for what no response could show."""
    fields = dict(user)
    try:
        to_json(fields)
        if is_deep(fields):
            raise RecursionError
    except (TypeError, ValueError, RecursionError):
        msg = f"a user has a value that JSON can't represent, or more than {MOST_LEVELS} levels: no user was changed"
        raise InputError(msg) from None
    return copy.deepcopy(fields)


def _built(state: TenantState, user: Mapping[str, Any]) -> profiles.Profile:
    """Return a profile with defaults for every field that is left out."""
    known = user.get("user_id") or state.new_object_id()
    known = known if "|" in known else f"auth0|{known}"
    fields = _checked(user)
    provider, _, local = known.partition("|")
    if not fields.get("email") and provider in _WITH_EMAIL:
        fields["email"] = f"{local.rpartition('|')[2]}@example.com"
    bags = {bag: fields.pop(bag, None) for bag in BAGS}
    fields |= {bag: value for bag, value in bags.items() if isinstance(value, dict)}
    made = profiles.created(fields, user_id=known, now_ms=state.milliseconds(), switches=state.switches)
    # Auth0 also stores metadata that is not an object.
    odd = {bag: value for bag, value in bags.items() if value is not None and not isinstance(value, dict)}
    app = odd.pop("app_metadata", made.app_metadata)
    return attrs.evolve(made, root={**made.root, **odd}, app_metadata=app)


def _restored(state: TenantState, user: Mapping[str, Any]) -> profiles.Profile:
    """Return the profile that a snapshot has: nothing is filled in, and `updated_at` continues from there."""
    root = copy.deepcopy(dict(user))
    bag = root.pop("app_metadata", None)
    moment = milliseconds_of(root.get("updated_at"))
    return profiles.Profile(root["user_id"], root, bag, state.milliseconds() if moment is None else moment)
