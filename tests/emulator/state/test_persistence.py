"""What a file (`db`) and a snapshot keep: all that a test can make, in whichever way it is restored."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConfigError, InputError

PASSWORD = "Correct horse battery 1"
API = "/api/v2"


def fill(api: Any) -> dict[str, str]:
    """Make one of everything, and return the ids."""

    def post(path: str, **body: Any) -> Any:
        response = api("POST", API + path, json=body)
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    connection = post("/connections", name="other-db", strategy="auth0")
    user = api.create(
        connection="other-db", email="ann@example.com", password=PASSWORD, app_metadata={"plan": "pro"}
    ).json()["user_id"]
    other = api.create(connection="other-db", email="bob@example.com").json()["user_id"]
    ids = {"user": user, "other": other, "connection": connection["id"]}
    post("/resource-servers", identifier="https://api", name="API", scopes=[{"value": "read:x"}])
    for kind in ("roles", "organizations", "clients"):
        ids[kind] = (made := post(f"/{kind}", name=f"one-{kind}")).get("id") or made["client_id"]
    post("/client-grants", client_id=ids["clients"], audience="https://api", scope=["read:x"])
    secret = post(f"/clients/{ids['clients']}/rotate-secret")["client_secret"]
    assert api("GET", f"{API}/clients/{ids['clients']}").json()["client_secret"] == secret
    assert api("PATCH", f"{API}/tenants/settings", json={"friendly_name": "Acme"}).status_code == 200
    enabled = [{"client_id": ids["clients"], "status": True}]
    assert api("PATCH", f"{API}/connections/{ids['connection']}/clients", json=enabled).status_code == 204
    permissions = [{"resource_server_identifier": "https://api", "permission_name": "read:x"}]
    post(f"/roles/{ids['roles']}/permissions", permissions=permissions)
    post(f"/users/{user}/permissions", permissions=permissions)
    post(f"/users/{user}/roles", roles=[ids["roles"]])
    post(f"/organizations/{ids['organizations']}/members", members=[user, other])
    post(f"/organizations/{ids['organizations']}/members/{user}/roles", roles=[ids["roles"]])
    post(f"/organizations/{ids['organizations']}/enabled_connections", connection_id=ids["connection"])
    post(f"/users/{user}/authentication-methods", type="phone", phone_number="+358401234567")
    assert api("DELETE", f"{API}/connections/con_localDatabase001").status_code == 202
    return ids


def seen(api: Any, ids: dict[str, str]) -> dict[str, Any]:
    """Return everything that requests show of it."""
    organization, user, role = ids["organizations"], ids["user"], ids["roles"]
    paths = (
        *("/users", f"/users/{user}/roles", f"/users/{user}/permissions", f"/users/{user}/organizations"),
        *(f"/users/{user}/authentication-methods", f"/roles/{role}/permissions", f"/roles/{role}/users"),
        *(
            "/tenants/settings",
            f"/connections/{ids['connection']}/clients",
            "/clients",
            "/connections",
            "/roles",
            "/organizations",
            "/resource-servers",
            "/client-grants",
        ),
        f"/organizations/{organization}/members",
        f"/organizations/{organization}/members/{user}/roles",
        f"/organizations/{organization}/enabled_connections",
    )
    found = {path: api("GET", API + path).json() for path in paths}
    counted = ("last_login", "last_ip", "logins_count", "updated_at")
    found["/users"] = [{name: user[name] for name in user if name not in counted} for user in found["/users"]]
    # The client of each run has a secret of that run.
    found["/clients"] = [one for one in found["/clients"] if one["client_id"] != "local-client"]
    form = {"grant_type": "password", "username": "ann@example.com", "password": PASSWORD, "client_id": "x"}
    found["login"] = api("POST", "/oauth/token", json=form).status_code
    form["password"] = "wrong"
    return {**found, "wrong password": api("POST", "/oauth/token", json=form).status_code}


def by_file(tenant: LocalTenant, folder: Path, make: Callable[..., LocalTenant]) -> LocalTenant:
    """Stop the tenant and open its file again."""
    tenant.stop()
    return LocalTenant(serve=False, db=folder / "kept.db")


def by_snapshot(tenant: LocalTenant, folder: Path, make: Callable[..., LocalTenant]) -> LocalTenant:
    """Save a snapshot, and load it into another tenant."""
    assert tenant.save(folder / "s.json") == 2
    other = make()
    other.users.add(user_id="auth0|gone", password=PASSWORD)
    assert other.load(folder / "s.json") == 2
    return other


def by_start(tenant: LocalTenant, folder: Path, make: Callable[..., LocalTenant]) -> LocalTenant:
    """Save a snapshot, start with it, change everything, and reset."""
    tenant.save(folder / "s.json")
    other = make(users=folder / "s.json")
    other.users.clear()
    other._state.resources.of("roles").clear()
    other.reset(wipe=True)
    return other


def by_control(tenant: LocalTenant, folder: Path, make: Callable[..., LocalTenant]) -> LocalTenant:
    """GET the snapshot of one tenant, and PUT it to another as one JSON document."""
    other = make()

    def send(method: str, to: LocalTenant, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.mount("http://", to.adapter())
            headers = {"X-Emulator-Token": to.control_token}
            return session.request(method, f"{to.url}/_emulator/snapshot", headers=headers, **options)

    response = send("PUT", other, json=send("GET", tenant).json())
    assert response.json() == {"users": 2}
    return other


@pytest.mark.parametrize("way", [by_file, by_snapshot, by_start, by_control])
@pytest.mark.parametrize("db", [False, True], ids=["memory", "file"])
def test_everything_that_requests_make_is_kept(tmp_path: Path, talk: Any, way: Any, db: bool) -> None:
    """Users with their passwords, roles, permissions, organizations, connections, clients, APIs, grants, methods; and what was deleted stays deleted."""
    made = 0

    def make(**settings: Any) -> LocalTenant:
        nonlocal made
        made += 1
        kept = {"db": tmp_path / f"{made}.db"} if db else {}
        return LocalTenant(serve=False, **kept, **settings)

    if way is by_file and not db:
        tenant = LocalTenant(serve=False, db=tmp_path / "kept.db", seed=4)
    else:
        tenant = LocalTenant(serve=False, db=tmp_path / "kept.db" if db else None, seed=4)
    api = talk(tenant)
    ids = fill(api)
    before = seen(api, ids)
    assert (before["login"], before["wrong password"]) == (200, 403)
    after = way(tenant, tmp_path, make)
    assert seen(talk(after), ids) == before
    for one in (tenant, after):
        one.stop()


def test_a_killed_process_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    """Of resources and links as little as of users."""
    code = (
        "import os, signal, sys\n"
        "from auth0_meta.emulator import LocalTenant\n"
        "tenant = LocalTenant(serve=False, db=sys.argv[1])\n"
        "with tenant.client() as client:\n"
        "    for n in range(20):\n"
        "        role = client.request('POST', 'roles', json={'name': f'r{n}'})\n"
        "        user = tenant.users.add(user_id=f'auth0|{n}', password='Correct horse 1')\n"
        "        client.request('POST', f'users/auth0|{n}/roles', json={'roles': [role['id']]})\n"
        "    os.kill(os.getpid(), signal.SIGKILL if os.name == 'posix' else signal.SIGTERM)\n"
    )
    path = tmp_path / "kept.db"
    assert subprocess.run([sys.executable, "-c", code, str(path)], timeout=60, check=False).returncode != 0
    with LocalTenant(serve=False, db=path) as tenant:
        state = tenant._state
        assert len(state.resources.of("roles")) == len(tenant.users) == 20
        for number in range(20):
            assert len(state.resources.links.of("user_roles", f"auth0|{number}")) == 1
            assert state.resources.password_matches(f"auth0|{number}", "Correct horse 1")


def test_users_alone_replace_users_alone(tmp_path: Path, talk: Any) -> None:
    """With a file of users, whoever is in it keeps password and roles, what belongs to others goes, and clients stay."""
    tenant = LocalTenant(serve=False)
    api = talk(tenant)
    ids = fill(api)
    before = seen(api, ids)
    (tmp_path / "users.json").write_text(
        json.dumps([{"user_id": ids["user"], "email": "ann@example.com"}, {}])
    )
    assert tenant.load(tmp_path / "users.json") == 2
    after = seen(api, ids)
    assert [user["user_id"] for user in after.pop("/users")][:1] == [ids["user"]]
    (member,) = after.pop(f"/organizations/{ids['organizations']}/members")
    assert member["user_id"] == ids["user"]
    assert {name for name in after if after[name] != before[name]} == set()
    tenant.load(tmp_path / "users.json")
    tenant.users.clear()
    assert tenant._state.resources.links.users() == set()
    assert len(tenant._state.resources.methods) == 0


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_secrets_are_private_and_passwords_hashed(tmp_path: Path, talk: Any) -> None:
    """File and snapshot have mode 0600, and no password is in them."""
    with LocalTenant(serve=False, db=tmp_path / "kept.db") as tenant:
        fill(talk(tenant))
        tenant.save(tmp_path / "s.json")
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert PASSWORD.encode() not in path.read_bytes()


def test_a_snapshot_is_one_json_document_and_one_line_for_each_thing(tmp_path: Path, talk: Any) -> None:
    """Other programs read it as JSON; a reformatted one is loaded too."""
    tenant = LocalTenant(serve=False)
    ids = fill(talk(tenant))
    tenant.save(tmp_path / "s.json")
    text = (tmp_path / "s.json").read_text()
    document = json.loads(text)
    assert len(text.splitlines()) == 3 + len(document["users"]) + len(document["rows"])
    before = seen(talk(tenant), ids)
    (tmp_path / "s.json").write_text(json.dumps(document, indent=2))
    other = LocalTenant(serve=False)
    other.load(tmp_path / "s.json")
    assert seen(talk(other), ids) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[:-4], "ends too early"),
        (lambda text: text.partition("], ")[0], "ends too early"),
        (
            lambda text: text.replace("auth0|", "other|", 1).replace('{"user_id"', '{"user":1', 1),
            "not valid JSON",
        ),
        (lambda text: text.replace('{"user_id"', '{"user"', 1), "user 1 is not a whole profile"),
        (lambda text: text.replace('["connections"', '["passwords"'), "row 2 is not a row"),
        (lambda text: text.replace('["connections",', '["members",'), "row 2 is not a row"),
        (lambda text: text.replace('"rows": [\n[', '"rows": [\n{"a": 1},['), "row 1 is not valid JSON"),
        (
            lambda text: text.replace('"rows": [\n', '"rows": [\n' + "[" * 300 + "]" * 300 + "\n"),
            "row 1 is nested",
        ),
    ],
)
@pytest.mark.parametrize("db", [False, True], ids=["memory", "file"])
def test_a_damaged_snapshot_changes_nothing(tmp_path: Path, change: Any, told: str, db: bool) -> None:
    """Wherever the damage is, users, passwords and everything else stay."""
    path = tmp_path / "s.json"
    with LocalTenant(serve=False, db=tmp_path / "x.db" if db else None) as tenant:
        tenant.users.add(user_id="auth0|1", password=PASSWORD)
        tenant.users.add(user_id="auth0|2")
        tenant.save(path)
        path.write_text(change(path.read_text()))
        tenant.users["auth0|2"].delete()
        tenant._state.resources.of("roles")["rol_1"] = {"id": "rol_1", "name": "admin"}
        with pytest.raises(InputError, match=told):
            tenant.load(path)
        assert [user.user_id for user in tenant.users] == ["auth0|1"]
        assert len(tenant.users) == 1
        assert tenant._state.resources.password_matches("auth0|1", PASSWORD)
        assert list(tenant._state.resources.of("roles")) == ["rol_1"]


def test_two_users_with_one_id_in_a_snapshot_change_nothing(tmp_path: Path) -> None:
    """In memory and in a file."""
    for db in (None, tmp_path / "x.db"):
        with LocalTenant(serve=False, db=db, users=[{"user_id": "auth0|1"}]) as tenant:
            tenant.save(tmp_path / "s.json")
            head, user, *rest = (tmp_path / "s.json").read_text().splitlines(keepends=True)
            (tmp_path / "s.json").write_text("".join((head, user, f",{user}", *rest)))
            tenant.users.add(user_id="auth0|2")
            with pytest.raises(InputError, match="two users have the same user_id"):
                tenant.load(tmp_path / "s.json")
            assert len(tenant.users) == 2


def many(path: Path, count: int) -> Iterator[None]:
    """Write a snapshot of this many users."""
    with path.open("w") as file:
        file.write('{"auth0_meta_snapshot": 2, "users": [\n')
        for number in range(count):
            bag = {"text": f"{number:0400}"}
            user = {"user_id": f"auth0|{number}", "identities": [], "user_metadata": bag}
            file.write(f"{',' if number else ''}{json.dumps(user)}\n")
        file.write('], "rows": [\n["roles", "rol_1", {"id": "rol_1", "name": "admin"}]\n]}\n')
    yield


def test_a_large_snapshot_is_restored_and_saved_in_little_memory(tmp_path: Path) -> None:
    """With a file, of 20,000 users (10 MB) no more than a few are in memory at a time."""
    path = tmp_path / "s.json"
    next(many(path, 20_000))
    with LocalTenant(serve=False, db=tmp_path / "x.db") as tenant:
        tracemalloc.start()
        try:
            assert tenant.load(path) == 20_000
            assert tenant.save(tmp_path / "again.json") == 20_000
            assert tracemalloc.get_traced_memory()[1] < 5_000_000
        finally:
            tracemalloc.stop()
    rows = json.loads((tmp_path / "again.json").read_text())["rows"]
    assert rows[0] == ["roles", "rol_1", {"id": "rol_1", "name": "admin"}]


def test_a_later_format_of_a_file_is_refused(tmp_path: Path) -> None:
    """It is named, with the version that could not read it, and left alone."""
    path = tmp_path / "x.db"
    LocalTenant(serve=False, db=path).stop()
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA user_version = 3")
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="in format 3"):
        LocalTenant(serve=False, db=path)
    assert path.read_bytes() == before


# Format 1, as 0.1.0 wrote it.
FORMAT_1 = """
    CREATE TABLE users (
        seq INTEGER PRIMARY KEY, user_id TEXT NOT NULL UNIQUE, email TEXT, username TEXT,
        root TEXT NOT NULL, app TEXT, updated_ms INTEGER NOT NULL);
    CREATE INDEX users_email ON users (email) WHERE email IS NOT NULL;
    CREATE INDEX users_username ON users (username) WHERE username IS NOT NULL;
    CREATE TABLE openings (count INTEGER NOT NULL);
    INSERT INTO openings VALUES (3);
    INSERT INTO users (user_id, root, app, updated_ms) VALUES (
        '"sms|1"', '{"user_id":"sms|1","identities":[],"phone_number":"+358401234567"}', '{"plan":"pro"}', 5);
    PRAGMA application_id = 1630563685;
    PRAGMA user_version = 1;
