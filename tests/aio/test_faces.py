"""The two faces: whatever the sync client, its endpoints and its batches have, the asyncio ones have too."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from auth0_meta import (
    AsyncJobs,
    AsyncManagementClient,
    AsyncMetadataBatch,
    AsyncMetadataTransaction,
    AsyncUsers,
    Jobs,
    ManagementClient,
    MetadataBatch,
    MetadataTransaction,
    Users,
)
from auth0_meta.connection import ClientSettings, connect
from auth0_meta.transactions.options import BatchSettings

PAIRS: dict[type, type] = {
    ManagementClient: AsyncManagementClient,
    Users: AsyncUsers,
    Jobs: AsyncJobs,
    MetadataBatch: AsyncMetadataBatch,
    MetadataTransaction: AsyncMetadataTransaction,
}
RENAMED = {"close": "aclose"}
NONE = {(ManagementClient, "aio"), (ManagementClient, "atransaction")}
"""What only the sync side has: it leads to the other side."""
MORE = {(AsyncManagementClient, "batch")}
"""What only the asyncio side has: the sync one is a class that takes the client."""
AT_ONCE = {"from_env", "with_options", "transaction", "batch", "search", "nested", "rollback"}
"""What sends nothing when it is called, and so is not awaited."""

DIFFERENT = {
    (ManagementClient, "transaction"): "-> AsyncMetadataTransaction",
    (ManagementClient, "run_transaction"): "fn takes an AsyncMetadataTransaction and is awaited",
    (Users, "search"): "-> AsyncIterator",
}
"""Whose annotations differ in more than being awaited."""


def public(kind: type) -> set[str]:
    """Return the names of a class's public members."""
    return {name for name in dir(kind) if not name.startswith("_")}


def methods() -> list[tuple[type, type, str, str]]:
    """Return each public member of a sync class, with its counterpart."""
    return [
        (sync, other, name, RENAMED.get(name, name))
        for sync, other in PAIRS.items()
        for name in sorted(public(sync))
        if (sync, name) not in NONE
    ]


@pytest.mark.parametrize("sync", PAIRS)
def test_nothing_is_missing_on_either_side(sync: type) -> None:
    """A new method of one side needs its counterpart on the other."""
    expected = {RENAMED.get(name, name) for name in public(sync) if (sync, name) not in NONE}
    assert public(PAIRS[sync]) - {name for kind, name in MORE if kind is PAIRS[sync]} == expected


@pytest.mark.parametrize(("sync", "other", "name", "counterpart"), methods())
def test_a_counterpart_takes_and_returns_the_same(
    sync: type, other: type, name: str, counterpart: str
) -> None:
    """It has the same parameters, defaults and annotations, a docstring, and is awaited if it may send."""
    theirs, ours = inspect.getattr_static(sync, name), inspect.getattr_static(other, counterpart)
    assert inspect.getdoc(ours)
    if isinstance(theirs, property):
        return
    theirs, ours = getattr(sync, name), getattr(other, counterpart)
    assert inspect.iscoroutinefunction(inspect.unwrap(ours)) is (name not in AT_ONCE)
    if (sync, name) in DIFFERENT:
        assert inspect.signature(theirs).parameters.keys() == inspect.signature(ours).parameters.keys()
        return
    mine, yours = inspect.signature(theirs), inspect.signature(ours)
    assert list(mine.parameters.values()) == list(yours.parameters.values())
    assert mine.return_annotation == yours.return_annotation


def takes(call: Callable[..., Any]) -> dict[str, str]:
    """Return the names and annotations of the keyword-only parameters."""
    found = inspect.signature(call).parameters.values()
    return {p.name: str(p.annotation) for p in found if p.kind is p.KEYWORD_ONLY}


def settings(kind: type) -> dict[str, str]:
    """Return the same of a TypedDict."""
    return {name: note.__forward_arg__ for name, note in kind.__annotations__.items()}


def test_the_constructors_take_the_same() -> None:
    """`ClientSettings` and `BatchSettings` have every argument, with the same annotation."""
    assert takes(ManagementClient) == takes(connect) == settings(ClientSettings)
    assert takes(MetadataBatch) == settings(BatchSettings)


def test_instances_have_the_same_attributes() -> None:
    """This is about those that the constructors set."""
    client = ManagementClient("tenant.eu.auth0.com", token="a.b.c")
    batch = MetadataBatch(client)
    for sync, other in ((client, client.aio), (batch, client.aio.batch())):
        assert {name for name in vars(sync) if name[0] != "_"} == {
            name for name in vars(other) if name[0] != "_"
        }
