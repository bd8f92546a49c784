"""Log in through the local tenant as an application and a browser do: pages, codes, tokens, and what is refused."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from support.page_visitor import Visitor

from auth0_meta.auth import jwt
from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.errors import AuthError, MetadataWarning

APP = "http://127.0.0.1:9/callback"
VERIFIER = "a-verifier-of-this-test-that-is-long-enough-for-pkce"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
ASKED = {
    "response_type": "code",
    "client_id": "app",
    "redirect_uri": APP,
    "scope": "openid profile email",
    "state": "the-state",
    "nonce": "the-nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
USERS = [
    {"user_id": "auth0|1", "email": "ada@example.com", "name": "Ada <b>", "app_metadata": {"plan": "pro"}},
    {"user_id": "auth0|2", "email": "bob@example.com", "name": "Bob", "blocked": True},
]


class Outcome:
    """The outcome of a trigger; only the given attributes exist."""

    def __init__(self, **facts: Any) -> None:
        self.__dict__.update(facts)


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with two users."""
    with LocalTenant(users=USERS) as served:
        yield served


@pytest.fixture
def visitor() -> Iterator[Visitor]:
    """Yield a visitor that stops at the application's callback."""
    with Visitor(stop=APP) as browser:
        yield browser


def ask(visitor: Visitor, tenant: LocalTenant, **changed: str | None) -> Visitor:
    """Visit /authorize; None leaves a parameter out."""
    asked = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
    return visitor.get(f"{tenant.url}/authorize", **asked)


def redeem(tenant: LocalTenant, code: str, **changed: str | None) -> requests.Response:
    """Exchange a code, as the public application that requested it."""
    form = {
        "grant_type": "authorization_code",
        "client_id": "app",
        "code": code,
        "redirect_uri": APP,
        "code_verifier": VERIFIER,
    }
    data = {name: value for name, value in {**form, **changed}.items() if value is not None}
    return requests.post(f"{tenant.url}/oauth/token", data=data, timeout=10)


def claims_of(tenant: LocalTenant, token: str, audience: str = "app") -> dict[str, Any]:
    """Verify a token with the tenant's published keys."""
    keys = requests.get(f"{tenant.url}/.well-known/jwks.json", timeout=10).json()
    return jwt.verify(token, key=keys, audience=audience, issuer=f"{tenant.url}/")


def test_a_user_logs_in(tenant: LocalTenant, visitor: Visitor) -> None:
    """Pick a user, come back with code and state, and exchange the code once for a valid ID token."""
    ask(visitor, tenant)
    assert visitor.page.status_code == 200
    assert "Ada &lt;b&gt;" in visitor.page.text
    assert "127.0.0.1:9" in visitor.page.text
    visitor.press("auth0|1")
    assert visitor.params["state"] == "the-state"
    response = redeem(tenant, visitor.params["code"])
    assert response.status_code == 200
    tokens = response.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["scope"] == "openid profile email"
    assert "refresh_token" not in tokens
    claims = claims_of(tenant, tokens["id_token"])
    assert claims["sub"] == "auth0|1"
    assert claims["nonce"] == "the-nonce"
    assert claims["email"] == "ada@example.com"
    assert claims["name"] == "Ada <b>"
    assert claims["exp"] - claims["iat"] == 36_000
    assert claims["sid"]
    assert "app_metadata" not in claims
    again = redeem(tenant, visitor.params["code"])
    assert (again.status_code, again.json()["error"]) == (403, "invalid_grant")


def test_userinfo_returns_the_claims_of_the_scopes(tenant: LocalTenant, visitor: Visitor) -> None:
    """The access token works at /userinfo until it is revoked; the Management API refuses it."""
    ask(visitor, tenant, scope="openid email").press("auth0|1")
    token = redeem(tenant, visitor.params["code"]).json()["access_token"]
    header = {"Authorization": f"Bearer {token}"}
    found = requests.get(f"{tenant.url}/userinfo", headers=header, timeout=10).json()
    assert found == {"sub": "auth0|1", "email": "ada@example.com", "email_verified": False}
    refused = requests.get(f"{tenant.url}/api/v2/users/auth0%7C1", headers=header, timeout=10)
    assert (refused.status_code, refused.json()["message"]) == (401, f"Bad audience: {tenant.url}/userinfo")
    assert claims_of(tenant, token, f"{tenant.url}/userinfo")["scope"] == "openid email"
    tenant.revoke(token)
    assert requests.get(f"{tenant.url}/userinfo", headers=header, timeout=10).status_code == 401
    nobody = requests.post(f"{tenant.url}/userinfo", timeout=10)
    assert (nobody.status_code, nobody.json()["error"]) == (401, "invalid_token")


