"""Pin what type checkers see of the public names; none of this is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

import auth0_meta
from auth0_meta import (
    CommitResult,
    ManagementClient,
    MetadataTransaction,
    Page,
    RateLimit,
    RequestInfo,
    Savepoint,
    User,
    Wait,
)

if TYPE_CHECKING:
    from typing import assert_type


def the_client() -> None:
    """Create a client in each documented way; it returns typed users."""
    client = ManagementClient(
        "tenant.eu.auth0.com", client_id="a", client_secret="b", max_wait=None, timeout=5
    )
    assert_type(ManagementClient.from_env(max_wait=5), ManagementClient)
    ManagementClient("tenant.eu.auth0.com", token=lambda: "a.b.c", rate_limit=RateLimit(50, 16))
    with client as same:
        assert_type(same, ManagementClient)
    assert_type(client.users.get("auth0|1", fields=["user_id"]), User)
    assert_type(client.users.update("auth0|1", {"name": "Ada"}), User)
    assert_type(client.users.search(q="plan:pro"), Iterator[User])
    assert_type(client.users.page(), Page)


def the_transaction(client: ManagementClient) -> None:
    """Stage, nest and commit; look at the result."""
    with MetadataTransaction(client, "auth0|1", base={"app_metadata": {}}) as tx:
        assert_type(tx, MetadataTransaction)
        tx.user_metadata["theme"] = "dark"
        tx.app_metadata.set(("billing", "plan"), "pro")
        tx.app_metadata.append("log", {"a": 1}, keep=20)
        with tx.nested() as inner:
            assert_type(inner, Savepoint)
        assert_type(inner.result, CommitResult)
    assert_type(tx.result, CommitResult)
    assert_type(tx.result.lock_lost, bool)
    outcome: Literal["updated", "unchanged", "confirmed", "joined", "rolled_back", "failed", "unknown"] = (
        tx.result.outcome
    )
    assert outcome
    assert_type(tx.commit(), CommitResult)
    some = User.from_dict({"user_id": "auth0|1"})
    assert_type(client.transaction(some, base=some), MetadataTransaction)
    assert_type(client.users.get(some), User)
    assert_type(some.app_metadata.get("billing.plan", "free"), Any)
    assert_type(some.app_metadata.get(("billing", "plan")), Any)
    plain: dict[str, Any] = some.app_metadata
    assert plain == {}
    assert_type(client.run_transaction("auth0|1", lambda tx: 5), int)


def waits(wait: Wait) -> None:
    """`on_wait` takes a function of a Wait."""
    assert_type(wait.seconds, float)
    ManagementClient.from_env(on_wait=waits)


def requests(info: RequestInfo) -> None:
    """`on_request` takes a function of a RequestInfo."""
    assert_type(info.method, str)
    assert_type(info.status, int | None)
    assert_type(info.duration, float)
    assert_type(info.request_id, str | None)
    ManagementClient("tenant.eu.auth0.com", token="t", on_request=requests)


def views(client: ManagementClient) -> None:
    """Make views, which are clients; each setting may be left out, and `None` is a value of its own."""
    assert_type(client.with_options(), ManagementClient)
    client.with_options(max_wait=None, timeout=(3.05, 30), headers={"X-Correlation-ID": "1"}, on_request=None)
    client.with_options(max_wait="client", timeout=5, on_request=requests).with_options(max_wait=0)
    client.with_options(max_wiat=1)  # type: ignore[call-arg]
    client.with_options(timeout=None)  # type: ignore[arg-type]
    client.with_options(headers={"X-A": 1})  # type: ignore[dict-item]
    client.with_options(on_request=lambda: None)  # type: ignore[arg-type, misc]


def errors(error: auth0_meta.RateLimitError) -> None:
    """Read the attributes of an error, which is also the built-in error that it refines."""
    assert_type(error.retry_at, float | None)
    refined: tuple[type[ValueError], type[LookupError], type[OSError], type[ImportError]] = (
        auth0_meta.InputError,
        auth0_meta.NotFoundError,
        auth0_meta.TransportError,
        auth0_meta.MissingExtraError,
    )
    any_fact: Any = refined
    assert any_fact
