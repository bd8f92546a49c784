"""Change files: what their columns, cells and objects mean, and which of them are refused."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auth0_meta import InputError, MetadataWarning
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import ChangeFile
from auth0_meta.migrate.planning.files import BadLine


def changes(path: Path) -> list[Any]:
    """Return the (user id, PATCH body on an empty profile) pairs of a change file."""
    return [
        item if isinstance(item, BadLine) else (item[0], item[1].document({})) for item in ChangeFile(path)
    ]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., list[Any]]:
    """Return a function that writes CSV and returns what it changes."""

    def read(*lines: str) -> list[Any]:
        path = tmp_path / "c.csv"
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return changes(path)

    return read


Table = Callable[..., list[Any]]


def test_a_csv_change_file(table: Table) -> None:
    """Dotted headers are paths, cells are text, an empty cell changes nothing, and `:=` columns are JSON."""
    found = table(
        "user_id,app_metadata.billing.plan,app_metadata.seats:=,user_metadata.zip",
        "auth0|1,pro,5,00501",
        'auth0|2,,"{""a"": [1]}",',
    )
    assert found == [
        (
            "auth0|1",
            {"app_metadata": {"billing": {"plan": "pro"}, "seats": 5}, "user_metadata": {"zip": "00501"}},
        ),
        ("auth0|2", {"app_metadata": {"seats": {"a": [1]}}}),
    ]


@pytest.mark.parametrize(
    ("column", "whole"),
    [
        ("app_metadata.roles[0]", "app_metadata.roles:="),
        ("app_metadata.a.b[1].c", "app_metadata.a.b:="),
        ("user_metadata.roles[]", "user_metadata.roles:="),
        ("app_metadata.roles[x]", "app_metadata.roles:="),
        ("app_metadata.roles[0]:=", "app_metadata.roles:="),
        ("app_metadata.roles [0]", "app_metadata.roles:="),
        ("app_metadata.roles[0][1]", "app_metadata.roles:="),
        ("app_metadata.roles[-1]", "app_metadata.roles:="),
        ("app_metadata.roles.[0]", "app_metadata.roles:="),
        ("app_metadata.roles]", "app_metadata.roles:="),
        ("app_metadata.roles[0", "app_metadata.roles:="),
        ('"app_metadata[""roles""]"', "app_metadata:="),
        ("app_metadata[roles]", "app_metadata:="),
    ],
)
@pytest.mark.parametrize(
    "beside", [(), ("app_metadata.roles[1]",), ("app_metadata.roles",)], ids=["alone", "next", "whole"]
)
def test_a_column_for_an_item_of_a_list_is_refused(
    table: Table, column: str, whole: str, beside: tuple[str, ...]
) -> None:
    """It would become a key with brackets, or cut the list short; the message says what to write instead."""
    with pytest.raises(InputError, match=r"one item of a list.*as JSON under") as caught:
        table(",".join(("user_id", *beside, column)), "auth0|1,a,b")
    assert beside or repr(whole) in str(caught.value)


def test_an_export_with_items_of_a_list_is_refused(tmp_path: Path) -> None:
    """Auth0's export has only those items that it was asked for, so that the list can't be put together again."""
    with LocalTenant() as tenant, tenant.client() as client:
        tenant.users.add(user_id="auth0|1", app_metadata={"roles": ["admin", "ops"], "plan": "pro"})
        fields = ("user_id", "app_metadata.roles[0]", "app_metadata.plan")
        job = client.jobs.wait(client.jobs.export_users(format="csv", fields=fields))
        packed = io.BytesIO()
        client.jobs.download(job, packed)
    path = tmp_path / "export.csv.gz"
    path.write_bytes(packed.getvalue())
    with pytest.raises(InputError, match=r"'app_metadata.roles\[0\]' is one item of a list"):
        changes(path)


def test_a_number_between_dots_is_a_key(table: Table) -> None:
    """A user who has a list there is refused when the change meets it."""
    ((_, document),) = table("user_id,app_metadata.years.2024", "auth0|1,x")
    assert document == {"app_metadata": {"years": {"2024": "x"}}}


def test_a_key_with_brackets_can_be_written_as_json(table: Table, ndjson: Callable[..., Path]) -> None:
    """In an object it is a key like any other."""
    assert table("user_id,app_metadata.a:=", 'auth0|1,"{""b[0]"": 1}"') == [
        ("auth0|1", {"app_metadata": {"a": {"b[0]": 1}}})
    ]
    rows = [{"user_id": "auth0|1", "app_metadata": {"b[0]": 1}}]
    assert changes(ndjson(rows)) == [("auth0|1", {"app_metadata": {"b[0]": 1}})]


def test_white_space_around_a_cell_or_a_name_is_not_data(table: Table) -> None:
    """Quoted or not; inside it stays, and a JSON string keeps all of it."""
    ((user_id, document),) = table(
        "user_id , app_metadata.a,\u00a0app_metadata.b ,app_metadata.c:= , app_metadata.d",
        ' auth0|1\t, pro ," a  b ","  "" c "" ",  ',
    )
    assert user_id == "auth0|1"
    assert document == {"app_metadata": {"a": "pro", "b": "a  b", "c": " c "}}


def test_what_an_export_has_stored_keeps_its_white_space(table: Table) -> None:
    """The `'` says where the text begins, so that an export can be written back unchanged."""
    ((_, document),) = table("user_id,user_metadata.a,user_metadata.b", """"'auth0|1","' pro ", 5 """)
    assert document == {"user_metadata": {"a": " pro ", "b": 5}}


@pytest.mark.parametrize(
    "cell",
    [
        "1,5",
        "1.0",
        "1.23E+10",
        "1,23E+10",
        "TRUE",
        "True",
        "nan",
        "NULL",
        "null",
        "2024-01-31",
        "00501",
        "+49 30",
        "=x",
    ],
)
def test_a_cell_is_text_as_it_is_written(table: Table, cell: str) -> None:
    """Numbers, dates and booleans are JSON only under `:=`."""
    assert table("user_id;user_metadata.a", f"auth0|1;{cell}") == [
        ("auth0|1", {"user_metadata": {"a": cell}})
    ]


@pytest.mark.parametrize(
    "cell",
    [
        *("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#FIELD!"),
        *(
            "#GETTING_DATA",
            "#NV",
            "#WERT!",
            "#BEZUG!",
            "#ÜBERLAUF!",
            "#N/D",
            "#¿NOMBRE?",
            "########",
            "Err:502",
        ),
        *('="00501"', '"=""00501"""'),
    ],
)
def test_what_a_spreadsheet_leaves_in_place_of_a_value_is_refused(table: Table, cell: str) -> None:
    """An error or a formula fails its row; it can be written as JSON text."""
    bad, good = table("user_id,user_metadata.a", f"auth0|1,{cell}", "auth0|2,x")
    assert isinstance(bad, BadLine)
    assert "'user_metadata.a' has a spreadsheet's error or formula in place of a value" in bad.problem
    assert good[0] == "auth0|2"
    (bad,) = table("user_id,user_metadata.a", f"{cell},x")
    assert "the user_id is a formula" in bad.problem
    assert table("user_id,user_metadata.a:=", 'auth0|1,"""#N/A"""')[0][1] == {"user_metadata": {"a": "#N/A"}}


