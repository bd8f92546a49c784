"""The network on the way to a tenant: what the environment says about it, and why no request gets through.

If a request was not sent, the proxy and the trusted authorities often decide why, and nothing else shows them.
"""

from __future__ import annotations

import os
import re
import ssl
import traceback
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import InvalidSchema
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import (
    ClosedPoolError,
    ConnectTimeoutError,
    MaxRetryError,
    NewConnectionError,
    ProxyError,
)

from auth0_meta.errors import ConfigError, NotSentError
from auth0_meta.http.plain_http import is_loopback
from auth0_meta.redact import printable

_REFUSALS = ("NoMockAddress", "Connection refused by Responses", "CannotOverwriteExistingCassetteException")
"""How to recognize a mock's error for a request that it does not know: a class, or how a message begins."""
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
# urllib3 raises these before the first byte of a request leaves.
_BEFORE_SENDING = (NewConnectionError, ConnectTimeoutError, ClosedPoolError)
# Failures of TLS and of a proxy's tunnel have no type of their own, so the frames that they passed through decide.
_CONNECTING = ("connect", "get_connection_with_tls_context")
_HANDSHAKE = ("do_handshake",)
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")
_SOURCE_LINE = re.compile(r" \(_ssl\.c:\d+\)")
_UNAUTHORIZED_BY_PROXY = 407
_CHECK = "Check the domain (AUTH0_DOMAIN) and the network"
_PLAIN = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "UNKNOWN_PROTOCOL"})
"""What OpenSSL says of a server that does not speak TLS."""
# OpenSSL's codes (X509_V_ERR_...) -> what to do about a certificate; for any other code, its authority is not trusted.
_CERTIFICATES = {
    9: "Check this machine's clock",
    10: "Check this machine's clock; if it is right, the certificate has to be renewed",
    62: _CHECK,
    64: _CHECK,
}


