"""A profile in which faults are being planted, and what follows from the sizes and lengths of what it then holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

USER, APP = "user_metadata", "app_metadata"
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Path = tuple[str, ...]


class Fault(NamedTuple):
    """What should be found at a path; `certain` is False if experts may differ, and then no report is wrong."""

    kind: str
    path: str
    certain: bool = True


class Plant:
    """A profile in which faults are being planted."""

    def __init__(self, profile: dict[str, Any], chance: Random) -> None:
        self.profile, self.chance = profile, chance
        self.faults: list[Fault] = []
        self.templates: dict[str, str] = {}

    def put(self, *path: Any) -> Path:
        """Store a value, the last argument, under a path, and return the path."""
        *keys, value = path
        inner = self.profile
        for key in keys[:-1]:
            known = inner.get(key)
            inner[key] = dict(known) if isinstance(known, dict) else {}
            inner = inner[key]
        inner[keys[-1]] = value
        return tuple(keys)

    def dynamic(self, key: str, template: str = "<>") -> str:
        """Note that a key is dynamic, and return it."""
        self.templates[key] = template
        return key

    def text(self, path: Path) -> str:
        """Return a path as reports write it."""
        return ".".join(self.templates.get(key, key) for key in path)

    def fault(self, kind: str, path: Path, *, certain: bool = True) -> None:
        """Note what should be found, or may be."""
        self.faults.append(Fault(kind, self.text(path), certain))

    def finished(self) -> tuple[Fault, ...]:
        """Return the faults, those that follow from sizes and lengths included."""
        size = size_of(self.profile)
        if size > 10_000:
            self.fault("oversized", ())
        elif size > 8_000:
            self.fault("near_limit", ())
        if size > 105_000:
            self.fault("over_allowance", ())
        assert not 100_000 <= size <= 105_000, "how large the allowance is exactly is not documented"
        for bag in (USER, APP):
            inner = self.profile.get(bag)
            for key, value in inner.items() if isinstance(inner, dict) else ():
                for path in _too_large((bag, key), value):
                    self.fault("unsearchable", path)
                for path in _long_lists((bag, key), value):
                    self.fault("growing_list", path)
        return tuple(dict.fromkeys(self.faults))


def size_of(value: Any) -> int:
    """Return how many bytes a value takes as compact JSON in UTF-8."""
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _inner(path: Path, value: Any) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict):
        yield from (((*path, key), item) for key, item in value.items())
    elif isinstance(value, list):
        yield from ((path, item) for item in value)


def _too_large(path: Path, value: Any) -> list[Path]:
    """Return the innermost paths whose values take more than 2 KB."""
    if (size := size_of(value)) <= 2_000:
        return []
    assert size > 2_100, "exactly how many bytes 2 KB are is not documented"
    return [found for place, item in _inner(path, value) for found in _too_large(place, item)] or [path]


def _long_lists(path: Path, value: Any) -> list[Path]:
    found = [path] if isinstance(value, list) and len(value) > 100 else []
    return found + [each for place, item in _inner(path, value) for each in _long_lists(place, item)]


Shape = Callable[[Plant], None]


def void(_: object) -> None:
    """Ignore a value, so that a lambda can be a shape."""


def always(value: object) -> Callable[[Random], Any]:
    """Return what draws the same value each time."""
    return lambda _: value


def only(*path: str, value: Callable[[Random], Any]) -> Shape:
    """Return a shape: a value under a fixed path; what should be found follows from its size or length."""
    return lambda p: void(p.put(*path, value(p.chance)))


def one(kind: str, *path: str, value: Callable[[Random], Any], may: tuple[str, ...] = ()) -> Shape:
    """Return a shape: one value under a fixed path, found there; kinds in `may` are no mistake."""

    def plant(p: Plant) -> None:
        place = p.put(*path, value(p.chance))
        p.fault(kind, place)
        for other in may:
            p.fault(other, place, certain=False)

    return plant


def in_list(kind: str, *path: str, key: str, value: Callable[[Random], Any]) -> Shape:
    """Return a shape: the value is in the last of three objects in a list."""

    def plant(p: Plant) -> None:
        p.put(*path, [{"id": 1}, {"id": 2}, {"id": 3, key: value(p.chance)}])
        p.fault(kind, (*path, key))

    return plant
