"""The options that `serve` and `exec` share: names, clients, callbacks, tokens, the log of requests, the page."""

from __future__ import annotations

import io
import re
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.process import serve as serving
from auth0_meta.emulator.process.announced import find_serving
from auth0_meta.emulator.process.running import facts_of, running
from auth0_meta.errors import ConfigError

TOKEN = "a-token-of-my-own"
SERVE = serving.serve
CALLBACK = "com.example.app://login/callback"


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Announce tenants in a directory of this test."""
    monkeypatch.setenv("AUTH0_META_EMULATOR_DIR", str(tmp_path / "runs"))
    monkeypatch.delenv("AUTH0_META_EMULATOR_TOKEN", raising=False)


def served(monkeypatch: pytest.MonkeyPatch, visit: Callable[[LocalTenant], object], *words: str) -> str:
    """Run `emulator serve` in this thread; `visit` is called while it serves. Returns what it printed."""
    out = io.StringIO()

    def serve(*args: Any, on_ready: Callable[[LocalTenant], object], **settings: Any) -> int:
        def ready(tenant: LocalTenant) -> None:
            on_ready(tenant)
            try:
                visit(tenant)
            finally:
                signal.raise_signal(signal.SIGTERM)

        return SERVE(*args, out=out, on_ready=ready, **settings)

    monkeypatch.setattr(serving, "serve", serve)
    assert main(["emulator", "serve", "--port", "0", *words]) == 0
    return out.getvalue()


def authorize(tenant: LocalTenant, client_id: str, callback: str) -> int:
    """Begin a login and return the status: 302 if the callback is allowed."""
    query = {"client_id": client_id, "redirect_uri": callback, "response_type": "code", "state": "s"}
    query |= {"code_challenge": "x" * 43, "code_challenge_method": "S256"}
    return requests.get(f"{tenant.url}/authorize", params=query, allow_redirects=False, timeout=5).status_code


def token_status(tenant: LocalTenant, client_id: str, secret: str) -> int:
    """Request a token for the Management API."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    form["audience"] = f"{tenant.url}/api/v2/"
    return requests.post(f"{tenant.url}/oauth/token", data=form, timeout=5).status_code


def users_status(tenant: LocalTenant, token: str) -> int:
    """Call the Management API with a token."""
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{tenant.url}/api/v2/users", headers=headers, timeout=5).status_code


