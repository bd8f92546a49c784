"""Where users come from: files of ids and rows with the quirks of Auth0's CSV, searches, export jobs."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.scripted_server import Reply, ScriptedServer, Seen, connect

from auth0_meta import InputError, JobError, ManagementClient, PagingError
from auth0_meta.emulator import LocalTenant
from auth0_meta.migrate import ExportSource, FileSource, Found, SearchSource
from auth0_meta.migrate.planning import text_file
from auth0_meta.migrate.planning.files import BadLine
from auth0_meta.migrate.planning.sources import _exported, source


def no_client() -> ManagementClient:
    """Fail if a source asks for a client that it should not need."""
    raise AssertionError


def found(path: Path | str, **settings: Any) -> list[tuple[str, Any]]:
    """Return the (user id, profile) pairs of a file source; a bad line is ("!", where)."""
    return [
        (user.user_id, user.profile) if isinstance(user, Found) else ("!", user.where)
        for user in FileSource(path, **settings).users(no_client)
    ]


@pytest.mark.parametrize(
    ("name", "text", "users"),
    [
        ("ids.txt", "auth0|1\n\nauth0|2\r\n", ["auth0|1", "auth0|2"]),
        ("ids", '"auth0|1"\n"auth0|2"\n', ["auth0|1", "auth0|2"]),
        ("users.csv", "user_id,email\nauth0|1,a@x\n", ["auth0|1"]),
        ("export.csv", "user_id,email\n'auth0|1,'a@x\n", ["auth0|1"]),
        ("noname", "email,user_id\na@x,auth0|1\n", ["auth0|1"]),
        ("bom.csv", "\ufeffuser_id\nauth0|1\n", ["auth0|1"]),
        ("quoted.csv", 'user_id,name\nauth0|1,"a ""b""\nc"\nauth0|2,x\n', ["auth0|1", "auth0|2"]),
        ("rows.ndjson", '{"user_id": "auth0|1"}\n\n', ["auth0|1"]),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_ids_names_users_to_read(
    tmp_path: Path, name: str, text: str, users: list[str], packed: bool
) -> None:
    """It may be a list, CSV or NDJSON, gzipped or not."""
    path = tmp_path / (f"{name}.gz" if packed else name)
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    assert found(path) == [(user, None) for user in users]


def test_a_row_with_metadata_is_a_profile(ndjson: Callable[..., Path]) -> None:
    """It needs no read; the user of a row without metadata is read, unless the caller says that rows are whole profiles."""
    rows = [{"user_id": "auth0|1", "app_metadata": {}}, {"user_id": "auth0|2", "email": "a@x"}]
    path = ndjson(rows)
    assert found(path) == [("auth0|1", rows[0]), ("auth0|2", None)]
    assert found(path, whole=True) == [("auth0|1", rows[0]), ("auth0|2", rows[1])]


def test_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads standard input, gzipped or not."""
    for data in (b"auth0|1\n", gzip.compress(b"auth0|1\n")):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        assert found("-") == [("auth0|1", None)]


