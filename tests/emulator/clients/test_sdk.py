"""Use the tenant with the newest version of Auth0's own Python SDK, sync and async, as independent evidence."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant

httpx = pytest.importorskip("httpx", reason="auth0-python is not installed")
sdk = pytest.importorskip("auth0.management.client", reason="auth0-python is not installed")
if not hasattr(sdk, "AsyncAuth0"):
    pytest.skip("auth0-python is older than 5", allow_module_level=True)
core = pytest.importorskip("auth0.management.core.api_error", reason="auth0-python is not installed")

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
            assert await client.jobs.errors.get(job.id) is None
            await client.users.delete(made.user_id)

    with LocalTenant(rate_limit="enterprise") as tenant:
        asyncio.run(run(tenant))
        assert {user["email"] for user in tenant.users} == {"new@example.com", "old@example.com"}
