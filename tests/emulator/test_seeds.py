"""Hold users' files to their two forms, to what they may hold, and snapshots to being whole."""

from __future__ import annotations

import json
import os
import stat
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
def test_users_come_from_a_file(tmp_path: Path, name: str, text: str) -> None:
    """JSON or YAML, a list or an object with `users`; a YAML date is a text, as it is in JSON."""
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


def test_thousands_of_users_load_at_once(tmp_path: Path) -> None:
    """Five thousand users of a YAML file are there when the tenant is."""
    path = tmp_path / "users.yaml"
    path.write_text(
        "\n".join(f"- {{email: u{n}@example.com, app_metadata: {{n: {n}}}}}" for n in range(5000))
    )
    tenant = LocalTenant(serve=False, users=path)
    assert len(tenant.users) == 5000


SECRET = "s3cret-value"


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("u.json", "[{", "no JSON"),
        ("u.json", f'[\n{{"email": {SECRET}}}]', "line 2"),
        ("u.json", "5", "expected a list"),
        ("u.json", '{"user": []}', "expected a list"),
        ("u.json", '[{}, "x"]', "user 2 is no object"),
        ("u.json", f'[{{"email": ["{SECRET}"]}}]', "user 1: email is no text"),
        ("u.json", '[{"identities": [1]}]', "user 1: identities"),
        ("u.json", '[{"n": NaN}]', "user 1 holds what JSON can't"),
        ("u.json", '[{"user_id": "1"}, {"user_id": "auth0|1"}]', "user 2 has the same user_id"),
        ("u.json", '{"auth0_meta_snapshot": 2, "users": []}', "newer version"),
        ("u.json", "[" * 100_000, "nests too deep"),
        ("u.yaml", f"- a: {SECRET}\n  b: [", "no YAML"),
        ("u.yaml", "- a: \x01", "no YAML"),
        ("u.yaml", "- a: !!python/object:os.system {}", "no YAML"),
        ("u.yaml", "- a: !!binary aGk=", "user 1 holds what JSON can't"),
    ],
)
def test_a_wrong_file_is_named_and_its_values_are_not(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    """The error names the file and the line or user, never a value; no tenant is made."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=told) as caught:
        LocalTenant(serve=False, users=path)
    assert str(path) in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """No file, and bytes that are no text."""
    with pytest.raises(InputError, match="No such file"):
        LocalTenant(serve=False, users=tmp_path / "none.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match="no UTF-8"):
        LocalTenant(serve=False, users=tmp_path / "bytes.json")


def test_a_snapshot_brings_every_user_back(tmp_path: Path) -> None:
    """Save, change, load: every profile is as it was, odd bags and all; the file serves as `users` too."""
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
    """A file that can't be taken leaves every user where it was."""
    path = tmp_path / "snapshot.json"
    path.write_text('[{"user_id": "a"}, 5]')
    tenant = LocalTenant(serve=False, users=USERS)
    before = [dict(user) for user in tenant.users]
    with pytest.raises(InputError):
        tenant.load(path)
    assert [dict(user) for user in tenant.users] == before


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX")
def test_a_snapshot_is_for_its_owner_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mode 0600; where writing fails the older file stays and nothing lies about."""
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
