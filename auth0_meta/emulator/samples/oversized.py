"""The sample "oversized": a tenant of some years, as its applications, its people and old versions of Auth0 left it.

Most users are ordinary.  The others have, in known numbers, what makes a profile too large, and what is wrong with
metadata otherwise.  Nobody in it exists: names and addresses are made up, IP addresses and domains are those
reserved for documentation, and card numbers, keys and tokens are the published examples, or hold nothing.
"""

from __future__ import annotations

import base64
import json
import unicodedata
import uuid
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from auth0_meta.emulator.http.timestamps import iso

USERS = 400
_FIRST = [
    "Aino",
    "Bilal",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Katya",
    "Leila",
    "Mateo",
    "Nadia",
    "Oskar",
    "Priya",
    "Quentin",
    "Rosa",
    "Sami",
    "Tilda",
]
_LAST = [
    "Åberg",
    "Bianchi",
    "Castro",
    "Dubois",
    "Eriksen",
    "Farkas",
    "Gómez",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalczyk",
    "Lehtinen",
    "Mäkelä",
    "Novak",
    "Okafor",
    "Petrov",
    "Quint",
    "Rossi",
    "Schröder",
    "Tanaka",
    "Urban",
    "Vargas",
    "Weber",
]
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_DAY = 86_400_000
_FROM, _UNTIL = 1_456_800_000_000, 1_795_000_000_000  # from March 2016 to November 2026
_AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_2 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (X11; Linux x86_64; rv:121.0) Gecko/20100101 Firefox/121.0",
)
_CITIES = ("Turku", "Porto", "Kraków", "Lyon", "Gdańsk", "Zürich", "Leeds", "Ghent")
# Signed by nobody: the header and the claims of a JSON Web Token that grants nothing.
_EXAMPLE_JWT = ".".join(
    base64.urlsafe_b64encode(part).decode().rstrip("=")
    for part in (
        b'{"alg":"HS256","typ":"JWT"}',
        b'{"sub":"example","iat":1516239022}',
        b"an example, not a signature",
    )
)


def size_of(value: Any) -> int:
    """Return how many bytes a value has as compact JSON in UTF-8."""
    return len(_JSON.encode(value).encode())


def _several(size: int, make: Callable[[], Any]) -> list[Any]:
    """Return as many of what `make` returns as have about this many bytes as JSON."""
    made = []
    while size > 0:
        made.append(make())
        size -= size_of(made[-1]) + 1
    return made