def test_userinfo_reads_the_token_from_three_places(tenant: LocalTenant, visitor: Visitor) -> None:
    """The header with its scheme in any case, a form and the query; the journal shows none of them."""
    ask(visitor, tenant, scope="openid email").press("auth0|1")
    token = redeem(tenant, visitor.params["code"]).json()["access_token"]
    url = f"{tenant.url}/userinfo"
    for scheme in ("Bearer", "bearer", "BEARER"):
        header = {"Authorization": f"{scheme} {token}"}
        assert requests.get(url, headers=header, timeout=10).json()["sub"] == "auth0|1"
    assert requests.get(url, params={"access_token": token}, timeout=10).json()["sub"] == "auth0|1"
    assert requests.post(url, data={"access_token": token}, timeout=10).json()["sub"] == "auth0|1"
    assert requests.post(url, data={"access_token": "x"}, timeout=10).status_code == 401
    assert token not in repr([[entry.query, entry.headers, entry.body] for entry in tenant.journal])


@pytest.mark.parametrize("more", ["?code=x&state=y", "?", ""])
def test_the_query_of_a_redirect_uri_is_not_compared(
    tenant: LocalTenant, visitor: Visitor, more: str
) -> None:
    """Some libraries send the address at which the code arrived."""
    ask(visitor, tenant, redirect_uri=f"{APP}?from=here").press("auth0|1")
    assert redeem(tenant, visitor.params["code"], redirect_uri=APP + more).status_code == 200


def test_a_login_updates_the_profile_before_the_trigger_runs(tenant: LocalTenant, visitor: Visitor) -> None:
    """last_login, last_ip, logins_count and updated_at change even if the trigger refuses; a login with a session changes none."""
    before = dict(tenant.users["auth0|1"])
    seen: list[Any] = []

    def trigger(event: dict[str, Any]) -> Outcome:
        seen.append((event["stats"]["logins_count"], event["user"]["app_metadata"]))
        return Outcome(denied="not today")

    tenant.post_login = trigger
    ask(visitor, tenant).press("auth0|1")
    assert visitor.params["error"] == "access_denied"
    assert visitor.params["error_description"] == "not today"
    assert visitor.params["state"] == "the-state"
    after = tenant.users["auth0|1"]
    assert after["logins_count"] == 1
    assert after["last_ip"] == "127.0.0.1"
    assert after["last_login"] <= after["updated_at"]
    assert before["updated_at"] < after["updated_at"]
    assert list(after)[1:-1] == sorted(list(after)[1:-1])
    ask(visitor, tenant)
    assert seen == [(1, {"plan": "pro"}), (1, {"plan": "pro"})]
    assert tenant.users["auth0|1"]["logins_count"] == 1
    ask(visitor, tenant, prompt="login").press("auth0|1")
    assert tenant.users["auth0|1"]["logins_count"] == 2
    assert [log["type"] for log in tenant.logs] == ["f", "f", "f"]


def test_a_user_who_is_signed_in_sees_no_page(tenant: LocalTenant, visitor: Visitor) -> None:
    """A second login redirects at once, with the same `sid`; prompt=none needs such a session."""
    ask(visitor, tenant, prompt="none")
    assert visitor.params["error"] == "login_required"
    ask(visitor, tenant).press("auth0|1")
    first = claims_of(tenant, redeem(tenant, visitor.params["code"]).json()["id_token"])
    ask(visitor, tenant, prompt="none", nonce=None)
    second = claims_of(tenant, redeem(tenant, visitor.params["code"]).json()["id_token"])
    assert first["sid"] == second["sid"]
    assert "nonce" not in second


def test_a_new_email_becomes_a_user(tenant: LocalTenant, visitor: Visitor) -> None:
    """The email belongs to an existing user, creates a new one, or is refused."""
    ask(visitor, tenant, login_hint="cleo@example.com")
    assert 'value="cleo@example.com"' in visitor.page.text
    visitor.fill(username="<script>@example.com")
    assert visitor.page.status_code == 400
    assert "That is not an email address." in visitor.page.text
    assert "<script>" not in visitor.page.text
    visitor.fill(username="Cleo@example.com")
    assert claims_of(tenant, redeem(tenant, visitor.params["code"]).json()["id_token"])["sub"] not in (
        "auth0|1",
        "auth0|2",
    )
    assert [user["email"] for user in tenant.users][2:] == ["cleo@example.com"]
    ask(visitor, tenant, prompt="select_account").fill(username="ada@example.com")
    assert claims_of(tenant, redeem(tenant, visitor.params["code"]).json()["id_token"])["sub"] == "auth0|1"
    assert len(tenant.users) == 3


def test_the_form_checks_a_password_where_one_is_set(tenant: LocalTenant, visitor: Visitor) -> None:
    """Its fields have the names that browser tests of Auth0's page use; a wrong password is shown, and nobody is signed in."""
    tenant.users.add(user_id="auth0|3", email="Eve@example.com", username="eve", password="correct horse")
    ask(visitor, tenant)
    page = visitor.page.text
    for field in (
        '<input id="username" name="username"',
        '<input id="password" name="password" type="password"',
    ):
        assert field in page
    assert '<button type="submit" name="action" value="default">Continue</button>' in page
    for wrong in ("wrong", "", "correct horse "):
        visitor.fill(username="eve@example.com", password=wrong)
        assert visitor.page.status_code == 400
        assert "Wrong email or password." in visitor.page.text
        assert 'value="eve@example.com"' in visitor.page.text
        assert "logins_count" not in tenant.users["auth0|3"]
    visitor.fill(username="eve", password="correct horse")
    assert claims_of(tenant, redeem(tenant, visitor.params["code"]).json()["id_token"])["sub"] == "auth0|3"
    assert "correct horse" not in repr([entry.body for entry in tenant.journal])


