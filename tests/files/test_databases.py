"""Databases of ours whose last writer was stopped in the middle of something."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from auth0_meta.errors import ConfigError
from auth0_meta.external import SqliteStore, load, save


def half_copied(folder: Path) -> Path:
    """Return a store whose log was copied into the file no further than the first page, as on a full disk."""
    (folder / "live").mkdir()
    with SqliteStore(folder / "live" / "big.db") as store:
        with store._using() as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            db.execute("PRAGMA wal_autocheckpoint = 0")
        for n in range(30):
            save([n] * 500, store=store, user_id=f"auth0|{n}", path="app_metadata.history")
        shutil.copytree(folder / "live", folder / "copy")
    copy = folder / "copy" / "big.db"
    log = copy.with_name("big.db-wal").read_bytes()
    size = int.from_bytes(log[8:12])
    frames = [log[at : at + 24 + size] for at in range(32, len(log), 24 + size)]
    first = [frame[24:] for frame in frames if int.from_bytes(frame[:4]) == 1][-1]
    data = copy.read_bytes()
    copy.write_bytes(first + data[size:])
    assert int.from_bytes(first[28:32]) * size > len(data)
    return copy


def test_a_store_whose_checkpoint_was_cut_short_opens_again(tmp_path: Path) -> None:
    """SQLite takes the rest from the log."""
    copy = half_copied(tmp_path)
    with SqliteStore(copy) as store:
        assert len(list(store.keys())) == 30
        made = save([7] * 500, store=store, user_id="auth0|7", path="app_metadata.history")
        assert load(made, store=store) == [7] * 500
        assert len(list(store.keys())) == 30


def test_without_its_log_such_a_file_is_refused(tmp_path: Path) -> None:
    """It is damaged then, and nobody can know whose it is."""
    copy = half_copied(tmp_path)
    copy.with_name("big.db-wal").unlink()
    with pytest.raises(ConfigError, match="holds something else"):
        SqliteStore(copy)
