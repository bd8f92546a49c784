"""The journal has the body of every request, refused or not, and no secret."""

from __future__ import annotations

import pickle
from contextlib import nullcontext
from typing import Any

import attrs
import pytest
import requests

from auth0_meta.emulator import Entry

BODY = {"user_metadata": {"theme": "dark", "password": "a name of theirs"}}


@pytest.mark.parametrize("fault", [{"status": 429}, {"status": 500}, {"drop": "before_commit"}])
def test_a_request_that_a_fault_struck_has_its_body(api: Any, fault: dict[str, Any]) -> None:
    """The journal has it although no handler read it."""
    api.tenant.users.add(user_id="auth0|1")
    api.tenant.fail(method="PATCH", **fault)
    with pytest.raises(requests.ConnectionError) if "drop" in fault else nullcontext():
        api.patch("auth0|1", BODY)
    (entry,) = api.tenant.journal
    assert entry.body == entry.body == BODY
    if "drop" not in fault:
        attributes = attrs.asdict(entry, recurse=False) | {"fault": None}
        plain = Entry(**{name.lstrip("_"): value for name, value in attributes.items()})
        assert pickle.loads(pickle.dumps(plain)) == plain  # noqa: S301  # our own bytes
    api.tenant.journal.assert_called("PATCH", json=BODY, times=1)


def test_a_refused_request_has_its_body(api: Any) -> None:
    """A 401 and a 501 come before any handler."""
    api.patch("auth0|1", BODY, headers={})
    api.token = None
    api.patch("auth0|1", BODY)
    api("POST", "/api/v2/nowhere", json=[1.5, {"client_secret": "s3cret"}])
    assert [entry.body for entry in api.tenant.journal][1:] == [BODY, [1.5, {"client_secret": "<masked>"}]]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"a": NaN}', "application/json"),
        (b'{"a": 1e999}', "application/json"),
        (b"\xff", "application/json"),
        (b'{"a": 1}', "text/plain"),
        (b'{"a": "' + b"x" * 1_048_576 + b'"}', "application/json"),
    ],
)
def test_a_body_that_is_not_json_or_too_large_is_none(api: Any, data: bytes, kind: str) -> None:
    """The journal keeps neither, and its page can still be written."""
    api("POST", "/api/v2/nowhere", data=data, headers={"Content-Type": kind})
    assert [entry.body for entry in api.tenant.journal] == [None]


def test_the_journal_has_no_credentials(api: Any) -> None:
    """A refused /oauth/token has no body; elsewhere secrets are masked at any depth, and metadata is not."""
    api.tenant.fail(path="/oauth/token", status=429)
    api("POST", "/oauth/token", json={"client_id": "a", "client_secret": "s3cret", "grant_type": "x"})
    client = {"name": "app", "client_secret": "s3cret", "client_metadata": {"password": "theirs"}}
    assert api("POST", "/api/v2/clients", json=client).status_code in (201, 400)
    api("PATCH", "/api/v2/connections/con_1", json={"options": {"client_secret": "s3cret", "scope": ["a"]}})
    bodies = [entry.body for entry in api.tenant.journal]
    assert bodies == [
        None,
        {**client, "client_secret": "<masked>"},
        {"options": {"client_secret": "<masked>", "scope": ["a"]}},
    ]
    assert "s3cret" not in repr([*api.tenant.journal])


def test_a_query_is_not_in_the_repr(api: Any) -> None:
    """A search may contain a value; `query` has it, the repr does not."""
    api.list(q='user_metadata.ssn:"123"')
    (entry,) = api.tenant.journal
    assert "ssn" in entry.query
    assert "ssn" not in repr(entry)


def test_a_number_that_json_can_not_represent_is_refused(api: Any) -> None:
    """Python reads 1e999 as infinity, which could be shown neither in the user nor on the journal's page."""
    api.tenant.users.add(user_id="auth0|1")
    path, kind = "/api/v2/users/auth0%7C1", {"Content-Type": "application/json"}
    response = api("PATCH", path, data=b'{"user_metadata": {"n": 1e999}}', headers=kind)
    assert (response.status_code, response.json()["message"]) == (400, "Invalid request payload JSON format")
    journal = api("GET", "/_emulator/journal", headers={"X-Emulator-Token": api.tenant.control_token})
    assert journal.json()["entries"][0]["body"] is None


def test_editing_the_journal_changes_no_user(api: Any) -> None:
    """A body in the journal shares nothing with what is stored."""
    user = api.tenant.users.add(user_id="auth0|1")
    api.patch("auth0|1", {"user_metadata": {"prefs": {"lang": "fi"}}})
    api.tenant.journal[0].body["user_metadata"]["prefs"]["lang"] = "sv"
    assert user.user_metadata == {"prefs": {"lang": "fi"}}
