"""Options before and after a command, errors as JSON, help, completion, and a word from what takes long."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import pytest

from auth0_meta import __version__
from auth0_meta.cli import common, main
from auth0_meta.cli import emulator as emulator_commands
from auth0_meta.cli.app import root
from auth0_meta.cli.commands import COMMANDS
from auth0_meta.cli.common import patience
from auth0_meta.cli.failures import failure_of
from auth0_meta.cli.groups import logged
from auth0_meta.cli.migrate import commands as migrate_commands
from auth0_meta.emulator import LocalTenant
from auth0_meta.errors import ConflictError, LedgerError, MetadataError, RateLimitError, ScopeError
from auth0_meta.testing import FakeClock

USER = "auth0|123"
CANARY = "canary-9d2e"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def ada(tenant: LocalTenant) -> LocalTenant:
    """Add a user."""
    tenant.users.add(user_id=USER, email="ada@example.com", user_metadata={"theme": "light"})
    return tenant


def leaves(group: click.Group, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield the words of each command, and the command."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from leaves(command, *above, name)
        else:
            yield (*above, name), command


LEAVES = dict(leaves(root))
# Their output is a story, a script, and that of another command.
WITHOUT_JSON = [("demo",), ("completion",), ("emulator", "exec")]


# Options before and after ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--domain", "URL", "--token", "t", "user", "show", USER, "--json"],
        ["--json", "user", "--domain", "URL", "show", "--token", "t", USER],
        ["user", "show", USER, "--domain", "URL", "--token", "t", "--json"],
        ["--domain", "http://127.0.0.1:9", "user", "--json", "show", USER, "--domain", "URL", "--token", "t"],
    ],
    ids=["before", "between", "after", "after wins"],
)
def test_options_stand_before_or_after_a_command(
    words: list[str], ada: LocalTenant, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tenant, the token and the form of the output are the same."""
    for name in ada.env:
        monkeypatch.delenv(name)
    assert main([ada.url if word == "URL" else word for word in words]) == 0
    assert json.loads(capsys.readouterr().out)["user_id"] == USER
    (entry,) = ada.journal.requests("GET")
    assert ada.journal.count("POST") == 0
    assert entry.path.startswith("/api/v2/users/")


def test_what_a_call_says_is_not_kept_for_the_next_one(ada: LocalTenant, capsys: Capture) -> None:
    """A program may call `main` again."""
    assert (
        main(["--json", "--domain", "http://127.0.0.1:9", "--token", "t", "migrate", "status", "no.db"]) == 1
    )
    capsys.readouterr()
    assert main(["user", "show", USER]) == 0
    assert capsys.readouterr().out.startswith(f"{USER}\n")


