"""`auth0-meta offload`: what it prints, its exit codes, and that the other commands know what it plans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.offloads import PATHS, bags_of, in_order, populate, resolved_bags

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.external import SqliteStore

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def users(tenant: LocalTenant) -> LocalTenant:
    """Serve a tenant with three users."""
    populate(tenant, 3)
    return tenant


def command(job: Path, *more: Any, paths: list[str] = PATHS) -> list[str]:
    """Return the words of the command."""
    return [
        "offload",
        *paths,
        "--store",
        f"sqlite:///{job.parent / 'big.db'}",
        "-o",
        str(job),
        *map(str, more),
    ]


def test_from_the_plan_to_undo(users: LocalTenant, job: Path, capsys: Capture) -> None:
    """The table has paths, numbers and bytes, and the next command is printed."""
    before = bags_of(users)
    assert main(command(job)) == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert ["3", "users", "read:", "3", "to", "change,", "0", "unchanged,", "0", "invalid"] in lines
    assert [line[:2] for line in lines if line[0] in PATHS] == [[path, "3"] for path in PATHS]
    assert "6 values of " in said.out
    assert "apply: 6 requests" in said.out
    assert f"next: auth0-meta migrate apply {job}" in said.err
    assert bags_of(users) == before

    assert main(["migrate", "apply", str(job), "--yes"]) == 0
    said = capsys.readouterr()
    assert said.out == "3 done\n"
    assert (
        f"offload of {PATHS[0]}, {PATHS[1]} to sqlite:///{job.parent / 'big.db'} on {users.url} (3 planned)"
        in said.err
    )
    with SqliteStore(job.parent / "big.db") as store:
        assert resolved_bags(users, store) == in_order(before)

    assert main(["migrate", "status", str(job)]) == 0
    assert f"  store      sqlite:///{job.parent / 'big.db'}" in capsys.readouterr().out
    assert main(["migrate", "undo", str(job), "--yes"]) == 0
    assert capsys.readouterr().out == "3 undone\n"
    assert bags_of(users) == before


def test_a_review_shows_pointers_and_sizes(users: LocalTenant, job: Path, capsys: Capture) -> None:
    """It shows values only if it is asked to, and a moved object is one line."""
    main(command(job))
    capsys.readouterr()
    assert main(["migrate", "show", str(job), "--user", "auth0|000001"]) == 0
    out = capsys.readouterr().out
    assert [line.partition(":")[0] for line in out.splitlines() if "~" in line] == [
        "  ~ user_metadata.notes.old",
        "  ~ app_metadata.history",
    ]
    assert out.count("-> a pointer of ") == 2
    assert "login 3" not in out
    main(["migrate", "show", str(job), "--user", "auth0|000001", "--show-values"])
    out = capsys.readouterr().out
    assert "login 3" in out
    assert '"external": "big/' in out
    main(["migrate", "show", str(job), "--json"])
    printed = json.loads(capsys.readouterr().out)
    assert printed["store"].endswith("big.db")
    assert printed["summary"]["moved"]["paths"]["app_metadata.history"]["values"] == 3
    assert {change["change"] for user in printed["users"] for change in user["changes"]} == {"changed"}


def test_what_stays_is_counted(users: LocalTenant, job: Path, capsys: Capture) -> None:
    """Each reason has a line."""
    large = "x" * 400
    users.users.add(user_id="auth0|small", app_metadata={"history": ["short"]})
    users.users.add(user_id="auth0|dotted", app_metadata={"a.b": large})
    users.users.add(user_id="auth0|one-way", app_metadata={"a": {"b": {"x.y": large}}})
    assert main(command(job, paths=["app_metadata.history", "app_metadata.a.b"])) == 0
    out = capsys.readouterr().out
    assert "1 value left: smaller than the pointer, or than --smallest" in out
    assert "1 value left: a key with . or $" in out
    assert "1 value that undo can't put back" in out
    other = job.with_name("other.db")
    assert (
        main(
            [
                "offload",
                "app_metadata.history",
                "--store",
                f"sqlite:///{job.parent}/big.db",
                "-o",
                str(other),
                "--larger-than",
                "100000",
            ]
        )
        == 0
    )
    said = capsys.readouterr()
    assert "3 values left: the profile is not larger than --larger-than" in said.out
    assert "0 values of 0 B to move" in said.out
    assert "next:" not in said.err


def test_json_and_exit_code(users: LocalTenant, job: Path, capsys: Capture) -> None:
    """With --exit-code, 3 says that something would move."""
    assert main(command(job, "--json", "--exit-code", "--source", "search:user_id:*", "--limit", 2)) == 3
    said = capsys.readouterr()
    printed = json.loads(said.out)
    assert (printed["job"], printed["changing"], printed["moved"]["values"]) == (str(job), 2, 4)
    assert printed["moved"]["bytes"] > printed["moved"]["pointer_bytes"] > 0
    other = job.with_name("other.db")
    assert main([*command(other, "--exit-code", paths=["app_metadata.nothing"])]) == 0


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["app_metadata"], "is a whole bag"),
        (["app_metadata.email"], "Auth0 reserves this name"),
        (["app_metadata.a", "app_metadata.a.b"], "is inside"),
    ],
)
def test_a_path_is_refused_before_anything_is_read(
    users: LocalTenant, job: Path, capsys: Capture, words: list[str], why: str
) -> None:
    """It is wrong usage, and no file is left."""
    assert main(command(job, paths=words)) == 2
    assert why in capsys.readouterr().err
    assert (users.journal.count(), job.exists(), (job.parent / "big.db").exists()) == (0, False, False)


def test_a_store_that_can_not_be_opened_is_found_out_at_once(
    users: LocalTenant, job: Path, capsys: Capture
) -> None:
    """Nothing is read for an hour in vain."""
    (job.parent / "big.db").write_text(
        "something else, and longer than the head of a database" * 9, encoding="utf-8"
    )
    assert main(command(job)) == 2
    assert "holds something else" in capsys.readouterr().err
    assert main(["offload", "app_metadata.a", "--store", "big.db", "-o", str(job)]) == 2
    assert "sqlite:///" in capsys.readouterr().err
    assert (users.journal.count(), job.exists()) == (0, False)


def test_a_job_file_is_never_replaced(users: LocalTenant, job: Path, capsys: Capture) -> None:
    """It may be needed to undo."""
    assert main(command(job)) == 0
    assert main(command(job)) == 1
    assert "exists: choose another name" in capsys.readouterr().err
