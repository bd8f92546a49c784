"""The SQLite store behaves as the one in memory does, outlives the process, and belongs to one process at a time."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Return the path of a file that does not exist yet."""
    return tmp_path / "state.sqlite"


def life(tenant: LocalTenant, talk: Any) -> list[Any]:
    """Make one request of each kind, and return the responses."""
    api = talk(tenant)
    responses = [
        api.create(email="Ann@Example.com", user_metadata={"a": 1, "odd": "\ud800"}, user_id="1"),
        api.create(email="ann@example.com"),
        api.create(email="bob@example.com", username="bob", app_metadata={}, user_id="2"),
        api.create(email="eve@example.com", username="bob"),
        api.patch("auth0|1", {"app_metadata": {"plan": "pro"}, "user_metadata": {"a": None}}),
        api.patch("auth0|2", {"email": "ann@example.com"}),
        api.patch("auth0|2", {"email": "bob@example.org", "username": None}),
        api.get("auth0|1"),
        api.get("auth0|3"),
        api.list(include_totals="true"),
        api.list(q='email:"bob@example.org"'),
        api.list(page=1, per_page=1),
        api("GET", "/api/v2/users-by-email", params={"email": "ann@example.com"}),
        api.delete("auth0|2"),
        api.delete("auth0|2"),
        api("GET", "/api/v2/users-by-email", params={"email": "bob@example.org"}),
        api.create(email="bob@example.org", username="bob"),
        api.list(),
    ]
    return [(response.status_code, response.text) for response in responses]


def test_a_file_behaves_as_memory_does(db: Path, clock: Any, talk: Any) -> None:
    """The same requests get the same responses, byte for byte."""
    memory = LocalTenant(serve=False, clock=clock, seed=3)
    with LocalTenant(serve=False, clock=clock, seed=3, db=db) as file:
        assert life(file, talk) == life(memory, talk)
        assert [dict(user) for user in file.users] == [dict(user) for user in memory.users]
        file.users.add(user_id="odd", user_metadata="a text", app_metadata=[1])
        assert (file.users["auth0|odd"].user_metadata, file.users["auth0|odd"].app_metadata) == (
            "a text",
            [1],
        )
        file.users.clear()
        assert len(file.users) == 0


def test_users_outlive_the_tenant(db: Path) -> None:
    """A second tenant finds them, does not add the users it was given, and creates new ids."""
    given = [{"user_id": "auth0|given"}]
    with LocalTenant(serve=False, db=db, seed=1, users=given) as tenant:
        made = [tenant.users.add(user_metadata={"n": n}).user_id for n in range(3)]
        stored = [dict(user) for user in tenant.users]
    for _ in range(2):
        with LocalTenant(serve=False, db=db, seed=1, users=given) as tenant:
            assert [dict(user) for user in tenant.users][:4] == stored
            made.append(tenant.users.add().user_id)
    assert len(set(made)) == 5


def test_a_reset_keeps_a_file_unless_it_is_told_to_wipe_it(db: Path) -> None:
    """Journal and faults go, users and roles stay, ids are not drawn twice; `wipe=True` restores the start."""
    with LocalTenant(serve=False, db=db, seed=1, users=[{"user_id": "auth0|given"}]) as tenant:
        made = tenant.users.add(password="Correct horse 1").user_id
        tenant._state.resources.of("roles")["rol_1"] = {"id": "rol_1", "name": "admin"}
        tenant.fail(status=500)
        tenant.reset()
        assert [user.user_id for user in tenant.users] == ["auth0|given", made]
        assert tenant._state.resources.password_matches(made, "Correct horse 1")
        assert (list(tenant._state.resources.of("roles")), tenant.faults_unfired()) == (["rol_1"], [])
        assert tenant.users.add().user_id != made

        @tenant
        def inside() -> int:
            return len(tenant.users)

        assert inside() == 3
        tenant.reset(wipe=True)
        assert [user.user_id for user in tenant.users] == ["auth0|given"]
        assert list(tenant._state.resources.of("roles")) == []


