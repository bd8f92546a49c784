"""The ready-made migrations in examples/migrations/: each is planned, applied, planned again and undone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.doc_blocks import ROOT

from auth0_meta import ManagementClient
from auth0_meta.checks.kinds import KINDS
from auth0_meta.emulator import LocalTenant
from auth0_meta.external import SqliteStore, save
from auth0_meta.migrate import ExportSource, RunResult, apply, plan, undo

FOLDER = ROOT / "examples" / "migrations"
FILES = sorted(path.name for path in FOLDER.glob("*.py"))
UUIDS = [f"0A0b0c0d-0000-4000-8000-{n:012d}" for n in range(30)]
LINES = 55
"""What fits on one screen."""


class Ready:
    """One ready-made migration on one tenant; every plan goes to a job file of its own."""

    def __init__(self, name: str, tenant: LocalTenant, client: ManagementClient, folder: Path) -> None:
        self.file, self.tenant, self.client, self.folder = FOLDER / name, tenant, client, folder
        self.fields: tuple[str, ...] = ("created_at",)
        self.jobs: list[Path] = []

    def plan(self, *, invalid: int = 0) -> int:
        """Plan for every user, and return how many it would change."""
        self.jobs.append(self.folder / f"{len(self.jobs)}.db")
        source = ExportSource(fields=self.fields)
        summary = plan(self.file, to=self.jobs[-1], client=self.client, users=source)
        assert (summary.invalid, summary.unsteady) == (invalid, [])
        return summary.changing

    def apply(self) -> RunResult:
        """Apply the last plan to all its users, with one PATCH each."""
        before = self.tenant.journal.count("PATCH")
        result = apply(self.jobs[-1], self.client, migration=self.file)
        assert (result.failed, result.remain) == (0, 0)
        assert self.tenant.journal.count("PATCH") - before == result.counts["done"]
        return result

    def bags(self) -> list[tuple[Any, Any]]:
        """Return what the tenant holds, user_metadata first."""
        return [(user.user_metadata, user.app_metadata) for user in self.tenant.users]

    def check(self, users: Iterable[dict[str, Any]], expected: list[tuple[Any, Any]]) -> None:
        """Add users; one run makes of them what is expected, a second has nothing to do, undo restores them all."""
        for profile in users:
            self.tenant.users.add(**profile)
        before = self.bags()
        changed = sum(old != new for old, new in zip(before, expected, strict=True))
        assert 0 < changed < len(before), "some users are to change, and some are not"
        assert self.plan() == changed
        self.apply()
        assert self.bags() == expected
        assert self.plan() == 0
        undo(self.jobs[0], self.client)
        assert self.bags() == before


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant on a socket, because an export is downloaded."""
    with LocalTenant() as local:
        yield local


@pytest.fixture
def ready(
    request: pytest.FixtureRequest, tenant: LocalTenant, client: ManagementClient, tmp_path: Path
) -> Ready:
    """Prepare the migration that the test names."""
    return Ready(request.param, tenant, client, tmp_path)


def of(name: str) -> pytest.MarkDecorator:
    """Say which migration a test is about."""
    return pytest.mark.parametrize("ready", [name], indirect=True)


def test_each_is_listed_tested_and_fits_on_a_screen() -> None:
    """docs/migrations.md has a row for every file, findings name no other, this module tests it, and none is longer than a screen."""
    page = (ROOT / "docs" / "migrations.md").read_text(encoding="utf-8")
    tests = Path(__file__).read_text(encoding="utf-8")
    named = {
        word for kind in KINDS.values() for line in kind.commands for word in line.split() if "/" in word
    }
    assert {word for word in named if word.startswith("examples/")} <= {
        f"examples/migrations/{name}" for name in FILES
    }
    for name in FILES:
        assert f"\n| `{name}` | " in page
        assert f'@of("{name}")' in tests
        text = (FOLDER / name).read_text(encoding="utf-8")
        assert text.count("\n") <= LINES
        assert f"auth0-meta migrate plan {name} " in text


@of("trim_lists.py")
def test_lists_are_trimmed_to_their_last_items(ready: Ready) -> None:
    """The newest items stay, in order; short lists, other keys and other types are left alone."""
    ready.check(
        [
            {
                "app_metadata": {"login_history": list(range(21)), "seats": 3},
                "user_metadata": {"devices": ["a"] * 10},
            },
            {
                "app_metadata": {"login_history": list(range(20))},
                "user_metadata": {"devices": [*"abcdefghijk"]},
            },
            {
                "app_metadata": {"login_history": list(range(20))},
                "user_metadata": {"devices": [*"abcdefghij"]},
            },
            {"app_metadata": {"login_history": "x" * 100}},
            {},
        ],
        [
            ({"devices": ["a"] * 10}, {"login_history": list(range(1, 21)), "seats": 3}),
            ({"devices": [*"bcdefghijk"]}, {"login_history": list(range(20))}),
            ({"devices": [*"abcdefghij"]}, {"login_history": list(range(20))}),
            ({}, {"login_history": "x" * 100}),
            ({}, {}),
        ],
    )


