"""Cache short strings for all logins of a trigger; like Auth0's cache, this one returns errors and never raises them."""

from __future__ import annotations

import math
import threading
from typing import Literal

import attrs

from auth0_meta.clock import Clock
from auth0_meta.forks import renew_after_fork
from auth0_meta.redact import discreet

# Source: Auth0's limits of Actions.  The documentation says 8 kB in all, the SDK 16.25 KiB: the lower limit
# is safe whichever is true.
_MAX_ENTRIES = 20
_MAX_KEY_BYTES = 64
_MAX_VALUE_BYTES = 4096
_MAX_TOTAL_BYTES = 8192
_DEFAULT_TTL_MS = 15 * 60 * 1000
_MAX_TTL_MS = 24 * 60 * 60 * 1000


@attrs.frozen
class CacheRecord:
    """One cached string; `expires_at` is in milliseconds since the epoch."""

    value: str = attrs.field(repr=False)
    expires_at: int


@attrs.frozen(kw_only=True)
class CacheResult:
    """The result of `set` and `delete`: `type` is "success" or "error", `code` is Auth0's code for the error."""

    type: Literal["success", "error"]
    code: str | None = None
    record: CacheRecord | None = None


@discreet
class Cache:
    """A cache of strings that all logins of one trigger share in this process; thread-safe.

    It takes at most 20 entries, keys of 64 B, values of 4 kB, 8 kB in all, for up to 24 hours.  Entries
    belong to no user, can vanish at any time, and are set at once, even if the login then fails: look up,
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
        self._records: dict[str, CacheRecord] = {}
        self._renew_locks()
        renew_after_fork(self)

    def _renew_locks(self) -> None:
        """Start over with a new lock."""
        # Reentrant: a signal handler or a finalizer may use the cache while this thread is inside it.
        self._lock = threading.RLock()

    def get(self, key: str, /) -> CacheRecord | None:
        """Return the record of `key`; None if there is none or it has expired."""
        with self._lock:
            self._prune()
            return self._records.get(key) if isinstance(key, str) else None

    def set(
        self, key: str, value: str, /, *, ttl_ms: float | None = None, expires_at_ms: float | None = None
    ) -> CacheResult:
        """Store a string for `ttl_ms` milliseconds (default: 15 minutes) or until `expires_at_ms`, whichever is earlier."""
        for number in (ttl_ms, expires_at_ms):
            if isinstance(number, bool) or not isinstance(number, int | float | None):
                return CacheResult(type="error", code="InvalidExpiry")
        with self._lock:
            self._prune()
            now = self._clock.time() * 1000
            ends = (None if ttl_ms is None else now + ttl_ms, expires_at_ms)
            expires_at = min((end for end in ends if end is not None), default=now + _DEFAULT_TTL_MS)
            if code := self._refusal(key, value, expires_at, now):
                return CacheResult(type="error", code=code)
            record = self._records[key] = CacheRecord(value, math.floor(expires_at))
            return CacheResult(type="success", record=record)

    def delete(self, key: str, /) -> CacheResult:
        """Delete the record of `key`; the result is an error if there is none."""
        with self._lock:
            self._prune()
            if not isinstance(key, str) or self._records.pop(key, None) is None:
                return CacheResult(type="error", code="CacheKeyDoesNotExist")
            return CacheResult(type="success")

    def _refusal(self, key: str, value: str, expires_at: float, now: float) -> str | None:
        """Return Auth0's code if this can't be stored, None if it can."""
        if not isinstance(key, str) or not isinstance(value, str):
            return "FailedToSetCacheRecord"
        if not math.isfinite(expires_at) or expires_at - now > _MAX_TTL_MS:
            return "InvalidExpiry"
        if math.floor(expires_at) <= now:
            return "ItemAlreadyExpired"
        if _bytes(key) > _MAX_KEY_BYTES:
            return "CacheKeySizeExceeded"
        if _bytes(value) > _MAX_VALUE_BYTES:
            return "CacheValueSizeExceeded"
        others = {k: r.value for k, r in self._records.items() if k != key}
        total = sum(_bytes(k) + _bytes(v) for k, v in (*others.items(), (key, value)))
        if total > _MAX_TOTAL_BYTES or len(others) >= _MAX_ENTRIES:
            return "CacheSizeExceeded"
        return None

    def _prune(self) -> None:
        now = self._clock.time() * 1000
        for key in [key for key, record in self._records.items() if record.expires_at <= now]:
            self._records.pop(key, None)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
