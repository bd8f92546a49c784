"""A path is judged by what it leads to before anything is opened, replaced, narrowed or deleted there."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auth0_meta.cli import main
from auth0_meta.emulator import LocalTenant
from auth0_meta.emulator.process.announced import announced, find_run
from auth0_meta.errors import Auth0MetaError, ConfigError, InputError
from auth0_meta.files import databases
from auth0_meta.files.databases import check_neighbours, own_database
from auth0_meta.files.paths import read_file, replacing

pytestmark = pytest.mark.skipif(os.name != "posix", reason="devices, owners and modes are POSIX")
KINDS = ("directory", "pipe", "device", "socket")


@pytest.fixture(params=[*KINDS, *(f"link to a {kind}" for kind in KINDS)])
def odd(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a path that leads to something other than a regular file; the device is a terminal of this test's own."""
    import pty  # not on Windows

    kind = request.param.rpartition(" ")[2]
    with tempfile.TemporaryDirectory() as folder:  # its path is short enough for a socket
        path = Path(folder, "odd")
        ends = pty.openpty()
        with socket.socket(socket.AF_UNIX) as listener:
            if kind == "directory":
                path.mkdir()
            elif kind == "pipe":
                os.mkfifo(path, 0o666)
            elif kind == "socket":
                listener.bind(str(path))
            else:
                path = Path(os.ttyname(ends[1]))
            if request.param.startswith("link"):
                link = Path(folder, "link")
                link.symlink_to(path)
                path = link
            yield path
        for end in ends:
            os.close(end)


def facts_of(path: Path) -> list[object]:
    """Return what must not change: the thing itself and what stands beside it."""
    status = os.lstat(path), os.stat(path)
    beside = [] if "pts" in str(path) else sorted(path.parent.iterdir())
    return [*((one.st_ino, one.st_mode, one.st_nlink) for one in status), beside]


USES: dict[str, Callable[[Path], object]] = {
    "users": lambda path: LocalTenant(serve=False, users=path),
    "load": lambda path: LocalTenant(serve=False).load(path),
    "save": lambda path: LocalTenant(serve=False).save(path),
    "db": lambda path: LocalTenant(serve=False, db=path),
}


@pytest.mark.parametrize("use", USES)
def test_what_is_not_a_regular_file_is_refused_and_left_as_it_is(odd: Path, use: str) -> None:
    """No device, pipe, socket or directory is read, waited for, replaced, narrowed or deleted, whoever runs this."""
    before = facts_of(odd)
    with pytest.raises(Auth0MetaError, match="not a regular file") as caught:
        USES[use](odd)
    assert str(odd) in str(caught.value)
    assert facts_of(odd) == before


