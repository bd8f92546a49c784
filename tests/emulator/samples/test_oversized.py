"""The sample of oversized profiles: always the same, mostly clean, and with every kind of fault, by rules of the test's own."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.samples import SAMPLES
from auth0_meta.emulator.samples.oversized import oversized
from auth0_meta.errors import ConfigError

BAGS = ("user_metadata", "app_metadata")
RESERVED = {"email", "identities", "multifactor", "user_id", "created_at"}
DYNAMIC = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|\d{4}-\d\d-\d\d|mfa_required_.*")
CARD, TOKEN, NATIONAL_ID = r"\b(\d{4} ?){4}\b", r"\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+", r"\b\d{3}-\d\d-\d{4}\b"
SECRET = re.compile("|".join((CARD, TOKEN, NATIONAL_ID, "AKIA", "correct horse")))
DEVICE = {"devices", "sessions", "last_device", "session_id", "login_history"}
COMMON = {"language", "newsletter", "theme", "timezone", "customer_number", "onboarded", "plan"}
User = dict[str, Any]


@pytest.fixture(scope="module")
def users() -> list[User]:
    """Every profile as the API returns it."""
    return [dict(user) for user in LocalTenant(serve=False, sample="oversized").users]


def size(value: Any) -> int:
    """Return the bytes of compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def nodes(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key and value below a value."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else [("", v) for v in value]
        if isinstance(value, list)
        else []
    )
    for name, one in inner:
        yield name, one
        yield from nodes(one, name)


def metadata(user: User) -> Iterator[tuple[str, Any]]:
    """Yield every key and value of both bags, at any depth."""
    return (node for bag in BAGS for node in nodes(user.get(bag, {})))


def first_level(user: User, bag: str) -> User:
    """Return a bag, or an empty one."""
    found: User = user.get(bag, {})
    return found


