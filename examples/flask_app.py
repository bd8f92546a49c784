"""Log in with Flask and Authlib, and run the post-login actions in the callback.

    python examples/flask_app.py [PORT]

Open the URL that it prints, choose a user and give your consent; then look at the profile and the requests to
the tenant.
"""

from __future__ import annotations

from typing import Any

from _site import NO_STORE, Site, refused_page, request_line, site
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.serving import WSGIRequestHandler

from auth0_meta.actions.web import Login
from auth0_meta.actions.web.flask import PostLogin


def create_app(site: Site) -> Flask:
    """Build the application."""
    app = Flask(__name__)
    app.secret_key = site.secret
    oauth = OAuth(app)
    auth0 = oauth.register(
        "auth0",
        client_id=site.client_id,
        client_secret=site.client_secret,
        server_metadata_url=site.metadata_url,
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )

    def claims() -> dict[str, Any]:
        """Return the claims, after Authlib has checked state, PKCE, nonce and the ID token."""
        return dict(auth0.authorize_access_token()["userinfo"])

    post_login = PostLogin(site.trigger, claims=claims)
    post_login.init_app(app)

    @app.get("/")
    def home() -> ResponseReturnValue:
        return site.home_page(session.get("user")), NO_STORE

    @app.get("/login")
    def login() -> ResponseReturnValue:
        moved = site.moved_url(request.url)
        if moved is not None:
            return redirect(moved)
        session["next"] = site.returns.pick(request.args.get("next"))
        response: ResponseReturnValue = auth0.authorize_redirect(url_for("callback", _external=True))
        return response

    @app.get("/callback")
    @post_login
    def callback(login: Login) -> ResponseReturnValue:
        outcome = login.outcome
        if not outcome.allowed:
            app.logger.warning("refused: %s", outcome)
            return refused_page(outcome.denied), 403
        next_url = session.get("next", site.returns.home)
        session.clear()  # nothing of whoever used this browser before
        session["user"] = {name: login.claims.get(name) for name in ("sub", "name", "email")}
        return redirect(next_url, 303)

    @app.errorhandler(OAuthError)
    def refused(error: OAuthError) -> ResponseReturnValue:
        app.logger.warning("refused by the tenant or Authlib: %r", error.error)
        return refused_page(), 403

    @app.get("/logout")
    def logout() -> ResponseReturnValue:
        session.clear()
        return redirect(site.logout_url())

    @app.get("/consent")
    def consent() -> ResponseReturnValue:
        return site.consent_page(request.args), NO_STORE

    return app


class RequestHandler(WSGIRequestHandler):
    """Werkzeug's handler, which logs each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log a request without its query."""
        self.log("info", '"%s" %s %s', request_line(self.requestline), code, size)


if __name__ == "__main__":
    with site() as (running, port):
        create_app(running).run("127.0.0.1", port, request_handler=RequestHandler)
