"""Which headers a request carries: the custom domain where Auth0 takes it, and what a caller adds."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from support.local_tenant import UID
from support.migrations import move_plan
from support.scripted_server import Reply, ScriptedServer, boom, connect

from auth0_meta import ManagementClient, MetadataBatch, migrate
from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.cli.app import run
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ApiError, Auth0MetaError, ConfigError, InputError
from auth0_meta.http.headers import check_headers

DOMAIN = "login.example.com"
HEADER = "auth0-custom-domain"

# The custom domain ------------------------------------------------------------------------------------


def carried(method: str, path: str, **settings: Any) -> str | None:
    """Return the custom domain that reached the server with this request."""
    with ScriptedServer(Reply(200, {})) as server, connect(server, custom_domain=DOMAIN) as client:
        client.request(method, path, **settings)
        return {name.lower(): value for name, value in server.seen[0].headers.items()}.get(HEADER)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "users"),
        ("post", "/api/v2/users"),
        ("POST", "users/"),
        ("POST", "Users"),
        ("POST", "users?x=1"),
        ("PATCH", "users/auth0%7C1"),
        ("PATCH", "users/auth0|1/"),
        ("PATCH", "users/auth0%7C1?x=/roles"),
        ("PATCH", "users/a%2Fb"),
        ("PATCH", "%75sers/1"),
        ("POST", "tickets/password-change"),
        ("POST", "tickets/email-verification"),
        ("POST", "jobs/verification-email"),
        ("POST", "jobs/users-imports"),
        ("POST", "organizations/org_1/invitations"),
        ("POST", "guardian/enrollments/ticket"),
        ("POST", "self-service-profiles/ssp_1/sso-ticket"),
    ],
)
def test_the_custom_domain_goes_where_auth0_takes_it(method: str, path: str) -> None:
    """However the path is written, the request names it."""
    assert carried(method, path, json={}) == DOMAIN


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(
            ("GET", path)
            for path in (
                "users",
                "users/auth0%7C1",
                "tickets/x",
                "jobs/verification-email",
                "organizations/org_1/invitations",
            )
        ),
        ("DELETE", "users/auth0%7C1"),
        ("PUT", "users/auth0%7C1"),
        ("HEAD", "users/auth0%7C1"),
        ("PATCH", "users"),
        ("POST", "users/auth0%7C1"),
        ("POST", "users/auth0%7C1/roles"),
        ("PATCH", "users/a/b"),
        ("POST", "users-imports"),
        ("POST", "jobs/users-exports"),
        ("POST", "jobs/users-imports/x"),
        ("POST", "tickets"),
        ("POST", "tickets/a/b"),
        ("POST", "organizations//invitations"),
        ("DELETE", "organizations/org_1/invitations"),
        ("POST", "organizations/org_1/members"),
        ("POST", "guardian/enrollments"),
        ("POST", "self-service-profiles/ssp_1/sso-ticket/t_1/revoke"),
        ("POST", "clients?next=/api/v2/users"),
        ("PATCH", "clients/users"),
    ],
)
def test_the_custom_domain_goes_nowhere_else(method: str, path: str) -> None:
    """No read carries it, and no other endpoint."""
    assert carried(method, path, json=None if method in ("GET", "HEAD") else {}) is None


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant with one user."""
    with LocalTenant() as local:
        local.users.add(user_id=UID, app_metadata={"plan": "pro"})
        yield local


def named_in(tenant: LocalTenant) -> dict[str, set[str | None]]:
    """Return the custom domains in the tenant's journal, by request."""
    found: dict[str, set[str | None]] = {}
    for entry in tenant.journal:
        found.setdefault(f"{entry.method} {entry.route}", set()).add(entry.headers.get(HEADER))
    return found


