"""Write one of each file that the installed auth0_meta keeps on disk: `python write_files.py ARCHIVE.tar.xz`.

0.1.0.tar.xz was written by auth0_meta 0.1.0.  It has a folder for each stage of a job, with the job file and the
users of its tenant (`--db`) as they were then.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from auth0_meta import migrate
from auth0_meta.actions import Event, PostLoginTrigger, SqliteStates
from auth0_meta.emulator import LocalTenant
from auth0_meta.testing import FakeClock

MIGRATION = """
def migrate(user, tx):
    plan = user.app_metadata.get("plan")
    if plan == "broken":
        raise ValueError(plan)
    if plan is not None:
        tx.app_metadata.set("billing.plan", plan)
        tx.app_metadata.delete("plan")
        tx.app_metadata.append("log", {"moved": plan})
        tx.app_metadata.increment("counters.moves")
"""
BROWSER = "b" * 32
PORT = 8899
NOW = 1_800_000_000.0
LONG = "näin pitkä arvo pakataan \U0001f600 " * 12


def users() -> list[dict[str, Any]]:
    """Return the users to start with: ten to change, one who can't be planned, one who stays."""
    found: list[dict[str, Any]] = [
        {
            "user_id": f"auth0|{n:02}",
            "email": f"user{n}@example.com",
            "app_metadata": {
                "plan": "pro" if n % 2 else "free",
                "billing": {"vat": 24, "note": LONG},
                "n": n,
            },
            "user_metadata": {"theme": "dark", "odd": '\ud800 = "quoted", cell'},
        }
        for n in range(1, 11)
    ]
    return [
        *found,
        {"user_id": "auth0|11", "app_metadata": {"plan": "broken"}},
        {"user_id": "auth0|12", "user_metadata": {"theme": "light"}},
    ]


def changes() -> list[dict[str, Any]]:
    """Return the rows of a change file: three users, and one whom nobody knows."""
    rows: list[dict[str, Any]] = [
        {"user_id": f"auth0|{n:02}", "app_metadata": {"billing": {"vat": None, "country": "FI"}, "n": n + 1}}
        for n in range(1, 4)
    ]
    return [*rows, {"user_id": "auth0|99", "app_metadata": {"n": 1}}]


def start(folder: Path) -> LocalTenant:
    """Return a tenant with these users, kept in the folder."""
    folder.mkdir()
    return LocalTenant(serve=False, db=folder / "users.db", users=users())


def plan(folder: Path, tenant: LocalTenant) -> Path:
    """Plan the migration."""
    (folder / "move.py").write_text(MIGRATION, encoding="utf-8")
    with tenant.client() as client:
        migrate.plan(folder / "move.py", to=folder / "job.db", client=client, users="search:user_id:*")
    return folder / "job.db"


def die() -> None:
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def killed(work: Callable[[], object]) -> None:
    """Do work in a process that kills itself."""
    process = multiprocessing.get_context("fork").Process(target=work)
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL, process.exitcode


def stop_at_five(tenant: LocalTenant) -> None:
    """Kill the process while auth0|04 is written, with the answer on its way, and auth0|05 is not."""

    def die_soon(_: LocalTenant) -> None:
        time.sleep(0.3)
        die()

    tenant.fail(method="PATCH", user_id="auth0|04", status=500, commit=True)
    tenant.before("GET", "auth0|04", lambda _: time.sleep(30), nth=2)
    tenant.before("PATCH", "auth0|05", die_soon)


def planned(folder: Path) -> None:
    """Write a plan of a function, not applied."""
    with start(folder) as tenant:
        plan(folder, tenant)


def planned_changes(folder: Path) -> None:
    """Write a plan of a change file, not applied."""
    with start(folder) as tenant, tenant.client() as client:
        lines = "".join(json.dumps(row) + "\n" for row in changes())
        (folder / "changes.ndjson").write_text(lines, encoding="utf-8")
        migrate.plan(folder / "changes.ndjson", to=folder / "job.db", client=client)


def finished(folder: Path) -> None:
    """Write an applied plan."""
    with start(folder) as tenant, tenant.client() as client:
        migrate.apply(plan(folder, tenant), client)


def killed_apply(folder: Path) -> None:
    """Write what a killed apply leaves: users in doubt, and SQLite's companion files."""

    def work() -> None:
        with start(folder) as tenant, tenant.client() as client:
            job = plan(folder, tenant)
            stop_at_five(tenant)
            migrate.apply(job, client, concurrency=2)

    killed(work)


def killed_undo(folder: Path) -> None:
    """Write what a killed undo leaves."""

    def work() -> None:
        with start(folder) as tenant, tenant.client() as client:
            job = plan(folder, tenant)
            migrate.apply(job, client)
            stop_at_five(tenant)
            migrate.undo(job, client, concurrency=2)

    killed(work)


