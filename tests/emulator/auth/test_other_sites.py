"""No page of another site can write through a route that requires no token: browsers send forms and text anywhere."""

from __future__ import annotations

import io
import signal
from typing import Any

import pytest
import requests

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.process.serve import serve
from auth0_meta.emulator.routes import TABLE
from auth0_meta.errors import ConfigError

BLIND = [f"{route.method} {route.template}" for route in TABLE if route.blind]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BODY = {
    **{
        "connection": "Username-Password-Authentication",
        "email": "eve@example.com",
        "password": "Any-Password-1",
    },
    **{"grant_type": "client_credentials", "client_id": "x", "client_secret": "x", "audience": "x/api/v2/"},
}


def test_the_routes_that_write_without_a_token_are_known() -> None:
    """Whoever adds one finds it here; the others that are no GET need a token, or the `state` of one login."""
    rest = [r for r in TABLE if r.method != "GET" and not r.management and not r.blind]
    assert [f"{route.method} {route.template}" for route in rest] == [
        "POST /continue",
        "POST /oidc/logout",
        "POST /userinfo",
    ]
    assert BLIND == [
        "POST /oauth/token",
        "POST /oauth/revoke",
        "POST /dbconnections/signup",
        "POST /dbconnections/change_password",
        "POST /u/login",
        "POST /u/reset-password",
    ]


@pytest.mark.parametrize("route", BLIND)
@pytest.mark.parametrize("sockets", [False, True], ids=["in process", "sockets"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://127.0.0.1.nip.io"},
        {"Origin": "http://[::1]evil.example"},
        {"Origin": "http://{host}.evil.example"},
        {"Origin": "http://evil.example@{host}"},
        {"Origin": "http://{host}@evil.example"},
        {"Origin": "http://localhost:3000", "Content-Type": "text/plain"},
        {"Origin": "http://localhost:3000/path"},
        {"Origin": "file://localhost"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "anything"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "Text/Plain;charset=UTF-8"},
        {"Content-Type": "text/plain; application/json"},
    ],
    ids=range(18),
)
def test_another_site_is_refused(talk: Any, route: str, sockets: bool, headers: dict[str, str]) -> None:
    """Nobody is signed up, signed in or asked for a password, and no token is issued."""
    with LocalTenant(serve=sockets) as tenant:
        sent = FORM | {name: value.format(host=tenant.domain) for name, value in headers.items()}
        method, path = route.split()
        response = talk(tenant, sockets=sockets)(method, path, data=BODY, headers=sent)
        assert response.status_code == 403
        assert "its own pages" in response.text
        assert len(tenant.users) == 0


@pytest.mark.parametrize(
    "origin", ["http://localhost:3000", "http://127.0.0.1", "https://{host}", "http://{host}"]
)
def test_the_login_page_trusts_no_other_port(talk: Any, origin: str) -> None:
    """Scripts on loopback may call the Authentication API, but only the tenant's own page signs a user in."""
    tenant = LocalTenant(serve=False)
    headers = FORM | {"Origin": origin.format(host=tenant.domain), "Sec-Fetch-Site": "same-site"}
    assert talk(tenant)("POST", "/u/login", data=BODY, headers=headers).status_code == 403


@pytest.mark.parametrize("dest", ["image", "iframe", "empty", "script", None])
def test_another_site_logs_nobody_out_unseen(talk: Any, dest: str | None) -> None:
    """An application sends the whole window to the logout; an image, a frame or a script of any page is refused."""
    tenant = LocalTenant(serve=False)
    headers = {"Sec-Fetch-Site": "cross-site"} | ({"Sec-Fetch-Dest": dest} if dest else {})
    response = talk(tenant)("GET", "/v2/logout", headers=headers)
    assert (response.status_code, "Set-Cookie" in response.headers) == (403, False)
    for visible in (
        {**headers, "Sec-Fetch-Dest": "document"},
        {**headers, "Sec-Fetch-Site": "same-site"},
        {},
    ):
        assert talk(tenant)("GET", "/v2/logout", headers=visible).status_code == 200


