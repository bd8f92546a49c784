from __future__ import annotations

import gc
import math
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st
from support.forks import in_child
from support.scripted_server import Reply, ScriptedServer, Seen, connect, token

from auth0_meta import ManagementClient, RateLimit
from auth0_meta.errors import ConfigError, InputError, NotFoundError, ServerError, StateError
from auth0_meta.testing import FakeClock

DOMAIN = "tenant.invalid"


# Settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "none of them"),
        ({"client_id": "c"}, "none of them"),
        ({"client_secret": "hunter2"}, "client_id"),
        ({"private_key": "hunter2"}, "client_id"),
        ({"client_id": 5, "client_secret": "hunter2"}, "client_id"),
        ({"token": "hunter2", "client_secret": "hunter3", "client_id": "c"}, "token and client_secret"),
        (
            {"client_id": "c", "client_secret": "hunter2", "private_key": "hunter3"},
            "client_secret and private_key",
        ),
        ({"token": ""}, "none of them"),
        ({"token": "hun ter2"}, "token"),
    ],
)
def test_a_client_needs_exactly_one_kind_of_credential(settings: dict[str, Any], named: str) -> None:
    """The error for missing, doubled or incomplete credentials names them, and shows none."""
    with pytest.raises(ConfigError, match=named) as caught:
        ManagementClient(DOMAIN, **settings)
    assert "hunter" not in str(caught.value)
    assert "hun ter" not in str(caught.value)


async def _awaitable(_: object) -> None:
    """Be what nobody would await."""


