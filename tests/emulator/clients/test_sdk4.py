"""Use the tenant with auth0-python 4, which is still in wide use; `tox -e sdk4` installs it."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant

management = pytest.importorskip("auth0.management", reason="auth0-python is not installed")
if not hasattr(management, "Users"):
    pytest.skip("auth0-python is 5 or newer: tox -e sdk4 has version 4", allow_module_level=True)
authentication = pytest.importorskip("auth0.authentication")
errors = pytest.importorskip("auth0.exceptions")

DATABASE = "Username-Password-Authentication"


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a strict tenant."""
    with LocalTenant(strict=True, rate_limit="enterprise") as tenant:
        yield tenant


@pytest.fixture
def token(tenant: LocalTenant) -> str:
    """Return a token that the SDK has fetched itself, with its JSON request."""
    get_token = authentication.GetToken(
        tenant.domain, tenant.client_id, client_secret=tenant.client_secret, protocol="http"
    )
    response: dict[str, Any] = get_token.client_credentials(f"https://{tenant.domain}/api/v2/")
    return str(response["access_token"])


def test_version_4_writes_users_and_metadata(tenant: LocalTenant, token: str) -> None:
    """It creates, reads, updates with nulls and `{}`, lists, finds and deletes; its errors have our code."""
    users = management.Users(tenant.domain, token, protocol="http")
    made = users.create(
        {
            "connection": DATABASE,
            "email": "ann@example.com",
            "password": "Analytical-1842",
            "app_metadata": {"a": 1, "b": 1},
        }
    )
    user_id = made["user_id"]
    assert users.update(user_id, {"app_metadata": {"a": None}})["app_metadata"] == {"b": 1}
    assert "app_metadata" not in users.update(user_id, {"app_metadata": {}, "user_metadata": {}})
    assert users.get(user_id, fields=["email"]) == {"email": "ann@example.com"}
    assert users.list(q='email:"ann@example.com"')["total"] == 1
    by_email = management.UsersByEmail(tenant.domain, token, protocol="http")
    assert by_email.search_users_by_email("ann@example.com")[0]["user_id"] == user_id
    users.delete(user_id)
    with pytest.raises(errors.Auth0Error) as caught:
        users.get(user_id)
    assert (caught.value.status_code, caught.value.error_code) == (404, "inexistent_user")


def test_version_4_runs_jobs(tenant: LocalTenant, token: str) -> None:
    """It imports with the file first, reads the errors, exports, and requests an email."""
    jobs = management.Jobs(tenant.domain, token, protocol="http")
    user = tenant.users.add(email="ann@example.com")
    rows = [{"email": "ann@example.com"}, {"email": "bob@example.com"}]
    made = jobs.import_users("con_localDatabase001", io.BytesIO(json.dumps(rows).encode()))
    assert jobs.get(made["id"])["summary"] == {"failed": 1, "updated": 0, "inserted": 1, "total": 2}
    assert jobs.get_failed_job(made["id"])[0]["errors"][0]["code"] == "DUPLICATED_USER"
    export = jobs.export_users({"connection_id": "con_localDatabase001", "format": "csv"})
    assert jobs.get(export["id"])["location"].startswith(tenant.url)
    assert jobs.send_verification_email({"user_id": user.user_id})["status"] == "pending"


def test_the_async_classes_log_in(tenant: LocalTenant) -> None:
    """`asyncify`: a login with a password, /userinfo, and users of the Management API."""
    asyncify = pytest.importorskip("auth0.asyncify").asyncify
    client = (tenant.domain, tenant.client_id, tenant.client_secret)

    async def run() -> None:
        async with asyncify(authentication.GetToken)(*client, protocol="http") as get_token:
            tokens = await get_token.login_async(
                username="ann@example.com", password="Analytical-1842", realm=DATABASE, scope="openid"
            )
            machine = await get_token.client_credentials_async(f"https://{tenant.domain}/api/v2/")
        async with asyncify(authentication.Users)(tenant.domain, protocol="http") as users:
            assert (await users.userinfo_async(tokens["access_token"]))["email"] == "ann@example.com"
        async with asyncify(management.Users)(
            tenant.domain, machine["access_token"], protocol="http"
        ) as users:
            assert (await users.list_async())["total"] == 1

    tenant.users.add(email="ann@example.com", password="Analytical-1842")
    asyncio.run(run())
