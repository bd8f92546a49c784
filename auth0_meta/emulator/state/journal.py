"""Every request that reached the tenant, for tests to inspect."""

from __future__ import annotations

import math
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, overload

from auth0_meta.emulator.rules.journal_entry import Entry
from auth0_meta.emulator.rules.matching.near_misses import describe_near_misses, mismatches
from auth0_meta.redact import discreet

_ANY = object()
_MOST_BYTES, _MOST_BYTES_UNLIMITED = 64 * 1024**2, 512 * 1024**2
_MOST_NOT_SERVED = 500  # different names
_ID = re.compile(r"(?<=/)(?!v\d/)[^/]*[\d%][^/]*")
"""A part of a path that looks like an id."""


@discreet
class Journal:
    """The entries, in the order in which the requests finished; thread-safe.

    `limit` bounds how many are kept (the newest), and then they may have 64 MB of text together.  None keeps all that
    fit in 512 MB: no test fills that, but a program that was forgotten does not fill the machine.
    """

    def __init__(self, *, limit: int | None = None) -> None:
        self._lock = threading.Lock()
        self._entries: deque[Entry] = deque()
        self._sizes: deque[int] = deque()
        self._limit, self._total, self._size = math.inf if limit is None else limit, 0, 0
        self._most_bytes = _MOST_BYTES_UNLIMITED if limit is None else _MOST_BYTES
        self._not_served: dict[str, tuple[str, int]] = {}
        self.on_not_served: Callable[[str], object] | None = None
        """Called with the name of what is not served, when it is requested for the first time."""
        self.on_entry: Callable[[Entry], object] | None = None
        """Called with each entry, once it is in the journal."""

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        if isinstance(index, slice):
            return self._snapshot()[index]
        with self._lock:
            return self._entries[index]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._snapshot())

    def __repr__(self) -> str:
        return f"<Journal of {len(self)} requests>"

    @property
    def total(self) -> int:
        """How many requests there were, with those that are no longer kept."""
        return self._total

    def requests(
        self,
        method: str | None = None,
        path: str | None = None,
        *,
        user_id: str | None = None,
        status: int | None = None,
    ) -> list[Entry]:
        """Return the entries that match every argument given.

        `path` is a template, a whole path, or a prefix that ends in `/` or `*`.

        >>> Journal().requests("PATCH", "/api/v2/users/{id}")
        []
        """
        wanted = _criteria(method, path, user_id, status)
        return [entry for entry in self._snapshot() if not mismatches(entry, wanted)]

    def count(self, *args: Any, **criteria: Any) -> int:
        """Return how many entries match; takes what `requests` takes."""
        return len(self.requests(*args, **criteria))

    def since(self, number: int) -> tuple[int, list[Entry]]:
        """Return the number of requests so far, and those after the `number`-th that are still kept."""
        with self._lock:
            new = list(islice(reversed(self._entries), max(0, self._total - number)))
            return self._total, new[::-1]

    @property
    def not_served(self) -> dict[str, int]:
        """Return what was requested and is not served, in the order of the first requests, and how often.

        Paths that differ only in an id count as one, under the first of them.

        >>> Journal().not_served
        {}
        """
        with self._lock:
            return dict(self._not_served.values())

    def assert_called(
        self,
        method: str | None = None,
        path: str | None = None,
        *,
        user_id: str | None = None,
        status: int | None = None,
        json: Any = _ANY,
        times: int | None = None,
    ) -> None:
        """Raise AssertionError unless such a request arrived exactly `times` times (None: at least once).

        `path` is as in `requests`; `json` is the whole body as sent (None: no JSON body).  The error lists
        the nearest other requests and how each of them differs.

        >>> Journal().assert_called("PATCH", times=0)
        """
        __tracebackhide__ = True
        wanted = _criteria(method, path, user_id, status)
        if json is not _ANY:
            wanted["json"] = json
        entries = self._snapshot()
        matched = sum(not mismatches(entry, wanted) for entry in entries)
        if matched != times and not (times is None and matched):
            count = "at least one" if times is None else str(times)
            raise AssertionError(describe_near_misses(wanted, count, matched, entries))

    def add(self, entry: Entry) -> None:
        """Append one entry."""
        with self._lock:
            self._entries.append(entry)
            self._total += 1
            new = entry.not_served and self._note(entry.not_served)
            self._sizes.append(entry.size)
            self._size += self._sizes[-1]
            while len(self._entries) > self._limit or (
                self._size > self._most_bytes and len(self._entries) > 1
            ):
                self._entries.popleft()
                self._size -= self._sizes.popleft()
        if self.on_entry is not None:
            self.on_entry(entry)
        if new and self.on_not_served is not None:
            self.on_not_served(entry.not_served)

    def _note(self, name: str) -> bool:
        """Count what was not served; return whether nothing like it was requested before."""
        like = _ID.sub("{id}", name)
        first, count = self._not_served.get(like, (name, 0))
        if not count and len(self._not_served) >= _MOST_NOT_SERVED:
            return False
        self._not_served[like] = (first, count + 1)
        return not count

    def clear(self) -> None:
        """Delete every entry."""
        with self._lock:
            self._entries.clear()
            self._not_served.clear()
            self._sizes.clear()
            self._size = 0

    def _snapshot(self) -> list[Entry]:
        with self._lock:
            return list(self._entries)


def _criteria(
    method: str | None, path: str | None, user_id: str | None, status: int | None
) -> dict[str, Any]:
    criteria = {"method": method and method.upper(), "path": path, "user_id": user_id, "status": status}
    return {name: value for name, value in criteria.items() if value is not None}
