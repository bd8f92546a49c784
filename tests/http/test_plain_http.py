"""Plain http: for loopback, and for exactly the names that AUTH0_META_ALLOW_HTTP lists."""

from __future__ import annotations

import io

import pytest
from support.scripted_server import Reply, ScriptedServer, connect

from auth0_meta import ManagementClient
from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.errors import ConfigError, NotSentError
from auth0_meta.http.plain_http import ALLOW_HTTP, may_be_plain
from auth0_meta.http.transport import Transport


@pytest.mark.parametrize(
    ("listed", "domain"),
    [
        ("auth0", "http://auth0"),
        ("auth0", "http://auth0:8810"),
        ("auth0:8810", "http://auth0:8810"),
        ("auth0:80", "http://auth0"),
        ("db, my_auth0 ,other:1", "HTTP://MY_AUTH0:8810"),
        ("host.docker.internal auth0", "http://host.docker.internal:9000"),
        ("172.17.0.2", "http://172.17.0.2:8810"),
        ("[fd00::2]:8810", "http://[fd00::2]:8810"),
    ],
)
def test_a_listed_name_may_be_plain(listed: str, domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The list is separated by commas or spaces; an entry without a port allows every port."""
    with pytest.raises(ConfigError, match=ALLOW_HTTP):
        ManagementClient(domain, token="t")
    monkeypatch.setenv(ALLOW_HTTP, listed)
    ManagementClient(domain, token="t").close()


@pytest.mark.parametrize(
    ("listed", "domain"),
    [
        ("", "http://auth0"),
        ("auth0:8810", "http://auth0"),
        ("auth0:8810", "http://auth0:8811"),
        ("auth0", "http://auth0.example.com"),
        ("auth0", "http://my.auth0"),
        ("auth0", "http://auth0.:8810"),
        ("example.com", "http://sub.example.com"),
    ],
)
def test_any_other_name_needs_https(listed: str, domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that resembles a listed one is another name, and so is another port of an entry that has one."""
    monkeypatch.setenv(ALLOW_HTTP, listed)
    with pytest.raises(ConfigError, match="use https"):
        ManagementClient(domain, token="t")


@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "*.local",
        "http://auth0:8810",
        "user:canary@auth0",
        "auth0/path",
        "auth0:",
        "auth0:0",
        "auth0:65536",
        "auth0:port",
        "-auth0",
        "fd00::2",
        "auth0;other",
        "tenant.eu.auth0.com",
        "AUTH0.COM:80",
        "a" * 300,
    ],
)
def test_an_entry_that_is_no_name_is_refused(entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is allowed then, not even the good entries; the error says which entry it is, without showing it."""
    monkeypatch.setenv(ALLOW_HTTP, f"auth0 {entry}")
    with pytest.raises(ConfigError, match=f"entry 2 of {ALLOW_HTTP}") as caught:
        ManagementClient("http://auth0", token="t")
    assert "canary" not in str(caught.value)
    assert may_be_plain("127.0.0.1", 8810)
    ManagementClient("tenant.eu.auth0.com", token="t").close()


def test_a_download_follows_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A link over plain http is followed to a listed name only."""
    job = {"id": "job_1", "type": "users_export", "status": "completed", "location": "http://auth0.invalid/f"}
    with ScriptedServer(*[Reply(200, job)] * 9) as server, connect(server) as client:
        with pytest.raises(ConfigError, match=ALLOW_HTTP):
            client.jobs.download("job_1", io.BytesIO())
        monkeypatch.setenv(ALLOW_HTTP, "auth0.invalid")
        monkeypatch.setattr(Transport, "stream", lambda *_: iter([b"data"]))
        assert client.jobs.download("job_1", io.BytesIO()) == 4


class _Consent:
    def on_execute_post_login(self, event: object, api: object) -> None:
        api.redirect.send_user_to("http://consent:3000/ask")  # type: ignore[attr-defined]

    def on_continue_post_login(self, event: object, api: object) -> None:
        """Accept whatever comes back."""


def test_a_redirect_follows_the_same_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login is sent over plain http to a listed name only."""
    event = Event.from_dict({"user": {"user_id": "auth0|1", "user_metadata": {}, "app_metadata": {}}})
    with ScriptedServer() as server, connect(server) as client:
        trigger = PostLoginTrigger(client, [_Consent()])
        assert ALLOW_HTTP in str(trigger.run(event).error)
        monkeypatch.setenv(ALLOW_HTTP, "consent:3000")
        redirect = trigger.run(event).redirect
    assert redirect is not None
    assert redirect.url.startswith("http://consent:3000/ask?state=")


def test_plain_http_goes_past_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would see the token."""
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    monkeypatch.setenv(ALLOW_HTTP, "auth0.invalid")
    with (
        ManagementClient("http://auth0.invalid", token="t", failure_wait=0) as client,
        pytest.raises(NotSentError) as caught,
    ):
        client.users.get("auth0|1")
    assert "proxy" not in str(caught.value)
