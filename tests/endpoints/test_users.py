from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_server import Reply, ScriptedServer, Seen, boom, connect

from auth0_meta import ManagementClient, User
from auth0_meta.errors import (
    AlreadyExistsError,
    BadRequestError,
    InputError,
    MetadataError,
    NotFoundError,
    PagingError,
    TransportError,
)
from auth0_meta.http.request import user_path
from auth0_meta.testing import FakeClock

IDS = {
    "auth0|507f1f77bcf86cd799439020": "auth0%7C507f1f77bcf86cd799439020",
    "oauth2|siwe|eip155%3A5%3A0xAB": "oauth2%7Csiwe%7Ceip155%253A5%253A0xAB",
    "samlp|con/nection|a/b": "samlp%7Ccon%2Fnection%7Ca%2Fb",
    "oidc|a:b@c.example": "oidc%7Ca%3Ab%40c.example",
    "sms|a#b": "sms%7Ca%23b",
    "a?b=1&c": "a%3Fb%3D1%26c",
    "../clients": "..%2Fclients",
    "auth0|..": "auth0%7C..",
    "auth0|a+b;c,d": "auth0%7Ca%2Bb%3Bc%2Cd",
    "auth0|a\\b": "auth0%7Ca%5Cb",
    "auth0|%7C": "auth0%7C%257C",
    "%2e%2e": "%252e%252e",
    "adfs|j\u00f6hn": "adfs%7Cj%C3%B6hn",
    "auth0|~-_.!'()*": "auth0%7C~-_.%21%27%28%29%2A",
}
NOT_IDS: list[Any] = [
    "",
    " ",
    "auth0| 1",
    "auth0|1 ",
    "auth0|1\n",
    "a\tb",
    "a\u00a0b",
    "a\x00",
    "\ud800",
    ".",
    "..",
    None,
    5,
    b"auth0|1",
]


# Ids -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("user_id", "encoded"), IDS.items())
def test_ids_are_encoded_once_on_the_wire(user_id: str, encoded: str) -> None:
    """Any id reaches the server as one path segment, percent-encoded exactly once."""
    profile = Reply(200, {"user_id": user_id})
    with ScriptedServer(lambda _: profile) as server, connect(server) as client:
        client.users.get(user_id)
        client.users.get(user_id, fields=["email"])
        client.users.update(user_id, {"name": "x"})
        client.users.delete(user_id)
        with client.transaction(user_id) as tx:
            tx.user_metadata["theme"] = "dark"
        assert {path.partition("?")[0] for path in server.paths()} == {f"/api/v2/users/{encoded}"}
        assert len(server.seen) == 5


@given(
    st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Cf", "Co")), min_size=1)
)
def test_an_encoded_id_reads_back(user_id: str) -> None:
    """Decoding the path once gives the id, and the id adds no slash, query or fragment."""
    if user_id in (".", ".."):
        return
    path = user_path(user_id)
    assert path.count("/") == 4
    assert unquote(path.removeprefix("/api/v2/users/")) == user_id
    assert urlsplit(path).path == path


@pytest.mark.parametrize("user_id", NOT_IDS, ids=repr)
def test_a_bad_id_sends_nothing(user_id: Any) -> None:
    """An empty id, white space, a path and anything but a string are refused before the first request."""
    with ScriptedServer() as server, connect(server) as client:
        calls: list[Callable[[], object]] = [
            lambda: client.users.get(user_id),
            lambda: client.users.update(user_id, {"name": "x"}),
            lambda: client.users.delete(user_id),
            lambda: client.transaction(user_id),
        ]
        for call in calls:
            with pytest.raises(MetadataError):
                call()
        assert server.seen == []


# One user --------------------------------------------------------------------------------------------


def test_a_user_is_read_whole() -> None:
    """`get` returns the whole profile."""
    with ScriptedServer(Reply(200, {"user_id": "auth0|1", "app_metadata": {"a": 1}})) as server:
        with connect(server) as client:
            user = client.users.get("auth0|1")
        assert (user.user_id, user.app_metadata, user.omitted) == ("auth0|1", {"a": 1}, frozenset())
        assert (server.seen[0].method, server.seen[0].body) == ("GET", b"")


