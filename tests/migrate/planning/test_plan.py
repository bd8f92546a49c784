"""What `plan` promises: the tenant is only read, every user is accounted for, and bad functions do no harm."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.migrations import MOVE_PLAN, move_plan, populate, rows_of

from auth0_meta import ConfigError, InputError, LedgerError, ManagementClient, MetadataTransaction, User
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import ExportSource, PlanProgress, apply, plan, status, undo
from auth0_meta.migrate.ledger.ledger import Ledger

Rows = Callable[..., Path]
NEST = '{"a": '


def script(tmp_path: Path, text: str) -> Path:
    """Write a migration file."""
    path = tmp_path / "migration.py"
    path.write_text(text, encoding="utf-8")
    return path


def problems(job: Path) -> dict[str, str]:
    """Return what was wrong, by user id."""
    with Ledger.open(job) as ledger:
        return {user_id: note for user_id, _, note in ledger.problems()}


def test_the_ledger_holds_operations_document_and_before_image(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """For each user to be changed, the file holds what was staged, the PATCH body, and what the touched keys held."""
    populate(tenant, 1)
    tenant.users.add(user_id="auth0|none")
    summary = plan(move_plan, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    assert (summary.read, summary.changing, summary.unchanged, summary.invalid) == (2, 1, 1, 0)
    assert summary.keys == {"app_metadata.billing": 1, "app_metadata.plan": 1}
    with Ledger.open(job) as ledger:
        (row,) = ledger.records()
    assert row.plan.ops == {
        "app_metadata": {"reset": False, "ops": [["set", ["billing", "plan"], "free"], ["delete", ["plan"]]]}
    }
    assert row.plan.document == {"app_metadata": {"billing": {"vat": 24, "plan": "free"}, "plan": None}}
    assert row.plan.before == {"app_metadata": {"billing": {"vat": 24}, "plan": "free"}}


def test_planning_writes_nothing(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Ids are read one by one, and only GET requests are sent."""
    ids = populate(tenant, 30)
    path = ndjson([{"user_id": user_id} for user_id in [*ids, "auth0|gone"]])
    summary = plan(move_plan, to=job, client=client, users=str(path))
    sent = tenant.journal.requests(path="/api/v2/")
    assert {entry.method for entry in sent} == {"GET"}
    assert len(sent) == 31 == summary.requests
    assert summary.changing == 30
    assert problems(job) == {"auth0|gone": "the user does not exist"}


def test_costs_are_given_with_and_without_reads(job: Path, ndjson: Rows) -> None:
    """At a known rate, a plan says how long applying will take; here one bucket serves reads and writes."""
    with LocalTenant(serve=False) as tenant:
        populate(tenant, 16)
        with tenant.client(rate_limit="enterprise") as client:
            costs = plan(move_plan, to=job, client=client, users=str(ndjson(rows_of(tenant)))).costs()
    assert (costs["apply"].reads, costs["apply"].writes, costs["apply"].seconds) == (16, 16, 2.0)
    assert costs["apply_trusting_the_plan"].seconds == 1.0


def test_separate_buckets_are_used_in_parallel(job: Path, ndjson: Rows) -> None:
    """On Essentials, writes have their own bucket, and the slower bucket decides."""
    with LocalTenant(serve=False) as tenant:
        populate(tenant, 20)
        with tenant.client(rate_limit="essentials") as client:
            costs = plan(move_plan, to=job, client=client, users=str(ndjson(rows_of(tenant)))).costs()
    assert costs["apply"].seconds == pytest.approx(6.0, abs=0.01)