def outcomes(folder: Path) -> None:
    """Apply a plan to users of whom each ends differently."""
    with start(folder) as tenant, tenant.client() as client:
        job = plan(folder, tenant)
        client.users.delete("auth0|01")  # gone
        client.users.update("auth0|02", {"app_metadata": {"plan": "changed"}})  # drifted
        client.users.update("auth0|03", {"app_metadata": {"billing": {"vat": 25}}})  # planned again
        tenant.fail(method="PATCH", user_id="auth0|04", status=400, times=None)  # failed
        tenant.fail(method="PATCH", user_id="auth0|05", drop="before_commit", times=1)  # unclear
        tenant.before(
            "GET",
            "auth0|05",
            lambda _: client.users.update("auth0|05", {"app_metadata": {"plan": "x", "log": [1]}}),
            nth=2,
        )
        done = {
            "plan": None,
            "billing": {"vat": 24, "note": LONG, "plan": "free"},
            "log": [{"moved": "free"}],
            "counters": {"moves": 1},
        }
        client.users.update("auth0|06", {"app_metadata": done})  # the same
        migrate.apply(job, client)


def undone(folder: Path) -> None:
    """Write a plan that was applied and undone; a key of auth0|07 has changed since."""
    outcomes(folder)
    with LocalTenant(serve=False, db=folder / "users.db") as tenant, tenant.client() as client:
        client.users.update("auth0|07", {"app_metadata": {"log": []}})
        migrate.undo(folder / "job.db", client)


def unfinished(folder: Path) -> None:
    """Write what a killed plan leaves."""

    def work() -> None:
        with start(folder):
            more = [{**users()[0], "user_id": f"auth0|more{n}"} for n in range(600)]
            rows = folder / "rows.ndjson"
            rows.write_text("".join(json.dumps(row) + "\n" for row in more), encoding="utf-8")

            def last(user: Any, tx: Any) -> None:
                tx.app_metadata["n"] = 0
                if user.user_id == "auth0|more590":
                    die()

            migrate.plan(last, to=folder / "job.db", users=str(rows))

    killed(work)
    (folder / "rows.ndjson").unlink()


def purged(folder: Path) -> None:
    """Write an applied plan without its values."""
    finished(folder)
    migrate.purge(folder / "job.db")


class Consent:
    """An action that asks for consent on a page of its own."""

    def on_execute_post_login(self, event: Any, api: Any) -> None:
        """Suspend the login."""
        api.user.set_app_metadata("asked", 1)
        api.id_token.set_custom_claim("https://example.com/asked", True)
        api.redirect.send_user_to("https://consent.example.com/")

    def on_continue_post_login(self, event: Any, api: Any) -> None:
        """Store the answer."""
        api.user.set_user_metadata("consent", event.request.body.get("consent"))


def logins(folder: Path) -> None:
    """Write suspended logins, and their states: one bound to no browser, and one bound to BROWSER."""
    folder.mkdir()
    clock = FakeClock(start=NOW)
    with LocalTenant(serve=False, users=users(), clock=clock) as tenant, tenant.client(clock=clock) as client:
        trigger = PostLoginTrigger(client, [Consent()], states=SqliteStates(folder / "logins.db"))
        event = Event.from_dict(
            {"user": users()[0], "request": {"ip": "192.0.2.1", "hostname": "t.example.com"}}
        )
        found = [trigger.run(event, browser=browser).redirect for browser in (None, BROWSER)]
        states = [one.state for one in found if one is not None]
    (folder / "states.json").write_text(json.dumps(states), encoding="utf-8")


def served(folder: Path) -> None:
    """Write a snapshot of a tenant's users, and what a served tenant announces, which ends with it."""
    folder.mkdir()
    os.environ["AUTH0_META_EMULATOR_DIR"] = str(folder)
    script = str(Path(sys.executable).with_name("auth0-meta"))
    (folder / "users.json").write_text(json.dumps(users()), encoding="utf-8")
    serve = [script, "emulator", "serve", "--port", str(PORT), "--users", str(folder / "users.json")]
    with subprocess.Popen(serve) as process:
        announcement = folder / f"emulator-{PORT}.json"
        while not announcement.exists() or not announcement.read_bytes():
            time.sleep(0.1)
        text = announcement.read_bytes()
        save = [script, "emulator", "snapshot", "save", str(folder / "snapshot.json"), "--port", str(PORT)]
        subprocess.run(save, check=True)
        process.terminate()
    announcement.write_bytes(text)


STAGES = (
    planned,
    planned_changes,
    finished,
    killed_apply,
    killed_undo,
    outcomes,
    undone,
    unfinished,
    purged,
    logins,
    served,
)


def main() -> None:
    """Write the archive."""
    with tempfile.TemporaryDirectory() as name:
        for stage in STAGES:
            stage(Path(name) / stage.__name__)
        with tarfile.open(sys.argv[1], "w:xz") as archive:
            for path in sorted(Path(name).rglob("*")):
                if path.is_file():
                    archive.add(path, path.relative_to(name))


if __name__ == "__main__":
    main()