@pytest.mark.parametrize(
    ("fields", "query", "omitted"),
    [
        (["email"], "email", {"user_metadata", "app_metadata"}),
        (["email", "app_metadata"], "email,app_metadata", {"user_metadata"}),
        ("user_metadata", "user_metadata", {"app_metadata"}),
        (("user_metadata", "app_metadata"), "user_metadata,app_metadata", set()),
        (["user_metadata.theme"], "user_metadata.theme", {"user_metadata", "app_metadata"}),
    ],
)
def test_a_read_of_some_fields_names_what_it_left_out(fields: Any, query: str, omitted: set[str]) -> None:
    """`fields` goes into the query, with the id; metadata that was not requested is unknown, not empty."""
    reply = Reply(200, {"user_id": "auth0|1", "email": "a@b"})
    with ScriptedServer(reply) as server, connect(server) as client:
        user = client.users.get("auth0|1", fields=fields)
        assert user.omitted == omitted
        assert parse_qs(urlsplit(server.seen[0].path).query) == {
            "fields": [f"{query},user_id"],
            "include_fields": ["true"],
        }


@pytest.mark.parametrize("fields", [[], "", [""], ["a,b"], [5], [None]])
def test_bad_fields_send_nothing(fields: Any) -> None:
    """Field names that would make a broken query are refused."""
    with ScriptedServer() as server, connect(server) as client:
        for call in (
            lambda: client.users.get("auth0|1", fields=fields),
            lambda: client.users.page(fields=fields),
            lambda: client.users.search(fields=fields),
        ):
            with pytest.raises(InputError):
                call()
        assert server.seen == []


def test_an_unknown_user_is_not_found() -> None:
    """A 404 raises NotFoundError, which is a LookupError and names the user."""
    gone = boom(404, "Not Found", "The user does not exist.", "inexistent_user")
    with ScriptedServer(gone) as server, connect(server) as client, pytest.raises(LookupError) as caught:
        client.users.get("auth0|1")
    assert isinstance(caught.value, NotFoundError)
    assert caught.value.user_id == "auth0|1"


def test_users_are_created_updated_and_deleted() -> None:
    """Bodies are sent unchanged as compact UTF-8 JSON; create and update return the profile."""
    with ScriptedServer(
        Reply(201, {"user_id": "auth0|1"}), Reply(200, {"user_id": "auth0|1"}), Reply(204)
    ) as server:
        with connect(server) as client:
            assert client.users.create({"connection": "c", "name": "\u00c5da"}) == User(
                {"user_id": "auth0|1"}
            )
            client.users.update("auth0|1", {"app_metadata": {}, "user_metadata": {"a": None}})
            assert client.users.delete("auth0|1") is None
        first, second, third = server.seen
        assert (first.method, first.path, first.body) == (
            "POST",
            "/api/v2/users",
            '{"connection":"c","name":"\u00c5da"}'.encode(),
        )
        assert (second.method, second.body) == ("PATCH", b'{"app_metadata":{},"user_metadata":{"a":null}}')
        assert (third.method, third.body) == ("DELETE", b"")
        assert {s.headers.get("Content-Type") for s in server.seen} == {"application/json", None}


def test_a_duplicate_is_an_error() -> None:
    """A 409 on a create raises AlreadyExistsError, and the create is not repeated."""
    with ScriptedServer(boom(409, "Conflict", "The user already exists.", "auth0_idp_error")) as server:
        with connect(server) as client, pytest.raises(AlreadyExistsError):
            client.users.create({"connection": "c"})
        assert len(server.seen) == 1


def _cycle() -> dict[str, Any]:
    one: dict[str, Any] = {}
    one["self"] = one
    return one


@pytest.mark.parametrize(
    "body",
    [
        {},
        None,
        [],
        "x",
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": b"x"},
        {"a": {1}},
        {"a": "\ud800"},
        _cycle(),
    ],
    ids=lambda body: type(body).__name__,
)
def test_a_bad_body_sends_nothing(body: Any) -> None:
    """An empty body and one that JSON can't represent are refused before the first request."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.users.create(body)
        with pytest.raises(InputError):
            client.users.update("auth0|1", body)
        assert server.seen == []


# By email --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "email", ["ada+tag@example.com", "a&b=c@example.com", "\u00e5@example.com", "a%40b@c"]
)
def test_by_email_requests_exactly_this_address(email: str) -> None:
    """The address is encoded once, and every user who has it is returned."""
    with (
        ScriptedServer(Reply(200, [{"user_id": "a"}, {"user_id": "b"}])) as server,
        connect(server) as client,
    ):
        found = client.users.by_email(email)
        assert [u.user_id for u in found] == ["a", "b"]
        parts = urlsplit(server.seen[0].path)
        assert (parts.path, parse_qs(parts.query)) == ("/api/v2/users-by-email", {"email": [email]})


@pytest.mark.parametrize("email", ["", "  ", None, 5, "a\ud800@b"])
def test_a_bad_address_sends_nothing(email: Any) -> None:
    """An invalid address is refused before the first request."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.users.by_email(email)
        assert server.seen == []


