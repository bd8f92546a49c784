"""Log in with Django and Authlib, and run the post-login actions in the callback.

    python examples/django_app.py [PORT]

Open the URL that it prints, choose a user and give your consent; then look at the profile and the requests to
the tenant.
"""

from __future__ import annotations

import logging
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import django
from _site import NO_STORE, Site, refused_page, request_line, site
from authlib.integrations.base_client import OAuthError
from authlib.integrations.django_client import OAuth
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import path

from auth0_meta.actions.web import Login
from auth0_meta.actions.web.django import PostLogin

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

urlpatterns: list[Any] = []
log = logging.getLogger("example")


def create_app(site: Site) -> WSGIApplication:
    """Configure Django, which is possible once per process, and build the application."""
    settings.configure(
        SECRET_KEY=site.secret,
        ALLOWED_HOSTS=["127.0.0.1", "localhost"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    )
    django.setup()
    urlpatterns.extend(patterns(site))
    application: WSGIApplication = get_wsgi_application()
    return application


def patterns(site: Site) -> list[Any]:
    """Return the application's URLs."""
    auth0 = OAuth().register(
        "auth0",
        client_id=site.client_id,
        client_secret=site.client_secret,
        server_metadata_url=site.metadata_url,
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )

    def claims(request: HttpRequest) -> dict[str, Any]:
        """Return the claims, after Authlib has checked state, PKCE, nonce and the ID token."""
        return dict(auth0.authorize_access_token(request)["userinfo"])

    post_login = PostLogin(site.trigger, claims=claims)

    def home(request: HttpRequest) -> HttpResponse:
        return HttpResponse(site.home_page(request.session.get("user")), headers=NO_STORE)

    def login(request: HttpRequest) -> HttpResponseBase:
        moved = site.moved_url(request.build_absolute_uri())
        if moved is not None:
            return HttpResponseRedirect(moved)
        request.session["next"] = site.returns.pick(request.GET.get("next"))
        response: HttpResponseBase = auth0.authorize_redirect(
            request, request.build_absolute_uri("/callback")
        )
        return response

    @post_login
    def finish(request: HttpRequest, login: Login) -> HttpResponseBase:
        outcome = login.outcome
        if not outcome.allowed:
            log.warning("refused: %s", outcome)
            return HttpResponse(refused_page(outcome.denied), status=403)
        request.session["user"] = {name: login.claims.get(name) for name in ("sub", "name", "email")}
        return HttpResponseRedirect(request.session.pop("next", site.returns.home))

    def callback(request: HttpRequest) -> HttpResponseBase:
        try:
            return finish(request)
        except OAuthError as error:
            log.warning("refused by the tenant or Authlib: %r", error.error)
            return HttpResponse(refused_page(), status=403)

    def logout(request: HttpRequest) -> HttpResponseBase:
        request.session.flush()
        return HttpResponseRedirect(site.logout_url())

    def consent(request: HttpRequest) -> HttpResponse:
        return HttpResponse(site.consent_page(request.GET.dict()), headers=NO_STORE)

    return [
        path("", home),
        path("login", login),
        path("callback", callback),
        path("logout", logout),
        path("consent", consent),
        post_login.path(),
    ]


class RequestHandler(WSGIRequestHandler):
    """The handler of the standard library, which logs each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log a request without its query."""
        self.log_message('"%s" %s %s', request_line(self.requestline), str(code), str(size))


class Server(ThreadingMixIn, WSGIServer):
    """Serve each request in a thread, because browsers open connections that they don't use yet."""

    daemon_threads = True


if __name__ == "__main__":
    with (
        site() as (running, port),
        make_server("127.0.0.1", port, create_app(running), Server, RequestHandler) as server,
    ):
        server.serve_forever()