@pytest.mark.parametrize(
    ("name", "password", "result"),
    [
        ("ada@example.com", "", "auth0|1"),
        ("ada@example.com", "whatever", "auth0|1"),
        (" ADA@example.com ", "", "auth0|1"),
        ("nobody@example.com", "x", "Wrong email or password."),
        ("two@example.com", "right one", "auth0|4"),
        ("two@example.com", "wrong", "Wrong email or password."),
        ("two@example.com", "", "google-oauth2|5"),
        ("auth0|1", "", "That is not an email address."),
        ("", "", "That is not an email address."),
    ],
)
def test_a_user_without_a_password_needs_none(
    tenant: LocalTenant, visitor: Visitor, name: str, password: str, result: str
) -> None:
    """Any is right then, unless another user with this email has one; an unknown email with a password is refused."""
    tenant.users.add(user_id="auth0|4", email="two@example.com", password="right one")
    tenant.users.add(user_id="google-oauth2|5", email="two@example.com")
    ask(visitor, tenant).fill(username=name, password=password)
    if "|" in result and result != name:
        found = redeem(tenant, visitor.params["code"]).json()["id_token"]
        assert claims_of(tenant, found)["sub"] == result
    else:
        assert (visitor.page.status_code, result in visitor.page.text) == (400, True)
    assert len(tenant.users) == 4


def test_with_many_users_the_page_asks_for_an_email(visitor: Visitor) -> None:
    """It shows twenty and says how many more there are; without users it asks for an email."""
    with LocalTenant(users=[{"user_id": f"auth0|{n}"} for n in range(23)]) as crowded:
        ask(visitor, crowded)
        assert "and 3 more" in visitor.page.text
        assert len(visitor.forms[0]["buttons"]) == 20
        crowded.users.clear()
        ask(visitor, crowded)
        assert "in the list" not in visitor.page.text


def test_a_blocked_or_deleted_user_is_refused(tenant: LocalTenant, visitor: Visitor) -> None:
    """A blocked user is refused at the application, a deleted one on the page."""
    ask(visitor, tenant)
    state = visitor.params["state"]
    visitor.post(f"{tenant.url}/u/login", state=state, user="auth0|none")
    assert "This user no longer exists." in visitor.page.text
    visitor.press("auth0|2")
    assert (visitor.params["error"], visitor.params["error_description"]) == (
        "unauthorized",
        "user is blocked",
    )
    assert "logins_count" not in tenant.users["auth0|2"]


def test_a_page_works_once_and_in_one_browser(tenant: LocalTenant, visitor: Visitor) -> None:
    """Its state is refused in another browser, the second time, or if it is made up."""
    ask(visitor, tenant)
    state = visitor.params["state"]
    with Visitor(stop=APP) as other:
        assert other.get(f"{tenant.url}/u/login", state=state).page.status_code == 400
        assert other.post(f"{tenant.url}/u/login", state=state, user="auth0|1").page.status_code == 400
    visitor.press("auth0|1")
    assert "code" in visitor.params
    assert visitor.post(f"{tenant.url}/u/login", state=state, user="auth0|1").page.status_code == 400
    assert visitor.get(f"{tenant.url}/u/login").page.status_code == 400


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/callback",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://127.0.0.1:x/",
        "http://127.0.0.1/#fragment",
        "http://127.0.0.1\\@evil.example/",
        "http://127.0.0.1/a b",
        "http://[::1]evil.example/",
        "http://[::1%25x]/",
        "http://[::1].evil.example/",
        "http://127.0.0.1.nip.io/",
        "http://localhost.evil.example/",
        "http://evil.example/.localhost",
        "http://127.1/",
        "http://2130706433/",
        "http://127.0.0.1:99999/",
        "http://localhost?@evil.example/#x",
        "javascript:alert(1)",
        "//evil.example",
        "/callback",
        "",
    ],
)
def test_a_login_redirects_only_to_loopback(target: str, tenant: LocalTenant, visitor: Visitor) -> None:
    """Any other address is refused on a page, and the browser goes nowhere."""
    ask(visitor, tenant, redirect_uri=target)
    assert visitor.page.status_code == 403
    assert "Location" not in visitor.page.headers
    if target:
        visitor.get(f"{tenant.url}/v2/logout", returnTo=target)
        assert visitor.page.status_code == 400


