"""Talk to one tenant's Management API: credentials, settings, and one way to send."""

from __future__ import annotations

import os
import random as _random
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlencode

from auth0_meta.auth.credentials import audience_of, from_environment, token_source
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.endpoints.jobs import Jobs
from auth0_meta.endpoints.users import Users, encode, query
from auth0_meta.errors import ConfigError, InputError, NotSentError, OutcomeUnknown, ServerError
from auth0_meta.http.budget import WaitBudget
from auth0_meta.http.error_answers import TOKEN_PATH
from auth0_meta.http.given import MaxWait, Oversize, check_max_wait, check_timeout, endpoint_path
from auth0_meta.http.sender import Request, Sender, to_json
from auth0_meta.http.transport import Transport, base_url
from auth0_meta.models import User, Wait
from auth0_meta.ratelimit.plans import RateLimit, route_group
from auth0_meta.ratelimit.throttle import Throttle

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from requests.adapters import BaseAdapter

    from auth0_meta.doctor import Check
    from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction
    from auth0_meta.transactions.options import Lock
    from auth0_meta.transactions.transaction import MetadataTransaction

_T = TypeVar("_T")
_clients: weakref.WeakSet[ManagementClient] = weakref.WeakSet()
_SAFE = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
_METHODS = (*_SAFE, "POST", "PATCH")


def _renew_all() -> None:
    """Give every client of a forked child its own sockets and locks."""
    for client in list(_clients):
        client._renew()


if hasattr(os, "register_at_fork"):  # pragma: no branch  # absent on Windows only
    os.register_at_fork(after_in_child=_renew_all)


