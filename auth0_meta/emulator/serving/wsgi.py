"""A tenant as a WSGI application, for servers and clients that speak WSGI."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from auth0_meta.emulator.http.errors import reason_of
from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.pipeline import Pipeline

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_CHUNK = 65_536


def wsgi_app(pipeline: Pipeline) -> WSGIApplication:
    """Return a WSGI application; if a fault drops or truncates a response, it raises `ConnectionResetError`."""

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        from werkzeug.datastructures import EnvironHeaders  # noqa: PLC0415  # werkzeug loads on use
        from werkzeug.wsgi import get_input_stream  # noqa: PLC0415

        headers = {name.lower(): value for name, value in EnvironHeaders(environ)}
        target = _target(environ)
        # One byte more than is kept: then it is refused as too long.
        stream, left = get_input_stream(environ), pipeline.most_body(target, headers) + 1
        parts = []
        while left > 0 and (part := stream.read(min(left, _CHUNK))):
            parts.append(part)
            left -= len(part)
        request = Request(environ["REQUEST_METHOD"], target, headers, b"".join(parts))
        response = pipeline.handle(request)
        start_response(f"{response.status} {reason_of(response.status)}", response.sent_headers)
        if request.method == "HEAD":
            return []
        return response.pieces() if response.in_pieces else [response.body]

    return respond


def _target(environ: WSGIEnvironment) -> str:
    """Return the path, still percent-encoded, with the query.

    PATH_INFO is decoded, so an id that contains %2F looks like two segments there: the raw form is preferred.
    """
    raw = environ.get("REQUEST_URI") or environ.get("RAW_URI")
    if raw:
        parts = urlsplit(raw)
        path, query = parts.path, parts.query
    else:
        path, query = quote(_bytes(environ.get("PATH_INFO", "/")), safe="/"), environ.get("QUERY_STRING", "")
    return f"{path}?{query}" if query else path


def _bytes(text: str) -> bytes:
    """Return the bytes that WSGI passes as Latin-1 text; httpx passes decoded text instead."""
    try:
        raw = text.encode("latin-1")
        raw.decode("utf-8")
    except UnicodeError:
        return text.encode()
    return raw
