"""Run every script in examples/ as a reader would, on its own tenant and on the tenant that AUTH0_* names."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from auth0_meta.emulator import LocalTenant

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parent.parent / "examples"
WEB = sorted(path.name for path in EXAMPLES.glob("*_app.py"))
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("[!_]*.py") if path.name not in WEB)


def run(script: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run one example in a process of its own."""
    command = [sys.executable, str(EXAMPLES / script), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalTenant]:
    """Serve a local tenant in place of a real one."""
    with LocalTenant() as local:
        for name, value in local.env.items():
            monkeypatch.setenv(name, value)
        yield local


def test_the_readme_lists_every_example() -> None:
    """README.md links each example, and there is a test for each below, or in actions/web/test_examples.py."""
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    assert [script for script in [*SCRIPTS, *WEB] if f"(examples/{script})" not in readme] == []
    assert SCRIPTS == [
        "async_script.py",
        "backend_script.py",
        "batch_job.py",
        "login_hook.py",
        "migration_job.py",
    ]
    assert WEB == ["django_app.py", "fastapi_app.py", "flask_app.py"]


def test_backend_script_sends_one_patch() -> None:
    """Nested changes to both metadata objects are one GET and one PATCH."""
    done = run("backend_script.py")
    assert done.returncode == 0, done.stderr
    assert "runs on a local tenant, http://localhost:" in done.stderr
    assert "the tenant received 1 x GET 200, 1 x PATCH 200" in done.stderr
    assert "updated: 2 requests, 1 attempt" in done.stdout


def test_backend_script_on_a_real_tenant(tenant: LocalTenant) -> None:
    """With AUTH0_* set it changes the user named on the command line, and keeps all other keys."""
    user = tenant.users.add(
        user_metadata={"prefs": {"lang": "en", "old_banner": 1}, "theme": "dark"},
        app_metadata={"billing": {"plan": "free", "trial": "x", "vat": 24}, "seats": 3},
    )
    done = run("backend_script.py", user.user_id)
    assert done.returncode == 0, done.stderr
    assert user.user_metadata == {"prefs": {"lang": "en"}, "theme": "dark", "welcome": {"tour": "pro"}}
    assert user.app_metadata == {
        "billing": {"plan": "pro", "vat": 24},
        "seats": 5,
        "log": {"plans": [{"plan": "pro", "by": "backend_script"}]},
    }
    assert tenant.journal.count("PATCH") == 1


def test_async_script_changes_all_users() -> None:
    """Each user is counted once, and the results come in the order of the users."""
    done = run("async_script.py")
    assert done.returncode == 0, done.stderr
    assert sorted(line.partition(" ")[2] for line in done.stdout.splitlines()) == [
        "visits 1, updated",
        "visits 42, updated",
    ]
    assert "4 x PATCH 200" in done.stderr


def test_async_script_on_a_real_tenant(tenant: LocalTenant) -> None:
    """A user who fails is named, the others are changed, and the exit code is not 0."""
    user = tenant.users.add(user_metadata={"prefs": {"mail": True}})
    done = run("async_script.py", user.user_id, "auth0|nobody")
    assert done.returncode == 1, done.stderr
    assert done.stdout.splitlines()[1].startswith("auth0|nobody error: ")
    assert user.user_metadata == {"prefs": {"mail": True, "lang": "fi"}}
    assert user.app_metadata == {"visits": 1}


def test_login_hook_writes_for_an_allowed_login_only() -> None:
    """All helpers of a login send one PATCH together; a refused login sends none."""
    done = run("login_hook.py")
    assert done.returncode == 0, done.stderr
    welcome, refused = done.stdout.splitlines()
    assert "updated: 3 requests, 1 attempt" in welcome
    assert refused == "refused: no access to globex"
    assert "1 x PATCH 200" in done.stderr