class Network(NamedTuple):
    """How one host is reached, as the environment said when this was made.

    `proxies` and `verify` are for requests.  `proxy`: host and port of the proxy, and the variable that names it; "" if
    there is none.  `bundle`: the file of the trusted authorities, and the variable that names it.
    """

    base: str
    proxies: dict[str, str]
    verify: bool | str
    proxy: str
    bundle: str

    @classmethod
    def towards(cls, base: str, /) -> Self:
        """Read the environment; local tenants (loopback, plain http) are reached past any proxy.

        Raises `ConfigError` for a CA bundle that can't be read.
        """
        local = base.startswith("http:") or is_loopback(urlsplit(base).hostname or "")
        proxies: dict[str, str] = {} if local else dict(get_environ_proxies(base))
        verify, bundle = _trusted() if base.startswith("https") else (True, "")
        return cls(base, proxies, verify, _proxy(base, proxies), bundle)

    def through(self) -> str:
        """Return the words that name the proxy, "" if there is none."""
        return f" through the proxy {self.proxy}" if self.proxy else ""

    def maybe_tls(self, causes: Sequence[BaseException]) -> str:
        """Return a remark if a server hangs up on plain http, as a TLS server does, else ""."""
        if not self.base.startswith("http:") or any(isinstance(c, TimeoutError) for c in causes):
            return ""
        return "; if it speaks TLS, its domain begins with https://"

    def not_sent(self, causes: Sequence[BaseException], what: str) -> NotSentError | None:
        """Return the error for a request that can't have reached the server, None if it may have."""
        certificate = next((c for c in causes if isinstance(c, ssl.SSLCertVerificationError)), None)
        if certificate is None and not any(map(_before_sending, causes)):
            return None
        detail, remedy, permanent = self._explained(causes, certificate)
        msg = f"{what} was not sent: {detail}. {remedy}"
        return NotSentError(msg, remedy=remedy, permanent=permanent)

    def _explained(
        self, causes: Sequence[BaseException], certificate: ssl.SSLCertVerificationError | None
    ) -> tuple[str, str, bool]:
        """Return what failed, what to do, and whether trying again is pointless."""
        tls = next((c for c in causes if isinstance(c, ssl.SSLError)), None)
        if tls is not None and certificate is None and tls.library == "X509":
            detail = f"the CA bundle {self.bundle} can't be used{reason(causes)}"
            return detail, "Name a file of certificates in PEM, or unset the variable", True
        # Until the tunnel stands, only the proxy is talked to; TLS with the host comes after it.
        of_proxy = bool(self.proxy) and (
            any(isinstance(c, ProxyError) for c in causes) or not any(_passed(c, _HANDSHAKE) for c in causes)
        )
        host, aside = (f"the proxy {self.proxy}", "") if of_proxy else (self.base, self.through())
        if certificate is not None:
            said = certificate.verify_message.rstrip(".")
            detail = f"the certificate of {host}{aside} can't be verified: {said}. Trusted is {self.bundle}"
            return detail, _CERTIFICATES.get(certificate.verify_code) or self._untrusted(), True
        if of_proxy:
            return self._about_proxy(causes, host)
        if tls is not None and tls.reason in _PLAIN:
            detail = f"{host}{aside} does not speak TLS{_why(causes)}"
            return (
                detail,
                "Check the port; the domain of a local tenant without TLS begins with http://",
                False,
            )
        nobody = any(isinstance(c, ConnectionRefusedError) for c in causes)
        local = is_loopback(urlsplit(self.base).hostname or "") or self.base.startswith("http:")
        if local and nobody:
            detail = f"nothing listens at {host}, where a local tenant would be{_why(causes)}"
            return detail, "Start it with auth0-meta emulator serve, or check the port (AUTH0_DOMAIN)", False
        return f"{host} could not be reached{aside}{_why(causes)}", _CHECK, False

    def _about_proxy(self, causes: Sequence[BaseException], host: str) -> tuple[str, str, bool]:
        """Explain a failure of the proxy itself."""
        status = next((int(found[1]) for c in causes if (found := _TUNNEL.search(str(c)))), None)
        check = "Check the proxy, or list the host in NO_PROXY to reach it directly"
        if status == _UNAUTHORIZED_BY_PROXY:
            detail = f"{host} asks for a user name and a password, or does not accept those that it got (407)"
            return detail, "Its URL may have them: http://USER:PASSWORD@HOST:PORT, percent-encoded", True
        if status is not None:
            return f"{host} refused to connect to {urlsplit(self.base).netloc} ({status})", check, False
        if any(isinstance(c, InvalidSchema) for c in causes):
            return f"{host} needs an optional package", "Install requests[socks]", True
        return f"{host} could not be reached or used{_why(causes)}", check, False

    def _untrusted(self) -> str:
        """Return the advice for a certificate authority that is not trusted."""
        if is_loopback(urlsplit(self.base).hostname or ""):
            return "A local tenant has its own authority: run your program with what auth0-meta emulator env prints"
        who = "The proxy" if self.proxy else "A proxy or firewall on the way"
        return f"{who} may sign with its own authority: name a bundle that has it in REQUESTS_CA_BUNDLE. Else {_lower(_CHECK)}"


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _trusted() -> tuple[bool | str, str]:
    """Return the CA bundle that the environment names, True for the default one, and words for it."""
    name = next((name for name in _CA_BUNDLES if os.environ.get(name)), None)
    if name is None:
        return True, f"{DEFAULT_CA_BUNDLE_PATH} (none of {', '.join(_CA_BUNDLES)} is set)"
    path = os.environ[name]
    if not os.access(path, os.R_OK):
        what = "can't be read" if os.path.exists(path) else "does not exist"
        msg = f"{name} names a CA bundle that {what} (nothing was sent): correct it or unset it"
        raise ConfigError(msg)
    return path, printable(f"{path} ({name})")