def test_a_registered_application_has_a_list_of_callbacks(tenant: LocalTenant, visitor: Visitor) -> None:
    """The address must be on the list, loopback or not."""
    tenant.add_client(
        "app", callbacks=["https://app.example.com/cb"], logout_urls=["https://app.example.com/bye"]
    )
    assert ask(visitor, tenant).page.status_code == 403
    assert ask(visitor, tenant, redirect_uri="https://app.example.com/cb").page.status_code == 200
    visitor.stop = "https://app.example.com/bye"
    logout = f"{tenant.url}/v2/logout"
    assert visitor.get(logout, client_id="app", returnTo=APP).page.status_code == 400
    assert visitor.get(logout, client_id="app", returnTo="https://app.example.com/bye").url == visitor.stop


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"response_type": "token device"}, "unsupported_response_type"),
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_mode": "jwt"}, "invalid_request"),
        ({"code_challenge_method": "S512"}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": "x" * 129}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"prompt": "whatever"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
    ],
)
def test_the_application_gets_the_error_of_a_bad_request(
    changed: dict[str, str | None], error: str, tenant: LocalTenant, visitor: Visitor
) -> None:
    """It comes with the state, so that the application knows which login it belongs to."""
    ask(visitor, tenant, **changed)
    assert (visitor.params["error"], visitor.params["state"]) == (error, "the-state")


def test_a_login_needs_a_client_id(tenant: LocalTenant, visitor: Visitor) -> None:
    """Without one there is an error page; a strict tenant knows only registered applications."""
    assert ask(visitor, tenant, client_id=None).page.status_code == 400
    with LocalTenant(strict=True) as strict:
        assert ask(visitor, strict, client_id="<i>").page.status_code == 400
        assert "&lt;i&gt;" in visitor.page.text
        assert ask(visitor, strict, client_id=strict.client_id).page.status_code == 200


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"code_verifier": VERIFIER + "x"}, 403, "invalid_grant"),
        ({"code_verifier": None}, 403, "invalid_grant"),
        ({"redirect_uri": "http://127.0.0.1:9/other"}, 403, "invalid_grant"),
        ({"redirect_uri": None}, 403, "invalid_grant"),
        ({"client_id": "another"}, 403, "invalid_grant"),
        ({"client_id": None}, 401, "access_denied"),
    ],
)
def test_only_the_application_that_requested_a_code_can_redeem_it(
    changed: dict[str, str | None], status: int, error: str, tenant: LocalTenant, visitor: Visitor
) -> None:
    """Verifier, address and client must be those of /authorize."""
    ask(visitor, tenant).press("auth0|1")
    refused = redeem(tenant, visitor.params["code"], **changed)
    assert (refused.status_code, refused.json()["error"]) == (status, error)
    if status == 403:
        assert redeem(tenant, visitor.params["code"]).status_code == 403, "a failed exchange uses the code up"


@pytest.mark.parametrize("method", ["plain", None])
def test_a_plain_challenge_is_the_verifier(tenant: LocalTenant, visitor: Visitor, method: str | None) -> None:
    """As in RFC 7636, it is plain if no method is named; its SHA-256 is no verifier."""
    for verifier, status in ((VERIFIER, 200), (CHALLENGE, 403)):
        ask(visitor, tenant, code_challenge=VERIFIER, code_challenge_method=method, prompt="login").press(
            "auth0|1"
        )
        assert redeem(tenant, visitor.params["code"], code_verifier=verifier).status_code == status


def test_without_pkce_a_client_needs_its_secret(tenant: LocalTenant, visitor: Visitor) -> None:
    """It is sent in the body or in the header; a verifier without an earlier challenge is refused."""
    tenant.add_client("app", client_secret="the:secret &c")
    plain: dict[str, Any] = {"code_challenge": None, "code_challenge_method": None}
    code = ask(visitor, tenant, **plain).press("auth0|1").params["code"]
    assert redeem(tenant, code, code_verifier=None).status_code == 401
    assert redeem(tenant, code, code_verifier=None, client_secret="wrong").status_code == 401
    given = redeem(tenant, code, code_verifier=None, client_secret="the:secret &c")
    assert given.status_code == 200
    code = ask(visitor, tenant, **plain).params["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": APP}
    token_url = f"{tenant.url}/oauth/token"
    for header in ("Basic !", "Basic " + base64.b64encode(b"\xff:x").decode()):
        wrong = requests.post(token_url, data=form, headers={"Authorization": header}, timeout=10)
        assert wrong.status_code == 401
    known = ("app", "the%3Asecret+%26c")
    assert requests.post(token_url, data=form, auth=known, timeout=10).status_code == 200
    code = ask(visitor, tenant, **plain).params["code"]
    assert redeem(tenant, code, client_secret="the:secret &c").status_code == 403
    tenant.add_client("app")
    code = ask(visitor, tenant, **plain).params["code"]
    assert redeem(tenant, code, code_verifier=None).status_code == 401


