"""/authorize answers with codes and tokens (`response_type`), in the way that was asked for (`response_mode`)."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from support.page_visitor import Visitor

from auth0_meta.auth import jwt
from auth0_meta.emulator import LocalTenant

APP = "http://localhost:9/callback"
HOSTILE = "\"'><script>alert(1)</script>&amp;</form>"
ALL = {"code", "id_token", "access_token"}
TYPES = {
    "code": {"code"},
    "token": {"access_token"},
    "id_token": {"id_token"},
    "id_token token": {"id_token", "access_token"},
    "token id_token": {"id_token", "access_token"},
    "code token": {"code", "access_token"},
    "code id_token": {"code", "id_token"},
    "code id_token token": ALL,
}


@pytest.fixture(scope="module")
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with one user."""
    with LocalTenant(users=[{"user_id": "auth0|1", "email": "ada@example.com"}]) as served:
        yield served


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """Yield a visitor that stops at the application's callback."""
    with Visitor(stop=APP) as browser:
        yield browser


def ask(visitor: Visitor, tenant: LocalTenant, **changed: str | None) -> Visitor:
    """Visit /authorize; None leaves a parameter out."""
    asked = {
        "client_id": "app",
        "redirect_uri": APP,
        "scope": "openid email",
        "state": "the-state",
        "nonce": "the-nonce",
    }
    params = {name: value for name, value in {**asked, **changed}.items() if value is not None}
    return visitor.get(f"{tenant.url}/authorize", **params)


def answer(visitor: Visitor, mode: str) -> dict[str, str]:
    """Return the parameters of a response in this mode."""
    if mode in ("query", "fragment"):
        parts = urlsplit(visitor.url)
        assert visitor.url.startswith(APP)
        assert "" in (parts.query, parts.fragment)
        return dict(parse_qsl(parts.query if mode == "query" else parts.fragment))
    assert visitor.page.status_code == 200
    if mode == "form_post":
        (form,) = visitor.forms
        assert (form["method"], form["action"]) == ("post", APP)
        return dict(form["fields"])
    found = re.search('data-target="([^"]*)" data-message="([^"]*)"', visitor.page.text)
    assert found is not None
    assert found[1] == "http://localhost:9"
    message = json.loads(html.unescape(found[2]))
    assert message.keys() == {"type", "response"}
    assert message["type"] == "authorization_response"
    response: dict[str, str] = message["response"]
    return response


