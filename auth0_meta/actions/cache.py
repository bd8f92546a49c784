"""Keep short strings between logins: the trigger's cache, which answers with errors and never raises."""

from __future__ import annotations

import math
import threading
from typing import Literal

import attrs

from auth0_meta.clock import Clock

# Source: Auth0's limits of Actions. Its SDK allows 16.25 KiB in all, its documentation 8 kB: the lower one holds here.
_MOST_ENTRIES = 20
_MOST_KEY = 64
_MOST_VALUE = 4096
_MOST_TOTAL = 8192
_DEFAULT_MS = 15 * 60 * 1000
_LONGEST_MS = 24 * 60 * 60 * 1000


@attrs.frozen
class CacheRecord:
    """Hold one cached string; `expires_at` is in epoch milliseconds."""

    value: str = attrs.field(repr=False)
    expires_at: int


@attrs.frozen(kw_only=True)
class CacheResult:
    """Response `set` and `delete`: `type` is "success" or "error", `code` says what was wrong."""

    type: Literal["success", "error"]
    code: str | None = None
    record: CacheRecord | None = None


class Cache:
    """Cache strings for all logins of one trigger in this process; thread-safe.

    At most 20 entries, keys of 64 B, values of 4 kB, 8 kB in all, for up to 24 hours.  Entries are
    not per user, may be gone at any time, and are set at once, even when the login then fails: look up,
    fetch on a miss, store.  Source: Auth0 docs, Actions limits; `api.cache` of the post-login API.

    >>> from auth0_meta.testing import FakeClock
    >>> clock = FakeClock()
    >>> cache = Cache(clock)
    >>> cache.set("token", "abc", ttl_ms=1000).type, cache.get("token").value
    ('success', 'abc')
    >>> clock.advance(1); cache.get("token") is None, cache.delete("token").code
    (True, 'CacheKeyDoesNotExist')
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._records: dict[str, CacheRecord] = {}

    def get(self, key: str, /) -> CacheRecord | None:
        """Return the record of `key`, None where there is none or it has expired."""
        with self._lock:
            self._prune()
            return self._records.get(key) if isinstance(key, str) else None

    def set(
        self, key: str, value: str, /, *, ttl_ms: float | None = None, expires_at_ms: float | None = None
    ) -> CacheResult:
        """Store a string for `ttl_ms` milliseconds (15 minutes) or until `expires_at_ms`, whichever is earlier."""
        given = [number for number in (ttl_ms, expires_at_ms) if number is not None]
        if any(isinstance(number, bool) or not isinstance(number, int | float) for number in given):
            return CacheResult(type="error", code="InvalidExpiry")
        with self._lock:
            self._prune()
            now = self._clock.time() * 1000
            ends = [
                end for end in (None if ttl_ms is None else now + ttl_ms, expires_at_ms) if end is not None
            ]
            expires_at = min(ends, default=now + _DEFAULT_MS)
            code = self._refusal(key, value, expires_at, now)
            if code is not None:
                return CacheResult(type="error", code=code)
            record = self._records[key] = CacheRecord(value, math.floor(expires_at))
            return CacheResult(type="success", record=record)

    def delete(self, key: str, /) -> CacheResult:
        """Forget `key`; an error where there is none."""
        with self._lock:
            self._prune()
            if not isinstance(key, str) or self._records.pop(key, None) is None:
                return CacheResult(type="error", code="CacheKeyDoesNotExist")
            return CacheResult(type="success")

    def _refusal(self, key: str, value: str, expires_at: float, now: float) -> str | None:
        """Return Auth0's code for what can't be stored."""
        if not isinstance(key, str) or not isinstance(value, str):
            return "FailedToSetCacheRecord"
        if not math.isfinite(expires_at) or expires_at - now > _LONGEST_MS:
            return "InvalidExpiry"
        if math.floor(expires_at) <= now:
            return "ItemAlreadyExpired"
        if _bytes(key) > _MOST_KEY:
            return "CacheKeySizeExceeded"
        if _bytes(value) > _MOST_VALUE:
            return "CacheValueSizeExceeded"
        others = {k: r.value for k, r in self._records.items() if k != key}
        total = sum(_bytes(k) + _bytes(v) for k, v in (*others.items(), (key, value)))
        if total > _MOST_TOTAL or len(others) >= _MOST_ENTRIES:
            return "CacheSizeExceeded"
        return None

    def _prune(self) -> None:
        now = self._clock.time() * 1000
        for key in [key for key, record in self._records.items() if record.expires_at <= now]:
            del self._records[key]


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
