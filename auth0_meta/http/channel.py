"""One tenant's connection: what every endpoint, transaction and migration sends through."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

from auth0_meta.arguments import callback
from auth0_meta.auth.tokens import TokenSource
from auth0_meta.clock import CANCEL_POLL, Cancelled
from auth0_meta.errors import ConfigError, MetadataError, StateError, TransportError
from auth0_meta.forks import renew_after_fork
from auth0_meta.http.budget import (
    Deadline,
    MaxWait,
    OnRequest,
    Timeout,
    WaitBudget,
    check_timeout,
    check_wait,
)
from auth0_meta.http.expected import Expected, anything, believed, the_object
from auth0_meta.http.headers import CUSTOM_DOMAIN, NO_HEADERS, check_headers, merged
from auth0_meta.http.request import (
    API,
    Request,
    Target,
    encode_body,
    encode_document,
)
from auth0_meta.http.sender import Parts, Sender
from auth0_meta.http.transport import Transport
from auth0_meta.models import RequestInfo, Wait
from auth0_meta.ratelimit.plans import route_group
from auth0_meta.ratelimit.throttle import Snapshot, Throttle
from auth0_meta.threads.errand import at_work

if TYPE_CHECKING:
    from auth0_meta.threads.carrier import Carrier

REPEATABLE = ("GET", "HEAD", "PUT", "DELETE", "OPTIONS")
"""Methods that may be sent again after a lost response: the second request changes nothing."""


class HasChannel(Protocol):
    """Anything with a channel: a client, or what stands in for one."""

    @property
    def _channel(self) -> Channel:
        """Return the channel to send through."""


class Hub:
    """What a channel and all its views share: one connection and its worker threads, open or closed.

    `pool_size` is the number of worker threads for asyncio.  `random` is seeded anew in a forked child; None leaves it
    as it is.
    """

    def __init__(
        self,
        transport: Transport,
        throttle: Throttle,
        tokens: TokenSource,
        *,
        pool_size: int,
        random: Random | None,
    ) -> None:
        self._transport = transport
        self._throttle = throttle
        self._tokens = tokens
        self._pool_size = pool_size
        self._random = random
        self._carrier: Carrier | None = None
        self._carrier_lock = threading.RLock()
        self._closed = False
        renew_after_fork(self)

    @property
    def carrier(self) -> Carrier:
        """Return the carrier of calls from asyncio tasks to worker threads; it is made on first use.

        Raises `StateError` once the client is closed: nobody would end its threads.
        """
        with self._carrier_lock:
            if self._closed:
                raise StateError("this client is closed: make a new one (nothing was sent)")
            if self._carrier is None:
                from auth0_meta.threads.carrier import Carrier  # noqa: PLC0415  # it loads asyncio

                self._carrier = Carrier(self._pool_size)
            return self._carrier

    def close(self) -> None:
        """Close the pooled connections; sending afterwards raises `StateError`."""
        self._transport.close()
        with self._carrier_lock:
            self._closed = True
            carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()

    def _renew_locks(self) -> None:
        """Start over with new sockets and locks in a forked child: the parent's must not be shared."""
        self._transport.renew()
        self._throttle.renew()
        self._tokens._renew_locks()
        if self._random is not None:
            self._random.seed()  # or every child would wait the same jitter as its siblings
        self._carrier = None
        self._carrier_lock = threading.RLock()


