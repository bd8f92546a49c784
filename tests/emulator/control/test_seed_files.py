"""Files of users in their two formats, errors in such files, and snapshots, which are written completely or not at all."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import InputError

USERS = [
    {
        "user_id": "auth0|1",
        "email": "ann@example.com",
        "app_metadata": {"plan": "free", "since": "2026-01-31"},
    },
    {"email": "bob@example.com", "user_metadata": {"prefs": {"lang": "fi", "on": True, "none": None}}},
]
YAML = """\
users:
  - user_id: auth0|1
    email: ann@example.com
    app_metadata: {plan: free, since: 2026-01-31}
  - email: bob@example.com
    user_metadata:
      prefs: {lang: fi, "on": true, none: null}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("users.json", json.dumps(USERS)),
        ("users.json", json.dumps({"users": USERS})),
        ("users", "\ufeff" + json.dumps(USERS)),
        ("users.yaml", YAML),
        ("users.YML", json.dumps(USERS)),
    ],
)
def test_users_are_read_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    """It is JSON or YAML, a list or an object with `users`; a YAML date is a string, as in JSON."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    for given in (path, str(path)):
        tenant = LocalTenant(serve=False, users=given)
        ann, bob = tenant.users
        assert (ann.user_id, ann["email"], ann.app_metadata) == (
            "auth0|1",
            "ann@example.com",
            USERS[0]["app_metadata"],
        )
        assert bob.user_metadata == USERS[1]["user_metadata"]
        tenant.users.clear()
        tenant.reset()
        assert len(tenant.users) == 2


def test_thousands_of_users_load_quickly(tmp_path: Path) -> None:
    """Five thousand users of a YAML file load before the test times out."""
    path = tmp_path / "users.yaml"
    path.write_text(
        "\n".join(f"- {{email: u{n}@example.com, app_metadata: {{n: {n}}}}}" for n in range(5000))
    )
    tenant = LocalTenant(serve=False, users=path)
    assert len(tenant.users) == 5000


def test_the_lines_of_an_export_are_users(tmp_path: Path) -> None:
    """A file with a profile on each line is read, whatever separates lines elsewhere in Unicode."""
    path = tmp_path / "export.json"
    path.write_text(
        '{"user_id": "auth0|1", "name": "a\u2028b"}\n\n{"user_id": "auth0|2"}\n', encoding="utf-8"
    )
    tenant = LocalTenant(serve=False, users=path)
    assert len(tenant.users) == 2
    assert tenant.users["auth0|1"]["name"] == "a\u2028b"


SECRET = "s3cret-value"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("u.json", "[{", "not valid JSON"),
        ("u.json", f'[\n{{"email": {SECRET}}}]', "line 2"),
        ("u.json", '{"user_id": "auth0|1"}\n{', "line 2 is not valid JSON"),
        ("u.json", '{"user_id": "auth0|1"}\n5', "user 2 is not an object"),
        ("u.json", "5", "expected a list"),
        ("u.json", '{"user": []}', "expected a list"),
        ("u.json", '[{}, "x"]', "user 2 is not an object"),
        ("u.json", f'[{{"email": ["{SECRET}"]}}]', "user 1: email is not a string"),
        ("u.json", '[{"identities": [1]}]', "user 1: identities"),
        ("u.json", '[{"n": NaN}]', "user 1 has a value that JSON can't represent"),
        ("u.json", '[{"user_id": "1"}, {"user_id": "auth0|1"}]', "user 2 has the same user_id"),
        ("u.json", '{"auth0_meta_snapshot": 3, "users": []}', "newer version"),
        ("u.json", "[" * 100_000, "nested too deeply"),
        ("u.yaml", f"- a: {SECRET}\n  b: [", "not valid YAML"),
        ("u.yaml", "- a: \x01", "not valid YAML"),
        ("u.yaml", "- a: !!python/object:os.system {}", "not valid YAML"),
        ("u.yaml", "- a: !!binary aGk=", "user 1 has a value that JSON can't represent"),
        ("u.json", '[{"n": ' + "9" * 6000 + "}]", "a number with too many digits"),
        ("u.yaml", "- n: " + "9" * 6000, "a number with too many digits"),
        ("u.yaml", "- n: 0b" + "1" * 20_000, "user 1 has a value that JSON can't represent"),
        ("u.yaml", "- n: !!timestamp 2026-99-99", "unusable value"),
        ("u.yaml", "- &a [*a]", "aliases stand for too much"),
        ("u.yaml", f"- a: 1\n  a: {SECRET}", "a key is there twice on line 2"),
        ("u.json", '[{"a": ' + "[" * 300 + "]" * 300 + "}]", "user 1 is nested too deeply"),
        ("u.yaml", "- a: " + "[" * 300 + "]" * 300, "user 1 is nested too deeply"),
        ("u.yaml", "- a: " + "[" * 100_000, "nested too deeply|not valid YAML"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else None,
)
def test_an_error_in_a_file_shows_no_value(tmp_path: Path, name: str, text: str, told: str) -> None:
    """The message names the file and the line or user, never a value."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=told) as caught:
        LocalTenant(serve=False, users=path)
    assert str(path) in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    ["l{n}: &l{n} [{items}]", "l{n}: &l{n} {{k{n}: [{items}]}}", "l{n}: &l{n} {{<<: [{items}], k{n}: 1}}"],
    ids=["lists", "objects", "merged keys"],
)
def test_aliases_cost_no_more_than_the_file(tmp_path: Path, line: str) -> None:
    """What they stand for is counted before anything is made of it: 1 kB of YAML would be 10 GB."""
    levels = ["l0: &l0 {k: lol}"]
    levels += [line.format(n=n, items=", ".join([f"*l{n - 1}"] * 10)) for n in range(1, 11)]
    path = tmp_path / "users.yaml"
    path.write_text("- user_id: auth0|1\n  app_metadata:\n" + "".join(f"    {one}\n" for one in levels))
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="aliases stand for too much"):
            LocalTenant(serve=False, users=path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


def test_aliases_may_be_used(tmp_path: Path) -> None:
    """As they are meant: the same metadata for many users."""
    path = tmp_path / "users.yaml"
    users = "".join(f"- {{user_id: u{n}, app_metadata: {{<<: *plan}}}}\n" for n in range(50))
    path.write_text("- {user_id: first, app_metadata: &plan {plan: pro}}\n" + users)
    assert {user.app_metadata["plan"] for user in LocalTenant(serve=False, users=path).users} == {"pro"}


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    """The file is missing, or its bytes are not text."""
    with pytest.raises(InputError, match="No such file"):
        LocalTenant(serve=False, users=tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        LocalTenant(serve=False, users=tmp_path / "bytes.json")


def test_a_snapshot_restores_every_user(tmp_path: Path) -> None:
    """After saving, changes and loading, every profile is as it was, even with metadata that is not an object; `users=` takes the file too."""
    path = tmp_path / "snapshot.json"
    tenant = LocalTenant(serve=False, users=USERS)
    tenant.users.add(user_id="odd", user_metadata="text", app_metadata=[1], custom={"x": "\ud800"})
    before = [dict(user) for user in tenant.users]
    assert tenant.save(path) == 3
    tenant.users["auth0|1"].patch(app_metadata={"plan": "pro"})
    tenant.users.add()
    assert tenant.load(path) == 3
    assert [dict(user) for user in tenant.users] == before
    assert [dict(user) for user in LocalTenant(serve=False, users=path).users] == before


def test_a_bad_snapshot_changes_nothing(tmp_path: Path) -> None:
    """Loading an invalid file changes no user."""
    path = tmp_path / "snapshot.json"
    path.write_text('[{"user_id": "a"}, 5]')
    tenant = LocalTenant(serve=False, users=USERS)
    before = [dict(user) for user in tenant.users]
    with pytest.raises(InputError):
        tenant.load(path)
    assert [dict(user) for user in tenant.users] == before


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_snapshot_is_private_and_complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode is 0600; if writing fails, the older file stays and no temporary file is left."""
    path = tmp_path / "snapshot.json"
    tenant = LocalTenant(serve=False, users=USERS)
    tenant.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left"):
        tenant.save(path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    with pytest.raises(InputError, match="No such file"):
        tenant.save(tmp_path / "nowhere" / "x.json")


WITHOUT = {
    "user_id": "auth0|1",
    "updated_at": "2030-01-01T00:00:00.000Z",
    "identities": [{"provider": "auth0"}],
}


@pytest.mark.parametrize("db", [False, True])
def test_loading_a_snapshot_fills_nothing_in(tmp_path: Path, db: bool) -> None:
    """Removed attributes stay absent, an SMS user gets no email, and `updated_at` never moves back."""
    path = tmp_path / "snapshot.json"
    tenant = LocalTenant(serve=False, db=tmp_path / "x.db" if db else None)
    tenant.users.add(user_id="auth0|1", updated_at="2030-01-01T00:00:00.000Z").patch(
        email=None, name=None, picture=None
    )
    tenant.users.add(user_id="sms|1", phone_number="+358401234567")
    before = [dict(user) for user in tenant.users]
    assert before[0]["updated_at"] == "2030-01-01T00:00:00.001Z"
    assert not before[0].keys() & {"email", "name", "picture"}
    assert not before[1].keys() & {"email", "picture"}
    tenant.save(path)
    tenant.load(path)
    assert [dict(user) for user in tenant.users] == before
    assert tenant.users["auth0|1"].patch(user_metadata={"a": 1})["updated_at"] == "2030-01-01T00:00:00.002Z"
    assert tenant.users["auth0|1"].history[0].by == "tenant.users"
    tenant.load(path)
    assert tenant.users["auth0|1"].history == []
    assert tenant.diff() == {}
    tenant.stop()
    taken_up = LocalTenant(serve=False, users=path)
    assert [dict(user) for user in taken_up.users] == before
    taken_up.users.clear()
    taken_up.reset()
    assert [dict(user) for user in taken_up.users] == before


def test_users_written_by_hand_get_defaults_and_those_of_a_snapshot_do_not(tmp_path: Path) -> None:
    """The format mark decides; if a user of a snapshot is not a whole profile, the error names it and what to do."""
    path = tmp_path / "users.json"
    tenant = LocalTenant(serve=False)
    path.write_text(json.dumps({"users": [WITHOUT]}))
    tenant.load(path)
    assert tenant.users["auth0|1"]["email"] == "1@example.com"
    path.write_text(json.dumps({"auth0_meta_snapshot": 1, "users": [WITHOUT]}))
    tenant.load(path)
    assert dict(tenant.users["auth0|1"]) == WITHOUT
    path.write_text(json.dumps({"auth0_meta_snapshot": 1, "users": [WITHOUT, {"email": "a@b.io"}]}))
    with pytest.raises(InputError, match=r"user 2 is not a whole profile .* remove auth0_meta_snapshot from"):
        tenant.load(path)
    assert dict(tenant.users["auth0|1"]) == WITHOUT


@pytest.mark.parametrize("moment", ["soon", "9999-12-31T23:59:59.999Z", 5])
def test_an_unusable_updated_at_is_replaced_by_the_next_write(moment: object) -> None:
    """A stored `updated_at` may be anything; a PATCH sets it to the tenant's time."""
    tenant = LocalTenant(serve=False)
    user = tenant.users.add(updated_at=moment)
    assert user["updated_at"] == moment
    assert user.patch(user_metadata={"a": 1})["updated_at"][:2] == "20"


def test_a_field_may_be_called_self(tmp_path: Path) -> None:
    """A profile with a field `self` loads like any other."""
    path = tmp_path / "users.json"
    path.write_text('[{"user_id": "auth0|1", "self": 1, "app": 2, "profile": 3}]')
    tenant = LocalTenant(serve=False, users=path)
    assert tenant.load(path) == 1
    user = tenant.users["auth0|1"]
    assert (user["self"], user["app"], user["profile"]) == (1, 2, 3)
    fields: dict[str, Any] = {"self": 1}
    assert tenant.users.add(**fields)["self"] == 1


@pytest.mark.parametrize("db", [False, True])
def test_adding_or_replacing_users_is_all_or_nothing(tmp_path: Path, db: bool) -> None:
    """If one of many ids is taken, no user changes."""
    tenant = LocalTenant(serve=False, users=USERS, db=tmp_path / "x.db" if db else None)
    before = [dict(user) for user in tenant.users]
    with pytest.raises(InputError, match="no user was added"):
        tenant.users.add_many([{"user_id": "auth0|new"}, {"user_id": "1"}])
    with pytest.raises(InputError, match="no user was changed"):
        tenant.users.replace([{"user_id": "auth0|new"}, {"user_id": "new"}])
    assert [dict(user) for user in tenant.users] == before
    tenant.stop()


# The process dies when SQLite writes the fortieth row.
KILLED = """
import os, sys
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.state import users_sqlite as sqlite_store
tenant = LocalTenant(serve=False, db=sys.argv[1])
def stop(number):
    if number == 40:
        os._exit(9)
    return number
tenant._state.users._db.create_function("stop", 1, stop)
sqlite_store._ADD = sqlite_store._ADD.replace("(?, ?, ?, ?, ?, ?, ?)", "(?, ?, ?, ?, ?, stop(?), ?)")
tenant.load(sys.argv[2])
"""


def test_a_process_that_is_killed_while_loading_keeps_the_earlier_users(tmp_path: Path) -> None:
    """With `db`, the new users are written in one transaction."""
    db, path = tmp_path / "x.db", tmp_path / "users.json"
    first = LocalTenant(serve=False, db=db, users=USERS)
    before = [dict(user) for user in first.users]
    first.stop()
    users = [
        {
            "user_id": f"auth0|{n}",
            "identities": [{"provider": "auth0"}],
            "updated_at": f"1970-01-01T00:00:00.{n:03}Z",
        }
        for n in range(100, 0, -1)
    ]
    path.write_text(json.dumps({"auth0_meta_snapshot": 1, "users": users}))
    line = [sys.executable, "-c", KILLED, str(db), str(path)]
    assert subprocess.run(line, timeout=60, check=False).returncode == 9
    second = LocalTenant(serve=False, db=db)
    assert [dict(user) for user in second.users] == before
    assert second.load(path) == 100
    assert len(second.users) == 100
    second.stop()


def test_a_file_that_fails_midway_is_rolled_back(tmp_path: Path) -> None:
    """If SQLite fails in the middle, users and their count stay as they were."""
    tenant = LocalTenant(serve=False, db=tmp_path / "x.db", users=USERS)
    store: Any = tenant._state.users
    store._db.execute("CREATE TRIGGER no BEFORE INSERT ON users BEGIN SELECT RAISE(ABORT, 'no'); END")
    before = [dict(user) for user in tenant.users]
    with pytest.raises(sqlite3.Error):
        tenant.users.replace([{"user_id": "x"}])
    assert [dict(user) for user in tenant.users] == before
    assert len(tenant.users) == 2
    tenant.stop()