@pytest.mark.parametrize(
    "settings",
    [
        *({"max_wait": bad} for bad in (-1, -0.001, math.nan, "60", True, [])),
        *(
            {"timeout": bad}
            for bad in (
                0,
                -1,
                None,
                "3",
                True,
                math.inf,
                (1,),
                (1, 2, 3),
                (1, 0),
                (0, 1),
                (1, math.nan),
                (None, 1),
                ("1", 1),
                (1, True),
            )
        ),
        *({"pool_size": bad} for bad in (0, -1, 1.5, "9", True, None)),
        *({name: bad} for name in ("on_wait", "on_request") for bad in (5, "print", b"print", _awaitable)),
        *({"rate_limit": bad} for bad in ("fast", "50", "50@", "@16", "0@1", 50)),
    ],
    ids=lambda value: str(value).partition(" at 0x")[0],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    """A bad setting fails at construction."""
    with pytest.raises(ConfigError):
        ManagementClient(DOMAIN, token="t", **settings)


@pytest.mark.parametrize(
    "settings",
    [
        *({"max_wait": good} for good in (0, 0.0, 900, None, math.inf)),
        *({"timeout": good} for good in (5, 0.5, (3, 30), [3.05, 30])),
        *({"rate_limit": good} for good in (None, "free", "enterprise", "50@16", RateLimit(10, 2))),
        {"pool_size": 1},
        {"on_wait": print},
    ],
    ids=str,
)
def test_every_documented_form_of_a_setting_works(settings: dict[str, Any]) -> None:
    """It is accepted, and a request succeeds."""
    with ScriptedServer() as server, connect(server, **settings) as client:
        client.users.get("auth0|1")
        assert len(server.seen) == 1


@pytest.mark.parametrize("max_wait", [-1, math.nan, "60", True])
def test_a_bad_wait_budget_of_one_call_sends_nothing(max_wait: Any) -> None:
    """A call's `max_wait` is checked in the same way as the client's."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(ConfigError):
            client.request("GET", "clients", max_wait=max_wait)
        assert server.seen == []


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"token": "hunter2"}, "given token"),
        ({"token": lambda: "hunter2"}, "given token"),
        ({"client_id": "c", "client_secret": "hunter2"}, "client credentials"),
    ],
)
def test_the_repr_names_tenant_and_kind(settings: dict[str, Any], shown: str) -> None:
    """A client's repr shows its tenant and the kind of its credentials, and no credential."""
    client = ManagementClient(DOMAIN, **settings)
    assert repr(client) == f"<ManagementClient https://{DOMAIN}, {shown}>"


def test_the_audience_can_be_set() -> None:
    """Custom domains need this; by default it is the domain's own Management API."""
    assert ManagementClient(DOMAIN, token="t").audience == f"https://{DOMAIN}/api/v2/"
    assert (
        ManagementClient(DOMAIN, token="t", audience="https://t.eu.auth0.com/api/v2/").audience
        == "https://t.eu.auth0.com/api/v2/"
    )


@pytest.mark.parametrize("audience", ["https://api.example.com", "https://t.eu.auth0.com/api/v2", "x", 5])
def test_the_audience_of_another_api_is_refused(audience: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for another API's audience shows the canonical form, and names the variable it came from."""
    with pytest.raises(ConfigError, match=r"^audience .* 'https://YOUR_TENANT\.REGION\.auth0\.com/api/v2/'"):
        ManagementClient(DOMAIN, token="t", audience=audience)
    for name, value in (
        ("DOMAIN", DOMAIN),
        ("CLIENT_ID", "i"),
        ("CLIENT_SECRET", "s"),
        ("AUDIENCE", audience),
    ):
        monkeypatch.setenv(f"AUTH0_{name}", str(value))
    with pytest.raises(
        ConfigError, match=r"^AUTH0_AUDIENCE is .* 'https://YOUR_TENANT\.REGION\.auth0\.com/api/v2/'"
    ):
        ManagementClient.from_env()
    own = f"https://{DOMAIN}/api/v2/"
    assert ManagementClient.from_env(audience=own).audience == own
    assert ManagementClient.from_env(token="t").audience == own


def test_nothing_is_sent_before_the_first_call() -> None:
    """Creating, showing and closing a client sends nothing."""
    with ScriptedServer() as server:
        with connect(server, client_id="c", client_secret="s") as client:
            repr(client)
        assert server.seen == []


def test_a_closed_client_sends_nothing() -> None:
    """After `close`, or the end of its block, a client raises StateError; closing it twice is allowed."""
    with ScriptedServer() as server:
        with connect(server) as client:
            client.users.get("auth0|1")
        client.close()
        for call in (lambda: client.users.get("auth0|1"), lambda: client.request("GET", "x")):
            with pytest.raises(StateError):
                call()
        tx = client.transaction("auth0|1")
        tx.user_metadata["a"] = 1
        with pytest.raises(StateError):
            tx.commit()
        assert len(server.seen) == 1


def test_a_client_uses_the_given_clock_and_random() -> None:
    """It waits on the clock and takes jitter from the source that it was given."""
    clock, jitter = FakeClock(), random.Random(1)
    client = ManagementClient(DOMAIN, token="t", clock=clock, random=jitter)
    assert (client._channel.clock, client._channel.random) == (clock, jitter)


# From the environment --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env", "settings", "missing"),
    [
        ("", {}, ["AUTH0_DOMAIN"]),
        ("CLIENT_ID CLIENT_SECRET", {}, ["AUTH0_DOMAIN"]),
        ("DOMAIN", {}, ["AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET", "AUTH0_API_TOKEN"]),
        ("DOMAIN CLIENT_ID", {}, ["AUTH0_CLIENT_SECRET"]),
        ("DOMAIN CLIENT_SECRET", {}, ["AUTH0_CLIENT_ID"]),
        ("DOMAIN", {"client_id": "c"}, ["AUTH0_CLIENT_SECRET"]),
        ("DOMAIN", {"client_secret": "s"}, ["client_id"]),
    ],
)
def test_missing_environment_variables_are_named(
    env: str, settings: dict[str, Any], missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of `from_env` names each variable that is not set, and no other."""
    for name in env.split():
        monkeypatch.setenv(f"AUTH0_{name}", DOMAIN)
    with pytest.raises(ConfigError) as caught:
        ManagementClient.from_env(**settings)
    text = str(caught.value)
    assert all(name in text for name in missing)
    for name in ("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"):
        assert name in text or name not in missing
        assert name not in text or name in missing


@pytest.mark.parametrize(
    ("env", "settings", "sent"),
    [
        ({"API_TOKEN": "env-token"}, {}, "Bearer env-token"),
        ({"API_TOKEN": "env-token", "CLIENT_ID": "i", "CLIENT_SECRET": "s"}, {}, "Bearer env-token"),
        ({"API_TOKEN": "env-token"}, {"token": "mine"}, "Bearer mine"),
        ({"CLIENT_ID": "i", "CLIENT_SECRET": "s"}, {"token": "mine"}, "Bearer mine"),
        ({"CLIENT_ID": "i", "CLIENT_SECRET": "s"}, {}, ("i", "s", None)),
        (
            {"CLIENT_ID": "i", "CLIENT_SECRET": "s", "AUDIENCE": "https://a/api/v2/"},
            {},
            ("i", "s", "https://a/api/v2/"),
        ),
        ({"API_TOKEN": "env-token", "AUDIENCE": "https://api.example.com"}, {}, "Bearer env-token"),
        ({"CLIENT_ID": "i", "CLIENT_SECRET": "s", "AUDIENCE": ""}, {}, ("i", "s", None)),
        (
            {"AUDIENCE": "https://a/"},
            {"client_id": "j", "client_secret": "r", "audience": "https://b/api/v2/"},
            ("j", "r", "https://b/api/v2/"),
        ),
        ({"CLIENT_ID": "i", "API_TOKEN": "env-token"}, {"client_secret": "r"}, ("i", "r", None)),
        ({"CLIENT_SECRET": "s"}, {"client_id": "j"}, ("j", "s", None)),
    ],
)
def test_arguments_override_the_environment(
    env: dict[str, str], settings: dict[str, Any], sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind of credential can come from the environment, in whole or in part."""
    with ScriptedServer(lambda seen: token() if seen.path == "/oauth/token" else Reply()) as server:
        for name, value in env.items():
            monkeypatch.setenv(f"AUTH0_{name}", value)
        monkeypatch.setenv("AUTH0_DOMAIN", server.url)
        with ManagementClient.from_env(**settings) as client:
            client.users.get("auth0|1")
        first = server.seen[0]
        if isinstance(sent, str):
            assert first.headers["Authorization"] == sent
        else:
            form = first.form
            assert (form["client_id"], form["client_secret"]) == sent[:2]
            assert form["audience"] == (sent[2] or client.audience)


def test_the_domain_may_be_an_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """A domain passed to `from_env` overrides AUTH0_DOMAIN."""
    monkeypatch.setenv("AUTH0_DOMAIN", "other.invalid")
    monkeypatch.setenv("AUTH0_API_TOKEN", "t")
    assert DOMAIN in repr(ManagementClient.from_env(domain=DOMAIN))


# `request`, for any endpoint -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("clients", "/api/v2/clients"),
        ("/clients", "/api/v2/clients"),
        ("/api/v2/clients", "/api/v2/clients"),
        ("users/auth0%7C1/roles", "/api/v2/users/auth0%7C1/roles"),
        ("users/a%2Fb", "/api/v2/users/a%2Fb"),
        ("users/a%2525", "/api/v2/users/a%2525"),
        ("users/auth0|1/roles", "/api/v2/users/auth0%7C1/roles"),
        ("users/a..b", "/api/v2/users/a..b"),
        ("//evil.example/x", "/api/v2/evil.example/x"),
        ("logs?from=..&take=1", "/api/v2/logs?from=..&take=1"),
    ],
)
def test_a_path_stays_below_the_api(path: str, sent: str) -> None:
    """A path is relative to /api/v2/, and percent-encoding in it is kept."""
    with ScriptedServer() as server, connect(server) as client:
        client.request("GET", path)
        assert server.paths() == [sent]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "api/v2/",
        "?x=1",
        "..",
        "../oauth/token",
        "users/../clients",
        "users/..",
        "users/.",
        "users/%2e%2E/x",
        "users/.%2e",
        "users/%2E./x",
        "users/a#b",
        "x?y#z",
        "https://evil.example/x",
        "us ers",
        "users\n",
        "users/\x00",
        "users/100%",
        "users/%zz",
        "users/%7",
        None,
        5,
        b"users",
    ],
    ids=repr,
)
def test_a_path_that_leaves_the_api_sends_nothing(path: Any) -> None:
    """Dots, fragments, hosts, white space and broken percent signs are refused before the first request."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.request("GET", path)
        assert server.seen == []


def test_no_path_leaves_the_api() -> None:
    """Whatever the path, a request goes below /api/v2/ or is not sent."""
    with ScriptedServer() as server, connect(server) as client:

        @given(st.text(alphabet="abAB%2eEfF./\\?#:| 0", max_size=12))
        def check(path: str) -> None:
            server.seen.clear()
            try:
                client.request("GET", path)
            except InputError:
                assert server.seen == []
                return
            target = server.seen[0].path.partition("?")[0]
            assert target.startswith("/api/v2/")
            assert not {".", ".."} & set(target.split("/"))

        check()


@pytest.mark.parametrize(
    ("path", "params", "sent"),
    [
        (
            "x",
            {"a": 1, "b": None, "c": True, "d": False, "e": "\u00e5 &"},
            "x?a=1&c=true&d=false&e=%C3%A5+%26",
        ),
        ("x", {"a": ["1", "2"]}, "x?a=1&a=2"),
        ("x?y=1", {"a": 1}, "x?y=1&a=1"),
        ("x", {}, "x"),
    ],
)
def test_params_become_the_query(path: str, params: dict[str, Any], sent: str) -> None:
    """None is omitted, booleans are lower case, lists repeat the name, and a query in the path is kept."""
    with ScriptedServer() as server, connect(server) as client:
        client.request("get", path, params=params)
        assert server.paths() == [f"/api/v2/{sent}"]


@pytest.mark.parametrize("method", ["", "FETCH", "GET /x HTTP/1.1\r\nX: y", None, 5])
def test_an_unknown_method_sends_nothing(method: Any) -> None:
    """Only HTTP's usual methods are sent."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.request(method, "clients")
        assert server.seen == []


