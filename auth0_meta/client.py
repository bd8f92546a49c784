"""The client of one tenant's Management API: it wires the parts together and hands work on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from auth0_meta.auth.credentials import from_environment
from auth0_meta.changes.jsonvalue import JSONValue
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.connection import ClientSettings, connect
from auth0_meta.endpoints import any_endpoint
from auth0_meta.endpoints.jobs import Jobs
from auth0_meta.endpoints.users import Users
from auth0_meta.http.budget import MaxWait, OnRequest, Timeout
from auth0_meta.models import RequestInfo, UserId, Wait
from auth0_meta.ratelimit.plans import RateLimit
from auth0_meta.redact import discreet
from auth0_meta.transactions.options import TransactionOptions, TransactionSettings
from auth0_meta.transactions.transaction import MetadataTransaction

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter

    from auth0_meta.aio.client import AsyncManagementClient
    from auth0_meta.doctor import Check
    from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction

_T = TypeVar("_T")


@discreet
class ManagementClient:
    """The client of one tenant; thread-safe, usable after a fork, a context manager.

    `domain`: the tenant's host, such as `tenant.eu.auth0.com`; `http://127.0.0.1:PORT` for a local tenant (plain http
    is only for loopback and the names in AUTH0_META_ALLOW_HTTP).

    Credentials, exactly one of: `client_id` with `client_secret`; `client_id` with `private_key` (RSA of 2048 to 4096
    bits, PEM; `key_id`, `algorithm` RS256 or RS384); `token`, a string or a function that returns one (a call to it
    can't be cut short: the time it took is counted afterwards, against `max_wait` or a login's budget).  White space at
    the ends of credentials is ignored.  `audience`: None means `https://{domain}/api/v2/`; with a custom domain pass the
    canonical one, which ends in `/api/v2/` too.  `custom_domain`: for a tenant with several, the one to which the links
    in its emails lead; it is sent as `Auth0-Custom-Domain` with the requests for which Auth0 takes that header (None:
    the tenant's default one).

    `max_wait`: seconds that all waits of one operation together may take (None: no limit; 0: never wait).
    `failure_wait`: how much of that may be spent on failures, 5xx and lost connections (None: no separate limit; 0:
    never repeat); a batch or a migration waits for 15 minutes if nobody succeeds.  `timeout`: (connect, read) in
    seconds, or one number for both; a whole request takes connect + 2 x read at most.  `rate_limit`: None learns the
    token bucket from headers; a plan's name, "SIZE@PER_SECOND" or a `RateLimit` says what to start from.  `on_wait` is
    called with a `Wait` before each wait, `on_request` with a `RequestInfo` after each request.  `pool_size`: how many
    connections are kept open.  For tests, `adapter` replaces the network, `clock` the time and `random` chance.

    Nothing is sent before the first call.  Raises `ConfigError` for settings that can't work.

    >>> ManagementClient("tenant.eu.auth0.com", client_id="abc", client_secret="s3cret")
    <ManagementClient https://tenant.eu.auth0.com, client credentials>
    """

    def __init__(
        self,
        domain: str,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        token: str | Callable[[], str] | None = None,
        private_key: str | bytes | None = None,
        key_id: str | None = None,
        algorithm: str = "RS256",
        audience: str | None = None,
        custom_domain: str | None = None,
        max_wait: float | None = 900.0,
        failure_wait: float | None = 30.0,
        timeout: float | tuple[float, float] = (3.05, 30.0),
        rate_limit: RateLimit | str | None = None,
        on_wait: Callable[[Wait], object] | None = None,
        on_request: Callable[[RequestInfo], object] | None = None,
        pool_size: int = 64,
        adapter: BaseAdapter | None = None,
        clock: Clock = SYSTEM_CLOCK,
        random: Random | None = None,
    ) -> None:
        self._connection = connect(
            domain,
            client_id=client_id,
            client_secret=client_secret,
            token=token,
            private_key=private_key,
            key_id=key_id,
            algorithm=algorithm,
            audience=audience,
            custom_domain=custom_domain,
            max_wait=max_wait,
            failure_wait=failure_wait,
            timeout=timeout,
            rate_limit=rate_limit,
            on_wait=on_wait,
            on_request=on_request,
            pool_size=pool_size,
            adapter=adapter,
            clock=clock,
            random=random,
        )
        self._channel = self._connection.channel
        self._aio: AsyncManagementClient | None = None
        self._is_view = False
        self.users = Users(self)
        """The users endpoints."""
        self.jobs = Jobs(self)
        """The jobs endpoints: imports and exports."""

    @classmethod
    def from_env(cls, *, domain: str | None = None, **settings: Unpack[ClientSettings]) -> Self:
        """Return a client made from AUTH0_DOMAIN and AUTH0_API_TOKEN, or AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET.

        AUTH0_AUDIENCE and AUTH0_CUSTOM_DOMAIN are read too.  `domain` and `settings`: arguments of the constructor,
        which win over the environment.  Raises `ConfigError` naming what is missing.
        """
        host, found = from_environment({**settings, "domain": domain})
        return cls(host, **found)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections; using the client, or a view of it, afterwards raises `StateError`.

        Closing a view (`with_options`) does nothing: the connections are the client's.
        """
        if not self._is_view:
            self._channel.close()

    def with_options(
        self,
        *,
        max_wait: MaxWait = "client",
        timeout: Timeout = "client",
        headers: Mapping[str, str] | None = None,
        on_request: OnRequest = "client",
    ) -> Self:
        """Return a view of this client: the same connections, tokens and rate limit, with some settings of its own.

        A setting that is not given, or is "client", is the same as in this client.  `max_wait`, `timeout`, `on_request`:
        as in the constructor (None means no limit for `max_wait`, and no callback for `on_request`).  `headers`: headers
        to add to every request to the API, besides the ones that this client adds; token requests and downloads never
        have them.  Headers passed to `request` win.  `Auth0-Custom-Domain` is sent only where Auth0 takes it, and wins
        over `custom_domain=`.

        A view is cheap: make one for each request that your program serves, if you like.  It can be passed wherever a
        client can.  Transactions on a client and its views join.  A view ends with its client; closing a view does
        nothing.  Raises `ConfigError` or `InputError` for settings that can't work.

        >>> client = tenant.client()
        >>> impatient = client.with_options(max_wait=0, headers={"X-Correlation-ID": "order-17"})
        >>> impatient.users.get(user.user_id).user_id == user.user_id
        True
        """
        view = copy.copy(self)
        view._channel = self._channel.with_options(
            max_wait=max_wait, timeout=timeout, headers=headers, on_request=on_request
        )
        view.users, view.jobs = Users(view), Jobs(view)
        view._is_view, view._aio = True, None
        return view

    @property
    def aio(self) -> AsyncManagementClient:
        """Return this client for asyncio: the same connections, tokens, rate limit and worker threads.

        The property returns the same object each time.  Closing that object or this client closes both.

        >>> async def name_of(client, user_id):
        ...     return (await client.aio.users.get(user_id)).name
        >>> import asyncio
        >>> asyncio.run(name_of(tenant.client(), user.user_id)) == user.name
        True
        """
        from auth0_meta.aio.client import AsyncManagementClient  # noqa: PLC0415  # it loads asyncio

        if self._aio is None:
            self._aio = AsyncManagementClient._of(self._connection, self._channel, is_view=self._is_view)
        return self._aio

    @property
    def audience(self) -> str:
        """Return the audience that tokens are requested for."""
        return self._connection.audience

    def request(
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
        """Call any other endpoint of the Management API, with the same retries and errors.

        `path` is relative to `/api/v2/`.  Each `{}` in it is replaced by the next of `values`, percent-encoded: an id or
        name as a string, an int, or a `User`.  The rest of the path is sent unchanged, so it must be encoded already:
        "users/auth0%7C1/roles".  `json`: the body (None: no body).  `params`: the query; values that are None are left
        out.  `headers`: headers to add, such as X-Correlation-ID; the ones that the client sets itself are refused, and
        Auth0-Custom-Domain wins over `custom_domain=`.  `repeat`: whether the request may be sent again after a lost
        response or a 5xx (None: yes for GET, PUT and DELETE).  `max_wait`: "client" means the client's setting.

        Returns the parsed response, or None for an empty one.  Raises `InputError`, before anything is sent, unless
        there is a usable value for each `{}`, and the typed errors of `auth0_meta.errors`; for a path below `users/`
        they have the `user_id`.

        >>> client = tenant.client()
        >>> client.request("GET", "users", params={"per_page": 5, "fields": "user_id"}) == [{"user_id": user.user_id}]
        True
        >>> client.request("GET", "users/{}/roles", user)
        []
        """
        return any_endpoint.request(
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

    # Units of work ----------------------------------------------------------------------------------

    def transaction(self, user: UserId, /, **settings: Unpack[TransactionSettings]) -> MetadataTransaction:
        """Open a `MetadataTransaction` for one user, given as the id or a `User`; see there for every argument."""
        return MetadataTransaction(self, user, **settings)

    def atransaction(
        self, user: UserId, /, **settings: Unpack[TransactionSettings]
    ) -> AsyncMetadataTransaction:
        """Open an `AsyncMetadataTransaction` for `async with`; arguments as in `transaction`."""
        from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction  # noqa: PLC0415

        return AsyncMetadataTransaction(self, user, **settings)

    def run_transaction(
        self,
        user: UserId,
        fn: Callable[[MetadataTransaction], _T],
        /,
        *,
        attempts: int = 5,
        **settings: Unpack[TransactionSettings],
    ) -> _T:
        """Run `fn(tx)` and commit; start again if something that it read has changed meanwhile.

        After `attempts` runs the last `ConflictError` is raised and nothing was written.  The other arguments are
        those of `transaction`.  `fn` must be safe to call again.  Returns what `fn` returns.
        Raises `StateError` inside an open transaction for the same user.  Endpoints: `GET` and `PATCH /users/{id}`,
        scopes `read:users` and `update:users`.

        >>> def next_number(tx):
        ...     tx.app_metadata["number"] = number = tx.app_metadata.get("number", 0) + 1
        ...     return number
        >>> tenant.client().run_transaction(user.user_id, next_number)
        1
        """
        from auth0_meta.transactions import retry  # noqa: PLC0415  # few programs call this

        options = TransactionOptions(**settings)
        return retry.run(self._channel, user, fn, attempts=attempts, options=options)

    def check(self) -> tuple[Check, ...]:
        """Check token, scopes, audience, clock and rate limit, as `auth0-meta doctor` does.

        Reads one page of users (`GET /users`, scope `read:users`) and writes nothing.  Problems are results, not
        exceptions.

        >>> [check.name for check in tenant.client().check() if check.ok is False]
        []
        """
        from auth0_meta import doctor  # noqa: PLC0415  # few programs call this

        return doctor.check(self._channel, audience=self._connection.audience)
