"""`client.with_options(...)`: a view shares everything with its client but the settings that it was given."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from support.forks import in_child
from support.local_tenant import UID, Local
from support.scripted_server import Reply, ScriptedServer, Seen, connect, limited, token

from auth0_meta import (
    Auth0MetaError,
    ConfigError,
    InputError,
    ManagementClient,
    MetadataBatch,
    NotSentError,
    RateLimitError,
    RequestInfo,
    StateError,
    TransportError,
)
from auth0_meta.actions import Event, PostLoginTrigger
from auth0_meta.forks import _owners
from auth0_meta.migrate import apply, plan, undo
from auth0_meta.testing import FakeClock

HEADER = {"X-Correlation-ID": "order-17"}


def by_route(seen: Seen) -> Reply:
    """Serve tokens and users."""
    return token() if seen.path == "/oauth/token" else Reply()


async def _awaitable(_: object) -> None:
    """Be what nobody would await."""


# Shared ----------------------------------------------------------------------------------------------


def test_a_view_and_its_client_share_token_connection_and_gate() -> None:
    """One token request and one connection serve both, and a 429 for one stops both."""
    clock = FakeClock()
    replies: list[Reply | Callable[[Seen], Reply]] = [
        token(), Reply(), Reply(), limited(headers={}, **{"Retry-After": "5"}), Reply(), Reply(),
    ]  # fmt: skip
    with (
        ScriptedServer(*replies, now=clock.time) as server,
        connect(server, client_id="c", client_secret="s", clock=clock) as client,
    ):
        view = client.with_options(max_wait=1)
        view.users.get("auth0|1")
        client.users.get("auth0|1")
        with pytest.raises(RateLimitError):
            view.users.get("auth0|2")
        assert len(server.seen) == 4
        with pytest.raises(RateLimitError):  # the gate that the response has closed is closed for every view
            client.with_options(max_wait=0).users.get("auth0|3")
        assert len(server.seen) == 4
        client.users.get("auth0|4")
        assert sum(clock.slept) >= 5
        assert {seen.connection for seen in server.seen} == {1}
        assert server.paths().count("/oauth/token") == 1


def test_a_view_ends_with_its_client_and_not_the_other_way_round() -> None:
    """Closing a view, or leaving its block, closes nothing; closing the client closes its views."""
    with ScriptedServer() as server, connect(server) as client:
        view = client.with_options(max_wait=1)
        with view.with_options(max_wait=2) as inner:
            inner.users.get("auth0|1")
        view.close()
        assert client.users.get("auth0|1") == inner.users.get("auth0|1") == view.users.get("auth0|1")
        client.close()
        for closed in (client, view, inner):
            with pytest.raises(StateError, match="closed"):
                closed.users.get("auth0|1")
            with pytest.raises(StateError, match="closed"):
                closed._channel.carrier  # noqa: B018  # reading it is the test


def test_a_view_outlives_the_variable_of_its_client() -> None:
    """Nobody has to keep the client: the view holds what it needs."""
    with ScriptedServer() as server:
        view = connect(server).with_options(max_wait=1)
        gc.collect()
        view.users.get("auth0|1")
        assert len(server.seen) == 1


def test_worker_threads_are_the_clients() -> None:
    """Calls of asyncio tasks on all views use one set of threads."""
    with ScriptedServer() as server, connect(server) as client:
        assert client.with_options(timeout=1)._channel.carrier is client._channel.carrier


def test_thousands_of_views_leave_nothing_behind() -> None:
    """A view is collected as soon as it is dropped, without the garbage collector, and adds nothing to fork handling."""
    with ScriptedServer() as server, connect(server) as client:
        client.users.get("auth0|1")
        gc.collect()
        gc.disable()
        try:
            before, owners = len(gc.get_objects()), len(_owners)
            for _ in range(1000):
                view = client.with_options(max_wait=1, headers=HEADER, on_request=print)
            gone = weakref.ref(view._channel), weakref.ref(view), weakref.ref(view.users)
            del view
            assert [ref() for ref in gone] == [None] * 3
            assert len(gc.get_objects()) - before < 100
            assert len(_owners) == owners
        finally:
            gc.enable()


def test_making_a_view_costs_little_memory() -> None:
    """A thousand living views take less than 3 KB each."""
    with ScriptedServer() as server, connect(server) as client:
        tracemalloc.start()
        try:
            views = [client.with_options(max_wait=1, on_request=print) for _ in range(1000)]
            assert tracemalloc.get_traced_memory()[0] < 3_000 * len(views)
        finally:
            tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_renews_a_client_and_its_views_once() -> None:
    """The child of a process with many views opens one new connection, which all of them share."""
    with (
        ScriptedServer(by_route) as server,
        connect(server, client_id="c", client_secret="s") as client,
    ):
        views = [client.with_options(max_wait=n) for n in range(20)]
        views[3].users.get("auth0|1")
        renewed: list[int] = []
        client._channel.throttle.renew = lambda: renewed.append(1)  # type: ignore[method-assign]

        def child() -> str:
            for one in (client, *views):
                one.users.get("auth0|1")
            return str(len(renewed))

        assert in_child(child) == "1"
        assert server.connections == 2
        assert server.paths().count("/oauth/token") == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_view_without_its_client_is_renewed_too() -> None:
    """What a fork renews lives as long as any view."""
    with ScriptedServer() as server:
        view = connect(server).with_options(max_wait=1)
        gc.collect()
        view.users.get("auth0|1")
        assert in_child(lambda: view.users.get("auth0|1").user_id) == "auth0|1"
        assert server.connections == 2


# Joining ---------------------------------------------------------------------------------------------


def test_transactions_on_a_client_and_its_views_join() -> None:
    """It is one tenant: blocks for one user send one PATCH, by the settings of the outermost."""
    told: list[RequestInfo] = []
    local = Local()
    outer = local.client.with_options(headers={"X-Outer": "1"}, on_request=told.append)
    inner = local.client.with_options(headers={"X-Inner": "1"}, on_request=print)
    with outer.transaction(UID) as tx:
        tx.app_metadata["a"] = 1
        with local.client.transaction(UID) as second, inner.transaction(UID) as third:
            second.app_metadata["b"] = 2
            third.app_metadata["c"] = 3
        with pytest.raises(StateError, match="run_transaction"):
            inner.run_transaction(UID, lambda tx: None)
    assert local.bodies == [{"app_metadata": {"a": 1, "b": 2, "c": 3}}]
    assert (second.result.outcome, third.result.outcome) == ("joined", "joined")
    (entry,) = local.tenant.journal.requests("PATCH")
    assert "x-outer" in entry.headers
    assert "x-inner" not in entry.headers
    assert [info.method for info in told] == ["PATCH"]


def test_two_clients_of_one_tenant_do_not_join() -> None:
    """Only views share a channel."""
    local = Local()
    other = local.tenant.client(token="any.given.token").with_options(max_wait=1)
    with local.tx() as tx, other.transaction(UID) as apart:
        tx.app_metadata["a"] = 1
        apart.app_metadata["b"] = 2
    assert local.bodies == [{"app_metadata": {"b": 2}}, {"app_metadata": {"a": 1}}]


# max_wait and timeout --------------------------------------------------------------------------------


def test_not_given_is_the_clients_and_none_is_no_limit() -> None:
    """`max_wait=None` means no limit, "client" and leaving it out mean the setting of whatever the view is made from."""
    with ScriptedServer() as server, connect(server, max_wait=7, timeout=(1, 2)) as client:
        limits = {
            "client": client,
            "same": client.with_options(),
            "named": client.with_options(max_wait="client", timeout="client", on_request="client"),
            "none": client.with_options(max_wait=None),
            "zero": client.with_options(max_wait=0),
            "of the view": client.with_options(max_wait=3).with_options(timeout=9),
            "back": client.with_options(max_wait=None).with_options(max_wait=5),
        }
        found = {name: one._channel.budget().max_wait for name, one in limits.items()}
        assert found == {
            "client": 7, "same": 7, "named": 7, "none": None, "zero": 0, "of the view": 3, "back": 5,
        }  # fmt: skip
        assert limits["of the view"]._channel.budget().timeout == (9, 9)
        assert limits["named"]._channel.budget().timeout == (1, 2)


def test_a_transactions_own_max_wait_wins() -> None:
    """What one call is given counts more than the view's setting."""
    with ScriptedServer() as server, connect(server) as client:
        view = client.with_options(max_wait=3)
        assert view.transaction("auth0|1", max_wait=4)._unit.budget.max_wait == 4
        assert view.transaction("auth0|1", max_wait=None)._unit.budget.max_wait is None
        assert view.transaction("auth0|1")._unit.budget.max_wait == 3