class ManagementClient:
    """Send requests to one tenant; thread-safe, usable after a fork, a context manager.

    `domain`: the tenant's host, such as `tenant.eu.auth0.com`; `http://127.0.0.1:PORT` for a local
    tenant (plain http is for loopback only).  Credentials, exactly one of: `client_id` with
    `client_secret`; `client_id` with `private_key` (PEM; `key_id`, `algorithm` RS256 or RS384);
    `token`, a string or a function that returns one.  `audience`: None is
    `https://{domain}/api/v2/`; with a custom domain pass the canonical one, which ends so too.
    `max_wait`: seconds that one operation may wait in all for 429 and 5xx (None: no bound; 0: never).  `timeout`: (connect, read)
    seconds, or one number for both.  `rate_limit`: None learns the bucket from
    headers; a plan's name, "SIZE@PER_SECOND" or a `RateLimit` starts it right.  `on_wait` is called
    with a `Wait` before each wait.  `pool_size` connections are kept.

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
        private_key: str | None = None,
        key_id: str | None = None,
        algorithm: str = "RS256",
        audience: str | None = None,
        max_wait: float | None = 900.0,
        timeout: float | tuple[float, float] = (3.05, 30.0),
        rate_limit: RateLimit | str | None = None,
        on_wait: Callable[[Wait], object] | None = None,
        pool_size: int = 64,
        adapter: BaseAdapter | None = None,
        clock: Clock = SYSTEM_CLOCK,
        random: _random.Random | None = None,
    ) -> None:
        self._base = base_url(domain)
        self._max_wait = check_max_wait(max_wait)
        if on_wait is not None and not callable(on_wait):
            msg = "on_wait must be callable"
            raise ConfigError(msg)
        if isinstance(pool_size, bool) or not isinstance(pool_size, int) or pool_size < 1:
            msg = "pool_size must be a whole number above 0"
            raise ConfigError(msg)
        self._on_wait = on_wait
        self._pool_size = pool_size
        self._clock = clock
        self._random = random or _random.Random()
        self._reseed = random is None
        self._audience = audience_of(self._base, audience)
        self._client_id = client_id
        self._transport = Transport(
            self._base, timeout=check_timeout(timeout), pool_size=pool_size, adapter=adapter
        )
        self._throttle = Throttle(clock=clock, random=self._random, rate_limit=rate_limit)
        self._sender = Sender(
            transport=self._transport, throttle=self._throttle, clock=clock, random=self._random
        )
        self._kind, self._tokens = token_source(
            self._fetch,
            clock=clock,
            issuer=f"{self._base}/",
            client_id=client_id,
            client_secret=client_secret,
            token=token,
            private_key=private_key,
            key_id=key_id,
            algorithm=algorithm,
        )
        self._sender.tokens = self._tokens
        self._threads: ThreadPoolExecutor | None = None
        self.users = Users(self)
        """The users endpoints."""
        self.jobs = Jobs(self)
        """The jobs endpoints: imports and exports."""
        _clients.add(self)

    @classmethod
    def from_env(cls, **settings: Any) -> ManagementClient:
        """Build a client from AUTH0_DOMAIN and AUTH0_API_TOKEN, or AUTH0_CLIENT_ID and AUTH0_CLIENT_SECRET.

        AUTH0_AUDIENCE is read too.  `settings` are the constructor's and win over the environment.
        Raises `ConfigError` naming what is missing.
        """
        domain, settings = from_environment(settings)
        return cls(domain, **settings)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._base}, {self._kind}>"

    def __enter__(self) -> ManagementClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections; using the client afterwards raises `StateError`."""
        self._transport.close()
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False)

    # One way to send ------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        /,
        *,
        json: Any = None,
        params: Mapping[str, Any] | None = None,
        repeat: bool | None = None,
        max_wait: MaxWait = "client",
    ) -> Any:
        """Call any other endpoint of the Management API, with the same retries and errors.

        `path` is relative to `/api/v2/` ("users/auth0%7C1/roles"), already percent-encoded.  `json` is
        the body (None: none); `params` the query, whose None values are left out.  `repeat`
        says whether it may be sent again after a lost answer or a 5xx (None: yes for GET, PUT and DELETE).
        `max_wait`: "client" is the client's.  Returns the parsed answer, None for an empty one.

        >>> tenant.client().request("GET", "users", params={"per_page": 1})
        []
        """
        verb = method.upper() if isinstance(method, str) else ""
        if verb not in _METHODS:
            msg = f"{method!r} is no method that the Management API knows (nothing was sent)"
            raise InputError(msg)
        target = endpoint_path(path)
        if params:
            given = {
                k: str(v).lower() if isinstance(v, bool) else v for k, v in params.items() if v is not None
            }
            target += ("&" if "?" in target else "?") + query(given)
        body = None if json is None else encode(json)
        again = verb in _SAFE if repeat is None else repeat
        sent = (json, params)
        return self.send(verb, target, json_body=body, sent=sent, repeat=again, max_wait=max_wait)

    def send(
        self,
        method: str,
        path: str,
        *,
        json_body: bytes | None = None,
        sent: Any = None,
        user_id: str | None = None,
        shown: str | None = None,
        repeat: bool | None = None,
        max_wait: MaxWait = "client",
        kind: type | tuple[type, ...] = object,
    ) -> Any:
        """Send an encoded request and parse its answer, a `kind`: what every endpoint method calls."""
        request = Request(
            method,
            path,
            group=route_group(method, path[len("/api/v2/") :]),
            body=json_body,
            sent=sent,
            repeat=method in _SAFE if repeat is None else repeat,
            shown=shown,
        )
        budget = self.budget(user_id=user_id, max_wait=max_wait)
        return to_json(self._sender.send(request, budget), request, kind)

    def budget(
        self, *, user_id: str | None = None, max_wait: MaxWait = "client", share: float | None = None
    ) -> WaitBudget:
        """Start counting one operation against `max_wait` seconds ("client": its own)."""
        budget = self._max_wait if max_wait == "client" else check_max_wait(max_wait)
        return WaitBudget(max_wait=budget, on_wait=self._on_wait, user_id=user_id, share=share)

    @property
    def audience(self) -> str:
        """Return the audience that tokens are asked for."""
        return self._audience

    @property
    def threads(self) -> ThreadPoolExecutor:
        """Return the worker threads in which `atransaction` sends; started on first use."""
        if self._threads is None:
            from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  # for asyncio only

            self._threads = ThreadPoolExecutor(self._pool_size, thread_name_prefix="auth0-meta")
        return self._threads

    @property
    def sender(self) -> Sender:
        """Return what carries requests to their answers: for the transaction room."""
        return self._sender

    @property
    def clock(self) -> Clock:
        """Return the clock that this client lives by."""
        return self._clock

    @property
    def random(self) -> _random.Random:
        """Return the source of this client's jitter."""
        return self._random

    # Units of work ----------------------------------------------------------------------------------

    def transaction(
        self,
        user_id: str,
        /,
        *,
        base: User | Mapping[str, Any] | None = None,
        base_check: bool = False,
        lock: Lock | None = None,
        join: bool = True,
        max_wait: MaxWait = "client",
        oversize: Oversize = "warn",
    ) -> MetadataTransaction:
        """Open a `MetadataTransaction` for one user; see there for every argument."""
        from auth0_meta.transactions.options import TransactionOptions  # noqa: PLC0415
        from auth0_meta.transactions.transaction import MetadataTransaction  # noqa: PLC0415  # transaction imports client
        from auth0_meta.transactions.unit import Unit  # noqa: PLC0415

        options = TransactionOptions(
            base=base, base_check=base_check, lock=lock, join=join, max_wait=max_wait, oversize=oversize
        )
        return MetadataTransaction._of(Unit(self, user_id, options))

    def atransaction(
        self,
        user_id: str,
        /,
        *,
        base: User | Mapping[str, Any] | None = None,
        base_check: bool = False,
        lock: Lock | None = None,
        join: bool = True,
        max_wait: MaxWait = "client",
        oversize: Oversize = "warn",
    ) -> AsyncMetadataTransaction:
        """Open an `AsyncMetadataTransaction` for `async with`; arguments as in `transaction`."""
        from auth0_meta.transactions.async_transaction import AsyncMetadataTransaction  # noqa: PLC0415
        from auth0_meta.transactions.options import TransactionOptions  # noqa: PLC0415
        from auth0_meta.transactions.unit import Unit  # noqa: PLC0415

        options = TransactionOptions(
            base=base, base_check=base_check, lock=lock, join=join, max_wait=max_wait, oversize=oversize
        )
        return AsyncMetadataTransaction._of(Unit(self, user_id, options))

    def run_transaction(
        self,
        user_id: str,
        fn: Callable[[MetadataTransaction], _T],
        /,
        *,
        attempts: int = 5,
        base: User | Mapping[str, Any] | None = None,
        base_check: bool = False,
        lock: Lock | None = None,
        join: bool = True,
        max_wait: MaxWait = "client",
        oversize: Oversize = "warn",
    ) -> _T:
        """Run `fn(tx)` and commit, again from the start when what it read has changed meanwhile.

        At most `attempts` runs; then the last `ConflictError` is raised and nothing was written.  The other arguments
        are those of `transaction`.  `fn` must be safe to call again.  Returns what `fn` returns.
        Raises `StateError` inside an open transaction for the same user.
        """
        from auth0_meta.transactions.options import TransactionOptions  # noqa: PLC0415
        from auth0_meta.transactions.retry import run  # noqa: PLC0415  # transaction imports client

        options = TransactionOptions(
            base=base, base_check=base_check, lock=lock, join=join, max_wait=max_wait, oversize=oversize
        )
        return run(self, user_id, fn, attempts=attempts, options=options)

    def check(self) -> tuple[Check, ...]:
        """Check token, scopes, audience, clock and bucket: what `auth0-meta doctor` prints.

        Reads one user page (scope `read:users`) and writes nothing.  Problems are results, not exceptions.
        """
        from auth0_meta.doctor import check  # noqa: PLC0415

        return check(self)

    # Tokens -----------------------------------------------------------------------------------------

    def _fetch(self, proof: Mapping[str, str], budget: WaitBudget) -> Mapping[str, Any]:
        """Exchange credentials for a token: `POST /oauth/token`.

        A failure that leaves open what the token endpoint did is no doubt about the request that
        waits for the token: that one was not sent.
        """
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "audience": self._audience,
            **proof,
        }
        request = Request(
            "POST",
            TOKEN_PATH,
            group="token",
            body=urlencode(form).encode(),
            sent=dict(proof),
            repeat=True,
            content_type="application/x-www-form-urlencoded",
            authorized=False,
        )
        # Counted apart: a transaction's requests are its own, but it shares the budget for waits.
        own = self.budget(max_wait=budget.left())
        own.cancelled, own.on_wait = budget.cancelled, budget.on_wait
        try:
            answer: Mapping[str, Any] = to_json(self._sender.send(request, own), request, dict)
        except (OutcomeUnknown, ServerError) as error:
            msg = f"nothing was sent for want of a token: {error}"
            raise NotSentError(msg, user_id=budget.user_id) from error
        finally:
            budget.waited += own.waited
        return answer

    def _renew(self) -> None:
        """Start over with fresh sockets and locks in a forked child."""
        self._transport.renew()
        self._throttle.renew()
        self._tokens.renew_locks()
        if self._reseed:
            self._random.seed()  # or every child would wait the same jitter as its siblings
        self._threads = None