def half_hash(text: str) -> str:
    """Return what OpenID Connect has for `c_hash` and `at_hash`."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:16]).rstrip(b"=").decode()


@pytest.mark.parametrize("response_type", TYPES)
@pytest.mark.parametrize("mode", [None, "query", "fragment", "form_post", "web_message"])
def test_every_type_comes_in_every_mode(
    tenant: LocalTenant, visitor: Visitor, response_type: str, mode: str | None
) -> None:
    """Without a mode a code comes in the query and tokens in the fragment; tokens never come in a query."""
    ask(visitor, tenant, response_type=response_type, response_mode=mode)
    if mode == "query" and response_type != "code":
        params = answer(visitor, "fragment")
        assert (params["error"], params["state"]) == ("invalid_request", "the-state")
        return
    visitor.press("auth0|1")
    params = answer(visitor, mode or ("query" if response_type == "code" else "fragment"))
    assert params["state"] == "the-state"
    assert ALL & params.keys() == TYPES[response_type]
    claims = {}
    if "id_token" in params:
        keys = requests.get(f"{tenant.url}/.well-known/jwks.json", timeout=10).json()
        claims = jwt.verify(params["id_token"], key=keys, audience="app", issuer=f"{tenant.url}/")
        assert (claims["nonce"], claims["email"]) == ("the-nonce", "ada@example.com")
        assert claims.get("c_hash") == (half_hash(params["code"]) if "code" in params else None)
        token = params.get("access_token")
        assert claims.get("at_hash") == (None if token is None else half_hash(token))
    if "access_token" in params:
        assert (params["token_type"], params["scope"]) == ("Bearer", "openid email")
        assert int(params["expires_in"]) > 0
        header = {"Authorization": f"Bearer {params['access_token']}"}
        assert requests.get(f"{tenant.url}/userinfo", headers=header, timeout=10).json()["sub"] == "auth0|1"
    if "code" in params:
        form = {"grant_type": "authorization_code", "code": params["code"], "redirect_uri": APP}
        known = {"client_id": "app", "client_secret": "any"}
        redeemed = requests.post(f"{tenant.url}/oauth/token", data=form | known, timeout=10)
        assert "id_token" in redeemed.json()


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post", "web_message"])
def test_errors_come_in_the_mode_that_was_asked_for(tenant: LocalTenant, visitor: Visitor, mode: str) -> None:
    """So does the one of a login without a page (`prompt=none`)."""
    ask(visitor, tenant, response_type="code", response_mode=mode, prompt="none")
    assert answer(visitor, mode) == {
        "error": "login_required",
        "error_description": "Login required",
        "state": "the-state",
    }


def test_a_session_answers_a_frame_without_a_page(tenant: LocalTenant, visitor: Visitor) -> None:
    """This is how applications in a browser renew their tokens."""
    ask(visitor, tenant, response_type="code").press("auth0|1")
    ask(visitor, tenant, response_type="code", response_mode="web_message", prompt="none")
    assert answer(visitor, "web_message").keys() == {"code", "state"}


@pytest.mark.parametrize(
    ("changed", "mode", "error"),
    [
        ({"response_type": "id_token", "nonce": None}, "fragment", "invalid_request"),
        ({"response_type": "code id_token", "nonce": ""}, "fragment", "invalid_request"),
        ({"response_type": "none"}, "query", "unsupported_response_type"),
        ({"response_type": "code none"}, "query", "unsupported_response_type"),
        ({"response_type": ""}, "query", "unsupported_response_type"),
        ({"response_type": "code", "response_mode": "jwt"}, "query", "invalid_request"),
        ({"response_type": "token", "response_mode": ""}, "fragment", "invalid_request"),
        ({"response_type": "none", "response_mode": "form_post"}, "form_post", "unsupported_response_type"),
    ],
)
def test_a_bad_request_is_told_the_application(
    tenant: LocalTenant, visitor: Visitor, changed: dict[str, str | None], mode: str, error: str
) -> None:
    """In the mode that was asked for, or else the default of its type."""
    params = answer(ask(visitor, tenant, **changed), mode)
    assert (params["error"], params["state"]) == (error, "the-state")


def test_grant_types_are_enforced(tenant: LocalTenant, visitor: Visitor) -> None:
    """Tokens need the grant `implicit`, and a code `authorization_code`."""
    api = f"{tenant.url}/api/v2/clients"
    for grant, good, bad in (
        ("implicit", "id_token token", "code"),
        ("authorization_code", "code", "code id_token"),
    ):
        body = {"name": grant, "callbacks": [APP], "grant_types": [grant]}
        header = {"Authorization": "Bearer x"}
        client_id = requests.post(api, json=body, headers=header, timeout=10).json()["client_id"]
        ask(visitor, tenant, client_id=client_id, response_type=bad, response_mode="form_post")
        refused = answer(visitor, "form_post")
        assert refused["error"] == "unauthorized_client"
        assert "not allowed for the client" in refused["error_description"]
        ask(
            visitor, tenant, client_id=client_id, response_type=good, response_mode="form_post", prompt="none"
        )
        assert answer(visitor, "form_post")["error"] == "login_required"


def test_only_a_listed_origin_gets_a_message(tenant: LocalTenant, visitor: Visitor) -> None:
    """A client that was made lists it in `web_origins`; the error can't be sent, so it is a page."""
    header = {"Authorization": "Bearer x"}
    for origins, status in (([], 403), (["http://localhost:10"], 403), (["http://localhost:9"], 200)):
        body = {"name": "spa", "callbacks": [APP], "web_origins": origins}
        made = requests.post(f"{tenant.url}/api/v2/clients", json=body, headers=header, timeout=10).json()
        asked = {"client_id": made["client_id"], "response_type": "code", "prompt": "none"}
        assert ask(visitor, tenant, response_mode="web_message", **asked).page.status_code == status
        assert ("web_origins" in visitor.page.text) is (status == 403)
        assert "login_required" in ask(visitor, tenant, **asked).url


@pytest.mark.parametrize("mode", ["form_post", "web_message"])
@pytest.mark.parametrize("prompt", ["none", None])
def test_what_an_application_sends_is_escaped(
    tenant: LocalTenant, visitor: Visitor, mode: str, prompt: str | None
) -> None:
    """Its state comes back as it was sent, and no text becomes markup; the only script is the page's own."""
    ask(visitor, tenant, response_type="code", response_mode=mode, state=HOSTILE, prompt=prompt)
    if prompt is None:
        visitor.press("auth0|1")
    assert answer(visitor, mode)["state"] == HOSTILE
    text, policy = visitor.page.text, visitor.page.headers["Content-Security-Policy"]
    (script,) = re.findall("<script>(.*?)</script>", text, flags=re.DOTALL)
    known = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{known}'" in policy
    assert policy.startswith("default-src 'none'")
    framed_by = "http://localhost:9" if mode == "web_message" else "'none'"
    assert policy.endswith(f"frame-ancestors {framed_by}")


