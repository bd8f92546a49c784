"""The faults that are planted, several shapes of each kind.  Cards, keys and ids are published test values or made up.

A shape changes a small, harmless profile and says what should be found. What follows from sizes and lengths (profiles near
or over the limit, values that search can't use, long lists) is worked out once for all shapes in `Plant.finished`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random
from typing import Any

from .clean import WORDS, iso, prose, token, uid
from .plant import APP, BASE62, USER, Plant, Shape, always, in_list, one, only, size_of
from .secrets import SECRETS


def sized(low: int, high: int) -> Shape:
    """Return a shape: texts below 1.9 KB, then one small enough, under fixed names, until the profile has a size."""

    def plant(p: Plant) -> None:
        target = p.chance.randint(low, high)
        for number, bag in enumerate([USER, APP] * 60):
            room = target - size_of(p.profile)
            if room < 40:
                break
            name = "chapter_" + "".join(WORDS[int(d)] for d in str(number))
            p.put(bag, name, "ü" * ((min(room, 1_800) - len(name) - 8) // 2))
        assert low - 60 <= size_of(p.profile) <= high, size_of(p.profile)

    return plant


def history(bag: str, name: str, item: Callable[[Random], Any], low: int, high: int) -> Shape:
    """Return a shape: a list that every login made longer."""
    return only(bag, name, value=lambda r: [item(r) for _ in range(r.randint(low, high))])


def blob(*path: str, low: int, high: int) -> Shape:
    """Return a shape: a picture in Base64."""
    return only(
        *path,
        value=lambda r: (
            f"data:image/png;base64,{base64.b64encode(r.randbytes(r.randint(low, high))).decode()}"
        ),
    )


SIZES: tuple[Shape, ...] = (
    sized(8_150, 9_900),
    sized(8_100, 8_300),
    sized(10_070, 10_200),
    sized(10_500, 60_000),
    history(APP, "history", lambda r: {"at": iso(r), "city": r.choice(WORDS), "ok": True}, 250, 900),
    history(USER, "visited", lambda r: f"/{r.choice(WORDS)}/{r.randint(1, 10**6)}", 800, 2_000),
    history(APP, "changelog", lambda r: {"t": r.randint(10**9, 2 * 10**9), "text": prose(r, 120)}, 1_500, 2_500),
    blob(USER, "photo", low=8_000, high=30_000),
    blob(APP, "documents", "contract", low=9_000, high=20_000),
    blob(USER, "profile", "cover", "full", low=90_000, high=200_000),
    only(APP, "settings", value=lambda r: {f"{a}_{b}_{c}": 1 for a in WORDS for b in WORDS for c in ("mail", "push", "text")}),
    only(APP, "shelves", value=lambda r: {w: prose(r, 1_800) for w in WORDS}),
)  # fmt: skip

LISTS: tuple[Shape, ...] = (
    history(USER, "searches", lambda r: r.randint(0, 9), 101, 101),
    history(APP, "logins", lambda r: r.randint(10**9, 2 * 10**9), 102, 150),
    history(USER, "badges", lambda r: r.choice(WORDS), 120, 190),
    history(APP, "imported_rows", lambda r: [], 5_000, 5_000),
    only(USER, "game", "level", "scores", value=lambda r: [r.randint(0, 9) for _ in range(200)]),
    only(APP, "grid", value=lambda r: [[1, 2], [0] * 130, []]),
    only(APP, "projects", value=lambda r: [{"name": "a", "runs": [1] * 101}, {"name": "b", "runs": []}]),
)  # fmt: skip

LARGE: tuple[Shape, ...] = (
    only(USER, "essay", value=lambda r: prose(r, 4_000)),
    only(APP, "terms", value=lambda r: "x" * r.randint(2_150, 2_400)),
    only(USER, "drafts", "latest", "body", value=lambda r: "字" * 800),
    only(APP, "letters", value=lambda r: [{"n": 1, "body": "short"}, {"n": 2, "body": prose(r, 3_000)}]),
    only(APP, "catalogue", value=lambda r: {f"{a}_{b}": 100 for a in WORDS for b in WORDS[:9]}),
    only(USER, "scrapbook", value=lambda r: [prose(r, 300) for _ in range(12)]),
)  # fmt: skip


def two_bad_keys(p: Plant) -> None:
    """Plant a bad key under another."""
    place = p.put(USER, "a.b", "c.d", True)
    p.fault("bad_key", place[:-1])
    p.fault("bad_key", place)


BAD_KEYS: tuple[Shape, ...] = (
    *(
    one("bad_key", *path, value=lambda r: r.choice(WORDS))
    for path in (
        (USER, "first.name"), (USER, "$set"), (USER, "a$b"), (APP, "https://example.com/country"), (APP, "crm.id"), (APP, "$ref"),
        (APP, "urn:oid:2.5.4.42"), (USER, "."), (USER, "Mr."), (APP, "größe.cm"), (USER, "preferences", "ui.theme"),
        (APP, "billing", "address", "$lookup"), (APP, "flags", "price$"),
    )
    ),
    in_list("bad_key", APP, "vendors", key="vendor.name", value=lambda r: r.choice(WORDS)),
    in_list("bad_key", USER, "trips", key="cost$", value=lambda r: 12),
    two_bad_keys,
)  # fmt: skip

RESERVED_VALUES: dict[str, Any] = {
    "__tenant": "acme", "_id": "a1", "blocked": True, "clientID": "c1", "created_at": "2024-01-01T00:00:00Z", "email_verified": True,
    "email": "a@example.com", "globalClientID": "g1", "global_client_id": "g1", "identities": [{"provider": "auth0"}], "lastIP": "203.0.113.7",
    "lastLogin": "2024-01-01T00:00:00Z", "loginsCount": 3, "metadata": {"a": 1}, "multifactor_last_modified": "2024-01-01T00:00:00Z",
    "multifactor": ["guardian"], "updated_at": "2024-01-01T00:00:00Z", "user_id": "auth0|1",
}  # fmt: skip
RESERVED: tuple[Shape, ...] = tuple(
    one(
        "reserved_name",
        APP,
        name,
        value=always(value),
        may=("device_state",) if name.startswith("last") else (),
    )
    for name, value in RESERVED_VALUES.items()
)


def keyed(
    bag: str,
    *path: str,
    key: Callable[[Random], str],
    value: Any = 1,
    template: str = "<>",
    most: int = 6,
    may: tuple[str, ...] = (),
) -> Shape:
    """Return a shape: keys that carry an id, a date or the like, under a parent."""

    def plant(p: Plant) -> None:
        for _ in range(p.chance.randint(1, most)):
            place = p.put(bag, *path, p.dynamic(key(p.chance), template), value)
            p.fault("dynamic_keys", place)
            if "." in place[-1]:
                p.fault("bad_key", place)
        for kind in may:
            p.fault(kind, (bag, *path), certain=False)
            p.fault(kind, place, certain=False)

    return plant


def day(r: Random) -> str:
    """Return a date."""
    return iso(r)[:10]


def visits(p: Plant) -> None:
    """Plant two levels of dynamic keys."""
    first, second = p.dynamic(day(p.chance)), p.dynamic(uid(p.chance))
    place = p.put(APP, "visits", first, second, True)
    p.fault("dynamic_keys", place[:-1])
    p.fault("dynamic_keys", place)


def counted(value: Any, odd: bool) -> Shape:
    """Return a shape: counts by day, which for a few users are not numbers."""

    def plant(p: Plant) -> None:
        place = p.put(USER, "steps_by_day", p.dynamic(day(p.chance)), value)
        p.fault("dynamic_keys", place)
        if odd:
            p.fault("mixed_types", place)

    return plant


DYNAMIC: tuple[Shape, ...] = (
    keyed(APP, "sessions", key=uid, value={"at": 1}, may=("device_state",)),
    keyed(USER, "drafts_by_id", key=uid, value="text"),
    keyed(APP, "uploads", key=lambda r: uid(r).replace("-", "")),
    keyed(APP, "jobs", key=lambda r: uid(r).upper()),
    keyed(USER, "mood", key=day, value="good"),
    keyed(APP, "usage", key=lambda r: day(r).replace("-", "")),
    keyed(APP, "log", key=lambda r: f"{day(r)}T10:20:30Z"),
    keyed(APP, "monthly", key=lambda r: day(r)[:7]),
    keyed(APP, "by_timestamp", key=lambda r: str(r.randint(1_500_000_000, 1_790_000_000))),
    keyed(USER, "by_millisecond", key=lambda r: str(r.randint(1_500_000_000_000, 1_790_000_000_000)), value=True),
    keyed(APP, "carts", key=lambda r: token(r, 24)),
    keyed(USER, "lists", key=lambda r: str(r.randint(10_000, 10**9)), value=[1]),
    keyed(APP, key=lambda r: f"mfa_required_{token(r, 32, BASE62)}", template="mfa_required_<>", value=True, most=3, may=("device_state",)),
    keyed(APP, key=lambda r: f"cart-{uid(r)}", template="cart-<>", most=3),
    keyed(USER, key=lambda r: f"seen_{day(r)}", template="seen_<>", value=True, most=3),
    keyed(APP, "orders", key=lambda r: f"order_{r.randint(10**7, 10**8)}", template="order_<>", value="paid"),
    keyed(USER, key=uid, value="orphan", most=2),
    keyed(APP, key=day, value="orphan", most=2),
    keyed(APP, "shares", key=lambda r: f"{r.choice(WORDS)}{r.randint(1, 10**6)}@example.com", value="read"),
    keyed(APP, "watchers", key=lambda r: f"auth0|{token(r, 24)}", value=True),
    keyed(APP, "addresses_seen", key=lambda r: f"203.0.{r.randint(0, 255)}.{r.randint(0, 255)}", may=("device_state",)),
    keyed(APP, "nested", "deep", "keys", key=uid),
    keyed(APP, "ulids", key=lambda r: "01J" + token(r, 23, "0123456789ABCDEFGHJKMNPQRSTVWXYZ")),
    keyed(APP, "digests", key=lambda r: token(r, 64)),
    visits,
    *[counted(500, odd=False)] * 4, counted("many", odd=True),
)  # fmt: skip


def user_chosen(p: Plant) -> None:
    """Plant keys that users chose themselves: no key tells, but hardly any two users have the same."""
    syllables = [
        "ba",
        "ce",
        "di",
        "fo",
        "gu",
        "ha",
        "je",
        "ki",
        "lo",
        "mu",
        "na",
        "pe",
        "qui",
        "ro",
        "su",
        "ta",
        "ve",
        "wi",
        "xo",
        "zu",
    ]
    for _ in range(p.chance.randint(4, 12)):
        place = p.put(
            APP, "labels", p.dynamic("".join(p.chance.choices(syllables, k=p.chance.randint(4, 6)))), "x"
        )
        p.fault("dynamic_keys", place)


def odd(*path: str, value: Callable[[Random], Any]) -> Shape:
    """Return a shape: a value of another type than nearly all users have there."""
    return one("mixed_types", *path, value=value)


TYPES: tuple[Shape, ...] = (
    odd(USER, "age", value=lambda r: str(r.randint(18, 90))),
    odd(USER, "score", value=lambda r: "3.5"),
    odd(USER, "score", value=lambda r: {"value": 3}),
    odd(USER, "newsletter", value=lambda r: "yes"),
    odd(USER, "newsletter", value=lambda r: 1),
    odd(USER, "tags", value=lambda r: "amber,birch"),
    odd(USER, "tags", value=lambda r: {"amber": True}),
    odd(USER, "bio", value=lambda r: ["one", "two"]),
    odd(USER, "address", value=lambda r: "1 Birch Street, Köln"),
    odd(USER, "preferences", "theme", value=lambda r: {"name": "dark"}),
    odd(USER, "phone", value=lambda r: 15551234567),
    odd(APP, "roles", value=lambda r: "admin"),
    odd(APP, "plan", value=lambda r: {"name": "pro"}),
    odd(APP, "internal_id", value=lambda r: r.randint(1, 10**6)),
    odd(APP, "signup", "at", value=lambda r: r.randint(10**9, 2 * 10**9)),
    odd(APP, "quota", value=lambda r: []),
    lambda p: p.fault("mixed_types", (*p.put(USER, "addresses", [{"label": "home", "city": "Wien", "zip": 1010}]), "zip")),
    lambda p: p.fault("mixed_types", p.put(USER, ["not", "an", "object"])),
    lambda p: p.fault("mixed_types", p.put(APP, "text")),
)  # fmt: skip


def plan_of_subscription(p: Plant) -> None:
    """Plant a plan in an object whose name may be taken for authorization data itself."""
    place = p.put(USER, "subscription", "plan", "pro")
    p.fault("authorization_in_user_metadata", place)
    p.fault("authorization_in_user_metadata", place[:-1], certain=False)


AUTHORIZATION: tuple[Shape, ...] = (
    *(
    one("authorization_in_user_metadata", USER, *path, value=always(value))
    for path, value in (
        (("roles",), ["admin"]), (("role",), "editor"), (("permissions",), ["read:invoices"]), (("plan",), "enterprise"), (("scopes",), ["write:all"]),
        (("scope",), "openid admin"), (("is_admin",), False), (("isAdmin",), True), (("admin",), True), (("userRole",), "owner"),
        (("user_role",), "owner"), (("subscription_plan",), "gold"), (("is_superuser",), True), (("entitlements",), ["export"]),
        (("access_level",), 3), (("company", "is_admin"), True), (("org", "roles"), ["owner"]), (("account", "permissions"), []),
        (("privileges",), ["all"]), (("Permissions",), {"billing": "write"}),
    )
    ),
    plan_of_subscription,
    in_list("authorization_in_user_metadata", USER, "memberships", key="role", value=lambda r: "owner"),
)  # fmt: skip


def of_device(*path: str, value: Any, may: tuple[str, ...]) -> Shape:
    """Return a shape: data of a device or session, whose parts may be named for it as well."""

    def plant(p: Plant) -> None:
        place = p.put(*path, value)
        p.fault("device_state", place)
        for kind in may:
            p.fault(kind, place, certain=False)
        for item in value if isinstance(value, list) else [value]:
            for key in item if isinstance(item, dict) else ():
                p.fault("device_state", (*place, key), certain=False)

    return plant


DEVICE: tuple[Shape, ...] = tuple(
    of_device(*path, value=value, may=may)
    for path, value, may in (
        ((USER, "device_id"), "d-1", ()), ((APP, "deviceId"), "d-2", ()), ((APP, "session_id"), "s-1", ()), ((USER, "sessionId"), "s-2", ()),
        ((APP, "last_device"), "Pixel 9", ()), ((USER, "current_session"), {"id": "s-3", "since": 5}, ()), ((APP, "device_fingerprint"), "f-1", ()),
        ((USER, "device_token"), "dt-1", ("secret",)), ((APP, "push_token"), "pt-1", ("secret",)), ((APP, "user_agent"), "Mozilla/5.0 (X11)", ()),
        ((APP, "last_session"), {"ip": "203.0.113.7", "browser": "Firefox"}, ()), ((APP, "devices"), [{"id": "d-4", "os": "iOS"}], ()),
        ((USER, "trusted_devices"), ["d-5"], ()), ((APP, "security", "lastUserAgent"), "curl/8", ()), ((APP, "refresh_token_id"), "rt-1", ("secret",)),
        ((APP, "active_sessions"), [{"id": "s-6"}], ()),
    )
)  # fmt: skip

SHAPES: tuple[Shape, ...] = (
    *SIZES, *LISTS, *LARGE, *BAD_KEYS, *RESERVED, *DYNAMIC, *TYPES, *SECRETS, *AUTHORIZATION, *DEVICE,
)  # fmt: skip