@pytest.mark.parametrize("json", [{"a": float("nan")}, {"a": {1}}, b"x", "\ud800"])
def test_a_body_that_json_cannot_represent_sends_nothing(json: Any) -> None:
    """Bodies are checked before the first request, and so are queries."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.request("POST", "clients", json=json)
        with pytest.raises(InputError):
            client.request("GET", "clients", params={"a": "\ud800"})
        assert server.seen == []


@pytest.mark.parametrize(
    ("json", "body"), [(None, b""), ({}, b"{}"), ([], b"[]"), (False, b"false"), ({"a": None}, b'{"a":null}')]
)
def test_the_body_is_sent_unchanged(json: Any, body: bytes) -> None:
    """None sends no body; any other value is sent as compact JSON, and the response is parsed."""
    with ScriptedServer(Reply(200, [1, {"a": None}])) as server, connect(server) as client:
        assert client.request("POST", "x", json=json) == [1, {"a": None}]
        assert server.seen[0].body == body
        assert ("Content-Type" in server.seen[0].headers) == (json is not None)


def test_an_empty_response_is_none() -> None:
    """A 204 returns None; errors have their types."""
    with ScriptedServer(Reply(204), Reply(404)) as server, connect(server) as client:
        assert client.request("DELETE", "x") is None
        with pytest.raises(NotFoundError):
            client.request("GET", "x")


@pytest.mark.parametrize(
    ("method", "repeat", "sent"),
    [
        ("GET", None, 2),
        ("GET", False, 1),
        ("POST", None, 1),
        ("POST", True, 2),
        ("PATCH", None, 1),
        ("PUT", None, 2),
        ("DELETE", None, 2),
        ("HEAD", None, 2),
        ("OPTIONS", None, 2),
    ],
)
def test_repeat_decides_what_follows_a_5xx(method: str, repeat: bool | None, sent: int) -> None:
    """After a 5xx, HTTP's idempotent methods are repeated by default; `repeat` overrides that."""
    with ScriptedServer(Reply(503), Reply()) as server, connect(server, clock=FakeClock()) as client:
        with pytest.raises(ServerError) if sent == 1 else nullcontext():
            client.request(method, "x", repeat=repeat)
        assert len(server.seen) == sent


