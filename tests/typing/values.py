"""Pin which values type checkers accept as JSON, and which they reject; none of this is run.

As in `actions.py`, each ignored error proves that both checkers report the mistake.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, NotRequired, TypedDict

from auth0_meta import JSONObject, JSONValue, ManagementClient, MetadataBag, MetadataTransaction, User
from auth0_meta.actions import Api

if TYPE_CHECKING:
    from typing import assert_type


class Prefs(TypedDict):
    """A user's own type for an object."""

    lang: str
    old: NotRequired[int]


class Point(NamedTuple):
    """A tuple with names."""

    x: int
    y: float


class Plan(StrEnum):
    """A str."""

    PRO = "pro"


class Level(IntEnum):
    """An int."""

    LOW = 1


def scalars(bag: MetadataBag) -> None:
    """Take what JSON has, and what is one of these."""
    for value in ("dark", 1, 1.5, True, None, Plan.PRO, Level.LOW):
        bag["a"] = value


def literals(bag: MetadataBag) -> None:
    """Take displays and comprehensions of mixed types, at any depth."""
    bag["a"] = []
    bag["a"] = {}
    bag["a"] = ("a", 1, None)
    bag["a"] = [1, "a", None, {"b": [1.5, (1, 2)]}]
    bag["a"] = {"b": {"c": ["x", {"d": None}]}, "e": True}
    bag["a"] = {Plan.PRO: 1}
    bag["a"] = [2 * n for n in range(3)]
    bag["a"] = {name: len(name) for name in ("a", "b")}


def variables(
    bag: MetadataBag,
    numbers: dict[str, int],
    names: list[str],
    pair: tuple[int, ...],
    rows: list[dict[str, int]],
    lists: dict[str, list[dict[str, str]]],
    optional: dict[str, str | None],
    mapping: Mapping[str, int],
    anything: Any,
    anything_inside: dict[str, Any],
    values: dict[str, JSONValue],
) -> None:
    """Take containers of one type, which `dict[str, JSONValue]` and `list[JSONValue]` would not."""
    for value in (numbers, names, pair, rows, lists, optional, mapping, anything_inside, values):
        bag["a"] = value
    bag["a"] = anything
    bag["a"] = {**numbers, "names": names, "rows": [rows, pair]}
    bag["a"] = [*names, 1]
    bag["a"] = sorted(names)
    bag["a"] = dict(numbers)
    bag["a"] = Point(1, 2.5)


def typed_dicts(bag: MetadataBag, prefs: Prefs, several: list[Prefs], by_name: dict[str, Prefs]) -> None:
    """Take a TypedDict wherever an object may be."""
    bag["prefs"] = prefs
    bag["prefs"] = {"inner": prefs, "several": several}
    bag.set("prefs.several", several)
    bag.append("prefs.several", prefs)
    bag.merge(prefs)
    bag.replace(by_name)


def what_was_read(bag: MetadataBag, other: MetadataTransaction, user: User) -> None:
    """Take what was read, and let it be used as what it is."""
    bag["a"] = other.app_metadata["a"]
    bag["a"] = user.app_metadata
    bag.replace(user.app_metadata)
    bag.merge(other.app_metadata.to_dict())
    bag["n"] = bag.get("n", 0) + 1
    assert_type(bag.get("n"), Any)
    assert_type(bag["n"], Any)
    assert_type(bag.setdefault("n", 1), Any)


def bodies(client: ManagementClient, prefs: Prefs, body: JSONObject) -> None:
    """Take objects as the bodies of requests."""
    client.users.create({"connection": "con", "email": "a@example.com", "app_metadata": {"plan": "pro"}})
    client.users.update("auth0|1", {"user_metadata": prefs})
    client.users.update("auth0|1", body)
    client.request("POST", "roles", json={"name": "admin"})
    client.request("POST", "users/auth0%7C1/roles", json={"roles": ["rol_1"]})
    client.request("PATCH", "users/auth0%7C1", json=body)
    client.jobs.import_users([{"email": "a@example.com"}, prefs], connection_id="con")


def values_at_paths(
    client: ManagementClient, user: User, prefs: Prefs, body: JSONObject, numbers: dict[str, int]
) -> None:
    """Take values by dotted paths, by tuples of keys, and by both."""
    client.users.set_metadata(user, user={"prefs.lang": "fi"}, app={("billing", "plan"): "pro"})
    client.users.set_metadata("auth0|1", app={"plan": None, ("billing", "plan"): {"a": [1]}})
    client.users.set_metadata("auth0|1", app=numbers, user=prefs)
    client.users.set_metadata("auth0|1", app=body, max_wait=5)
    client.users.set_metadata("auth0|1", app={"plan": b""})  # type: ignore[dict-item]
    client.users.set_metadata("auth0|1", app={5: "pro"})  # type: ignore[type-var]