# Searching -------------------------------------------------------------------------------------------


class Directory:
    """A server that responds to `GET /users` as Auth0 does, with `count` users."""

    def __init__(self, count: int, *, cap: int = 100) -> None:
        self.rows = [{"user_id": f"u{n}"} for n in range(count)]
        self.cap = cap

    def __call__(self, seen: Seen) -> Reply:
        """Return one page."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}
        size = min(int(query["per_page"]), self.cap)
        start = int(query["page"]) * size
        if start + size > 1000:
            return boom(
                400, "Bad Request", "You can only page through the first 1000 records.", "invalid_paging"
            )
        rows = self.rows[start : start + size]
        if query.get("include_totals") != "true":
            return Reply(200, rows)
        body = {"start": start, "limit": size, "length": len(rows), "users": rows, "total": len(self.rows)}
        return Reply(200, body)


def _query(seen: Seen) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(seen.path).query).items()}


def test_a_page_has_start_limit_and_total() -> None:
    """Every argument of `page` reaches the query."""
    with ScriptedServer(Directory(70)) as server, connect(server) as client:
        page = client.users.page(q='email:"a"', sort="created_at:1", fields=["user_id"], page=1, per_page=50)
        assert (len(page.users), page.start, page.limit, page.total) == (20, 50, 50, 70)
        assert page.users[0].omitted == {"user_metadata", "app_metadata"}
        assert _query(server.seen[0]) == {
            "q": 'email:"a"',
            "search_engine": "v3",
            "sort": "created_at:1",
            "fields": "user_id",
            "include_fields": "true",
            "page": "1",
            "per_page": "50",
            "include_totals": "true",
        }
        bare = client.users.page(include_totals=False)
        assert (len(bare.users), bare.start, bare.limit, bare.total) == (50, 0, 50, None)
        assert _query(server.seen[1]) == {"page": "0", "per_page": "50"}


@pytest.mark.parametrize(
    "settings",
    [
        {"per_page": 0},
        {"per_page": 101},
        {"per_page": "5"},
        {"per_page": True},
        {"per_page": 1.0},
        {"page": -1},
        {"page": "0"},
        {"page": None},
    ],
)
def test_a_bad_page_sends_nothing(settings: dict[str, Any]) -> None:
    """Page numbers and sizes are checked before the first request."""
    with ScriptedServer(Directory(5)) as server, connect(server) as client:
        with pytest.raises(InputError):
            client.users.page(**settings)
        if "per_page" in settings:
            with pytest.raises(InputError):
                client.users.search(**settings)
        assert server.seen == []


@pytest.mark.parametrize(
    ("page", "per_page", "sent"),
    [
        (9, 100, True),
        (10, 100, False),
        (19, 50, True),
        (20, 50, False),
        (32, 30, True),
        (33, 30, False),
        (999, 1, True),
        (1000, 1, False),
    ],
)
def test_a_page_past_the_cap_is_not_requested(page: int, per_page: int, sent: bool) -> None:
    """For the 1001st result and later ones, the error suggests an export job."""
    with ScriptedServer(Directory(5)) as server, connect(server) as client:
        if sent:
            client.users.page(page=page, per_page=per_page)
        else:
            with pytest.raises(PagingError, match="export job") as caught:
                client.users.page(page=page, per_page=per_page)
            assert (caught.value.status, caught.value.error_code) == (400, "invalid_paging")
        assert len(server.seen) == sent


@pytest.mark.parametrize(
    ("count", "per_page", "limit", "requests"),
    [
        (0, 100, None, 1),
        (99, 100, None, 1),
        (100, 100, None, 1),
        (101, 100, None, 2),
        (1000, 100, None, 10),
        (1000, 50, None, 20),
        (250, 100, 0, 0),
        (250, 100, 1, 1),
        (250, 100, 100, 1),
        (250, 100, 101, 2),
        (5000, 100, 1000, 10),
    ],
)
def test_a_search_yields_every_user_once(count: int, per_page: int, limit: int | None, requests: int) -> None:
    """All matches up to `limit` come once and in order, without an unnecessary request."""
    with ScriptedServer(Directory(count)) as server, connect(server) as client:
        found = [u.user_id for u in client.users.search(q="x", per_page=per_page, limit=limit)]
        assert found == [f"u{n}" for n in range(count if limit is None else min(count, limit))]
        assert len(server.seen) == requests


@pytest.mark.parametrize(("per_page", "yielded"), [(100, 1000), (50, 1000), (30, 990)])
def test_a_search_past_the_cap_ends_in_an_error(per_page: int, yielded: int) -> None:
    """If more users match than Auth0 returns, the search yields those and then raises PagingError."""
    found: list[User] = []
    with ScriptedServer(Directory(1001)) as server, connect(server) as client:
        with pytest.raises(PagingError, match="export job"):
            found.extend(client.users.search(per_page=per_page))
        assert len(found) == yielded
        assert len(server.seen) == yielded // per_page


def test_smaller_pages_than_requested_lose_no_user() -> None:
    """A server that returns fewer users per page than requested does not end the search early."""
    with ScriptedServer(Directory(170, cap=50)) as server, connect(server) as client:
        assert len([*client.users.search()]) == 170
        assert len(server.seen) == 4


def test_a_total_that_shrinks_ends_the_search() -> None:
    """An empty page ends the search, whatever the total was."""
    rows = [{"user_id": str(n)} for n in range(100)]
    replies = [Reply(200, {"users": rows, "total": 150}), Reply(200, {"users": [], "total": 150})]
    with ScriptedServer(*replies) as server, connect(server) as client:
        assert len([*client.users.search()]) == 100
        assert len(server.seen) == 2


def test_a_page_that_does_not_follow_the_one_before_is_an_error() -> None:
    """The same page again, as from a cache that ignores queries, and pages of another size would repeat or skip users."""
    full = [{"user_id": str(n)} for n in range(100)]
    half = {"start": 0, "limit": 50, "length": 50, "users": full[:50], "total": 300}
    skips = {"start": 100, "limit": 100, "length": 100, "users": full, "total": 300}
    for replies, yielded in (((Reply(200, full),), 100), ((Reply(200, half), Reply(200, skips)), 50)):
        found: list[User] = []
        with ScriptedServer(*replies) as server, connect(server) as client:
            with pytest.raises(TransportError, match="page 1 that does not follow"):
                found.extend(client.users.search())
            assert len(found) == yielded


def test_without_totals_a_short_page_ends_the_search() -> None:
    """If the response is a bare list, a page that is not full is the last one."""
    full = [{"user_id": str(n)} for n in range(100)]
    with ScriptedServer(Reply(200, full), Reply(200, full[:3])) as server, connect(server) as client:
        assert len([*client.users.search()]) == 103
        assert len(server.seen) == 2


@pytest.mark.parametrize("limit", [-1, 1.5, "5", True])
def test_a_bad_limit_fails_at_once(limit: Any) -> None:
    """An invalid limit is refused by the call itself, before iterating."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.users.search(limit=limit)
        assert server.seen == []