def test_doctor_and_migrations_take_the_options_before_too(
    ada: LocalTenant, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A plan is made for the tenant that is named before the command."""
    for name in ada.env:
        monkeypatch.delenv(name)
    tenant = ["--domain", ada.url, "--token", "t", "--json"]
    assert main([*tenant, "doctor"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "token"
    (tmp_path / "a.csv").write_text(f"user_id,app_metadata.a\n{USER},x\n", encoding="utf-8")
    job = str(tmp_path / "job.db")
    assert main([*tenant, "migrate", "plan", str(tmp_path / "a.csv"), "-o", job]) == 0
    assert json.loads(capsys.readouterr().out)["job"] == job
    assert main([*tenant, "migrate", "apply", job, "--yes"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"done": 1}
    assert main(["--json", "migrate", "purge", job, "--yes"]) == 0
    assert json.loads(capsys.readouterr().out) == {"job": job, "stage": "purged"}


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_has_json_or_refuses_it(words: tuple[str, ...], capsys: Capture) -> None:
    """A program must not wait for JSON in vain."""
    has = any(parameter.name == "as_json" for parameter in LEAVES[words].params)
    assert has == (words not in WITHOUT_JSON)
    if not has:
        assert main(["--json", *words, *(["bash"] if words == ("completion",) else [])]) == 2
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["type"] == "UsageError"


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("flags", [["-v"], ["-vv"], ["-v", "-v"]], ids=" ".join)
def test_verbose_prints_the_log(
    before: bool,
    flags: list[str],
    ada: LocalTenant,
    capsys: Capture,
) -> None:
    """To stderr, in the place of what else says that it waits, and only during the command; no value is in it."""
    logger = logging.getLogger("auth0_meta")
    handlers, earlier = [*logger.handlers], logger.level
    ada.fail(method="PATCH", status=429, reset=1)
    words = ["user", "set", USER, f"user_metadata.motto={CANARY}"]
    assert main([*flags, *words] if before else [*words, *flags]) == 0
    out, err = capsys.readouterr()
    assert "WARNING waiting" in err
    assert f"INFO commit {USER}: updated" in err
    assert ("DEBUG PATCH " in err) == (flags != ["-v"])
    assert "\nwaiting " not in f"\n{err}"  # not twice
    assert CANARY not in out + err
    assert ([*logger.handlers], logger.level) == (handlers, earlier)


@pytest.mark.parametrize(("verbose", "shown"), [(0, ""), (1, "ii"), (2, "idi"), (3, "idi")])
def test_the_log_has_the_levels_that_were_asked_for(verbose: int, shown: str, capsys: Capture) -> None:
    """Nothing, commits, requests."""
    logger = logging.getLogger("auth0_meta")
    with logged(verbose):
        logger.info("i")
        logger.debug("d")
        if verbose:
            logger.info("one\nline i")
    logger.warning("after")
    lines = capsys.readouterr().err.splitlines()
    assert "".join(line[-1] for line in lines) == shown


# Errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        (["user", "show", "auth0|nobody", "--json"], "NotFoundError", 1),
        (["user", "show", USER, "--json", "--domain", "http://example.com"], "ConfigError", 2),
        (["user", "show", USER, "--json", "--nope"], "UsageError", 2),
        (["user", "show", "--json"], "UsageError", 2),
        (["--json", "user", "set", USER], "UsageError", 2),
        (["--json", "user", "set", USER, "app_metadata.email=x"], "MetadataError", 2),
        (["users", "--json"], "UsageError", 2),
        (["migrate", "status", "no.db", "--json"], "LedgerError", 1),
        (["migrate", "report", "no.db", "--json"], "LedgerError", 1),
        (["emulator", "env", "--port", "1", "--json"], "InputError", 2),
        (["emulator", "env", "--port", "x", "--json"], "UsageError", 2),
        (["emulator", "snapshot", "load", "no.json", "--port", "1", "--json"], "InputError", 2),
        (["emulator", "serve", "--json", "--rate-limit", "plenty"], "ConfigError", 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_an_error_is_json_too(
    words: list[str], kind: str, code: int, ada: LocalTenant, capsys: Capture
) -> None:
    """Stdout has one document; the exit code and the line on stderr are as without --json."""
    assert main(words) == code
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert (error["type"], error["exit_code"]) == (kind, code)
    assert err.splitlines()[-1] == f"error: {error['message']}"
    assert main([word for word in words if word != "--json"]) == code
    assert capsys.readouterr().err.endswith(f"error: {error['message']}\n")


def test_a_port_in_use_is_json_too(ada: LocalTenant, capsys: Capture) -> None:
    """So are errors of the command itself."""
    assert main(["emulator", "serve", "--port", ada.url.rpartition(":")[2], "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], "Choose another --port" in error["message"]) == ("CommandError", True)


def test_an_interruption_and_an_error_of_the_system_are_json(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """With the exit codes that they always have."""
    for error, kind, code in (
        (KeyboardInterrupt(), "Interrupted", 130),
        (PermissionError(13, "no", "x"), "PermissionError", 1),
    ):

        def fail(*_: object, error: BaseException = error, **__: object) -> None:
            raise error

        monkeypatch.setattr("auth0_meta.migrate.status", fail)
        assert main(["migrate", "status", "job.db", "--json"]) == code
        assert json.loads(capsys.readouterr().out)["error"]["type"] == kind


@pytest.mark.slow
def test_a_program_can_serve_and_use_a_tenant_by_json_alone(tmp_path: Path, capsys: Capture) -> None:
    """One line when it is up, which says where; `env` prints the same, and snapshots say how many users they have."""
    users = tmp_path / "users.json"
    users.write_text(json.dumps([{"user_id": USER}, {"user_id": "auth0|124"}]), encoding="utf-8")
    line = [
        sys.executable,
        "-m",
        "auth0_meta",
        "--json",
        "emulator",
        "serve",
        "--port",
        "0",
        "--users",
        str(users),
    ]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            exports = json.loads(process.stdout.readline())
            port = ["--port", exports["AUTH0_DOMAIN"].rpartition(":")[2], "--json"]
            assert main(["emulator", "env", *port]) == 0
            assert json.loads(capsys.readouterr().out) == exports
            saved = str(tmp_path / "saved.json")
            assert main(["emulator", "snapshot", "save", saved, *port]) == 0
            assert json.loads(capsys.readouterr().out) == {"file": saved, "users": 2}
            assert main(["emulator", "snapshot", "load", saved, *port]) == 0
            assert json.loads(capsys.readouterr().out) == {"file": saved, "users": 2}
            assert main(["emulator", "snapshot", "save", "-", *port]) == 2
            assert json.loads(capsys.readouterr().out)["error"]["type"] == "UsageError"
        finally:
            process.terminate()
        assert process.stdout.read() == ""


def test_what_follows_two_dashes_belongs_to_another_command(capsys: Capture) -> None:
    """A --json there changes nothing here."""
    for words in (["--", "prog", "--json"], ["prog", "--json"]):
        assert main(["emulator", "exec", "--rate-limit", "plenty", *words]) == 2
        assert capsys.readouterr().out == ""
    assert main(["emulator", "exec", "--nope", "--", "prog", "--json"]) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (
            ScopeError("x", status=403, error_code="insufficient_scope", expected=("read:users",)),
            {"status": 403, "error_code": "insufficient_scope", "expected": ["read:users"]},
        ),
        (
            RateLimitError("x", status=429, retry_at=5.0, user_id=USER),
            {"status": 429, "retry_at": 5.0, "user_id": USER},
        ),
        (
            MetadataError("x", bag="user_metadata", path=("a", "b")),
            {"bag": "user_metadata", "path": ["a", "b"]},
        ),
        (
            ConflictError("x", user_id=USER, paths=(("user_metadata", ("a",)),)),
            {"user_id": USER, "paths": [["user_metadata", ["a"]]]},
        ),
        (LedgerError("x", path="job.db"), {"path": "job.db"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_facts_of_an_error_have_its_attributes_names(error: Exception, facts: dict[str, Any]) -> None:
    """And nothing that is not known."""
    failure = failure_of(error)
    written = json.loads(common.dump(failure.to_json()))["error"]
    assert written == {"type": type(error).__name__, "message": "x", "exit_code": failure.code, **facts}


# Help ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "same"),
    [
        (["help"], ["--help"]),
        (["help", "user"], ["user", "--help"]),
        (["help", "user", "set"], ["user", "set", "--help"]),
        (["help", "help"], ["--help"]),
        (["--json", "help"], ["--help"]),
        (["user", "help"], ["user", "--help"]),
        (["user", "help", "set"], ["user", "set", "--help"]),
        (["help", "emulator", "help"], ["emulator", "--help"]),
        (["--json", "help", "doctor"], ["doctor", "--help"]),
    ],
    ids=" ".join,
)
def test_help_is_another_way_to_write_it(words: list[str], same: list[str], capsys: Capture) -> None:
    """The output and the exit code are the same."""
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert main(same) == 0
    assert capsys.readouterr().out == shown


def test_short_version(capsys: Capture) -> None:
    """-V is --version."""
    assert main(["-V"]) == 0
    assert capsys.readouterr().out == f"auth0-meta {__version__}\n"


def test_help_lists_every_exit_code(capsys: Capture) -> None:
    """Those of docs/cli.md."""
    assert main(["--help"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
    for code in ("0", "1", "2", "3", "4", "130"):
        assert f" {code} " in out.partition("Exit codes:")[2]
        assert f"| {code} |" in page


def test_the_first_help_loads_no_command() -> None:
    """It would take four times as long."""
    loaded = "{name for name in sys.modules if name in ('requests', 'auth0_meta.client', 'auth0_meta.migrate', 'rich.live')}"
    for words in (["--help"], ["help"], ["--version"]):
        program = f"import sys; from auth0_meta.cli import main; main({words!r}); sys.exit(bool({loaded}))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_lists_of_commands_are_not_cut(width: int, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole sentences, wrapped, at any width."""
    monkeypatch.setenv("COLUMNS", str(width))
    for words in ([], ["user"], ["emulator"], ["emulator", "snapshot"], ["migrate"]):
        assert main(words) == 0
        out = capsys.readouterr().out
        assert "..." not in out.partition("Commands:")[2]
        assert max(map(len, out.splitlines())) <= min(max(width, 50), 100)
    assert all(" ".join(line.split()) for line in COMMANDS.values())


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_help_fits_80_columns(
    words: tuple[str, ...], capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its examples too, which are not wrapped."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*words, "--help"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["users"], "Did you mean 'user'?"),
        (["user", "get"], "Did you mean 'show' or 'find'?"),
        (["user", "delete"], "Did you mean 'unset'?"),
        (["user", "lits"], "Did you mean 'list'?"),
        (["migrate", "run"], "Did you mean 'apply'?"),
        (["serve"], "Did you mean 'emulator serve'?"),
        (["show"], "Did you mean 'migrate show' or 'user show'?"),
        (["get"], "Did you mean 'migrate show', 'user show' or 'user find'?"),
        (["help", "usr"], "Did you mean 'user'?"),
        (["xyzzy"], "No such command 'xyzzy'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_word_that_is_no_command_gets_the_one_that_was_meant(
    words: list[str], meant: str, capsys: Capture
) -> None:
    """By what it says, by another group's command of that name, or by its letters."""
    assert main(words) == 2
    assert capsys.readouterr().err.endswith(f"{meant}\n")


# Completion ------------------------------------------------------------------------------------------


def completed(shell: str, *words: str, incomplete: str = "") -> set[str]:
    """Return what the program answers a shell that completes a word."""
    line = [sys.executable, "-m", "auth0_meta"]
    asked = " ".join(("auth0-meta", *words, incomplete))
    variables = {
        "_AUTH0_META_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": asked,
        "COMP_CWORD": str(len(words) + 1),
    }
    if shell == "fish":
        variables["COMP_CWORD"] = incomplete
    env = {**os.environ, **variables}
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, env=env)
    assert done.stderr == ""
    return set(done.stdout.split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_scripts_that_ask_this_program(shell: str, capsys: Capture) -> None:
    """The script sets the variable to which the program responds."""
    assert main(["completion", shell]) == 0
    assert f"_AUTH0_META_COMPLETE={shell}_complete" in capsys.readouterr().out
    assert any("show" in word for word in completed(shell, "user", incomplete="sh"))


def test_fish_shows_whole_lines_of_help(capsys: Capture) -> None:
    """A comma separates the kind of a word from the word, and is no end of the line behind it."""
    assert main(["completion", "fish"]) == 0
    assert '(string split --max 1 "," $completion)' in capsys.readouterr().out


def test_commands_and_options_are_completed() -> None:
    """Of the root, of groups, after global options, and after help."""
    assert {f"plain,{name}" for name in COMMANDS} == completed("bash")
    assert completed("bash", "--json", "user", incomplete="f") == {"plain,find"}
    assert completed("bash", "help", "user", incomplete="f") == {"plain,find"}
    assert "plain,--redact" in completed("bash", "user", "show", incomplete="--")
    assert completed("bash", "completion", incomplete="z") == {"plain,zsh"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes() -> None:
    """A real bash, which loads the script and completes words with it."""
    program = Path(sys.executable).with_name("auth0-meta")
    script = f"""
        PATH={program.parent}:$PATH
        eval "$(auth0-meta completion bash)"
        complete -p auth0-meta
        COMP_WORDS=(auth0-meta user un) COMP_CWORD=2
        _auth0_meta_completion auth0-meta
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["complete -o nosort -F _auth0_meta_completion auth0-meta", "unset"]


# A word from what takes long -------------------------------------------------------------------------

NAME = "auth0-meta patience"


class Past(FakeClock):
    """A clock whose waits are over at once, unless what they wait for has come."""


class Still(FakeClock):
    """A clock that stands still: a wait ends only when it is notified."""

    def wait(self, condition: threading.Condition, seconds: float | None) -> bool:
        """Wait to be notified."""
        self.slept.append(seconds or 0.0)
        return condition.wait(60)


def speakers() -> list[threading.Thread]:
    """Return the threads that may still speak."""
    return [thread for thread in threading.enumerate() if thread.name == NAME]


def test_what_takes_long_says_so_once(capsys: Capture) -> None:
    """On stderr, after 2 seconds, and no thread is left."""
    clock = Past()
    with patience("still reading ...", clock=clock):
        for thread in speakers():
            thread.join(60)
        assert capsys.readouterr() == ("", "still reading ...\n")
    assert (clock.slept, speakers(), capsys.readouterr().err) == ([2.0], [], "")


@pytest.mark.parametrize("early", [True, False])
def test_what_is_quick_says_nothing(early: bool, capsys: Capture) -> None:
    """Not either if its first part was quick, and no thread is left."""
    with patience("still reading ...", clock=Still()) as end:
        if early:
            end()
            assert speakers() == []
    assert (speakers(), capsys.readouterr()) == ([], ("", ""))


def test_an_error_ends_the_patience(capsys: Capture) -> None:
    """No thread is left, and nothing is said."""
    with pytest.raises(KeyError), patience("still reading ...", clock=Still()):
        raise KeyError
    assert (speakers(), capsys.readouterr().err) == ([], "")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["user", "show", USER], "the tenant"),
        (["user", "list"], "the tenant"),
        (["doctor"], "the tenant"),
        (["emulator", "serve", "--users", "no.json"], "no.json"),
        (["emulator", "exec", "--db", "DB", "--", "true"], "DB"),
        (["emulator", "snapshot", "save", "x.json", "--port", "1"], "x.json"),
        (["emulator", "snapshot", "load", "x.json", "--port", "1"], "x.json"),
        (["migrate", "status", "no.db"], "no.db"),
        (["migrate", "report", "no.db"], "no.db"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_commands_that_may_take_long_have_a_word_for_it(
    words: list[str], text: str, ada: LocalTenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It names what is waited for."""
    said: list[str] = []

    @contextmanager
    def record(text: str) -> Iterator[Callable[[], None]]:
        said.append(text)
        yield lambda: None

    monkeypatch.setattr(common, "patience", record)
    monkeypatch.setattr(emulator_commands, "patience", record)
    monkeypatch.setattr(migrate_commands, "patience", record)
    database = str(tmp_path / "tenant.db")
    main([database if word == "DB" else word for word in words])
    assert [(database if text == "DB" else text) in one for one in said] == [True]