def test_showing_a_stopped_tenant_leaves_its_file_alone(db: Path) -> None:
    """Its repr and the number of its users are known without the file, which the next tenant has."""
    first = LocalTenant(serve=False, db=db, users=[{"user_id": "auth0|1"}])
    first.stop()
    with LocalTenant(serve=False, db=db):
        assert (len(first.users), repr(first), repr(first.users)) == (
            1,
            f"<LocalTenant {first.url}, 1 users>",
            "<Users: 1>",
        )


def test_iteration_yields_every_user_once(db: Path) -> None:
    """However many users there are, they come in order."""
    with LocalTenant(serve=False, db=db) as tenant:
        for number in range(2500):
            tenant.users.add(user_id=f"auth0|{number}")
        assert [user.user_id for user in tenant.users] == [f"auth0|{number}" for number in range(2500)]


def test_a_stopped_tenant_releases_the_file_and_can_continue(db: Path) -> None:
    """After `stop` another tenant may open the file; the first opens it again once the other has stopped."""
    first = LocalTenant(serve=False, db=db)
    with pytest.raises(ConfigError, match="another local tenant has it open"):
        LocalTenant(serve=False, db=db)
    first.stop()
    with LocalTenant(serve=False, db=db) as second:
        second.users.add(user_id="auth0|2")
    assert "auth0|2" in first.users
    first.stop()
    first.stop()
    assert sorted(path.name for path in db.parent.iterdir()) == [db.name]


def test_a_killed_process_loses_no_write(db: Path) -> None:
    """Every completed write is there after SIGKILL."""
    code = (
        "import os, signal, sys\n"
        "from auth0_meta.emulator import LocalTenant\n"
        "tenant = LocalTenant(serve=False, db=sys.argv[1])\n"
        "for n in range(50): tenant.users.add(user_id=f'auth0|{n}')\n"
        "os.kill(os.getpid(), signal.SIGKILL if os.name == 'posix' else signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(db)], capture_output=True, timeout=60)
    assert done.returncode != 0
    assert done.stderr == b""
    with LocalTenant(serve=False, db=db) as tenant:
        assert len(tenant.users) == 50


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_only_the_owner_can_read_the_file(db: Path) -> None:
    """The file and its companions have mode 0600, even if the file existed with another mode."""
    db.touch(mode=0o644)
    with LocalTenant(serve=False, db=db) as tenant:
        tenant.users.add()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in db.parent.iterdir()}
    assert set(modes.values()) == {0o600}


def test_files_that_are_not_ours_are_refused(tmp_path: Path) -> None:
    """Another program's database, a file that is not a database, and a path that can't be opened: each is named and left unchanged."""
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE users (mine TEXT)")
    connection.close()
    text = tmp_path / "notes.txt"
    text.write_text("this is not a database, but long enough to look like one " * 50)
    for path, why in (
        (foreign, "something other"),
        (text, "something other"),
        (tmp_path / "nowhere" / "x", "No such file"),
        (tmp_path, "directory"),
    ):
        before = path.read_bytes() if path.is_file() else b""
        with pytest.raises(ConfigError, match=why) as caught:
            LocalTenant(serve=False, db=path)
        assert str(path) in str(caught.value)
        assert (path.read_bytes() if path.is_file() else b"") == before


def test_get_and_patch_scan_no_table(db: Path, talk: Any) -> None:
    """Every statement of a GET and a PATCH finds its rows by a key, so both stay fast however many users there are."""
    with LocalTenant(serve=False, db=db) as tenant:
        tenant.users.add(user_id="auth0|1", email="ann@example.com", username="ann", app_metadata={"n": 1})
        api, statements = talk(tenant), list[str]()
        database: sqlite3.Connection = tenant._state.users._db
        database.set_trace_callback(statements.append)
        assert api.get("auth0|1").status_code == 200
        assert api.patch("auth0|1", {"email": "eve@example.com", "app_metadata": {"n": 2}}).status_code == 200
        database.set_trace_callback(None)
        plans = [
            step
            for statement in statements
            if statement.startswith(("SELECT", "UPDATE", "INSERT"))
            for (*_, step) in database.execute(f"EXPLAIN QUERY PLAN {statement}")
        ]
        assert any(step.startswith("SEARCH") for step in plans)
        assert [step for step in plans if step.startswith("SCAN")] == []
