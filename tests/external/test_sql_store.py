"""The store in a database of SQLAlchemy's: what survives, what is shown, and what is said if something is wrong."""

from __future__ import annotations

import itertools
import sqlite3
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable
from support.forks import in_child
from support.services import postgres

from auth0_meta import ConfigError, ExternalUnavailableError, InputError, MissingExtraError, StateError
from auth0_meta.external import SqlStore, load, open_store, save, sql_store
from auth0_meta.testing import FakeClock

PATH = "app_metadata.history"
SECRET = "s3cret-value"
PASSWORD = "pa55w0rd"

_tables = itertools.count()


def put(store: SqlStore, n: int = 1) -> Any:
    """Store a value, and return its pointer."""
    return save([n, SECRET], store=store, user_id="auth0|1", path=PATH)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """Return the URL of an SQLite file."""
    return f"sqlite:///{tmp_path}/big.db"


@pytest.fixture
def table() -> str:
    """Return the name of a table that no other test has."""
    return f"values_{next(_tables)}"


@pytest.fixture
def admin(postgres_url: str) -> Iterator[sa.Connection]:
    """Connect as somebody else, who may do anything."""
    engine = sa.create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        yield connection
    engine.dispose()


# Without a server -----------------------------------------------------------------


def test_a_file_of_sqlite_is_only_the_users(file_url: str, tmp_path: Path) -> None:
    """It is created with mode 0600."""
    with SqlStore(file_url) as store:
        put(store)
    assert stat.S_IMODE((tmp_path / "big.db").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (None, "not NoneType"),
        (b"sqlite:///a", "not bytes"),
        ("", "has no '://'"),
        (f"app:{PASSWORD}@db/big", "has no '://'"),
        (f"://{PASSWORD}", "can't read this URL"),
        (f"postgresql://app:{PASSWORD}@db:{PASSWORD}/big", "can't read this URL"),
        (f"postgresql://app:{PASSWORD}@db", "names no database"),
        (f"oddsql://app:{PASSWORD}@db/big", "has no dialect 'oddsql'"),
        ("sqlite://", "a database in memory would lose its values"),
        ("sqlite:///:memory:", "a database in memory would lose its values"),
    ],
)
def test_a_url_that_can_not_work_is_refused(url: Any, why: str) -> None:
    """At once, with an example, and without quoting it."""
    with pytest.raises(ConfigError, match=why) as refused:
        SqlStore(url)
    assert PASSWORD not in str(refused.value)


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named, with what installs it."""
    monkeypatch.setitem(sys.modules, "pymysql", None)
    with pytest.raises(MissingExtraError, match="this needs the driver pymysql: pip install pymysql"):
        open_store(f"mysql+pymysql://app:{PASSWORD}@db/big")

    def fail(_: object) -> None:
        raise ImportError("no pq wrapper available")

    monkeypatch.setattr(
        "sqlalchemy.dialects.postgresql.psycopg.PGDialect_psycopg.import_dbapi", classmethod(fail)
    )
    with pytest.raises(
        MissingExtraError,
        match=r"driver of postgresql\+psycopg can't be loaded: pip install .auth0-meta\[sql\]",
    ):
        SqlStore(f"postgres://app:{PASSWORD}@db/big")


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", f"sqlite://app:{PASSWORD}@db/a", "sqlite:///a?mode=ro"],
)
def test_what_is_no_path_of_a_file_is_refused(url: str) -> None:
    """The error shows what a path looks like."""
    with pytest.raises(ConfigError, match=r"has only a path: sqlite:///big\.db") as refused:
        open_store(url)
    assert PASSWORD not in str(refused.value)


def test_a_row_that_comes_and_goes(file_url: str, tmp_path: Path) -> None:
    """If others delete a value at the very moment, it is stored once more; if the database itself refuses it, that ends."""
    with SqlStore(file_url, table="t") as store:
        with closing(sqlite3.connect(tmp_path / "big.db")) as db, db:
            db.execute(
                "CREATE TRIGGER no BEFORE INSERT ON t BEGIN SELECT RAISE(ABORT, 'UNIQUE constraint failed'); END"
            )
        with pytest.raises(
            ExternalUnavailableError, match="it refuses the row: look at its tables and triggers"
        ) as refused:
            put(store)
        assert refused.value.cause == "failing"
        with closing(sqlite3.connect(tmp_path / "big.db")) as db, db:
            db.execute("DROP TRIGGER no")
        assert load(put(store), store=store) == [1, SECRET]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"table": "a; DROP TABLE b"}, "table must be a name"),
        ({"table": "a.b.c"}, "table must be a name"),
        ({"table": 7}, "table must be a name"),
        ({"timeout": 0}, "timeout must be above 0"),
        ({"failure_wait": -1}, "failure_wait must be at least 0"),
        ({"failure_wait": float("inf")}, "failure_wait must be"),
    ],
    ids=str,
)
def test_a_setting_that_can_not_work_is_refused(
    file_url: str, tmp_path: Path, settings: Any, why: str
) -> None:
    """Before a file is made."""
    with pytest.raises(ConfigError, match=why):
        SqlStore(file_url, **settings)
    with pytest.raises(InputError, match="the name of a store"):
        SqlStore(file_url, name="a b")
    assert list(tmp_path.iterdir()) == []


def test_the_name_stays_with_the_values(file_url: str) -> None:
    """It is the database's at first, or a given one, which has to be right later."""
    with SqlStore(file_url) as store, SqlStore(file_url, table="prod", name="prod.1") as named:
        assert (store.name, named.name) == ("big", "prod.1")
        assert repr(named) == f"<SqlStore 'prod.1': {file_url}>"
    SqlStore(file_url, table="prod").close()
    with pytest.raises(ConfigError, match=r"the table prod is the store 'prod\.1', not 'big'"):
        SqlStore(file_url, table="prod", name="big")


