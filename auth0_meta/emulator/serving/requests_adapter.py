"""Adapters that let `requests` reach a tenant: without a socket, or with the tenant's own certificate."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import IncompleteRead, RemoteDisconnected
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from auth0_meta.clock import Clock
from auth0_meta.emulator.http.message import CutShort

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class TenantAdapter(BaseAdapter):
    """Send the requests of a `requests.Session` to a WSGI application in the same thread.

    A dropped connection raises `requests.ConnectionError`, and a response later than the read
    timeout (by `clock`) raises `requests.ReadTimeout`, as over a socket.
    """

    def __init__(self, application: WSGIApplication, *, clock: Clock) -> None:
        super().__init__()
        self._application = application
        self._clock = clock

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002  # the signature of requests
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send one prepared request."""
        begun = self._clock.monotonic()
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started[:] = [status, CaseInsensitiveDict(headers)]

        try:
            pieces = []
            longest = 0.0
            for piece in self._application(_environ(request), start_response):
                now = self._clock.monotonic()
                pieces.append(piece)
                longest, begun = max(longest, now - begun), now
        except CutShort as error:
            cut = IncompleteRead(b"".join(pieces))
            raise requests.exceptions.ChunkedEncodingError(cut, request=request) from error
        except ConnectionResetError as error:
            lost = RemoteDisconnected("the local tenant closed the connection without a response")
            raise requests.ConnectionError(lost, request=request) from error
        allowed = timeout[1] if isinstance(timeout, tuple) else timeout
        longest = max(longest, self._clock.monotonic() - begun)
        if allowed is not None and longest > allowed:
            msg = f"the local tenant took more than {allowed} s to respond"
            raise requests.ReadTimeout(msg, request=request)
        response = requests.Response()
        status, response.headers = started
        response.status_code, response.reason = int(status[:3]), status[4:]
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = BytesIO(b"".join(pieces))
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class TrustingAdapter(HTTPAdapter):
    """An adapter that verifies with one certificate file, whatever the session's settings are."""

    def __init__(self, ca_file: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self._ca_file = ca_file

    def send(self, *args: Any, **options: Any) -> Any:
        """Send one request."""
        return super().send(*args, **{**options, "verify": str(self._ca_file)})


def _environ(request: requests.PreparedRequest) -> dict[str, Any]:
    parts = urlsplit(request.url or "")
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    elif not isinstance(body, (str, bytes)):
        body = b"".join(body)
    data = body.encode() if isinstance(body, str) else body
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method or "GET",
        "REQUEST_URI": f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
        "SERVER_NAME": parts.hostname or "",
        "SERVER_PORT": str(parts.port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": parts.netloc,
        "CONTENT_LENGTH": str(len(data)),
        "wsgi.input": BytesIO(data),
        "wsgi.url_scheme": parts.scheme,
    }
    for name, value in request.headers.items():
        key = name.upper().replace("-", "_")
        if key == "TRANSFER_ENCODING":
            continue  # the body is complete here
        text = value.decode("latin-1") if isinstance(value, bytes) else value
        environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = text
    return environ
