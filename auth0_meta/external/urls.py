"""Addresses of stores: what they may be, and how they are shown without a password."""

from __future__ import annotations

from typing import TYPE_CHECKING

from auth0_meta.errors import Auth0MetaError, ConfigError, MissingExtraError, missing_extra

if TYPE_CHECKING:
    from sqlalchemy import URL

EXAMPLES = 'the URL of a store is one such as "sqlite:///big.db" or "postgresql+psycopg://user@host/database"'
# What people and platforms write -> the driver that the extra installs; SQLAlchemy 2.0 would take another one.
_DRIVERS = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg"}
_SECRETS = ("pass", "pwd", "secret", "token")


def check_url(url: object) -> str:
    """Return what looks like a URL; an error never quotes it, because there may be a password in it."""
    if not isinstance(url, str):
        raise ConfigError(f"{EXAMPLES}, not {type(url).__name__}")
    if "://" not in url:
        raise ConfigError(f"{EXAMPLES}: this one has no '://'")
    return url


def parse_url(url: object) -> URL:
    """Return SQLAlchemy's form of a URL whose driver is installed."""
    text = check_url(url)
    try:
        import sqlalchemy  # noqa: F401, PLC0415  # an extra
    except ModuleNotFoundError as error:
        raise missing_extra(error, "sql") from None
    parsed = _parsed(text)
    if parsed is None:
        raise ConfigError(f"SQLAlchemy can't read this URL: {EXAMPLES}")
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if (problem := _problem(parsed)) is not None:
        raise problem
    return parsed


def without_password(url: URL) -> str:
    """Return a URL without its password, and without parameters that look like one.

    >>> without_password(parse_url("postgresql://app:s3cret@db/big?sslmode=require&sslpassword=s3cret"))
    'postgresql+psycopg://app@db/big?sslmode=require'
    """
    # `set` would keep the password that it is to remove.
    return url._replace(password=None).difference_update_query(_secret_parameters(url)).render_as_string()


def secrets_of(url: URL) -> list[str]:
    """Return what no message may repeat."""
    values = [url.password, *(url.query[name] for name in _secret_parameters(url))]
    return [value for value in values if value and isinstance(value, str)]


def _secret_parameters(url: URL) -> list[str]:
    return [name for name in url.query if any(word in name.lower() for word in _SECRETS)]


def _parsed(text: str) -> URL | None:
    """Return None for what SQLAlchemy refuses: its errors may quote it."""
    from sqlalchemy.engine import make_url  # noqa: PLC0415  # an extra
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None


def _problem(url: URL) -> Auth0MetaError | None:
    """Return what keeps a URL from being used, None if nothing does."""
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415  # an extra

    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        return ConfigError("a database in memory would lose its values: name a file, as in sqlite:///big.db")
    if not url.database:
        return ConfigError(f"this URL names no database: {EXAMPLES}")
    try:
        url.get_dialect().import_dbapi()
    except ArgumentError:
        return ConfigError(f"SQLAlchemy has no dialect {url.drivername[:40]!r}: {EXAMPLES}")
    except ModuleNotFoundError as error:
        if error.name == "psycopg":
            return missing_extra(error, "sql")
        return MissingExtraError(f"this needs the driver {error.name}: pip install {error.name}")
    except ImportError:
        return MissingExtraError(
            f'the driver of {url.drivername} can\'t be loaded: pip install "auth0-meta[sql]"'
        )
    return None