def _proxy(base: str, proxies: dict[str, str]) -> str:
    """Return host and port of the proxy for a host, without its password, and the variable that names it."""
    proxy = select_proxy(base, proxies)
    if not proxy:
        return ""
    kinds = [kind for kind in ("https", "all") if proxies.get(kind) == proxy]
    names = (name for kind in kinds for name in (f"{kind}_proxy", f"{kind}_proxy".upper()))
    source = next((name for name in names if os.environ.get(name)), "the system's settings")
    try:
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        where = printable(f"{parts.hostname or '?'}:{parts.port or '?'}")
    except ValueError:
        where = "whose URL is not one"
    return f"{where} ({source})"


# What a failure is made of ----------------------------------------------------------------------------


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and everything it wraps, as causes, arguments and urllib3 reasons."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        one = todo.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        todo += [one.__cause__, *one.args]  # __context__ may be an older failure that a caller handles
        if isinstance(one, MaxRetryError):
            todo.append(one.reason)


def reason(causes: Sequence[BaseException]) -> str:
    """Return what the system or TLS says of a failure (it never knows what was sent), else the innermost class."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno is not None and isinstance(cause.strerror, str):
            return f": {_SOURCE_LINE.sub('', cause.strerror)}"
    return f": {type(causes[-1]).__name__}" if type(causes[-1]) is not type(causes[0]) else ""


def _why(causes: Sequence[BaseException]) -> str:
    """Return the kind of a failure that came before sending, and its reason."""
    first = next((n for n, c in enumerate(causes) if _before_sending(c)), 0)
    return f" ({type(causes[first]).__name__}{reason(causes[first:])})"


def _before_sending(error: BaseException) -> bool:
    """Return whether an error was raised while connecting."""
    return isinstance(error, _BEFORE_SENDING) or _passed(error, _CONNECTING)


def _passed(error: BaseException, functions: Sequence[str]) -> bool:
    """Return whether an error came through a function of one of these names."""
    return any(frame.f_code.co_name in functions for frame, _ in traceback.walk_tb(error.__traceback__))


def is_mocked() -> bool:
    """Return whether a library such as requests-mock, responses, vcrpy or pook mocks HTTP now, as in a test.

    They replace a function or class of requests or urllib3 while they are active, and wrappers for tracing keep the
    names of what they wrap.  The client would bypass what they replace: it keeps connections open, and has no session.
    """
    requests_as_written = (
        requests.Session.send.__module__ == "requests.sessions"
        and HTTPAdapter.send.__module__ == "requests.adapters"
    )
    return not requests_as_written or _is_urllib3_mocked()


def _is_urllib3_mocked() -> bool:
    return not (
        HTTPConnectionPool.urlopen.__module__ == "urllib3.connectionpool"
        and HTTPConnectionPool.ConnectionCls.__module__ == "urllib3.connection"
    )


def send_to_mock(
    prepared: requests.PreparedRequest, adapter: BaseAdapter, **settings: Any
) -> requests.Response:
    """Send a request through a session of `requests` as a program would make it, which all mocks intercept.

    The session uses the client's `adapter`, with its connections and limits, unless urllib3 is mocked: its own classes
    are replaced then.  Raises `NotSentError` for a request that the test has registered no response for.
    """
    session = requests.Session()
    session.trust_env = False  # a .netrc would replace the Authorization header
    if not _is_urllib3_mocked():
        session.mount("https://", adapter)
        session.mount("http://", adapter)
    try:
        return session.send(prepared, allow_redirects=False, **settings)
    except Exception as error:
        name = type(error).__name__
        if name not in _REFUSALS and not str(error).startswith(_REFUSALS):
            raise
    path = urlsplit(prepared.url or "").path
    msg = f"{prepared.method} {path} was not sent: HTTP is mocked here, and no response is registered for it ({name})"
    raise NotSentError(msg, permanent=True)