def test_a_plan_without_a_tenant_is_bound_to_one_by_the_first_apply(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Rows with metadata can be planned without a client; ids can't."""
    populate(tenant, 2)
    plan(move_plan, to=job, users=str(ndjson(rows_of(tenant))))
    assert status(job).tenant is None
    assert dict(apply(job, client).counts) == {"done": 2}
    assert status(job).tenant == tenant.url
    with pytest.raises(ConfigError, match="pass a client"):
        plan(move_plan, to=job.with_name("b.db"), users=str(ndjson([{"user_id": "auth0|1"}])))
    assert not job.with_name("b.db").exists()


def test_a_function_that_raises_hangs_or_dies_fails_only_its_user(
    tmp_path: Path, job: Path, ndjson: Rows
) -> None:
    """Each such user is named with the reason but no value; the others are planned."""
    text = MOVE_PLAN + (
        "import os, time\n"
        "inner = migrate\n"
        "def migrate(user, tx):\n"
        "    kind = user.app_metadata['kind']\n"
        "    if kind == 'hang': time.sleep(60)\n"
        "    if kind == 'raise': raise ValueError(user.app_metadata['secret'])\n"
        "    if kind == 'exit': raise SystemExit\n"
        "    if kind == 'die': os._exit(3)\n"
        "    if kind == 'commit': tx.commit()\n"
        "    if kind == 'assign': user.app_metadata['x'] = 1\n"
        "    if kind == 'bad': tx.app_metadata['a.b'] = 1\n"
        "    print('talk')\n"
        "    inner(user, tx)\n"
    )
    kinds = ["good", "hang", "raise", "exit", "die", "commit", "assign", "bad", "good2"]
    rows = [
        {"user_id": f"auth0|{kind}", "app_metadata": {"kind": kind, "plan": "x", "secret": "canary-7f3a"}}
        for kind in kinds
    ]
    summary = plan(script(tmp_path, text), to=job, users=str(ndjson(rows)), timeout=3.0)
    assert (summary.changing, summary.invalid) == (2, 7)
    why = problems(job)
    assert "did not return within 3 s" in why["auth0|hang"]
    assert why["auth0|raise"].startswith("ValueError (migration.py line ")
    assert "exit code 3" in why["auth0|die"]
    assert "leave out tx.commit()" in why["auth0|commit"]
    assert "use tx.app_metadata.set" in why["auth0|assign"]
    assert "canary" not in str(why)
    assert summary.unsteady == []


@pytest.mark.parametrize(
    "body",
    [
        "tx.app_metadata['x'] = random.random()",
        "tx.app_metadata['x'] = next(counter)",
        "tx.app_metadata['x'] = list({'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})",
    ],
    ids=["random", "state", "hash order"],
)
def test_a_function_that_is_not_deterministic_is_reported(
    tmp_path: Path, job: Path, ndjson: Rows, body: str
) -> None:
    """A sample is planned twice, in another process and in another order, and differences are reported."""
    text = f"import itertools, random\ncounter = itertools.count()\ndef migrate(user, tx):\n    {body}\n"
    rows = [{"user_id": f"auth0|{n}", "app_metadata": {}} for n in range(4)]
    summary = plan(script(tmp_path, text), to=job, users=str(ndjson(rows)))
    assert summary.steady_checked == 4
    assert len(summary.unsteady) >= 2
    assert summary.unsteady_paths == ["app_metadata.x"]
    assert status(job).stage == "planned"
    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        for row in rows:
            tenant.users.add(**row)
        with pytest.raises(LedgerError, match=r"each time \(app_metadata.x\).*--allow-unstable"):
            apply(job, client)
        assert tenant.journal.count("PATCH") == 0
        again = job.with_name("again.db")
        plan(script(tmp_path, text), to=again, users=str(ndjson(rows)), allow_unstable=True)
        assert dict(apply(again, client).counts) == {"done": 4}


def test_a_function_of_this_process_is_called_twice_as_well(job: Path, ndjson: Rows) -> None:
    """What it stages must not depend on anything but the user."""
    count = itertools.count()

    def migrate(user: User, tx: MetadataTransaction) -> None:
        tx.app_metadata.set("log.n", next(count))

    summary = plan(migrate, to=job, users=str(ndjson([{"user_id": "auth0|1", "app_metadata": {}}])))
    assert (summary.unsteady, summary.unsteady_paths) == (["auth0|1"], ["app_metadata.log.n"])


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("tx", "_StagingTransaction"),
        ("True", "bool"),
        ("{'plan': 'canary'}", "dict"),
        ("(lambda: (yield))()", "generator"),
        ("later()", "coroutine"),
        ("0", "int"),
        ("''", "str"),
    ],
)
def test_a_function_that_returns_something_is_an_error(
    tmp_path: Path, job: Path, ndjson: Rows, value: str, name: str
) -> None:
    """Only what is staged counts, and a return value would be lost without a word."""
    text = (
        f"async def later(): pass\ndef migrate(user, tx):\n    tx.app_metadata['a'] = 1\n    return {value}\n"
    )
    summary = plan(
        script(tmp_path, text), to=job, users=str(ndjson([{"user_id": "auth0|1", "app_metadata": {}}]))
    )
    assert (summary.changing, summary.invalid) == (0, 1)
    why = problems(job)["auth0|1"]
    assert f"must return None, and it returned {name}" in why
    assert "stages on tx" in why
    assert "canary" not in why