@pytest.mark.parametrize(
    "statement",
    ["UPDATE t_facts SET value = '2' WHERE name = 'format'", "DELETE FROM t_facts WHERE name = 'format'"],
)
def test_a_later_format_is_refused(file_url: str, statement: str) -> None:
    """By its number."""
    SqlStore(file_url, table="t").close()
    engine = sa.create_engine(file_url)
    with engine.begin() as db:
        db.exec_driver_sql(statement)
    engine.dispose()
    with pytest.raises(ConfigError, match=r"has format (2|None), and this version reads format 1"):
        SqlStore(file_url, table="t")


def test_a_closed_store(file_url: str) -> None:
    """Every call says so."""
    store = SqlStore(file_url)
    made = put(store)
    store.close()
    for call in (lambda: put(store), lambda: load(made, store=store), lambda: list(store.keys())):
        with pytest.raises(StateError, match="the store 'big' is closed"):
            call()


def test_mysql_can_hold_what_the_others_hold() -> None:
    """Large enough for any value and id, in an index that InnoDB takes, and no user is taken for another one."""
    _, stored, facts = sql_store._tables("external")
    statement = str(CreateTable(stored).compile(dialect=mysql.dialect()))  # type: ignore[no-untyped-call]
    assert "BLOB(4194304)" in statement
    assert "user_id VARCHAR(768) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" in statement
    assert "VARCHAR" in str(CreateTable(facts).compile(dialect=mysql.dialect()))  # type: ignore[no-untyped-call]


def test_a_server_that_is_not_there() -> None:
    """The calls are repeated for `failure_wait` seconds, with longer and longer pauses; the error has no password."""
    clock = FakeClock()
    with pytest.raises(ExternalUnavailableError, match="start the database, or check the network") as down:
        SqlStore(
            f"postgresql://app:{PASSWORD}@127.0.0.1:1/big?sslpassword={PASSWORD}",
            failure_wait=10,
            clock=clock,
        )
    assert down.value.cause == "down"
    assert PASSWORD not in str(down.value)
    assert "postgresql+psycopg://app@127.0.0.1:1/big can't be used" in str(down.value)
    assert clock.slept[:5] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert 8 < sum(clock.slept) <= 10


def test_the_name_of_a_server_is_not_taken_for_what_it_says(tmp_path: Path) -> None:
    """A socket in a folder "readonly" that nobody listens on is down; with `failure_wait=0` nothing is repeated."""
    clock = FakeClock()
    with pytest.raises(ExternalUnavailableError, match=r"readonly/.*No such file") as down:
        SqlStore(f"postgresql://app@/password?host={tmp_path}/readonly", failure_wait=0, clock=clock)
    assert (down.value.cause, clock.slept) == ("down", [])


