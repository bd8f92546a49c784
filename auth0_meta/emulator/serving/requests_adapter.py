"""Adapters that let `requests` reach a tenant: without a socket, or with the tenant's own certificate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from email.message import Message
from http.client import IncompleteRead, RemoteDisconnected
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3 import HTTPHeaderDict

from auth0_meta.clock import Clock
from auth0_meta.emulator.http.errors import reason_of
from auth0_meta.emulator.http.message import CutShort, Request
from auth0_meta.emulator.pipeline import Pipeline


class TenantAdapter(BaseAdapter):
    """Send the requests of a `requests.Session` through a tenant's pipeline in the same thread.

    A dropped connection raises `requests.ConnectionError`, and a response that takes longer than the
    read timeout (by `clock`) raises `requests.ReadTimeout`, as over a socket.
    """

    def __init__(self, pipeline: Pipeline, *, clock: Clock) -> None:
        super().__init__()
        self._pipeline, self._clock = pipeline, clock

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
        pieces, longest = [], 0.0
        try:
            served = self._pipeline.handle(_request(request))
            for piece in served.pieces() if served.in_pieces else [served.body]:
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
        response.status_code, response.reason = served.status, reason_of(served.status)
        response.headers = CaseInsensitiveDict(HTTPHeaderDict(served.sent_headers))
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw = _Body(b"".join(pieces), served.sent_headers)
        response.url, response.request = request.url or "", request
        return response

    def close(self) -> None:
        """Do nothing: there is nothing to close."""


class _Body(BytesIO):
    """A body with the headers where `requests` looks for cookies, so that logins work as over a socket."""

    def __init__(self, body: bytes, headers: Iterable[tuple[str, str]]) -> None:
        super().__init__(body)
        message = Message()
        for name, value in headers:
            message.add_header(name, value)
        self._original_response = SimpleNamespace(msg=message)


class TrustingAdapter(HTTPAdapter):
    """An adapter that trusts only one certificate file, whatever the session's settings are."""

    def __init__(self, ca_file: Path, **settings: Any) -> None:
        super().__init__(**settings)
        self._ca_file = ca_file

    def send(self, *args: Any, **options: Any) -> Any:
        """Send one request."""
        return super().send(*args, **{**options, "verify": str(self._ca_file)})


def _request(request: requests.PreparedRequest) -> Request:
    """Return a request as a server would receive it."""
    body: Any = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    elif not isinstance(body, (str, bytes)):
        body = b"".join(body)
    data = body.encode() if isinstance(body, str) else body
    headers = {"host": urlsplit(request.url or "").netloc}
    for name, value in request.headers.items():
        headers[name.lower()] = value.decode("latin-1") if isinstance(value, bytes) else value
    return Request(request.method or "GET", request.path_url, headers, data)
