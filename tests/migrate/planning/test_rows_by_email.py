"""Rows that name a user by e-mail address: who that is, and what becomes of rows that name none or several."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.scripted_server import Reply, ScriptedServer, Seen, connect

from auth0_meta import ManagementClient, MetadataTransaction, ScopeError, User
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import ChangeFile, ExportSource, FileSource, Found, apply, plan
from auth0_meta.migrate.ledger.ledger import Ledger
from auth0_meta.migrate.planning.addresses import ByEmail, is_address
from auth0_meta.migrate.planning.change_index import ChangeIndex
from auth0_meta.testing import FakeClock

Rows = Callable[..., Path]
CSV = "email,app_metadata.plan\nada@example.com,pro\n"
NDJSON = '{"email": "ada@example.com", "app_metadata": {"plan": "pro"}}\n'


@pytest.fixture
def tenant() -> Iterator[LocalTenant]:
    """Serve a tenant on a socket, from which an export can be downloaded."""
    with LocalTenant() as local:
        yield local


@pytest.fixture
def changes(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a change file; NDJSON begins with a brace."""

    def write(text: str) -> Path:
        path = tmp_path / ("changes.ndjson" if text.startswith("{") else "changes.csv")
        path.write_text(text, encoding="utf-8")
        return path

    return write


def problems(job: Path) -> dict[str, str]:
    """Return what a job file says of those who could not be planned."""
    with Ledger.open(job) as ledger:
        return {name: f"{kind}: {note}" for name, kind, note in ledger.problems(100)}


def paths(tenant: LocalTenant) -> list[str]:
    """Return what the tenant was asked for, without queries."""
    return [entry.path.partition("?")[0] for entry in tenant.journal.requests("GET")]


@pytest.mark.parametrize("text", [CSV, NDJSON], ids=["csv", "ndjson"])
def test_a_row_may_name_its_user_by_email(
    tenant: LocalTenant, client: ManagementClient, job: Path, changes: Callable[[str], Path], text: str
) -> None:
    """One lookup finds the user and the profile, and the job file knows the user by id."""
    ada = tenant.users.add(user_id="auth0|1", email="ada@example.com", app_metadata={"plan": "free", "n": 1})
    summary = plan(changes(text), to=job, client=client)
    assert (summary.changing, summary.invalid, summary.requests) == (1, 0, 1)
    assert paths(tenant) == ["/api/v2/users-by-email"]
    apply(job, client)
    assert ada.app_metadata == {"plan": "pro", "n": 1}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada@Example.COM", "ada@example.com"),
        (" ada@example.com ", "ada@example.com"),
        ("o'ada+x@example.com", "o'ada+x@example.com"),
        ("Ünal@bücher.example", "ünal@bücher.example"),
    ],
)
def test_an_address_is_looked_up_as_written_and_in_lower_case(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    changes: Callable[[str], Path],
    written: str,
    stored: str,
) -> None:
    """Auth0 stores the addresses of its own connections in lower case, and those of others as they come."""
    tenant.users.add(user_id="google-oauth2|1", email=stored)
    assert tenant.users["google-oauth2|1"]["email"] == stored
    assert plan(changes(f"email,app_metadata.x\n{written},1\n"), to=job, client=client).changing == 1


def test_both_spellings_are_looked_up(job: Path, changes: Callable[[str], Path]) -> None:
    """An address with capitals may be that of another connection; if both are found, the row is ambiguous."""
    users = {
        "Ada@x": [{"user_id": "samlp|1", "email": "Ada@x"}],
        "Bob@x": [{"user_id": "samlp|2", "email": "Bob@x"}],
        "bob@x": [{"user_id": "auth0|2", "email": "bob@x"}],
        "Cy@x": [{"user_id": "auth0|3", "email": "cy@x"}],
        "cy@x": [{"user_id": "auth0|3", "email": "cy@x"}],
    }
    path = changes("email,app_metadata.x\nAda@x,1\nada@x,1\nBob@x,1\nbob@x,1\nCy@x,1\n")
    with (
        ScriptedServer(
            lambda seen: Reply(200, users.get(seen.path.partition("email=")[2].replace("%40", "@"), []))
        ) as server,
        connect(server) as client,
    ):
        summary = plan(path, to=job, client=client)
    assert (summary.changing, summary.invalid, summary.requests) == (3, 2, 8)
    assert set(problems(job)) == {"changes.csv line 3", "changes.csv line 4"}