def test_a_code_expires(tenant: LocalTenant, visitor: Visitor) -> None:
    """It is valid for ten minutes by the tenant's clock, and not for a deleted user."""
    tenant.clock.freeze()
    code = ask(visitor, tenant).press("auth0|1").params["code"]
    tenant.clock.advance(600)
    assert redeem(tenant, code).status_code == 403
    code = ask(visitor, tenant).params["code"]
    tenant.users["auth0|1"].delete()
    assert redeem(tenant, code).json()["error_description"] == "The user does not exist."
    ask(visitor, tenant)
    assert visitor.url.startswith(f"{tenant.url}/u/login")


def test_a_refresh_token_runs_the_trigger_again(tenant: LocalTenant, visitor: Visitor) -> None:
    """offline_access gets one; the trigger may refuse the exchange, and sees that there is no browser."""
    protocols: list[str] = []

    def trigger(event: dict[str, Any]) -> Outcome:
        protocols.append(event["transaction"]["protocol"])
        return Outcome(
            id_token_claims={"https://x/plan": "pro", "sub": "auth0|2", "https://x/none": None},
            denied="no more" if len(protocols) > 2 else None,
        )

    tenant.post_login = trigger
    code = ask(visitor, tenant, scope="openid offline_access").press("auth0|1").params["code"]
    tokens = redeem(tenant, code).json()

    def refresh(**changed: str) -> requests.Response:
        form = {
            "grant_type": "refresh_token",
            "client_id": "app",
            "refresh_token": tokens["refresh_token"],
            **changed,
        }
        return requests.post(f"{tenant.url}/oauth/token", json=form, timeout=10)

    again = refresh().json()
    claims = claims_of(tenant, again["id_token"])
    assert (claims["sub"], claims["https://x/plan"]) == ("auth0|1", "pro")
    assert "nonce" not in claims
    assert "https://x/none" not in claims
    assert again["refresh_token"] == tokens["refresh_token"]
    assert again["access_token"] != tokens["access_token"]
    refused = refresh()
    assert (refused.status_code, refused.json()["error_description"]) == (403, "no more")
    assert protocols == ["oidc-basic-profile", "oauth2-refresh-token", "oauth2-refresh-token"]
    assert refresh(refresh_token="made up").json()["error"] == "invalid_grant"


def test_an_audience_and_scopes_go_into_the_access_token(tenant: LocalTenant, visitor: Visitor) -> None:
    """An access token names its API, and /userinfo if openid was requested; the trigger adds scopes and claims, and removes scopes."""
    tenant.post_login = lambda event: Outcome(
        added_scopes=("read:all",), removed_scopes=("email",), access_token_claims={"https://x/org": 7}
    )
    code = ask(visitor, tenant, audience="https://api.example.com", scope="openid email").press("auth0|1")
    tokens = redeem(tenant, code.params["code"]).json()
    claims = claims_of(tenant, tokens["access_token"], "https://api.example.com")
    assert claims["aud"] == ["https://api.example.com", f"{tenant.url}/userinfo"]
    assert (claims["scope"], claims["https://x/org"]) == ("openid read:all", 7)
    code = ask(visitor, tenant, audience="https://api.example.com", scope="read:x")
    tokens = redeem(tenant, code.params["code"]).json()
    assert "id_token" not in tokens
    assert claims_of(tenant, tokens["access_token"], "https://api.example.com")["scope"] == "read:x read:all"
    header = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert requests.get(f"{tenant.url}/userinfo", headers=header, timeout=10).status_code == 401


def test_discovery_names_the_endpoints(tenant: LocalTenant) -> None:
    """Each of them responds, and the issuer is the one in tokens; OAuth's own name for the document has it too."""
    found = requests.get(f"{tenant.url}/.well-known/openid-configuration", timeout=10).json()
    assert requests.get(f"{tenant.url}/.well-known/oauth-authorization-server", timeout=10).json() == found
    assert found["issuer"] == f"{tenant.url}/"
    assert found["code_challenge_methods_supported"] == ["S256", "plain"]
    for name, url in found.items():
        if name.endswith(("_endpoint", "_uri")):
            page = requests.get(url, timeout=10, allow_redirects=False)
            assert page.status_code != 404 or name in ("token_endpoint", "revocation_endpoint")


def test_logging_out_ends_the_session(tenant: LocalTenant, visitor: Visitor) -> None:
    """The next login shows the page again."""
    ask(visitor, tenant).press("auth0|1")
    assert visitor.get(f"{tenant.url}/v2/logout").page.text == "OK"
    assert visitor.page.headers["Set-Cookie"].endswith("Max-Age=0")
    assert "Log in" in ask(visitor, tenant).page.text


def test_a_reset_ends_sessions_and_keeps_the_trigger(tenant: LocalTenant, visitor: Visitor) -> None:
    """A reset deletes every login."""
    tenant.post_login = print
    ask(visitor, tenant).press("auth0|1")
    code = visitor.params["code"]
    tenant.reset()
    assert redeem(tenant, code).status_code == 403
    assert "Log in" in ask(visitor, tenant).page.text
    assert tenant.post_login is print


