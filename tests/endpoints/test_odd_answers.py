"""Every public method of `client.users` and `client.jobs` believes a response only for what was asked for."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.json_strategies import json_values

from auth0_meta import Auth0MetaError, Job, ManagementClient, OutcomeUnknown, Page, TransportError, User
from auth0_meta.endpoints.jobs import Jobs
from auth0_meta.endpoints.users import Users
from auth0_meta.http.transport import Response
from auth0_meta.testing import FakeClock

ID, JOB, CONNECTION, EMAIL = "auth0|1", "job_1", "con_0000000000000001", "ada@example.com"

CALLS: dict[str, Callable[[ManagementClient], Any]] = {
    "users.get": lambda c: c.users.get(ID),
    "users.get of fields": lambda c: c.users.get(ID, fields=["email"]),
    "users.create": lambda c: c.users.create({"connection": "db", "email": EMAIL}),
    "users.update": lambda c: c.users.update(ID, {"app_metadata": {"a": 1}}),
    "users.delete": lambda c: c.users.delete(ID),
    "users.by_email": lambda c: c.users.by_email(EMAIL),
    "users.find": lambda c: c.users.find(EMAIL),
    "users.page": lambda c: c.users.page(page=1, per_page=2),
    "users.page of fields": lambda c: c.users.page(page=1, per_page=2, fields=["email"]),
    "users.page without totals": lambda c: c.users.page(page=1, per_page=2, include_totals=False),
    "users.search": lambda c: list(c.users.search(per_page=2, limit=4)),
    "jobs.export_users": lambda c: c.jobs.export_users(connection_id=CONNECTION),
    "jobs.import_users": lambda c: c.jobs.import_users([{"email": EMAIL}], connection_id=CONNECTION),
    "jobs.get": lambda c: c.jobs.get(JOB),
    "jobs.errors": lambda c: c.jobs.errors(JOB),
    "jobs.wait": lambda c: c.jobs.wait(JOB, timeout=5),
    "jobs.download": lambda c: c.jobs.download(JOB, io.BytesIO()),
}
WRITES = {
    "users.create",
    "users.update",
    "users.set_metadata",
    "users.delete",
    "jobs.export_users",
    "jobs.import_users",
}
every = pytest.mark.parametrize("name", CALLS)


def client_of(status: int, body: bytes) -> ManagementClient:
    """Return a client that always gets this response."""
    client = ManagementClient("http://127.0.0.1:1", token="any.given.token", clock=FakeClock())
    client._channel.transport.send = lambda *_, **__: Response(status, {}, body)  # type: ignore[method-assign]
    return client


def user(**fields: Any) -> dict[str, Any]:
    """Return the profile that most calls ask for."""
    return {"user_id": ID, "email": EMAIL, **fields}


def job(**fields: Any) -> dict[str, Any]:
    """Return the job that most calls ask for."""
    return {"id": JOB, "status": "completed", **fields}


def page(**fields: Any) -> dict[str, Any]:
    """Return page 1 of pages of 2 users."""
    users = [{"user_id": "a"}, {"user_id": "b"}]
    return {"start": 2, "limit": 2, "length": 2, "users": users, "total": 9, **fields}


def test_every_method_is_tried() -> None:
    """A new one is added to `CALLS`; `set_metadata` is a transaction, whose tests try its responses."""
    methods = {
        f"{kind.__name__.lower()}.{name}" for kind in (Users, Jobs) for name in vars(kind) if name[0] != "_"
    }
    assert methods == {"users.set_metadata", *(name.split()[0] for name in CALLS)}


NOBODYS: dict[str, Any] = {
    "an object": {"a": 1},
    "an error": {"statusCode": 503, "error": "Service Unavailable", "message": "maintenance"},
    "a message": {"message": "ok"},
    "a list of numbers": [7],
    "a list of lists": [[]],
    "a list of nothing": [None],
    "a list of objects": [{}],
    "a string": ID,
    "a number": 7,
    "true": True,
    "null": None,
    "another user": {"user_id": "auth0|2", "email": "eve@example.com", "app_metadata": {"plan": "canary"}},
    "another user in a list": [{"user_id": "auth0|2", "email": "eve@example.com"}, 5],
    "an id that is a list": {"user_id": [ID], "id": [JOB], "status": "completed"},
    "no id": {"user_id": "", "id": "", "status": "completed"},
    "another job": {"id": "job_2", "status": "completed", "type": "other"},
    "a job without a status": {"id": JOB},
    "users that are numbers": page(users=[7, 8]),
    "users that are a user": page(users=user()),
}


@every
@pytest.mark.parametrize("body", NOBODYS.values(), ids=NOBODYS)
def test_what_nobody_asked_for_is_not_data(name: str, body: Any) -> None:
    """A read has no usable response, the outcome of a write is open, and the message says which request it was."""
    with pytest.raises(TransportError) as caught:
        CALLS[name](client_of(200, json.dumps(body).encode()))
    message = str(caught.value)
    assert isinstance(caught.value, OutcomeUnknown) == (name in WRITES)
    assert ("It may have been applied" in message) == (name in WRITES)
    assert "Nothing was written" not in message
    assert message.startswith(("GET ", "POST ", "PATCH ", "DELETE "))
    assert "canary" not in message
    assert EMAIL not in message


@every
@pytest.mark.parametrize(
    "body", [b"<html>", b'{"user_id":"auth0|1"', b"[NaN]", b'{"id":1,"id":2}', b"\xff", b"[" * 100_000, b" "]
)
def test_what_is_not_json_is_not_data(name: str, body: bytes) -> None:
    """So it is for every method, a DELETE too."""
    with pytest.raises(TransportError) as caught:
        CALLS[name](client_of(200, body))
    assert isinstance(caught.value, OutcomeUnknown) == (name in WRITES)


@every
def test_a_part_is_not_data(name: str) -> None:
    """A 206 has only a part of what was asked for."""
    for body in (user(), job(), page(), [user()]):
        with pytest.raises(TransportError, match="part"):
            CALLS[name](client_of(206, json.dumps(body).encode()))


ODD_PAGES: dict[str, Any] = {
    "another page": page(start=0),
    "a page further on": page(start=4),
    "a start that is text": page(start="2"),
    "a start that is true": page(start=True),
    "a start that is null": page(start=None),
    "a start below 0": page(start=-2),
    "larger pages": page(start=50, limit=50),
    "no limit": page(limit=None),
    "a limit of 0": page(start=0, limit=0, users=[], length=0),
    "more users than the limit": page(users=[{"user_id": str(n)} for n in range(3)], length=3),
    "another length": page(length=1),
    "a length that is text": page(length="2"),
    "a total below what it shows": page(total=3),
    "a total that is text": page(total="9"),
    "a total that is null": page(total=None),
    "a total below 0": page(total=-1),
    "a user without an id": page(users=[{"user_id": "a"}, {"email": EMAIL}]),
    "a list that is too long": [{"user_id": str(n)} for n in range(3)],
}


@pytest.mark.parametrize("body", ODD_PAGES.values(), ids=ODD_PAGES)
@pytest.mark.parametrize("name", ["users.page", "users.page of fields", "users.page without totals"])
def test_another_page_is_not_data(name: str, body: Any) -> None:
    """Where it begins, how long it is and how many there are must agree with what was asked for."""
    with pytest.raises(TransportError, match="GET users got a 200"):
        CALLS[name](client_of(200, json.dumps(body).encode()))


def test_a_first_page_without_the_users_that_it_counts_is_not_data() -> None:
    """Else a search would end without users, as if nobody matched."""
    body = {"start": 0, "limit": 2, "length": 0, "users": [], "total": 9}
    with pytest.raises(TransportError, match="without any of the users"):
        CALLS["users.search"](client_of(200, json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("users.get", user(app_metadata=None)),
        ("users.get of fields", user()),
        ("users.create", user(email=EMAIL.upper())),
        ("users.create", {"user_id": "auth0|new"}),
        ("users.update", user(app_metadata={"a": 1})),
        ("users.update", user(user_metadata=[1])),
        ("users.delete", user()),
        ("users.by_email", []),
        ("users.by_email", [user(email=EMAIL.upper()), {"user_id": "auth0|2"}]),
        (
            "users.by_email",
            [user(email="other@example.com", identities=[{"profileData": {"email": EMAIL}}])],
        ),
        ("users.page", page()),
        ("users.page", page(limit=1, start=1, length=1, users=[{"user_id": "a"}])),
        ("users.page", [{"user_id": "a"}]),
        ("users.page", page(users=[], length=0, total=0)),
        ("users.page without totals", [{"user_id": "a"}]),
        ("jobs.export_users", job(type="users_export", connection_id=CONNECTION)),
        ("jobs.import_users", job(type="users_import")),
        ("jobs.get", job(type="verification_email")),
        ("jobs.errors", job(status="failed")),
        ("jobs.errors", [{"user": {}, "errors": [{"code": "X"}]}]),
        ("jobs.wait", job()),
    ],
)
def test_what_was_asked_for_is_data(name: str, body: Any) -> None:
    """Auth0 may leave out what is empty, change the case of an address, and limit pages more than was asked for."""
    CALLS[name](client_of(200, json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("users.create", user(email="eve@example.com")),
        ("users.by_email", [user(), user(user_id="auth0|2", email="eve@example.com")]),
        ("users.update", user(app_metadata=[1])),
        ("jobs.export_users", job(type="users_import")),
        ("jobs.import_users", job(type="users_import", connection_id="con_other")),
        ("jobs.get", job(id="job_11")),
        ("jobs.errors", job(id="job_2")),
        ("jobs.errors", [{"user": {}}]),
    ],
)
def test_what_is_nearly_it_is_not_data(name: str, body: Any) -> None:
    """Another user, address, type or connection is something else."""
    with pytest.raises(TransportError):
        CALLS[name](client_of(200, json.dumps(body).encode()))


def test_an_id_that_was_given_to_a_new_user_comes_back() -> None:
    """Auth0 puts the provider before it."""
    body = {"connection": "db", "user_id": "1"}
    assert client_of(201, b'{"user_id":"auth0|1"}').users.create(body).user_id == "auth0|1"
    with pytest.raises(OutcomeUnknown, match="to be created"):
        client_of(201, b'{"user_id":"auth0|21"}').users.create(body)


def test_a_request_of_ones_own_takes_any_json_but_an_error() -> None:
    """What another endpoint returns is not known here; an error with a 2xx is recognized."""
    for body in (b"7", b"null", b"", b'{"message":"hello"}', b'{"statusCode":200,"message":"ok"}', b"[{}]"):
        client_of(200, body).request("GET", "clients")
    error = b'{"statusCode":503,"error":"Service Unavailable","message":"canary"}'
    with pytest.raises(TransportError, match="an error with the status 503") as caught:
        client_of(200, error).request("GET", "clients")
    assert "canary" not in str(caught.value)
    with pytest.raises(OutcomeUnknown):
        client_of(201, error).request("POST", "clients", json={"name": "x"})
    for method in ("GET", "HEAD"):  # they write nothing
        with pytest.raises(TransportError) as caught:
            client_of(206, b"").request(method, "clients")
        assert caught.type is TransportError
        assert "applied" not in str(caught.value)


def fits(name: str, result: Any) -> bool:
    """Return whether a result is what its method promises."""
    if name == "users.delete":
        return result is None
    if name == "jobs.errors":
        return isinstance(result, list) and all(isinstance(row, dict) for row in result)
    if isinstance(result, Page):
        return all(isinstance(n, int) for n in (result.start, result.limit)) and fits(name, result.users)
    if isinstance(result, tuple | list):
        return all(isinstance(one, User) and one.user_id and repr(one) for one in result)
    if isinstance(result, Job):
        return bool(result.id and result.status) and isinstance(result.type, str)
    return isinstance(result, User) and bool(result.user_id) and bool(repr(result))


_FIELDS = """
    user_id id status type users start limit length total errors email app_metadata user_metadata identities
    statusCode message connection_id