def test_everything_that_writes_a_user_names_the_custom_domain(
    tenant: LocalTenant, tmp_path: pathlib.Path
) -> None:
    """Users, transactions, batches, migrations, their undo, triggers and imports: the PATCH or POST has it, the GET not."""

    def login(event: Any, api: Any) -> None:
        api.user.set_app_metadata("last", "today")

    with tenant.client(custom_domain=DOMAIN, client_id="c", client_secret="s") as client:
        new = {
            "connection": "Username-Password-Authentication",
            "email": "a@example.com",
            "password": "X1!abcde",
        }
        made = client.users.create(new)
        client.users.update(made.user_id, {"name": "A"})
        with client.transaction(UID) as tx:
            tx.app_metadata.set("a.b", 1)
        client.run_transaction(UID, lambda tx: tx.user_metadata.set("a.b", 1))
        with MetadataBatch(client) as batch:
            batch.user(UID).app_metadata.set("c.d", 1)
        assert PostLoginTrigger(client, [login]).run(Event.from_profile(client.users.get(UID))).allowed
        job = tmp_path / "job.db"
        migrate.plan(move_plan, client=client, to=job)
        migrate.apply(job, client)
        migrate.undo(job, client)
        (connection,) = client.request("GET", "connections")
        client.jobs.import_users([{"email": "b@example.com"}], connection_id=connection["id"])
    with_it = {"POST /api/v2/users", "PATCH /api/v2/users/{id}", "POST /api/v2/jobs/users-imports"}
    named = named_in(tenant)
    assert with_it <= named.keys()
    assert named == {request: {DOMAIN} if request in with_it else {None} for request in named}
    assert {"POST /oauth/token", "GET /api/v2/users/{id}", "POST /api/v2/jobs/users-exports"} <= named.keys()
    assert tenant.journal.count("PATCH", user_id=UID) == 6


async def _change(client: ManagementClient) -> None:
    async with client.atransaction(UID) as tx:
        tx.app_metadata["plan"] = "free"


def test_an_asyncio_transaction_names_the_custom_domain(tenant: LocalTenant) -> None:
    """It sends through the same channel."""
    import asyncio

    with tenant.client(custom_domain=DOMAIN) as client:
        asyncio.run(_change(client))
    assert named_in(tenant)["PATCH /api/v2/users/{id}"] == {DOMAIN}