def test_a_fragment_of_the_callback_is_dropped(tenant: LocalTenant, visitor: Visitor) -> None:
    """Documented: Auth0 removes everything after the hash."""
    tenant.add_client("hash", callbacks=[f"{APP}#/route"])
    asked: dict[str, Any] = {"client_id": "hash", "redirect_uri": f"{APP}#/route", "prompt": "none"}
    ask(visitor, tenant, response_type="code", **asked)
    assert answer(visitor, "query")["error"] == "login_required"
    ask(visitor, tenant, response_type="token", **asked)
    assert answer(visitor, "fragment")["error"] == "login_required"


@pytest.mark.parametrize(
    ("response_type", "protocol"),
    [
        ("code", "oidc-basic-profile"),
        ("id_token", "oidc-implicit-profile"),
        ("code token", "oidc-hybrid-profile"),
    ],
)
def test_the_trigger_sees_what_was_asked(
    tenant: LocalTenant, visitor: Visitor, response_type: str, protocol: str
) -> None:
    """As in Auth0's event."""
    events: list[dict[str, Any]] = []
    tenant.post_login = events.append
    try:
        ask(visitor, tenant, response_type=response_type, response_mode="form_post").press("auth0|1")
    finally:
        tenant.post_login = None
    transaction = events[0]["transaction"]
    assert transaction["response_type"] == response_type.split()
    assert (transaction["response_mode"], transaction["protocol"]) == ("form_post", protocol)


def test_the_cookies_come_along_in_a_frame(visitor: Visitor) -> None:
    """With TLS in one of any site, as Auth0's; over http in one of the same site."""
    for tls, words in ((True, "SameSite=None; Secure"), (False, "SameSite=Lax")):
        with LocalTenant(tls=tls, users=[{"user_id": "auth0|1"}]) as tenant:
            visitor.session.verify = str(tenant.ca_file) if tls else True
            ask(visitor, tenant, response_type="code").press("auth0|1")
            cookies = [value for value in visitor.page.headers["Set-Cookie"].split(", ") if "local_" in value]
            assert cookies
            assert all(words in cookie and "HttpOnly" in cookie for cookie in cookies)


@pytest.mark.parametrize("response_type", ["code", "token"])
@pytest.mark.parametrize(
    ("callback", "sent"),
    [
        ("https://app.test/cb\r\nX-Made-Up: 1", "https://app.test/cb%0D%0AX-Made-Up:%201"),
        ("https://müller.test/ü", "https://m%C3%BCller.test/%C3%BC"),
        ("https://app.test\u2100/cb", "https://app.test%E2%84%80/cb"),
        ("https://app.test/cb?a&b=%20#c", "https://app.test/cb?a&b=%20"),
        ("com.example.app://cb", "com.example.app://cb"),
    ],
    ids=["line break", "letters", "symbol", "query", "of an app"],
)
def test_any_callback_that_is_listed_makes_one_header(
    tenant: LocalTenant, callback: str, sent: str, response_type: str
) -> None:
    """What a header can't contain is percent-encoded; the query stays as it was."""
    tenant.add_client("listing", callbacks=[callback])
    asked = {"client_id": "listing", "redirect_uri": callback, "response_type": response_type}
    asked |= {"prompt": "none", "scope": "email"}
    response = requests.get(f"{tenant.url}/authorize", params=asked, allow_redirects=False, timeout=10)
    mark = "#" if response_type == "token" else "&" if "?" in sent else "?"
    assert response.headers["Location"].startswith(f"{sent}{mark}error=login_required")
    assert "X-Made-Up" not in response.headers
    assert (
        requests.get(f"{tenant.url}/authorize", params=asked | {"prompt": ""}, timeout=10).status_code == 200
    )


@pytest.mark.parametrize("path", ["/v2/logout?returnTo=", "/oidc/logout?post_logout_redirect_uri="])
def test_a_logout_address_makes_one_header(tenant: LocalTenant, path: str) -> None:
    """Its query may be anything, whatever the client lists."""
    tenant.add_client("leaving", logout_urls=["https://app.test/bye"])
    address = "https%3A%2F%2Fapp.test%2Fbye%3Fa%0D%0ASet-Cookie:%20made-up=1"
    url = f"{tenant.url}{path}{address}&client_id=leaving"
    response = requests.get(url, allow_redirects=False, timeout=10)
    assert response.headers["Location"] == "https://app.test/bye?a%0D%0ASet-Cookie:%20made-up=1"
    assert "made-up" not in response.cookies
