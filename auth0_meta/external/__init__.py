"""Keep values outside of the profile, in a database of your own, with a pointer in their place."""

from __future__ import annotations

from auth0_meta.external.opening import open_store
from auth0_meta.external.pointers import MOST_BYTES, Pointer, decode, encode, is_pointer, pointer
from auth0_meta.external.sql_store import SqlStore
from auth0_meta.external.sqlite_store import SqliteStore
from auth0_meta.external.store import ExternalStore
from auth0_meta.external.values import discard, load, resolve, save

__all__ = [
    "MOST_BYTES",
    "ExternalStore",
    "Pointer",
    "SqlStore",
    "SqliteStore",
    "decode",
    "discard",
    "encode",
    "is_pointer",
    "load",
    "open_store",
    "pointer",
    "resolve",
    "save",
]
