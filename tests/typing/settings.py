"""Pin that type checkers report settings that are misspelt or of the wrong type; none of this is run.

As in `actions.py`, each ignored error proves that both checkers report the mistake.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Unpack

from auth0_meta import (
    AsyncManagementClient,
    AsyncMetadataTransaction,
    ClientSettings,
    CommitResult,
    ManagementClient,
    MetadataBatch,
    MetadataTransaction,
    TransactionSettings,
    User,
    Wait,
)
from auth0_meta.actions import Action, Api, Event, LoginOutcome, PostLoginTrigger, TriggerSettings, post_login
from auth0_meta.emulator import LocalTenant
from auth0_meta.testing import Simulation, asimulate, simulate

if TYPE_CHECKING:
    from typing import assert_type


class Tenant(ManagementClient):
    """A subclass of a user."""


def settings_that_are_passed_on(
    client: ManagementClient,
    event: Event,
    **settings: Unpack[ClientSettings],
) -> None:
    """Take the settings of a function that passes them on."""
    ManagementClient("tenant.eu.auth0.com", **settings)
    ManagementClient.from_env(**settings)
    with LocalTenant() as tenant:
        tenant.client(**settings)
    once: TransactionSettings = {"max_wait": 5, "oversize": "error"}
    MetadataTransaction(client, "auth0|1", **once)
    client.atransaction("auth0|1", **once)
    strict: TriggerSettings = {"budget": 5, "deny_keeps": "this"}
    simulate(a_function, event, **strict)
    PostLoginTrigger(client, (), **strict)


def a_subclass() -> None:
    """Return one from `from_env`."""
    assert_type(Tenant.from_env(), Tenant)
    with Tenant.from_env(domain="tenant.eu.auth0.com", token="a.b.c") as client:
        assert_type(client, Tenant)


def a_misspelt_setting(client: ManagementClient, event: Event) -> None:
    """Report it, in every call that takes settings."""
    ManagementClient("tenant.eu.auth0.com", max_wiat=5)  # type: ignore[call-arg]
    ManagementClient.from_env(max_wiat=5)  # type: ignore[call-arg]
    MetadataTransaction(client, "auth0|1", max_wiat=5)  # type: ignore[call-arg]
    AsyncMetadataTransaction(client, "auth0|1", max_wiat=5)  # type: ignore[call-arg]
    client.transaction("auth0|1", lokc=None)  # type: ignore[call-arg]
    client.atransaction("auth0|1", lokc=None)  # type: ignore[call-arg]
    client.run_transaction("auth0|1", len, atempts=5)  # type: ignore[call-arg,arg-type]
    client.request("GET", "roles", parms={})  # type: ignore[call-arg]
    client.users.search(query="plan:pro")  # type: ignore[call-arg]
    client.users.find("ada@example.com", conection="db")  # type: ignore[call-arg]
    client.users.set_metadata("auth0|1", app={"plan": "pro"}, lokc=None)  # type: ignore[call-arg]
    MetadataBatch(client, shar=0.5)  # type: ignore[call-arg]
    PostLoginTrigger(client, (), buget=5)  # type: ignore[call-arg]
    post_login(client, event, buget=5)  # type: ignore[call-arg]
    simulate((), event, buget=5)  # type: ignore[call-arg]
    asimulate((), event, buget=5)  # type: ignore[call-arg,unused-coroutine]
    LocalTenant(rate_limits="free")  # type: ignore[call-arg]
    LocalTenant().client(max_wiat=5)  # type: ignore[call-arg]


def a_setting_of_the_wrong_type(client: ManagementClient, event: Event) -> None:
    """Report it too."""
    ManagementClient.from_env(timeout="5")  # type: ignore[arg-type]
    ManagementClient.from_env(token=b"a.b.c")  # type: ignore[arg-type]
    client.transaction("auth0|1", oversize="ignore")  # type: ignore[arg-type]
    client.transaction(5)  # type: ignore[arg-type]
    client.request("GET", "users/{}/roles", None)  # type: ignore[arg-type]
    client.users.set_metadata("auth0|1", app=["plan"])  # type: ignore[arg-type]
    client.users.set_metadata("auth0|1", app={"plan": 1}, oversize="ignore")  # type: ignore[arg-type]
    client.transaction("auth0|1", max_wait="none")  # type: ignore[arg-type]
    simulate(a_function, event, deny_keeps="none")  # type: ignore[arg-type]
    simulate(a_function, event, now="today")  # type: ignore[arg-type]


def takes_nothing() -> None:
    """Take no wait."""


def takes_a_float(seconds: float) -> None:
    """Take the wrong thing."""


def takes_a_wait(wait: Wait) -> None:
    """Take what `on_wait` gets."""


def listeners() -> None:
    """Report a listener with the wrong signature."""
    ManagementClient.from_env(on_wait=takes_a_wait)
    ManagementClient.from_env(on_wait=print)
    ManagementClient.from_env(on_wait=takes_nothing)  # type: ignore[arg-type]
    ManagementClient.from_env(on_wait=takes_a_float)  # type: ignore[arg-type]
    ManagementClient("tenant.eu.auth0.com", on_wait=takes_nothing)  # type: ignore[arg-type]


def a_function(event: Event, api: Api) -> None:
    """Be an action."""


async def an_async_function(event: Event, api: Api) -> None:
    """Be an action."""


def a_chain(event: Event, api: Api) -> Api:
    """Be an action that returns what its last call returns."""
    return api.user.set_app_metadata("a", 1)


class Both:
    """An action that may redirect."""

    def on_execute_post_login(self, event: Event, api: Api) -> None:
        """Run at a login."""

    async def on_continue_post_login(self, event: Event, api: Api) -> None:
        """Run after a redirect."""


class AnObject:
    """An action that may not."""

    async def on_execute_post_login(self, event: Event, api: Api) -> None:
        """Run at a login."""


class Called:
    """An action that is called."""

    def __call__(self, event: Event, api: Api) -> None:
        """Run at a login."""


def actions(client: ManagementClient, event: Event, module: types.ModuleType, mine: Sequence[Action]) -> None:
    """Take every kind of action."""
    PostLoginTrigger(client, [a_function, an_async_function, a_chain, Both(), AnObject(), Called()])
    PostLoginTrigger(client, (lambda event, api: api.access.deny(event.user.user_id or ""),))
    PostLoginTrigger(client, [Both().on_execute_post_login])
    PostLoginTrigger(client, mine)
    assert_type(simulate(a_function, event), Simulation)
    simulate([a_function, Both()], {"user": {"user_id": "auth0|1"}}, now=datetime.now(UTC))
    simulate(Both(), event)
    assert_type(PostLoginTrigger(client, [])(event), LoginOutcome)
    LocalTenant(post_login=PostLoginTrigger(client, []))


def one_argument(event: Event) -> None:
    """Lack the api."""


def three_arguments(event: Event, api: Api, more: int) -> None:
    """Want something that nobody passes."""


def swapped(api: Api, event: Event) -> None:
    """Take them in the wrong order."""


def of_a_user(user: User, api: Api) -> None:
    """Take a user instead of the event."""


class WrongMethod:
    """An action whose method lacks the api."""

    def on_execute_post_login(self, event: Event) -> None:
        """Lack the api."""


class Misspelt:
    """An action whose method has another name."""

    def on_execute_postlogin(self, event: Event, api: Api) -> None:
        """Run never."""


def actions_with_the_wrong_signature(client: ManagementClient, event: Event) -> None:
    """Report each of them."""
    PostLoginTrigger(client, [one_argument])  # type: ignore[list-item]
    PostLoginTrigger(client, [a_function, three_arguments])  # type: ignore[list-item]
    PostLoginTrigger(client, [swapped])  # type: ignore[list-item]
    PostLoginTrigger(client, [of_a_user])  # type: ignore[list-item]
    PostLoginTrigger(client, [lambda event: None])  # type: ignore[list-item,misc]
    PostLoginTrigger(client, [WrongMethod()])  # type: ignore[list-item]
    PostLoginTrigger(client, [Misspelt()])  # type: ignore[list-item]
    PostLoginTrigger(client, [Both])  # type: ignore[list-item]
    PostLoginTrigger(client, ["a_function"])  # type: ignore[list-item]
    PostLoginTrigger(client, a_function)  # type: ignore[arg-type]
    simulate(one_argument, event)  # type: ignore[arg-type]
    simulate([swapped], event)  # type: ignore[list-item]
    LocalTenant(post_login=takes_nothing)  # type: ignore[arg-type]


def what_is_not_there(client: ManagementClient, tx: MetadataTransaction) -> None:
    """Report a misspelt name of a client, a transaction and a bag, and an assignment to a bag."""
    client.usres.get("auth0|1")  # type: ignore[attr-defined]
    client.users.gett("auth0|1")  # type: ignore[attr-defined]
    tx.user_metdata["a"] = 1  # type: ignore[attr-defined]
    tx.app_metadata.increments("a")  # type: ignore[attr-defined]
    tx.app_metadata |= {"plan": "pro"}
    tx.app_metadata = {"plan": "pro"}  # type: ignore[assignment]
    assert client.users.get("auth0|1").emial  # type: ignore[attr-defined]
    assert tx.result.outcom  # type: ignore[attr-defined]


async def the_async_client(client: ManagementClient) -> None:
    """Report the same mistakes of its settings and values."""
    AsyncManagementClient.from_env(max_wiat=5)  # type: ignore[call-arg]
    AsyncManagementClient("tenant.eu.auth0.com", max_wiat=5)  # type: ignore[call-arg]
    aclient = client.aio
    aclient.transaction("auth0|1", lokc=None)  # type: ignore[call-arg]
    aclient.with_options(max_wiat=5)  # type: ignore[call-arg]
    client.with_options(max_wiat=5)  # type: ignore[call-arg]
    aclient.batch(shar=0.5)  # type: ignore[call-arg]
    await aclient.users.update("auth0|1", {"user_metadata": {"a": b""}})  # type: ignore[dict-item]
    await client.aio.users.gett("auth0|1")  # type: ignore[attr-defined]
    assert_type(await aclient.users.get("auth0|1"), User)
    async with aclient.transaction("auth0|1") as tx:
        tx.user_metadata["a"] = b""  # type: ignore[assignment]
    assert_type(tx.result, CommitResult)