def test_a_function_of_one_expression_returns_none(job: Path, ndjson: Rows) -> None:
    """So a lambda that stages is fine."""
    rows = str(ndjson([{"user_id": "auth0|1", "app_metadata": {}}]))
    for n, stage in enumerate(
        (
            lambda user, tx: tx.app_metadata.set("a.b", 1),
            lambda user, tx: tx.app_metadata.append("a", 1),
            lambda user, tx: tx.app_metadata.increment("a"),
            lambda user, tx: tx.user_metadata.merge({"a": 1}),
            lambda user, tx: tx.user_metadata.replace({"a": 1}),
        )
    ):
        assert plan(stage, to=job.with_name(f"{n}.db"), users=rows).changing == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("user.app_metadata['absent']", "KeyError: 'absent' (migration.py line 2)"),
        ("dict(user.app_metadata).pop('absent')", "KeyError: 'absent' (migration.py line 2)"),
        ("{}['absent']", "KeyError: 'absent' (migration.py line 2)"),
        ("{}[user.app_metadata['secret']]", "KeyError: a key that is not written there"),
        (
            "{'canary-x': 1}[user.app_metadata['secret']] if 'canary-7f3a' else 0",
            "KeyError: a key that is not",
        ),
        ("raise KeyError(user.app_metadata['secret'])", "KeyError: a key that is not"),
        ("raise KeyError", "KeyError: a key that is not"),
        ("[][3]", "IndexError: list index out of range"),
        ("raise IndexError(user.app_metadata['secret'])", "IndexError (migration.py line 2)"),
        ("user.app_metadata.plan", "has no attribute 'plan'"),
        ("getattr(user, user.app_metadata['secret'])", "AttributeError (migration.py line 2)"),
        ("undefined", "NameError: 'undefined' is not defined"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("None + 1", "TypeError: unsupported operand type(s) for +: 'NoneType' and 'int'"),
        ("None['a']", "TypeError: 'NoneType' object is not subscriptable"),
        ("int(user.app_metadata['secret'])", "ValueError (migration.py line 2)"),
        ("raise TypeError(user.app_metadata['secret'])", "TypeError (migration.py line 2)"),
        (
            "class Mine(Exception): pass\n    raise Mine(user.app_metadata['secret'])",
            "Mine (migration.py line 3)",
        ),
    ],
)
def test_an_exception_is_described_without_a_value(
    tmp_path: Path, job: Path, ndjson: Rows, body: str, said: str
) -> None:
    """A missing key is named only if the failing expression has it as a literal; any other message may quote metadata."""
    rows = [{"user_id": "auth0|1", "app_metadata": {"secret": "canary-7f3a"}}]
    summary = plan(script(tmp_path, f"def migrate(user, tx):\n    {body}\n"), to=job, users=str(ndjson(rows)))
    assert summary.invalid == 1
    why = problems(job)["auth0|1"]
    assert said in why
    assert "canary" not in why + str(summary.to_json())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\n", "no function migrate"),
        ("def migrate(user):\n    pass\n", "two arguments"),
        ("async def migrate(user, tx):\n    pass\n", "plain function"),
        ("def migrate(user, tx)\n", "line 1"),
        ("import nothing_of_the_kind\n", "nothing_of_the_kind"),
        ("raise RuntimeError('canary')\n", "RuntimeError on line 1"),
        ("import os; os._exit(4)\n", "exit code 4"),
    ],
)
def test_a_file_without_a_migration_is_refused(
    tmp_path: Path, job: Path, ndjson: Rows, text: str, message: str
) -> None:
    """The message says what is wrong before any user is read, and no job file is left."""
    with pytest.raises(InputError, match=message) as caught:
        plan(script(tmp_path, text), to=job, users=str(ndjson([{"user_id": "auth0|1"}])))
    assert "canary" not in str(caught.value)
    assert not job.exists()


