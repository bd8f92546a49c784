"""Warn at the line of the program that calls this package."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from auth0_meta.errors import MetadataWarning

# What may stand between the program and us: `bag.update(...)` goes through collections.abc, the end of a block through
# an ExitStack.
_BETWEEN = frozenset({"auth0_meta", "collections", "_collections_abc", "contextlib"})


class Place(NamedTuple):
    """A line of the program, for a warning or an error that comes later or in another thread."""

    file: str
    line: int
    globals: dict[str, Any]

    @property
    def is_asyncio(self) -> bool:
        """Return whether it is none of the program: in a task of its own, none stands below asyncio's."""
        return str(self.globals.get("__name__", "")).startswith("asyncio.")

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


def place() -> Place:
    """Return the innermost line outside of this package."""
    frame = sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        frame = frame.f_back
    return Place(frame.f_code.co_filename, frame.f_lineno, frame.f_globals)


class _Calling(threading.local):
    line: Place | None = None
    """The line that the work in a worker thread is done for, whose own frames end in the standard library."""


_calling = _Calling()


@contextmanager
def calling_from(line: Place | None) -> Iterator[None]:
    """Let warnings point at a line of the program while work is done for it in another thread."""
    before, _calling.line = _calling.line, line
    try:
        yield
    finally:
        _calling.line = before


def notice(message: str, /, at: Place | None = None) -> None:
    """Issue a `MetadataWarning` that points at a line of the program, by default the one that called this package."""
    file, line, names = at or _calling.line or place()
    module = names.get("__name__") or "<unknown>"
    registry = names.setdefault("__warningregistry__", {})
    warnings.warn_explicit(message, MetadataWarning, file, line, module, registry)
