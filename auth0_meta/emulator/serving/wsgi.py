"""A tenant as a WSGI application, for servers and clients that speak WSGI."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from werkzeug.wsgi import get_input_stream

from auth0_meta.emulator.http.message import Request
from auth0_meta.emulator.pipeline import Pipeline

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def reason(status: int) -> str:
    """Return the reason phrase of a status.

    >>> reason(429), reason(299)
    ('Too Many Requests', 'Unknown')
    """
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def wsgi_app(pipeline: Pipeline) -> WSGIApplication:
    """Return a WSGI application; if a fault drops or truncates a response, it raises `ConnectionResetError`."""

    def respond(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers = {
            name[5:].replace("_", "-").lower(): str(value)
            for name, value in environ.items()
            if name.startswith("HTTP_")
        }
        if environ.get("CONTENT_TYPE"):
            headers["content-type"] = environ["CONTENT_TYPE"]
        body = get_input_stream(environ).read()
        answer = pipeline.handle(Request(environ["REQUEST_METHOD"], _target(environ), headers, body))
        sent = [*answer.headers]
        if answer.status != 204 and answer.feed is None:
            sent.append(("Content-Length", str(len(answer.body))))
        start_response(f"{answer.status} {reason(answer.status)}", sent)
        return answer.pieces() if answer.in_pieces else [answer.body]

    return respond


def _target(environ: WSGIEnvironment) -> str:
    """Return the path, still percent-encoded, with the query.

    PATH_INFO is decoded, so an id with %2F in it can't be told from two segments: the raw form is preferred.
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