def test_a_bad_row_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    """A row that can't be read is reported with its line number."""
    path = tmp_path / "rows.ndjson"
    path.write_text(
        '{"user_id": "auth0|1"}\n{"user_id\n[1]\n{"user_id": 7}\n{"user_id": "a b"}\n{"user_id": "auth0|2"}\n'
    )
    assert found(path) == [
        ("auth0|1", None),
        *(("!", f"rows.ndjson line {n}") for n in (2, 3, 4, 5)),
        ("auth0|2", None),
    ]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", b'[{"user_id": "x"}]', "jq -c"),
        ("a.csv", b"name\nx\n", "no column user_id or email"),
        ("b.csv", b"user_id,user_id\nx,y\n", "twice"),
        ("c.txt", b"\xff\xfe\x00", "UTF-8"),
        ("d.gz", gzip.compress(b"auth0|1\n" * 50, mtime=0)[:-9], "cut short"),
        ("e.csv", b'user_id\n"auth0|1\n', "not valid CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_the_reason(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    """The message also says what to do."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=message):
        found(path)


def test_a_string_may_name_any_kind_of_source(tmp_path: Path) -> None:
    """`export`, `search:QUERY` and the name of a file are told apart; a missing file is refused at once."""
    assert isinstance(source("export"), ExportSource)
    assert isinstance(source('search:name:"x"'), SearchSource)
    with pytest.raises(InputError, match="does not exist"):
        source(str(tmp_path / "nothing.csv"))
    with pytest.raises(InputError, match="empty"):
        source("search: ")


def test_a_search_returns_profiles_up_to_its_limit() -> None:
    """Search results are profiles; after 1000 of them an error suggests an export."""
    with LocalTenant(serve=False) as tenant, tenant.client() as client:
        for n in range(1001):
            tenant.users.add(user_id=f"auth0|{n:04d}", name="Ada", app_metadata={"n": n})
        seen = []
        with pytest.raises(PagingError, match="export"):
            seen.extend(SearchSource('name:"Ada"').users(lambda: client))
        assert len(seen) == 1000
        assert isinstance(seen[0], Found)
        assert seen[0].profile is not None
        assert seen[0].profile["app_metadata"] == {"n": 0}


def test_a_search_result_whose_id_cannot_be_one_is_named() -> None:
    """The others are planned."""
    rows = [{"user_id": "auth0|1"}, {"user_id": "a b"}, {"user_id": "auth0|2"}]
    with ScriptedServer(Reply(200, rows)) as server, connect(server) as client:
        good, bad, last = SearchSource("x").users(lambda: client)
    assert (good, last) == (Found("auth0|1", rows[0]), Found("auth0|2", rows[2]))
    assert isinstance(bad, BadLine)
    assert bad.where == "search result 2"


@pytest.mark.parametrize(
    "line", [b'{"user_id":"auth0|1","n":NaN}', b'{"user_id":"auth0|2","user_id":"auth0|1"}', b"\xff"]
)
def test_a_line_is_read_as_strictly_as_a_response(line: bytes, tmp_path: Path) -> None:
    """What is not JSON is a bad line, not a profile, in an export and in a file."""
    assert isinstance(_exported(line, 1), BadLine)
    path = tmp_path / "users.ndjson"
    path.write_bytes(line)
    if line.isascii():
        assert [user for user, _ in found(path)] == ["!"]


def test_long_cells_and_lines_are_read(tmp_path: Path) -> None:
    """A cell may be as long as a line, and a line of NDJSON is never taken for CSV."""
    long = "x" * 200_000
    for name, text in (
        ("rows", json.dumps({"user_id": "auth0|1", "app_metadata": {"a,": long}})),
        ("rows.csv", f"user_id,name\nauth0|1,{long}\n"),
    ):
        (tmp_path / name).write_text(text)
        assert [user for user, _ in found(tmp_path / name)] == ["auth0|1"]


# The export ------------------------------------------------------------------------------------------


def exporting(data: bytes, *, drops: int = 0) -> Callable[[Seen], Reply]:
    """Return a tenant that exports `data` from its own address and breaks off the first downloads."""
    left = [drops]
    job = {"type": "users_export", "id": "job_1", "format": "json"}

    def respond(seen: Seen) -> Reply:
        if seen.method == "POST":
            return Reply(200, job | {"status": "pending"})
        if seen.path.startswith("/api/v2/jobs/"):
            place = f"http://{seen.headers['Host']}/file.json.gz?signature=canary"
            return Reply(200, job | {"status": "completed", "location": place, "percentage_done": 100})
        if left[0]:
            left[0] -= 1
            return Reply(200, raw=data[: len(data) // 2], missing=len(data) - len(data) // 2)
        return Reply(200, raw=data)

    return respond


ROWS = [
    {"user_id": "auth0|1", "email": "a@x", "app_metadata": {"plan": "pro"}, "user_metadata": None},
    {"user_id": "auth0|2", "email": "b@x"},
]
DATA = gzip.compress("".join(json.dumps(row) + "\n" for row in ROWS).encode())


def test_an_export_is_started_awaited_downloaded_and_read() -> None:
    """The job requests both metadata objects and little else; its file is downloaded without the token and read as profiles."""
    with ScriptedServer(exporting(DATA)) as server, connect(server) as client:
        users = list(ExportSource(fields=("email",)).users(lambda: client))
        assert users == [
            Found("auth0|1", {k: v for k, v in ROWS[0].items() if v is not None}),
            Found("auth0|2", ROWS[1]),
        ]
        asked = server.seen[0]
        assert (asked.method, asked.path) == ("POST", "/api/v2/jobs/users-exports")
        names = [field["name"] for field in asked.json["fields"]]
        assert names == ["user_id", "email", "user_metadata", "app_metadata"]
        assert asked.json["format"] == "json"
        (fetched,) = [seen for seen in server.seen if seen.path.startswith("/file")]
        assert "Authorization" not in fetched.headers


def test_a_download_that_breaks_off_starts_again_with_a_new_link() -> None:
    """Half a file is never taken for a whole one."""
    from auth0_meta.testing import FakeClock

    with ScriptedServer(exporting(DATA, drops=2)) as server, connect(server, clock=FakeClock()) as client:
        assert len(list(ExportSource().users(lambda: client))) == 2
        links = [
            seen for seen in server.seen if seen.method == "GET" and seen.path.startswith("/api/v2/jobs")
        ]
        assert len(links) == 4


def test_an_export_that_is_cut_short_at_its_source_is_refused() -> None:
    """A gzip file without its end is not read as fewer users."""
    with (
        ScriptedServer(exporting(DATA[:-8])) as server,
        connect(server) as client,
        pytest.raises(JobError, match="cut short"),
    ):
        list(ExportSource().users(lambda: client))


@pytest.mark.parametrize("data", [b"", b"<html>portal</html>", b"[]", b"\n", b"null"])
def test_what_is_not_an_export_is_not_read_as_fewer_users(data: bytes) -> None:
    """A proxy's page, or nothing at all, would otherwise be a tenant without users."""
    with (
        ScriptedServer(exporting(data)) as server,
        connect(server) as client,
        pytest.raises(JobError, match="is not an export"),
    ):
        list(ExportSource().users(lambda: client))


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "not packed"])
def test_a_line_of_an_export_without_an_end_is_refused(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not read into memory first."""
    monkeypatch.setattr(text_file, "MOST_LINE", 1000)
    data = b'{"user_id":"auth0|1"}\n{"user_id":"' + b"x" * 2000
    with (
        ScriptedServer(exporting(gzip.compress(data) if packed else data)) as server,
        connect(server) as client,
        pytest.raises(JobError, match="the file of export job_1 line 2 is longer than 1000 characters"),
    ):
        list(ExportSource().users(lambda: client))


@pytest.mark.parametrize(
    "data", [gzip.compress(b""), b'{"user_id": "auth0|1"}\n'], ids=["of nobody", "not packed"]
)
def test_an_export_of_nobody_and_one_that_is_not_packed_are_read(data: bytes) -> None:
    """Auth0 packs even an empty one; in between something may unpack it."""
    with ScriptedServer(exporting(data)) as server, connect(server) as client:
        assert len(list(ExportSource().users(lambda: client))) == data.startswith(b"{")


def test_an_export_of_the_local_tenant_is_complete() -> None:
    """It has every user, with user_metadata and app_metadata."""
    with LocalTenant() as tenant, tenant.client() as client:
        for n in range(3):
            tenant.users.add(
                user_id=f"auth0|{n}", app_metadata={"n": n} if n else None, user_metadata={"x": n}
            )
        users = {
            user.user_id: user.profile
            for user in ExportSource().users(lambda: client)
            if isinstance(user, Found)
        }
    assert {user_id: (row or {}).get("app_metadata") for user_id, row in users.items()} == {
        "auth0|0": None,
        "auth0|1": {"n": 1},
        "auth0|2": {"n": 2},
    }
