"""Announce a served tenant in a file, so that other commands of the same user find it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from auth0_meta.errors import InputError

_VARIABLE = "AUTH0_META_EMULATOR_DIR"


def run_directory() -> Path:
    """Return the directory of the files: AUTH0_META_EMULATOR_DIR, else the user's runtime directory, else home."""
    if os.environ.get(_VARIABLE):
        return Path(os.environ[_VARIABLE])
    if os.environ.get("XDG_RUNTIME_DIR"):
        return Path(os.environ["XDG_RUNTIME_DIR"]) / "auth0-meta"
    return Path.home() / ".auth0-meta"


def _file(port: int) -> Path:
    return run_directory() / f"emulator-{port}.json"


@contextmanager
def announced(port: int, facts: dict[str, Any]) -> Iterator[Path | None]:
    """Keep a file about the tenant on `port` while the block runs; only this user can read it.

    Yields its path, or None if it can't be written: the tenant serves all the same.
    """
    path = _file(port)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        # The token in it must never be readable by others, not even for a moment: hence the mode at creation.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        yield None
        return
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({**facts, "pid": os.getpid()}, file)
        yield path
    finally:
        path.unlink(missing_ok=True)


def find_run(port: int) -> dict[str, Any]:
    """Return what was announced for `port`; raises `InputError` if nothing was."""
    try:
        facts = json.loads(_file(port).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        facts = None
    if not isinstance(facts, dict):
        msg = (
            f"no local tenant of yours is known on port {port}: start one with "
            f"`auth0-meta emulator serve --port {port}`, or name its port with --port"
        )
        raise InputError(msg)
    return facts