@pytest.mark.parametrize("address", ["ada@example.com", "Ada@Example.com"])
@pytest.mark.parametrize("where", [None, "export"])
def test_an_address_that_several_users_have_is_named_with_their_ids(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    changes: Callable[[str], Path],
    address: str,
    where: str | None,
) -> None:
    """That row is left out, the address itself is not shown, and the other rows are planned."""
    tenant.users.add(user_id="auth0|1", email="ada@example.com")
    tenant.users.add(user_id="google-oauth2|1", email=address)
    tenant.users.add(user_id="auth0|2", email="bob@example.com")
    path = changes(f"email,app_metadata.x\nbob@example.com,1\n{address},2\n")
    if address.islower():
        path.write_text(path.read_text() + "Ada@Example.com,3\n")
    summary = plan(path, to=job, client=client, users=where)
    assert (summary.changing, summary.missing) == (1, 0)
    said = problems(job)
    assert set(said) == {f"changes.csv line {n}" for n in range(3, 3 + summary.invalid)}
    assert all("(auth0|1, google-oauth2|1): name the right one by user_id" in note for note in said.values())
    assert "example.com" not in json.dumps(said) + json.dumps(summary.to_json())


@pytest.mark.parametrize("where", [None, "export"])
def test_an_address_that_nobody_has_is_named_by_its_row(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    changes: Callable[[str], Path],
    where: str | None,
) -> None:
    """The others are planned."""
    tenant.users.add(user_id="auth0|1", email="ada@example.com")
    summary = plan(changes(CSV + "nobody@example.com,pro\n"), to=job, client=client, users=where)
    assert (summary.changing, summary.invalid, summary.missing) == (1, 1, int(where is not None))
    assert set(problems(job)) == {"changes.csv line 3"}


@pytest.mark.parametrize("where", [None, "export", "file"])
def test_rows_by_id_and_by_email_are_combined_in_order(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    tmp_path: Path,
    changes: Callable[[str], Path],
    where: str | None,
) -> None:
    """They name one user: the later row comes on top of the earlier one, whichever way it names the user."""
    ada = tenant.users.add(user_id="auth0|1", email="ada@example.com", app_metadata={"kept": 1})
    bob = tenant.users.add(user_id="auth0|2", email="bob@example.com")
    (tmp_path / "users.txt").write_text("auth0|1\nauth0|2\nauth0|3\n")
    rows = ["auth0|1,,a,1", ",ada@example.com,b,", "auth0|1,,c,", ",bob@example.com,d,", "auth0|2,,,4"]
    path = changes("user_id,email,app_metadata.x,app_metadata.y\n" + "\n".join(rows) + "\n")
    source = str(tmp_path / "users.txt") if where == "file" else where
    with pytest.warns(match="email"):
        summary = plan(path, to=job, client=client, users=source)
    assert (summary.changing, summary.invalid) == (2, 0)
    apply(job, client)
    assert ada.app_metadata == {"kept": 1, "x": "c", "y": "1"}
    assert bob.app_metadata == {"x": "d", "y": "4"}


def test_an_export_needs_no_lookup(
    tenant: LocalTenant, client: ManagementClient, job: Path, changes: Callable[[str], Path]
) -> None:
    """It has the addresses, unless it was asked for other fields only."""
    tenant.users.add(user_id="auth0|1", email="ada@example.com", app_metadata={"plan": "free"})
    tenant.users.add(user_id="sms|2")
    assert plan(changes(CSV), to=job, client=client, users="export").changing == 1
    assert "/api/v2/users-by-email" not in paths(tenant)
    narrow = ExportSource(fields=("name",))
    assert plan(changes(CSV), to=job.with_name("b.db"), client=client, users=narrow).changing == 1
    assert paths(tenant).count("/api/v2/users-by-email") == 1
    assert "/api/v2/users/auth0|1" not in paths(tenant)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("users.txt", "ada@example.com\nauth0|2\nnobody@example.com\n"),
        ("users.csv", "email\nada@example.com\nbob@example.com\nnobody@example.com\n"),
        (
            "users.ndjson",
            '{"email": "ada@example.com", "app_metadata": {}}\n{"user_id": "auth0|2"}\n{"email": "n@x"}\n',
        ),
    ],
)
@pytest.mark.parametrize("by_function", [True, False], ids=["function", "changes"])
def test_a_source_may_name_users_by_email(
    tenant: LocalTenant,
    client: ManagementClient,
    job: Path,
    tmp_path: Path,
    changes: Callable[[str], Path],
    name: str,
    text: str,
    by_function: bool,
) -> None:
    """In a list, in CSV and in NDJSON; a row without an id is never a profile."""
    tenant.users.add(user_id="auth0|1", email="ada@example.com", app_metadata={"n": 1})
    tenant.users.add(user_id="auth0|2", email="bob@example.com", app_metadata={"n": 2})
    (tmp_path / name).write_text(text)

    def migrate(user: User, tx: MetadataTransaction) -> None:
        tx.app_metadata["twice"] = user.app_metadata["n"] * 2

    chosen: Any = migrate if by_function else changes("user_id,app_metadata.x\nauth0|1,a\nauth0|2,b\n")
    summary = plan(chosen, to=job, client=client, users=str(tmp_path / name))
    assert (summary.changing, summary.invalid) == (2, 1)
    assert list(problems(job)) == [f"{name} line {text.count(chr(10))}"]
    apply(job, client)
    assert sorted(user.app_metadata["n"] for user in tenant.users if len(user.app_metadata) == 2) == [1, 2]


