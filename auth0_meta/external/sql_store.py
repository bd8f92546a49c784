"""Values in a table of a database that SQLAlchemy connects to."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from auth0_meta.arguments import number
from auth0_meta.clock import SYSTEM_CLOCK, Clock
from auth0_meta.errors import Auth0MetaError, ConfigError, ExternalUnavailableError, StateError
from auth0_meta.external.pointers import (
    MOST_BYTES,
    MOST_ID,
    NAME,
    check_key,
    check_name,
    check_put,
    check_user,
    default_name,
)
from auth0_meta.external.store import Closing, missing, taken
from auth0_meta.external.urls import parse_url, secrets_of, without_password
from auth0_meta.forks import renew_after_fork
from auth0_meta.redact import discreet, printable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, MetaData, Table
    from sqlalchemy.exc import SQLAlchemyError

_T = TypeVar("_T")
_FORMAT = "1"
_TABLE = re.compile(r"(?:[A-Za-z_]\w{0,40}\.)?[A-Za-z_]\w{0,40}", re.ASCII)
_PAGE = 1000
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_MOST_SHOWN = 200
_TRIES = 5
"""How often a row is inserted that exists, and then does not: others may delete it in between."""
_LONGEST = 86_400.0

# Words in a driver's message, or a five-digit SQLSTATE -> (cause, whether trying again soon can help, what to do).
_SIGNS: tuple[tuple[tuple[str, ...], str, bool, str], ...] = (
    (("28000", "28P01", "password", "authentication", "pg_hba"), "refused", False, "check the user and the password"),
    (("3D000", "42P01", "1049", "does not exist", "no such table"), "missing", False, "check the database and its tables"),
    (("42501", "permission denied"), "refused", False, "grant the user SELECT, INSERT and DELETE on the tables"),
    (("53100", "is full", "No space left"), "full", False, "free space on the database's disk and try again"),
    (("25006", "read-only", "readonly"), "read-only", False, "connect to the primary, or make the database writable"),
    (("57014", "timeout"), "slow", True, "look at the database's load, or allow a longer timeout"),
    (("locked", "40001", "40P01"), "locked", True, "another program is using it: try again"),
)  # fmt: skip
_DOWN = ("down", True, "start the database, or check the network, and try again")


@discreet
class SqlStore(Closing):
    """Values in a table of a database that SQLAlchemy has a dialect for; needs the extra `sql`.

    `url` is one of SQLAlchemy's, such as "postgresql+psycopg://app@db.example.com/profiles"; "postgresql://" takes psycopg.
    A password may also come from the driver's own ways, such as PGPASSWORD or ~/.pgpass; no repr, error or
    `url` holds it.  PostgreSQL is tested; other databases need their own driver.

    `name`: the store's name, for a new table (default: the name of the database); it has to be right for an existing one.
    `table`: the table, or "schema.table"; it is created on first use, and so is a second one, "<table>_facts".
    `timeout`: seconds that a connection or a statement may take.  `failure_wait`: seconds for which a call is repeated
    while the database is down or restarting; every call may be, because storing the same again changes nothing.

    Threads may share a store, and a forked child makes connections of its own.  Raises `ConfigError` for a URL that can't
    work, and for another store's name or a later format; `MissingExtraError` if SQLAlchemy or psycopg is missing;
    `ExternalUnavailableError` if the database is down or refuses.
    """

    def __init__(
        self,
        url: str,
        /,
        *,
        name: str | None = None,
        table: str = "auth0_meta_external",
        timeout: float = 10.0,
        failure_wait: float = 30.0,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        parsed = parse_url(url)
        if name is not None:
            check_name(name)
        if not isinstance(table, str) or not _TABLE.fullmatch(table):
            raise ConfigError('table must be a name such as "auth0_meta_external" or "schema.table"')
        self._timeout = number("timeout", timeout, above=0, most=_LONGEST, error=ConfigError)
        self._failure_wait = number("failure_wait", failure_wait, least=0, most=_LONGEST, error=ConfigError)
        self._clock, self._closed = clock, False
        self._url = without_password(parsed)
        self._secrets = secrets_of(parsed)
        names = (parsed.host, parsed.username, parsed.database, *parsed.query.values())
        self._own_names = [name for name in names if name and isinstance(name, str)]
        self._name = name or ""
        if parsed.get_backend_name() == "sqlite":
            with contextlib.suppress(OSError):  # it exists; or SQLite finds out what is wrong
                os.close(os.open(str(parsed.database), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self._engine = _engine(parsed, self._timeout)
        self._metadata, self._stored, self._facts = _tables(table)
        try:
            self._name = self._prepare(name, default_name(Path(parsed.database or "").stem))
        except BaseException:
            self._engine.dispose()
            raise
        renew_after_fork(self)

    def _renew_locks(self) -> None:
        """Leave the connections to the parent."""
        self._engine.dispose(close=False)

    @property
    def name(self) -> str:
        """Return the store's name, which its pointers begin with."""
        return self._name

    @property
    def url(self) -> str:
        """Return what `open_store` opens this store by, without the password."""
        return self._url

    def __repr__(self) -> str:
        return f"<SqlStore {self._name!r}: {self._url}>"

    def put(self, key: str, data: bytes, /, *, user_id: str, path: str) -> None:
        """Store the data of a user's path under a key that `pointer` has made; it is committed on return.

        If the key has the same data already, nothing changes; other data raises `ExternalDamagedError`.  Raises
        `InputError` for what can't be stored, and `ExternalUnavailableError` if the database is down or full.
        """
        check_put(key, data, user_id, path)
        from sqlalchemy import insert  # noqa: PLC0415  # an extra
        from sqlalchemy.exc import IntegrityError  # noqa: PLC0415

        row = {"key": key, "user_id": user_id, "path": printable(path), "data": data}

        def work(db: Connection) -> bool:
            try:
                db.execute(insert(self._stored).values(row))
            except IntegrityError:
                db.rollback()
                return False
            return True

        for _ in range(_TRIES):
            if self._run(work, key):
                return
            found = self._find(key)  # None: deleted just now
            if found is not None:
                if found != data:
                    raise taken(self._name, key)
                return
        raise self._failure("failing", "it refuses the row: look at its tables and triggers", key)

    def get(self, key: str, /) -> bytes:
        """Return the data of a key; raise `ExternalMissingError`, a `LookupError`, if there is none."""
        check_key(key)
        found = self._find(key)
        if found is None:
            raise missing(self._name, key)
        return found

    def delete(self, key: str, /) -> None:
        """Delete what is stored under a key; do nothing if the key is absent."""
        check_key(key)
        from sqlalchemy import delete  # noqa: PLC0415  # an extra

        statement = delete(self._stored).where(self._stored.c.key == key)
        self._run(lambda db: db.execute(statement).rowcount, key)

    def keys(self, user_id: str | None = None, /) -> Iterator[str]:
        """Yield all keys, or those of one user; the store may be changed meanwhile."""
        if user_id is not None:
            check_user(user_id)
        return self._pages("key", user_id)

    def users(self) -> Iterator[str]:
        """Yield the ids of all users who have values here, each once; the store may be changed meanwhile."""
        return self._pages("user_id", None)

    def forget(self, user_id: str, /) -> int:
        """Delete everything about one user; return how many values it was."""
        check_user(user_id)
        from sqlalchemy import delete  # noqa: PLC0415  # an extra

        statement = delete(self._stored).where(self._stored.c.user_id == user_id)
        deleted = 0

        def work(db: Connection) -> None:
            nonlocal deleted
            # An earlier attempt may have been committed although its response was lost: then this one finds nothing.
            deleted = max(deleted, db.execute(statement).rowcount)

        self._run(work)
        return deleted

    def close(self) -> None:
        """Close all connections; closing again does nothing, and every other method then raises `StateError`."""
        self._closed = True
        self._engine.dispose()

    # The database ---------------------------------------------------------------------

    def _find(self, key: str) -> bytes | None:
        from sqlalchemy import select  # noqa: PLC0415  # an extra

        statement = select(self._stored.c.data).where(self._stored.c.key == key)
        found = self._run(lambda db: db.execute(statement).scalar_one_or_none(), key)
        return None if found is None else bytes(found)

    def _pages(self, column: str, user_id: str | None) -> Iterator[str]:
        from sqlalchemy import select  # noqa: PLC0415  # an extra

        wanted = self._stored.c[column]
        statement = select(wanted).distinct().order_by(wanted).limit(_PAGE)
        if user_id is not None:
            statement = statement.where(self._stored.c.user_id == user_id)
        last = ""
        while True:
            after = statement.where(wanted > last)
            page: list[str] = self._run(lambda db, after=after: list(db.execute(after).scalars()))  # type: ignore[misc]
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1]

    def _prepare(self, name: str | None, default: str) -> str:
        """Create the tables if they are missing, and return the store's name."""
        from sqlalchemy import inspect  # noqa: PLC0415  # an extra

        def present(db: Connection) -> bool:
            found = inspect(db)
            return all(found.has_table(one.name, one.schema) for one in self._metadata.tables.values())

        if not self._run(present):
            try:
                self._run(self._metadata.create_all)
            except Auth0MetaError:
                if not self._run(present):  # else another process has made them at the same time
                    raise
        facts = self._run(self._read_facts)
        if "name" not in facts:
            facts = self._write_facts({"format": _FORMAT, "name": name or default})
        if facts.get("format") != _FORMAT or not NAME.fullmatch(str(facts.get("name"))):
            found = printable(str(facts.get("format")))[:20]
            raise ConfigError(
                f"{self._url}: the table {self._stored} has format {found}, and this version reads format {_FORMAT}: "
                "use the version that made it, or another table"
            )
        if name is not None and facts["name"] != name:
            raise ConfigError(
                f"{self._url}: the table {self._stored} is the store {facts['name']!r}, not {name!r}"
            )
        return str(facts["name"])

    def _write_facts(self, facts: dict[str, str]) -> dict[str, str]:
        """Write the facts of a new store, unless another process does at the same time; return what is there then."""
        from sqlalchemy import insert  # noqa: PLC0415  # an extra
        from sqlalchemy.exc import IntegrityError  # noqa: PLC0415

        def work(db: Connection) -> None:
            with contextlib.suppress(IntegrityError):
                db.execute(
                    insert(self._facts), [{"name": name, "value": value} for name, value in facts.items()]
                )
                return
            db.rollback()

        self._run(work)
        return self._run(self._read_facts)

    def _read_facts(self, db: Connection) -> dict[str, str]:
        from sqlalchemy import select  # noqa: PLC0415  # an extra

        return {row[0]: row[1] for row in db.execute(select(self._facts.c.name, self._facts.c.value))}

    def _run(self, work: Callable[[Connection], _T], key: str | None = None) -> _T:
        """Do some work in a transaction, again and again while the database is down, for `failure_wait` seconds."""
        from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # an extra

        if self._closed:
            raise StateError(f"the store {self._name!r} is closed: open it again")
        end = self._clock.monotonic() + self._failure_wait
        pause = _FIRST_PAUSE
        while True:
            try:
                with self._engine.begin() as db:
                    self._set_up(db)
                    return work(db)
            except SQLAlchemyError as error:
                failure, again = self._judge(error, key)
            # Not in the block above: the error there holds the values, and would be chained to this one.
            if not again or self._clock.monotonic() + pause > end:
                raise failure
            self._clock.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _set_up(self, db: Connection) -> None:
        """Make what this transaction commits durable, and its statements end in time, whatever the server's settings are."""
        if db.dialect.name == "postgresql":
            db.exec_driver_sql(
                f"SELECT set_config('statement_timeout', '{math.ceil(self._timeout * 1000)}', true),"  # a number
                " CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END"
            )

    def _judge(self, error: SQLAlchemyError, key: str | None) -> tuple[Auth0MetaError, bool]:
        """Return what to raise for an error, and whether trying again soon can help."""
        from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, TimeoutError  # noqa: PLC0415

        driver = error.orig if isinstance(error, DBAPIError) else error
        code = str(getattr(driver, "sqlstate", None) or getattr(driver, "pgcode", None) or "")
        text = (str(driver).splitlines() or [""])[0]
        for secret in self._secrets:
            text = text.replace(secret, "***")
        words = text
        for name in self._own_names:  # a server may be called "readonly"
            words = words.replace(name, "")
        cause, again, cure = next(
            (row[1:] for row in _SIGNS if code in row[0] or any(sign in words for sign in row[0])), _DOWN
        )
        lost = isinstance(error, OperationalError | InterfaceError | TimeoutError)
        lost = lost or (isinstance(error, DBAPIError) and error.connection_invalidated)
        if not lost and cause == _DOWN[0]:
            # Any other error may quote a value.
            cause, again, cure, text = "failing", False, "look at the database's log", type(driver).__name__
        return self._failure(cause, f"{cure} ({printable(text)[:_MOST_SHOWN]})", key), again

    def _failure(self, cause: str, what: str, key: str | None) -> ExternalUnavailableError:
        at = f"{self._name}/{key}" if key else ""
        message = f"{at}{at and ': '}{self._url} can't be used: {what}"
        return ExternalUnavailableError(message, store=self._name, pointer=at, cause=cause)


