"""A tenant with known faults: the audit finds all of them, and nothing in users who have none."""

from __future__ import annotations

from collections import Counter

from support.planted_tenant import planted
from support.planted_tenant.plant import size_of

USERS = 3_000


def test_the_tenant_is_the_same_each_time_and_another_for_another_seed() -> None:
    """An answer key is worth something only if the tenant that it belongs to can be made again."""
    first = list(planted(300, seed=1))
    assert list(planted(300, seed=1)) == first
    assert list(planted(300, seed=2)) != first


def test_every_kind_is_planted_in_several_users_and_harmless_users_keep_to_the_limits() -> None:
    """The answer key is not empty anywhere, and what it calls harmless is."""
    kinds: Counter[str] = Counter()
    paths = set()
    for profile, faults in planted(USERS):
        kinds.update({fault.kind for fault in faults if fault.certain})
        paths |= {(fault.kind, fault.path) for fault in faults}
        if not faults:
            assert size_of(profile) < 7_900
    assert min(kinds.values()) >= 5, kinds
    assert set(kinds) == {
        "oversized", "over_allowance", "near_limit", "bad_key", "reserved_name", "dynamic_keys",
        "mixed_types", "unsearchable", "growing_list", "secret", "authorization_in_user_metadata", "device_state",
    }  # fmt: skip
    assert len(paths) > 190
