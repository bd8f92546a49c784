"""What anybody may send has a bound: in memory, in threads, and in how long it may take to arrive."""

from __future__ import annotations

import base64
import http.client
import re
import socket
import tracemalloc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from typing import Any

import attrs
import pytest

from auth0_meta.emulator import LocalTenant, Switches
from auth0_meta.emulator.http.message import MOST_LEVELS
from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.rules.search import matcher
from auth0_meta.emulator.serving import server
from auth0_meta.emulator.serving.reading import read_body
from auth0_meta.emulator.state import jobs
from auth0_meta.emulator.state.journal import Journal
from auth0_meta.emulator.state.logins import ExpiringStore

MB = 1_000_000


@pytest.fixture(scope="module")
def served() -> Iterator[LocalTenant]:
    """Yield a tenant with one user."""
    with LocalTenant(users=[{"user_id": "auth0|1"}]) as tenant:
        yield tenant


def connect(tenant: LocalTenant) -> socket.socket:
    """Open a connection to a tenant."""
    return socket.create_connection(("127.0.0.1", tenant.port), timeout=30)


def head(tenant: LocalTenant, *headers: str, line: str = "PATCH /api/v2/users/auth0%7C1 HTTP/1.1") -> bytes:
    """Return the head of a request."""
    return "\r\n".join([line, f"Host: {tenant.domain}", "Authorization: Bearer x", *headers, "", ""]).encode()


def answer(sock: socket.socket) -> http.client.HTTPResponse:
    """Read the head of a response."""
    response = http.client.HTTPResponse(sock)
    response.begin()
    return response


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Fail if the block needs more memory than this at any time."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


class Endless:
    """A source in which the same bytes come again and again."""

    def __init__(self, data: bytes, first: bytes = b"") -> None:
        self.data, self.rest = data, first
        self.given = 0

    def some(self, most: int) -> bytes:
        """Return the next bytes."""
        self.rest = self.rest or self.data
        data, self.rest = self.rest[:most], self.rest[most:]
        self.given += len(data)
        return data

    def line(self, most: int) -> bytes:
        """Return the next line."""
        while b"\r\n" not in self.rest:
            self.rest += self.data
        line, _, self.rest = self.rest.partition(b"\r\n")
        return line


# Bodies -----------------------------------------------------------------------------------------------


def test_an_announced_length_costs_nothing(served: LocalTenant) -> None:
    """Requests that only say how long they will be are refused at once, and take no memory for what has not come."""
    with at_most(20 * MB), ExitStack() as stack:
        socks = [stack.enter_context(connect(served)) for _ in range(24)]
        for sock in socks:
            sock.sendall(head(served, "Content-Type: application/json", "Content-Length: 99999999999"))
        for sock in socks:
            response = answer(sock)
            assert (response.status, response.getheader("Connection")) == (413, "close")


@pytest.mark.parametrize("length", [None, 30 * MB, 10**15], ids=["chunked", "too long", "absurd"])
def test_a_long_body_is_not_kept(length: int | None) -> None:
    """It is read so that the client can read the refusal, but not for ever, and only what may be kept is kept."""
    source = Endless(b"10000\r\n" + b"x" * 65_536 + b"\r\n" if length is None else b"x" * 65_536)
    with at_most(3 * MB):
        assert read_body(source, length, MB) == (None, length == 30 * MB)
    assert source.given < 70 * MB