def test_the_timeout_of_a_view_ends_a_request_that_its_client_waits_for() -> None:
    """It applies to each request of the view, and to no other."""
    with ScriptedServer(Reply(delay=1.5)) as server, connect(server, failure_wait=0) as client:
        with pytest.raises(TransportError, match=r"read timeout 0\.2 s"):
            client.with_options(timeout=(30, 0.2)).users.get("auth0|1")
        client.users.get("auth0|1")


def test_the_timeout_of_a_view_applies_to_the_token_it_needs() -> None:
    """A token request is a request of the view, too."""
    with (
        ScriptedServer(Reply(delay=1.5)) as server,
        connect(server, client_id="c", client_secret="s", failure_wait=0) as client,
        pytest.raises(NotSentError, match=r"read timeout 0\.2 s"),
    ):
        client.with_options(timeout=(30, 0.2)).users.get("auth0|1")
    assert server.paths() == ["/oauth/token"]


# Headers ---------------------------------------------------------------------------------------------


def test_headers_go_with_every_request_to_the_api_and_with_no_other() -> None:
    """Reads, writes and transactions carry them; token requests and the client's own requests do not."""
    with ScriptedServer(by_route) as server, connect(server, client_id="c", client_secret="s") as client:
        view = client.with_options(headers=HEADER)
        view.users.get("auth0|1")
        view.request("DELETE", "users/auth0%7C1/roles", json={"roles": []})
        with view.transaction("auth0|1") as tx:
            tx.app_metadata.set("a.b", 1)
        client.users.get("auth0|1")
        carried = [(s.path, s.headers.get("X-Correlation-ID")) for s in server.seen]
    assert [path for path, value in carried if value is None] == ["/oauth/token", "/api/v2/users/auth0%7C1"]
    assert len(carried) == 6


