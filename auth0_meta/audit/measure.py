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
from auth0_meta.checks.sizes import PROFILE_LIMIT, json_size

_OPENING: Final = b"{["
_NEITHER: Final = bytes(byte for byte in range(256) if byte not in b'" \t\r\n' + _OPENING)
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


def measured(line: bytes, /) -> tuple[int | None, int]:
    r"""Return how many bytes a JSON text takes without the white space around its values, and how many brackets open.

    The size is None if characters are written in a longer way than in compact JSON.  This costs a third of what encoding
    the value again would.  Numbers count as they are written.

    >>> measured(b'{"name": "Ada {L"}'), measured(rb'{"name": "\u00c5sa"}')
    ((17, 1), (None, 1))
    """
    size: int | None = len(line)
    inside = line
    if b"\\" in line:
        inside = line.replace(b"\\\\", b"..").replace(b'\\"', b"..")
        if b"\\u" in inside or b"\\/" in inside:
            size = None
    # What is left are quotes, white space and brackets.  Quotes come in pairs, so every other part is outside of them.
    outside = b"".join(inside.translate(None, _NEITHER).split(b'"')[::2])
    opening = outside.count(b"{") + outside.count(b"[")
    return None if size is None else size - len(outside) + opening, opening


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
            over_10240=sum(users for size, users in counted if size > PROFILE_LIMIT),
        )