def test_a_migration_can_import_modules_beside_it(tmp_path: Path, job: Path, ndjson: Rows) -> None:
    """Helpers in the file's directory are found, as with `python FILE`."""
    (tmp_path / "beside_helper.py").write_text("VALUE = 5\n")
    path = script(
        tmp_path,
        "from beside_helper import VALUE\ndef migrate(user, tx):\n    tx.app_metadata['x'] = VALUE\n",
    )
    assert plan(path, to=job, users=str(ndjson([{"user_id": "auth0|1", "app_metadata": {}}]))).changing == 1


def test_the_users_of_a_change_file_are_read_by_id(
    tenant: LocalTenant, client: ManagementClient, job: Path, tmp_path: Path
) -> None:
    """A change file needs no source; a user who is named twice gets both changes, in order."""
    ids = populate(tenant, 2)
    path = tmp_path / "c.csv"
    rows = [f"{ids[0]},gold,", f"{ids[1]},free,", f"{ids[0]},,5", "auth0|nobody,x,"]
    path.write_text("user_id,app_metadata.plan,app_metadata.seats:=\n" + "\n".join(rows) + "\n")
    tenant.users[ids[1]].patch(app_metadata={"plan": "free"})
    summary = plan(path, to=job, client=client)
    assert (summary.read, summary.changing, summary.unchanged, summary.repeated, summary.invalid) == (
        2,
        1,
        1,
        1,
        1,
    )
    apply(job, client)
    assert tenant.users[ids[0]].app_metadata == {"plan": "gold", "seats": 5, "billing": {"vat": 24}}