@pytest.mark.parametrize("body", ["json", "data"])
@pytest.mark.parametrize("sockets", [False, True], ids=["in process", "sockets"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://{host}"},
        {"Origin": "HTTP://{host}"},
        {"Sec-Fetch-Mode": "cors"},  # fetch of Node
    ],
    ids=range(5),
)
def test_programs_and_the_tenants_own_pages_are_served(
    talk: Any, body: str, sockets: bool, headers: dict[str, str]
) -> None:
    """Programs send no Origin; a page of the tenant has its scheme, name and port."""
    with LocalTenant(serve=sockets) as tenant:
        sent = {name: value.format(host=tenant.domain) for name, value in headers.items()}
        api = talk(tenant, sockets=sockets)
        for path in ("/dbconnections/signup", "/oauth/token", "/dbconnections/change_password"):
            assert api("POST", path, headers=sent, **{body: BODY}).status_code == 200
        assert len(tenant.users) == 1


def test_the_form_of_the_login_page_names_its_origin(talk: Any) -> None:
    """With the policy `no-referrer` a browser would send `Origin: null` with the form, as a foreign page does."""
    tenant = LocalTenant(serve=False)
    query = {"client_id": "x", "response_type": "code", "redirect_uri": "http://localhost/cb"}
    response = talk(tenant)("GET", "/authorize", params=query)
    assert response.headers["Referrer-Policy"] == "same-origin"


def test_an_application_may_send_its_form_to_continue(talk: Any) -> None:
    """It knows the `state` of one login, and that is checked."""
    response = talk(LocalTenant(serve=False))(
        "POST", "/continue", data={"state": "x"}, headers={"Origin": "http://app.example", **FORM}
    )
    assert (response.status_code, "has ended" in response.text) == (400, True)


@pytest.mark.parametrize("secure", [False, True])
def test_the_control_routes_compare_the_scheme_too(secure: bool) -> None:
    """A page at the same name and port with another scheme is another site."""
    with LocalTenant(tls=secure) as tenant:
        own, other = ("https", "http") if secure else ("http", "https")
        for scheme, status in ((own, 200), (other, 403)):
            headers = {"Origin": f"{scheme}://{tenant.domain}", "X-Emulator-Token": tenant.control_token}
            response = requests.post(
                f"{tenant.url}/_emulator/clock",
                json={"do": "freeze"},
                headers=headers,
                verify=str(tenant.ca_file) if secure else True,
                timeout=30,
            )
            assert response.status_code == status


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "", "host.example", "127.1"])  # noqa: S104
def test_beyond_this_machine_only_strict_tenants_are_served(host: str) -> None:
    """Anyone could read and write every user with any token; without a socket there is nothing to reach."""
    with pytest.raises(ConfigError, match="strict"):
        LocalTenant(host=host)
    assert LocalTenant(host=host, strict=True)
    assert LocalTenant(host=host, serve=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "localhost", "::1"])
def test_on_this_machine_any_token_is_accepted(host: str) -> None:
    """As before."""
    assert LocalTenant(host=host)


def test_the_command_line_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one line that names the option; a strict tenant is served with a warning on stderr."""
    assert main(["emulator", "serve", "--host", "0.0.0.0", "--port", "0"]) == 2  # noqa: S104
    assert "--strict" in capsys.readouterr().err
    out = io.StringIO()
    assert serve(out=out, port=0, on_ready=lambda _: signal.raise_signal(signal.SIGTERM)) == 0
    assert "WARNING" not in out.getvalue()
    # As if the address were another one: tests stay on loopback.
    monkeypatch.setattr("auth0_meta.emulator.process.serve.is_loopback", lambda _: False)
    assert serve(out=out, port=0, on_ready=lambda _: signal.raise_signal(signal.SIGTERM), strict=True) == 0
    assert "WARNING: other machines can reach this tenant on localhost" in out.getvalue()