@pytest.mark.parametrize("where", ["", "?password={}", "?sslpassword={}"])
def test_a_password_in_a_message_of_the_driver_is_masked(where: str, tmp_path: Path) -> None:
    """Wherever in the URL it was; here the name of the socket repeats it."""
    url = f"postgresql://app:{PASSWORD}@/db?host={tmp_path}/{PASSWORD}"
    if where:
        url = f"postgresql://app@/db{where.format(PASSWORD)}&host={tmp_path}/{PASSWORD}"
    with pytest.raises(ExternalUnavailableError, match=r"/\*\*\*/") as down:
        SqlStore(url, failure_wait=0)
    assert PASSWORD not in str(down.value).partition("can't be used")[2]


# PostgreSQL -----------------------------------------------------------------------


@pytest.mark.service
def test_the_url_has_no_password_and_opens_the_store(postgres_url: str, table: str) -> None:
    """What a job file notes is enough for a driver that has the password from elsewhere."""
    url = postgres_url.replace("postgres@", f"postgres:{PASSWORD}@")
    with SqlStore(url, table=table) as store:
        made = put(store)
        assert store.name == "postgres"
        assert store.url == postgres_url.replace("postgresql:", "postgresql+psycopg:")
        assert PASSWORD not in repr(store)
        assert PASSWORD not in repr(store.__dict__["_engine"])
        with SqlStore(store.url, table=table) as same:
            assert load(made, store=same) == [1, SECRET]
    with open_store(url) as default:
        assert isinstance(default, SqlStore)


@pytest.mark.service
def test_a_table_in_a_schema(postgres_url: str, admin: sa.Connection, table: str) -> None:
    """Both tables are there, and in no other schema."""
    admin.exec_driver_sql(f"CREATE SCHEMA s_{table}")
    with SqlStore(postgres_url, table=f"s_{table}.kept") as store:
        put(store)
    query = f"SELECT tablename FROM pg_tables WHERE schemaname = 's_{table}' ORDER BY 1"  # noqa: S608
    assert list(admin.exec_driver_sql(query).scalars()) == ["kept", "kept_facts"]


@pytest.mark.service
def test_stores_that_create_a_table_at_the_same_time(postgres_url: str, table: str) -> None:
    """Every one of them opens, and they have one name."""
    opened: list[SqlStore | BaseException] = []
    together = threading.Barrier(4)

    def work() -> None:
        together.wait()
        try:
            opened.append(SqlStore(postgres_url, table=table))
        except BaseException as error:  # noqa: BLE001  # the assertion below shows it
            opened.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {getattr(store, "name", store) for store in opened} == {"postgres"}
    for store in opened:
        assert isinstance(store, SqlStore)
        store.close()


@pytest.mark.service
def test_a_lost_connection_is_replaced_without_a_wait(
    postgres_url: str, admin: sa.Connection, table: str
) -> None:
    """As after a night without work."""
    clock = FakeClock()
    with SqlStore(postgres_url, table=table, clock=clock) as store:
        put(store)
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
        admin.exec_driver_sql(others)
        assert load(put(store, 2), store=store) == [2, SECRET]
    assert clock.slept == []


@pytest.mark.service
def test_a_forked_child_has_connections_of_its_own(postgres_url: str, table: str) -> None:
    """Parent and child use the store in turns."""
    with SqlStore(postgres_url, table=table) as store:
        made = put(store)
        assert in_child(lambda: f"{load(made, store=store)} {len(put(store, 2))}") == f"[1, '{SECRET}'] 3"
        assert load(made, store=store) == [1, SECRET]
        assert len(list(store.keys())) == 2


class RestartingClock(FakeClock):
    """Start the server again during the third sleep."""

    def __init__(self, start: Callable[[], None]) -> None:
        super().__init__()
        self._start_server = start

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        super().sleep(seconds)
        if len(self.slept) == 3:
            self._start_server()


@pytest.mark.service
def test_a_restart_in_the_middle_is_waited_out(table: str) -> None:
    """Storing and reading are repeated until the server is back; what was stored before is there."""
    with (
        postgres() as server,
        SqlStore(server.url, table=table, clock=(clock := RestartingClock(server.start))) as store,
    ):
        first = put(store)
        server.stop()
        second = put(store, 2)
        assert len(clock.slept) >= 3
        clock.slept.clear()
        server.stop()
        assert load(first, store=store) == [1, SECRET]
        assert load(second, store=store) == [2, SECRET]
        assert len(clock.slept) >= 3
        server.stop()
        clock.slept += [0.0] * 3  # nobody starts it any more
        with pytest.raises(ExternalUnavailableError, match="start the database") as down:
            put(store, 3)
        assert down.value.pointer.startswith("postgres/")
        assert SECRET not in str(down.value)
        server.start()
        assert len(list(store.keys())) == 2
        assert load(put(store, 3), store=store) == [3, SECRET]


