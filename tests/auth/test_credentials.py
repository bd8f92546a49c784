"""What happens to white space, quotes and invisible characters in credentials, wherever they come from."""

from __future__ import annotations

from typing import Any

import pytest
from support.scripted_server import Reply, ScriptedServer, Seen, token

from auth0_meta import ManagementClient
from auth0_meta.cli.app import run
from auth0_meta.errors import ConfigError

AUDIENCE = "https://tenant.eu.auth0.com/api/v2/"
AROUND = {
    "nothing": ("", ""),
    "LF": ("", "\n"),
    "CRLF": ("", "\r\n"),
    "spaces": ("  ", " "),
    "tabs": ("\t", "\t"),
    "no-break spaces": ("\xa0", "\u202f"),
    "byte order mark": ("\ufeff", ""),
    "zero width": ("\u200b", "\u2060"),
    "line separator": ("\u2028", "\u2029"),
    "NUL": ("", "\x1a"),
}
around = pytest.mark.parametrize(("before", "after"), AROUND.values(), ids=AROUND.keys())


def respond(seen: Seen) -> Reply:
    """Give a token, or the user, or a page of users."""
    if seen.path == "/oauth/token":
        return token()
    return Reply() if "?" not in seen.path else Reply(200, [])


@around
@pytest.mark.parametrize("way", ["arguments", "environment", "command line"])
def test_invisible_characters_around_credentials_are_not_sent(
    before: str, after: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file's last line break and the like reach neither the token endpoint nor the address."""
    with ScriptedServer(respond) as server:
        values = {
            "domain": server.url,
            "client_id": "the-id",
            "client_secret": "the secret",
            "audience": AUDIENCE,
        }
        values = {name: f"{before}{value}{after}" for name, value in values.items()}
        if way == "arguments":
            with ManagementClient(values.pop("domain"), **values) as client:
                client.users.get("auth0|1")
        else:
            for name, value in values.items():
                monkeypatch.setenv(f"AUTH0_{name.upper()}", value)
            if way == "environment":
                with ManagementClient.from_env() as client:
                    client.users.get("auth0|1")
            else:
                run(["doctor"])
        form = server.seen[0].form
    assert (form["client_id"], form["client_secret"], form["audience"]) == ("the-id", "the secret", AUDIENCE)


@around
@pytest.mark.parametrize("way", ["string", "function", "environment", "command line"])
def test_invisible_characters_around_a_token_are_not_sent(
    before: str, after: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that was read from a file is sent without the line break at its end, whoever returns it."""
    given = f"{before}a.b.c{after}"
    with ScriptedServer(respond) as server:
        if way == "command line":
            run(["doctor", "--domain", server.url, "--token", given])
        else:
            monkeypatch.setenv("AUTH0_DOMAIN", server.url)
            settings: dict[str, Any] = {"token": given if way == "string" else lambda: given}
            if way == "environment":
                monkeypatch.setenv("AUTH0_API_TOKEN", given)
                settings = {}
            with ManagementClient.from_env(**settings) as client:
                client.users.get("auth0|1")
        assert server.seen[0].headers["Authorization"] == "Bearer a.b.c"


@pytest.mark.parametrize("blank", ["", " ", "\n", "\xa0\ufeff", "\u200b"], ids=ascii)
@pytest.mark.parametrize("name", ["client_id", "client_secret", "token", "private_key"])
def test_a_blank_credential_is_a_missing_one(name: str, blank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """White space alone counts as nothing, as an argument and in the environment."""
    settings = {"client_id": "c", "client_secret": "s"} if name.startswith("client") else {"client_id": "c"}
    with pytest.raises(ConfigError, match=r"none of them|needs client_id"):
        ManagementClient("tenant.invalid", **{**settings, name: blank})
    for one, value in {"DOMAIN": "tenant.invalid", "CLIENT_ID": "c", "CLIENT_SECRET": "s"}.items():
        monkeypatch.setenv(f"AUTH0_{one}", blank if one.lower() == name else value)
    if name.startswith("client"):
        with pytest.raises(
            ConfigError, match=f"^AUTH0_{name.upper()} is not set: set it, or AUTH0_API_TOKEN"
        ):
            ManagementClient.from_env()
    else:
        assert "client credentials" in repr(ManagementClient.from_env(**{name: blank}))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"client_id": "can\nary"}, "client_id contains white space"),
        ({"client_id": "can ary"}, "client_id contains white space"),
        ({"client_id": "can\u200bary"}, "client_id contains white space"),
        ({"client_secret": "can\nary"}, "client_secret contains white space"),
        ({"client_secret": "can\ufeffary"}, "client_secret contains white space"),
        ({"client_id": '"canary"'}, "client_id is in quotes"),
        ({"client_id": "'canary'"}, "client_id is in quotes"),
        ({"client_secret": b"canary"}, "client_secret must be a string, not bytes"),
        ({"client_id": 5}, "client_id must be a string, not int"),
        ({"token": "Bearer canary"}, "begins with 'Bearer'"),
        ({"token": "bearer canary\n"}, "begins with 'Bearer'"),
        ({"token": '"canary"'}, "the token is in quotes"),
        ({"token": "'canary'"}, "the token is in quotes"),
        ({"token": "can ary"}, "without white space"),
        ({"token": "can\r\nary"}, "without white space"),
        ({"token": "can\u200bary"}, "must be ASCII"),
        ({"token": b"canary"}, "the token must be a string, not bytes"),
    ],
    ids=str,
)
def test_a_credential_that_auth0_would_refuse_is_named(settings: dict[str, Any], named: str) -> None:
    """What is wrong is said when the client is made, and the credential is not shown."""
    full = settings if "token" in settings else {"client_id": "c", "client_secret": "s"} | settings
    with pytest.raises(ConfigError, match=named) as caught:
        ManagementClient("tenant.invalid", **full)
    assert "canary" not in str(caught.value)
    assert "ary" not in str(caught.value).replace("dashboard", "")


def test_a_bad_token_of_a_function_sends_nothing() -> None:
    """What a function returns is checked like a given token, before the request."""
    with (
        ScriptedServer() as server,
        ManagementClient(server.url, token=lambda: "Bearer canary\n") as client,
        pytest.raises(ConfigError, match="begins with 'Bearer'"),
    ):
        client.users.get("auth0|1")
    assert server.seen == []