@pytest.mark.parametrize("body", [{}, {"users": {}}, {"users": None}, 5, "x", None])
def test_a_200_without_users_is_an_error(body: Any) -> None:
    """A 200 whose body has no list of users is an error, not an empty result."""
    with ScriptedServer(Reply(200, body)) as server, connect(server, clock=FakeClock()) as client:
        with pytest.raises(TransportError):
            client.users.page()
        with pytest.raises(TransportError):
            client.users.by_email("a@b")


def test_an_error_shows_nothing_of_the_query() -> None:
    """Neither its fields' values nor a free word, however the query was given."""
    refused = boom(400, "Bad Request", "Failed to parse query [swordfish] near marlin", "invalid_query")
    with ScriptedServer(refused) as server, connect(server) as client:
        for call in (
            lambda: client.users.page(q="swordfish name:marlin"),
            lambda: list(client.users.search(q="swordfish name:marlin")),
            lambda: client.request("GET", "users", params={"q": "swordfish name:marlin"}),
            lambda: client.request("GET", "users?q=swordfish+name%3Amarlin&page=0"),
        ):
            with pytest.raises(BadRequestError) as caught:
                call()
            assert caught.value.api_message == "Failed to parse query [***] near ***"
            assert "swordfish" not in str(caught.value)


def test_a_search_continues_after_a_429() -> None:
    """A search survives a rate limit on one of its pages."""
    directory, left = Directory(150), [Reply(429, {}, {"Retry-After": "1"})]
    clock = FakeClock()

    def respond(seen: Seen) -> Reply:
        return left.pop() if "page=1" in seen.path and left else directory(seen)

    with ScriptedServer(respond) as server, connect(server, clock=clock) as client:
        assert len([*client.users.search()]) == 150
    assert len(clock.slept) == 1


def test_methods_belong_to_their_client() -> None:
    """The `users` of two clients share nothing."""
    with ScriptedServer() as one, ScriptedServer() as two, connect(one) as first, connect(two) as second:
        first.users.get("auth0|1")
        second.users.get("auth0|2")
        assert isinstance(first, ManagementClient)
        assert (one.paths(), two.paths()) == (["/api/v2/users/auth0%7C1"], ["/api/v2/users/auth0%7C2"])
