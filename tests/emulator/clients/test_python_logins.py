"""Log in with other people's Python libraries, configured as their READMEs say; `tox -e logins` installs them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import django
import pytest
from auth0_api_python import ApiClient, ApiClientOptions
from auth0_fastapi.auth.auth_client import AuthClient
from auth0_fastapi.config import Auth0Config
from auth0_fastapi.server.routes import register_auth_routes, router
from django import conf
from fastapi import Depends, FastAPI, Request, Response
from fastapi.testclient import TestClient
from fastapi_plugin.fast_api_client import Auth0FastAPI
from starlette.middleware.sessions import SessionMiddleware
from support.page_visitor import Visitor

from auth0_meta.emulator import LocalTenant

EMAIL, PASSWORD = "ann@example.com", "Analytical-1842"
API = "https://api.example.com/"
APP = "https://app.localhost"


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTenant]:
    """Serve a strict tenant with a client and a user, whose certificate this process trusts."""
    with LocalTenant(tls=True, strict=True) as tenant:
        for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            monkeypatch.setenv(name, str(tenant.bundle_file))
        callbacks = [f"{APP}/auth/callback", f"{APP}/auth0/login/callback/"]
        tenant.add_client("app", client_secret="s3cret", callbacks=callbacks, logout_urls=[APP])
        tenant.users.add(user_id="auth0|ann", email=EMAIL, name="Ann", password=PASSWORD)
        yield tenant


def log_in(tenant: LocalTenant, url: str) -> str:
    """Log Ann in at the tenant with her password, and return the path and query of the callback."""
    with Visitor(stop=APP) as visitor:
        visitor.session.verify = str(tenant.bundle_file)
        visitor.get(url).fill(username=EMAIL, password=PASSWORD)
        parts = urlsplit(visitor.url)
    return f"{parts.path}?{parts.query}"


def test_allauth_logs_in_with_its_auth0_provider(tenant: LocalTenant) -> None:
    """It sends the access token in the query of /userinfo."""
    provider = {"AUTH0_URL": tenant.url, "APPS": [{"client_id": "app", "secret": "s3cret"}]}
    apps = ["auth", "contenttypes", "sessions", "messages", "sites"]
    conf.settings.configure(
        ACCOUNT_EMAIL_VERIFICATION="none",
        ALLOWED_HOSTS=["*"],
        AUTHENTICATION_BACKENDS=["allauth.account.auth_backends.AuthenticationBackend"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=[
            *(f"django.contrib.{app}" for app in apps),
            *("allauth", "allauth.account", "allauth.socialaccount"),
            "allauth.socialaccount.providers.auth0",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        ROOT_URLCONF="allauth.urls",
        SECRET_KEY="of this test",
        SITE_ID=1,
        SOCIALACCOUNT_LOGIN_ON_GET=True,
        SOCIALACCOUNT_PROVIDERS={"auth0": provider},
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        USE_TZ=True,
    )
    django.setup()
    # These can be imported only now.
    from allauth.socialaccount.models import SocialAccount
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    call_command("migrate", verbosity=0)
    browser = Client(SERVER_NAME="app.localhost")
    begun = browser.get("/auth0/login/", secure=True)
    ended = browser.get(log_in(tenant, begun.headers["Location"]), secure=True)
    assert ended.status_code == 302
    (account,) = SocialAccount.objects.all()
    assert (account.uid, account.user.email) == ("auth0|ann", EMAIL)
    assert tenant.journal[-1].path == "/userinfo"
    connection.close()


def test_auth0_fastapi_logs_in_and_out(tenant: LocalTenant) -> None:
    """Its session has the user; the logout leads back to the application."""
    app = FastAPI()
    app.add_middleware(SessionMiddleware, secret_key="of this test")
    config = Auth0Config(
        domain=tenant.domain,
        client_id="app",
        client_secret="s3cret",
        app_base_url=APP,
        secret="x" * 32,
        authorization_params={"scope": "openid profile"},
    )
    app.state.config, app.state.auth_client = config, AuthClient(config)
    register_auth_routes(router, config)
    app.include_router(router)

    @app.get("/profile")
    async def profile(
        request: Request,
        response: Response,
        session: dict[str, Any] = Depends(app.state.auth_client.require_session),  # noqa: B008
    ) -> Any:
        return session["user"]

    with TestClient(app, base_url=APP, follow_redirects=False) as browser:
        begun = browser.get("/auth/login")
        ended = browser.get(log_in(tenant, begun.headers["location"]))
        assert ended.status_code in (302, 307), ended.text
        assert browser.get("/profile").json()["sub"] == "auth0|ann"
        left = browser.get("/auth/logout")
        assert left.headers["location"].startswith(f"{tenant.url}/v2/logout")
        assert browser.get("/profile").status_code == 401


def test_apis_check_scopes_and_permissions(tenant: LocalTenant) -> None:
    """auth0-fastapi-api refuses a token without the scope; auth0-api-python returns the claims."""
    app, auth0 = FastAPI(), Auth0FastAPI(domain=tenant.domain, audience=API)

    @app.get("/x")
    async def read(claims: dict[str, Any] = Depends(auth0.require_auth(scopes="read:x"))) -> Any:  # noqa: B008
        return claims

    about = {"audience": API, "permissions": ["read:x"]}
    with TestClient(app) as client:
        for scope, status in (("read:x", 200), ("write:x", 403)):
            token = tenant.token("auth0|ann", scope=scope, **about)
            assert client.get("/x", headers={"Authorization": f"Bearer {token}"}).status_code == status

    async def verify() -> Any:
        api = ApiClient(ApiClientOptions(domain=tenant.domain, audience=API))
        return await api.verify_access_token(access_token=tenant.token("auth0|ann", scope="read:x", **about))

    claims = asyncio.run(verify())
    assert (claims["sub"], claims["permissions"]) == ("auth0|ann", ["read:x"])
