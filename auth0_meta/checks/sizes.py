"""How large a profile, a field and a list may be, and how a profile is measured; PURE.

Auth0 counts an internal form of the profile with fields that no API shows, and doesn't say whether a KB is 1,000 or
1,024 bytes.  The compact JSON in UTF-8 that is measured here is the estimate that its own migration guide suggests.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias, get_args

PROFILE_BYTES: Final = 10_000
"""Past this size a stored profile may be over Auth0's 10 KB: an audit counts in the smaller KB, to miss nobody."""
PROFILE_LIMIT: Final = 10_240
"""Past this size a profile is over 10 KB in either KB: a transaction warns or refuses, and doesn't cry wolf."""
NEAR_BYTES: Final = 8_000
"""From this size on a profile is near the limit: 80 % of it.  The share is ours."""
ALLOWANCE_BYTES: Final = 100_000
"""Past this size writes may fail.  Auth0 says "roughly ten times the limit"."""
FIELD_BYTES: Final = 2_000
"""How large a value may be to be searched well.  Source: Auth0's list and search users, 2 KB."""
LIST_ITEMS: Final = 100
"""How many items a list may have before it counts as growing.  Ours: Auth0 documents no limit."""

SizeKind: TypeAlias = Literal["near_limit", "oversized", "over_allowance"]
SIZE_KINDS: Final[frozenset[str]] = frozenset(get_args(SizeKind))
"""The kinds that a profile's size decides alone."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False).encode


def json_size(value: object, /) -> int:
    """Return how many bytes a JSON value takes as compact UTF-8 JSON.

    >>> json_size({"name": "Åsa"})
    15
    """
    text = _encode(value)
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def profile_size(profile: Mapping[str, Any], /) -> int:
    """Return a profile's bytes as compact UTF-8 JSON, to compare with the limits of this module.

    >>> profile_size({"user_id": "auth0|1", "app_metadata": {"plan": "pro"}})
    51
    """
    return json_size(dict(profile))


def size_kinds(size: int, /) -> tuple[SizeKind, ...]:
    """Return the kinds of findings for a profile of that many bytes, worst first.

    >>> size_kinds(7_999), size_kinds(8_000), size_kinds(10_001), size_kinds(100_001)
    ((), ('near_limit',), ('oversized',), ('over_allowance', 'oversized'))
    """
    if size < NEAR_BYTES:
        return ()
    if size <= PROFILE_BYTES:
        return ("near_limit",)
    return ("oversized",) if size <= ALLOWANCE_BYTES else ("over_allowance", "oversized")