@pytest.mark.parametrize("cell", ["#1", "# N/A", "#welcome!", "##", "N/A", "#AB!c", "Err: 502"])
def test_a_text_that_begins_with_a_hash_is_text(table: Table, cell: str) -> None:
    """Only what spreadsheets write in place of a value is refused."""
    assert table("user_id,user_metadata.a", f"auth0|1,{cell}")[0][1] == {"user_metadata": {"a": cell}}


@pytest.mark.parametrize(
    ("column", "meant"),
    [
        *(("Email", "email"), ("E-Mail", "email"), ("email_address", "email")),
        *(("User_ID", "user_id"), ("User ID", "user_id"), ("Id", "user_id"), ("sub", "user_id")),
    ],
)
def test_a_header_with_another_name_for_the_user_says_which_to_write(
    table: Table, column: str, meant: str
) -> None:
    """It names the column that is there, and the name that is expected."""
    with pytest.raises(InputError, match=f"no column user_id or email.*'{column}' meant.* Write {meant}$"):
        table(f"{column},app_metadata.plan", "auth0|1,pro")


@pytest.mark.parametrize("path", ["app_metadata..plan", "app_metadata.plan.", "app_metadata.$set"])
def test_a_column_whose_path_cannot_be_used_is_named(table: Table, path: str) -> None:
    """So is its file."""
    with pytest.raises(InputError, match=re.escape(f"the column '{path}' can't be used: app_metadata")):
        table(f"user_id,{path}", "auth0|1,pro")


