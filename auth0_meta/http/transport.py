"""Send one request over the pooled adapter of `requests`; with `connections.py`, the client's only use of it and urllib3.

Nothing is retried here: every failure becomes `NotSentError` (safe to repeat), `OutcomeUnknown`
(a write on which the server may have acted) or a plain `TransportError` (a read without a response), and
every response, whatever its status, a `Response`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.exceptions import (
    HTTPError,
)
from urllib3.filepost import encode_multipart_formdata

from auth0_meta._version import __version__
from auth0_meta.arguments import trimmed
from auth0_meta.changes.json_reader import read_json
from auth0_meta.clock import SYSTEM_CLOCK
from auth0_meta.errors import ConfigError, NotSentError, OutcomeUnknown, StateError, TransportError
from auth0_meta.http.connections import BLOCK, OneHostAdapter, content_of, deadline
from auth0_meta.http.error_responses import api_error
from auth0_meta.http.network import Network, chain, is_mocked, reason, send_to_mock
from auth0_meta.http.plain_http import ALLOW_HTTP, is_named_here, may_be_plain
from auth0_meta.telemetry import wire_log

_USER_AGENT = f"auth0-meta/{__version__}"
_LONGEST_LABEL = 63
_OK = 200
_T = TypeVar("_T")


wire_log.watch()


class Response(NamedTuple):
    """One response: status, case-insensitive headers and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the parsed body, None for an empty one; raise ValueError if it is not JSON."""
        return read_json(self.body) if self.body else None

    def __repr__(self) -> str:
        return f"<Response {self.status}: {len(self.body)} B>"


def encode_form(fields: Mapping[str, Any]) -> tuple[bytes, str]:
    """Encode a form with files, as browsers do; return it and its content type."""
    return encode_multipart_formdata(fields)


def base_url(domain: str, /) -> str:
    """Turn a tenant's domain into its base URL, https unless it is http where that is allowed.

    >>> base_url("tenant.eu.auth0.com"), base_url("http://127.0.0.1:8810/")
    ('https://tenant.eu.auth0.com', 'http://127.0.0.1:8810')

    Raises `ConfigError` for an empty name, a path, a query, credentials in the URL, a scheme other than http and https,
    and, except for loopback and the names in AUTH0_META_ALLOW_HTTP, for plain http and a name without a dot.
    """
    if not isinstance(domain, str) or not (text := trimmed(domain)):
        msg = "the domain is empty: pass your tenant's, such as tenant.eu.auth0.com (AUTH0_DOMAIN)"
        raise ConfigError(msg)
    if "@" in text:  # before anything that would show it
        msg = (
            "the domain contains credentials: pass the host alone, and client_id and client_secret separately"
        )
        raise ConfigError(msg)
    if "://" not in text:
        text = f"https://{text}"
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f"the domain {domain!r} is not a host name: {error}") from None
    labels = host.removesuffix(".").split(".")
    if any(c.isspace() or not c.isprintable() or c in "\\%" for c in text) or not all(
        0 < len(label) <= _LONGEST_LABEL for label in labels
    ):
        raise ConfigError(f"the domain {domain!r} is not a host name: pass one such as tenant.eu.auth0.com")
    if parts.path.strip("/") or parts.query or parts.fragment:
        msg = f"the domain {domain!r} must be a host name alone: leave out everything after {parts.netloc}"
        raise ConfigError(msg)
    if parts.scheme not in ("http", "https"):
        raise ConfigError(f"the domain {domain!r} has an unknown scheme: use https")
    if parts.scheme == "http" and not may_be_plain(host, port):
        msg = (
            f"plain http is for loopback only (the local tenant): use https for {host}; "
            f"if {host} is a local tenant in a container, list it in {ALLOW_HTTP}"
        )
        raise ConfigError(msg)
    if parts.scheme == "https" and len(labels) == 1 and ":" not in host and not is_named_here(host):
        msg = (
            f"the domain {domain!r} has no dot: pass the tenant's whole host name, such as tenant.eu.auth0.com "
            f"(AUTH0_DOMAIN); if {host} is a local tenant in a container, list it in {ALLOW_HTTP}"
        )
        raise ConfigError(msg)
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")


class Transport:
    """Send requests to one host; safe for many threads, renewed after a fork.

    `timeout` is (connect, read) in seconds and is set on every request.  Proxies and the CA
    bundle are read from the environment once, here; a `.netrc` is never read; redirects are
    never followed.  Local tenants (loopback, plain http) are reached past any proxy.  `adapter` replaces
    the network (the local tenant in process).
    """

    def __init__(
        self,
        base: str,
        *,
        timeout: tuple[float, float],
        pool_size: int = 64,
        adapter: BaseAdapter | None = None,
    ) -> None:
        self.base = base
        self.timeout = timeout
        self.reached = False
        """Whether this host has ever answered; until then failures to connect are retried only briefly."""
        self._pool_size = pool_size
        self._given = adapter
        self._network = Network.towards(base)
        self._closed = False
        self._start()

    def renew(self) -> None:
        """Start over with an empty pool after a fork: sockets must not be shared with the parent."""
        if isinstance(self._adapter, OneHostAdapter):
            self._adapter.abandon()
        self._start()

    def _start(self) -> None:
        # The adapter alone: a session would read .netrc and proxies anew each time, and follow redirects.
        self._adapter = self._given or OneHostAdapter(
            pool_connections=1, pool_maxsize=self._pool_size, max_retries=0
        )

    def close(self) -> None:
        """Close every pooled connection; sending afterwards raises `StateError`."""
        self._closed = True
        self._adapter.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        seconds: float | None = None,
        timeout: tuple[float, float] | None = None,
    ) -> Response:
        """Send one request and read its whole response.

        `path` starts with "/" and is already percent-encoded.  `seconds`: how long the whole request may take; None for
        no limit but `timeout`.  `timeout`: None for the transport's own.  Raises `NotSentError` if the request did not
        reach the server, `OutcomeUnknown` if a write may have, `TransportError` if a read's response was lost.
        """
        if self._closed:
            raise StateError("this client is closed: make a new one (nothing was sent)")
        sent = {**headers, "Accept-Encoding": "gzip, deflate"}
        if "user-agent" not in map(str.lower, headers):
            sent["User-Agent"] = _USER_AGENT
        if body is not None or method not in ("GET", "HEAD"):
            sent["Content-Length"] = str(len(body or b""))
        exchange = partial(self._exchange, method, path, sent, body)
        try:
            response = self._bounded(seconds, timeout or self.timeout, exchange)
        except (OSError, HTTPError) as error:  # requests lets some of urllib3's own errors through
            failure = self._failure(error, method, path, seconds, timeout or self.timeout)
            for link in list(chain(error)):
                link.__traceback__ = None  # frames of urllib3 hold it, and with it the values of every caller
        else:
            self.reached = True
            return response
        try:
            raise failure  # not from the error: its text may hold the query, and its request holds the token
        finally:
            del failure

    def _bounded(
        self,
        seconds: float | None,
        timeout: tuple[float, float],
        send: Callable[[tuple[float, float]], _T],
    ) -> _T:
        """Call `send` with the timeouts of a request that may take `seconds` as a whole, and mark it as our own."""
        connect, read = timeout
        at = None if seconds is None else SYSTEM_CLOCK.monotonic() + seconds
        allowed = timeout if seconds is None else (min(connect, seconds), min(read, seconds))
        # A signal handler may send a request in the middle of another one, which gets its own values back.
        outer = getattr(deadline, "at", None), getattr(wire_log.ours, "now", False)
        try:
            try:
                deadline.at, wire_log.ours.now = at, True
                return send(allowed)
            finally:
                deadline.at, wire_log.ours.now = outer
        except BaseException:
            deadline.at, wire_log.ours.now = outer  # an interrupt may have come while it was set back
            raise

    def _exchange(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes | None,
        timeout: tuple[float, float],
    ) -> Response:
        """Send a request and read its response, on an idle connection if there is one: that takes half as long."""
        if isinstance(self._adapter, OneHostAdapter) and not is_mocked():
            found = self._adapter.exchange(method, path, headers, body, timeout)
            if found is not None:
                return Response(*found)
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = method, self.base + path, body
        prepared.headers = CaseInsensitiveDict(headers)
        response = self._hand_over(prepared, timeout)
        return Response(response.status_code, response.headers, content_of(response))

    def _hand_over(
        self, prepared: requests.PreparedRequest, timeout: tuple[float, float]
    ) -> requests.Response:
        """Hand one request to the adapter, or to what stands in for the network in a test."""
        mocked = self._given is None and is_mocked()
        send = partial(send_to_mock, adapter=self._adapter) if mocked else self._adapter.send
        return send(
            prepared,
            stream=True,
            timeout=timeout,
            verify=self._network.verify,
            cert=None,
            proxies=self._network.proxies,
        )

    def stream(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes as they are stored; no token is sent, no redirect followed.

        Raises `NotSentError` or `TransportError` as `send` does, and `ApiError` for a status other
        than 200; the body is not shown.
        """
        prepared = requests.Request("GET", self.base + path, headers={"User-Agent": _USER_AGENT}).prepare()
        # requests would re-encode it, and the link's signature covers it as it is
        prepared.url = self.base + path
        failure: TransportError | None = None
        try:
            with self._bounded(None, self.timeout, partial(self._hand_over, prepared)) as response:
                if response.status_code != _OK:
                    msg = f"{self.base} refused the file: {response.status_code}. Its link may have expired"
                    raise api_error(response.status_code)(msg, status=response.status_code)
                yield from response.raw.stream(BLOCK, decode_content=False)
                if getattr(response.raw, "length_remaining", None):
                    raise requests.exceptions.ChunkedEncodingError("a part of the file is missing")
        except (OSError, HTTPError) as error:
            failure = self._failure(error, "GET", "(a file)", None, self.timeout)
        if failure is not None:
            raise failure  # not from the error, whose URL is a secret for as long as it lives

    def _failure(
        self, error: Exception, method: str, path: str, seconds: float | None, timeout: tuple[float, float]
    ) -> TransportError:
        """Sort a failure by what the server may have seen; it had `seconds` in all, None for no such limit."""
        if isinstance(error, NotSentError):  # what stands in for the network refused it
            return error
        causes = list(chain(error))
        what = f"{method} {path.partition('?')[0]}"
        unsent = self._network.not_sent(causes, what)
        if unsent is not None:
            return unsent
        read = timeout[1]
        limit = f"read timeout {read} s" if seconds is None or seconds >= read else f"{seconds:.1f} s in all"
        tls = "" if self.reached else self._network.maybe_tls(causes)
        lost = (
            f"{what} was sent{self._network.through()}, but its response was lost "
            f"({type(error).__name__}{reason(causes)}, {limit}{tls})"
        )
        if method in ("GET", "HEAD"):
            return TransportError(lost)
        return OutcomeUnknown(
            f"{lost}: it may or may not have been applied, so check before you send it again"
        )
