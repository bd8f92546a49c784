"""A generated tenant whose faults are known: most users are harmless, the others have faults that were planted on purpose.

Nothing here imports auth0_meta: what should be found follows from Auth0's documentation, not from the code under test.
`planted` streams the users. A fault names the kind of a finding and its path, as `auth0_meta.audit` writes both; what stands
for a dynamic key is `<>`, whatever word a report puts between the brackets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

from .clean import APP, LARGE, RARE, USER, Bag, iso
from .faults import SHAPES, user_chosen
from .plant import Fault, Plant

__all__ = ["Fault", "planted"]

VARIANTS = 150
Row = tuple[str, Bag, int]


def planted(users: int, seed: int = 0) -> Iterator[tuple[dict[str, Any], tuple[Fault, ...]]]:
    """Yield profiles and the faults of each; equal arguments yield equal tenants.

    In a small tenant every sixth user has a fault, so that every shape occurs; in one of more than 10,000 one in sixty.
    """
    chance = Random(f"{users} {seed}")
    topics = [("user_metadata", topic) for topic in USER] + [("app_metadata", topic) for topic in APP]
    pool = [_row(bag, topic(chance)) for bag, topic in topics for _ in range(VARIANTS)]
    large = [_row(bag, topic(chance)) for bag, topic in LARGE for _ in range(VARIANTS)]
    every = 6 if users <= 10_000 else 60
    shape = 0
    for number in range(users):
        if number % every == every // 2:
            plant = Plant(_clean(chance, number, pool, [], plain=True), chance)
            SHAPES[shape % len(SHAPES)](plant)
            shape += 1
        elif number % (50 if users <= 10_000 else 200) == 1:
            plant = Plant(_clean(chance, number, pool, [], plain=True), chance)
            user_chosen(plant)
        else:
            yield _clean(chance, number, pool, large), ()
            continue
        yield plant.profile, plant.finished()


@cache
def _instants() -> list[str]:
    chance = Random(7)
    return [iso(chance) for _ in range(VARIANTS)]


def _row(bag: str, values: Bag) -> Row:
    return bag, values, len(json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode())


def _clean(
    chance: Random, number: int, pool: list[Row], large: list[Row], *, plain: bool = False
) -> dict[str, Any]:
    """Return a harmless profile of 200 to 7,800 bytes, most of them about 1 KB; a plain one is small."""
    draw = chance.random
    created = _instants()
    user_id = f"auth0|{number:08x}{chance.getrandbits(64):016x}"
    profile: dict[str, Any] = {
        "user_id": user_id,
        "email": f"user.{number}@example.com",
        "email_verified": draw() < 0.8,
        "created_at": created[int(draw() * VARIANTS)],
        "identities": [
            {
                "user_id": user_id[6:],
                "provider": "auth0",
                "connection": "Username-Password-Authentication",
                "isSocial": False,
            }
        ],
    }
    richness = draw()
    if richness < 0.08:  # a user who never had metadata, or has empty bags
        if richness < 0.03:
            profile["app_metadata"] = {}
        return profile
    profile["name"] = f"User {number}"
    profile["picture"] = f"https://s.example.com/avatar/{chance.getrandbits(128):032x}?s=480"
    profile["logins_count"] = int(draw() * 900)
    bags: dict[str, Bag] = {"user_metadata": {}, "app_metadata": {}}
    room = 7000
    if richness > 0.97 and not plain:
        while room > 0 and draw() < 0.95:
            bag, values, size = large[int(draw() * len(large))]
            if size < room:
                bags[bag] |= values
            room -= size
    for _ in range(int(3 + draw() * 9 if plain or richness < 0.8 else 8 + draw() * 30)):
        bag, values, size = pool[int(draw() * len(pool))]
        if size < room:
            bags[bag].update(values)
            room -= size
    if draw() < 0.002:
        bags["app_metadata"][chance.choice(RARE)] = "yes"
    for bag, content in bags.items():
        if content or draw() < 0.3:
            profile[bag] = content
    return profile