class _Making:
    """What the values of one sample are drawn from."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)  # not for secrets

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def hex(self, digits: int) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def time(self) -> str:
        return iso(self.random.randrange(_FROM, _UNTIL))

    def ip(self) -> str:
        return f"{self.random.choice(('192.0.2', '198.51.100', '203.0.113'))}.{self.random.randrange(1, 255)}"

    def visit(self) -> dict[str, Any]:
        """Return what an application notes about one visit."""
        return {"at": self.time(), "ip": self.ip(), "user_agent": self.random.choice(_AGENTS)}

    # What makes profiles too large: each returns a value of about `size` bytes.

    def login_history(self, size: int) -> Any:
        city = self.random.choice(_CITIES)
        return _several(size, lambda: {**self.visit(), "city": city, "application": "web-shop"})

    def sessions(self, size: int) -> Any:
        return dict(_several(size, lambda: (self.uuid(), {**self.visit(), "remember": True})))

    def devices(self, size: int) -> Any:
        return _several(
            size, lambda: {"device_id": self.uuid(), "os": "iOS 17.2", "app_version": "4.2", **self.visit()}
        )

    def cached_responses(self, size: int) -> Any:
        rows = _several(
            size, lambda: {"order": self.random.randrange(10**6), "status": "shipped", "note": "ring twice"}
        )
        return {"orders": {"fetched_at": self.time(), "status": 200, "body": json.dumps({"items": rows})}}

    def avatar(self, size: int) -> Any:
        picture = b"\x89PNG\r\n\x1a\n" + self.random.randbytes(size * 3 // 4)
        return "data:image/png;base64," + base64.b64encode(picture).decode()

    def audit_trail(self, size: int) -> Any:
        return _several(
            size,
            lambda: {"at": self.time(), "by": "support", "action": "changed address", "reason": "called in"},
        )

    def cart(self, size: int) -> Any:
        items = _several(
            size,
            lambda: {
                "sku": f"SKU-{self.hex(8)}",
                "title": "Wool socks, grey, size 41",
                "quantity": self.random.randrange(1, 5),
                "cents": self.random.randrange(500, 9000),
            },
        )
        return {"currency": "EUR", "items": items}

    def directory_groups(self, size: int) -> Any:
        return _several(size, lambda: f"CN=team-{self.hex(6)},OU=Groups,OU=Staff,DC=corp,DC=example")


class _Large(NamedTuple):
    """Users whose profiles one value under `key` makes large; the whole profile has some size between the two."""

    users: int
    least: int
    most: int
    bag: str
    key: str
    value: Callable[[_Making, int], Any]


_LARGE = (
    _Large(12, 11_000, 40_000, "app_metadata", "login_history", _Making.login_history),
    _Large(9, 11_000, 30_000, "app_metadata", "sessions", _Making.sessions),
    _Large(8, 11_000, 25_000, "user_metadata", "devices", _Making.devices),
    _Large(8, 12_000, 60_000, "app_metadata", "api_cache", _Making.cached_responses),
    _Large(7, 14_000, 80_000, "user_metadata", "avatar", _Making.avatar),
    _Large(8, 11_000, 35_000, "app_metadata", "audit_trail", _Making.audit_trail),
    _Large(5, 11_000, 18_000, "user_metadata", "cart", _Making.cart),
    _Large(4, 11_000, 22_000, "app_metadata", "directory_groups", _Making.directory_groups),
    # Past about ten times the limit.
    _Large(1, 108_000, 109_000, "app_metadata", "sessions", _Making.sessions),
    _Large(1, 150_000, 160_000, "user_metadata", "avatar", _Making.avatar),
    _Large(2, 200_000, 420_000, "app_metadata", "login_history", _Making.login_history),
    # Between 10,000 and 10,240 bytes, where it matters what a KB is.
    _Large(1, 10_050, 10_051, "app_metadata", "audit_trail", _Making.audit_trail),
    # Still below the limit.
    _Large(6, 8_100, 9_400, "app_metadata", "login_history", _Making.login_history),
    _Large(4, 8_100, 9_400, "user_metadata", "cart", _Making.cart),
    _Large(4, 8_100, 9_400, "app_metadata", "audit_trail", _Making.audit_trail),
)

# What is wrong with small profiles.  Each entry is given to one user: a key of app_metadata if it begins with "app:",
# else of user_metadata, and its value.  {} in a key stands for an id.
_SMALL: tuple[tuple[str, Callable[[_Making], Any]], ...] = (
    # Names that Auth0 refuses today, or keeps for itself.
    *[("shop.example.com", lambda _: {"accepted_terms": True})] * 3,
    ("app:$ref", lambda _: "customers/4711"),
    ("app:prices", lambda _: {"v1.2": 1990}),
    *[("app:multifactor", lambda _: ["guardian"])] * 2,
    ("app:email", lambda _: "old.address@example.com"),
    ("app:identities", lambda _: ["crm:4711"]),
    # Names that differ from user to user.
    *[("app:usage", lambda m: {m.time()[:10]: m.random.randrange(90) for _ in range(8)})] * 6,
    *[("app:mfa_required_{}", lambda _: True)] * 4,
    # Another type than everybody else has.
    *[("app:customer_number", lambda m: str(m.random.randrange(10_000, 99_999)))] * 5,
    *[("newsletter", lambda _: "yes")] * 3,
    # Too long for a search, or always growing.
    *[("biography", lambda m: " ".join(m.random.choices(_CITIES, k=450)))] * 4,
    *[("app:read_notices", lambda m: m.random.sample(range(1000), 130))] * 5,
    # Secrets and data that neither bag is made for: published examples only.
    *[("payment", lambda _: {"card_number": "4242 4242 4242 4242", "expires": "12/29"})] * 2,
    ("app:billing", lambda _: {"card": "4111111111111111"}),
    *[("app:partner_token", lambda _: _EXAMPLE_JWT)] * 2,
    ("app:aws_access_key_id", lambda _: "AKIAIOSFODNN7EXAMPLE"),
    ("password", lambda _: "correct horse battery staple"),
    ("tax", lambda _: {"ssn": "078-05-1120"}),
    # What users may edit themselves.
    *[("roles", lambda _: ["editor"])] * 4,
    *[("permissions", lambda _: ["orders:write"])] * 2,
    *[("plan", lambda _: "enterprise")] * 3,
    # What belongs to one session or device.
    *[("last_device", lambda m: {"device_id": m.uuid(), "os": "Android 14"})] * 5,
    *[("app:session_id", lambda m: m.hex(32))] * 3,
)


def oversized(count: int = USERS) -> list[dict[str, Any]]:
    """Return `count` users, at least 150, oldest first; how many of them have a fault does not depend on it.

    >>> sum(size_of(user) > 10_000 for user in oversized())
    66
    """
    making = _Making("oversized")
    users = [_ordinary(making, number, count) for number in range(count)]
    chosen = iter(making.random.sample(users, count))
    for large in _LARGE:
        for user in (next(chosen) for _ in range(large.users)):
            wanted = making.random.randrange(large.least, large.most)
            bag = user.setdefault(large.bag, {})
            bag[large.key] = large.value(making, wanted - size_of(user))
    for key, make in _SMALL:
        name = key.removeprefix("app:")
        bag = "user_metadata" if name == key else "app_metadata"
        next(chosen).setdefault(bag, {})[name.format(making.hex(24))] = make(making)
    return users


def _ordinary(making: _Making, number: int, count: int) -> dict[str, Any]:
    """Return the number-th of `count` users, with nothing wrong: every field that a profile has."""
    random = making.random
    first, last = _FIRST[number % len(_FIRST)], _LAST[number * 7 % len(_LAST)]
    plain = (
        unicodedata.normalize("NFKD", f"{first}.{last}{number}").encode("ascii", "ignore").decode().lower()
    )
    email = f"{plain}@example.{random.choice(('com', 'net', 'org'))}"
    provider, connection, local = random.choices(
        (
            ("auth0", "Username-Password-Authentication", making.hex(24)),
            ("google-oauth2", "google-oauth2", str(random.randrange(10**20, 10**21))),
            ("samlp", "acme", f"acme|{email}"),
            ("github", "github", str(random.randrange(10**6, 10**8))),
        ),
        (60, 24, 10, 6),
    )[0]
    created = _FROM + (_UNTIL - _FROM - 30 * _DAY) * number // count + random.randrange(_DAY)
    seen = iso(random.randrange(created, _UNTIL))
    is_social = provider in ("google-oauth2", "github")
    user: dict[str, Any] = {
        "user_id": f"{provider}|{local}",
        "created_at": iso(created),
        "email": email,
        "email_verified": random.random() < 0.95,
        "family_name": last,
        "given_name": first,
        "identities": [
            {"connection": connection, "user_id": local, "provider": provider, "isSocial": is_social}
        ],
        "last_ip": making.ip(),
        "last_login": seen,
        "logins_count": random.randrange(1, 900),
        "name": f"{first} {last}",
        "nickname": plain,
        "picture": f"https://cdn.auth0.com/avatars/{plain[:2]}.png",
        "updated_at": seen,
    }
    if random.random() < 0.9:  # the others never opened the settings
        user["user_metadata"] = {
            "language": random.choice(("en", "fi", "fr", "pl", "pt")),
            "newsletter": random.random() < 0.4,
            "theme": random.choice(("dark", "light")),
            "timezone": random.choice(("Europe/Helsinki", "Europe/Lisbon", "Europe/Paris", "Europe/Warsaw")),
        }
    user["app_metadata"] = {
        "customer_number": random.randrange(10_000, 99_999),
        "onboarded": True,
        "plan": random.choice(("free", "pro", "team")),
    }
    return user