def test_headers_never_reach_another_host() -> None:
    """A download goes to a link's host, and carries neither the token nor a view's headers."""
    with ScriptedServer(Reply(200, raw=b"{}\n")) as files, ScriptedServer() as server:
        job = {"id": "job_1", "type": "users_export", "status": "completed", "location": f"{files.url}/f.gz"}
        server.replies = [Reply(200, job)]
        with connect(server) as client:
            client.with_options(headers=HEADER, timeout=5).jobs.download("job_1", io.BytesIO())
        assert "X-Correlation-ID" in server.seen[0].headers
        assert "X-Correlation-ID" not in files.seen[0].headers


def test_views_of_views_add_headers_and_a_requests_own_win() -> None:
    """The later of two with one name counts, in any case."""
    with ScriptedServer() as server, connect(server) as client:
        view = client.with_options(headers={"X-A": "1", "X-B": "1"}).with_options(headers={"x-b": "2"})
        view.request("GET", "clients")
        view.request("GET", "clients", headers={"X-B": "3", "X-C": "3"})
        sent = [
            {name.lower(): value for name, value in seen.headers.items() if name.lower().startswith("x-")}
            for seen in server.seen
        ]
    assert sent == [{"x-a": "1", "x-b": "2"}, {"x-a": "1", "x-b": "3", "x-c": "3"}]