@pytest.mark.parametrize(
    "cell",
    ["True", "None", "canary", "\"{'canary': 1}\"", "NaN", "1;5", '"{""a"":1,""a"":2}"', "[" * 5000, "-"],
)
def test_a_cell_that_is_not_json_fails_its_row(table: Table, cell: str) -> None:
    """The message says how Python's and a spreadsheet's values differ from JSON, and shows none."""
    bad, good = table("user_id,app_metadata.a:=", f"auth0|1,{cell}", "auth0|2,true")
    assert "double quotes; true, false and null are in lower case" in bad.problem
    assert "canary" not in str(bad)
    assert good == ("auth0|2", {"app_metadata": {"a": True}})


def test_the_profile_columns_of_an_export_are_ignored(tmp_path: Path) -> None:
    """A CSV export can be used as a change file: a warning names its profile columns; any other column is still refused."""
    path = tmp_path / "export.csv"
    path.write_text(
        "user_id,email,identities[0].connection,user_metadata.theme\n'auth0|1,'a@x,'db,'dark\n",
        encoding="utf-8",
    )
    with pytest.warns(
        MetadataWarning,
        match=r"not metadata and are ignored: email .but not where user_id is empty., identities\[0\].connection",
    ):
        assert changes(path) == [("auth0|1", {"user_metadata": {"theme": "dark"}})]
    path.write_text("user_id,email\nauth0|1,a@x\n")
    with pytest.raises(InputError, match="no column that changes anything"):
        changes(path)
    path.write_text("user_id," + ",".join(f"identities[{n}].x" for n in range(100)) + ",user_metadata.a\n")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        changes(path)
    assert all(len(str(warning.message)) < 600 for warning in caught)


def test_null_in_a_json_column_deletes(tmp_path: Path) -> None:
    """`null` under `:=` removes the key."""
    path = tmp_path / "c.csv"
    path.write_text("user_id,app_metadata.old:=\nauth0|1,null\n")
    ((user_id, change),) = ChangeFile(path)  # type: ignore[misc]  # one good row
    assert user_id == "auth0|1"
    assert change.document({"app_metadata": {"old": 1}}) == {"app_metadata": {"old": None}}


def test_auth0s_own_csv_export_can_be_read(table: Table) -> None:
    """Auth0 puts `'` before text and nothing before numbers and booleans."""
    assert table("user_id,app_metadata.zip,app_metadata.seats,app_metadata.on", "'auth0|1,'00501,5,true") == [
        ("auth0|1", {"app_metadata": {"zip": "00501", "seats": 5, "on": True}})
    ]
    (whom, _), *_rest = table("email,app_metadata.zip", "'a@x,'00501")
    assert whom.email == "a@x"


def test_the_rows_of_an_ndjson_change_file_are_merged(ndjson: Callable[..., Path]) -> None:
    """Metadata is merged deeply; other properties are refused, and so is what Auth0 does not accept."""
    path = ndjson(
        [
            {"user_id": "auth0|1", "user_metadata": {"a": {"b": 1}}},
            {"user_id": "auth0|2", "name": "canary@x"},
            {"user_id": "auth0|3", "app_metadata": {"a.b": 1}},
            {"user_id": "auth0|4", "app_metadata": 5},
            {"app_metadata": {}},
        ]
    )
    first, *bad = changes(path)
    assert first == ("auth0|1", {"user_metadata": {"a": {"b": 1}}})
    assert [line.where for line in bad] == [f"rows.ndjson line {n}" for n in (2, 3, 4, 5)]
    assert "canary" not in str(bad)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("user_id,plan", "neither"),
        ("email,plan", "neither"),
        ("user_id", "no column that changes anything"),
        ("email", "no column that changes anything"),
        ("user_id,app_metadata", "neither"),
        ("user_id,app_metadata. plan", "white space beside a dot"),
        ("user_id,app_metadata .plan", "neither"),
        ("user_id,app_metadata.a..b", "must not be empty"),
        ("user_id,app_metadata.$a", "refuses in names"),
        ("user_id,app_metadata.a,app_metadata.a:=", "twice, once with :="),
        (f"user_id,{'x' * 100_000}", "neither"),
    ],
)
@pytest.mark.parametrize("rows", [0, 1])
def test_columns_that_change_nothing_are_refused(table: Table, header: str, message: str, rows: int) -> None:
    """A column that is not a path in the metadata stops the plan before any row, and without one."""
    with pytest.raises(InputError, match=message) as caught:
        table(header, *[",".join("x" for _ in header.split(","))] * rows)
    assert len(str(caught.value)) < 300