KINDS: dict[str, tuple[int, Callable[[User], bool]]] = {
    "oversized": (60, lambda user: size(user) > 10_240),
    "over_allowance": (4, lambda user: size(user) > 102_400),
    "near_limit": (12, lambda user: 8_000 < size(user) <= 10_000),
    "bad_key": (5, lambda user: any("." in key or "$" in key for key, _ in metadata(user))),
    "reserved_name": (4, lambda user: bool(RESERVED & first_level(user, "app_metadata").keys())),
    "dynamic_keys": (18, lambda user: any(DYNAMIC.fullmatch(key) for key, _ in metadata(user))),
    "mixed_types": (
        8,
        lambda user: (
            isinstance(first_level(user, "app_metadata").get("customer_number"), str)
            or isinstance(first_level(user, "user_metadata").get("newsletter"), str)
        ),
    ),
    "unsearchable": (60, lambda user: any(size(value) > 2_000 for _, value in metadata(user))),
    "growing_list": (30, lambda user: any(isinstance(v, list) and len(v) > 100 for _, v in metadata(user))),
    "secret": (
        8,
        lambda user: any(isinstance(v, str) and SECRET.search(v) is not None for _, v in metadata(user)),
    ),
    "authorization_in_user_metadata": (
        9,
        lambda user: bool({"roles", "permissions", "plan"} & first_level(user, "user_metadata").keys()),
    ),
    "device_state": (30, lambda user: any(DEVICE & first_level(user, bag).keys() for bag in BAGS)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_fault_is_there(users: list[User], kind: str) -> None:
    """Each kind has at least a known number of users, and they are a minority."""
    least, has = KINDS[kind]
    found = sum(map(has, users))
    assert least <= found < len(users) / 3


def test_most_users_are_clean(users: list[User]) -> None:
    """Two hundred and fifty of the four hundred have ordinary metadata only, and a profile below 2 KB."""
    ordinary = [user for user in users if {key for key, _ in metadata(user)} <= COMMON]
    clean = [user for user in ordinary if not any(has(user) for _, has in KINDS.values())]
    assert len(users) == 400
    assert len(clean) >= 250
    assert max(map(size, clean)) < 2_000


def test_a_size_between_two_kilobytes_is_there(users: list[User]) -> None:
    """One profile is above 10,000 bytes and below 10,240, where it matters how many bytes a KB has."""
    assert sum(10_000 < size(user) < 10_240 for user in users) == 1


def test_it_is_always_the_same(users: list[User]) -> None:
    """Neither the process, the tenant's seed nor its clock changes the sample, and its profiles are stored as they are made."""
    made = json.dumps(oversized(), sort_keys=True)
    assert hashlib.sha256(made.encode()).hexdigest() == (
        "4f8f111be03ebb61181d110d9bc7cec90d3db5de52470c8d51e81d54cda94830"
    )
    assert (
        json.loads(made)
        == users
        == [dict(u) for u in LocalTenant(serve=False, sample="oversized", seed=7).users]
    )


def test_ids_addresses_and_times_are_plausible(users: list[User]) -> None:
    """Nobody shares an id or an address, addresses are reserved ones, and nobody logged in before the account existed."""
    assert len({user["user_id"] for user in users}) == len({user["email"] for user in users}) == len(users)
    assert {user["email"].rpartition("@")[2] for user in users} == {
        "example.com",
        "example.net",
        "example.org",
    }
    assert all(user["created_at"] < user["last_login"] == user["updated_at"] for user in users)
    assert [user["created_at"] for user in users] == sorted(user["created_at"] for user in users)
    assert set(Counter(user["identities"][0]["provider"] for user in users)) == {
        "auth0",
        "google-oauth2",
        "samlp",
        "github",
    }
    for user in users:
        provider, _, rest = user["user_id"].partition("|")
        assert (user["identities"][0]["provider"], user["identities"][0]["user_id"]) == (provider, rest)


def test_a_reset_brings_the_sample_back() -> None:
    """What was changed or deleted is as at the start, and a change of one tenant's users reaches no other."""
    tenant = LocalTenant(serve=False, sample="oversized")
    before = tenant.users.documents()
    changed, deleted = [user.user_id for user in tenant.users][:2]
    tenant.users[changed].patch(app_metadata={"plan": None})
    tenant.users[deleted].delete()
    assert tenant.users.documents() != before
    assert LocalTenant(serve=False, sample="oversized").users.documents() == before
    tenant.reset()
    assert tenant.users.documents() == before


def test_a_database_keeps_the_users_it_has(tmp_path: Path) -> None:
    """A sample fills a new file, and is ignored by one that holds users."""
    tenant = LocalTenant(serve=False, sample="small", db=tmp_path / "tenant.db")
    tenant.users["auth0|123"].patch(app_metadata={"plan": "pro"})
    tenant.stop()
    again = LocalTenant(serve=False, sample="oversized", db=tmp_path / "tenant.db")
    assert len(again.users) == 3
    assert again.users["auth0|123"].app_metadata["plan"] == "pro"
    again.reset(wipe=True)
    assert len(again.users) == 400
    again.stop()


def test_a_snapshot_keeps_the_sample(tmp_path: Path) -> None:
    """It can be saved and loaded, whatever its names and sizes are."""
    tenant = LocalTenant(serve=False, sample="oversized")
    assert tenant.save(tmp_path / "snapshot.json") == 400
    copy = LocalTenant(serve=False)
    copy.load(tmp_path / "snapshot.json")
    assert copy.users.documents() == tenant.users.documents()


@pytest.mark.parametrize(
    "settings", [{"sample": "large"}, {"sample": "small", "users": [{"user_id": "auth0|1"}]}]
)
def test_a_wrong_sample_is_refused(settings: Any) -> None:
    """A sample must be one that there is, and does not go with other users."""
    with pytest.raises(ConfigError, match="sample"):
        LocalTenant(serve=False, **settings)


def test_each_sample_can_be_changed_by_its_tenant_only() -> None:
    """What makes a sample returns new objects each time, and `None` is no sample."""
    for make in SAMPLES.values():
        assert make() == make()
        assert make()[0] is not make()[0]
    assert len(LocalTenant(serve=False, sample=None).users) == 0