"""


def test_a_file_of_format_1_is_upgraded(tmp_path: Path, talk: Any) -> None:
    """Its users stay, it gets what a new tenant has, and from then on it keeps the rest too."""
    path = tmp_path / "x.db"
    with closing(sqlite3.connect(path)) as file:
        file.executescript(FORMAT_1)
    path.chmod(0o600)
    for _ in range(2):
        with LocalTenant(serve=False, db=path) as tenant:
            (user,) = tenant.users
            assert (user.user_id, user.app_metadata) == ("sms|1", {"plan": "pro"})
            (found,) = tenant._state.users.with_phone_number("+358401234567")
            assert found.user_id == "sms|1"
            assert [one["name"] for one in talk(tenant)("GET", f"{API}/connections").json()] == [
                "Username-Password-Authentication"
            ]


def test_a_snapshot_of_format_1_is_loaded(tmp_path: Path) -> None:
    """It holds users only, so everything else stays."""
    user = {"user_id": "auth0|1", "identities": [], "name": "Ann"}
    (tmp_path / "s.json").write_text(json.dumps({"auth0_meta_snapshot": 1, "users": [user]}, indent=1))
    tenant = LocalTenant(serve=False, users=[{"user_id": "auth0|1", "password": PASSWORD}])
    tenant.load(tmp_path / "s.json")
    assert dict(tenant.users["auth0|1"]) == user
    assert tenant._state.resources.password_matches("auth0|1", PASSWORD)


def test_tenants_and_restored_snapshots_share_no_document(tmp_path: Path) -> None:
    """A change in one tenant, even inside a stored document, shows in no other, nor after a reset."""
    first, second = LocalTenant(serve=False), LocalTenant(serve=False)
    for tenant in (first, second, first):
        (connection,) = tenant._state.resources.of("connections").values()
        assert "changed" not in connection
        connection["changed"] = True
        tenant.reset()
    first.save(tmp_path / "s.json")
    tenant = LocalTenant(serve=False, users=tmp_path / "s.json")
    for _ in range(2):
        (connection,) = tenant._state.resources.of("connections").values()
        assert "changed" not in connection
        connection["changed"] = True
        tenant.reset()


def test_what_python_code_registers_belongs_to_the_run(tmp_path: Path) -> None:
    """Its clients and callbacks stay whatever is reset or loaded, and are in the file."""
    with LocalTenant(serve=False, db=tmp_path / "x.db") as tenant:
        tenant.save(tmp_path / "s.json")
        tenant.add_client("app", client_secret="secret", callbacks=["https://a.test/cb"])
        tenant.add_callback("app", "https://b.test/cb")
        clients = tenant._state.resources.of("clients")
        document = dict(clients["app"])
        assert document["callbacks"] == ["https://a.test/cb", "https://b.test/cb"]
        for restore in (
            tenant.reset,
            lambda: tenant.reset(wipe=True),
            lambda: tenant.load(tmp_path / "s.json"),
        ):
            restore()
            assert tenant._state.resources.of("clients")["app"] == document
            assert (
                tenant._state.resources.of("clients")["local-client"]["client_secret"] == tenant.client_secret
            )
    with LocalTenant(serve=False, db=tmp_path / "x.db") as tenant:
        assert tenant._state.resources.of("clients")["app"] == document
        assert tenant._state.resources.of("clients")["local-client"]["client_secret"] == tenant.client_secret