@pytest.mark.parametrize(
    "words",
    [
        ("exec", "--save", "ODD", "--", "no-such-command"),
        ("exec", "--db", "ODD", "--", "no-such-command"),
        ("exec", "--users", "ODD", "--", "no-such-command"),
        ("serve", "--db", "ODD", "--port", "0"),
        ("serve", "--users", "ODD", "--port", "0"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_the_command_line_refuses_it_before_anything_is_started(
    odd: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """It exits with 2 and one line; the command is not looked for."""
    before = facts_of(odd)
    assert main(["emulator", *(str(odd) if word == "ODD" else word for word in words)]) == 2
    assert "no-such-command" not in capsys.readouterr().err
    assert facts_of(odd) == before


@pytest.fixture
def others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every file belong to another user, once pytest has made the directory."""
    real = os.stat

    def stat_of_another(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        fields = list(real(path, follow_symlinks=follow_symlinks))
        fields[stat.ST_UID] = 4711
        return os.stat_result(fields)

    monkeypatch.setattr(os, "stat", stat_of_another)


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("use", ["save", "db"])
@pytest.mark.parametrize("linked", [False, True], ids=["file", "link"])
def test_another_users_file_is_neither_replaced_nor_opened(tmp_path: Path, use: str, linked: bool) -> None:
    """Neither by its name nor through a link that another user has planted."""
    target = tmp_path / "theirs"
    target.write_text("")
    target.chmod(0o644)
    path = tmp_path / "link" if linked else target
    if linked:
        path.symlink_to(target)
    before = facts_of(path)
    with pytest.raises(Auth0MetaError, match="belongs to another user"):
        USES[use](path)
    assert facts_of(path) == before


@pytest.mark.usefixtures("others")
def test_a_link_of_another_user_is_not_followed_to_a_new_file(tmp_path: Path) -> None:
    """A link to a name that does not exist yet would create the file wherever its maker likes."""
    (tmp_path / "link").symlink_to(tmp_path / "new")
    with pytest.raises(OSError, match="belongs to another user"), replacing(tmp_path / "link"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_link_of_ones_own_stays_a_link(tmp_path: Path) -> None:
    """The file that it leads to is replaced, also through several links; the other name of that file keeps the old content."""
    folder = tmp_path / "real"
    folder.mkdir()
    (folder / "users.json").write_text("old")
    os.link(folder / "users.json", folder / "copy")
    (tmp_path / "one").symlink_to("real/users.json")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    with replacing(tmp_path / "two") as file:
        file.write("new")
    assert (tmp_path / "two").is_symlink()
    assert [(folder / name).read_text() for name in ("users.json", "copy")] == ["new", "old"]
    assert stat.S_IMODE((folder / "users.json").stat().st_mode) == 0o600


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    """They lead nowhere."""
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(OSError, match="symbolic links"), replacing(tmp_path / "link"):
        pass


def test_a_link_to_a_file_that_does_not_exist_yet_creates_it(tmp_path: Path) -> None:
    """As a shell would."""
    (tmp_path / "link").symlink_to("new")
    with replacing(tmp_path / "link") as file:
        file.write("new")
    assert (tmp_path / "new").read_text() == "new"


@pytest.mark.parametrize("use", USES)
def test_a_null_character_in_a_path_is_an_error_of_this_package(use: str) -> None:
    """And not a ValueError of Python's."""
    with pytest.raises(Auth0MetaError, match="null character"):
        USES[use](Path("a\0b"))


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    """One more byte is refused, before it is read and also if the file grows meanwhile; the kernel's files have no size."""
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_file(path, most=5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_file(path, most=4)
    path.write_bytes(b"")
    os.truncate(path, 10**9)  # all of it a hole
    with pytest.raises(OSError, match="more than 1,000 bytes"):
        read_file(path, most=1000)
    if sys.platform == "linux":  # pragma: no branch
        assert read_file("/proc/self/status", most=100_000)
        with pytest.raises(OSError, match="more than 10 bytes"):
            read_file("/proc/self/status", most=10)


# Databases --------------------------------------------------------------------------------------------


def beside(path: Path) -> dict[str, tuple[bytes, int]]:
    """Return the content and the mode of every file beside a path."""
    return {one.name: (one.read_bytes(), one.lstat().st_mode) for one in sorted(path.parent.iterdir())}


def foreign_log(path: Path) -> None:
    """Leave a database of somebody else's as a killed process would: empty, with everything in its log."""
    code = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1])\n"
        "c.executescript('PRAGMA journal_mode=WAL; CREATE TABLE t (x); INSERT INTO t VALUES (1);')\n"
        "os._exit(0)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=60)


def foreign_database(path: Path) -> None:
    """Make a database of somebody else's."""
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE users (mine TEXT)")
    connection.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_text("somebody's notes"),
        lambda path: path.write_text("notes, long enough for a database " * 100),
        foreign_database,
        foreign_log,
        lambda path: os.link(path.parent / "original", path),
        lambda path: Path(f"{path}-wal").write_text("notes of mine"),
        lambda path: Path(f"{path}-journal").write_text("notes of mine"),
        lambda path: Path(f"{path}-shm").symlink_to(path.parent / "original"),
        lambda path: Path(f"{path}-wal").symlink_to(path.parent / "original"),
        lambda path: os.link(path.parent / "original", f"{path}-wal"),
    ],
    ids=[
        *("a text", "a long text", "a database", "a database in its log", "a hard link"),
        *("a -wal", "a -journal", "a link as -shm", "a link as -wal", "a hard link as -wal"),
    ],
)
def test_nothing_is_changed_before_a_database_is_known_to_be_ours(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    """Another program's file keeps its content and mode, and so does what stands beside it."""
    (tmp_path / "original").write_text("")
    path = tmp_path / "users.db"
    make(path)
    for one in tmp_path.iterdir():
        one.chmod(0o644)
    before = beside(path)
    with pytest.raises(ConfigError, match=r"users\.db"):
        LocalTenant(serve=False, db=path)
    assert beside(path) == before


def test_a_file_of_sqlites_that_has_just_been_deleted_is_not_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process that ends its transaction deletes the journal at any moment."""
    path = tmp_path / "users.db"
    journal = tmp_path / "users.db-journal"
    journal.write_bytes(b"")
    look = databases.status_of

    def deleted(name: Path, **how: bool) -> os.stat_result | None:
        found = look(name, **how)
        if name == journal:
            journal.unlink(missing_ok=True)
        return found

    monkeypatch.setattr(databases, "status_of", deleted)
    check_neighbours(path)
    assert not journal.exists()


@pytest.mark.parametrize("log", [False, True], ids=["closed", "killed"])
def test_a_file_of_an_earlier_version_is_ours_even_if_its_process_was_killed(
    tmp_path: Path, log: bool
) -> None:
    """Version 0.1.0 marked the file in the log, which may not have been written back."""
    code = (
        "import os, sqlite3, sys\n"
        "from auth0_meta.emulator.state.users_sqlite import _USERS\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "c.executescript('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL;')\n"
        "c.executescript(f'BEGIN; {_USERS} PRAGMA application_id = 1630563685; PRAGMA user_version = 1; COMMIT;')\n"
        "c.close() if sys.argv[2] == 'False' else os._exit(0)\n"
    )
    path = tmp_path / "users.db"
    subprocess.run([sys.executable, "-c", code, str(path), str(log)], check=True, timeout=60)
    assert Path(f"{path}-wal").exists() == log
    path.chmod(0o644)
    with LocalTenant(serve=False, db=path) as tenant:
        tenant.users.add(user_id="auth0|1")
    with LocalTenant(serve=False, db=path) as tenant:
        assert len(tenant.users) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_database_is_marked_in_the_file_itself(tmp_path: Path) -> None:
    """So nobody needs its log to know whose it is."""
    path = tmp_path / "users.db"
    tenant = LocalTenant(serve=False, db=path)
    with path.open("rb") as file:
        assert int.from_bytes(file.read(72)[68:]) == 1630563685
    tenant.stop()


def test_the_check_keeps_the_lock_of_this_process(tmp_path: Path) -> None:
    """Closing a file that this process has locked gives up the lock, so the check must not open the file itself."""
    path = tmp_path / "users.db"
    with LocalTenant(serve=False, db=path):
        with pytest.raises(ConfigError, match="has it open"):
            LocalTenant(serve=False, db=path)
        code = "import sys; from auth0_meta.emulator import LocalTenant; LocalTenant(serve=False, db=sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60
        )
    assert "another local tenant has it open" in other.stderr


def test_two_processes_may_create_the_same_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that comes second opens what the first has made."""
    real = os.open

    def late(path: Path, *rest: int) -> int:
        open(path, "x").close()
        return real(path, *rest)

    monkeypatch.setattr(os, "open", late)
    assert own_database(tmp_path / "x", 1) == tmp_path / "x"


# Announcements ---------------------------------------------------------------------------------------

FACTS = {
    **dict.fromkeys(("url", "local_url"), "http://127.0.0.1:4"),
    **dict.fromkeys(("client_id", "client_secret", "token", "control_token"), "x"),
}


@pytest.fixture
def run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path at which a tenant on port 4 is announced."""
    monkeypatch.setenv("AUTH0_META_EMULATOR_DIR", str(tmp_path))
    return tmp_path / "emulator-4.json"


def test_an_announcement_that_somebody_else_may_have_written_is_not_believed(
    run_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must be the user's own regular file under one name, which nobody else may write to."""
    run_file.write_text(json.dumps(FACTS))
    run_file.chmod(0o600)
    assert find_run(4)["url"] == FACTS["url"]
    for mode in (0o620, 0o602):
        run_file.chmod(mode)
        with pytest.raises(InputError, match="can't be trusted"):
            find_run(4)
    run_file.chmod(0o600)
    os.link(run_file, run_file.parent / "other")
    with pytest.raises(InputError, match="can't be trusted"):
        find_run(4)
    (run_file.parent / "other").unlink()
    run_file.rename(run_file.parent / "real")
    run_file.symlink_to(run_file.parent / "real")
    with pytest.raises(InputError, match="not a regular file"):
        find_run(4)
    run_file.unlink()
    (run_file.parent / "real").rename(run_file)
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(InputError, match="another user"):
        find_run(4)


@pytest.mark.parametrize(
    "change",
    [
        {"url": "file:///etc/passwd"},
        {"url": "http://user@127.0.0.1:4"},
        {"url": "http://127.0.0.1:4\ntouch x"},
        {"url": 4},
        {"client_secret": ["x"]},
        {"client_secret": None},
        {"token": "x\ny"},
        {"ca_file": "/x\ntouch PWNED"},
        {"ca_file": "/x\x1b[31m"},
        {"local_url": "https://127.0.0.1:4"},
        {"local_url": "file:///etc/passwd"},
        {"pid": "9" * 70_000},
    ],
    ids=lambda change: f"{next(iter(change))}-{str(next(iter(change.values())))[:12]!a}",
)
def test_an_announcement_has_the_shape_of_one(run_file: Path, change: dict[str, object]) -> None:
    """Short texts without line breaks and the URL of a tenant: a shell evaluates what is made of them."""
    run_file.write_text(json.dumps(FACTS | change))
    with pytest.raises(InputError, match=r"announce"):
        find_run(4)


@pytest.mark.parametrize(
    "text", ["[]", "{", "[" * 60_000, "9" * 60_000, "\xff"], ids=["list", "cut", "deep", "digits", "bytes"]
)
def test_an_announcement_that_is_not_one_is_none(run_file: Path, text: str) -> None:
    """Whatever it is, the message says how to start a tenant."""
    run_file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match="emulator serve --port 4"):
        find_run(4)


def test_only_an_announcement_of_ones_own_is_replaced_and_removed(run_file: Path) -> None:
    """What else has the name stays, and a tenant that has announced itself there meanwhile stays announced."""
    os.mkfifo(run_file)
    with announced(4, FACTS) as path:
        assert path is None
    assert stat.S_ISFIFO(run_file.lstat().st_mode)
    run_file.unlink()
    with announced(4, FACTS) as first:
        with announced(4, FACTS) as second:
            assert first == second == run_file
        assert not run_file.exists()
        run_file.write_text("another tenant's")
    assert run_file.read_text() == "another tenant's"
