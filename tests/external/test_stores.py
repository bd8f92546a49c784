"""Each store does what every store must do."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.doc_blocks import ROOT, blocks
from support.json_strategies import json_values

from auth0_meta import ExternalDamagedError
from auth0_meta.changes.jsonvalue import json_equal
from auth0_meta.external import ExternalStore, SqliteStore, SqlStore, load, save
from auth0_meta.external.conformance import ExternalStoreTests

_tables = itertools.count()


class TestSqliteStore(ExternalStoreTests):
    """A file of its own."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self._path = tmp_path / "big.db"

    def open_store(self) -> ExternalStore:
        """Open the file."""
        return SqliteStore(self._path)


class TestSqlStoreOnSqlite(ExternalStoreTests):
    """SQLite through SQLAlchemy."""

    @pytest.fixture(autouse=True)
    def _place(self, tmp_path: Path) -> None:
        self._path = tmp_path / "big.db"

    def open_store(self) -> ExternalStore:
        """Open the file."""
        return SqlStore(f"sqlite:///{self._path}")


@pytest.mark.service
class TestSqlStoreOnPostgresql(ExternalStoreTests):
    """A real PostgreSQL; every test has a table of its own."""

    @pytest.fixture(autouse=True)
    def _place(self, postgres_url: str) -> None:
        self._url, self._table = postgres_url, f"external_{next(_tables)}"

    def open_store(self) -> ExternalStore:
        """Open the table."""
        return SqlStore(self._url, table=self._table)


def _documented() -> Any:
    """Return the class that the documentation has as an example."""
    source = next(
        source for _, source in blocks(ROOT / "docs" / "external.md") if "class BucketStore" in source
    )
    names: dict[str, Any] = {}
    exec(source.partition("\nbucket = ")[0], names)  # noqa: S102  # our own page
    return names["BucketStore"]


class TestTheStoreOfTheDocumentation(ExternalStoreTests):
    """A store that is not ours, on a dict."""

    @pytest.fixture(autouse=True)
    def _place(self) -> None:
        self._kind, self._held = _documented(), {}

    def open_store(self) -> ExternalStore:
        """Share the dict."""
        store: ExternalStore = self._kind(self._held)
        return store


@pytest.fixture(params=["file", "sqlalchemy", pytest.param("postgresql", marks=pytest.mark.service)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqliteStore | SqlStore]:
    """Return each of our stores."""
    if request.param == "file":
        opened: SqliteStore | SqlStore = SqliteStore(tmp_path / "big.db")
    elif request.param == "sqlalchemy":
        opened = SqlStore(f"sqlite:///{tmp_path}/big.db")
    else:
        opened = SqlStore(request.getfixturevalue("postgres_url"), table=f"external_{next(_tables)}")
    with opened:
        yield opened


@pytest.mark.parametrize("most", [1, 3, 7, 100])
def test_keys_and_users_are_read_in_pages(
    store: SqliteStore | SqlStore, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of a page, each comes once, and what is deleted in between does not end it."""
    monkeypatch.setattr(f"{type(store).__module__}._PAGE", most)
    made = {
        save([n], store=store, user_id=f"auth0|{n % 4}", path=f"app_metadata.{n}")["external"].split("/")[1]
        for n in range(7)
    }
    assert sorted(store.keys()) == sorted(made)
    assert sorted(store.users()) == [f"auth0|{n}" for n in range(4)]
    assert len(list(store.keys("auth0|1"))) == 2
    seen = []
    for key in store.keys(None):
        seen.append(key)
        store.delete(key)
    assert sorted(seen) == sorted(made)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    value=json_values | st.text(),
    user_id=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1),
)
def test_any_value_comes_back_as_it_was(store: SqliteStore | SqlStore, value: Any, user_id: str) -> None:
    """For any JSON value and any user."""
    made = save(value, store=store, user_id=user_id, path="user_metadata.any")
    assert json_equal(load(made, store=store, user_id=user_id), value)
    assert save(value, store=store, user_id=user_id, path="user_metadata.any") == made


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=json_values, flip=st.integers(1, 255), at=st.integers(0))
def test_a_changed_byte_is_noticed(tmp_path: Path, value: Any, flip: int, at: int) -> None:
    """Whichever byte it is, of whatever value."""
    with SqliteStore(tmp_path / "big.db") as store:
        made = save(value, store=store, user_id="auth0|1", path="app_metadata.a")
        key = made["external"].split("/")[1]
        data = bytearray(store.get(key))
        data[at % len(data)] ^= flip
        with closing(sqlite3.connect(store.path)) as db, db:
            db.execute("UPDATE stored SET data = ?", (bytes(data),))
        with pytest.raises(ExternalDamagedError, match=f"^big/{key}: .* SHA-256"):
            load(made, store=store)
        store.delete(key)
