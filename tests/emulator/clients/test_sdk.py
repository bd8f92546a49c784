"""Use the tenant with the newest version of Auth0's own Python SDK, sync and async, as independent evidence."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant

httpx = pytest.importorskip("httpx", reason="auth0-python is not installed")
sdk = pytest.importorskip("auth0.management.client", reason="auth0-python is not installed")
if not hasattr(sdk, "AsyncAuth0"):
    pytest.skip("auth0-python is older than 5", allow_module_level=True)
management = pytest.importorskip("auth0.management")
core = pytest.importorskip("auth0.management.core.api_error", reason="auth0-python is not installed")

READS_204 = version("auth0-python") >= "6"  # version 5 raises for a job without errors
DATABASE = "Username-Password-Authentication"
PASSWORD = "Analytical-1842"


@pytest.fixture(params=["over sockets", "in process"])
def auth0(request: pytest.FixtureRequest) -> Iterator[tuple[LocalTenant, Any]]:
    """Start a tenant and create the SDK's client for it."""
    sockets = request.param == "over sockets"
    with LocalTenant(serve=sockets, rate_limit="enterprise") as tenant:
        transport = None if sockets else httpx.WSGITransport(app=tenant.wsgi)
        with httpx.Client(transport=transport, trust_env=False) as http:
            yield tenant, sdk.Auth0(base_url=f"{tenant.url}/api/v2", token=tenant.token(), httpx_client=http)


def test_the_sdk_creates_gets_updates_lists_finds_and_deletes(auth0: tuple[LocalTenant, Any]) -> None:
    """This is a user's whole life through auth0-python, with nulls and `{}` in metadata."""
    tenant, client = auth0
    users = client.users
    made = users.create(
        connection=DATABASE,
        email="ann@example.com",
        password=PASSWORD,
        app_metadata={"plan": "free", "old": 1},
    )
    stored = tenant.users[made.user_id]
    assert users.get(made.user_id).email == "ann@example.com"
    updated = users.update(
        made.user_id, app_metadata={"plan": "pro", "old": None}, user_metadata={"theme": "dark"}
    )
    assert updated.app_metadata == {"plan": "pro"}
    assert stored.app_metadata == {"plan": "pro"}
    users.update(made.user_id, user_metadata={})
    assert stored["user_metadata"] == {}
    for _ in range(5):
        tenant.users.add()
    assert [user.user_id for user in users.list(per_page=2)] == [user.user_id for user in tenant.users]
    assert [user.user_id for user in users.list_users_by_email(email="ann@example.com")] == [made.user_id]
    users.delete(made.user_id)
    assert made.user_id not in tenant.users
    with pytest.raises(core.ApiError) as caught:
        users.get(made.user_id, request_options={"max_retries": 0})
    assert caught.value.status_code == 404


def test_the_sdk_uses_the_sub_resources_of_users(auth0: tuple[LocalTenant, Any]) -> None:
    """Roles, permissions, members, identities, tickets, blocks, and those that are empty here."""
    tenant, client = auth0
    ann, bob = (tenant.users.add(user_id=f"auth0|{name}").user_id for name in ("ann", "bob"))
    users, role = client.users, client.roles.create(name="admin", description="may all").id
    acme = client.organizations.create(name="acme").id
    users.roles.assign(ann, roles=[role])
    client.roles.users.assign(role, users=[bob])
    asked = [{"resource_server_identifier": "https://api.example.com/", "permission_name": "read:things"}]
    client.roles.permissions.add(role, permissions=asked)
    client.organizations.members.create(acme, members=[ann])
    client.organizations.members.roles.assign(acme, ann, roles=[role])
    assert [one.name for one in users.roles.list(ann)] == ["admin"]
    assert [one.user_id for one in client.roles.users.list(role)] == [ann, bob]
    assert [one.permission_name for one in users.permissions.list(ann)] == ["read:things"]
    assert [one.permission_name for one in client.roles.permissions.list(role)] == ["read:things"]
    assert [one.user_id for one in client.organizations.members.list(acme)] == [ann]
    assert [one.id for one in client.organizations.members.roles.list(acme, ann)] == [role]
    assert [one.id for one in users.organizations.list(ann)] == [acme]
    assert client.organizations.get_by_name("acme").id == acme
    assert [one.name for one in client.connections.list()] == [DATABASE]
    for empty in (users.logs, users.authentication_methods, users.sessions):
        assert list(empty.list(ann)) == []
    assert users.enrollments.get(ann) == []
    assert client.user_blocks.list(ann).blocked_for == []
    assert client.tickets.change_password(user_id=ann).ticket.startswith(f"{tenant.url}/u/reset-password?")
    assert [one.user_id for one in users.identities.link(ann, provider="auth0", user_id=bob)] == [
        "ann",
        "bob",
    ]
    assert [one.user_id for one in users.identities.delete(ann, "auth0", "bob")] == ["ann"]
    users.roles.delete(ann, roles=[role])
    assert list(users.roles.list(ann)) == []


def test_the_sdk_reads_a_409_and_a_429(auth0: tuple[LocalTenant, Any]) -> None:
    """Its errors have our status and body; it retries a 429 with a Reset in the past at once."""
    tenant, client = auth0
    tenant.users.add(email="ann@example.com")
    with pytest.raises(core.ApiError) as caught:
        client.users.create(
            connection=DATABASE,
            email="ann@example.com",
            password=PASSWORD,
            request_options={"max_retries": 0},
        )
    assert caught.value.status_code == 409
    fault = tenant.fail(method="GET", status=429)
    with pytest.raises(core.ApiError) as caught:
        client.users.get("auth0|1", request_options={"max_retries": 0})
    assert (caught.value.status_code, fault.fired) == (429, 1)