def test_only_the_tenant_gets_its_cookies(tenant: LocalTenant, visitor: Visitor) -> None:
    """No script can read them, no other site can have them sent, and over TLS they are secure; malformed cookies do no harm."""
    requests_made = ask(visitor, tenant).page.request
    assert requests_made.headers["Cookie"].startswith("local_browser_")
    odd = requests.get(
        f"{tenant.url}/authorize",
        params=ASKED,
        headers={"Cookie": "a@b=c; local_browser_x"},
        timeout=10,
        allow_redirects=False,
    )
    assert "; Path=/; HttpOnly; SameSite=Lax" in odd.headers["Set-Cookie"]
    with LocalTenant(tls=True) as secure:
        over_tls = requests.get(
            f"{secure.url}/authorize",
            params=ASKED,
            timeout=10,
            allow_redirects=False,
            verify=str(secure.ca_file),
        )
    assert over_tls.headers["Set-Cookie"].endswith("; Secure")


def test_pages_run_no_script(tenant: LocalTenant, visitor: Visitor) -> None:
    """The policy allows one style sheet, by its hash, and no frame around the page."""
    policy = ask(visitor, tenant).page.headers["Content-Security-Policy"]
    style = visitor.page.text.partition("<style>")[2].partition("</style>")[0]
    known = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert (
        policy == f"default-src 'none'; style-src 'sha256-{known}'; base-uri 'none'; frame-ancestors 'none'"
    )


# The post-login trigger ----------------------------------------------------------------------------------


class Detour:
    """Redirect a login, and record how it continues."""

    def __init__(self, **ending: Any) -> None:
        self.ending = ending
        self.event: dict[str, Any] = {}
        self.came: list[Any] = []

    def __call__(self, event: dict[str, Any]) -> Outcome:
        """Send the browser away."""
        self.event = event
        return Outcome(redirect=Outcome(url="http://127.0.0.1:9/callback?consent", state="detour"))

    def resume(self, state: str, **came: Any) -> Outcome:
        """Continue."""
        self.came.append((state, came))
        return Outcome(**self.ending)


def test_a_trigger_redirects_and_continues(tenant: LocalTenant, visitor: Visitor) -> None:
    """It gets Auth0's event, and at /continue the state, query, body and request; a replay is refused."""
    detour = Detour(id_token_claims={"https://x/consent": True})
    tenant.post_login = detour
    ask(visitor, tenant).press("auth0|1")
    assert visitor.url.endswith("?consent")
    event = detour.event
    assert event["transaction"]["requested_scopes"] == ["openid", "profile", "email"]
    assert event["request"]["query"]["client_id"] == "app"
    assert event["request"]["hostname"] == "localhost"
    assert event["connection"]["name"] == "Username-Password-Authentication"
    assert event["user"]["user_metadata"] == {}
    with Visitor(stop=APP) as other:
        assert other.post(f"{tenant.url}/continue", state="detour").page.status_code == 400
    visitor.post(f"{tenant.url}/continue?state=detour", answer="yes")
    assert claims_of(tenant, redeem(tenant, visitor.params["code"]).json()["id_token"])["https://x/consent"]
    ((state, came),) = detour.came
    assert state == "detour"
    assert came["body"] == {"answer": "yes"}
    assert came["query"] == {"state": "detour"}
    assert came["request"]["method"] == "POST"
    assert visitor.get(f"{tenant.url}/continue", state="detour").page.status_code == 400
    assert "invalid_request" in visitor.page.text
    assert len(detour.came) == 1


def test_a_suspended_login_continues_if_the_trigger_is_removed(tenant: LocalTenant, visitor: Visitor) -> None:
    """It then ends as a login without a trigger does."""
    tenant.post_login = Detour()
    ask(visitor, tenant).press("auth0|1")
    tenant.post_login = None
    visitor.get(f"{tenant.url}/continue", state="detour")
    assert "code" in visitor.params


@pytest.mark.parametrize(
    ("outcome", "description"),
    [
        (Outcome(error=RuntimeError("the secret reason")), "The login could not be completed."),
        (Outcome(validation_errors=(("code", "Try another name."),)), "Try another name."),
        (Outcome(denied=""), ""),
    ],
)
def test_a_trigger_refuses_a_login(
    outcome: Outcome, description: str, tenant: LocalTenant, visitor: Visitor
) -> None:
    """The application gets access_denied; the reason is only in the tenant's logs."""
    tenant.post_login = lambda event: outcome
    ask(visitor, tenant).press("auth0|1")
    assert visitor.params["error"] == "access_denied"
    assert visitor.params.get("error_description", "") == description
    assert tenant.logs[-1]["type"] == "f"


def test_an_error_in_a_trigger_fails_the_login(tenant: LocalTenant, visitor: Visitor) -> None:
    """The tenant keeps serving."""

    def broken(event: dict[str, Any]) -> None:
        raise RuntimeError("broken")

    tenant.post_login = broken
    ask(visitor, tenant).press("auth0|1")
    assert visitor.params["error_description"] == "The login could not be completed."
    assert tenant.logs[-1]["description"] == "RuntimeError: broken"


