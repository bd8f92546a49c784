"""Keep what is handed out once and asked for later: codes, sessions, logins that are under way."""

from __future__ import annotations

import secrets
import threading
from typing import Generic, TypeVar

_T = TypeVar("_T")


class ExpiringStore(Generic[_T]):
    """Hold values under random keys of 256 bits until they expire; safe for many threads.

    >>> codes = ExpiringStore[str]()
    >>> code = codes.put("ada", until=10.0, now=0.0)
    >>> codes.get(code, now=1.0), codes.take(code, now=1.0), codes.take(code, now=1.0)
    ('ada', 'ada', None)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[str, tuple[_T, float]] = {}

    def put(self, value: _T, *, until: float, now: float, key: str | None = None) -> str:
        """Keep a value until an epoch second and return its key, a new one unless given."""
        key = key or secrets.token_urlsafe(32)
        with self._lock:
            for old in [k for k, (_, end) in self._values.items() if end <= now]:
                del self._values[old]
            self._values[key] = value, until
        return key

    def get(self, key: str, *, now: float) -> _T | None:
        """Return what is kept under `key`, None where there is nothing any more."""
        value, until = self._values.get(key, (None, now))
        return value if until > now else None

    def all(self, *, now: float) -> list[tuple[_T, float]]:
        """Return what is kept, oldest first, each with its end."""
        with self._lock:
            return [(value, until) for value, until in self._values.values() if until > now]

    def take(self, key: str, *, now: float) -> _T | None:
        """Return what `get` does and forget it; of several callers one gets it."""
        with self._lock:
            value, until = self._values.pop(key, (None, now))
        return value if until > now else None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
