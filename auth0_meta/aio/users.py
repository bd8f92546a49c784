"""The users endpoints, awaitable."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Self, Unpack

from auth0_meta.aio.calls import Calls
from auth0_meta.changes.jsonvalue import JSONObject
from auth0_meta.endpoints.users import Paging, Users, stage_paths
from auth0_meta.http.channel import HasChannel
from auth0_meta.models import CommitResult, Page, User, UserId
from auth0_meta.redact import discreet
from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction
from auth0_meta.transactions.options import AppPath, PathValues, TransactionSettings, UserPath


@discreet
class AsyncUsers:
    """Read and write users from asyncio, as `aclient.users`: the methods of `Users`, awaited.

    Endpoints, scopes, arguments, results and errors are the same as for `Users`, which explains them.  If its task is
    cancelled, a read is abandoned at once, and a write is not sent; if the write has left already, its outcome is
    awaited, logged, and added to the CancelledError as a note.

    >>> async def rename(aclient, user_id, name):
    ...     return (await aclient.users.update(user_id, {"name": name})).name
    >>> import asyncio
    >>> asyncio.run(rename(tenant.client().aio, user.user_id, "Ada"))
    'Ada'
    """

    def __init__(self, client: HasChannel) -> None:
        self._channel = client._channel
        self._calls = Calls(client._channel)
        self._users = Users(client)

    async def get(self, user: UserId, /, *, fields: Iterable[str] | None = None) -> User:
        """Read one user: `Users.get`, awaited."""
        return await self._calls.read("users.get", partial(self._users.get, user, fields=fields))

    async def create(self, profile: JSONObject, /) -> User:
        """Create a user: `Users.create`, awaited."""
        return await self._calls.write("users.create", partial(self._users.create, profile))

    async def update(self, user: UserId, body: JSONObject, /) -> User:
        """Send a PATCH with this body: `Users.update`, awaited."""
        return await self._calls.write("users.update", partial(self._users.update, user, body))

    async def delete(self, user: UserId, /) -> None:
        """Delete a user: `Users.delete`, awaited."""
        await self._calls.write("users.delete", partial(self._users.delete, user))

    async def set_metadata(
        self,
        whom: UserId,
        /,
        *,
        user: PathValues[UserPath] | None = None,
        app: PathValues[AppPath] | None = None,
        **settings: Unpack[TransactionSettings],
    ) -> CommitResult:
        """Set values at paths of both metadata objects, in one PATCH: `Users.set_metadata`, awaited."""
        async with AsyncMetadataTransaction(self, whom, **settings) as tx:
            stage_paths(tx, user=user, app=app)
        return tx.result

    async def by_email(self, email: str, /) -> tuple[User, ...]:
        """Return the users with exactly this email address: `Users.by_email`, awaited."""
        return await self._calls.read("users.by_email", partial(self._users.by_email, email))

    async def find(self, email: str, /, *, connection: str | None = None) -> User:
        """Return the one user with this email address: `Users.find`, awaited."""
        return await self._calls.read("users.find", partial(self._users.find, email, connection=connection))

    async def page(
        self,
        *,
        q: str | None = None,
        sort: str | None = None,
        fields: Iterable[str] | None = None,
        page: int = 0,
        per_page: int = 50,
        include_totals: bool = True,
    ) -> Page:
        """Return one page of a search: `Users.page`, awaited."""
        call = partial(
            self._users.page,
            q=q,
            sort=sort,
            fields=fields,
            page=page,
            per_page=per_page,
            include_totals=include_totals,
        )
        return await self._calls.read("users.page", call)

    def search(
        self,
        *,
        q: str | None = None,
        sort: str | None = None,
        fields: Iterable[str] | None = None,
        per_page: int = 100,
        limit: int | None = None,
    ) -> AsyncIterator[User]:
        """Yield the users that match, page by page, for `async for`: `Users.search`, awaited.

        Invalid arguments raise `InputError` at once.  A page whose reading is cancelled is read again if the iteration
        goes on.

        >>> async def names(aclient):
        ...     return [found.user_id async for found in aclient.users.search(q="email:byron@example.com")]
        >>> import asyncio
        >>> asyncio.run(names(tenant.client().aio)) == [user.user_id]
        True
        """
        return _Search(self, Paging(q, sort, fields, per_page, limit))


@discreet
class _Search:
    """The users of a search.  Not an asynchronous generator, which would have to be closed when a loop is left early."""

    def __init__(self, users: AsyncUsers, paging: Paging) -> None:
        self._pages = users
        self._paging = paging
        self._users: list[User] = []
        """The users read but not yet yielded, the next one last."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> User:
        while not self._users:
            number = self._paging.next
            if number is None:
                raise StopAsyncIteration
            page = await self._pages.page(**self._paging.query, page=number)
            self._users += reversed(self._paging.take(page))
        return self._users.pop()
