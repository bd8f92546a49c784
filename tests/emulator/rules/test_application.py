"""Which addresses and origins a client may use, and how it proves who it is."""

from __future__ import annotations

import pytest

from auth0_meta.emulator.rules.application import (
    LOCAL,
    Application,
    logout_allowed,
    matches,
    unregistered,
)
from auth0_meta.emulator.rules.loopback import is_loopback_url

PEM = "-----BEGIN PUBLIC KEY-----"


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("https://app.test/cb", "https://app.test/cb"),
        ("https://App.Test/cb", "https://app.test/cb"),
        ("com.example.app://cb", "com.example.app://cb"),
        ("https://*.app.test/cb", "https://a.app.test/cb"),
        ("https://pre-*-post.app.test:8443", "https://pre-1-post.app.test:8443"),
        ("http://*.app.test?a=b", "http://x.app.test?a=b"),
    ],
)
def test_an_address_matches(listed: str, url: str) -> None:
    """Text is compared as it is, but for the case of scheme and host; a `*` stands for one label or a part of it."""
    assert matches(listed, url)


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("https://app.test/cb", "https://app.test/cb/"),
        ("https://app.test/cb", "https://app.test/CB"),
        ("https://app.test/cb", "https://app.test/cb?a=b"),
        ("https://app.test/cb", "http://app.test/cb"),
        ("https://*.app.test", "https://a.b.app.test"),
        ("https://*.app.test", "https://app.test"),
        ("https://*.app.test", "https://.app.test"),
        ("https://*.app.test", "https://evil.test/.app.test"),
        ("https://*.app.test", "https://evil.test#.app.test"),
        ("https://*.app.test", "https://evil@x.app.test"),
        ("https://*.app.test", "https://x\\.app.test"),
        ("https://*.app.test/cb", "https://x.app.test/c/b"),
        ("https://*.test", "https://a.test"),
        ("https://*", "https://a"),
        ("https://*.*.app.test", "https://a.b.app.test"),
        ("https://sub.*.app.test", "https://sub.a.app.test"),
        ("https://app.test/*", "https://app.test/a"),
        ("com.example.*://cb", "com.example.app://cb"),
        ("app://*.app.test", "app://a.app.test"),
        ("https://{organization_name}.app.test", "https://acme.app.test"),
        ("https://*-{organization_name}.app.test", "https://a-acme.app.test"),
    ],
)
def test_an_address_does_not_match(listed: str, url: str) -> None:
    """Whatever the documentation rules out, and everything that a browser would read as another host."""
    assert not matches(listed, url)


@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        ("https://{organization_name}.app.test/cb", True),
        ("https://pre-{organization_name}.app.test/cb", False),
        ("https://{organization_name}/cb", False),
    ],
)
def test_an_organization_fills_its_placeholder(listed: str, allowed: bool) -> None:
    """It does if the client takes organizations, for the one of this login, where it is a label by itself."""
    document = {"client_id": "a", "callbacks": [listed], "organization_usage": "allow"}
    url = listed.replace("{organization_name}", "acme")
    assert Application.of(document).may_return_to(url, "acme") is allowed
    assert not Application.of(document).may_return_to(url, "other")
    assert not Application.of({**document, "organization_usage": "deny"}).may_return_to(url, "acme")


@pytest.mark.parametrize(
    ("url", "on"),
    [
        ("http://127.0.0.1:3000/cb?a=b", True),
        ("https://localhost", True),
        ("http://[::1]:80/", True),
        ("http://LOCALHOST/", True),
        ("http://app.localhost:3000/cb", True),
        ("http://localhost:99999/", False),
        ("http://2130706433/", False),
        ("http://127.0.0.1.nip.io/", False),
        ("http://[::1]evil.test/", False),
        ("http://localhost.evil.test/", False),
        ("http://localhost@evil.test/", False),
        ("http://evil.test\\@localhost/", False),
        ("http://localhost:3000/#x", False),
        ("http://localhost:x/", False),
        ("javascript:alert(1)//localhost", False),
        ("", False),
    ],
)
def test_loopback_is_recognized(url: str, on: bool) -> None:
    """A client without a list may use addresses on this machine, and nothing that only looks like one."""
    assert is_loopback_url(url) is on
    assert Application.of({"client_id": "a", LOCAL: {"lenient": False}}).may_return_to(url) is on
    assert logout_allowed(None, url) is on
    assert not Application.of({"client_id": "a"}).may_return_to(url)
    assert not Application.of({"client_id": "a", LOCAL: {"lenient": False}, "callbacks": []}).may_return_to(
        url
    )


def test_a_logout_ignores_query_and_fragment() -> None:
    """Callbacks are compared with theirs."""
    application = Application.of({"client_id": "a", "allowed_logout_urls": ["https://app.test/bye?x=1"]})
    assert application.may_log_out_to("https://app.test/bye?y=2#z")
    assert not application.may_log_out_to("https://app.test/other")


def test_origins_are_those_listed_and_those_of_callbacks() -> None:
    """Messages go to web origins only; a client without a list of callbacks takes them on loopback."""
    application = Application.of(
        {
            "client_id": "a",
            "callbacks": ["https://app.test/cb"],
            "allowed_origins": ["https://*.cors.test"],
            "web_origins": ["https://web.test"],
        }
    )
    origins = ("https://app.test", "https://x.cors.test", "https://web.test", "https://other.test", "null")
    assert [application.allows_origin(each) for each in origins] == [True, True, True, False, False]
    assert [application.allows_message_to(each) for each in origins] == [False, False, True, False, False]
    local = Application.of({"client_id": "a", LOCAL: {"lenient": False}})
    assert [local.allows_message_to(each) for each in ("http://localhost:3000", "https://app.test")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("document", "public", "accepts"),
    [
        ({"client_secret": "s"}, False, True),
        ({"client_secret": "s", "token_endpoint_auth_method": "client_secret_post"}, False, True),
        ({"client_secret": "s", "token_endpoint_auth_method": "none"}, True, False),
        ({}, True, False),
        (
            {"client_authentication_methods": {"private_key_jwt": {"credentials": [{"pem": PEM}]}}},
            False,
            False,
        ),
        ({LOCAL: {"lenient": True}, "client_secret": "other"}, True, True),
    ],
)
def test_how_a_client_proves_itself(document: dict[str, object], public: bool, accepts: bool) -> None:
    """A public client has nothing to prove it with, even if it has a secret; a lenient one may use any."""
    application = Application.of({"client_id": "a", **document})
    assert (application.public, application.accepts("s"), application.accepts("")) == (public, accepts, False)
    assert not Application.of({"client_id": "a", **document}, strict=True).accepts("wrong")


def test_a_view_survives_whatever_a_document_holds() -> None:
    """Documents are stored as sent, so a list may be anything."""
    odd = {
        "client_id": "a",
        "callbacks": 5,
        "web_origins": [1, None],
        "jwt_configuration": None,
        "refresh_token": [],
    }
    application = Application.of(odd)
    assert (application.callbacks, application.web_origins, application.refresh_token) == ((), (), {})
    assert application.id_token_lifetime == 36_000
    assert PEM not in repr(Application(client_id="a", secret="s3cret", public_keys=(PEM,)))
    assert "s3cret" not in repr(Application(client_id="a", secret="s3cret"))


def test_grants_are_limited_to_those_listed() -> None:
    """A client that is not registered may do anything."""
    listed = Application.of({"client_id": "a", "grant_types": ["refresh_token"]})
    assert [listed.grants(kind) for kind in ("refresh_token", "password")] == [True, False]
    assert unregistered("b").grants("password")
    assert unregistered("b").accepts("anything")
