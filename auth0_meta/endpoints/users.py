"""The users endpoints of the Management API: one short method for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Unpack

from auth0_meta.arguments import whole
from auth0_meta.changes.jsonvalue import BAGS, JSONObject
from auth0_meta.errors import AmbiguousUserError, InputError, NotFoundError, PagingError, TransportError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.channel import Channel, HasChannel
from auth0_meta.http.expected import (
    MISTAKEN,
    believed,
    new_user,
    nothing,
    the_object,
    users_by_email,
    users_page,
)
from auth0_meta.http.request import USER, Request, Target, encode_query
from auth0_meta.models import CommitResult, Page, User, UserId
from auth0_meta.redact import count, discreet, printable
from auth0_meta.transactions.bag import Scope
from auth0_meta.transactions.options import (
    AppPath,
    PathValues,
    TransactionOptions,
    TransactionSettings,
    UserPath,
)
from auth0_meta.transactions.transaction import MetadataTransaction
from auth0_meta.transactions.unit import Unit

_USERS = "/api/v2/users"
_MAX_PER_PAGE = 100
_NOT_FOUND = 404
_MAX_RESULTS = 1000
_MOST_NAMED = 5
"""How many users a message names."""


@discreet
class Users:
    """Read and write users, as `client.users`.

    A user is named by the user id or as a `User`.  After a 429 every method waits until Reset and retries; all raise the
    typed errors of `auth0_meta.errors`.  A response that is not what was asked for, such as another user's profile, is a
    `TransportError`, after a write `OutcomeUnknown`.

    >>> with tenant.client() as client:                    # tenant: a LocalTenant
    ...     user = client.users.create({"connection": "Username-Password-Authentication",
    ...                                 "email": "ada@example.com", "password": "Analytical-1842"})
    ...     client.users.update(user.user_id, {"app_metadata": {"plan": "pro"}}).app_metadata["plan"]
    'pro'
    """

    def __init__(self, client: HasChannel) -> None:
        self._channel = client._channel

    def get(self, user: UserId, /, *, fields: Iterable[str] | None = None) -> User:
        """Read one user: `GET /users/{id}`, scope `read:users`.

        `fields` limits the response to these profile fields and `user_id` (None: all).  Reading by id sees every
        finished write at once.  Raises `NotFoundError` for an unknown id.
        """
        limit, omitted = _limited(fields)
        target = Target.user(user)
        query = "?" + encode_query(limit) if limit else ""
        return User(self._one("GET", target, query, expected=the_object(target)), omitted)

    def create(self, profile: JSONObject, /) -> User:
        """Create a user: `POST /users`, scope `create:users`.

        `profile` is the request body (`connection` is required; metadata may be included).  Sent once:
        a lost response raises `OutcomeUnknown` and a 5xx `ServerError`, because a second request could
        fail just because the first one succeeded.  Raises `AlreadyExistsError` for a duplicate.
        """
        body = _body(profile)
        return User(self._channel.call("POST", _USERS, json=body, shown="users", expected=new_user(body)))

    def update(self, user: UserId, body: JSONObject, /) -> User:
        """Send a PATCH with this body: `PATCH /users/{id}`, scope `update:users`.

        Auth0 merges the first level of `user_metadata` and `app_metadata`, replaces what is below, deletes a key set
        to `null`, and empties either with `{}`; `MetadataTransaction` is the safe way to write metadata.  After a
        lost response or a 5xx the same values are sent again, which can overwrite a newer write of the same keys.
        Returns the profile afterwards.
        """
        target, document = Target.user(user), _body(body)
        expected = the_object(target, document)
        return User(self._one("PATCH", target, json=document, repeat=True, expected=expected))

    def delete(self, user: UserId, /) -> None:
        """Delete a user: `DELETE /users/{id}`, scope `delete:users`; an unknown id is not an error."""
        target = Target.user(user)
        self._one("DELETE", target, expected=nothing(target))

    def _one(self, method: str, target: Target, query: str = "", **settings: Any) -> Any:
        path = target.path + query
        return self._channel.call(method, path, user_id=target.id, shown=target.shown, **settings)

    def set_metadata(
        self,
        whom: UserId,
        /,
        *,
        user: PathValues[UserPath] | None = None,
        app: PathValues[AppPath] | None = None,
        **settings: Unpack[TransactionSettings],
    ) -> CommitResult:
        """Set values at paths of both metadata objects, in one PATCH: a `MetadataTransaction` in one line.

        `user` and `app`: what to set in `user_metadata` and `app_metadata`, by path, dotted or a tuple of keys.  A value
        replaces what its path holds, and None deletes it; siblings stay.  They are staged in the order given, as by
        `set` on a transaction's `user_metadata` and `app_metadata`.  Empty mappings send nothing (outcome "unchanged");
        if neither is given, the call raises `InputError`.  The other arguments, the endpoints, the scopes, the cost in
        requests and the errors are the same as for `MetadataTransaction`; inside an open transaction for the same user
        the call becomes a part of that transaction (outcome "joined").  Values that can't be stored raise
        `MetadataError`, and then nothing of this call is written.

        >>> client = tenant.client()
        >>> client.users.set_metadata(user.user_id, user={"prefs.lang": "fi"}, app={"plan": "pro"})
        <CommitResult updated: 2 requests, 1 attempt, 0.00 s waited, document user_metadata(prefs 13 B), app_metadata(plan 5 B)>
        """
        tx = MetadataTransaction._of(Unit(self._channel, whom, TransactionOptions(**settings)))
        with tx:
            stage_paths(tx, user=user, app=app)
        return tx.result

    def by_email(self, email: str, /) -> tuple[User, ...]:
        """Return the users with exactly this email address: `GET /users-by-email`, scope `read:users`.

        Case matters, and Auth0 stores the addresses of its own connections in lower case; `find` tries that too.  Sees
        every finished write.
        """
        found = users_with_email(self._channel, _address(email), self._channel.budget())
        return tuple(User(raw) for raw in found)

    def find(self, email: str, /, *, connection: str | None = None) -> User:
        """Return the one user with this email address: `GET /users-by-email`, scope `read:users`.

        The address is looked up as it is written and, if that differs, in lower case too (two requests): Auth0 compares
        it exactly, keeps the addresses of its own connections in lower case and all others as they came.  White space
        around it is ignored.  `connection` names the connection in which the user must have an identity (None: any).
        Sees every finished write.  Raises `NotFoundError` if nobody has the address.  If several users have it, such as
        one in each connection, raises `AmbiguousUserError`, whose `user_ids` are the ones to choose from.

        >>> client = tenant.client()
        >>> client.users.find("Byron@Example.com").user_id == user.user_id
        True
        """
        if connection is not None and (not isinstance(connection, str) or not connection):
            raise InputError("connection must be the name of a connection, or None (nothing was sent)")
        budget = self._channel.budget()
        profiles = users_with_spellings(self._channel, _address(email).strip(), budget)
        if connection is not None:
            profiles = [one for one in profiles if connection in _connections(one)]
        if len(profiles) == 1:
            return User(profiles[0])
        if profiles:
            raise _ambiguous(profiles)
        within = f" in the connection {printable(connection)}" if connection else ""
        msg = (
            f"GET users-by-email found nobody{within} who has this address, as written or in lower case. "
            "Check the address, and that this is the right tenant"
        )
        raise NotFoundError(msg, status=_NOT_FOUND)

    def page(
        self,
        *,
        q: str | None = None,
        sort: str | None = None,
        fields: Iterable[str] | None = None,
        page: int = 0,
        per_page: int = 50,
        include_totals: bool = True,
    ) -> Page:
        """Return one page of a search: `GET /users`, scope `read:users`.

        `page` counts from 0; `per_page` is 1 to 100.  `q` is Lucene syntax (None: everyone).  The
        search index lags behind writes.  Raises `PagingError`, before sending, past the 1000th result.
        """
        whole("per_page", per_page, most=_MAX_PER_PAGE)
        whole("page", page, least=0)
        if (page + 1) * per_page > _MAX_RESULTS:
            raise _too_many()
        params: dict[str, Any] = {"page": page, "per_page": per_page}
        if include_totals:
            params["include_totals"] = "true"
        if q is not None:
            params |= {"q": q, "search_engine": "v3"}
        if sort is not None:
            params["sort"] = sort
        limit, omitted = _limited(fields)
        params |= limit
        found = self._channel.call(
            "GET",
            f"{_USERS}?" + encode_query(params),
            sent={"q": q},
            shown="users",
            expected=users_page(page, per_page),
        )
        body = found if isinstance(found, dict) else {"users": found}
        return Page(
            users=tuple(User(raw, omitted) for raw in body["users"]),
            start=body.get("start", page * per_page),
            limit=body.get("limit", per_page),
            total=body.get("total"),
        )

    def search(
        self,
        *,
        q: str | None = None,
        sort: str | None = None,
        fields: Iterable[str] | None = None,
        per_page: int = _MAX_PER_PAGE,
        limit: int | None = None,
    ) -> Iterator[User]:
        """Yield the users that match, page by page: `GET /users`, scope `read:users`.

        `limit` ends the search after this many users (None: all).  Auth0 returns at most 1000 results: if more
        match and `limit` does not end the search earlier, `PagingError` is raised after the last whole page of the
        first 1000, so that no user is left out silently.  Invalid arguments raise `InputError` at once.  The
        arguments are as in `page`.
        """
        return self._search(Paging(q, sort, fields, per_page, limit))

    @discreet
    def _search(self, paging: Paging) -> Iterator[User]:
        while (number := paging.next) is not None:
            yield from paging.take(self.page(**paging.query, page=number))


class Paging:
    """Decide which page of a search to read next, and what to yield of it.

    If there is a total, it decides when to stop.  Raises `InputError` for invalid arguments.
    """

    def __init__(
        self, q: str | None, sort: str | None, fields: Iterable[str] | None, per_page: int, limit: int | None
    ) -> None:
        if limit is not None:
            whole("limit", limit, least=0)
        whole("per_page", per_page, most=_MAX_PER_PAGE)
        names = fields if fields is None or isinstance(fields, str) else list(fields)
        _limited(names)  # refuses invalid ones now
        self.query: dict[str, Any] = {"q": q, "sort": sort, "fields": names, "per_page": per_page}
        """The arguments for `page`, except its number."""
        self._per_page = per_page
        self._left = limit
        self._number = 0
        self._ended = False
        self._before: Page | None = None

    @property
    def next(self) -> int | None:
        """Return the number of the page to read, None at the end; raise `PagingError` past the 1000th result."""
        if self._ended or self._left == 0:
            return None
        if (self._number + 1) * self._per_page > _MAX_RESULTS:
            raise _too_many()
        return self._number

    def take(self, page: Page) -> tuple[User, ...]:
        """Return the users to yield of the page that was read; raise `TransportError` unless it follows the last one."""
        before, self._before = self._before, page
        if before is not None and (page.limit != before.limit or (page.users and page.users == before.users)):
            msg = f"GET users got a page {self._number} that does not follow the one before it: {MISTAKEN}"
            raise TransportError(msg)
        self._number += 1
        done, size = page.start + len(page.users), len(page.users)
        self._ended = not size or (size < self._per_page if page.total is None else done >= page.total)
        users = page.users if self._left is None else page.users[: self._left]
        if self._left is not None:
            self._left -= len(users)
        return users


def stage_paths(tx: Scope, *, user: PathValues[Any] | None, app: PathValues[Any] | None) -> None:
    """Stage what `set_metadata` was given; raise `InputError` for anything but a mapping."""
    if user is None and app is None:
        msg = f"set_metadata for {tx.user_id} needs user= or app=, values by their paths (nothing was sent)"
        raise InputError(msg)
    for bag, name, values in ((tx.user_metadata, "user", user), (tx.app_metadata, "app", app)):
        if not isinstance(values, Mapping | None) or isinstance(values, User):
            msg = (
                f"{name}= for {tx.user_id} takes values by their paths, such as {{'billing.plan': 'pro'}}, "
                f"not {type(values).__name__} (nothing was sent)"
            )
            raise InputError(msg)
        for path, value in (values or {}).items():
            bag.set(path, value)


def users_with_email(channel: Channel, email: str, budget: WaitBudget) -> list[dict[str, Any]]:
    """Return the profiles that have exactly this address, on the account of one operation."""
    path = f"{_USERS}-by-email?{encode_query({'email': email})}"
    request = Request("GET", path, group=USER.reads, repeat=True, sent=email, alias="users-by-email")
    response = channel.send(request, budget)
    found: list[dict[str, Any]] = believed(response, request, users_by_email(email))
    return found


def spellings(email: str) -> tuple[str, ...]:
    """Return how an address may be stored: as it is written, or in lower case.

    Auth0 keeps the addresses of its own connections in lower case, those of other connections as they come, and its
    lookup is exact.  Sources: users-by-email in the Management API; Auth0 support (community 124757).

    >>> spellings("Ada@Example.com")
    ('Ada@Example.com', 'ada@example.com')
    """
    return tuple(dict.fromkeys((email, email.lower())))


def users_with_spellings(channel: Channel, email: str, budget: WaitBudget) -> list[dict[str, Any]]:
    """Return the profiles of all users who have this address: `GET /users-by-email`, once for each spelling."""
    found = (user for text in spellings(email) for user in users_with_email(channel, text, budget))
    return list({user["user_id"]: user for user in found}.values())


def _address(email: str) -> str:
    if not isinstance(email, str) or not email.strip():
        raise InputError("the email address must be a non-empty string (nothing was sent)")
    return email


def _connections(profile: Mapping[str, Any]) -> list[str]:
    """Return the names of the connections in which a user has an identity."""
    identities = profile.get("identities")
    named = (one.get("connection") for one in identities or () if isinstance(one, dict))
    return [name for name in named if isinstance(name, str)]


def _ambiguous(profiles: list[dict[str, Any]]) -> AmbiguousUserError:
    """Return the error that names the users to choose from, each with its connections."""
    named = [f"{one['user_id']} ({', '.join(_connections(one)) or 'no connection'})" for one in profiles]
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    msg = (
        f"GET users-by-email found {count(len(named), 'user')} with this address: "
        f"{printable(', '.join(named[:_MOST_NAMED]))}{more}. Name one by user id, or pass connection="
    )
    return AmbiguousUserError(msg, user_ids=tuple(one["user_id"] for one in profiles))


def _too_many() -> PagingError:
    msg = (
        "a search returns at most 1000 results (Auth0's cap): use an export job (POST /jobs/users-exports) "
        "to read every user, or narrow the query"
    )
    return PagingError(msg, status=400, error_code="invalid_paging")


def _limited(fields: Iterable[str] | None) -> tuple[dict[str, str], frozenset[str]]:
    """Return the query for `fields=`, and which metadata a response that is limited to them leaves unknown."""
    if fields is None:
        return {}, frozenset()
    names = [fields] if isinstance(fields, str) else list(fields)
    if not names or any(not isinstance(n, str) or not n or "," in n for n in names):
        raise InputError(
            "fields must be one or more names of profile fields, without commas (nothing was sent)"
        )
    # Without its id nobody could tell whether a profile is the one that was asked for.
    asked = names if "user_id" in names else [*names, "user_id"]
    return {"fields": ",".join(asked), "include_fields": "true"}, frozenset(BAGS).difference(names)


def _body(body: JSONObject) -> Mapping[str, Any]:
    """Return a request body; refuse an empty one, which is a mistake and would only get a 400."""
    if not isinstance(body, Mapping) or not body:
        raise InputError("the request body must be an object with at least one field (nothing was sent)")
    return body