def a_user(client: ManagementClient, user: User) -> None:
    """Take a user where a mapping is taken, and where an id is."""
    profile: Mapping[str, Any] = user
    assert_type(user.email, str | None)
    assert_type(profile["email"], Any)
    assert_type(dict(user), dict[str, Any])
    match client.users.find("ada@example.com", connection=None):
        case {"email": str(email)}:
            client.request("GET", "organizations/{}/members/{}/roles", email, user)
        case _:
            client.request("GET", "users/{}/logs", user, params={"page": 1})


def what_is_not_json(bag: MetadataBag, anything: object) -> None:
    """Reject what JSON can't represent."""
    bag["a"] = b""  # type: ignore[assignment]
    bag["a"] = bytearray()  # type: ignore[assignment]
    bag["a"] = memoryview(b"")  # type: ignore[assignment]
    bag["a"] = object()  # type: ignore[assignment]
    bag["a"] = anything  # type: ignore[assignment]
    bag["a"] = {"a"}  # type: ignore[assignment]
    bag["a"] = frozenset({"a"})  # type: ignore[assignment]
    bag["a"] = range(3)  # type: ignore[assignment]
    bag["a"] = deque([1])  # type: ignore[assignment]
    bag["a"] = array("i")  # type: ignore[assignment]
    bag["a"] = datetime.now(UTC)  # type: ignore[assignment]
    bag["a"] = Decimal(1)  # type: ignore[assignment]
    bag["a"] = {"b": 1}.items()  # type: ignore[assignment]
    bag["a"] = (n for n in (1, 2))  # type: ignore[assignment]
    bag["a"] = len  # type: ignore[assignment]
    bag["a"] = int  # type: ignore[assignment]


def what_is_not_json_inside(bag: MetadataBag, rows: list[bytes], anything: dict[str, object]) -> None:
    """Reject it inside lists, tuples and objects too, and keys that are not strings."""
    bag["a"] = [b""]  # type: ignore[list-item]
    bag["a"] = {"b": b""}  # type: ignore[dict-item]
    bag["a"] = {"b": 1, "c": b""}  # type: ignore[dict-item]
    bag["a"] = {"b": [1, {"c": b""}]}  # type: ignore[dict-item]
    bag["a"] = (1, b"")  # type: ignore[assignment]
    bag["a"] = {1: "b"}  # type: ignore[dict-item]
    bag["a"] = [datetime.now(UTC)]  # type: ignore[list-item]
    bag["a"] = rows  # type: ignore[assignment]
    bag["a"] = anything  # type: ignore[assignment]


def what_is_not_json_in_any_call(tx: MetadataTransaction) -> None:
    """Reject it wherever a value is staged."""
    tx.user_metadata.set("a.b", b"")  # type: ignore[arg-type]
    tx.user_metadata.append("a", b"")  # type: ignore[arg-type]
    tx.user_metadata.merge({"a": b""})  # type: ignore[dict-item]
    tx.user_metadata.merge([])  # type: ignore[arg-type]
    tx.user_metadata.replace({"a": {"b": b""}})  # type: ignore[dict-item]
    tx.user_metadata.update({"a": b""})  # type: ignore[arg-type]
    tx.user_metadata.update(a=b"")  # type: ignore[arg-type]
    tx.user_metadata.setdefault("a", b"")  # type: ignore[arg-type]
    tx.user_metadata.increment("a", "1")  # type: ignore[arg-type]
    tx.user_metadata.set(5, "a")  # type: ignore[arg-type]


def what_is_not_json_in_an_action(api: Api) -> None:
    """Reject it in what an action requests."""
    api.user.set_user_metadata("a", b"")  # type: ignore[arg-type]
    api.user.set_app_metadata("a", object())  # type: ignore[arg-type]
    api.id_token.set_custom_claim("https://example.com/a", {1, 2})  # type: ignore[arg-type]
    api.access_token.set_custom_claim("https://example.com/a", b"")  # type: ignore[arg-type]
    api.saml_response.set_attribute("a", {"b": 1})  # type: ignore[arg-type]
    api.transaction.set_metadata("a", [1])  # type: ignore[arg-type]
    api.redirect.encode_token(secret="s" * 32, payload={"a": b""})  # type: ignore[dict-item]
    api.redirect.send_user_to("https://example.com", query={"a": 1})  # type: ignore[dict-item]
    api.cache.set("a", 1)  # type: ignore[arg-type]


def what_is_not_json_in_a_body(client: ManagementClient) -> None:
    """Reject it in the bodies of requests."""
    client.users.create({"picture": b""})  # type: ignore[dict-item]
    client.users.update("auth0|1", {"user_metadata": {"a": datetime.now(UTC)}})  # type: ignore[dict-item]
    client.users.update("auth0|1", "blocked")  # type: ignore[arg-type]
    client.request("POST", "roles", json=b"{}")  # type: ignore[arg-type]
    client.jobs.import_users([{"a": b""}], connection_id="con")  # type: ignore[dict-item]