@pytest.mark.service
def test_a_commit_is_durable_whatever_the_server_says(
    postgres_url: str, admin: sa.Connection, table: str
) -> None:
    """With synchronous_commit off, PostgreSQL would lose the last commits if it crashed."""
    SqlStore(postgres_url, table=table).close()
    admin.exec_driver_sql(f"CREATE TABLE seen_{table} (at text, statement_timeout text)")
    admin.exec_driver_sql(
        f"CREATE FUNCTION note_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen_{table} VALUES"  # noqa: S608
        " (current_setting('synchronous_commit'), current_setting('statement_timeout')); RETURN NEW; END $$"
    )
    admin.exec_driver_sql(
        f"CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION note_{table}()"
    )
    seen = f"SELECT at, statement_timeout FROM seen_{table}"  # noqa: S608
    for setting, expected in (("off", "on"), ("remote_apply", "remote_apply")):
        options = f"?options=-csynchronous_commit%3D{setting}"
        with SqlStore(postgres_url + options, table=table, timeout=7) as store:
            put(store, len(setting))
        assert admin.exec_driver_sql(seen).all()[-1] == (expected, "7s")


@pytest.mark.service
@pytest.mark.parametrize(
    ("happens", "cause", "match"),
    [
        ("RAISE EXCEPTION SQLSTATE '53100'", "full", "free space on the database's disk"),
        ("RAISE EXCEPTION SQLSTATE '57014'", "slow", "allow a longer timeout"),  # as statement_timeout does
        (
            "RAISE EXCEPTION 'no %', encode(NEW.data, 'escape')",
            "failing",
            r"look at the database's log \(RaiseException\)",
        ),
    ],
)
def test_what_the_server_refuses(
    postgres_url: str, admin: sa.Connection, table: str, happens: str, cause: str, match: str
) -> None:
    """Nothing is stored; the error says what to do, and quotes no value."""
    clock = FakeClock()
    with SqlStore(postgres_url, table=table, failure_wait=0, clock=clock) as store:
        admin.exec_driver_sql(
            f"CREATE FUNCTION refuse_{table}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {happens.replace('%', '%%')}; RETURN NEW; END $$"
        )
        admin.exec_driver_sql(
            f"CREATE TRIGGER t BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse_{table}()"
        )
        with pytest.raises(ExternalUnavailableError, match=match) as refused:
            put(store)
        assert refused.value.cause == cause
        assert SECRET not in str(refused.value)
        assert list(store.keys()) == []
        admin.exec_driver_sql(f"DROP TRIGGER t ON {table}")
        put(store)


@pytest.mark.service
def test_a_server_that_may_only_be_read(postgres_url: str, table: str) -> None:
    """As a standby: what is there can be read."""
    with SqlStore(postgres_url, table=table) as store:
        made = put(store)
    with SqlStore(postgres_url + "?options=-cdefault_transaction_read_only%3Don", table=table) as store:
        assert load(made, store=store) == [1, SECRET]
        with pytest.raises(ExternalUnavailableError, match="connect to the primary") as refused:
            put(store, 2)
        assert refused.value.cause == "read-only"


@pytest.mark.service
def test_a_user_who_may_not(postgres_url: str, admin: sa.Connection, table: str) -> None:
    """The error names the rights that are missing; nothing is tried again."""
    SqlStore(postgres_url, table=table).close()
    admin.exec_driver_sql(f"CREATE ROLE r_{table} LOGIN")
    for wrong, match in (
        (f"r_{table}", "grant the user SELECT, INSERT and DELETE"),
        ("nobody", "does not exist"),
    ):
        clock = FakeClock()
        with pytest.raises(ExternalUnavailableError, match=match):
            SqlStore(postgres_url.replace("postgres@", f"{wrong}:{PASSWORD}@"), table=table, clock=clock)
        assert clock.slept == []


@pytest.mark.service
def test_a_database_that_does_not_exist(postgres_url: str) -> None:
    """It is not waited for."""
    clock = FakeClock()
    with pytest.raises(ExternalUnavailableError, match="check the database and its tables") as missing:
        SqlStore(postgres_url.removesuffix("/postgres") + "/none", clock=clock)
    assert (missing.value.cause, clock.slept) == ("missing", [])
