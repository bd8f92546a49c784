"""Files as programs write them: encodings, separators, empty ones, and lines without an end."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auth0_meta import InputError, MetadataWarning
from auth0_meta.migrate.planning import text_file
from auth0_meta.migrate.planning.addresses import ByEmail
from auth0_meta.migrate.planning.files import BadLine, Head, Line, Lines

HEADER = ["user_id", "app_metadata.plan", "user_metadata.name"]
ROWS = [["auth0|1", "pro", 'Ada "A", König; x'], ["auth0|2", "", "two\nlines\tand | a bar"]]


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., list[Any]]:
    """Return a function that writes bytes to a file and returns its records, without the head."""

    def read(data: bytes, name: str = "changes.csv") -> list[Any]:
        path = tmp_path / name
        path.write_bytes(data)
        return [item for item in Lines(path) if not isinstance(item, Head)]

    return read


Records = Callable[..., list[Any]]


def written(rows: list[list[str]], **dialect: Any) -> str:
    """Return a table as Python's csv module writes it."""
    text = io.StringIO(newline="")
    csv.writer(text, **dialect).writerows(rows)
    return text.getvalue()


def cells(found: list[Any]) -> list[list[Any]]:
    """Return the cells of each row; None for an empty user_id."""
    return [list(line.values.values()) for line in found]


SPREADSHEETS = {
    "Excel, CSV UTF-8": (codecs.BOM_UTF8, "utf-8", {"delimiter": ","}),
    "Excel, CSV UTF-8, semicolons": (codecs.BOM_UTF8, "utf-8", {"delimiter": ";"}),
    "Excel, Unicode text": (codecs.BOM_UTF16_LE, "utf-16-le", {"delimiter": "\t"}),
    "big endian": (codecs.BOM_UTF16_BE, "utf-16-be", {"delimiter": ";"}),
    "Excel for old Macs": (
        b"",
        "utf-8",
        {"delimiter": ";", "lineterminator": "\r", "quoting": csv.QUOTE_ALL},
    ),
    "Google Sheets": (b"", "utf-8", {"delimiter": ","}),
    "Numbers, LibreOffice": (b"", "utf-8", {"lineterminator": "\n", "delimiter": ";"}),
    "every cell quoted": (b"", "utf-8", {"quoting": csv.QUOTE_ALL, "delimiter": ";"}),
    "bars": (b"", "utf-8", {"delimiter": "|"}),
    "two marks": (codecs.BOM_UTF8 * 2, "utf-8", {}),
}


@pytest.mark.parametrize("kind", SPREADSHEETS)
@pytest.mark.parametrize("name", ["changes.csv", "changes.csv.gz", "changes.txt"])
@pytest.mark.parametrize("declared", [False, True], ids=["plain", "sep"])
def test_a_table_is_read_as_spreadsheets_write_it(
    records: Records, kind: str, name: str, declared: bool
) -> None:
    """The header tells the separator, or a line sep= does; the first bytes tell the encoding and gzip."""
    mark, encoding, dialect = SPREADSHEETS[kind]
    end = dialect.get("lineterminator", "\r\n")
    head = f"sep={dialect.get('delimiter', ',')}{end}" if declared else ""
    data = mark + (head + written([HEADER, *ROWS], **dialect)).encode(encoding)
    found = records(gzip.compress(data) if name.endswith("gz") else data, name)
    assert [line.whom for line in found] == ["auth0|1", "auth0|2"]
    assert [row[1:] for row in cells(found)] == [row[1:] for row in ROWS]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(
    table=st.lists(st.lists(TEXT, min_size=2, max_size=2), min_size=1, max_size=4),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_whatever_python_writes_is_read_back(
    table: list[list[str]], delimiter: str, quoting: int, end: str, encoding: str
) -> None:
    """In every dialect, cells are what was written, but for white space around them."""
    if quoting != csv.QUOTE_ALL and end != "\r\n":  # the module quotes only those line ends that it writes
        table = [[cell.replace("\r", "").replace("\n", "") for cell in row] for row in table]
    rows = [[f"auth0|{n}", *row] for n, row in enumerate(table)]
    text = written([HEADER, *rows], delimiter=delimiter, quoting=quoting, lineterminator=end)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(text.encode(encoding))
        found = [item for item in Lines(path) if not isinstance(item, Head)]
    assert cells(found) == [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        "user_id;app_metadata.plan;;\nauth0|1;pro;;\n;;;\n;;;\n",
        "user_id;app_metadata.plan;;\nauth0|1;pro\n",
        "user_id,app_metadata.plan,\nauth0|1,pro,\n\n",
        "user_id,app_metadata.plan\nauth0|1,pro,,,\n",
        "user_id,,app_metadata.plan\nauth0|1,,pro\n",
        "\n\nuser_id,app_metadata.plan\nauth0|1,pro\n",
        "user_id, app_metadata.plan\n auth0|1, pro\n",
        'user_id, app_metadata.plan\n "auth0|1", "pro"\n',
        '"user_id"\t"app_metadata.plan"\n"auth0|1"\t"pro"\n',
        '"sep=;"\nuser_id;app_metadata.plan\nauth0|1;pro\n',
        "SEP=\t\n\nuser_id\tapp_metadata.plan\nauth0|1\tpro\n",
    ],
)
def test_empty_cells_and_spaces_that_spreadsheets_add_do_not_matter(records: Records, text: str) -> None:
    """Neither do empty rows, columns without a name and text, or a separator at the end of every line."""
    assert cells(records(text.encode())) == [["auth0|1", "pro"]]


