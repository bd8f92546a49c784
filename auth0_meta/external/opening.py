"""Open a store by its URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth0_meta.errors import ConfigError
from auth0_meta.external.sqlite_store import SqliteStore
from auth0_meta.external.urls import check_url
from auth0_meta.redact import discreet

if TYPE_CHECKING:
    from auth0_meta.external.sql_store import SqlStore


@discreet
def open_store(url: str, /, *, name: str | None = None) -> SqliteStore | SqlStore:
    """Open the store at a URL: a `SqliteStore` for "sqlite:///PATH", and a `SqlStore` for every other.

    "sqlite:///big.db" is a relative path, and "sqlite:////srv/big.db" an absolute one, as SQLAlchemy writes them.
    `name` is the store's name: for a new store, or to be sure that it is the right one.

    Raises `ConfigError` for a URL that can't work, without quoting it; `MissingExtraError` if it needs the extra `sql`;
    and what the stores raise.

    >>> open_store("sqlite://user:s3cret@host")
    Traceback (most recent call last):
        ...
    auth0_meta.errors.ConfigError: a SQLite store has only a path: sqlite:///big.db, or sqlite:////srv/big.db
    """
    scheme, _, rest = check_url(url).partition("://")
    if scheme != "sqlite":
        from auth0_meta.external.sql_store import SqlStore  # noqa: PLC0415  # an extra

        return SqlStore(url, name=name)
    path = rest[1:]
    if not rest.startswith("/") or not path or path == ":memory:" or "?" in path:
        raise ConfigError("a SQLite store has only a path: sqlite:///big.db, or sqlite:////srv/big.db")
    return SqliteStore(path, name=name)