CONNECTION = "con_localDatabase001"
ROWS = [{"email": "new@example.com", "app_metadata": {"plan": "pro"}}, {"email": "old@example.com"}]


def test_the_sdk_imports_exports_and_reads_jobs(auth0: tuple[LocalTenant, Any]) -> None:
    """It runs an import with a refused row, reads its errors, one without errors, an export and an email."""
    tenant, client = auth0
    old = tenant.users.add(email="old@example.com")
    file = ("users.json", json.dumps(ROWS).encode(), "application/json")
    made = client.jobs.users_imports.create(users=file, connection_id=CONNECTION, send_completion_email=False)
    job = client.jobs.get(made.id)
    assert (made.status, job.status) == ("pending", "completed")
    (error,) = client.jobs.errors.get(made.id)
    assert error.errors[0].code == "DUPLICATED_USER"
    again = client.jobs.users_imports.create(users=file, connection_id=CONNECTION, upsert=True)
    if READS_204:
        assert client.jobs.errors.get(again.id) is None
    asked = client.jobs.users_exports.create(connection_id=CONNECTION, format="json")
    job = client.jobs.get(asked.id)
    assert (job.type, job.status) == ("users_export", "completed")
    lines = gzip.decompress(tenant.jobs[asked.id].file or b"").splitlines()
    assert [json.loads(line)["email"] for line in lines] == ["old@example.com", "new@example.com"]
    mail = client.jobs.verification_email.create(user_id=old.user_id)
    assert client.jobs.get(mail.id).status == "completed"


def test_the_async_sdk_does_the_same() -> None:
    """AsyncAuth0 uses users, metadata and jobs, over sockets."""

    async def run(tenant: LocalTenant) -> None:
        async with httpx.AsyncClient(trust_env=False) as http:
            client = sdk.AsyncAuth0(base_url=f"{tenant.url}/api/v2", token=tenant.token(), httpx_client=http)
            made = await client.users.create(connection=DATABASE, email="ann@example.com", password=PASSWORD)
            updated = await client.users.update(made.user_id, app_metadata={"plan": "pro"}, user_metadata={})
            assert (updated.app_metadata, updated.user_metadata) == ({"plan": "pro"}, {})
            listed = await client.users.list(q='app_metadata.plan:"pro"')
            assert [user.user_id async for user in listed] == [made.user_id]
            job = await client.jobs.users_imports.create(
                users=("users.json", json.dumps(ROWS).encode(), "application/json"), connection_id=CONNECTION
            )
            assert (await client.jobs.get(job.id)).status == "completed"
            if READS_204:
                assert await client.jobs.errors.get(job.id) is None
            await client.users.delete(made.user_id)

    with LocalTenant(rate_limit="enterprise") as tenant:
        asyncio.run(run(tenant))
        assert {user["email"] for user in tenant.users} == {"new@example.com", "old@example.com"}


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTenant]:
    """Serve a strict tenant over TLS, whose certificate this process trusts."""
    with LocalTenant(tls=True, strict=True) as tenant:
        monkeypatch.setenv("SSL_CERT_FILE", str(tenant.bundle_file))
        yield tenant


@pytest.fixture
def readme(trusted: LocalTenant) -> Iterator[Any]:
    """Make the client of the README: it has a domain, a client id and a secret, and fetches its tokens itself."""
    with httpx.Client() as http:
        yield management.ManagementClient(
            domain=trusted.domain,
            client_id=trusted.client_id,
            client_secret=trusted.client_secret,
            httpx_client=http,  # only to close its connections at the end
        )


def test_the_clients_of_the_readme_work_unchanged(trusted: LocalTenant, readme: Any) -> None:
    """Sync and async."""
    made = readme.users.create(
        connection=DATABASE, email="ann@example.com", password=PASSWORD, user_metadata={"a": 1}
    )

    async def read() -> Any:
        async with httpx.AsyncClient() as http:
            client = management.AsyncManagementClient(
                domain=trusted.domain,
                client_id=trusted.client_id,
                client_secret=trusted.client_secret,
                httpx_client=http,
            )
            return await client.users.get(made.user_id)

    assert asyncio.run(read()).user_metadata == {"a": 1}


def test_a_client_that_it_creates_gets_tokens(trusted: LocalTenant, readme: Any) -> None:
    """Its secret is in the response, and its token has the scopes of its grant."""
    api = "https://api.example.com/"
    scopes = [{"value": "read:x"}, {"value": "write:x"}]
    readme.resource_servers.create(identifier=api, name="API", scopes=scopes)
    made = readme.clients.create(name="job", app_type="non_interactive", grant_types=["client_credentials"])
    readme.client_grants.create(client_id=made.client_id, audience=api, scope=["read:x"])
    form = {"grant_type": "client_credentials", "client_id": made.client_id, "audience": api}
    with httpx.Client() as http:
        tokens = http.post(f"{trusted.url}/oauth/token", data={**form, "client_secret": made.client_secret})
    assert (tokens.status_code, tokens.json()["scope"]) == (200, "read:x")


def test_what_is_not_served_fails_at_once(trusted: LocalTenant, readme: Any) -> None:
    """The SDK, which repeats a 5xx for seconds, sends one request; the log has the writes, newest first."""
    readme.resource_servers.create(identifier="https://api.example.com/", name="API")
    readme.roles.create(name="admin")
    with pytest.raises(core.ApiError) as caught:
        readme.guardian.factors.list()
    assert (caught.value.status_code, caught.value.body["errorCode"]) == (404, "not_served_by_local_tenant")
    assert trusted.journal.count("GET", "/api/v2/guardian/factors") == 1
    assert [log.type for log in readme.logs.list()] == ["sapi", "sapi", "seccft"]