@of("trim_lists.py")
def test_a_list_that_grows_after_the_plan_keeps_the_newest(ready: Ready) -> None:
    """With the migration's file, a user who has logged in since the plan is trimmed as found."""
    user = ready.tenant.users.add(app_metadata={"login_history": list(range(30))})
    assert ready.plan() == 1
    ready.client.users.set_metadata(user.user_id, app={"login_history": list(range(40))})
    ready.apply()
    assert user.app_metadata == {"login_history": list(range(20, 40))}


@of("drop_unused_keys.py")
def test_old_entries_and_what_idle_users_left_are_dropped(ready: Ready) -> None:
    """The cutoff itself counts as used; entries without a date stay, and so does everything of a user who logs in."""
    ready.fields = ("created_at", "last_login")
    old, new = {"at": "2025-12-31T23:59:59.999Z"}, {"at": "2026-01-01T00:00:00.000Z"}
    last, first = {"at": 1767225599999}, {"at": 1767225600000}
    used = {"last_login": "2026-01-01T00:00:00.000Z"}
    idle = {"last_login": "2025-12-31T23:59:59.999Z"}
    ready.check(
        [
            {
                "app_metadata": {"devices": {"tv": old, "mac": new, "pad": last, "pc": first, "fax": {}}},
                **used,
            },
            {"user_metadata": {"devices": {"tv": old}, "last_device": [1]}, **used},
            {
                "user_metadata": {"last_device": [1], "theme": "dark"},
                "app_metadata": {"session_id": {}, "x": 1},
                **idle,
            },
            {"user_metadata": {"last_device": [1]}, "created_at": "2025-12-31T00:00:00.000Z"},
            {"user_metadata": {"last_device": [1]}, "created_at": "2026-01-02T00:00:00.000Z"},
            {
                "app_metadata": {"devices": {"tv": new, "pc": {"at": "yesterday"}, "mac": "2001"}},
                **used,
            },
            {"app_metadata": {"devices": [old, new, 7]}, **used},
            {"user_metadata": {"devices": "2001"}, **used},
        ],
        [
            ({}, {"devices": {"mac": new, "pc": first, "fax": {}}}),
            ({"last_device": [1]}, {}),
            ({"theme": "dark"}, {"x": 1}),
            ({}, {}),
            ({"last_device": [1]}, {}),
            ({}, {"devices": {"tv": new, "pc": {"at": "yesterday"}, "mac": "2001"}}),
            ({}, {"devices": [new, 7]}),
            ({"devices": "2001"}, {}),
        ],
    )


@of("drop_unused_keys.py")
def test_the_last_login_has_to_be_exported(ready: Ready) -> None:
    """Without `--fields last_login` nobody is taken for idle: each user is invalid."""
    ready.tenant.users.add(user_metadata={"last_device": [1]}, created_at="2020-01-01T00:00:00.000Z")
    assert ready.plan(invalid=1) == 0


@of("drop_keys.py")
def test_named_keys_are_deleted(ready: Ready) -> None:
    """What stands beside them stays, and so do keys of that name elsewhere."""
    ready.check(
        [
            {
                "user_metadata": {"password": "s3cr3t", "a": 1},
                "app_metadata": {"billing": {"card": "r", "n": 1}},
            },
            {"user_metadata": {"billing": {"card": "r"}}, "app_metadata": {"password": "k"}},
        ],
        [
            ({"a": 1}, {"billing": {"n": 1}}),
            ({"billing": {"card": "r"}}, {"password": "k"}),
        ],
    )


@of("fold_dynamic_keys.py")
def test_dynamic_keys_become_a_list(ready: Ready) -> None:
    """The newest entries are last and only so many stay; an object with a fixed key, and a list, are left alone."""
    sessions = {uuid: {"at": f"2026-01-{30 - n:02d}"} for n, uuid in enumerate(UUIDS)}
    newest = [{"id": UUIDS[n], "at": f"2026-01-{30 - n:02d}"} for n in reversed(range(20))]
    mixed = {"current": 1, UUIDS[0]: 2}
    ready.check(
        [
            {"app_metadata": {"sessions": sessions, "plan": "pro"}},
            {"user_metadata": {"usage": {"2026-02-01": 2, "2026-01-31": {"n": 1}}}},
            {"app_metadata": {"mfa_required_b": True, "mfa_required_a": {"id": 7}, "mfa": True}},
            {"app_metadata": {"mfa_required": [{"id": "x", "value": 1}], "mfa_required_y": 2}},
            {"app_metadata": {"sessions": mixed, "usage": {}}},
            {"app_metadata": {"sessions": newest}},
        ],
        [
            ({}, {"sessions": newest, "plan": "pro"}),
            ({"usage": [{"id": "2026-01-31", "n": 1}, {"id": "2026-02-01", "value": 2}]}, {}),
            (
                {},
                {"mfa_required": [{"id": "b", "value": True}, {"id": "a", "value": {"id": 7}}], "mfa": True},
            ),
            ({}, {"mfa_required": [{"id": "x", "value": 1}, {"id": "y", "value": 2}]}),
            ({}, {"sessions": mixed, "usage": {}}),
            ({}, {"sessions": newest}),
        ],
    )


