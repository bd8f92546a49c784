"""What an error advises when a credential or an audience is refused, by what the client was made with."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect, token

from auth0_meta.cli.app import run
from auth0_meta.errors import AuthError

AUDIENCE = "https://tenant.eu.auth0.com/api/v2/"
CANONICAL = "'https://YOUR_TENANT.REGION.auth0.com/api/v2/'"
PEM = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    .decode()
)
SECRET = {"client_id": "c", "client_secret": "s"}
KEY = {"client_id": "c", "private_key": PEM}
PASS_AUDIENCE = f"Pass audience={CANONICAL} (AUTH0_AUDIENCE)"


def refused(status: int, description: str, error: str = "access_denied") -> Reply:
    """Return what the token endpoint answers."""
    return Reply(status, {"error": error, "error_description": description})


def advice_in(reply: Reply, **settings: Any) -> str:
    """Return the error that a client gets for this reply, whichever endpoint gives it."""

    def respond(seen: Seen) -> Reply:
        return token() if seen.path == "/oauth/token" and "message" in (reply.body or {}) else reply

    with (
        ScriptedServer(respond) as server,
        connect(server, **settings) as client,
        pytest.raises(AuthError) as caught,
    ):
        client.users.get("auth0|1")
    return str(caught.value)


WORDINGS = {
    "not enabled": refused(403, "Service not enabled within domain: https://login.example.com/api/v2/"),
    "not found": refused(403, "Service not found: https://login.example.com/api/v2/"),
    "lower case": refused(403, "service not enabled within domain: https://login.example.com/api/v2/"),
    "another status": refused(400, "Service not found: https://login.example.com/api/v2/", "invalid_request"),
    "unauthorized": refused(401, "Service not found: https://login.example.com/api/v2/", "unauthorized"),
    "the API": boom(401, "Unauthorized", "Bad audience: https://login.example.com/api/v2/"),
    "the API, lower case": boom(401, "Unauthorized", "bad audience: https://login.example.com/api/v2/"),
}


@pytest.mark.parametrize("reply", WORDINGS.values(), ids=WORDINGS.keys())
@pytest.mark.parametrize("credentials", [SECRET, KEY], ids=["secret", "key"])
def test_a_wrong_audience_is_explained_by_what_was_given(reply: Reply, credentials: dict[str, str]) -> None:
    """If it was derived from the domain, the error names the argument to pass; if it was passed, it says so."""
    assert PASS_AUDIENCE in advice_in(reply, **credentials)
    given = advice_in(reply, **credentials, audience=AUDIENCE)
    assert "The audience that you passed" in given
    assert CANONICAL in given
    assert "Pass audience" not in given


def test_a_given_token_for_another_audience_asks_for_another_token() -> None:
    """An argument would not change the token."""
    text = advice_in(WORDINGS["the API"], token="a.b.c")
    assert f"Get a token whose audience is {CANONICAL}" in text
    assert "Pass audience" not in text


@pytest.mark.parametrize(
    "reply",
    [
        refused(401, "Unauthorized"),
        refused(401, "no such client", "invalid_client"),
        refused(403, "no such client", "invalid_client"),
        refused(400, "no such client", "invalid_client"),
        refused(401, "strange", "strange"),
        Reply(401, raw=b"<html>"),
    ],
    ids=["access_denied", "invalid_client", "403", "400", "unknown", "HTML"],
)
def test_a_refused_token_request_speaks_of_the_credentials(reply: Reply) -> None:
    """No token was sent, so the error names the secret or the key that was, and never a token."""
    with_secret, with_key = advice_in(reply, **SECRET), advice_in(reply, **KEY)
    assert "Check client_id and client_secret (AUTH0_CLIENT_ID, AUTH0_CLIENT_SECRET)" in with_secret
    assert "private_key" in with_key
    assert "client_secret" not in with_key
    for text in (with_secret, with_key):
        assert "Check the token" not in text


def test_a_refused_token_is_named_by_where_it_came_from() -> None:
    """A client that fetched its token is not told to check the one that it was given."""
    reply = boom(401, "Unauthorized", "Invalid token")
    assert "Check the token, or pass client_id" in advice_in(reply, token="a.b.c")
    assert "check that domain and audience belong to one tenant" in advice_in(reply, **SECRET)


@pytest.mark.parametrize("audience", [None, AUDIENCE], ids=["derived", "given"])
def test_doctor_says_what_is_wrong_with_the_audience(
    audience: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check of the token fails with that advice alone, in Python and on the command line."""
    with ScriptedServer(WORDINGS["not enabled"]) as server:
        with connect(server, **SECRET, audience=audience) as client:
            (check,) = client.check()
        for name, value in {"DOMAIN": server.url, "CLIENT_ID": "c", "CLIENT_SECRET": "s"}.items():
            monkeypatch.setenv(f"AUTH0_{name}", value)
        if audience is not None:
            monkeypatch.setenv("AUTH0_AUDIENCE", audience)
        assert run(["doctor"]) == 4
    expected = "Pass audience=" if audience is None else "The audience that you passed"
    assert (check.name, check.ok, check.remedy) == ("token", False, "")
    for text in (check.detail, capsys.readouterr().out):
        assert expected in text
        assert "Check the credentials" not in text