@pytest.mark.parametrize(
    "given",
    [
        DOMAIN,
        "Login.Example.COM",
        f" {DOMAIN}\n",
        f"https://{DOMAIN}",
        f"HTTPS://{DOMAIN}/",
        f"\ufeff{DOMAIN}",
    ],
    ids=ascii,
)
def test_a_custom_domain_is_sent_as_a_host_name(
    given: str, tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What files and people add to it is left out, in an argument and in the environment."""
    monkeypatch.setenv("AUTH0_CUSTOM_DOMAIN", given)
    settings: dict[str, Any] = {"token": "a.b.c", "adapter": tenant.adapter()}
    with (
        ManagementClient(tenant.url, custom_domain=given, **settings) as first,
        ManagementClient.from_env(domain=tenant.url, **settings) as second,
    ):
        for client in (first, second):
            client.users.update(UID, {"name": "A"})
    assert [entry.headers[HEADER] for entry in tenant.journal] == [DOMAIN] * 2


@pytest.mark.parametrize(
    "given",
    [
        "http://login.example.com",
        "ftp://login.example.com",
        "login.example.com/path",
        "login.example.com?x=1",
        "login.example.com:443",
        "user:canary@login.example.com",
        "login example.com",
        "login.example.com\r\nX-A: canary",
        "login\x00.example.com",
        "login.exämple.com",
        "login",
        "localhost",
        "127.0.0.1",
        "[::1]",
        ".example.com",
        "login..example.com",
        "-a.example.com",
        "a_b.example.com",
        f"{'a' * 64}.example.com",
        f"{'a.' * 127}com",
        "https://",
        b"login.example.com",
        5,
        ["login.example.com"],
    ],
    ids=ascii,
)
def test_what_is_not_a_host_name_is_refused(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the argument and the variable, and comes before the first request."""
    with pytest.raises(
        ConfigError, match=r"custom_domain=, AUTH0_CUSTOM_DOMAIN\) must be a host name"
    ) as caught:
        ManagementClient("tenant.invalid", token="a.b.c", custom_domain=given)
    assert "canary" not in str(caught.value)
    if isinstance(given, str) and "\0" not in given:
        monkeypatch.setenv("AUTH0_CUSTOM_DOMAIN", given)
        with pytest.raises(ConfigError, match="AUTH0_CUSTOM_DOMAIN"):
            ManagementClient.from_env(domain="tenant.invalid", token="a.b.c")
        with ScriptedServer() as server, connect(server) as client:
            with pytest.raises(InputError):
                client.request("POST", "users", json={}, headers={"Auth0-Custom-Domain": given})
            assert server.seen == []


def test_a_custom_domain_that_is_passed_wins_over_the_environments(
    tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every argument of `from_env` does."""
    monkeypatch.setenv("AUTH0_CUSTOM_DOMAIN", "other.example.com")
    with ManagementClient.from_env(domain=tenant.url, token="a.b.c", custom_domain=DOMAIN) as client:
        client.users.update(UID, {"name": "A"})
    assert tenant.journal[-1].headers[HEADER] == DOMAIN


@pytest.mark.parametrize("blank", [None, "", " \n"], ids=ascii)
def test_a_blank_custom_domain_is_none(blank: str | None, tenant: LocalTenant) -> None:
    """Nothing is sent then."""
    with tenant.client(custom_domain=blank) as client:
        client.users.update(UID, {"name": "A"})
    assert HEADER not in tenant.journal[-1].headers


def test_the_command_line_names_the_custom_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes it from the environment."""
    with LocalTenant() as local:
        local.users.add(user_id=UID)
        for name, value in {**local.env, "AUTH0_CUSTOM_DOMAIN": DOMAIN}.items():
            monkeypatch.setenv(name, value)
        assert run(["user", "set", UID, "app_metadata.plan=pro"]) == 0
        (entry,) = local.journal.requests("PATCH")
    assert entry.headers[HEADER] == DOMAIN


def test_a_conflict_of_custom_domains_names_the_argument(tenant: LocalTenant) -> None:
    """The 409 that a tenant with several custom domains gives says how to choose one."""
    message = "The tenant has multiple verified custom domains."
    body = {"statusCode": 409, "error": "Conflict", "message": message, "errorCode": "custom_domain_conflict"}
    tenant.fail(method="PATCH", user_id=UID, status=409, body=body)
    with tenant.client() as client, pytest.raises(ApiError, match=r"custom_domain= \(AUTH0_CUSTOM_DOMAIN\)"):
        client.users.update(UID, {"name": "A"})


# Headers of one call ----------------------------------------------------------------------------------

ADDED = {
    "X-Correlation-ID": "order-17",
    "Accept-Language": "fi, en;q=0.5",
    "If-None-Match": '"abc"',
    "User-Agent": "my-app/1.0 (batch)",
    "Auth0-Client": "eyJuYW1lIjoibXktYXBwIn0=",
    "Auth0-Custom-Domain": "other.example.com",
    "X-Empty": "",
    "x-tab": "a\tb",
}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
def test_headers_of_a_call_reach_the_server(method: str) -> None:
    """They are sent as they are, beside the client's own, and again with a repeat."""
    with ScriptedServer(boom(429, "x", "y", **{"Retry-After": "0"}), Reply(200, {})) as server:
        with connect(server) as client:
            client.request(method, "users/auth0%7C1/roles", headers=ADDED)
        assert len(server.seen) == 2
        for seen in server.seen:
            assert ADDED.items() <= seen.headers.items()
            assert seen.headers["Authorization"] == "Bearer given-token"
            assert seen.headers["Accept"] == "application/json"


def test_a_client_without_added_headers_sends_its_own() -> None:
    """The next call of the same client carries none of the headers of the one before."""
    with ScriptedServer(Reply(200, {})) as server, connect(server) as client:
        client.request("GET", "clients", headers=ADDED)
        client.request("GET", "clients")
        last = server.seen[1].headers
    assert not ADDED.keys() - {"User-Agent"} & last.keys()
    assert last["User-Agent"].startswith("auth0-meta/")


@pytest.mark.parametrize("name", ["Auth0-Custom-Domain", "auth0-custom-domain", "AUTH0-CUSTOM-DOMAIN"])
def test_a_calls_custom_domain_wins(name: str) -> None:
    """Whatever its case is, one header is sent, and it is the call's."""
    with ScriptedServer(Reply(200, {})) as server, connect(server, custom_domain=DOMAIN) as client:
        client.request("POST", "users", json={}, headers={name: "https://Other.example.com"})
        sent = [(one, value) for one, value in server.seen[0].headers.items() if one.lower() == HEADER]
    assert sent == [(name, "other.example.com")]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        *((name, "its own token") for name in ("Authorization", "authorization", "AUTHORIZATION")),
        ("Host", "domain"),
        *((name, "writes the body") for name in ("Content-Length", "content-type", "Content-Encoding")),
        *((name, "reads JSON") for name in ("Accept", "Accept-Encoding", "Range")),
        *(
            (name, "connection")
            for name in (
                "Connection",
                "Transfer-Encoding",
                "Upgrade",
                "Expect",
                "TE",
                "Trailer",
                "Keep-Alive",
                "Proxy-Authorization",
                "Proxy-Connection",
            )
        ),
    ],
)
def test_the_clients_own_headers_cannot_be_set(name: str, reason: str) -> None:
    """The error names the header and the reason, and nothing is sent."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError, match=f"^the header {name} can't be set: .*{reason}") as caught:
            client.request("GET", "clients", headers={name: "canary"})
        assert server.seen == []
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [
        *(
            {name: "canary"}
            for name in ("", " ", "X A", "X-A:", "X-A\r\nX-B", "X-\xe4", "X-\x00", 5, None, b"X-A")
        ),
        *(
            {"X-A": value}
            for value in (
                "canary\r\nX-B: 1",
                "canary\n",
                " canary",
                "canary ",
                "can\x00ary",
                "can\x7fary",
                "canäry",
                "can\ud800ary",
                5,
                None,
                True,
                b"canary",
                ["canary"],
            )
        ),
        {"X-A": "canary", "x-a": "canary"},
        {"X-A": "canary" * 2000},
        {f"X-{number}": "canary" for number in range(1000)},
        [("X-A", "canary")],
        "X-A: canary",
        5,
    ],
    ids=lambda headers: ascii(headers)[:40],
)
def test_headers_that_cannot_be_sent_are_refused(headers: Any) -> None:
    """A name, a value or a size that no server could read is named before anything is sent, and not shown."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError, match="header") as caught:
            client.request("GET", "clients", headers=headers)
        assert server.seen == []
    assert "ary" not in str(caught.value)


