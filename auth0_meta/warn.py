"""Warn at the line of the program that calls this package."""

from __future__ import annotations

import sys
import warnings

from auth0_meta.errors import MetadataWarning

# What may stand between the program and us: `bag.update(...)` goes through collections.abc, the end of a block through
# an ExitStack.
_BETWEEN = frozenset({"auth0_meta", "collections", "_collections_abc", "contextlib"})


def notice(message: str, /) -> None:
    """Issue a `MetadataWarning` that points at the innermost line outside of this package."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, MetadataWarning, stacklevel=level)