def test_the_index_that_pandas_writes_is_ignored(records: Records) -> None:
    """Its column comes first and has no name; a warning says so."""
    with pytest.warns(MetadataWarning, match="first column has no name and is ignored; pandas"):
        found = records(b",user_id,app_metadata.plan\n0,auth0|1,pro\n1,auth0|2,\n")
    assert cells(found) == [["auth0|1", "pro"], ["auth0|2", ""]]


@pytest.mark.parametrize(
    ("columns", "row", "problem"),
    [
        ("a;b;;c", "auth0|1;1;2;3;4", "column 4 has text and no name"),
        ("a;b", "auth0|1;1", "2 cells under 3 names: semicolons must separate empty cells too"),
        ("a", "auth0|1", "1 cell under 2 names"),
        ("a;b;;", "auth0|1;1", "2 cells under 3 names"),
        (
            "a",
            "auth0|1;1;2",
            "3 cells under 2 names: a cell that contains semicolons must be in double quotes",
        ),
        ("a;", "auth0|1;1;2", "3 cells under 2 names"),
        ("a", ";1", "names no user"),
        ("a", "auth0|1 2;1", "white space"),
        ("a", "auth0|1\u200b;1", "white space or characters that can't be seen"),
        ("a", "ada@example.com;1", "is an e-mail address: put it under email"),
        ("a", f"auth0|{'1' * 2000};1", "2006 characters, so it is not an id"),
    ],
    ids=range(11),
)
def test_a_row_that_does_not_fit_its_header_is_named(
    records: Records, columns: str, row: str, problem: str
) -> None:
    """It is never shifted into other columns, and the rows after it are read."""
    good = "auth0|9" + ";" * (columns.count(";") + 1)
    bad, last = records(f"user_id;{columns}\n{row}\n{good}\n".encode())
    assert isinstance(bad, BadLine)
    assert bad.where == "changes.csv line 2"
    assert problem in bad.problem
    assert last.whom == "auth0|9"


def test_a_row_is_named_by_the_line_where_it_begins(records: Records) -> None:
    """Cells may have several lines."""
    found = records(b'user_id,app_metadata.a\n"auth0|1","a\nb\nc"\n"auth0|2","d\r\ne"\nauth0|3,\n')
    assert [line.where for line in found] == [f"changes.csv line {n}" for n in (2, 5, 7)]