@pytest.mark.parametrize(
    "trigger", [Detour(), lambda event: Outcome(error=ValueError("interaction_required: no page"))]
)
def test_a_silent_login_is_not_interrupted(trigger: Any, tenant: LocalTenant, visitor: Visitor) -> None:
    """With prompt=none, a redirect becomes interaction_required."""
    ask(visitor, tenant).press("auth0|1")
    tenant.post_login = trigger
    ask(visitor, tenant, prompt="none")
    assert visitor.params["error"] == "interaction_required"


def test_a_token_of_another_tenant_is_invalid(tenant: LocalTenant, visitor: Visitor) -> None:
    """Each tenant has its own keys."""
    code = ask(visitor, tenant).press("auth0|1").params["code"]
    token = redeem(tenant, code).json()["id_token"]
    with LocalTenant() as other, pytest.raises(AuthError):
        claims_of(other, token)


def test_a_session_ends_with_its_user(tenant: LocalTenant, visitor: Visitor) -> None:
    """A user who is deleted or blocked is no longer signed in; another user can sign in without a logout."""
    ask(visitor, tenant).press("auth0|1")
    tenant.users["auth0|1"].patch(blocked=True)
    ask(visitor, tenant)
    assert (visitor.params["error"], visitor.params["error_description"]) == (
        "unauthorized",
        "user is blocked",
    )
    tenant.users["auth0|1"].patch(blocked=False)
    ask(visitor, tenant).press("auth0|1")
    assert "code" in visitor.params
    tenant.users["auth0|1"].delete()
    ask(visitor, tenant, prompt="none")
    assert visitor.params["error"] == "login_required"
    ask(visitor, tenant)
    assert "auth0|2" in visitor.page.text


def test_a_blocked_user_gets_no_refresh(tenant: LocalTenant, visitor: Visitor) -> None:
    """Once the block ends, the refresh token works again."""
    code = ask(visitor, tenant, scope="openid offline_access").press("auth0|1").params["code"]
    form = {
        "grant_type": "refresh_token",
        "client_id": "app",
        "refresh_token": redeem(tenant, code).json()["refresh_token"],
    }
    for blocked, status in ((True, 403), (False, 200)):
        tenant.users["auth0|1"].patch(blocked=blocked)
        response = requests.post(f"{tenant.url}/oauth/token", json=form, timeout=10)
        assert response.status_code == status
        assert response.json().get("error_description") == ("user is blocked" if blocked else None)


def test_a_refresh_has_the_scopes_that_the_trigger_leaves(tenant: LocalTenant, visitor: Visitor) -> None:
    """The scopes that it adds and removes count each time it runs."""
    code = ask(visitor, tenant, scope="openid email offline_access").press("auth0|1").params["code"]
    token = redeem(tenant, code).json()["refresh_token"]
    tenant.post_login = lambda event: Outcome(added_scopes=("read:all",), removed_scopes=("email",))
    form = {"grant_type": "refresh_token", "client_id": "app", "refresh_token": token}
    response = requests.post(f"{tenant.url}/oauth/token", json=form, timeout=10).json()
    assert response["scope"] == "openid offline_access read:all"


@pytest.mark.parametrize("strict", [True, False])
def test_a_users_token_for_the_management_api_has_current_user_scopes_only(
    strict: bool, visitor: Visitor
) -> None:
    """It has no others, whatever was requested and whatever the trigger adds."""
    with LocalTenant(users=USERS, strict=strict) as tenant:
        tenant.post_login = lambda event: Outcome(added_scopes=("create:users",))
        tenant.add_client("app", client_secret="s")
        scope = "openid delete:users update:users update:current_user_metadata"
        code = (
            ask(visitor, tenant, audience=f"{tenant.url}/api/v2/", scope=scope)
            .press("auth0|1")
            .params["code"]
        )
        response = redeem(tenant, code, client_secret="s").json()
        assert response["scope"] == "openid update:current_user_metadata"
        header = {"Authorization": f"Bearer {response['access_token']}"}
        users = f"{tenant.url}/api/v2/users"
        for path in ("auth0%7C1", "auth0%7C2"):
            assert requests.delete(f"{users}/{path}", headers=header, timeout=10).status_code == 403
        body = {"user_metadata": {"a": 1}}
        for path, status in (("auth0%7C1", 200), ("auth0%7C2", 403)):
            changed = requests.patch(f"{users}/{path}", json=body, headers=header, timeout=10)
            assert changed.status_code == status


def test_a_trigger_that_changes_its_event_changes_no_user(tenant: LocalTenant, visitor: Visitor) -> None:
    """The event is the trigger's own copy."""
    tenant.users["auth0|1"].patch(app_metadata={"plan": "free"})
    tenant.post_login = lambda event: event["user"]["app_metadata"].update(plan="pro")
    ask(visitor, tenant).press("auth0|1")
    assert tenant.users["auth0|1"].app_metadata == {"plan": "free"}


# Custom claims: any callable may be the trigger, so the tenant has rules of its own


