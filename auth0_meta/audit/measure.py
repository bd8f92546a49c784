"""How many bytes profiles and their keys take, and how the sizes of a tenant are distributed; PURE."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

from auth0_meta.audit.report import Sizes
from auth0_meta.changes.jsonvalue import BAGS
from auth0_meta.checks.sizes import json_size

_SPACE: Final = b" \t\r\n"
_NEITHER_QUOTE_NOR_SPACE: Final = bytes(byte for byte in range(256) if byte not in b'"' + _SPACE)
_HEAVY_FIELD: Final = 1_000
"""From how many bytes on a field that is not metadata counts as heavy: a tenth of the limit."""

_EXACT: Final = 20_000
"""Up to this size each number of bytes is counted by itself, and then to three digits."""
# Ten steps a power of ten, so that they look even on a logarithmic scale, and 8,000, 10,000 and 100,000 are among them: 100 to 80 MB.
EDGES: Final = (
    0,
    *(
        int(step * 10**power)
        for power in range(1, 7)
        for step in (10, 12.5, 16, 20, 25, 31.5, 40, 50, 63, 80)
    ),
)


def has_escapes(line: bytes, /) -> bool:
    r"""Return whether a JSON text may have characters written in a longer way than compact JSON does.

    >>> has_escapes(rb'{"name": "\u00c5sa"}'), has_escapes(rb'{"quote": "\""}')
    (True, False)
    """
    return b"\\u" in line or b"\\/" in line


def compact_size(line: bytes, /) -> int:
    """Return how many bytes a JSON text takes without the white space around its values; it must not have escapes.

    This costs a third of what encoding the value again would.  Numbers count as they are written.

    >>> compact_size(b'{"name": "Ada L"}')
    16
    """
    if b"\\" in line:
        line = line.replace(b"\\\\", b"..").replace(b'\\"', b"..")
    # What is left are quotes and spaces.  Quotes come in pairs, so every other part is outside of them.
    outside = line.translate(None, _NEITHER_QUOTE_NOR_SPACE).split(b'"')[::2]
    return len(line) - len(b"".join(outside))


def key_sizes(profile: Mapping[str, Any], /) -> Iterator[tuple[str, str | None, int]]:
    """Yield (bag, first-level key, bytes) of a profile's metadata, and (field, None, bytes) of what else is heavy.

    The key is None for a bag that is not an object, too.
    """
    for name, value in profile.items():
        if name in BAGS and isinstance(value, dict):
            yield from ((name, key, json_size(inner)) for key, inner in value.items())
        elif value is not None and ((size := json_size(value)) >= _HEAVY_FIELD or name in BAGS):
            yield name, None, size


class SizeCounter:
    """Count profiles by their size, in constant memory."""

    def __init__(self) -> None:
        self._exact = array("Q", bytes(8 * (_EXACT + 1)))
        self._large: dict[int, int] = {}
        self._total = self._largest = 0

    def add(self, size: int) -> None:
        """Count a profile of that many bytes."""
        self._total += size
        if size > self._largest:
            self._largest = size
        if size <= _EXACT:
            self._exact[size] += 1
        else:
            step = 10 ** (len(str(size)) - 3)
            rounded = math.ceil(size / step) * step
            self._large[rounded] = self._large.get(rounded, 0) + 1

    def sizes(self) -> Sizes:
        """Return the distribution; bins in which there is nobody are left out at both ends."""
        counted = [(size, users) for size, users in enumerate(self._exact) if users]
        counted += sorted(self._large.items())
        if not counted:
            return Sizes()
        bins = [0] * len(EDGES)
        for size, users in counted:
            bins[max(0, min(bisect_left(EDGES, size), len(EDGES) - 1) - 1)] += users
        first = next(n for n, users in enumerate(bins) if users)
        last = max(n for n, users in enumerate(bins) if users)
        ranks = list(accumulate(users for _, users in counted))

        def quantile(part: float) -> int:
            return min(counted[bisect_left(ranks, math.ceil(ranks[-1] * part))][0], self._largest)

        return Sizes(
            edges=EDGES[first : last + 2],
            counts=tuple(bins[first : last + 1]),
            total=self._total,
            median=quantile(0.5),
            p99=quantile(0.99),
            largest=self._largest,
        )
