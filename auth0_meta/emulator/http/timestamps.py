"""Format and parse times as they are written in Auth0's JSON."""

from __future__ import annotations

from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def iso(milliseconds: int) -> str:
    """Format epoch milliseconds as Auth0 does.

    >>> iso(1_674_668_427_084)
    '2023-01-25T17:40:27.084Z'
    """
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(maxsize=16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def milliseconds_of(moment: object) -> int | None:
    """Parse what `iso` writes, with any UTC offset; return None for anything else, and for the year 9999.

    Every write increases a profile's `updated_at`, so a time close to the last one that datetime can represent
    must not be stored.

    >>> milliseconds_of("2023-01-25T17:40:27.084Z"), milliseconds_of("soon")
    (1674668427084, None)
    """
    if not isinstance(moment, str):
        return None
    try:
        read = datetime.fromisoformat(moment.removesuffix("Z"))
    except ValueError:
        return None
    if read.year >= MAXYEAR:
        return None
    since = read.replace(tzinfo=read.tzinfo or UTC) - _EPOCH
    return since // timedelta(milliseconds=1)
