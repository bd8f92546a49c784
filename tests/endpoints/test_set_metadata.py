"""`users.set_metadata`: a transaction in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted_server import Reply, ScriptedServer, connect

from auth0_meta import MetadataTransaction, User
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import (
    BadRequestError,
    InputError,
    MetadataError,
    NotFoundError,
    PathError,
    StateError,
)

STORED: dict[str, Any] = {
    "user_id": "auth0|1",
    "user_metadata": {"prefs": {"lang": "en", "mail": True}},
    "app_metadata": {"billing": {"plan": "free", "trial": 1}, "legacy": 1},
}


def test_values_go_to_their_paths_in_one_patch() -> None:
    """Both bags are written at once, None deletes, and siblings stay."""
    with LocalTenant(users=[STORED]) as tenant, tenant.client() as client:
        result = client.users.set_metadata(
            "auth0|1",
            user={"prefs.lang": "fi", "theme": "dark"},
            app={("billing", "plan"): "pro", "billing.trial": None, "legacy": None},
        )
        assert (result.outcome, result.attempts, result.requests) == ("updated", 1, 2)
        assert result.user is not None
        assert result.user == client.users.get("auth0|1")
        assert result.user.user_metadata == {"prefs": {"lang": "fi", "mail": True}, "theme": "dark"}
        assert result.user.app_metadata == {"billing": {"plan": "pro"}}
        assert [entry.method for entry in tenant.journal if "users" in entry.path][:2] == ["GET", "PATCH"]


def test_first_level_values_cost_one_request() -> None:
    """No read is needed for keys that are set whole; a `User` is as good as an id."""
    with LocalTenant(users=[STORED]) as tenant, tenant.client() as client:
        result = client.users.set_metadata(User.from_dict({"user_id": "auth0|1"}), app={"plan": "pro"})
        assert (result.requests, result.document) == (1, {"app_metadata": {"plan": "pro"}})


@pytest.mark.parametrize(
    "given_",
    [{"user": {}}, {"app": {}}, {"user": {}, "app": {}}, {"user": None, "app": {}}],
    ids=str,
)
def test_nothing_to_set_sends_nothing(given_: dict[str, Any]) -> None:
    """Empty changes are no mistake: a program may have computed them."""
    with ScriptedServer() as server, connect(server) as client:
        result = client.users.set_metadata("auth0|1", **given_)
        assert (result.outcome, result.requests, result.document) == ("unchanged", 0, {})
        assert server.seen == []


@pytest.mark.parametrize(
    "given_",
    [
        {},
        {"user": None, "app": None},
        {"user": "theme"},
        {"user": User.from_dict(STORED)},
        {"app": [("plan", "pro")]},
        {"user": {"theme": "dark"}, "app": 5},
        {"user": {5: 1}},
        {"user": {"": 1}},
        {"user": {"a..b": 1}},
        {"app": {(): 1}},
        {"app": {"email": "x"}},
        {"app": {"plan": {1}}},
        {"app": {"plan": float("nan")}},
        {"user": {"a": 1}, "oversize": "perhaps"},
        {"user": {"a": 1}, "lock": 5},
        {"user": {"a": 1}, "max_wait": -1},
        {"user": {"a": 1}, "base_check": True},
    ],
    ids=str,
)
def test_bad_input_sends_nothing(given_: dict[str, Any]) -> None:
    """Neither, a wrong type, a bad key or value, and a bad setting fail before the first request."""
    with ScriptedServer() as server, connect(server) as client:
        with pytest.raises(InputError):
            client.users.set_metadata("auth0|1", **given_)
        for nobody in ("", None, 5):
            with pytest.raises(MetadataError):
                client.users.set_metadata(nobody, user={"a": 1})  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            client.users.set_metadata("auth0|1", user={"a": 1}, max_wiat=5)  # type: ignore[call-arg]
        assert server.seen == []


def test_overlapping_paths_take_effect_in_the_order_given() -> None:
    """As in a transaction: the later one has the last word, and a path through a value that was just set is refused."""
    with LocalTenant(users=[STORED]) as tenant, tenant.client() as client:

        def after(**changes: Any) -> Mapping[str, Any]:
            client.users.set_metadata("auth0|1", user={"a": None})
            client.users.set_metadata("auth0|1", user=changes["user"])
            return client.users.get("auth0|1").user_metadata

        assert after(user={"a": {"x": 1}, "a.b": 2})["a"] == {"x": 1, "b": 2}
        assert after(user={"a.b": 2, "a": {"x": 1}})["a"] == {"x": 1}
        assert after(user={"a": None, "a.b": 2})["a"] == {"b": 2}
        assert "a" not in after(user={"a.b": 2, "a": None})
        before = tenant.journal.count()
        with pytest.raises(PathError):
            client.users.set_metadata("auth0|1", user={"a": 5, "a.b": 2}, app={"plan": "pro"})
        assert tenant.journal.count() == before


KEYS = st.sampled_from(["a", "b", "a.c", "a.d", "b.c.d", "e.f"])
VALUES = st.sampled_from([None, 1, "x", {"k": 1}, {"c": 2}, [1]])


def test_it_does_what_the_same_sets_in_a_transaction_do() -> None:
    """For any paths and values, in order: the same profile, or the same error."""
    with LocalTenant(users=[STORED]) as tenant, tenant.client() as client:

        def written(user_id: str, changes: Mapping[str, Any], *, in_one_line: bool) -> object:
            tenant.users.replace([STORED | {"user_id": user_id, "user_metadata": {}}])
            try:
                if in_one_line:
                    client.users.set_metadata(user_id, user=changes, app=changes)
                else:
                    with MetadataTransaction(client, user_id) as tx:
                        for bag in (tx.user_metadata, tx.app_metadata):
                            for path, value in changes.items():
                                bag.set(path, value)
            except PathError as error:
                return type(error), error.bag, error.path
            user = client.users.get(user_id)
            return user.user_metadata, user.app_metadata

        @given(st.dictionaries(KEYS, VALUES, min_size=1, max_size=5))
        def check(changes: dict[str, Any]) -> None:
            assert written("auth0|1", changes, in_one_line=True) == written(
                "auth0|2", changes, in_one_line=False
            )

        check()


def test_it_joins_an_open_transaction() -> None:
    """Inside one for the same user it is a part of that one, whose PATCH carries it, or which drops it."""
    with LocalTenant(users=[STORED]) as tenant, tenant.client() as client:
        with client.transaction("auth0|1") as tx:
            tx.user_metadata["theme"] = "dark"
            result = client.users.set_metadata("auth0|1", app={"plan": "pro"})
            assert (result.outcome, result.requests) == ("joined", 0)
            with pytest.raises(MetadataError):
                client.users.set_metadata("auth0|1", app={"half": 1, "email": 2})
            with pytest.raises(StateError):
                client.users.set_metadata("auth0|1", app={"plan": "x"}, base=STORED)
            apart = client.users.set_metadata("auth0|1", app={"apart": 1}, join=False)
            assert apart.outcome == "updated"
        assert tx.result.document == {"user_metadata": {"theme": "dark"}, "app_metadata": {"plan": "pro"}}
        assert client.users.get("auth0|1").app_metadata.get("half") is None


def test_the_settings_are_those_of_a_transaction() -> None:
    """`base` spares the read, `lock` is held, `oversize` decides, `max_wait` limits the wait."""
    held: list[str] = []

    class Lock:
        def __enter__(self) -> None:
            held.append("taken")

        def __exit__(self, *_: object) -> None:
            held.append("released")

    with LocalTenant(users=[STORED]) as tenant, tenant.client() as client:
        result = client.users.set_metadata(
            "auth0|1", app={"billing.plan": "pro"}, base=STORED, lock=Lock(), max_wait=0
        )
        assert (result.requests, held) == (1, ["taken", "released"])
        with pytest.raises(MetadataError, match="10240"):
            client.users.set_metadata("auth0|1", app={"a.b": "x" * 11_000}, oversize="error")
        with pytest.raises(NotFoundError) as caught:
            client.users.set_metadata("auth0|nobody", app={"plan": "pro"})
        assert caught.value.user_id == "auth0|nobody"


def test_a_lost_response_is_settled() -> None:
    """As in any transaction, the user is read back."""
    stored = {"user_id": "auth0|1", "app_metadata": {"plan": "pro"}}
    with ScriptedServer(Reply(close=True), Reply(200, stored)) as server, connect(server) as client:
        assert client.users.set_metadata("auth0|1", app={"plan": "pro"}).outcome == "confirmed"


def test_an_error_shows_no_value() -> None:
    """Neither that of another path nor its own."""
    refused = Reply(400, {"message": "bad canary-1", "statusCode": 400})
    with ScriptedServer(refused) as server, connect(server) as client:
        with pytest.raises(BadRequestError, match=r"\*\*\*") as caught:
            client.users.set_metadata("auth0|1", user={"a": "canary-1"})
        assert "canary" not in str(caught.value)
