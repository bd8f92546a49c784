"""Scripts of loopback pages, and of the origins that a client lists, may call the Authentication API; no others may."""

from __future__ import annotations

from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant

OPEN = [
    "/oauth/token",
    "/userinfo",
    "/.well-known/openid-configuration",
    "/.well-known/jwks.json",
    "/dbconnections/signup",
]
CLOSED = ["/api/v2/users", "/u/login", "/authorize", "/v2/logout", "/continue", "/", "/_emulator/state"]
LOOPBACK = [
    "http://localhost:3000",
    "http://localhost",
    "https://localhost:3000",
    "http://127.0.0.1:5173",
    "http://[::1]:80",
    "http://app.localhost:8080",
]
FOREIGN = [
    "http://evil.example",
    "null",
    "",
    "*",
    "http://localhost.evil.com",
    "http://127.0.0.1.nip.io",
    "http://localhost@evil.com",
    "http://evil.com@localhost",
    "http://localhost:3000/",
    "http://localhost:3000 http://evil.com",
    "http://localhost:3000,http://evil.com",
    "http://[::1]evil.com",
    "http://127.1",
    "http://2130706433",
    "http://0.0.0.0",
    "http://xlocalhost",
    "http://.localhost.evil.com",
    "file://localhost",
    "chrome-extension://localhost",
    "http://192.168.0.1",
]
LISTED = {
    "callbacks": ["https://app.example.com/callback"],
    "web_origins": ["https://web.example.com"],
    "allowed_origins": ["https://*.example.org"],
}


def preflight(api: Any, path: str, origin: str, method: str = "POST", **headers: str) -> Any:
    """Send what a browser sends before a script's request."""
    asked = {"Origin": origin, "Access-Control-Request-Method": method, **headers}
    return api("OPTIONS", path, headers=asked)


@pytest.fixture
def open_api(talk: Any) -> Any:
    """Return a caller without a token for a tenant that is not strict."""
    return talk(LocalTenant(serve=False, rate_limit="enterprise"), token=None)


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("origin", LOOPBACK)
def test_loopback_pages_may_call_and_read(open_api: Any, path: str, origin: str) -> None:
    """The preflight allows the headers that it asks for, and no cookie; the response names the origin, never `*`."""
    asked = preflight(
        open_api, path, origin, **{"Access-Control-Request-Headers": "auth0-client, content-type"}
    )
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked.headers["Access-Control-Allow-Origin"] == origin
    assert asked.headers["Access-Control-Allow-Headers"] == "auth0-client, content-type"
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    response = open_api("GET", path, headers={"Origin": origin})
    assert response.headers["Access-Control-Allow-Origin"] == origin
    assert "X-RateLimit-Reset" in response.headers["Access-Control-Expose-Headers"]
    for one in (asked, response):
        assert one.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in one.headers


@pytest.mark.parametrize("path", OPEN + CLOSED)
@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize("strict", [False, True])
def test_other_pages_may_not(talk: Any, path: str, origin: str, strict: bool) -> None:
    """Neither the preflight nor the response names them."""
    api = talk(LocalTenant(serve=False, strict=strict), token=None)
    for response in (preflight(api, path, origin), api("GET", path, headers={"Origin": origin})):
        assert not [name for name in response.headers if name.lower().startswith("access-control")]
    assert preflight(api, path, origin).status_code == 403


@pytest.mark.parametrize("path", CLOSED)
def test_the_rest_is_closed_to_loopback_too(open_api: Any, path: str) -> None:
    """A tenant that is not strict accepts any token, so its Management API answers no page at all."""
    for response in (
        preflight(open_api, path, "http://localhost:3000", "GET"),
        open_api("GET", path, headers={"Origin": "http://localhost:3000", "Authorization": "Bearer x"}),
    ):
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("https://app.example.com", True),
        ("https://web.example.com", True),
        ("https://a.example.org", True),
        ("https://a.b.example.org", False),
        ("http://app.example.com", False),
        ("https://app.example.com:8443", False),
        ("https://app.example.com.evil.com", False),
        ("https://evil.com", False),
    ],
)
def test_a_client_lists_origins(talk: Any, origin: str, allowed: bool) -> None:
    """Its callbacks' origins, web_origins and allowed_origins count, with wildcards for one label."""
    api = talk(LocalTenant(serve=False))
    assert preflight(api, "/oauth/token", origin).status_code == 403
    assert api("POST", "/api/v2/clients", json={"name": "app", **LISTED}).status_code == 201
    assert preflight(api, "/oauth/token", origin).status_code == (204 if allowed else 403)
    sent = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    form = {"grant_type": "authorization_code", "client_id": "x", "code": "none"}
    response = api("POST", "/oauth/token", data=form, headers=sent)
    assert "Access-Control-Allow-Origin" in response.headers if allowed else response.status_code == 403
    assert ("Invalid authorization code" in response.text) is allowed


def test_a_strict_management_api_answers_scripts_with_a_token(talk: Any) -> None:
    """The preflight carries no token; the request does, and a made-up one reads nothing."""
    tenant = LocalTenant(serve=False, strict=True, users=[{"user_id": "auth0|1"}], rate_limit="free")
    origin = "http://localhost:3000"
    api = talk(tenant, token=tenant.token())
    names = {"Access-Control-Request-Headers": "authorization"}
    assert preflight(api, "/api/v2/users/auth0%7C1", origin, "PATCH", **names).status_code == 204
    response = api("GET", "/api/v2/users/auth0%7C1", headers={"Origin": origin})
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (200, origin)
    api.token = "made.up.token"
    assert api("GET", "/api/v2/users/auth0%7C1", headers={"Origin": origin}).status_code == 401


def test_a_preflight_takes_no_token_and_meets_no_fault(open_api: Any) -> None:
    """A fault for a route strikes the request itself, whose response a script can read."""
    fault = open_api.tenant.fail(path="/oauth/token", status=429, reset=2)
    assert preflight(open_api, "/oauth/token", "http://localhost:3000").status_code == 204
    assert fault.fired == 0
    response = open_api("POST", "/oauth/token", json={}, headers={"Origin": "http://localhost:3000"})
    assert (response.status_code, fault.fired) == (429, 1)
    assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


def test_odd_header_names_are_not_repeated(open_api: Any) -> None:
    """A preflight for them is answered without them, and so the browser refuses."""
    odd = {"Access-Control-Request-Headers": "x" * 1001}
    assert (
        "Access-Control-Allow-Headers"
        not in preflight(open_api, "/userinfo", "http://localhost", **odd).headers
    )


def test_what_is_not_served_can_be_read(open_api: Any) -> None:
    """The preflight passes, so that the script's author sees which route is missing."""
    origin = "http://localhost:3000"
    assert preflight(open_api, "/oauth/nowhere", origin).status_code == 204
    response = open_api("POST", "/oauth/nowhere", headers={"Origin": origin})
    assert (response.status_code, response.headers["Access-Control-Allow-Origin"]) == (404, origin)
    assert open_api("OPTIONS", "/oauth/token").status_code == 404