@pytest.mark.parametrize("size", [0, 1, 65_536, 300_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_up_to_the_limit_is_read_whole(size: int, chunked: bool) -> None:
    """Announced or in chunks of different sizes, with an extension and trailers."""
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    parts = [body[:1], body[1:100], body[100:]] if chunked else []
    sent = (
        b"".join(b"%X;ext=1\r\n%b\r\n" % (len(part), part) for part in parts if part) + b"0\r\nT: 1\r\n\r\n"
    )
    source = Endless(b"", (sent if chunked else body) + b"next")
    assert read_body(source, None if chunked else size, 300_000) == (body, True)
    assert source.some(4) == b"next"


@pytest.mark.parametrize(
    "body",
    [
        *(b"x\r\n", b"\r\n", b"-5\r\n", b"+5\r\nabcde\r\n0\r\n\r\n", b"0x1\r\na\r\n0\r\n\r\n"),
        *(b"1_0\r\n", b"5 5\r\n", b"1" * 17 + b"\r\n", b"1\na\r\n0\r\n\r\n", b"1\r\nabc\r\n0\r\n\r\n"),
        *(b"0\r\nT: " + b"x" * 70_000, b"1" * 70_000, b"0\r\nT: 1\n\r\n"),
        *(b"1;a\rb\r\na\r\n0\r\n\r\n", b"1;\0\r\na\r\n0\r\n\r\n"),
    ],
    ids=range(15),
)
def test_a_malformed_chunk_is_a_400(served: LocalTenant, body: bytes) -> None:
    """And the end of the connection, as nobody knows what follows."""
    before = len(served.journal)
    with connect(served) as sock:
        sock.sendall(head(served, "Transfer-Encoding: chunked", "Content-Type: application/json") + body)
        assert answer(sock).status == 400
    assert len(served.journal) == before


@pytest.mark.parametrize(
    ("header", "body"),
    [("Content-Length: 20", b'{"name": "x"}'), ("Transfer-Encoding: chunked", b'd\r\n{"name": "x"}\r\n')],
    ids=["announced", "chunked"],
)
def test_a_body_that_ends_early_is_not_carried_out(served: LocalTenant, header: str, body: bytes) -> None:
    """The client has gone, so the request is none, although what came would be valid."""
    before = len(served.journal)
    with connect(served) as sock:
        sock.sendall(head(served, header, "Content-Type: application/json") + body)
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""
    assert len(served.journal) == before


@pytest.mark.parametrize("chunked", [False, True])
def test_wsgi_reads_no_more_than_it_keeps(chunked: bool) -> None:
    """A server may hand over a stream without an end."""
    tenant = LocalTenant(serve=False)
    taken = 0

    class Stream:
        def read(self, size: int) -> bytes:
            nonlocal taken
            assert 0 < size <= 65_536
            taken += size
            return b"x" * size

    environ = {
        **{"REQUEST_METHOD": "PATCH", "PATH_INFO": "/api/v2/users/auth0|1", "HTTP_HOST": "localhost"},
        **{"HTTP_AUTHORIZATION": "Bearer x", "CONTENT_TYPE": "application/json", "wsgi.input": Stream()},
        **({"wsgi.input_terminated": True} if chunked else {"CONTENT_LENGTH": "99999999999"}),
    }
    statuses: list[str] = []
    with at_most(10 * MB):
        b"".join(tenant.wsgi(environ, lambda status, _: statuses.append(status)))
    assert statuses[0].startswith("413")
    assert taken < 2 * MB


# Headers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: evil.example\r\nHost: 127.0.0.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: " + b"x" * 200_000, 431),
        (b"GET /" + b"x" * 200_000, 414),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
    ids=["two hosts", "two other hosts", "length", "long header", "long line", "two lengths"],
)
def test_a_request_with_such_headers_is_a_400(served: LocalTenant, sent: bytes, status: int) -> None:
    """And the connection ends."""
    with connect(served) as sock:
        sock.sendall(sent)
        assert answer(sock).status == status


@pytest.mark.parametrize(
    "line",
    [b"GET /\x1b[31m", b"GET /a\x00b", b"GET /a?\x07", b"G\x1bT /", b"GET /\x85", b"GET /\tb"],
    ids=range(6),
)
def test_a_request_line_has_no_control_characters(served: LocalTenant, line: bytes) -> None:
    """It would get into logs and onto the terminal of whoever reads them."""
    before = len(served.journal)
    with connect(served) as sock:
        sock.sendall(line + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert answer(sock).status == 400
    assert len(served.journal) == before


# Time and threads -------------------------------------------------------------------------------------


PARTS = {
    "silence": b"",
    "half a line": b"GET /api/v2/us",
    "half a head": b"PATCH /api/v2/users/a HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    "half a body": b"PATCH /api/v2/users/a HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{",
    "half a chunk": b"PATCH /api/v2/users/a HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{",
}


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("part", PARTS)
def test_unfinished_requests_give_way_if_there_are_no_more_threads(
    part: str, tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many there are, a complete request gets a response; with TLS they don't even finish the handshake."""
    monkeypatch.setattr(server, "_MAX_THREADS", 20)
    with LocalTenant(tls=tls) as tenant, ExitStack() as halves:
        for _ in range(60):
            halves.enter_context(connect(tenant)).sendall(PARTS[part])
        with tenant.client(token="x") as client:
            assert client.request("GET", "users") == []


def test_responses_that_nobody_takes_give_way_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client may ask for much and read nothing."""
    monkeypatch.setattr(server, "_MAX_THREADS", 20)
    with LocalTenant() as tenant, ExitStack() as greedy:
        tenant.users.add(app_metadata={"k": "x" * 8 * MB})
        for _ in range(40):
            sock = greedy.enter_context(connect(tenant))
            sock.sendall(head(tenant, line="GET /api/v2/users HTTP/1.1"))
        with tenant.client(token="x") as client:
            assert client.request("GET", "roles") == []


# Nesting ----------------------------------------------------------------------------------------------


def nested(levels: int) -> str:
    """Return a JSON text of so many levels."""
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("levels", [MOST_LEVELS - 1, MOST_LEVELS + 1, 100_000])
@pytest.mark.parametrize("upsert", ["PATCH", "POST"])
def test_json_is_nested_within_bounds(talk: Any, levels: int, upsert: str) -> None:
    """What is accepted can be read, merged, compared and shown; what is deeper is refused as if it were not JSON."""
    tenant = LocalTenant(serve=False, users=[{"user_id": "auth0|1"}])
    api = talk(tenant)
    body = f'{{"app_metadata":{nested(levels - 1)}}}'
    if upsert == "POST":
        body = f'{{"connection":"Username-Password-Authentication","email":"a@b.c","password":"Correct-Horse-9",{body[1:]}'
    path = "/api/v2/users/auth0%7C1" if upsert == "PATCH" else "/api/v2/users"
    headers = {"Content-Type": "application/json"}
    fits = levels < MOST_LEVELS
    response = api(upsert, path, data=body, headers=headers)
    assert response.status_code == ((200 if upsert == "PATCH" else 201) if fits else 400)
    if fits:
        user_id = response.json()["user_id"]
        assert api(upsert, path, data=body, headers=headers).status_code in (200, 409)
        assert api.patch(user_id, {"app_metadata": {"b": 1}}).status_code == 200
        assert api("GET", "/api/v2/users", params={"q": "app_metadata.b:1"}).status_code == 200
        control = {"X-Emulator-Token": tenant.control_token}
        shown = api("GET", "/_emulator/user", params={"id": user_id}, headers=control)
        assert shown.status_code == 200
        assert api("GET", "/_emulator/journal", headers=control).status_code == 200
        assert tenant.diff()


@pytest.mark.parametrize(
    ("path", "control"),
    [
        ("/oauth/token", False),
        ("/dbconnections/signup", False),
        ("/dbconnections/change_password", False),
        ("/api/v2/roles", False),
        ("/_emulator/faults", True),
        ("/_emulator/users", True),
        ("/_emulator/clock", True),
    ],
)
def test_no_route_fails_on_deep_json(talk: Any, path: str, control: bool) -> None:
    """It is refused as any other body that can't be used."""
    tenant = LocalTenant(serve=False)
    headers = {"Content-Type": "application/json"}
    if control:
        headers["X-Emulator-Token"] = tenant.control_token
    for body in (nested(900), nested(100_000), '{"a":' + "9" * 6000 + "}"):
        assert 400 <= talk(tenant)("POST", path, data=body, headers=headers).status_code < 500


def test_a_deep_token_is_invalid(talk: Any) -> None:
    """A strict tenant looks into the token before its signature is checked."""
    part = base64.urlsafe_b64encode(nested(5000).encode()).decode().rstrip("=")
    api = talk(LocalTenant(serve=False, strict=True))
    response = api("GET", "/api/v2/users", headers={"Authorization": f"Bearer {part}.{part}.x"})
    assert response.status_code == 401


def test_an_import_has_few_parts_and_levels(talk: Any) -> None:
    """More parts than any import has are refused, and deep rows fail the job."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant)
    connection = api("GET", "/api/v2/connections").json()[0]["id"]
    many = [(f"f{n}", (None, "x")) for n in range(200)]
    users = ("users.json", "[]")
    form = {"connection_id": (None, connection), "users": users}
    assert api("POST", "/api/v2/jobs/users-imports", files=[*form.items(), *many]).status_code == 400
    form["users"] = ("users.json", f'[{{"email":"a@b.c","app_metadata":{nested(900)}}}]')
    job = api("POST", "/api/v2/jobs/users-imports", files=form).json()
    assert api("GET", f"/api/v2/jobs/{job['id']}").json()["status"] == "failed"


# What is kept -----------------------------------------------------------------------------------------


def entry(body: bytes) -> Entry:
    """Return an entry of the journal, whatever else an entry has."""
    texts = {"path": "/", "query": "", "body": body, "headers": {"x-more": "x"}}
    return Entry(**{field.alias or field.name: None for field in attrs.fields(Entry)} | texts)


def test_a_limited_journal_is_limited_in_bytes_too() -> None:
    """The newest entries stay; one without a limit keeps everything."""
    journal, unlimited = Journal(limit=1000), Journal()
    body = b"x" * MB
    for one in (journal, unlimited):
        for _ in range(100):
            one.add(entry(body))
    assert (60 < len(journal) < 70, len(unlimited)) == (True, 100)
    journal.clear()
    for _ in range(1001):
        journal.add(entry(b"x"))
    assert len(journal) == 1000
    assert journal.since(0)[0] == 1101


def test_tokens_from_elsewhere_are_kept_in_bounds(talk: Any) -> None:
    """The latest ten thousand; expiring them still reaches the ones that were seen."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant)
    access = tenant._state.access
    for number in range(10_050):
        access.authenticate(f"Bearer t{number}", 0.0)
    assert len(access._seen) == 10_000
    tenant.expire_tokens()
    assert api("GET", "/api/v2/users", headers={"Authorization": "Bearer t10049"}).status_code == 401
    assert api("GET", "/api/v2/users", headers={"Authorization": "Bearer new"}).status_code == 200


def test_logins_that_nobody_finishes_are_kept_in_bounds() -> None:
    """Any page can make a browser begin one."""
    pages = ExpiringStore[int](most=3)
    for number in range(5):
        pages.put(number, until=10.0, now=0.0)
    assert [number for number, _ in pages.all(now=0.0)] == [2, 3, 4]
    assert LocalTenant(serve=False)._state.logins.pages._most == 10_000


def test_there_may_be_a_thousand_faults(talk: Any) -> None:
    """Every request looks at all of them."""
    tenant = LocalTenant(serve=False)
    headers = {"X-Emulator-Token": tenant.control_token}
    for _ in range(1000):
        tenant.fail(status=500, path="/never")
    response = talk(tenant)("POST", "/_emulator/faults", json={"status": 500}, headers=headers)
    assert (response.status_code, "clear them first" in response.text) == (400, True)


def test_a_snapshot_may_be_longer_than_other_bodies() -> None:
    """Whoever has the token of the run may send many users; nobody else makes the tenant keep them."""
    tenant = LocalTenant(serve=False, switches=Switches(body_limit=2_000_000))
    most = tenant._pipeline.most_body
    assert most("/api/v2/users", {}) == most("/_emulator/snapshot", {}) == 2_000_000
    assert most("/_emulator/snapshot", {"x-emulator-token": tenant.control_token}) == 256 * 1024 * 1024
    assert most("/_emulator/snapshot", {"x-emulator-token": "x"}) == 2_000_000


def test_jobs_that_have_ended_are_kept_in_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and in the bytes of their files; pending ones and the newest stay."""
    monkeypatch.setattr(jobs, "_MOST", 5)
    monkeypatch.setattr(jobs, "_MOST_BYTES", 100)
    kept = jobs.Jobs(lambda: 0.0, "manual")
    size = 0

    def work(job: jobs.Job, now: float) -> None:
        job.file = b"x" * size

    for number in range(12):
        kept.pace = "manual" if number < 2 else "immediate"
        kept.add(jobs.Job(str(number), "users_export", 0.0, work))
    assert [job.id for job in kept] == ["0", "1", "9", "10", "11"]
    size = 60
    for number in (12, 13):
        kept.add(jobs.Job(str(number), "users_export", 0.0, work))
    assert [job.id for job in kept] == ["0", "1", "13"]
    size = 200
    kept.add(jobs.Job("14", "users_export", 0.0, work))
    assert [job.id for job in kept] == ["0", "1", "14"]


# Searches ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern", ["a*" * 60 + "b", "*" + "aaa*" * 60 + "b", "a?*" * 60 + "b", "a" + "*" * 200 + "b"]
)
def test_wildcards_never_try_everything(talk: Any, pattern: str) -> None:
    """With an expression that goes back this would not end before the sun does."""
    tenant = LocalTenant(serve=False, users=[{"user_id": "auth0|1", "app_metadata": {"k": "a" * 5000}}])
    response = talk(tenant).list(q=f"app_metadata.k:{pattern}")
    assert (response.status_code, response.json()) == (200, [])


def test_wildcards_mean_what_they_did() -> None:
    """For all short patterns and texts the result is that of the regular expression."""
    texts = ["".join(letters) for n in range(5) for letters in product("ab", repeat=n)]
    for n in range(2, 6):
        for letters in product("ab*?", repeat=n):
            pattern = "".join(letters)
            if "*" not in pattern and "?" not in pattern:
                continue
            if pattern[0] in "*?" and len(re.sub(r"[*?]", "", pattern)) < 3:
                continue
            wanted = re.compile(pattern.replace("*", ".*").replace("?", "."))
            test = matcher(f"k:{pattern}", switches=Switches())
            found = [text for text in texts if test({"k": text})]
            assert found == [text for text in texts if wanted.fullmatch(text)], pattern


@pytest.mark.parametrize(
    "q",
    [
        "a" * 10_001,
        "name:" + "a" * 300 + "*",
        "(" * 200 + "name:x" + ")" * 200,
        "NOT " * 300 + "name:x",
        "(" * 4000 + "x" + ")" * 4000,
        "NOT (" * 400 + "name:x" + ")" * 400,
        "(" * 9000,
        "a:" * 2000 + "b",
        "a " * 3000,
    ],
    ids=["long", "long wildcard", "groups", "nots", "many groups", "both", "open groups", "fields", "terms"],
)
def test_long_and_deep_queries_are_refused(talk: Any, q: str) -> None:
    """Before any user is looked at."""
    api = talk(LocalTenant(serve=False, users=[{"user_id": "auth0|1"}]))
    assert api.list(q=q).status_code in (400, 414)


@pytest.mark.parametrize("sign", '+-!\\"[/<~^&|:*?')
def test_no_query_fails(talk: Any, sign: str) -> None:
    """Any number of any sign is a query or refused."""
    api = talk(LocalTenant(serve=False, users=[{"user_id": "auth0|1"}]))
    assert api.list(q=sign * 3000 + "x").status_code in (200, 400)


def test_a_form_has_few_fields(talk: Any) -> None:
    """Hundreds of thousands take seconds to read; more than a thousand are none."""
    api = talk(LocalTenant(serve=False))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = "grant_type=client_credentials&client_id=x&client_secret=x&audience=x/api/v2/"
    assert api("POST", "/oauth/token", data=body + "&a=b" * 900, headers=form).status_code == 200
    assert api("POST", "/oauth/token", data=body + "&a=b" * 1000, headers=form).status_code == 400