"""
_fields = st.sampled_from(_FIELDS.split())
_values = json_values | st.sampled_from([ID, JOB, EMAIL, "completed", "users_export", [user()], 2])
_objects = st.dictionaries(_fields, _values, max_size=8)
bodies = (
    st.sampled_from([user(), job(), page(), [user()]]).flatmap(
        lambda base: _objects.map(lambda more: {**base, **more} if isinstance(base, dict) else [*base, more])
    )
    | _objects
    | st.lists(_objects | json_values, max_size=3)
    | json_values
)


@every
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(status=st.sampled_from([200, 201, 202, 204, 206]), body=bodies | st.binary(max_size=20))
@example(status=200, body=job(location="https://[::1/x"))
@example(status=200, body=job(location="http://127.0.0.1:port/x"))
@example(status=200, body=job(location="http://127.0.0.1:1/a b\r\nX: 1"))
@example(status=200, body=job(location="http://127.0.0.1:1/\ud800\u00e4"))
@example(status=200, body=job(location=["http://127.0.0.1:1/"]))
def test_any_json_is_data_that_fits_or_an_error_of_ours(name: str, status: int, body: Any) -> None:
    """No response, whatever it holds, comes back in a wrong shape or as a built-in exception."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    try:
        result = CALLS[name](client_of(status, data))
    except Auth0MetaError:
        return
    assert name == "jobs.download" or fits(name, result)