def test_a_change_file_can_be_combined_with_a_source(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """The rows of the source are used and nothing is read; users who are not in the source are named."""
    ids = populate(tenant, 3)
    changes = ndjson(
        [{"user_id": ids[1], "app_metadata": {"billing": {"plan": "x"}}}, {"user_id": "auth0|nobody"}],
        name="changes.ndjson",
    )
    summary = plan(changes, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    assert (summary.changing, summary.missing) == (1, 1)
    assert tenant.journal.count(path="/api/v2/") == 0
    assert "auth0|nobody" in problems(job)
    apply(job, client)
    assert tenant.users[ids[1]].app_metadata["billing"] == {"vat": 24, "plan": "x"}


@pytest.mark.parametrize(
    "look",
    [
        lambda user: user.get("logins_count", 0),
        lambda user: user["logins_count"],
        lambda user: "logins_count" in user,
        lambda user: user.raw["logins_count"],
        lambda user: user.created_at,
    ],
    ids=["get", "[]", "in", "raw", "attribute"],
)
def test_reading_a_field_that_was_not_exported_fails_the_user(job: Path, look: Callable[[User], Any]) -> None:
    """Such a field is not absent but unknown; the message says how to export it."""

    def migrate(user: User, tx: MetadataTransaction) -> None:
        assert user.email
        assert user.get("user_metadata") is None
        tx.app_metadata["seen"] = look(user)

    with LocalTenant() as tenant, tenant.client() as client:
        user = tenant.users.add(user_id="auth0|1", app_metadata={"n": 1}, logins_count=7)
        assert plan(migrate, to=job, client=client, users=ExportSource(fields=("email",))).invalid == 1
        assert "--fields " in problems(job)["auth0|1"]
        wide, job = ExportSource(fields=("email", "logins_count", "created_at")), job.with_name("b.db")
        assert plan(migrate, to=job, client=client, users=wide).changing == 1
        apply(job, client)
        assert user.app_metadata["seen"] in (7, True, user["created_at"])


def test_the_sandbox_knows_which_fields_were_exported(job: Path, tmp_path: Path) -> None:
    """The rule also holds in the process that runs a file, even when a sample is planned twice."""
    path = script(tmp_path, "def migrate(user, tx):\n    tx.app_metadata['n'] = user.get('logins_count')\n")
    with LocalTenant() as tenant, tenant.client() as client:
        tenant.users.add(user_id="auth0|1", logins_count=7)
        assert plan(path, to=job, client=client).invalid == 1
        wide, job = ExportSource(fields=("logins_count",)), job.with_name("b.db")
        summary = plan(path, to=job, client=client, users=wide)
    assert (summary.changing, summary.steady_checked, summary.unsteady) == (1, 1, [])


@pytest.mark.parametrize("long", ["", "y" * 400])
def test_a_lone_surrogate_in_a_profile_survives(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows, long: str
) -> None:
    """UTF-8 can't encode a lone surrogate; it is kept, sent as an escape, and restored by undo."""
    half = "\ud83d" + long
    before = {"n": half, "b": {"half": half}, half: 1}
    tenant.users.add(user_id="auth0|1", app_metadata=before)

    def migrate(user: User, tx: MetadataTransaction) -> None:
        tx.app_metadata["n"] = "whole"
        tx.app_metadata.set("b.c", 1)

    assert plan(migrate, to=job, client=client, users=str(ndjson(rows_of(tenant)))).changing == 1
    assert dict(apply(job, client).counts) == {"done": 1}
    assert tenant.users["auth0|1"].app_metadata == {"n": "whole", "b": {"half": half, "c": 1}, half: 1}
    assert dict(undo(job, client).counts) == {"undone": 1}
    assert tenant.users["auth0|1"].app_metadata == before


def test_a_key_with_a_lone_surrogate_can_be_named(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """Notes name keys in a form that SQLite can store."""
    tenant.users.add(user_id="auth0|1", app_metadata={"\ud83d": 1})

    def migrate(user: User, tx: MetadataTransaction) -> None:
        tx.app_metadata.clear()

    plan(migrate, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    tenant.users["auth0|1"].patch(app_metadata={"\ud83d": 2})
    assert dict(apply(job, client).counts) == {"drifted": 1}
    assert dict(apply(job, client, drift="overwrite").counts) == {"done": 1}
    tenant.users["auth0|1"].patch(app_metadata={"\ud83d": 3})
    assert dict(undo(job, client).counts) == {"kept": 1}


def test_metadata_that_is_nested_too_deeply_fails_only_its_user(tmp_path: Path, job: Path) -> None:
    """A user whose metadata exceeds Python's recursion limit is named with the reason; the others are planned."""
    path = tmp_path / "rows.ndjson"
    deep = "".join(
        f'{{"user_id": "auth0|{n}", "app_metadata": {NEST * n}1{"}" * n}}}\n' for n in range(850, 1000, 10)
    )
    path.write_text(deep + '{"user_id": "auth0|1", "app_metadata": {}}\n')
    file = script(tmp_path, "def migrate(user, tx):\n    tx.app_metadata['x'] = 1\n")
    for number, migration in enumerate((file, lambda user, tx: tx.app_metadata.set("x", 1))):
        name = job.with_name(f"{number}.db")
        summary = plan(migration, to=name, users=str(path))
        assert summary.changing >= 1
        assert summary.changing + summary.unchanged + summary.invalid == 16
        why = problems(name)
        assert "auth0|1" not in why
        assert "ended its process" not in str(why)
        assert any("deep" in note for note in why.values())


def test_oversize_profiles_and_secrets_are_counted(tmp_path: Path, job: Path, ndjson: Rows) -> None:
    """Profiles larger than 10 KB and values that don't belong in metadata are reported, but planned all the same."""
    text = "def migrate(user, tx):\n    tx.user_metadata['password'] = 'x' * 11000\n"
    rows = [{"user_id": "auth0|1", "user_metadata": {}}]
    summary = plan(script(tmp_path, text), to=job, users=str(ndjson(rows)))
    assert (summary.changing, summary.oversize, summary.advised) == (1, 1, 1)
    assert summary.oversize_users == ["auth0|1"]
    assert "xxxx" not in json.dumps(summary.to_json())


def test_a_limit_plans_only_for_the_first_users(job: Path, ndjson: Rows) -> None:
    """`limit` is for trying a migration on a few users."""
    rows = [{"user_id": f"auth0|{n}", "app_metadata": {"plan": "x"}} for n in range(9)]
    assert plan(move_plan, to=job, users=str(ndjson(rows)), limit=4).read == 4
    for bad in (0, True, 1.5):
        with pytest.raises(InputError, match="limit"):
            plan(move_plan, to=job, users=str(ndjson(rows)), limit=bad)  # type: ignore[arg-type]  # what a caller may do


def test_a_user_who_comes_twice_is_planned_once(job: Path, ndjson: Rows) -> None:
    """A source may contain a user more than once."""
    rows = [{"user_id": "auth0|1", "app_metadata": {"plan": "x"}}] * 3
    summary = plan(move_plan, to=job, users=str(ndjson(rows)))
    assert (summary.changing, summary.repeated) == (1, 2)


def test_metadata_that_is_not_an_object_makes_the_user_invalid(job: Path, ndjson: Rows) -> None:
    """A user whose stored metadata is not an object is named."""
    rows = [
        {"user_id": "auth0|1", "app_metadata": "x"},
        {"user_id": "auth0|2", "app_metadata": {"plan": "x"}},
    ]
    assert plan(move_plan, to=job, users=str(ndjson(rows))).invalid == 1
    assert "stored as str" in problems(job)["auth0|1"]


def test_a_plan_that_fails_leaves_no_file(job: Path, ndjson: Rows) -> None:
    """An error or Ctrl-C while planning deletes the unfinished file."""

    def interrupt(event: Any) -> None:
        raise KeyboardInterrupt

    rows = [{"user_id": "auth0|1", "app_metadata": {"plan": "x"}}]
    with pytest.raises(KeyboardInterrupt):
        plan(move_plan, to=job, users=str(ndjson(rows)), on_event=interrupt)
    assert [path.name for path in job.parent.iterdir()] == ["rows.ndjson"]


def test_an_existing_job_is_not_overwritten(job: Path, ndjson: Rows) -> None:
    """A second plan to the same file is refused, and the first one is kept."""
    rows = [{"user_id": "auth0|1", "app_metadata": {"plan": "x"}}]
    events: list[Any] = []
    plan(move_plan, to=job, users=str(ndjson(rows)), on_event=events.append)
    assert isinstance(events[-1], PlanProgress)
    with pytest.raises(LedgerError, match="exists"):
        plan(move_plan, to=job, users=str(ndjson(rows)))
    assert status(job).counts == {"planned": 1}


def test_an_altered_plan_is_refused(
    tenant: LocalTenant, client: ManagementClient, job: Path, ndjson: Rows
) -> None:
    """A job file that has been changed since it was planned is not applied."""
    import sqlite3

    populate(tenant, 2)
    plan(move_plan, to=job, client=client, users=str(ndjson(rows_of(tenant))))
    with sqlite3.connect(job) as db:
        db.execute("UPDATE users SET user_id = 'auth0|other' WHERE n = 1")
    db.close()
    with pytest.raises(LedgerError, match="digest"):
        apply(job, client)
    assert tenant.journal.count("PATCH") == 0
