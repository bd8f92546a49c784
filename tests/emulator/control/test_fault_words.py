"""Faults in plain words: every setting of a fault is told, in the sentence and in the call."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.control.fault_words import in_words
from auth0_meta.emulator.control.report import call_of
from auth0_meta.emulator.state.faults import Fault


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"status": 503}, "The next request gets a 503 Service Unavailable"),
        (
            {"status": 429, "times": 2, "method": "GET"},
            "2 times: a GET request gets a 429 Too Many Requests",
        ),
        ({"delay": 3, "times": None, "nth": 3}, "Every request from the 3rd on waits 3 s"),
        (
            {"drop": "after_commit", "path": "/api/v2/users/{id}", "user_id": "auth0|1", "nth": 11},
            "The 11th request to /api/v2/users/{id} for auth0|1 gets no response: "
            "it takes effect, and the connection is closed without a response",
        ),
        (
            {
                "status": 500,
                "commit": True,
                "delay": 1,
                "headers": {"X-A": "1"},
                "body": "secret",
                "probability": 0.25,
            },
            "The next request, with a chance of 0.25, waits 1 s after it took effect; gets a 500 Internal Server Error "
            "with a body of its own with the headers x-a although it took effect",
        ),
        (
            {"status": 429, "reset": "soon"},
            "The next request gets a 429 Too Many Requests that resets at 'soon'",
        ),
        ({"status": 502, "html": True}, "The next request gets a 502 Bad Gateway as a proxy's page"),
        (
            {"slow": 2, "truncate": 5, "expire_token": True},
            "The next request finds its token expired; gets its body spread over 2 s; gets only the first 5 bytes of its body",
        ),
        ({"rows": 2}, "The next request stops as an import after 2 users"),
        (
            {"drop": "reset"},
            "The next request gets no response: the connection is reset before it takes effect",
        ),
        (
            {"status": 500, "when": lambda *_: True},
            "The next request that the test's predicate picks gets a 500 Internal Server Error",
        ),
    ],
)
def test_a_fault_is_described(settings: dict[str, Any], words: str) -> None:
    """Which requests, and everything that happens to them; values of bodies and headers are left out."""
    assert in_words(Fault(**settings)) == words


def test_a_second_writer_is_described() -> None:
    """It writes before the request takes effect."""
    hook = LocalTenant(serve=False).before("PATCH", "auth0|1", lambda tenant: None)
    assert in_words(hook) == "The next PATCH request for auth0|1: a second writer of the test writes first"
    assert call_of(hook) == "before(method='PATCH', user_id='auth0|1')"


SETTINGS: dict[str, Any] = {
    "method": "PATCH", "path": "/x", "user_id": "auth0|1", "nth": 2, "times": None, "status": 429, "body": "b",
    "headers": {"X-A": "1"}, "delay": 1, "reset": 3, "commit": True, "when": lambda *_: True, "probability": 0.5,
    "html": True, "slow": 1, "truncate": 1, "expire_token": True, "rows": 1,
}  # fmt: skip


def test_the_call_names_every_setting() -> None:
    """Also those that `verify` reports; `drop` can't be had with a status."""
    names = {field.name for field in attrs.fields(Fault) if field.init}
    assert {*SETTINGS} == names - {"drop"}
    told = call_of(Fault(**SETTINGS))
    assert [name for name in SETTINGS if f"{name}=" not in told] == []
    assert "X-A" not in told