# Units of work ---------------------------------------------------------------------------------------


def test_a_client_opens_transactions() -> None:
    """`transaction` and `run_transaction` send one PATCH for this client's tenant."""
    with ScriptedServer(Reply(200, {"user_id": "auth0|1"})) as server, connect(server) as client:
        with client.transaction("auth0|1") as tx:
            tx.app_metadata["plan"] = "pro"

        def work(tx: Any) -> str:
            tx.app_metadata["plan"] = "free"
            return "done"

        assert client.run_transaction("auth0|1", work) == "done"
        assert server.methods() == ["PATCH", "PATCH"]


# Threads and forks -----------------------------------------------------------------------------------


def test_many_threads_share_one_client() -> None:
    """Threads share the token and the connections, and each gets its own response."""

    def respond(seen: Seen) -> Reply:
        return token() if seen.path == "/oauth/token" else Reply()

    with ScriptedServer(respond) as server, connect(server, client_id="c", client_secret="s") as client:
        with ThreadPoolExecutor(8) as pool:
            found = pool.map(lambda n: client.users.get(f"auth0|{n}").user_id, range(64))
            assert list(found) == [f"auth0|{n}" for n in range(64)]
        assert server.paths().count("/oauth/token") == 1
        assert server.connections <= 8


def test_a_forked_child_uses_its_own_sockets() -> None:
    """Parent and child send over different connections, and each gets its own responses."""
    with ScriptedServer() as server, connect(server) as client:
        client.users.get("parent")

        def work() -> str:
            return " ".join({client.users.get("child").user_id for _ in range(5)})

        assert in_child(work) == "child"
        assert client.users.get("parent").user_id == "parent"
        used = {path: {s.connection for s in server.seen if s.path == path} for path in server.paths()}
        assert used == {"/api/v2/users/parent": {1}, "/api/v2/users/child": {2}}


