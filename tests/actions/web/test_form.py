"""The form that is posted to /continue: limits, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import flask
import pytest
from starlette.requests import Request
from support.logins import Login as LocalLogin
from support.web_adapters import (
    FORM,
    Django,
    Driver,
    Flask,
    RepeatedRedirect,
)

from auth0_meta.actions.web import fastapi as web_fastapi
from auth0_meta.actions.web.form import MAX_BODY_BYTES, read_body


def test_a_form_that_is_too_large_is_refused(kind: Any) -> None:
    """It is refused before it is parsed, and the login can still continue; blank fields count as fields."""
    action = RepeatedRedirect()
    app = Driver(kind, LocalLogin(), action)
    away = app.get("/callback")
    path = f"/continue?state={away.state}"
    for body, form, status in (
        (b"answer=" + b"x" * 65_536, FORM, 413),
        (b"&".join(b"a%d=" % number for number in range(101)), FORM, 413),
        (b"--b\r\n", "multipart/form-data; boundary=b", 415),
        (b"{}", "application/json", 415),
    ):
        refused = app.post_raw(path, away.cookie, body, form)
        assert refused.status == status
        assert refused.body.startswith(("The form has more than", f"Send the form as {FORM}"))
    done = app.post_raw(path, away.cookie, b"answer=&b=" + b"x" * 60_000, f"{FORM}; charset=utf-8")
    assert json.loads(done.body)["allowed"]
    assert action.events[1].request.body["answer"] == ""


def test_a_body_is_read_no_further_than_its_limit() -> None:
    """A client can't keep us reading by sending without end; the stream may return less than was requested."""
    reads: list[int] = []

    def read(size: int) -> bytes:
        reads.append(size)
        return b"x" * min(size, 40_000)

    assert len(read_body(read)) == MAX_BODY_BYTES + 1
    assert len(reads) == 2

    async def receive() -> Any:
        reads.append(0)
        return {"type": "http.request", "body": b"x" * 40_000, "more_body": True}

    scope = {"type": "http", "method": "POST", "path": "/continue", "query_string": b""}
    scope |= {"headers": [(b"content-type", FORM.encode())], "server": ("127.0.0.1", 80)}
    route = web_fastapi.PostLogin(LocalLogin().trigger(), claims=dict).route()  # type: ignore[arg-type]
    response = asyncio.run(route.endpoint(Request(scope, receive)))
    assert response.status_code == 413
    assert len(reads) == 4


@pytest.mark.parametrize("reader", ["flask", "django"])
def test_a_form_that_was_parsed_before_can_still_be_read(reader: str) -> None:
    """Middleware may have parsed it."""
    action = RepeatedRedirect()
    app = Driver(Flask if reader == "flask" else Django, LocalLogin(), action)
    if reader == "flask":

        def look() -> None:
            flask.request.form.to_dict()

        app.app.app.before_request(look)
    else:
        view = app.app.views["/continue"]

        def middleware(request: Any) -> Any:
            assert request.POST
            return view(request)

        app.app.views["/continue"] = middleware
    away = app.get("/callback")
    done = app.post("/continue", away.cookie, state=away.state, answer="yes")
    assert json.loads(done.body)["allowed"]
    assert action.events[1].request.body["answer"] == "yes"