def test_a_served_tenant_has_more_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--hosts` adds names; the issuer is the name that was used, and any other name is refused."""

    def visit(tenant: LocalTenant) -> None:
        for name, status in (("auth0", 200), ("tenant.test", 200), ("other", 421)):
            response = requests.get(
                f"{tenant.url}/.well-known/openid-configuration",
                headers={"Host": f"{name}:{tenant.port}"},
                timeout=5,
            )
            assert response.status_code == status
            if status == 200:
                assert response.json()["issuer"] == f"http://{name}:{tenant.port}/"

    served(monkeypatch, visit, "--hosts", "auth0", "--hosts", "tenant.test")


def test_a_public_url_needs_not_lead_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other commands call the tenant where it listens."""

    def visit(tenant: LocalTenant) -> None:
        assert find_serving(tenant.port)["url"] == "https://auth0.example:9000"
        assert tenant.page_url == f"https://auth0.example:9000/#{tenant.control_token}"
        page = requests.get(f"{tenant.local_url}/", timeout=5)
        assert (page.status_code, tenant.control_token in page.text) == (200, False)

    told = served(monkeypatch, visit, "--public-url", "https://auth0.example:9000")
    assert "other machines may reach this tenant on auth0.example. They need no secret" in told
    told = served(monkeypatch, lambda _: None, "--public-url", "http://localhost:9000")
    assert "WARNING" not in told


@pytest.mark.parametrize(
    "name", ["http://auth0", "auth0/", "*", "a b", "", "-x", "a:b", "fd00::1", "t.auth0.com"]
)
def test_a_name_that_is_none_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is served."""
    assert main(["emulator", "serve", "--port", "0", "--hosts", name]) == 2
    assert "error: " in capsys.readouterr().err


def test_certificates_cover_the_names() -> None:
    """Also one with a port, and the name of a public URL."""
    with LocalTenant(
        tls=True, hosts=["auth0:8810", "[fd00::2]"], public_url="https://tenant.test:9000"
    ) as tenant:
        context = ssl.create_default_context(cafile=str(tenant.ca_file))
        for name in ("auth0", "fd00::2", "tenant.test"):
            with socket.create_connection(("127.0.0.1", tenant.port), timeout=5) as plain:
                context.wrap_socket(plain, server_hostname=name).close()


def test_clients_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first secret client takes the place of the tenant's own in what is exported; a public one has no secret."""

    def visit(tenant: LocalTenant) -> None:
        assert token_status(tenant, "app", "s3:cret") == 200
        assert token_status(tenant, "app", "wrong") == 401
        assert token_status(tenant, "spa", "any") == 401
        assert authorize(tenant, "spa", "http://localhost:3000/cb") == 302
        assert (find_serving(tenant.port)["client_id"], tenant.env["AUTH0_CLIENT_SECRET"]) == (
            "app",
            "s3:cret",
        )

    told = served(monkeypatch, visit, "--strict", "--client", "spa", "--client", "app:s3:cret")
    assert "export AUTH0_CLIENT_ID=app\n" in told


@pytest.mark.parametrize("strict", [False, True])
def test_callbacks_are_added(monkeypatch: pytest.MonkeyPatch, strict: bool) -> None:
    """A registered client may return to what is listed; one that anybody may be keeps loopback, too."""

    def visit(tenant: LocalTenant) -> None:
        for client_id in ("app", "local-client", *(["unknown"] if not strict else [])):
            assert authorize(tenant, client_id, CALLBACK) == 302
            assert authorize(tenant, client_id, "https://app.test/cb") == 302
            assert authorize(tenant, client_id, "https://evil.example/cb") == 403
            lenient = client_id != "app" and not strict
            assert authorize(tenant, client_id, "http://localhost:3000/cb") == (302 if lenient else 403)
        tenant.reset()
        assert authorize(tenant, "app", CALLBACK) == 302

    words = [
        f"--callback={name}={url}"
        for name in ("app", "local-client")
        for url in (CALLBACK, "https://app.test/cb")
    ]
    if strict:
        words += ["--strict"]
    else:
        words += [f"--callback=unknown={url}" for url in (CALLBACK, "https://app.test/cb")]
    served(monkeypatch, visit, "--client", "app:secret", *words)


def test_a_file_configures_the_tenant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`--config` makes clients; `--callback` adds to what the file lists, after a reset too."""
    (tmp_path / "tenant.yaml").write_text(
        "clients: [{name: Web, client_id: web, callbacks: ['https://app.test/cb']}]"
    )

    def visit(tenant: LocalTenant) -> None:
        for _ in range(2):
            for url, status in (
                ("https://app.test/cb", 302),
                (CALLBACK, 302),
                ("http://localhost:3000/", 403),
            ):
                assert authorize(tenant, "web", url) == status
            tenant.reset()

    words = ("--config", str(tmp_path / "tenant.yaml"), "--strict", f"--callback=web={CALLBACK}")
    served(monkeypatch, visit, *words)


def test_a_reset_forgets_the_callbacks_of_a_client_that_it_deletes() -> None:
    """The client was made by a request."""
    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        made = client.request("POST", "clients", json={"name": "Web"})
        tenant.add_callback(made["client_id"], CALLBACK)
        assert client.request("GET", f"clients/{made['client_id']}")["callbacks"] == [CALLBACK]
        tenant.reset()
        assert made["client_id"] not in [one["client_id"] for one in client.request("GET", "clients")]


def test_callbacks_that_a_file_keeps_are_not_added_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same command may be run again on the same `--db`."""

    def visit(tenant: LocalTenant) -> None:
        found = requests.get(
            f"{tenant.url}/api/v2/clients/unknown", headers={"Authorization": "Bearer x"}, timeout=5
        )
        assert found.json()["callbacks"] == [CALLBACK]

    for _ in range(2):
        served(monkeypatch, visit, "--db", str(tmp_path / "x.db"), f"--callback=unknown={CALLBACK}")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--config", "missing.yaml"), "can't read the configuration in missing.yaml"),
        (("--client", ":canary"), "ID:SECRET"),
        (("--client", "app:"), "ID:SECRET"),
        (("--client", "a p:canary"), "ID:SECRET"),
        (("--callback", "app"), "ID=URL"),
        (("--callback", "=https://app.test/cb"), "ID=URL"),
        (("--callback", "app=/cb"), "scheme"),
        (("--callback", "app=https://app.test/#x"), "fragment"),
        (("--callback", "app=https://app.test/c b"), "scheme"),
        (("--strict", "--callback", "app=https://app.test/cb"), "does not exist"),
        (("--token", "canary"), "16 to 1000 characters"),
        (("--token", "canary canary canary"), "16 to 1000 characters"),
    ],
)
def test_a_wrong_option_is_refused(
    words: tuple[str, ...], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is served, and no secret is repeated."""
    assert main(["emulator", "serve", "--port", "0", *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert "canary" not in err


def test_a_token_of_ones_own_is_the_only_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside it only tokens count that the tenant has issued, to clients that are registered."""

    def visit(tenant: LocalTenant) -> None:
        assert not tenant.accepts_any_token
        assert [
            users_status(tenant, token) for token in (TOKEN, tenant.token(), "x", TOKEN + "x", "a.b.c")
        ] == [*(200, 200, 400, 400, 401)]
        assert token_status(tenant, "made-up", "any") == 401
        assert token_status(tenant, tenant.client_id, tenant.client_secret) == 200
        assert token_status(tenant, tenant.client_id, "any") == 401
        tenant.revoke(TOKEN)
        assert users_status(tenant, TOKEN) == 401

    told = served(monkeypatch, visit, "--token", TOKEN)
    assert "any token" not in told
    assert TOKEN not in told
    monkeypatch.setenv("AUTH0_META_EMULATOR_TOKEN", TOKEN)
    served(monkeypatch, visit)


def test_beyond_this_machine_a_token_will_do() -> None:
    """Without it, or strict, the error names both."""
    with pytest.raises(ConfigError, match=r"--strict.*--token"):
        LocalTenant(host="0.0.0.0")  # noqa: S104
    assert LocalTenant(host="0.0.0.0", token=TOKEN)  # noqa: S104


@pytest.mark.parametrize("words", [(), ("--strict",)])
def test_the_banner_says_whom_the_tenant_trusts(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A default tenant takes any token, and says so."""
    told = served(monkeypatch, lambda _: None, *words)
    assert ("accepts any token and any client secret" in told) is not bool(words)


def test_requests_are_logged_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line each: method, path, status and milliseconds; no query, token or body, and no control character."""

    def visit(tenant: LocalTenant) -> None:
        tenant.users.add(user_id="auth0|1")
        user = f"{tenant.url}/api/v2/users/auth0%7C1"
        headers = {"Authorization": "Bearer canary", "Cookie": "canary=canary"}
        requests.get(f"{user}?fields=canary", headers=headers, timeout=5)
        requests.patch(user, json={"user_metadata": {"x": "canary"}}, headers=headers, timeout=5)
        requests.get(f"{tenant.url}/{'canary' * 20}/x", timeout=5)
        requests.get(f"{tenant.url}/exports/canary/canary", timeout=5)
        token_status(tenant, "canary", "canary")
        requests.get(f"{tenant.url}/_emulator/health", timeout=5)

    told = served(monkeypatch, visit, "--log-requests")
    lines = re.sub(r"\d+ ms", "N ms", told.partition("Ctrl-C stops it.\n")[2]).splitlines()
    assert [line for line in lines if line.endswith("ms")] == [
        "GET /api/v2/users/auth0%7C1 200 N ms",
        "PATCH /api/v2/users/auth0%7C1 200 N ms",
        "GET /<long>/x 404 N ms",
        "GET /exports/{id}/{file} 403 N ms",
        "POST /oauth/token 200 N ms",
    ]
    assert "canary" not in "".join(line for line in lines if line.endswith("ms"))
    assert " ms" not in served(monkeypatch, visit)


def test_a_tenant_without_a_page_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another user of this machine can't read the control token from it."""

    def visit(tenant: LocalTenant) -> None:
        for path in ("/", "/_emulator/page.js"):
            response = requests.get(tenant.url + path, timeout=5)
            assert response.status_code == 404
            assert tenant.control_token not in response.text
        assert tenant.page_url == ""
        assert find_serving(tenant.port)["control_token"] == tenant.control_token

    assert "Its page" not in served(monkeypatch, visit, "--no-page")
    assert "Its page" in served(monkeypatch, lambda _: None)


class Closed(io.StringIO):
    """A stream whose terminal is gone."""

    def write(self, text: str) -> int:
        """Fail as a terminal that was closed."""
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_fails_no_request() -> None:
    """The line is lost."""
    with running(Closed(), log_requests=True) as (tenant, facts):
        assert facts == facts_of(tenant)
        assert users_status(tenant, "x") == 200