def test_a_child_forked_during_a_token_fetch_fetches_its_own() -> None:
    """Another thread of the parent is fetching the token at that moment."""
    fetching, go_on = threading.Event(), threading.Event()

    def respond(seen: Seen) -> Reply:
        if seen.path != "/oauth/token":
            return Reply()
        if not fetching.is_set():
            fetching.set()
            assert go_on.wait(10)
        return token()

    with (
        ScriptedServer(respond) as server,
        connect(server, client_id="c", client_secret="s") as client,
        ThreadPoolExecutor(1) as threads,
    ):
        busy = threads.submit(client.users.get, "auth0|1")
        assert fetching.wait(5)
        result = in_child(lambda: client.users.get("auth0|1").user_id)
        go_on.set()
        busy.result(10)
    assert result == "auth0|1"


class _Stuck(FakeClock):
    """A clock whose first wait holds the lock until `go_on` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.go_on = threading.Event(), threading.Event()

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        if not self.inside.is_set():
            self.inside.set()
            assert self.go_on.wait(10)
        return super().wait(condition, seconds)


def test_a_child_forked_during_a_wait_can_wait_and_send() -> None:
    """Another thread holds the throttle's lock at that moment."""
    clock = _Stuck()
    with (
        ScriptedServer(Reply(429, {}, {"Retry-After": "1"}), Reply()) as server,
        connect(server, clock=clock) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        busy = threads.submit(client.users.get, "auth0|1")
        assert clock.inside.wait(5)
        result = in_child(lambda: client.users.get("auth0|1").user_id)
        clock.go_on.set()
        assert busy.result(10).user_id == result == "auth0|1"


def test_a_forked_child_drops_the_pool_without_a_lock() -> None:
    """The pool of connections has none that another thread of the parent may hold, and the parent's sockets stay open."""
    with ScriptedServer(Reply()) as server, connect(server) as client:
        client.users.get("auth0|1")
        pools = [
            o
            for o in gc.get_objects()
            if issubclass(type(o), urllib3.HTTPConnectionPool) and o.port == server.port
        ]
        queue = pools.pop().pool
        assert queue is not None
        assert pools == []
        locks = (type(threading.Lock()), type(threading.RLock()), threading.Condition)
        assert not any(isinstance(value, locks) for value in vars(queue).values())
        result = in_child(lambda: f"{client.users.get('auth0|1').user_id} {gc.collect() >= 0}")
        assert result == "auth0|1 True"
        client.users.get("auth0|1")
        assert [s.connection for s in server.seen] == [1, 2, 1]


def test_a_child_does_not_join_the_parents_transaction() -> None:
    """A transaction that was open in the parent does not count in the child."""
    with ScriptedServer(Reply(200, {"user_id": "auth0|1"})) as server, connect(server) as client:
        with client.transaction("auth0|1") as tx:
            tx.app_metadata["a"] = 1

            def work() -> str:
                with client.transaction("auth0|1") as own:
                    own.app_metadata["b"] = 2
                return own.result.outcome

            assert in_child(work) == "updated"
        assert [s.json for s in server.seen] == [{"app_metadata": {"b": 2}}, {"app_metadata": {"a": 1}}]


def test_children_do_not_share_their_jitter() -> None:
    """Forked workers draw different jitter, unless the client was given its own source."""
    own = ManagementClient(DOMAIN, token="t")
    assert len({in_child(lambda: str(own._channel.random.random())) for _ in range(3)}) == 3
    given_ = ManagementClient(DOMAIN, token="t", random=random.Random(7))
    assert in_child(lambda: str(given_._channel.random.random())) == str(random.Random(7).random())
