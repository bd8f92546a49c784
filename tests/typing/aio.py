"""Pin what type checkers see of the asyncio client; none of this is run.

An ignored error that is not reported is itself an error (`warn_unused_ignores`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import IO, TYPE_CHECKING, Any

from auth0_meta import (
    AsyncJobs,
    AsyncManagementClient,
    AsyncMetadataBatch,
    AsyncMetadataTransaction,
    AsyncUsers,
    BatchResults,
    Check,
    CommitResult,
    Job,
    ManagementClient,
    MetadataTransaction,
    Page,
    RateLimit,
    User,
)

if TYPE_CHECKING:
    from typing import assert_type


async def the_client() -> None:
    """Create a client in each documented way."""
    client = AsyncManagementClient("tenant.eu.auth0.com", client_id="a", client_secret="b", max_wait=None)
    assert_type(AsyncManagementClient.from_env(max_wait=5), AsyncManagementClient)
    AsyncManagementClient("tenant.eu.auth0.com", token=lambda: "a.b.c", rate_limit=RateLimit(50, 16))
    async with client as same:
        assert_type(same, AsyncManagementClient)
        assert_type(same.users, AsyncUsers)
        assert_type(same.jobs, AsyncJobs)
    assert_type(ManagementClient.from_env().aio, AsyncManagementClient)
    assert_type(client.with_options(max_wait=5, headers={"X-Correlation-ID": "17"}), AsyncManagementClient)
    assert_type(await client.check(), tuple[Check, ...])
    AsyncManagementClient("tenant.eu.auth0.com", max_wiat=5)  # type: ignore[call-arg]
    AsyncManagementClient.from_env(pool_size="5")  # type: ignore[arg-type]


async def the_endpoints(client: AsyncManagementClient, file: IO[bytes]) -> None:
    """Everything that sends is awaited, and returns what its sync counterpart does."""
    user = await client.users.get("auth0|1", fields=["user_id"])
    assert_type(user, User)
    assert_type(await client.users.update(user, {"name": "Ada"}), User)
    assert_type(await client.users.find("ada@example.com"), User)
    assert_type(await client.users.by_email("ada@example.com"), tuple[User, ...])
    assert_type(await client.users.page(), Page)
    assert_type(client.users.search(q="plan:pro"), AsyncIterator[User])
    async for found in client.users.search():
        assert_type(found, User)
    assert_type(await client.users.set_metadata(user, app={"plan": "pro"}), CommitResult)
    assert_type(await client.jobs.wait(await client.jobs.export_users()), Job)
    assert_type(await client.jobs.download("job_1", file), int)
    assert_type(await client.request("GET", "users/{}/roles", user), Any)
    str(client.users.get("auth0|1").name)  # type: ignore[attr-defined]
    await client.users.update("auth0|1", {"name": b""})  # type: ignore[dict-item]


async def units_of_work(client: AsyncManagementClient) -> None:
    """Transactions, repeated ones and batches."""
    async with client.transaction("auth0|1", base={"app_metadata": {}}) as tx:
        assert_type(tx, AsyncMetadataTransaction)
        tx.user_metadata["theme"] = "dark"
        await tx.load()
    assert_type(tx.result, CommitResult)

    async def next_number(tx: AsyncMetadataTransaction) -> int:
        await tx.load()
        return 1

    def plain(tx: AsyncMetadataTransaction) -> int:
        return 1

    assert_type(await client.run_transaction("auth0|1", next_number, attempts=3), int)
    await client.run_transaction("auth0|1", plain)  # type: ignore[arg-type]
    client.transaction("auth0|1", max_wiat=5)  # type: ignore[call-arg]
    async with client.batch(share=1.0, on_result=print) as batch:
        assert_type(batch, AsyncMetadataBatch)
        assert_type(await batch.user("auth0|1"), MetadataTransaction)
    assert_type(batch.results, BatchResults)
    client.batch(on_eror="collect")  # type: ignore[call-arg]