def test_login_hook_on_a_real_tenant(tenant: LocalTenant) -> None:
    """If the metadata can't be written, the login goes on and says so."""
    user = tenant.users.add(app_metadata={"tenants": ["acme"]})
    fault = tenant.fail(method="PATCH", status=400)
    done = run("login_hook.py", user.user_id)
    assert done.returncode == 0, done.stderr
    assert fault.fired == 1
    assert done.stdout.splitlines()[0] == "welcome"
    assert "metadata not written" in done.stderr
    assert user.app_metadata == {"tenants": ["acme"]}


def test_batch_job_keeps_the_pace_and_shows_progress() -> None:
    """On the free plan's bucket every user is changed once, at about its rate, and no request is refused."""
    done = run("batch_job.py", "--rate-limit", "free")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "8 updated\n"
    assert "the tenant received 8 x GET 200, 8 x PATCH 200" in done.stderr.replace(
        "8 x PATCH 200, 8 x GET 200", ""
    )
    shown = re.findall(r"^(\d+) of 8 users, (\d+\.\d) a second$", done.stderr, re.MULTILINE)
    assert len(shown) >= 5
    assert shown[-1][0] == "8"
    assert 0.8 <= float(shown[-1][1]) <= 1.3


def test_batch_job_on_a_real_tenant(tenant: LocalTenant, tmp_path: Path) -> None:
    """It reads ids from a file; users who fail are named, and the exit code is not 0."""
    users = [tenant.users.add(app_metadata={"stats": {"touched": n}}) for n in range(3)]
    ids = tmp_path / "ids"
    ids.write_text("\n".join([*(user.user_id for user in users), "auth0|gone", ""]))
    done = run("batch_job.py", str(ids))
    assert done.returncode == 1
    assert done.stdout == "3 updated, 1 failed\n"
    assert "auth0|gone: " in done.stderr
    assert [user.app_metadata for user in users] == [{"stats": {"touched": n + 1}} for n in range(3)]


def test_batch_job_names_bad_arguments(tmp_path: Path) -> None:
    """A missing file, a file that is not text and an invalid rate limit exit with 2 and one line, without a traceback."""
    ids = tmp_path / "ids"
    ids.write_bytes(b"auth0|1\n\xff\n")
    for words, said in (
        (["--rate-limit", "nonsense"], "'nonsense' is unknown"),
        ([str(tmp_path / "none")], "No such file"),
        (["--rate-limit", "off", str(ids)], "not UTF-8 text"),
    ):
        done = run("batch_job.py", *words)
        assert done.returncode == 2
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_migration_job_waits_after_a_429() -> None:
    """The refused PATCH is then sent again, and every user is moved."""
    done = run("migration_job.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "12 done\n"
    assert "12 users read: 12 to change, 0 invalid" in done.stderr
    assert "12 x PATCH 200" in done.stderr
    assert "1 x PATCH 429" in done.stderr
    assert ": rate limit\n" in done.stderr


def test_migration_job_can_be_run_twice_on_a_real_tenant(tenant: LocalTenant, tmp_path: Path) -> None:
    """Users who fail are named and don't stop the others; a second run retries them and writes nothing else."""
    users = [tenant.users.add(name="Ada", app_metadata={"plan": "pro", "seats": n}) for n in range(3)]
    tenant.fail(method="PATCH", status=400, user_id=users[1].user_id)
    words = ("migration_job.py", 'search:name:"Ada"', str(tmp_path / "job.db"))
    first = run(*words)
    assert first.returncode == 1
    assert first.stdout == "2 done, 1 failed\n"
    assert users[1].user_id in first.stderr
    second = run(*words)
    assert second.returncode == 0, second.stderr
    assert second.stdout == "1 done\n"
    assert run(*words).stdout == "nothing to do\n"
    assert [user.app_metadata for user in tenant.users] == [
        {"billing": {"plan": "pro"}, "seats": n} for n in range(3)
    ]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_real_tenant_needs_an_argument(script: str, tenant: LocalTenant) -> None:
    """With AUTH0_* set and no argument, an example changes nobody and names what it needs."""
    done = run(script)
    assert done.returncode == 2
    assert f"usage: {script}" in done.stderr
    assert "AUTH0_DOMAIN is set: name the users" in done.stderr
    assert len(tenant.journal) == 0
