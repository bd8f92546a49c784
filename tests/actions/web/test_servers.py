"""Logins over sockets: each framework behind the server that people run it with, plain and async views, in parallel."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import flask
import pytest
import requests
import uvicorn
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.test.utils import override_settings
from django.urls import path
from fastapi import Depends, FastAPI, Request
from support.logins import Login as LocalLogin
from support.view_forms import USER, seen, state_in
from werkzeug.serving import make_server as make_werkzeug_server

from auth0_meta.actions.web import Login
from auth0_meta.actions.web import django as web_django
from auth0_meta.actions.web import fastapi as web_fastapi
from auth0_meta.actions.web import flask as web_flask
from auth0_meta.clock import SYSTEM_CLOCK


class Quiet(WSGIRequestHandler):
    """A handler that logs nothing."""

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class Consent:
    """An action that asks for consent at each login."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Redirect."""
        api.user.set_app_metadata("asked", event.request.query.get("n"))
        api.redirect.send_user_to("https://consent.example.com/page")

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Store the answer."""
        api.user.set_app_metadata("answer", event.request.body["answer"])


@contextmanager
def in_a_thread(run: Callable[[], None], stop: Callable[[], None]) -> Iterator[None]:
    """Run a server in a thread while the block runs."""
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop()
        thread.join()


@contextmanager
def _flask(local: LocalLogin, *, asynchronous: bool) -> Iterator[str]:
    app, post_login = flask.Flask("test"), web_flask.PostLogin(local.trigger(Consent()), claims=lambda: USER)

    async def aview(login: Login, number: int) -> Any:
        await asyncio.sleep(0)
        return seen(login, number=number)

    def view(login: Login, number: int) -> Any:
        return seen(login, number=number)

    app.get("/callback/<int:number>")(post_login(aview if asynchronous else view))
    post_login.init_app(app)
    server = make_werkzeug_server("127.0.0.1", 0, app, threaded=True, request_handler=None)
    with in_a_thread(server.serve_forever, server.shutdown):
        yield f"http://127.0.0.1:{server.server_port}"
    server.server_close()


def _django_urls(local: LocalLogin, *, asynchronous: bool) -> Any:
    post_login = web_django.PostLogin(local.trigger(Consent()), claims=lambda request: USER)

    async def aview(request: Any, login: Login, number: int) -> Any:
        await asyncio.sleep(0)
        return JsonResponse(seen(login, number=number))

    def view(request: Any, login: Login, number: int) -> Any:
        return JsonResponse(seen(login, number=number))

    module = ModuleType("urls_of_a_server")
    callback = post_login(aview if asynchronous else view)
    vars(module)["urlpatterns"] = [path("callback/<int:number>", callback), post_login.path()]
    return module


@contextmanager
def _django_wsgi(local: LocalLogin, *, asynchronous: bool) -> Iterator[str]:
    with override_settings(ROOT_URLCONF=_django_urls(local, asynchronous=asynchronous)):
        server = make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet)
        with in_a_thread(server.serve_forever, server.shutdown):
            yield f"http://127.0.0.1:{server.server_port}"
        server.server_close()


@contextmanager
def _uvicorn(app: Any) -> Iterator[str]:
    config = uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)

    def stop() -> None:
        server.should_exit = True

    with in_a_thread(server.run, stop):
        end = SYSTEM_CLOCK.monotonic() + 60
        while not server.started:
            assert SYSTEM_CLOCK.monotonic() < end, "uvicorn never started"
            SYSTEM_CLOCK.sleep(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


@contextmanager
def _django_asgi(local: LocalLogin, *, asynchronous: bool) -> Iterator[str]:
    urls = _django_urls(local, asynchronous=asynchronous)
    with override_settings(ROOT_URLCONF=urls), _uvicorn(get_asgi_application()) as url:
        yield url


@contextmanager
def _fastapi(local: LocalLogin, *, asynchronous: bool) -> Iterator[str]:
    async def claims(request: Request) -> Any:
        return USER

    app, post_login = FastAPI(), web_fastapi.PostLogin(local.trigger(Consent()), claims=claims)

    async def aview(login: Login, number: int, n: int, db: str = Depends(lambda: "db")) -> Any:
        assert (n, db) == (number, "db")
        return seen(login, number=number)

    def view(login: Login, number: int, n: int, db: str = Depends(lambda: "db")) -> Any:
        assert (n, db) == (number, "db")
        return seen(login, number=number)

    app.get("/callback/{number}")(post_login(aview if asynchronous else view))
    post_login.init_app(app)
    with _uvicorn(app) as url:
        yield url


@pytest.mark.parametrize("asynchronous", [False, True], ids=["def", "async"])
@pytest.mark.parametrize(
    "serve", [_flask, _django_wsgi, _django_asgi, _fastapi], ids=lambda f: f.__name__.strip("_")
)
def test_logins_over_sockets_keep_their_arguments_apart(serve: Any, asynchronous: bool) -> None:
    """Six browsers log in at once; each gets the arguments of its own callback, and writes twice."""
    local = LocalLogin()

    def visit(number: int) -> Any:
        with requests.Session() as browser:
            away = browser.get(
                f"{url}/callback/{number}", params={"n": number}, allow_redirects=False, timeout=60
            )
            form = {"state": state_in(away.headers["Location"]), "answer": str(number)}
            assert browser.head(f"{url}/continue", params=form, timeout=60).status_code == 405
            return browser.post(f"{url}/continue", data=form, timeout=60).json()

    with serve(local, asynchronous=asynchronous) as url, ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(visit, range(6)))
    assert replies == [
        {"allowed": True, "sub": USER["sub"], "arguments": {"number": number}} for number in range(6)
    ]
    assert sorted(body["app_metadata"].popitem() for body in local.bodies) == [
        (key, str(number)) for key in ("answer", "asked") for number in range(6)
    ]
