"""The asyncio client of one tenant: what `ManagementClient` has, awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Self, TypeVar, Unpack

from auth0_meta import doctor
from auth0_meta.aio.batch import AsyncMetadataBatch
from auth0_meta.aio.calls import Calls
from auth0_meta.aio.jobs import AsyncJobs
from auth0_meta.aio.users import AsyncUsers
from auth0_meta.auth.credentials import from_environment
from auth0_meta.changes.jsonvalue import JSONValue
from auth0_meta.connection import ClientSettings, Connection, connect
from auth0_meta.doctor import Check
from auth0_meta.endpoints import any_endpoint
from auth0_meta.http.budget import MaxWait, OnRequest, Timeout
from auth0_meta.http.channel import Channel
from auth0_meta.models import UserId
from auth0_meta.redact import discreet
from auth0_meta.transactions import retry
from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction
from auth0_meta.transactions.options import BatchSettings, TransactionOptions, TransactionSettings

_T = TypeVar("_T")


@discreet
class AsyncManagementClient:
    """The asyncio client of one tenant; an asynchronous context manager.

    The arguments are the same as for `ManagementClient`, which explains them.  To use an existing client from asyncio,
    with its connections, tokens and rate limit, take `client.aio`.  Worker threads do what could block: name lookup,
    TLS, JSON, tokens, and the waits after a 429.  There are at most `pool_size` of them; if none is free, a call waits
    in line, and the time counts against its `max_wait`.  `on_wait`, `on_request` and a function that returns tokens are
    called in these threads, with the context variables of the task, and must not be `async`.

    If a task is cancelled, calls in line are never sent, waits end within a tenth of a second, and a read is abandoned
    at once.  A write that has left is awaited first: a transaction has its outcome in `result`; the outcome of any other
    write is logged, and added to the CancelledError as a note.

    Several event loops may use one client, at the same time or one after the other.  Outside asyncio, as in trio, its
    methods raise `StateError`.  Nothing is sent before the first call.  Raises `ConfigError` for settings that can't
    work.

    >>> async def plan_of(user_id):
    ...     async with AsyncManagementClient(tenant.url, token="any.given.token") as aclient:
    ...         return (await aclient.users.get(user_id)).app_metadata.get("plan", "free")
    >>> import asyncio
    >>> asyncio.run(plan_of(user.user_id))
    'free'
    """

    users: AsyncUsers
    """The users endpoints."""
    jobs: AsyncJobs
    """The jobs endpoints: imports and exports."""

    def __init__(self, domain: str, **settings: Unpack[ClientSettings]) -> None:
        connection = connect(domain, **settings)
        self._open(connection, connection.channel, is_view=False)

    def _open(self, connection: Connection, channel: Channel, *, is_view: bool) -> None:
        self._connection = connection
        self._channel = channel
        self._calls = Calls(channel)
        self._is_view = is_view
        self.users = AsyncUsers(self)
        self.jobs = AsyncJobs(self)

    @classmethod
    def _of(cls, connection: Connection, channel: Channel, *, is_view: bool) -> Self:
        """Return the client for an existing channel."""
        client = cls.__new__(cls)
        client._open(connection, channel, is_view=is_view)
        return client

    @classmethod
    def from_env(cls, *, domain: str | None = None, **settings: Unpack[ClientSettings]) -> Self:
        """Return a client made from the environment, as `ManagementClient.from_env` does."""
        host, found = from_environment({**settings, "domain": domain})
        return cls(host, **found)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the pooled connections, as `ManagementClient.close` does; closing `client.aio` closes `client` too.

        Calls in progress finish as usual; later ones raise `StateError`.  Closing a view (`with_options`) does
        nothing.
        """
        if not self._is_view:
            self._channel.close()

    @property
    def audience(self) -> str:
        """Return the audience that tokens are requested for."""
        return self._connection.audience

    def with_options(
        self,
        *,
        max_wait: MaxWait = "client",
        timeout: Timeout = "client",
        headers: Mapping[str, str] | None = None,
        on_request: OnRequest = "client",
    ) -> Self:
        """Return a view of this client with some settings of its own, as `ManagementClient.with_options` does."""
        channel = self._channel.with_options(
            max_wait=max_wait, timeout=timeout, headers=headers, on_request=on_request
        )
        return self._of(self._connection, channel, is_view=True)

    async def request(
        self,
        method: str,
        path: str,
        /,
        *values: UserId | int,
        json: JSONValue = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        repeat: bool | None = None,
        max_wait: MaxWait = "client",
    ) -> Any:
        """Call any other endpoint of the Management API: `ManagementClient.request`, awaited.

        A GET or HEAD is abandoned if the task is cancelled; everything else counts as a write.

        >>> async def roles(aclient, user_id):
        ...     return await aclient.request("GET", "users/{}/roles", user_id)
        >>> import asyncio
        >>> asyncio.run(roles(tenant.client().aio, user.user_id))
        []
        """
        call = partial(
            any_endpoint.request,
            self._channel,
            method,
            path,
            values,
            json=json,
            params=params,
            headers=headers,
            repeat=repeat,
            max_wait=max_wait,
        )
        reads = isinstance(method, str) and method.upper() in ("GET", "HEAD")
        carry = self._calls.read if reads else self._calls.write
        return await carry(f"request({method!r})", call, max_wait=max_wait)

    # Units of work ----------------------------------------------------------------------------------

    def transaction(
        self, user: UserId, /, **settings: Unpack[TransactionSettings]
    ) -> AsyncMetadataTransaction:
        """Open a unit of work on one user, for `async with`; `AsyncMetadataTransaction` explains the arguments.

        >>> async def set_theme(aclient, user_id):
        ...     async with aclient.transaction(user_id) as tx:
        ...         tx.user_metadata["theme"] = "dark"
        ...     return tx.result.outcome
        >>> import asyncio
        >>> asyncio.run(set_theme(tenant.client().aio, user.user_id))
        'updated'
        """
        return AsyncMetadataTransaction(self, user, **settings)

    async def run_transaction(
        self,
        user: UserId,
        fn: Callable[[AsyncMetadataTransaction], Awaitable[_T]],
        /,
        *,
        attempts: int = 5,
        **settings: Unpack[TransactionSettings],
    ) -> _T:
        """Run `await fn(tx)` and commit; start again if something it has read was changed meanwhile.

        Like `ManagementClient.run_transaction`, but `fn` is an `async def`, which awaits `tx.load()` before it reads.
        A plain function is refused with `InputError`.

        >>> async def next_number(tx):
        ...     await tx.load()
        ...     tx.app_metadata["number"] = number = tx.app_metadata.get("number", 0) + 1
        ...     return number
        >>> import asyncio
        >>> asyncio.run(tenant.client().aio.run_transaction(user.user_id, next_number))
        1
        """
        options = TransactionOptions(**settings)
        return await retry.run_async(
            self._channel, user, fn, self._calls.sleep, attempts=attempts, options=options
        )

    def batch(self, **settings: Unpack[BatchSettings]) -> AsyncMetadataBatch:
        """Open an `AsyncMetadataBatch`, to be entered with `async with`; `MetadataBatch` explains the arguments."""
        return AsyncMetadataBatch(self, **settings)

    async def check(self) -> tuple[Check, ...]:
        """Check token, scopes, audience, clock and rate limit: `ManagementClient.check`, awaited."""
        call = partial(doctor.check, self._channel, audience=self._connection.audience)
        return await self._calls.read("check", call)