def test_the_custom_domain_of_a_view_goes_where_auth0_takes_it() -> None:
    """As `custom_domain=` does: with a PATCH, and with no GET.  It wins over the client's."""
    with ScriptedServer() as server, connect(server, custom_domain="login.example.com") as client:
        view = client.with_options(headers={"auth0-custom-domain": "Brand.Example.com"})
        view.users.get("auth0|1")
        view.users.update("auth0|1", {"name": "Ada"})
        client.users.update("auth0|1", {"name": "Ada"})
        sent = [seen.headers.get("Auth0-Custom-Domain") for seen in server.seen]
    assert sent == [None, "brand.example.com", "login.example.com"]


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"max_wait": -1}, ConfigError),
        ({"max_wait": "none"}, ConfigError),
        ({"timeout": 0}, ConfigError),
        ({"timeout": None}, ConfigError),
        ({"timeout": (1, 2, 3)}, ConfigError),
        ({"on_request": 5}, ConfigError),
        ({"on_request": "print"}, ConfigError),
        ({"on_request": _awaitable}, ConfigError),
        ({"headers": {"Authorization": "Bearer canary"}}, InputError),
        ({"headers": {"X-A": "two\nlines"}}, InputError),
        ({"headers": ["X-A"]}, InputError),
        ({"headers": {"Auth0-Custom-Domain": "not a host"}}, InputError),
        ({"headers": {"X-A": "a" * 9000}}, InputError),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],
)
def test_what_cannot_work_is_refused_at_once(settings: dict[str, Any], kind: type[Exception]) -> None:
    """A bad setting fails where the view is made, and shows no value."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(kind) as caught:
            client.with_options(**settings)
        assert "canary" not in str(caught.value)
        assert server.seen == []


def test_headers_that_are_too_large_together_are_refused() -> None:
    """8 KB is the most for all views together."""
    with ScriptedServer() as server, connect(server) as client:
        view = client.with_options(headers={"X-A": "a" * 5000})
        with pytest.raises(InputError, match="8192"):
            view.with_options(headers={"X-B": "b" * 5000})


def test_header_values_of_a_view_stay_out_of_errors() -> None:
    """An error that echoes the request is cleaned of them, like of a request's own."""
    echo = Reply(400, {"statusCode": 400, "error": "Bad Request", "message": "bad header canary-17 here"})
    with ScriptedServer(echo) as server, connect(server) as client:
        view = client.with_options(headers={"X-Correlation-ID": "canary-17"})
        with pytest.raises(Auth0MetaError) as caught:
            view.users.get("auth0|1")
        assert "canary" not in str(caught.value)
        assert "canary" not in repr((view, view._channel, view.users, vars(caught.value)))


# Wherever a client is taken --------------------------------------------------------------------------


def test_everything_that_takes_a_client_takes_a_view(tmp_path: Any) -> None:
    """Each of them sends by the view's settings."""
    local = Local({"a": 1}, {"plan": "free"}, rate_limit="off")
    seen: list[str] = []
    names = iter(range(100))

    def view() -> ManagementClient:
        """Return a view that shows in the requests which one it was."""
        return local.client.with_options(
            headers={"X-View": f"v{next(names)}"}, on_request=lambda i: seen.append(i.method)
        )

    def in_transaction(client: ManagementClient) -> None:
        with client.transaction(UID) as tx:
            tx.app_metadata["n"] = next(names)

    def again(client: ManagementClient) -> None:
        client.run_transaction(UID, lambda tx: tx.app_metadata.__setitem__("n", next(names)))

    def in_asyncio(client: ManagementClient) -> None:
        async def work() -> None:
            async with client.atransaction(UID) as tx:
                tx.app_metadata["n"] = next(names)

        asyncio.run(work())

    def awaited(client: ManagementClient) -> None:
        async def work() -> None:
            await client.aio.users.get(UID)
            async with client.aio.transaction(UID) as tx:
                tx.app_metadata["n"] = next(names)

        asyncio.run(work())

    def in_batch(client: ManagementClient) -> None:
        with MetadataBatch(client) as batch:
            batch.user(UID).app_metadata["n"] = next(names)

    def in_migration(client: ManagementClient) -> None:
        job = tmp_path / "job.db"
        changes = tmp_path / "changes.csv"
        changes.write_text(f"user_id,app_metadata.plan\n{UID},pro\n")
        plan(changes, to=job, client=client)
        apply(job, client)
        undo(job, client)

    def at_login(client: ManagementClient) -> None:
        def act(event: Any, api: Any) -> None:
            api.user.set_app_metadata("n", next(names))

        event = Event.from_dict({"user": {"user_id": UID, "app_metadata": {}, "user_metadata": {}}})
        PostLoginTrigger(client, [act]).run(event)

    uses: list[Callable[[ManagementClient], object]] = [
        lambda client: client.users.get(UID),
        lambda client: list(client.users.search()),
        lambda client: client.users.by_email("nobody@example.com"),
        lambda client: client.request("GET", "users"),
        lambda client: client.check(),
        lambda client: client.jobs.export_users(),
        in_transaction, awaited, again, in_asyncio, in_batch, in_migration, at_login,
    ]  # fmt: skip
    for use in uses:
        seen.clear()
        before = len(local.tenant.journal)
        use(view())
        sent = local.tenant.journal.requests()[before:]
        assert sent
        assert {"x-view" in entry.headers for entry in sent} == {True}
        assert len({entry.headers["x-view"] for entry in sent}) == 1
        assert [entry.method for entry in sent] == seen