class Channel(Sender):
    """Send to one tenant, with the client's settings; thread-safe, usable after a fork.

    `max_wait`, `failure_wait` and `on_wait` apply to operations that set none of their own; `timeout` is (connect, read)
    in seconds for each request, and `on_request` is called after each.  `hub` is what the channel and its views share.
    """

    def __init__(
        self,
        parts: Parts,
        tokens: TokenSource,
        *,
        max_wait: float | None,
        failure_wait: float | None,
        timeout: tuple[float, float],
        on_wait: Callable[[Wait], object] | None,
        on_request: Callable[[RequestInfo], object] | None,
        pool_size: int,
        reseed: bool,
    ) -> None:
        super().__init__(parts, tokens)
        self.hub = Hub(
            parts.transport,
            parts.throttle,
            tokens,
            pool_size=pool_size,
            random=parts.random if reseed else None,
        )
        self.timeout = timeout
        self._max_wait = max_wait
        self._failure_wait = failure_wait
        self._on_wait = on_wait
        self._on_request = on_request
        self._listeners: list[Callable[[Wait], object]] = []

    def with_options(
        self,
        *,
        max_wait: MaxWait = "client",
        timeout: Timeout = "client",
        headers: Mapping[str, str] | None = None,
        on_request: OnRequest = "client",
    ) -> Channel:
        """Return a view of this channel: it sends through the same parts, with some settings of its own."""
        more = dict(check_headers(headers))
        view = copy.copy(
            self
        )  # nothing that may be replaced later is an attribute of a channel: the hub has all of it
        if max_wait != "client":
            view._max_wait = check_wait("max_wait", max_wait)
        if timeout != "client":
            view.timeout = check_timeout(timeout)
        if on_request != "client":
            view._on_request = callback("on_request", on_request, error=ConfigError)
        # Unlike other headers, this one goes only where Auth0 takes it, as custom_domain= does.
        for name in [name for name in more if name.lower() == CUSTOM_DOMAIN.lower()]:
            view._custom_domain = more.pop(name)
        if more:
            view._more_headers = check_headers(
                merged(self._more_headers, more)
            )  # together they may be too large
        return view

    def bucket(self, group: str) -> Snapshot:
        """Return what is known of the token bucket behind a route group."""
        return self.throttle.snapshot(group)

    def budget(
        self,
        user_id: str | None = None,
        max_wait: MaxWait = "client",
        *,
        ends: float | None = None,
        share: float | None = None,
        cancelled: threading.Event | None = None,
    ) -> WaitBudget:
        """Start counting one operation, which may wait for `max_wait` seconds ("client": the client's setting).

        `ends`: the instant, on the monotonic clock, at which it must be over.
        """
        seconds = self._max_wait if max_wait == "client" else check_wait("max_wait", max_wait)
        errand = at_work.errand
        if errand is not None:  # this thread sends for an asyncio task
            cancelled = cancelled or errand.cancelled
        budget = WaitBudget(
            max_wait=seconds,
            failure_wait=self._failure_wait,
            ends=ends,
            timeout=self.timeout,
            on_wait=self._tell if self._listeners else self._on_wait,
            on_request=self._on_request,
            user_id=user_id,
            share=share,
            cancelled=cancelled,
            alone=self.throttle.interrupted(),
            clock=self.clock,
        )
        if errand is not None:
            errand.began(budget)
        return budget

    @contextlib.contextmanager
    def listening(self, listener: Callable[[Wait], object]) -> Iterator[None]:
        """Call `listener` too before each wait of the operations that begin in this block, on any thread."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    def _tell(self, wait: Wait) -> None:
        """Call everybody who listens."""
        for listen in (*self._listeners, self._on_wait):
            if listen is not None:
                listen(wait)

    # Requests -----------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,
        sent: Any = None,
        user_id: str | None = None,
        shown: str | None = None,
        template: str | None = None,
        repeat: bool | None = None,
        max_wait: MaxWait = "client",
        headers: Mapping[str, str] = NO_HEADERS,
        expected: Expected = anything,
    ) -> Any:
        """Send one request and return its parsed response, which is believed only if it is what is `expected`.

        `path` is encoded and starts with "/api/v2/".  `json` is the body (None: none).  `sent`: what else the request
        contains that must not appear in an error (`headers` don't either).  `repeat`: None decides by the method.
        """
        request = Request(
            method,
            path,
            group=route_group(method, path[len(API) :]),
            body=None if json is None else encode_body(json),
            sent=json if sent is None else (json, sent),
            repeat=method in REPEATABLE if repeat is None else repeat,
            alias=shown,
            headers=headers,
            template=template,
        )
        budget = self.budget(user_id, max_wait)
        found = believed(self.send(request, budget), request, expected, user_id=user_id)
        budget.raise_objection()
        return found

    def read(self, target: Target, budget: WaitBudget, *, deadline: Deadline | None = None) -> dict[str, Any]:
        """Read an object; raise `TransportError` unless the response is that very object."""
        request = Request("GET", target.path, group=target.kind.reads, repeat=True, alias=target.shown)
        try:
            response = self.send(request, budget, deadline=deadline)
        except TransportError as error:
            error.user_id = budget.user_id
            raise
        found: dict[str, Any] = believed(response, request, the_object(target), user_id=budget.user_id)
        self.outages.note_readable(target)
        return found

    def patch(
        self,
        target: Target,
        document: Mapping[str, Any],
        budget: WaitBudget,
        *,
        deadline: Deadline | None = None,
    ) -> dict[str, Any]:
        """Send one PATCH, never twice, and return the object after it.

        Raises `MetadataError` for a document larger than a request may be, and `OutcomeUnknown` unless the response
        is that very object.
        """
        body = encode_document(document, target)
        most = target.kind.most_sent
        if len(body) > most:
            msg = (
                f"the PATCH for {target.id} would take {len(body)} B, and a request may have at most {most} B. "
                "Nothing was written: store less, or spread it over several first-level keys"
            )
            raise MetadataError(msg)
        request = Request(
            "PATCH",
            target.path,
            group=target.kind.writes,
            body=body,
            sent=document,
            repeat=False,
            alias=target.shown,
        )
        response = self.send(request, budget, deadline=deadline)
        expected = the_object(target, document)
        found: dict[str, Any] = believed(response, request, expected, user_id=budget.user_id)
        return found

    def pause(self, seconds: float) -> None:
        """Sleep between two requests; raise `Cancelled` if the asyncio task that needs them is cancelled."""
        errand = at_work.errand
        if errand is None:
            if seconds:
                self.clock.sleep(seconds)
            return
        while not errand.cancelled.is_set():
            if seconds <= 0:
                return
            self.clock.sleep(min(seconds, CANCEL_POLL))
            seconds -= CANCEL_POLL
        raise Cancelled

    # Lifecycle ----------------------------------------------------------------------------------------

    @property
    def carrier(self) -> Carrier:
        """Return the carrier of calls from asyncio tasks to worker threads; see `Hub.carrier`."""
        return self.hub.carrier

    def close(self) -> None:
        """Close the pooled connections, of all views too; sending afterwards raises `StateError`."""
        self.hub.close()