@of("move_to_app_metadata.py")
def test_authorization_moves_to_where_users_cannot_edit_it(ready: Ready) -> None:
    """What app_metadata has already stays there; nothing of it is left in user_metadata."""
    ready.check(
        [
            {"user_metadata": {"roles": ["admin"], "theme": "dark"}, "app_metadata": {"seats": 3}},
            {"user_metadata": {"plan": "enterprise"}, "app_metadata": {"plan": "free"}},
            {"user_metadata": {"theme": "dark"}, "app_metadata": {"roles": []}},
        ],
        [
            ({"theme": "dark"}, {"roles": ["admin"], "seats": 3}),
            ({}, {"plan": "free"}),
            ({"theme": "dark"}, {"roles": []}),
        ],
    )


@of("rename_bad_keys.py")
def test_bad_names_inside_objects_are_replaced(ready: Ready) -> None:
    """They are renamed at any depth, in lists too, with one PATCH; other first-level keys are not sent."""
    users = ready.tenant.users
    users.add(user_metadata={"prefs": {"ui.theme": "dark", "n": [{"$a": {"b.c": 1, "": 2}}]}, "ok": 1})
    users.add(app_metadata={"a": {"b.c": 1}}, user_metadata={"ok": 1})
    users.add(app_metadata={"a": {"b": "c.d"}})
    assert ready.plan() == 2
    ready.apply()
    assert ready.bags() == [
        ({"prefs": {"ui_theme": "dark", "n": [{"_a": {"b_c": 1, "_": 2}}]}, "ok": 1}, {}),
        ({"ok": 1}, {"a": {"b_c": 1}}),
        ({}, {"a": {"b": "c.d"}}),
    ]
    assert all(
        "ok" not in entry.body.get("user_metadata", {}) for entry in ready.tenant.journal.requests("PATCH")
    )
    assert ready.plan() == 0


@of("rename_bad_keys.py")
def test_a_bad_first_level_name_takes_two_runs(ready: Ready) -> None:
    """No value is ever missing from the profile, and what is stored between the runs wins."""
    user = ready.tenant.users.add(
        user_metadata={"ui.theme": "dark", "lang": "fi", "x": {"a.b": 1}},
        app_metadata={"n": {"c.d": 1}, "plan": "pro"},
    )
    assert ready.plan() == 1
    ready.apply()
    renamed = {"ui_theme": "dark", "lang": "fi", "x": {"a_b": 1}}
    assert ready.bags() == [({}, {"n": {"c_d": 1}, "plan": "pro", "parked_user_metadata": renamed})]
    ready.client.users.set_metadata(user.user_id, user={"lang": "sv"})
    assert ready.plan() == 1
    ready.apply()
    assert ready.bags() == [({**renamed, "lang": "sv"}, {"n": {"c_d": 1}, "plan": "pro"})]
    assert ready.plan() == 0


@of("rename_bad_keys.py")
def test_two_keys_never_become_one(ready: Ready) -> None:
    """If the new name is taken, that user is left out and named; in app_metadata a first-level name stays."""
    ready.tenant.users.add(user_metadata={"x": {"a.b": 1, "a_b": 2}})
    ready.tenant.users.add(app_metadata={"a.b": 1})
    assert ready.plan(invalid=1) == 0


@of("bring_back.py")
def test_values_come_back_from_the_store(
    ready: Ready, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pointer is replaced by the value that it leads to; a value that was never moved stays as it is."""
    monkeypatch.chdir(tmp_path)  # the store is a file beside the job files
    with SqliteStore("big.db") as store:
        avatar = save("data:...", store=store, user_id="auth0|1", path="user_metadata.avatar")
        groups = save(["CN=a"], store=store, user_id="auth0|1", path="app_metadata.directory_groups")
    ready.check(
        [
            {
                "user_id": "auth0|1",
                "user_metadata": {"avatar": avatar},
                "app_metadata": {"directory_groups": groups},
            },
            {"user_id": "auth0|2", "user_metadata": {"avatar": "https://cdn.example.com/2.png"}},
        ],
        [
            ({"avatar": "data:..."}, {"directory_groups": ["CN=a"]}),
            ({"avatar": "https://cdn.example.com/2.png"}, {}),
        ],
    )
    ready.tenant.users.add(user_id="auth0|3", user_metadata={"avatar": avatar})
    assert ready.plan(invalid=1) == 1, "nobody gets the value of another user"