def test_no_headers_are_no_headers() -> None:
    """None and an empty mapping add nothing, and what is given is not kept."""
    given = {"X-A": "b"}
    kept = check_headers(given)
    given["X-A"] = "c"
    assert (check_headers(None), check_headers({}), kept) == ({}, {}, {"X-A": "b"})


def test_an_error_does_not_repeat_a_header() -> None:
    """A server may echo a value; the error has stars in its place."""
    refusal = boom(400, "Bad Request", "Invalid header value: canary-17")
    with (
        ScriptedServer(refusal) as server,
        connect(server) as client,
        pytest.raises(Auth0MetaError) as caught,
    ):
        client.request("GET", "clients", headers={"X-Correlation-ID": "canary-17"})
    assert "Invalid header value: ***" in str(caught.value)
    assert "canary" not in repr(vars(caught.value))


def test_an_unchanged_resource_is_not_a_redirect() -> None:
    """The 304 after an If-None-Match is an error with its status, and names no other host."""
    with (
        ScriptedServer(Reply(304, raw=b"")) as server,
        connect(server) as client,
        pytest.raises(ApiError) as caught,
    ):
        client.request("GET", "clients", headers={"If-None-Match": '"abc"'})
    assert caught.value.status == 304
    assert "redirect" not in str(caught.value)


# The local tenant's journal ---------------------------------------------------------------------------


def test_the_journal_has_the_headers_and_no_token(tenant: LocalTenant) -> None:
    """Names are in lower case; what would give access is masked."""
    with tenant.client(token="canary.a.b") as client:
        client.request("GET", "users", headers={"X-Correlation-ID": "order-17", "Cookie": "canary"})
    (entry,) = tenant.journal
    assert entry.headers["x-correlation-id"] == "order-17"
    assert (entry.headers["authorization"], entry.headers["cookie"]) == ("<masked>", "<masked>")
    assert "canary" not in repr(dict(entry.headers))
    assert "order-17" not in repr(entry)
