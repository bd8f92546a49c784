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
    """A 401 and the refusal of what is not served come before any handler."""
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
    """Secrets are masked at any depth, and metadata is not; of a request for a token nothing is kept that may be one."""
    api.tenant.fail(path="/oauth/token", status=429)
    api("POST", "/oauth/token", json={"client_id": "a", "client_secret": "s3cret", "odd": "s3cret"})
    client = {"name": "app", "client_secret": "s3cret", "client_metadata": {"password": "theirs"}}
    assert api("POST", "/api/v2/clients", json=client).status_code in (201, 400)
    api("PATCH", "/api/v2/connections/con_1", json={"options": {"client_secret": "s3cret", "scope": ["a"]}})
    bodies = [entry.body for entry in api.tenant.journal]
    assert bodies == [
        {"client_id": "a", "client_secret": "<masked>", "odd": "<masked>"},
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


# Responses --------------------------------------------------------------------------------------------


def test_an_entry_has_its_response(api: Any) -> None:
    """Why a request was refused is in the journal, and how long it took."""
    api.tenant.users.add(user_id="auth0|1")
    answer = api.patch("auth0|1", {"user_metadata": 5})
    (entry,) = api.tenant.journal
    assert entry.response.status == entry.status == 400
    assert entry.response.body == answer.json()
    assert entry.response.headers["content-type"] == answer.headers["Content-Type"]
    assert entry.response.length == len(answer.content)
    assert 0 <= entry.duration < 60


def test_a_dropped_request_has_no_response(api: Any) -> None:
    """The connection was closed instead."""
    api.tenant.fail(drop="after_commit")
    with pytest.raises(requests.ConnectionError):
        api.list()
    assert (api.tenant.journal[0].status, api.tenant.journal[0].response) == (None, None)


def test_a_response_that_is_not_json_or_too_long_has_no_body(api: Any) -> None:
    """Its length is known all the same."""
    api.tenant.fail(status=502, html=True)
    api.list()
    api.tenant.fail(status=500, body={"long": "x" * 2_000_000})
    api.list()
    assert [entry.response.body for entry in api.tenant.journal] == [None, None]
    assert api.tenant.journal[1].response.length > 2_000_000
    assert api.tenant.journal[1].size < 10_000


SECRET = "s3cret"


def test_secrets_are_masked_wherever_they_stand(api: Any) -> None:
    """In queries, forms, JSON, responses, cookies and addresses; the journal's own texts have none."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    api("GET", f"/userinfo?access_token={SECRET}&x=1")
    api("POST", "/login", data={"username": "ada", "password": SECRET, "state": "x"})
    api(
        "POST",
        "/oauth/token",
        data=f"grant_type=authorization_code&code={SECRET}&code_verifier={SECRET}",
        headers=form,
    )
    api("POST", "/dbconnections/signup", json={"email": "a@b.c", "password": SECRET, "connection": "x"})
    api("GET", "/api/v2/users", headers={"Referer": f"http://x/#id_token={SECRET}", "Cookie": f"a={SECRET}"})
    headers = {"Set-Cookie": f"auth0={SECRET}; Path=/", "Location": f"/callback?code={SECRET}&state=1"}
    api.tenant.fail(
        status=401,
        headers=headers,
        body={"access_token": SECRET, "identities": [{"access_token_secret": SECRET}]},
    )
    api("GET", "/api/v2/users")
    for entry in api.tenant.journal:
        shown = [entry.query, dict(entry.headers), entry.body, entry.response.headers, entry.response.body]
        assert SECRET not in repr(shown), entry.path
        assert SECRET not in repr(entry)
    asked, page, code, *_, last = api.tenant.journal
    assert asked.query == "access_token=<masked>&x=1"
    assert page.body == {"username": "ada", "password": "<masked>", "state": "x"}
    assert code.body == {"grant_type": "authorization_code", "code": "<masked>", "code_verifier": "<masked>"}
    assert last.response.headers["set-cookie"] == "auth0=<masked>; Path=/"
    assert last.response.headers["location"] == "/callback?code=<masked>&state=1"
    assert last.response.body == {
        "access_token": "<masked>",
        "identities": [{"access_token_secret": "<masked>"}],
    }


@pytest.mark.parametrize("path", ["/login", "/oauth/token", "/dbconnections/signup"])
def test_broken_json_that_is_labelled_a_form_is_not_shown(api: Any, path: str) -> None:
    """`curl -d` labels everything a form; as one, the whole text would be a field's name."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    api("POST", path, data='{"password": "s3cret",}', headers=form)
    assert api.tenant.journal[0].body is None


@pytest.mark.parametrize(
    "name", ["user[password]", "clientSecret", "X-API-Key", "otp", "DB_PASSWORD", "session_token"]
)
def test_names_of_secrets_are_known_in_any_spelling(api: Any, name: str) -> None:
    """In forms, JSON and queries."""
    api("POST", "/login", data={name: "s3cret", "x": "1"})
    api("POST", "/api/v2/nowhere", params={name: "s3cret"}, json={"options": [{name: ["s3cret"]}]})
    form, body = api.tenant.journal
    assert (form.body, body.body) == ({name: "<masked>", "x": "1"}, {"options": [{name: "<masked>"}]})
    assert "s3cret" not in body.query


def test_the_settings_of_refresh_tokens_are_readable(api: Any) -> None:
    """A client has an object of that name; as text it is a token."""
    settings = {"refresh_token": {"rotation_type": "rotating"}, "is_first_party": True}
    api("POST", "/api/v2/nowhere", json={**settings, "password": None, "client": {"refresh_token": "x"}})
    assert api.tenant.journal[0].body == {
        **settings,
        "password": None,
        "client": {"refresh_token": "<masked>"},
    }