def test_a_reserved_name_fails_its_rows(table: Table) -> None:
    """Auth0 would refuse the PATCH."""
    (bad,) = table("user_id,app_metadata.email", "auth0|1,x")
    assert "reserves" in bad.problem


@pytest.mark.parametrize("text", ["auth0|1\n", "a@x\n", "Id\tPlan\n"])
def test_a_list_is_no_change_file(tmp_path: Path, text: str) -> None:
    """It says nothing of changes, and would plan none."""
    path = tmp_path / "ids.txt"
    path.write_text(text)
    with pytest.raises(InputError, match="is a list, which says nothing of changes"):
        changes(path)


def test_a_header_without_rows_is_a_table_of_nobody(tmp_path: Path) -> None:
    """It plans nothing, with a warning: whoever wrote it had no rows to write."""
    path = tmp_path / "c.csv"
    for rest in ("", "\n\n", ",\n , \n"):
        path.write_text("user_id,app_metadata.a\n" + rest)
        with pytest.warns(MetadataWarning, match="has a header and no rows"):
            assert changes(path) == []


def test_more_than_a_request_may_have_fails_its_row_at_once(tmp_path: Path) -> None:
    """It isn't staged first: that would take a minute for millions of small values."""
    many = "[" + "[]," * 400_000 + "[]]"
    (tmp_path / "c.csv").write_text(f'user_id,app_metadata.a:=\nauth0|1,"{many}"\nauth0|2,1\n')
    (tmp_path / "c.ndjson").write_text(f'{{"user_id": "auth0|1", "app_metadata": {{"a": {many}}}}}\n')
    bad, good = changes(tmp_path / "c.csv")
    assert good[0] == "auth0|2"
    for one in (bad, *changes(tmp_path / "c.ndjson")):
        assert "a request may have at most 1048576" in one.problem


def test_what_is_nested_too_deeply_fails_its_row(table: Table) -> None:
    """The message is the one that any other way of staging it has."""
    bad, _ = table("user_id,app_metadata.a:=", f"auth0|1,{'[' * 500}{']' * 500}", "auth0|2,1")
    assert "nested more than" in bad.problem


def test_long_cells_are_read(tmp_path: Path) -> None:
    """A cell may be as long as a row, and what nests too deeply is text in an export."""
    long = "x" * 200_000
    path = tmp_path / "changes.csv"
    path.write_text(f"user_id,app_metadata.a,app_metadata.b\n'auth0|1,'{long},{'[' * 5000}\n")
    ((_, document),) = changes(path)
    assert document == {"app_metadata": {"a": long, "b": "[" * 5000}}


def test_no_message_shows_a_cell(table: Table) -> None:
    """A row that can't be read is named by its line."""
    rows = [
        'auth0|1,canary1,"{canary2}"',
        "canary3 x,canary4,1",
        "canary3@x,canary4,1",
        "canary3\u200b,canary4,1",
        f"{'canary3' * 200},canary4,1",
        ",canary5,1",
        "auth0|2,canary6",
        "auth0|3,canary7,1,canary8",
    ]
    found = table("user_id,app_metadata.a,app_metadata.b:=", *rows)
    assert [bad.where for bad in found] == [f"c.csv line {n}" for n in range(2, 10)]
    shown = json.dumps([bad.problem for bad in found])
    assert [n for n in range(1, 9) if f"canary{n}" in shown] == []