def test_a_row_that_names_nobody_is_a_bad_row(changes: Callable[[str], Path]) -> None:
    """So is one whose address is none; no message shows a cell."""
    bad = ["canary", "canary@", "@canary", "can ary@x", "canary|1@x", "canary\u200b@x", f"{'c' * 320}@x"]
    rows = [f"{cell},1" for cell in bad] + [",1"]
    found = list(ChangeFile(changes("email,app_metadata.x\n" + "\n".join(rows) + "\n")))
    assert [line.where for line in found] == [f"changes.csv line {n}" for n in range(2, len(rows) + 2)]  # type: ignore[union-attr]
    assert "canary" not in str(found)
    objects: list[Any] = [{"email": cell} for cell in (*bad, "\ud800@x", 7, ["a@x"], None)]
    found = list(ChangeFile(changes("".join(json.dumps(row) + "\n" for row in objects))))
    assert [line.where for line in found] == [f"changes.ndjson line {n + 1}" for n in range(len(objects))]  # type: ignore[union-attr]
    assert "canary" not in str(found)


def test_the_id_decides_if_a_row_has_both(
    tenant: LocalTenant, client: ManagementClient, job: Path, changes: Callable[[str], Path]
) -> None:
    """The address is ignored then, and a warning says so."""
    tenant.users.add(user_id="auth0|1", email="ada@example.com")
    tenant.users.add(user_id="auth0|2", email="bob@example.com")
    row = '{"user_id": "auth0|2", "email": "ada@example.com", "app_metadata": {"plan": "pro"}}\n'
    for n, text in enumerate(("user_id," + CSV.replace("\nada", "\nauth0|2,ada"), row * 2)):
        with pytest.warns(match="ignored") as caught:
            plan(changes(text), to=job.with_name(f"{n}.db"), client=client)
        assert len(caught) == 1
        apply(job.with_name(f"{n}.db"), client)
    assert tenant.users["auth0|2"].app_metadata == {"plan": "pro"}
    assert "app_metadata" not in tenant.users["auth0|1"]


@pytest.mark.parametrize(
    ("cell", "address"), [("a@x", True), ("auth0|a@x", False), ("a", False), ("a@x@y", True), ("", False)]
)
def test_an_id_is_not_an_address(cell: str, address: bool) -> None:
    """Ids contain a `|`, even those of connections that put an address into them."""
    assert is_address(cell) is address


def test_a_lookup_that_fails_costs_only_its_row(job: Path, changes: Callable[[str], Path]) -> None:
    """An odd answer, a 400 and a user who can't be one are named by their rows, and the others are planned."""
    users = {
        "a@x": [{"user_id": "auth0|1", "email": "a@x"}],
        "b@x": [{"user_id": "auth0|2", "email": "other@x"}],
        "d@x": [{"user_id": "a b", "email": "d@x"}],
        "e@x": [{"user_id": "auth0|5", "email": "e@x", "app_metadata": 7}],
    }

    def respond(seen: Seen) -> Reply:
        email = seen.path.partition("email=")[2].replace("%40", "@")
        return Reply(200, users[email]) if email in users else Reply(400, {"message": f"{email} is bad"})

    path = changes("email,app_metadata.x\n" + "".join(f"{c}@x,1\n" for c in "bcadea"))
    with ScriptedServer(respond) as server, connect(server) as client:
        summary = plan(path, to=job, client=client)
    assert (summary.changing, summary.repeated, summary.invalid) == (1, 1, 4)
    said = problems(job)
    assert set(said) == {*(f"changes.csv line {n}" for n in (2, 3, 5)), "auth0|5"}
    assert "@x" not in str(said)


