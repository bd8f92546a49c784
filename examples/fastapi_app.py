"""Log in with FastAPI and Authlib, and run the post-login actions in the callback.

    python examples/fastapi_app.py [PORT]

Open the URL that it prints, choose a user and give your consent; then look at the profile and the requests to
the tenant.
"""

from __future__ import annotations

import logging
from typing import Any

import uvicorn
from _site import NO_STORE, Site, refused_page, site
from authlib.integrations.base_client import OAuthError
from authlib.integrations.starlette_client import OAuth
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.middleware.sessions import SessionMiddleware

from auth0_meta.actions.web import Login
from auth0_meta.actions.web.fastapi import PostLogin

log = logging.getLogger("uvicorn")


def create_app(site: Site) -> FastAPI:
    """Build the application."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=site.secret)
    auth0 = OAuth().register(
        "auth0",
        client_id=site.client_id,
        client_secret=site.client_secret,
        server_metadata_url=site.metadata_url,
        client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
    )

    async def claims(request: Request) -> dict[str, Any]:
        """Return the claims, after Authlib has checked state, PKCE, nonce and the ID token."""
        return dict((await auth0.authorize_access_token(request))["userinfo"])

    post_login = PostLogin(site.trigger, claims=claims)
    post_login.init_app(app)

    @app.get("/")
    def home(request: Request) -> Response:
        return HTMLResponse(site.home_page(request.session.get("user")), headers=NO_STORE)

    @app.get("/login")
    async def login(request: Request) -> Response:
        moved = site.moved_url(str(request.url))
        if moved is not None:
            return RedirectResponse(moved)
        request.session["next"] = site.returns.pick(request.query_params.get("next"))
        response: Response = await auth0.authorize_redirect(request, str(request.url_for("callback")))
        return response

    @app.get("/callback")
    @post_login
    async def callback(request: Request, login: Login) -> Response:
        outcome = login.outcome
        if not outcome.allowed:
            log.warning("refused: %s", outcome)
            return HTMLResponse(refused_page(outcome.denied), 403)
        next_url = request.session.get("next", site.returns.home)
        request.session.clear()  # nothing of whoever used this browser before
        request.session["user"] = {name: login.claims.get(name) for name in ("sub", "name", "email")}
        return RedirectResponse(next_url, 303)

    @app.exception_handler(OAuthError)
    async def refused(_: Request, error: OAuthError) -> Response:
        log.warning("refused by the tenant or Authlib: %r", error.error)
        return HTMLResponse(refused_page(), 403)

    @app.get("/logout")
    async def logout(request: Request) -> Response:
        request.session.clear()
        return RedirectResponse(site.logout_url())

    @app.get("/consent")
    def consent(request: Request) -> Response:
        return HTMLResponse(site.consent_page(request.query_params), headers=NO_STORE)

    return app


if __name__ == "__main__":
    with site() as (running, port):
        uvicorn.run(create_app(running), host="127.0.0.1", port=port, log_level="warning")