def test_claims_that_auth0_ignores_are_in_no_token(tenant: LocalTenant, visitor: Visitor) -> None:
    """Restricted names, Auth0's namespaces and claims without their scope are left out with a warning that says why."""
    claims = {
        "roles": 1,
        "https://x.auth0.com/a": 1,
        "email": "eve@example.com",
        "mine": 2,
        "https://x/plan": "pro",
    }
    tenant.post_login = lambda event: Outcome(id_token_claims=claims, access_token_claims=claims)
    with pytest.warns(MetadataWarning) as caught:
        code = ask(visitor, tenant, scope="openid").press("auth0|1").params["code"]
    told = sorted(str(warning.message) for warning in caught)
    assert len(told) == 6
    assert "'email' out of the ID token" in told[0] + told[1]
    assert not any("eve@example.com" in text for text in told)
    tokens = redeem(tenant, code).json()
    for token, audience in ((tokens["id_token"], "app"), (tokens["access_token"], f"{tenant.url}/userinfo")):
        found = claims_of(tenant, token, audience)
        assert (found["mine"], found["https://x/plan"]) == (2, "pro")
        assert found.keys().isdisjoint({"roles", "https://x.auth0.com/a", "email"})


def test_userinfo_has_the_custom_claims_of_the_id_token(tenant: LocalTenant, visitor: Visitor) -> None:
    """They are those of this login; a claim of the profile replaces the stored one, `sub` stays the user's id."""
    tenant.post_login = lambda event: Outcome(
        id_token_claims={"https://x/plan": "pro", "mine": 1, "name": "Countess"},
        access_token_claims={"https://x/secret": 1},
    )
    code = ask(visitor, tenant, scope="openid profile").press("auth0|1").params["code"]
    header = {"Authorization": f"Bearer {redeem(tenant, code).json()['access_token']}"}
    found = requests.get(f"{tenant.url}/userinfo", headers=header, timeout=10).json()
    assert (found["sub"], found["https://x/plan"], found["mine"], found["name"]) == (
        "auth0|1",
        "pro",
        1,
        "Countess",
    )
    assert "https://x/secret" not in found


@pytest.mark.parametrize("audience", ["/api/v2/", "/mfa"])
def test_an_access_token_for_auth0s_own_api_has_only_namespaced_claims(
    audience: str, tenant: LocalTenant, visitor: Visitor
) -> None:
    """The event names the API; the ID token is not concerned."""
    seen: list[Any] = []

    def trigger(event: dict[str, Any]) -> Outcome:
        seen.append(event["resource_server"])
        claims = {"mine": 1, "https://x/plan": 1}
        return Outcome(id_token_claims=claims, access_token_claims=claims)

    tenant.post_login = trigger
    with pytest.warns(MetadataWarning, match="'mine' out of the access token"):
        code = ask(visitor, tenant, audience=tenant.url + audience).press("auth0|1").params["code"]
    tokens = redeem(tenant, code).json()
    assert seen == [{"identifier": tenant.url + audience}]
    assert claims_of(tenant, tokens["id_token"])["mine"] == 1
    found = claims_of(tenant, tokens["access_token"], tenant.url + audience)
    assert "mine" not in found
    assert found["https://x/plan"] == 1


@pytest.mark.parametrize(
    "claims",
    [{"https://x/a": "x" * 102_400}, {"https://x/a": {1}}, {1: 1}, [1]],
    ids=["large", "set", "key", "list"],
)
@pytest.mark.parametrize("kind", ["id_token_claims", "access_token_claims"])
def test_claims_that_no_token_can_have_fail_the_login(
    kind: str, claims: Any, tenant: LocalTenant, visitor: Visitor
) -> None:
    """More than 100 KB, and what is not JSON; the application is told what it is told of any failure."""
    tenant.post_login = lambda event: Outcome(**{kind: claims})
    ask(visitor, tenant).press("auth0|1")
    assert visitor.params["error"] == "access_denied"
    assert visitor.params["error_description"] == "The login could not be completed."


def test_the_limit_of_claims_is_a_switch(visitor: Visitor) -> None:
    """It counts names too."""
    with LocalTenant(users=USERS, switches=Switches(claims_limit=20)) as tenant:
        tenant.post_login = lambda event: Outcome(id_token_claims={"https://x/a": "x" * 5})
        assert "code" in ask(visitor, tenant).press("auth0|1").params
        tenant.post_login = lambda event: Outcome(id_token_claims={"https://x/a": "x" * 6})
        assert ask(visitor, tenant).params["error"] == "access_denied"


def test_a_login_works_in_process(visitor: Visitor) -> None:
    """Without a socket the session keeps the cookies, so that the browser's login and the next one go on."""
    inside = LocalTenant(serve=False, users=USERS)
    visitor.session.mount("http://", inside.adapter())
    assert "code" in ask(visitor, inside).press("auth0|1").params
    assert "code" in ask(visitor, inside, prompt="none").params
    visitor.get(f"{inside.url}/v2/logout")
    assert ask(visitor, inside, prompt="none").params["error"] == "login_required"