@pytest.mark.parametrize("last", [False, True], ids=["among others", "last"])
def test_a_lookup_that_fails_for_good_is_not_waited_for_like_an_outage(
    job: Path, changes: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, last: bool
) -> None:
    """Somebody who was found before is read instead; that succeeds, so the failure is that row's own."""
    monkeypatch.setattr(
        "auth0_meta.migrate.planning.planner._READERS", 1
    )  # this clock adds up what threads wait
    bad, clock = "u5" if last else "u2", FakeClock()

    def respond(seen: Seen) -> Reply:
        name = seen.path.partition("?email=")[2].partition("%40")[0] or seen.path[-2:]
        user = {"user_id": f"auth0|{name}", "email": f"{name}@x.example"}
        return Reply(503) if name == bad else Reply(200, [user] if "?" in seen.path else user)

    path = changes("email,app_metadata.x\n" + "".join(f"u{n}@x.example,1\n" for n in range(6)))
    with ScriptedServer(respond) as server, connect(server, clock=clock) as client:
        began = clock.monotonic()
        summary = plan(path, to=job, client=client, share=1.0)
    assert (summary.changing, summary.invalid) == (5, 1)
    assert clock.monotonic() - began < 120


def test_what_everybody_gets_ends_the_plan(job: Path, changes: Callable[[str], Path]) -> None:
    """A missing scope is not the fault of the first address."""
    body = {"statusCode": 403, "errorCode": "insufficient_scope", "message": "Insufficient scope"}
    with (
        ScriptedServer(lambda seen: Reply(403, body)) as server,
        connect(server) as client,
        pytest.raises(ScopeError),
    ):
        plan(changes(CSV), to=job, client=client)
    assert not job.exists()


def test_no_repr_shows_an_address(tmp_path: Path) -> None:
    """Neither a source nor a change file does."""
    path = tmp_path / "users.txt"
    path.write_text("canary@example.com\n")
    ((whom),) = FileSource(path).users(lambda: None)  # type: ignore[arg-type, return-value]
    assert isinstance(whom, ByEmail)
    assert "canary" not in repr(whom)


def joined(changes: Iterable[Any], users: Iterable[Found]) -> list[str]:
    """Return the ids of the users whom an index names, and whom it says to be missing."""
    index = ChangeIndex(changes)
    names = [item[0].user_id if isinstance(item, tuple) else item.where for item in index.join(users)]
    names += index.missing()
    index.close()
    return names


def test_a_profile_that_is_nested_too_deeply_is_joined_too(changes: Callable[[str], Path]) -> None:
    """It comes without its fields, so that it is read and named; so does what is no profile at all."""
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    rows = [item for item in ChangeFile(changes(CSV + "b@x,1\n")) if isinstance(item, tuple)]
    users: list[Any] = [
        Found("auth0|1", {"user_id": "auth0|1", "email": "ada@example.com", "deep": deep}),
        Found("auth0|2", []),  # type: ignore[arg-type]
        Found("auth0|3", {"email": "\ud800"}),
    ]
    assert joined(rows, users) == ["auth0|1", "changes.csv line 3"]


def test_changes_that_contradict_each_other_fail_only_their_user(tmp_path: Path) -> None:
    """The others are planned."""
    path = tmp_path / "c.ndjson"
    big = {"x": "y" * 700_000}
    rows = [("auth0|1", big), ("auth0|1", {"z": big["x"]}), ("auth0|2", {"x": 1})]
    path.write_text("".join(json.dumps({"user_id": u, "app_metadata": m}) + "\n" for u, m in rows))
    pairs = [(Found(str(item[0])), item[1]) for item in ChangeFile(path) if isinstance(item, tuple)]
    found = list(ChangeIndex(pairs).join([Found("auth0|1", {}), Found("auth0|2", {})]))
    assert [isinstance(item, tuple) for item in found] == [False, True]