@pytest.mark.parametrize("name", ["ids.txt", "rows.ndjson", "changes.csv", "changes.csv.gz", "noname"])
@pytest.mark.parametrize(
    "data",
    [b"", b"\n \r\n\t\n", codecs.BOM_UTF8, codecs.BOM_UTF16_LE],
    ids=["nothing", "blank", "BOM", "UTF-16 BOM"],
)
def test_an_empty_file_is_an_error(records: Records, name: str, data: bytes) -> None:
    """A program that failed has often left it; nobody would notice a plan for no users."""
    with pytest.raises(InputError, match=f"{name} is empty: it names no user"):
        records(gzip.compress(data) if name.endswith("gz") else data, name)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("Käse,x".encode("cp1252"), "save it as UTF-8 .in Excel, as 'CSV UTF-8'"),
        (written([HEADER]).encode("utf-16-le"), "NUL characters, as UTF-16 without a byte order mark"),
        (b"PK\x03\x04\x14\x00\x06\x00", "is a workbook or a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is a workbook"),
        (b"Id;Plan\nauth0|1;pro\n", "no column user_id or email in its first line; separate"),
        (b"Id,Plan\nauth0|1,pro\n", "no column user_id or email in its first line: is 'Id' meant"),
        (b"sep=;\n", "no column user_id or email"),
        (b"sep=\nuser_id,app_metadata.a\n", "write sep=, or sep=;"),
        (b"sep=:\nuser_id:app_metadata.a\n", "write sep=, or sep=;"),
        (b"user_id,a,a\n", "the column 'a' twice"),
        (b"user_id" + b",a" * 1000 + b"\n", "1001 columns; 1000 are the most"),
        (b'user_id,app_metadata.a\nauth0|1,x\nauth0|2,"y\nauth0|3,z\n', "begins on line 3 .*never closed"),
        (b'user_id,app_metadata.a\nauth0|2,"y"z\n', "begins on line 2 .*not doubled"),
        (b'"user_id,app_metadata.a\n', "begins on line 1 .*never closed"),
        (gzip.compress(b"user_id\nauth0|1\n", mtime=0)[:-9], "cut short"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_refused_with_the_cause_and_the_remedy(
    records: Records, data: bytes, message: str
) -> None:
    """What is wrong with the file as a whole is not blamed on its rows."""
    with pytest.raises(InputError, match=message):
        records(data)


@pytest.mark.parametrize("text", ["email|5f7c8ec7\nauth0|2\n", "sms|1\nemail|x\n", "auth0|user_id_1\n"])
def test_ids_are_not_taken_for_a_header(records: Records, text: str) -> None:
    """Passwordless users have ids that begin with `email|`."""
    assert [line.whom for line in records(text.encode(), "ids.txt")] == text.split()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        "auth0|1\r\na@x\r\n",
        '"auth0|1"\n"a@x"\n',
        '{"user_id":"auth0|1"}\r\n{"user_id":null,"email":"a@x"}\r\n',
    ],
)
def test_lists_and_ndjson_may_be_utf_16_too(records: Records, text: str, encoding: str) -> None:
    """PowerShell writes them so."""
    found = records(text.encode(encoding), "users")
    assert [line.whom for line in found] == ["auth0|1", ByEmail("users line 2", "a@x")]


@pytest.mark.parametrize("text", ["Ada <ada@x>", "ada@", "@x", "ada@x,bob@x ada@x"])
def test_a_bad_address_in_a_list_is_not_shown(records: Records, text: str) -> None:
    """It is personal data, and the line tells where it is."""
    (bad,) = records(text.encode(), "users")
    assert bad == BadLine("users line 1", "the email is not an e-mail address")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    """As any path that can't be read."""
    with pytest.raises(InputError, match="can't be read: Is a directory"):
        list(Lines(tmp_path))


@pytest.mark.parametrize("head", ["", "sep=;\n"])
def test_the_head_says_what_a_file_is(tmp_path: Path, head: str) -> None:
    """Before any record."""
    path = tmp_path / "t"
    for text, expected in (
        (head + "user_id;a\n", Head("csv", ("user_id", "a"))),
        ('{"user_id": "auth0|1"}', Head("ndjson")),
        ("auth0|1", Head("list")),
    ):
        path.write_text(text)
        assert next(iter(Lines(path))) == expected


# Bounds ----------------------------------------------------------------------------------------------

ENDLESS = {
    "a list": (b"auth0|", b"x"),
    "NDJSON": (b'{"user_id": "', b"x"),
    "a header": (b"user_id,", b"x"),
    "a row": (b"user_id,app_metadata.a\nauth0|1,", b"x"),
    "a quoted cell": (b'user_id,app_metadata.a\nauth0|0,x\nauth0|1,"', b"x"),
    "an open quote": (b'user_id,app_metadata.a\nauth0|1,"', b"auth0|2,y\n"),
    "an open quote in the header": (b'"user_id', b"x\n"),
    "zeros": (b"", b"\0"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_line_or_row_without_an_end_is_refused_in_bounded_memory(
    records: Records, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A file of a few kilobytes may unpack to gigabytes; the message names the line where it begins."""
    monkeypatch.setattr(text_file, "MOST_LINE", 50_000)
    start, more = ENDLESS[kind]
    data = gzip.compress(start + more * (20_000_000 // len(more)), compresslevel=1)
    name = "changes.csv.gz" if "user_id," in start.decode() or "header" in kind else "ids.gz"
    tracemalloc.start()
    try:
        with pytest.raises(
            InputError, match=rf"line {max(start.count(10), 0) + 1} .*longer than 50000 characters"
        ):
            records(data, name)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


def test_a_row_of_many_lines_is_read_up_to_the_bound(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each row has the whole bound for itself."""
    monkeypatch.setattr(text_file, "MOST_LINE", 1_000)
    lines = "a line of text\n" * 50
    text = "user_id,app_metadata.a\n" + "".join(f'auth0|{n},"{lines}"\n' for n in range(20))
    found = records(text.encode())
    assert {line.values["app_metadata.a"] for line in found if isinstance(line, Line)} == {lines.strip()}
    assert len(found) == 20
