"""`client.request` with values that are filled into the path."""

from __future__ import annotations

import enum
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_server import Reply, ScriptedServer, connect, limited

from auth0_meta import User, Wait
from auth0_meta.errors import InputError, NotFoundError
from auth0_meta.http.request import Endpoint
from auth0_meta.testing import FakeClock


class Connection(str, enum.Enum):  # noqa: UP042  # it prints otherwise than a StrEnum
    """A name that prints as something else."""

    USERS = "con/1"


class Number(enum.IntEnum):
    """A number that may print as something else."""

    SEVEN = 7


@pytest.mark.parametrize(
    ("path", "values", "sent"),
    [
        ("users/{}/roles", ["auth0|1"], "users/auth0%7C1/roles"),
        ("/api/v2/users/{}/roles", ["auth0|1"], "users/auth0%7C1/roles"),
        ("/users/{}", ["a/b?c#d%7C e".replace(" ", "")], "users/a%2Fb%3Fc%23d%257Ce"),
        ("users/{}/roles", [User.from_dict({"user_id": "oidc|a:b@c"})], "users/oidc%7Ca%3Ab%40c/roles"),
        (
            "organizations/{}/members/{}/roles",
            ["org_1", "auth0|1"],
            "organizations/org_1/members/auth0%7C1/roles",
        ),
        ("organizations/name/{}", ["{}"], "organizations/name/%7B%7D"),
        ("x/{}", [7], "x/7"),
        ("x/{}", [0], "x/0"),
        ("x/{}", [Number.SEVEN], "x/7"),
        ("x/{}", [Connection.USERS], "x/con%2F1"),
        ("x/{}", ["\u00e5 b"], "x/%C3%A5%20b"),
        ("x/{}", ["..."], "x/..."),
        ("x/a-{}.json", ["b"], "x/a-b.json"),
        ("users/a%7Cb/x/{}", ["c"], "users/a%7Cb/x/c"),
        ("users/{}/logs?page=1", ["auth0|1"], "users/auth0%7C1/logs?page=1"),
        ("users?q=n:{1 TO 2}".replace(" ", "%20"), [], "users?q=n:%7B1%20TO%202%7D"),
        ("x/%7Bid%7D", [], "x/%7Bid%7D"),
    ],
)
def test_values_fill_in_a_path(path: str, values: list[Any], sent: str) -> None:
    """Each `{}` becomes one value, percent-encoded whole; the rest of the path is sent as it is."""
    with ScriptedServer() as server, connect(server) as client:
        client.request("GET", path, *values)
        assert server.paths() == [f"/api/v2/{sent}"]


NOBODY = User.from_dict({"email": "a@b"})


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("users/{}/roles", []),
        ("users/roles", ["auth0|1"]),
        ("users/{}/roles", ["auth0|1", "auth0|2"]),
        ("a/{}/{}", ["x"]),
        ("users/{0}/roles", ["auth0|1"]),
        ("users/{id}/roles", ["auth0|1"]),
        ("users/{id}/roles", []),
        ("users/{!r}", ["x"]),
        ("users/{:>5}", ["x"]),
        ("users/{{}}", ["x"]),
        ("users/{", []),
        ("users/}", []),
        ("users/{}{", ["x"]),
        ("users?email={}", ["a@b"]),
        ("users/{}?email={}", ["x", "a@b"]),
        ("users?email={}", []),
        *(
            ("x/{}", [value])
            for value in ("", " ", ".", "..", "a\n", "a\x00", "\x1b[31m", "\u202e", "\ud800")
        ),
        *(("x/{}", [value]) for value in (None, True, 1.5, b"x", ["x"], {"a": 1}, object, -1, 2**63, NOBODY)),
        *(("users/{}/roles", [value]) for value in ("a b", " auth0|1", "auth0|1 ", "a\u00a0b")),
        ("x/.{}", ["."]),
        ("x/{}{}", [".", "."]),
        ("{}", [".."]),
        ("x/{}/../y", ["z"]),
        ("x/100%/{}", ["z"]),
        (b"x/{}", ["z"]),
    ],
    ids=repr,
)
def test_a_path_that_cannot_be_filled_in_sends_nothing(path: Any, values: list[Any]) -> None:
    """A wrong number of values, another kind of placeholder and a value that is no part of a path are refused."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError, match=r"nothing was sent|must be a whole number"):
            client.request("GET", path, *values)
        assert server.seen == []


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=3))
def test_what_is_filled_in_reads_back(values: list[str]) -> None:
    """Whatever the values, each is one part of the path, which decodes to it; or the path is refused."""
    template = "x" + "/{}" * len(values)
    try:
        endpoint = Endpoint.of(template, values)
    except InputError:
        assert any(v in (".", "..") or not v.isprintable() or not v.strip() for v in values)
        return
    assert urlsplit(endpoint.path).path == endpoint.path
    assert [unquote(part) for part in endpoint.path.split("/")[4:]] == values
    assert endpoint.shown == "/".join(["x", *values])


@pytest.mark.parametrize(
    ("path", "values", "shown", "user_id"),
    [
        ("users/{}/roles", ["auth0|1"], "users/auth0|1/roles", "auth0|1"),
        ("/api/v2/users/{}?secret=1", ["auth0|1"], "users/auth0|1", "auth0|1"),
        ("users/auth0%7C1/roles?secret=1", [], "/api/v2/users/auth0%7C1/roles", "auth0|1"),
        ("users/auth0|1", [], "/api/v2/users/auth0|1", "auth0|1"),
        ("users/%00", [], "/api/v2/users/%00", None),
        ("users", [], "/api/v2/users", None),
        ("users/", [], "/api/v2/users/", None),
        ("organizations/{}/members", ["org_1"], "organizations/org_1/members", None),
        ("users-by-email/{}", ["x"], "users-by-email/x", None),
    ],
)
def test_errors_name_the_endpoint_and_the_user(
    path: str, values: list[Any], shown: str, user_id: str | None
) -> None:
    """The path is shown as it reads, without its query, and the error has the id of the user whom it is about."""
    refused = Reply(404, {"statusCode": 404, "message": "no"})
    with ScriptedServer(refused) as server, connect(server) as client:
        with pytest.raises(NotFoundError) as caught:
            client.request("GET", path, *values, params={"more": "canary"})
        assert str(caught.value).startswith(f"GET {shown} was refused")
        assert caught.value.user_id == user_id
        assert "canary" not in str(caught.value)
        assert "secret" not in str(caught.value)


def test_a_filled_in_path_counts_against_the_same_bucket() -> None:
    """The rate limit's group is that of the endpoint, and waits name the user."""
    waits: list[Wait] = []
    limited_once = limited(3.0), Reply(200, [])
    with (
        ScriptedServer(*limited_once) as server,
        connect(server, clock=FakeClock(), on_wait=waits.append) as client,
    ):
        client.request("PATCH", "users/{}", "auth0|1", json={"name": "x"})
    assert [(wait.bucket, wait.user_id, wait.method) for wait in waits] == [
        ("users write", "auth0|1", "PATCH")
    ]