def _engine(url: Any, timeout: float) -> Engine:
    """Return the engine for a URL: its connections are tested before each use, and its errors quote no values."""
    from sqlalchemy import create_engine  # noqa: PLC0415  # an extra

    arguments: dict[str, Any] = {}
    if url.get_driver_name() in ("psycopg", "psycopg2"):
        arguments = {"connect_timeout": math.ceil(timeout), "tcp_user_timeout": math.ceil(timeout * 1000)}
    elif url.get_backend_name() == "sqlite":
        arguments = {"timeout": timeout}
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    return create_engine(
        url, connect_args=arguments, pool_pre_ping=True, hide_parameters=True, logging_name="auth0_meta"
    )


def _tables(name: str) -> tuple[MetaData, Table, Table]:
    """Return the two tables of a store."""
    from sqlalchemy import Column, LargeBinary, MetaData, String, Table, Text  # noqa: PLC0415  # an extra
    from sqlalchemy.dialects import mysql  # noqa: PLC0415

    schema, _, table = name.rpartition(".")
    metadata = MetaData(schema=schema or None)
    # MySQL compares text without regard to case and accents unless it is told otherwise.
    user_id = String(MOST_ID).with_variant(
        mysql.VARCHAR(MOST_ID, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )
    stored = Table(
        table,
        metadata,
        Column("key", String(40), primary_key=True),
        Column("user_id", user_id, nullable=False, index=True),
        Column("path", Text, nullable=False),
        Column("data", LargeBinary(MOST_BYTES), nullable=False),
    )
    facts = Table(
        f"{table}_facts",
        metadata,
        Column("name", String(40), primary_key=True),
        Column("value", String(255), nullable=False),
    )
    return metadata, stored, facts
